"""Stage "pages": the articles' wikitext out of a dump, in Parquet shards.

One pass over the decompressed dump, one page in memory at a time beside the shard being filled.
Shards are cut by dump position alone: a new one begins with the first kept page after
`shard_bytes` of text, so what is dropped after the last kept page is counted in the last shard. A
resumed run reads the dump again (decompressing is the price, about 20 MB/s) and skips the writing
of finished shards.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import Field

from headrace.artifacts import Artifact, Build, Quarantined, ShardOutcome, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.artifacts.sources import source_path
from headrace.config import StageConfig
from headrace.corpus.dump import DumpStream
from headrace.corpus.page_parser import PageParser, RawPage, SiteHeader
from headrace.corpus.site import SITEINFO_NAME, Site
from headrace.corpus.tables import PAGES_SCHEMA, write_rows
from headrace.errors import ConfigError, CorruptInputError

logger = logging.getLogger(__name__)

WIKITEXT = "wikitext"
_MAX_INT64 = (1 << 63) - 1
# Exports before 0.4 have no <redirect/>; the English keyword works on every wiki.
_REDIRECT_TEXT = re.compile(r"\s*#\s*REDIRECT\s*:?\s*\[\[", re.IGNORECASE)
_SEEN_RANGE = 4096


class PagesConfig(StageConfig):
    """Settings of reading a dump."""

    language: str | None = Field(
        default=None,
        min_length=1,
        description="language code of the wiki; None takes xml:lang of the dump's root element",
    )
    shard_bytes: int = Field(
        default=8 << 20,
        ge=1,
        le=1 << 30,
        description="UTF-8 bytes of text after which a new shard begins; 8 MiB are about 1 s of "
        "extraction, long beside starting a program and short enough to keep all workers busy",
    )
    max_page_bytes: int = Field(
        default=64 << 20,
        ge=1,
        le=1 << 30,
        description="longest page text kept, in UTF-8 bytes; MediaWiki's own limit is 2 MiB, so "
        "what is longer than 64 MiB is damage",
    )
    max_quarantined_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of all pages that may be malformed or too large before the stage "
        "fails; a single one is always let pass unless this is 0",
    )


@dataclass(frozen=True, slots=True)
class Page:
    """An article's source.

    Attributes:
        id: page id.
        revid: revision id; 0 if the dump has none.
        title: without namespace.
        text: wikitext.
        offset: byte offset of `<page>` in the decompressed stream.
    """

    id: int
    revid: int
    title: str
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A page that is not kept.

    Attributes:
        reason: short name, counted.
        offset: byte offset of `<page>` in the decompressed stream.
        excerpt: title and id, and what is wrong.
        is_bad: True for damage (quarantined), False for what is left out on purpose (dropped).
    """

    reason: str
    offset: int
    excerpt: str = ""
    is_bad: bool = False


class SeenIds:
    """A set of page ids at one bit each where they are dense, as they are in dumps."""

    def __init__(self) -> None:
        self._ranges: dict[int, int] = {}

    def add(self, page_id: int) -> bool:
        """Remember `page_id`; True if it was not known yet."""
        key, position = divmod(page_id, _SEEN_RANGE)
        known = self._ranges.get(key, 0)
        self._ranges[key] = known | (1 << position)
        return not known >> position & 1


def judge_page(raw: RawPage, header: SiteHeader, config: PagesConfig) -> Page | Rejected:
    """Decide on one page of the dump; duplicates are the reader's business.

    Kept is what has an id and a title, lies in namespace 0, is no redirect, and has wikitext.

    Returns:
        The page, or the reason against it: quarantined "malformed_page" or "page_too_large";
        dropped "namespace_<n>", "redirect", "deleted_text", "not_wikitext" or "empty_text".
    """
    page_id, revid = _parse_id(raw.page_id), _parse_id(raw.revision_id or "0")
    namespace = _namespace_of(raw, header)
    problem = raw.problem
    if page_id is None or revid is None or namespace is None or not raw.title:
        problem = problem or "an integer id, an integer namespace and a title were expected"
    if problem or page_id is None or revid is None or not raw.title:
        return _bad("malformed_page", raw, problem)
    if namespace != 0:
        return Rejected(f"namespace_{namespace}", raw.offset)
    if raw.has_redirect or _REDIRECT_TEXT.match(raw.text or ""):
        return Rejected("redirect", raw.offset)
    if raw.is_text_too_large:
        return _bad(
            "page_too_large",
            raw,
            f"at least {raw.num_text_bytes} bytes, more than {config.max_page_bytes}",
        )
    if raw.is_text_deleted:
        return Rejected("deleted_text", raw.offset)
    if (raw.model or WIKITEXT) != WIKITEXT:
        return Rejected("not_wikitext", raw.offset)
    if raw.text is None or not raw.text.strip():
        return Rejected("empty_text", raw.offset)
    return Page(id=page_id, revid=revid, title=raw.title, text=raw.text, offset=raw.offset)


def _bad(reason: str, raw: RawPage, problem: str) -> Rejected:
    excerpt = f"title {raw.title!r}, id {raw.page_id!r}: {problem}"
    return Rejected(reason, raw.offset, excerpt=excerpt, is_bad=True)


def _parse_id(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 19:
        return None
    value = int(text)
    return value if value <= _MAX_INT64 else None


def _namespace_of(raw: RawPage, header: SiteHeader) -> int | None:
    """The page's namespace number; None if what is there is no number.

    Exports before 0.6 have no <ns>: there the title's prefix decides.
    """
    if raw.namespace is None:
        prefix, colon, _ = (raw.title or "").partition(":")
        names = {name: number for number, name in header.namespaces.items() if name}
        return names.get(prefix, 0) if colon else 0
    digits = raw.namespace.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < 10
    return int(raw.namespace) if is_number else None


class DumpReader:
    """Reads a dump once, page by page, in dump order.

    Args:
        path: `.xml`, `.xml.bz2` or `.xml.gz`; the content decides, not the name.
        config: what to keep.

    Attributes:
        num_file_bytes: size of the file.
        num_file_bytes_read: how much of it is read.
    """

    def __init__(self, path: Path, config: PagesConfig) -> None:
        self._path = path
        self._config = config
        self._stream = DumpStream(path)
        self._header = SiteHeader()
        self.num_file_bytes = self._stream.num_file_bytes

    @property
    def num_file_bytes_read(self) -> int:
        """Bytes of the (compressed) file read so far."""
        return self._stream.num_file_bytes_read

    @property
    def site(self) -> Site:
        """What the dump says of its wiki; complete once the first page is out.

        Raises:
            ConfigError: neither the config nor the dump names the language.
        """
        lang = self._config.language or self._header.lang
        if not lang:
            raise ConfigError(
                f"{self._path}: the dump does not name its language (no xml:lang on <mediawiki>): "
                "set `language` of the pages stage, for example language=en"
            )
        header = self._header
        return Site(lang=lang, dbname=header.dbname, sitename=header.sitename, base=header.base)

    def __iter__(self) -> Iterator[Page | Rejected]:
        """Give every page of the dump, kept or rejected.

        Raises:
            CorruptInputError: see `DumpStream` and `PageParser`.
        """
        seen = SeenIds()
        for raw in self._raw_pages():
            page = judge_page(raw, self._header, self._config)
            if isinstance(page, Page) and not seen.add(page.id):
                yield Rejected("duplicate_id", page.offset)
            else:
                yield page

    def _raw_pages(self) -> Iterator[RawPage]:
        parser: PageParser | None = None
        for chunk in self._stream:
            if parser is None:
                parser = PageParser(
                    self._path,
                    encoding=self._stream.encoding,
                    max_page_bytes=self._config.max_page_bytes,
                )
                self._header = parser.header
            yield from parser.feed(chunk)
        if parser is not None:
            yield from parser.close(may_lack_end=self._stream.is_checksummed)
            if parser.lacks_end:
                logger.warning(
                    "%s: it ends after a whole page without </mediawiki>; it is taken as an "
                    "excerpt of a dump, since its compressed stream is whole",
                    self._path,
                )


@dataclass
class _Shard:
    """The shard being filled: what came in since the last cut."""

    source: str
    pages: list[Page] = field(default_factory=list)
    num_text_bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    quarantined: list[Quarantined] = field(default_factory=list)

    def add(self, item: Page | Rejected) -> None:
        if isinstance(item, Page):
            self.pages.append(item)
            self.num_text_bytes += len(item.text.encode("utf-8"))
        elif item.is_bad:
            self.quarantined.append(
                Quarantined(
                    source=self.source,
                    offset=item.offset,
                    reason=item.reason,
                    excerpt=item.excerpt,
                )
            )
        else:
            self.dropped[item.reason] += 1

    def publish(self, out: Build, number: int) -> int:
        """Write the shard unless it is finished; returns its number of pages."""
        name = f"pages-{number:05d}"
        return out.publish(name, lambda directory: self._write(directory / f"{name}.parquet")).rows

    def _write(self, path: Path) -> ShardOutcome:
        write_rows(path, [asdict(page) for page in self.pages], PAGES_SCHEMA)
        num_in = len(self.pages) + sum(self.dropped.values()) + len(self.quarantined)
        return ShardOutcome(
            rows=len(self.pages),
            counts={
                "records_in": num_in,
                "records_out": len(self.pages),
                "num_text_bytes": self.num_text_bytes,
            },
            dropped=dict(sorted(self.dropped.items())),
            quarantined=self.quarantined,
        )


def write_pages(*, source: Artifact, config: PagesConfig, out: Build) -> None:
    """Write the article pages of a dump.

    Args:
        source: the raw dump file.
        config: settings.
        out: receives `pages-00000.parquet`... (id int64, revid int64, title, text: wikitext,
            offset int64) and `siteinfo.json`.

    Raises:
        CorruptInputError: the dump is damaged, is none, or holds no article.
        ConfigError: its language is not known.
    """
    path = source_path(source)
    if path.is_dir():
        raise ConfigError(f"{path}: a dump file was expected; it is a directory: name a file in it")
    reader = DumpReader(path, config)
    shard, number, num_pages = _Shard(path.name), 0, 0
    total: Counter[str] = Counter()
    num_bad = 0
    for item in reader:
        num_pages += 1
        if num_pages == 1:
            _ = reader.site  # an unknown language is told now, not after hours
        if isinstance(item, Page) and shard.num_text_bytes >= config.shard_bytes:
            shard.publish(out, number)
            shard, number = _Shard(path.name), number + 1
        shard.add(item)
        if isinstance(item, Rejected):
            total[item.reason] += 1
            num_bad += item.is_bad
        out.progress(reader.num_file_bytes_read, reader.num_file_bytes, "bytes", f"{number} shards")
    if not shard.pages:
        found = ", ".join(f"{reason} {num}" for reason, num in sorted(total.items())) or "none"
        raise CorruptInputError(
            f"{path}: at least one article was expected; none of its {num_pages} pages is one "
            f"(left out: {found}): name a pages-articles dump"
        )
    shard.publish(out, number)
    out.drop_limit(quarantine_limit(config.max_quarantined_fraction, num_pages))
    out.write_index(SITEINFO_NAME, reader.site.to_json())


def quarantine_limit(max_fraction: float, num_records: int) -> float:
    """The share of bad records at which a stage fails: one alone never stops a small run."""
    return max(max_fraction, 1 / num_records) if max_fraction > 0 and num_records else max_fraction


def _dump_bytes(_config: PagesConfig, inputs: Inputs) -> float:
    return inputs["source"].counts["num_bytes"]


PAGES = Stage(
    name="pages",
    version=1,
    format="headrace.pages/1",
    packages=("pyarrow",),
    write=write_pages,
    measure=Measure(work=_dump_bytes, volume=_dump_bytes, start_seconds=0.4),
)
