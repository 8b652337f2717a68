"""A dump read once, page by page, in order; from any page on that an earlier run has marked.

Pages come in the order of the dump: its files one after the other, ids distinct over all of them.
A `Position` is a mark between two pages. To go on from one, the header of that file is read again
(it holds the names of namespaces and declares the XML's prefixes), then decompression begins at
the last stream before the mark: at once in plain XML, a few megabytes early in a multistream dump,
and at the beginning in a file that is one single stream.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import NamedTuple

from headrace.corpus.dumps.bzip2 import StreamStart
from headrace.corpus.dumps.dump import DumpStream
from headrace.corpus.dumps.dump_pages import Page, PagesConfig, Rejected, TemplatePage, judge_page
from headrace.corpus.dumps.dump_parts import DumpPart
from headrace.corpus.dumps.page_parser import PageParser, RawPage, SiteHeader
from headrace.corpus.site import Site
from headrace.errors import ConfigError, CorruptInputError

logger = logging.getLogger(__name__)

_SEEN_RANGE = 4096


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


@dataclass(frozen=True, slots=True)
class Position:
    """A mark before a page of a dump; the default is the beginning.

    Attributes:
        part: number of the file, from 0.
        offset: byte of the file's decompressed text at which the page begins; 0: none is read.
        base: bytes of decompressed text in the files before.
        header_bytes: where the first page of the file begins.
        stream_file_offset: byte of the file at which decompression may begin...
        stream_offset: ...and the byte of the text which that gives.
    """

    part: int = 0
    offset: int = 0
    base: int = 0
    header_bytes: int = 0
    stream_file_offset: int = 0
    stream_offset: int = 0

    def to_list(self) -> list[int]:
        """Plain numbers for a record; `Position(*numbers)` reads them back."""
        return list(astuple(self))


class ReadPage(NamedTuple):
    """One page out of a dump.

    Attributes:
        item: the page, or the reason against it.
        utf8: its text in UTF-8.
    """

    item: Page | TemplatePage | Rejected
    utf8: bytes


class DumpReader:
    """Reads a dump, page by page, in dump order.

    Args:
        source: a dump file, `.xml`, `.xml.bz2`, `.xml.gz` or `.xml.zst`; the content decides, not
            the name. Or the parts of a dump, in order.
        config: what to keep.
        num_threads: threads that decompress; they bear on speed alone.

    Attributes:
        num_file_bytes: size of all files.
    """

    def __init__(
        self, source: Path | Sequence[DumpPart], config: PagesConfig, *, num_threads: int = 1
    ) -> None:
        parts = [DumpPart(source)] if isinstance(source, Path) else source
        self._paths = [part.path for part in parts]
        self._config = config
        self._num_threads = num_threads
        self._sizes = [path.stat().st_size for path in self._paths]
        self._header: SiteHeader | None = None
        self._reading = _PartReading(self._paths[0], 0, config, num_threads=num_threads)
        self.num_file_bytes = sum(self._sizes)

    @property
    def num_file_bytes_read(self) -> int:
        """Bytes of the (compressed) files read so far."""
        before = sum(self._sizes[: self._reading.part])
        return before + self._reading.stream.num_file_bytes_read

    @property
    def position(self) -> Position:
        """The mark before the page given last."""
        return self._reading.mark()

    @property
    def file_name(self) -> str:
        """Name of the file that is being read."""
        return self._reading.path.name

    @property
    def site(self) -> Site:
        """What the dump says of its wiki.

        Raises:
            ConfigError: neither the config nor the dump names the language.
            CorruptInputError: it is no dump.
        """
        if self._header is None:
            self._header = self._read_header()
        header = self._header
        lang = self._config.language or header.lang
        if not lang:
            raise ConfigError(
                f"{self._paths[0]}: the dump does not name its language (no xml:lang on "
                "<mediawiki>): set `language` of the pages stage, for example language=en"
            )
        return Site(
            lang=lang,
            dbname=header.dbname,
            sitename=header.sitename,
            base=header.base,
            namespaces={str(number): name for number, name in sorted(header.namespaces.items())},
        )

    def __iter__(self) -> Iterator[Page | TemplatePage | Rejected]:
        """Give every page of the dump, kept or rejected; see `read`."""
        return (page.item for page in self.read())

    def read(
        self, position: Position = Position(), known_ids: Iterable[int] = ()
    ) -> Iterator[ReadPage]:
        """Give every page from a position on, kept or rejected.

        Offsets count the decompressed text of all files, one after the other.

        Args:
            position: where to begin.
            known_ids: ids of the articles before it.

        Raises:
            CorruptInputError: see `DumpStream` and `PageParser`; or its files are of two wikis.
        """
        seen = SeenIds()
        for page_id in known_ids:
            seen.add(page_id)
        if position.part and self._header is None:
            self._header = self._read_header()
        for part in range(position.part, len(self._paths)):
            reading = _PartReading(
                self._paths[part], part, self._config, num_threads=self._num_threads
            )
            self._reading = reading
            for raw in reading.pages(position):
                self._check_wiki(reading)
                item = judge_page(raw, reading.header, max_page_bytes=self._config.max_page_bytes)
                if isinstance(item, Page) and not seen.add(item.id):
                    item = Rejected("duplicate_id", item.offset)
                yield ReadPage(item, raw.utf8)
            position = Position(part=part + 1, base=reading.end)

    def _read_header(self) -> SiteHeader:
        reading = _PartReading(self._paths[0], 0, self._config, num_threads=1)
        for _ in reading.pages(Position()):
            break
        return reading.header

    def _check_wiki(self, reading: _PartReading) -> None:
        if self._header is None:
            self._header = reading.header
        found, expected = reading.header.dbname, self._header.dbname
        if found != expected and found and expected:
            raise CorruptInputError(
                f"{reading.path}: a part of the dump of {expected} was expected, as "
                f"{self._paths[0].name} is; it is of {found}: leave the parts of one dump in the "
                "directory"
            )


class _PartReading:
    """One pass over one file.

    Attributes:
        path: the file.
        part: its number.
        stream: its bytes.
        header: what stands before its pages; complete once the first page is out.
        end: bytes of text up to the end of the file, those of files before it included; known
            once all pages are out.
    """

    def __init__(self, path: Path, part: int, config: PagesConfig, *, num_threads: int) -> None:
        self.path = path
        self.part = part
        self.stream = DumpStream(path, num_threads=num_threads)
        self.header = SiteHeader()
        self.end = 0
        self._max_page_bytes = config.max_page_bytes
        self._parser: PageParser | None = None
        self._base = 0
        self._last_offset = 0

    def pages(self, position: Position) -> Iterator[RawPage]:
        """Give the pages from `position` on, their offsets counted from the dump's beginning."""
        self._base = position.base
        num_bytes = 0
        for chunk in self._chunks(position):
            num_bytes += len(chunk)
            yield from self._placed(self._feed(chunk))
        if position.offset:
            num_bytes += position.offset - position.header_bytes
        self.end = position.base + num_bytes
        parser = self._parser
        if parser is None:
            return
        yield from self._placed(parser.close(may_lack_end=self.stream.is_checksummed))
        if parser.lacks_end:
            logger.warning(
                "%s: it ends after a whole page without </mediawiki>; it is taken as an excerpt "
                "of a dump, since its compressed stream is whole",
                self.path,
            )

    def mark(self) -> Position:
        """The position before the page given last."""
        header_bytes = self._parser.first_page_offset if self._parser is not None else 0
        stream = self.stream.stream_before(self._last_offset)
        return Position(
            part=self.part,
            offset=self._last_offset,
            base=self._base,
            header_bytes=header_bytes or 0,
            stream_file_offset=stream.file_offset,
            stream_offset=stream.offset,
        )

    def _placed(self, pages: list[RawPage]) -> Iterator[RawPage]:
        for raw in pages:
            self._last_offset = raw.offset
            raw.offset += self._base
            yield raw

    def _feed(self, chunk: bytes) -> list[RawPage]:
        if self._parser is None:
            self._parser = PageParser(
                self.path, encoding=self.stream.encoding, max_page_bytes=self._max_page_bytes
            )
            self.header = self._parser.header
        try:
            return self._parser.feed(chunk)
        except CorruptInputError:
            self.stream.check()
            raise

    def _chunks(self, position: Position) -> Iterator[bytes]:
        if not position.offset:
            yield from self.stream
            return
        num_missing = position.header_bytes
        for chunk in self.stream:
            yield chunk[:num_missing]
            num_missing -= len(chunk)
            if num_missing <= 0:
                break
        assert self._parser is not None
        self._parser.skip_to(position.offset)
        nearest = StreamStart(position.stream_file_offset, position.stream_offset)
        yield from self.stream.from_offset(position.offset, nearest)
