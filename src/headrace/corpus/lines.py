r"""Lines of a text file, read at the speed of decompression, in bounded memory.

A block is the whole lines of one chunk of output (2 MiB) with the beginning of its first line from
the chunk before; the one copy that this takes is all that lines cost beyond decompression. A line
ends with "\n"; the file's last one may end without. A line longer than `max_line_bytes` is skipped
while it is read: only its number, place, length and first bytes are given.

    for block in iter_line_blocks(path):    # 2 MiB at a time
    for line in iter_lines(path):           # one by one
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from headrace.corpus.decompression import CHUNK_BYTES, DecompressedFile
from headrace.errors import CorruptInputError, MissingInputError

MAX_LINE_BYTES = 1 << 30
HEAD_BYTES = 2048
_LINE_FEED = 10
_LONG_LINE_BYTES = 1000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class LineBlock:
    r"""Some whole lines that follow one another.

    Attributes:
        data: the lines with their ends; the file's last line may have none. Of a line that is too
            long, its first `HEAD_BYTES`.
        borders: int64, shape [lines + 1]: where each line begins in `data`, and its end.
        first_line: number of the first one in the file (or part of it), from 1.
        offset: byte at which it begins in the decompressed stream.
        num_bytes: bytes of the lines in the stream.
        is_too_long: this is one line of more than `max_line_bytes`.
    """

    data: bytes
    borders: npt.NDArray[np.int64]
    first_line: int
    offset: int
    num_bytes: int
    is_too_long: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    r"""One line.

    Attributes:
        number: in the file (or part of it), from 1; empty lines count.
        offset: byte at which it begins in the decompressed stream.
        data: its bytes without the line's end ("\n" or "\r\n"). Of a line that is too long, its
            first `HEAD_BYTES`.
        num_bytes: of the whole line without its end.
        is_too_long: it has more than `max_line_bytes`.
    """

    number: int
    offset: int
    data: bytes
    num_bytes: int
    is_too_long: bool = False


class _Cutter:
    """Cuts chunks into blocks of whole lines; keeps the beginning of a line for the next chunk."""

    def __init__(self, max_line_bytes: int, offset: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._next_line = 1
        self._offset = offset
        self._pending: list[bytes] = []
        self._num_pending = 0

    def feed(self, chunk: bytes) -> Iterator[LineBlock]:
        """Take a chunk of `max_line_bytes` at most: only a line begun before can be too long."""
        first_end = chunk.find(b"\n") + 1
        if not first_end:
            self._keep(chunk)
            return
        if self._num_pending + first_end - 1 > self._max_line_bytes:
            self._keep(chunk[:first_end])
            yield self._long_line()
            chunk = chunk[first_end:]
        last_end = chunk.rfind(b"\n") + 1
        if last_end:
            yield self._block(chunk[:last_end])
        if last_end < len(chunk):
            self._keep(chunk[last_end:])

    def close(self) -> Iterator[LineBlock]:
        """Give a last line without an end."""
        if self._num_pending > self._max_line_bytes:
            yield self._long_line()
        elif self._num_pending:
            yield self._block(b"")

    def _keep(self, data: bytes) -> None:
        # What is kept of a line that is too long is its beginning.
        if self._num_pending <= self._max_line_bytes:
            self._pending.append(data)
        self._num_pending += len(data)
        if self._num_pending > self._max_line_bytes:
            self._pending = [b"".join(self._pending)[:HEAD_BYTES]]

    def _block(self, data: bytes) -> LineBlock:
        if self._pending:
            data = b"".join([*self._pending, data])
        borders = _borders_of(data)
        block = LineBlock(data, borders, self._next_line, self._offset, len(data))
        self._advance(len(data), len(borders) - 1)
        return block

    def _long_line(self) -> LineBlock:
        head = b"".join(self._pending)[:HEAD_BYTES].rstrip(b"\r\n")
        borders = np.array([0, len(head)], np.int64)
        number, size = self._next_line, self._num_pending
        block = LineBlock(head, borders, number, self._offset, size, is_too_long=True)
        self._advance(size, 1)
        return block

    def _advance(self, num_bytes: int, num_lines: int) -> None:
        self._next_line += num_lines
        self._offset += num_bytes
        self._pending, self._num_pending = [], 0


def _borders_of(data: bytes) -> npt.NDArray[np.int64]:
    # While lines are long, memchr takes a fifth of NumPy's time.
    found: list[int] = []
    position = data.find(b"\n")
    while position >= 0 and len(found) * _LONG_LINE_BYTES <= len(data):
        found.append(position + 1)
        position = data.find(b"\n", position + 1)
    ends = np.array(found, np.int64)
    if position >= 0:
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _LINE_FEED) + 1
    last = [] if data.endswith(b"\n") else [len(data)]
    return np.concatenate([[0], ends, last]).astype(np.int64, copy=False)


def iter_line_blocks(
    path: Path, *, max_line_bytes: int = MAX_LINE_BYTES, start: int = 0, end: int | None = None
) -> Iterator[LineBlock]:
    """Give the lines of a file in blocks of some 2 MiB; a UTF-8 byte order mark is skipped.

    Args:
        path: plain, gzip or zstd; the first bytes decide, not the name.
        max_line_bytes: longest line that is read, without its end.
        start: for plain files: only the lines that begin at this byte or later.
        end: for plain files: only those that begin before this byte. So the parts of a file
            between any borders have each of its lines once.

    Raises:
        CorruptInputError: the file is truncated, damaged, UTF-16, or see `DecompressedFile`.
        MissingInputError: there is no such file.
    """
    if not path.is_file():
        raise MissingInputError(f"{path}: a file was expected; there is none: check the path")
    if start or end is not None:
        chunks, offset = _part(path, start, end)
    else:
        chunks, offset = _unmarked(path)
    cutter = _Cutter(max_line_bytes, offset)
    for chunk in chunks:
        for first in range(0, len(chunk), max_line_bytes):
            is_whole = len(chunk) <= max_line_bytes
            yield from cutter.feed(chunk if is_whole else chunk[first : first + max_line_bytes])
    yield from cutter.close()


def iter_lines(path: Path, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Give the lines of a file one by one; arguments and errors as for `iter_line_blocks`."""
    for block in iter_line_blocks(path, max_line_bytes=max_line_bytes):
        yield from split_block(block)


def split_block(block: LineBlock) -> Iterator[Line]:
    """Give the lines of a block one by one."""
    number, offset, data = block.first_line, block.offset, block.data
    if block.is_too_long:
        yield Line(number, offset, data, block.num_bytes, is_too_long=True)
        return
    borders = block.borders.tolist()
    for index, (begin, end) in enumerate(pairwise(borders)):
        line = data[begin:end].removesuffix(b"\n").removesuffix(b"\r")
        yield Line(number + index, offset + begin, line, len(line))


def _unmarked(path: Path) -> tuple[Iterator[bytes], int]:
    """The file's chunks without a byte order mark, and the mark's length."""
    chunks = iter(DecompressedFile(path))
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(_BYTE_ORDER_MARK):
            break
    if head.startswith(_UTF16_MARKS):
        raise CorruptInputError(
            f"{path}, byte 0: UTF-8 was expected; it begins with the byte order mark of UTF-16: "
            "convert it first (iconv -f UTF-16 -t UTF-8)"
        )
    rest = head.removeprefix(_BYTE_ORDER_MARK)
    return _chained(rest, chunks), len(head) - len(rest)


def _chained(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _part(path: Path, start: int, end: int | None) -> tuple[Iterator[bytes], int]:
    """Chunks with the lines of a plain file that begin in [start, end), and where they begin."""
    first = _line_border(path, start)
    last = path.stat().st_size if end is None else _line_border(path, end)
    return _limited(iter(DecompressedFile(path, start=first)), last - first), first


def _limited(chunks: Iterator[bytes], num_bytes: int) -> Iterator[bytes]:
    while num_bytes > 0 and (chunk := next(chunks, b"")):
        yield chunk[:num_bytes]
        num_bytes -= len(chunk)


def _line_border(path: Path, position: int) -> int:
    """Where the first line begins that begins at `position` or later; the file's end if none."""
    with path.open("rb") as file:
        if position <= 0:
            mark = file.read(len(_BYTE_ORDER_MARK))
            return len(mark) if mark == _BYTE_ORDER_MARK else 0
        file.seek(position - 1)
        while chunk := file.read(CHUNK_BYTES):
            found = chunk.find(b"\n")
            if found >= 0:
                return file.tell() - len(chunk) + found + 1
        return file.tell()


def count_lines(path: Path, end: int) -> int:
    """Lines of a plain file that begin before the first border at byte `end` or later."""
    num_lines, left = 0, _line_border(path, end)
    with path.open("rb") as file:
        while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
            num_lines += chunk.count(b"\n")
            left -= len(chunk)
    return num_lines


def text_files(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of a directory tree that have one of the suffixes, sorted; or the file itself.

    Args:
        path: a file (taken whatever its name) or a directory.
        suffixes: such as (".jsonl", ".jsonl.gz"); upper and lower case are the same. What begins
            with a dot (file or folder) is left out.

    Raises:
        MissingInputError: there is nothing there, or the directory has no such file.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MissingInputError(
            f"{path}: a file or directory was expected; there is none: check the path"
        )
    endings = tuple(suffix.lower() for suffix in suffixes)
    found = [
        item
        for item in sorted(path.rglob("*"))
        if item.name.lower().endswith(endings)
        and not any(part.startswith(".") for part in item.relative_to(path).parts)
        and item.is_file()
    ]
    if not found:
        raise MissingInputError(
            f"{path}: files named *{', *'.join(suffixes)} were expected; the directory has none"
        )
    return found
