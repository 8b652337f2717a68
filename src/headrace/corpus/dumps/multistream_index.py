"""The index of a multistream dump, held against the dump.

A multistream dump is a row of bzip2 streams: a header, then a hundred pages a stream, then a
footer. Its index has a line `offset:page id:title` for each page, where `offset` is the byte at
which the page's stream begins. Headrace finds the streams without it; but an index that does not
fit means that the two are of different dumps, or that one of them is incomplete, and this is told
before hours of reading.

Cost: one pass over the index (about 1 million lines a second), ten bytes of the dump for each
stream, and three streams decoded.
"""

from __future__ import annotations

import bz2
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NoReturn

from headrace.corpus.dumps.dump import DumpStream
from headrace.errors import CorruptInputError

MAX_LINE_BYTES = 1 << 16
MAX_STREAM_BYTES = 32 << 20
_STREAM = re.compile(rb"BZh[1-9]\x31\x41\x59\x26\x53\x59")
_LINE = re.compile(rb"(\d{1,18}):(\d{1,18}):.+")
_PAGE_ID = re.compile(rb"<page>.*?<id>(\d+)</id>", re.DOTALL)


class MultistreamIndex:
    """The streams that an index names.

    Args:
        path: the index, `.txt` or compressed.

    Raises:
        CorruptInputError: it is damaged, or no index.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets = array("q")
        self._first_lines = array("q")
        self.num_pages = 0
        for offset, _ in self._lines():
            if not self._offsets or offset != self._offsets[-1]:
                if self._offsets and offset < self._offsets[-1]:
                    self._refuse(f"its offsets go back at line {self.num_pages + 1}")
                self._offsets.append(offset)
                self._first_lines.append(self.num_pages)
            self.num_pages += 1
        if not self.num_pages:
            self._refuse("it names no page")

    @property
    def num_streams(self) -> int:
        """Streams that hold pages."""
        return len(self._offsets)

    def check(self, dump: Path) -> None:
        """Hold all offsets against a dump, and the page ids of its first, middle and last stream.

        Raises:
            CorruptInputError: the index is not of this dump.
        """
        size = dump.stat().st_size
        with dump.open("rb") as file:
            for offset in self._offsets:
                file.seek(min(offset, size))
                if not _STREAM.match(file.read(10)):
                    self._mismatch(dump, f"no bzip2 stream begins at byte {offset} of it")
            numbers = sorted({0, self.num_streams // 2, self.num_streams - 1})
            wanted = self._ids_of(numbers)
            for number in numbers:
                found = _page_ids(file, self._offsets[number])
                if found is not None and found != wanted[number]:
                    self._mismatch(
                        dump,
                        f"its stream at byte {self._offsets[number]} holds the pages "
                        f"{_some(found)}, not {_some(wanted[number])}",
                    )

    def _ids_of(self, numbers: list[int]) -> dict[int, list[int]]:
        wanted = {self._offsets[number]: number for number in numbers}
        found: dict[int, list[int]] = {number: [] for number in numbers}
        for offset, page_id in self._lines():
            if offset in wanted:
                found[wanted[offset]].append(page_id)
        return found

    def _lines(self) -> Iterator[tuple[int, int]]:
        rest, number = b"", 0
        for chunk in DumpStream(self._path):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            if len(rest) > MAX_LINE_BYTES:
                self._refuse(
                    f"line {number + len(lines) + 1} is longer than {MAX_LINE_BYTES} bytes"
                )
            for line in lines:
                number += 1
                yield self._parse(line, number)
        if rest:
            yield self._parse(rest, number + 1)

    def _parse(self, line: bytes, number: int) -> tuple[int, int]:
        match = _LINE.match(line)
        if match is None:
            self._refuse(f"line {number} is {line[:60]!r}")
        return int(match[1]), int(match[2])

    def _refuse(self, found: str) -> NoReturn:
        raise CorruptInputError(
            f"{self._path}: the index of a multistream dump (lines of offset:page id:title) was "
            f"expected; {found}: download it again, or take it out of the directory"
        )

    def _mismatch(self, dump: Path, found: str) -> NoReturn:
        raise CorruptInputError(
            f"{self._path}: the index of {dump} was expected; {found}: they are of different "
            "dumps, or one is incomplete; download both again, or take the index out of the "
            "directory"
        )


def _page_ids(file: IO[bytes], offset: int) -> list[int] | None:
    """Ids of the pages in the stream at `offset`; None if it is too large to look at."""
    file.seek(offset)
    decoder, text = bz2.BZ2Decompressor(), bytearray()
    while not decoder.eof and len(text) <= MAX_STREAM_BYTES:
        data = file.read(1 << 16) if decoder.needs_input else b""
        if decoder.needs_input and not data:
            break  # cut off: whoever reads the dump will say so
        try:
            text += decoder.decompress(data, 1 << 20)
        except OSError:
            return None  # damaged: likewise
    if not decoder.eof:
        return None
    return [int(match) for match in _PAGE_ID.findall(bytes(text))]


def _some(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:3])) + (", ..." if len(ids) > 3 else "") if ids else "none"
