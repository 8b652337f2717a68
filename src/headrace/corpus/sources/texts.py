"""Stage "texts": any corpus of text as documents, in the form that sentences and splits take.

    files of the input -> kind (plain text, CSV's list, JSON lines, Parquet) -> shards by size
    shards -> number of records each (skipped where there is one shard)    parallel, in the scratch
    shards -> documents with ids by their place in the input               parallel

Bad records are put aside with source and offset, empty ones dropped and counted. Cost: a pass at
the speed of decompression for the numbers, one that decodes, and zstd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.artifacts import Artifact, Build, Quarantined, ShardJob, ShardOutcome, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.corpus.dataset_card import DatasetCard
from headrace.corpus.scratch_shards import run_scratch_shards
from headrace.corpus.site import SITEINFO_NAME, Site
from headrace.corpus.sources.text_files import find_shards
from headrace.corpus.sources.text_records import (
    TOO_LARGE,
    TextRecord,
    TextShard,
    count_records,
    read_records,
)
from headrace.corpus.sources.texts_config import TextsConfig
from headrace.corpus.statistics import CorpusStatistics, DropExamples, write_statistics
from headrace.errors import CorruptInputError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TEXTS", "TextsConfig", "write_texts"]

BATCH_ROWS = 128
COUNT_NAME = "count"


def texts_schema(config: TextsConfig, *, has_classes: bool) -> pa.Schema:
    """Columns of documents: those of articles, language, class_name if there are any, others."""
    import pyarrow as pa

    from headrace.corpus.tables import ARTICLES_SCHEMA

    schema = ARTICLES_SCHEMA.append(pa.field("language", pa.string()))
    if has_classes:
        schema = schema.append(pa.field("class_name", pa.string()))
    for name in config.columns:
        schema = schema.append(pa.field(name, pa.string()))
    return schema


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Everything one shard's job needs, in any process."""

    shard: TextShard
    name: str
    first_id: int
    config: TextsConfig
    has_classes: bool


def _count_shard(directory: Path, shard: TextShard, name: str, config: TextsConfig) -> ShardOutcome:
    number = count_records(shard, config)
    (directory / f"{name}.txt").write_text(str(number))
    return ShardOutcome(rows=number)


def _write_shard(directory: Path, job: _Job) -> ShardOutcome:
    found = DocumentShard(directory / f"{job.name}.parquet", job.config, job.has_classes)
    with found:
        for number, record in read_records(job.shard, job.config):
            found.add(job.first_id + number, record)
    return found.outcome()


class DocumentShard:
    """Takes records and writes those that are good to one Parquet file.

    Args:
        path: the file.
        config: settings.
        has_classes: whether there is a column of classes.
    """

    def __init__(self, path: Path, config: TextsConfig, has_classes: bool) -> None:
        from headrace.corpus.document_files import DocumentWriter

        self.num_in = 0
        self._writer = DocumentWriter(path)
        self._schema = texts_schema(config, has_classes=has_classes)
        self._config = config
        self._rows: list[dict[str, Any]] = []
        self._dropped = 0
        self._quarantined: list[Quarantined] = []
        self._statistics = CorpusStatistics()
        self._examples = DropExamples()

    def __enter__(self) -> DocumentShard:
        self._writer.__enter__()
        self._flush()
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self._flush()
        self._writer.__exit__(*error)

    def add(self, document_id: int, record: TextRecord | Quarantined) -> None:
        """Take one record."""
        self.num_in += 1
        if isinstance(record, Quarantined):
            self._quarantined.append(record)
        elif not record.text.strip():
            self._dropped += 1
            self._examples.add(
                "empty_text", title=record.title or record.url, id=document_id, offset=record.offset
            )
        elif _is_larger(record.text, self._config.max_document_bytes):
            words = f"more than {self._config.max_document_bytes} bytes: {record.text[:400]}"
            self._quarantined.append(
                Quarantined(
                    source=record.source, offset=record.offset, reason=TOO_LARGE, excerpt=words
                )
            )
        else:
            self._rows.append(self._row(document_id, record))
            if len(self._rows) == BATCH_ROWS:
                self._flush()

    def _row(self, document_id: int, record: TextRecord) -> dict[str, Any]:
        return {
            "id": document_id,
            "revid": 0,
            "url": record.url,
            "title": record.title,
            "text": record.text,
            "language": record.language or self._config.language,
            "class_name": record.class_name,
            **record.columns,
        }

    def _flush(self) -> None:
        import pyarrow as pa

        columns = {
            field.name: [row.get(field.name) for row in self._rows] for field in self._schema
        }
        table = pa.table(columns, schema=self._schema)
        self._statistics.add_column(table["text"], table["language"])
        self._writer.write(table)
        self._rows = []

    def outcome(self) -> ShardOutcome:
        """What became of the records."""
        counts = {"records_in": self.num_in, "records_out": self._writer.num_rows}
        return ShardOutcome(
            rows=self._writer.num_rows,
            counts=counts | self._statistics.counts(),
            dropped={"empty_text": self._dropped} if self._dropped else {},
            quarantined=self._quarantined,
            carry=self._examples.to_carry(),
        )


def _is_larger(text: str, max_bytes: int) -> bool:
    return len(text) * 4 > max_bytes and len(text.encode("utf-8")) > max_bytes


def write_texts(*, source: Artifact, config: TextsConfig, out: Build) -> None:
    """Write the documents of a corpus of text.

    Args:
        source: raw files (a file, a directory, a CSV with what it lists), or an artifact of such.
        config: settings.
        out: receives `documents-00000-of-0000N.parquet` (id int64: place in the input; revid 0;
            url: file and place; title; text; language; class_name where there are classes; further
            columns as strings) and `siteinfo.json`.

    Raises:
        MissingInputError: there is no file of the format.
        CorruptInputError: a file is damaged, a column is missing, or no document has any text.
        ConfigError: the input and the settings do not go together.
        TooManyDropsError: too many records are bad.
    """
    found = find_shards(source, config)
    jobs = []
    firsts = _first_ids(found.shards, config, out)
    for number, (shard, first_id) in enumerate(zip(found.shards, firsts, strict=True)):
        name = f"documents-{number:05d}-of-{len(found.shards):05d}"
        job = _Job(
            shard=shard,
            name=name,
            first_id=first_id,
            config=config,
            has_classes=found.has_classes,
        )
        jobs.append(ShardJob(name=name, function=_write_shard, args=(job,)))
    records = out.run_shards(jobs, unit="documents")
    num_in = sum(record.counts["records_in"] for record in records)
    if not any(record.rows for record in records):
        raise CorruptInputError(
            f"{found.where}: at least one document with text was expected; none of {num_in} "
            "records has any: look at the files, and at text_column and encoding"
        )
    out.set_counts(num_files_left_out=found.num_left_out)
    finish_texts(out, records, num_in, config, found.where)


def finish_texts(
    out: Build, records: Sequence[Any], num_in: int, config: TextsConfig, where: str
) -> None:
    """What all corpora of texts have beside their documents."""
    from headrace.corpus.pages import quarantine_limit

    out.drop_limit(quarantine_limit(config.max_quarantined_fraction, num_in))
    site = Site(lang=config.language)
    out.write_index(SITEINFO_NAME, site.to_json())
    card = DatasetCard(
        title=Path(where).name or where,
        licence=config.licence,
        source=where,
        description="Documents of a corpus of text, one row each.",
    )
    write_statistics(out, records, card)


def _first_ids(shards: Sequence[TextShard], config: TextsConfig, out: Build) -> Iterator[int]:
    """The id of each shard's first record."""
    if len(shards) == 1:
        return iter((0,))
    jobs = []
    for number, shard in enumerate(shards):
        name = f"{COUNT_NAME}-{number:05d}"
        jobs.append(ShardJob(name=name, function=_count_shard, args=(shard, name, config)))
    _, records = run_scratch_shards(out, "texts-count", jobs, "records")
    return accumulate((record.rows for record in records[:-1]), initial=0)


def _work(_config: TextsConfig, inputs: Inputs) -> float:
    return sum(size.counts.get("num_bytes", size.num_bytes) for size in inputs.values())


TEXTS = Stage(
    name="texts",
    version=1,
    format="headrace.texts/1",
    packages=("pyarrow",),
    write=write_texts,
    measure=Measure(work=_work, volume=_work, start_seconds=0.4),
)
