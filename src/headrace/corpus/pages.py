"""Stage "pages": the wikitext of a dump's articles and templates, in Parquet shards.

One pass over the decompressed dump, one page in memory at a time beside the shard being filled.
Shards are cut by dump position alone: a new one begins with the first kept page after
`shard_bytes` of text (of articles, or of templates), so what is dropped after the last kept page is
counted in the last shard. Each shard's record says where the next one begins: a run that goes on
after an interruption starts there, with the ids of the articles in finished shards.

Cost: about 0.6 s of CPU time for 73 MB of XML (expat half of it, zstd a third) beside
decompression, which takes two to three times as long.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.artifacts import Artifact, Build, Quarantined, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.artifacts.shards import ShardRecord
from headrace.artifacts.sources import source_path
from headrace.corpus.dumps.dump_pages import (
    Page,
    PagesConfig,
    Rejected,
    TemplatePage,
    judge_page,
)
from headrace.corpus.dumps.dump_parts import DumpPart, find_dump_parts
from headrace.corpus.dumps.dump_reader import DumpReader, Position, ReadPage, SeenIds
from headrace.corpus.dumps.multistream_index import MultistreamIndex
from headrace.corpus.site import SITEINFO_NAME
from headrace.errors import CorruptInputError

if TYPE_CHECKING:
    from headrace.corpus.dumps.page_shards import PageShard

__all__ = [
    "PAGES",
    "DumpReader",
    "Page",
    "PagesConfig",
    "Rejected",
    "SeenIds",
    "TemplatePage",
    "judge_page",
    "quarantine_limit",
    "write_pages",
]

logger = logging.getLogger(__name__)

_PROGRESS_PAGES = 64


def write_pages(*, source: Artifact, config: PagesConfig, out: Build) -> None:
    """Write the articles and templates of a dump.

    Args:
        source: the raw dump: a file, or a directory with the parts of one dump and, if it is a
            multistream dump, its indexes.
        config: settings.
        out: receives `pages-00000.parquet`... (id int64, revid int64, title, text: wikitext,
            offset int64), `templates-00000.parquet`... (title without namespace, text, redirect,
            offset int64) and `siteinfo.json`.

    Raises:
        CorruptInputError: the dump is damaged, is none, or holds no article; or an index is of
            another dump.
        ConfigError: its language is not known, or the directory is not of one dump.
    """
    path = source_path(source)
    parts = find_dump_parts(path)
    _check_indexes(parts)
    reader = DumpReader(parts, config, num_threads=out.runtime.num_workers)
    records = _write_shards(reader, config, out)
    num_pages = sum(record.counts["records_in"] for record in records)
    if not any(record.rows for record in records):
        raise _no_article(path, num_pages, records)
    out.drop_limit(quarantine_limit(config.max_quarantined_fraction, num_pages))
    out.write_index(SITEINFO_NAME, reader.site.to_json())


def _check_indexes(parts: Sequence[DumpPart]) -> None:
    for part in parts:
        if part.index is not None:
            index = MultistreamIndex(part.index)
            index.check(part.path)
            logger.info(
                "%s: its index fits: %d pages in %d streams",
                part.path.name,
                index.num_pages,
                index.num_streams,
            )


def _write_shards(reader: DumpReader, config: PagesConfig, out: Build) -> list[ShardRecord]:
    records: list[ShardRecord] = []
    position: Position | None = Position()
    shards: Iterator[tuple[PageShard, Position | None]] | None = None
    while position is not None:
        record = out.finished(_shard_name(len(records)))
        if record is not None:
            shards = None
        else:
            if shards is None:
                known_ids = _known_ids(out.path, len(records))
                shards = _cut_shards(reader, reader.read(position, known_ids), config, out)
            record = _publish(*next(shards), len(records), out)
        records.append(record)
        position = Position(*record.carry["next"]) if record.carry["next"] else None
    return records


def _shard_name(number: int) -> str:
    return f"pages-{number:05d}"


def _known_ids(path: Path, num_shards: int) -> Iterator[int]:
    """Ids of the articles in the first shards."""
    import pyarrow.parquet as pq

    for number in range(num_shards):
        table = pq.read_table(path / f"{_shard_name(number)}.parquet", columns=["id"])
        yield from table["id"].to_pylist()


def _publish(shard: PageShard, end: Position | None, number: int, out: Build) -> ShardRecord:
    carry = {"next": end.to_list() if end is not None else None}
    return out.publish(_shard_name(number), partial(shard.write, number=number, carry=carry))


def _cut_shards(
    reader: DumpReader, pages: Iterator[ReadPage], config: PagesConfig, out: Build
) -> Iterator[tuple[PageShard, Position | None]]:
    """Fill shards; gives each with the position at which the next one begins."""
    from headrace.corpus.dumps.page_shards import PageShard

    shard = PageShard()
    for number, (item, utf8) in enumerate(pages):
        if not number:
            _ = reader.site  # an unknown language is told now, not after hours
        if isinstance(item, Rejected):
            _reject(shard, item, reader)
        else:
            if shard.is_full(config.shard_bytes):
                yield shard, reader.position
                shard = PageShard()
            if isinstance(item, Page):
                shard.add_page(item, utf8)
            else:
                shard.add_template(item, utf8)
        if number % _PROGRESS_PAGES == 0:
            out.progress(reader.num_file_bytes_read, reader.num_file_bytes, "bytes")
    out.progress(reader.num_file_bytes, reader.num_file_bytes, "bytes")
    yield shard, None


def _reject(shard: PageShard, item: Rejected, reader: DumpReader) -> None:
    if item.is_bad:
        shard.quarantine(
            Quarantined(
                source=reader.file_name,
                offset=item.offset - reader.position.base,
                reason=item.reason,
                excerpt=item.excerpt,
            )
        )
    else:
        shard.drop(item.reason)


def _no_article(path: Path, num_pages: int, records: Sequence[ShardRecord]) -> CorruptInputError:
    total: Counter[str] = Counter()
    for record in records:
        total.update(record.dropped)
        total.update(record.quarantined)
        total["template"] += record.counts["num_templates"]
    found = ", ".join(f"{reason} {num}" for reason, num in sorted(total.items()) if num) or "none"
    return CorruptInputError(
        f"{path}: at least one article was expected; none of its {num_pages} pages is one "
        f"(found instead: {found}): name a pages-articles dump"
    )


def quarantine_limit(max_fraction: float, num_records: int) -> float:
    """The share of bad records at which a stage fails: one alone never stops a small run."""
    if max_fraction <= 0 or not num_records:
        return max_fraction
    # Above 1/n by a hair: n times the rounded quotient may fall short of 1 (n = 49).
    return max(max_fraction, math.nextafter(1 / num_records, 1.0))


def _dump_bytes(_config: PagesConfig, inputs: Inputs) -> float:
    return inputs["source"].counts["num_bytes"]


PAGES = Stage(
    name="pages",
    version=2,
    format="headrace.pages/2",
    packages=("pyarrow",),
    write=write_pages,
    measure=Measure(work=_dump_bytes, volume=_dump_bytes, start_seconds=0.4),
)
