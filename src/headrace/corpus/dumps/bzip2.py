"""bzip2 decoded fast and in parallel, and trusted only as far as it can be checked.

`indexed_bzip2` decodes the blocks of any bzip2 file, of one stream or of many, in several threads:
about 50 MB/s a thread against 35 of Python's `bz2` on the same core. It verifies the checksum of
each block; with several threads it finds blocks by their magic numbers, though, and then passes
over what lacks one: a damaged header, a missing footer, a tail that is cut off. So this module
follows the borders of blocks and streams that it reports and holds them against the file: each
stream begins where the last one ended, its blocks' checksums combine to the one in its footer, and
the last stream ends with the file. Wherever anything is amiss, Python's own decoder reads again
from the last stream that was proved whole; it has the last word, and words the error.

A run of one character fills a block of 46 MB from 40 bytes, and several blocks are decoded ahead.
So the compressed bytes are scanned before they are decoded, and such places are read by the serial
decoder, which needs no more memory for them than for anything else.
"""

from __future__ import annotations

import io
import logging
import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from headrace.corpus.dumps.serial_bzip2 import BZIP2_MAGIC, CHUNK_BYTES, SerialBzip2, corrupt_file

logger = logging.getLogger(__name__)

# Parsing and writing take as long as decoding with three threads; more would only hold memory.
MAX_THREADS = 4
MIN_PARALLEL_BYTES = 1 << 20
MAX_BLOCK_BYTES = 8 << 20
MAX_REREAD_BYTES = 256 << 20
_FOLLOW_BYTES = 4 << 20

_BLOCK_MAGIC = 0x314159265359
_FOOTER_MAGIC = 0x177245385090
_HEADER_BYTES = 4
_EMPTY_BYTES = 14
_EMPTY_STREAM = re.compile(rb"BZh[1-9]\x17\x72\x45\x38\x50\x90\x00\x00\x00\x00")
_MARK_BITS = 80  # a magic number of 48 bits and a checksum of 32
# Whatever C++ throws, as Cython translates it; the serial decoder finds out what is the matter.
_DECODER_ERRORS = (ArithmeticError, IndexError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class StreamStart:
    """Where a compressed stream begins: byte of the file, and byte of the decompressed text."""

    file_offset: int = 0
    offset: int = 0


BEGINNING = StreamStart()


class _DoubtError(Exception):
    """The fast decoder may be wrong (`is_proven`: what it gave is not what the file holds)."""

    def __init__(self, reason: str, *, is_proven: bool) -> None:
        super().__init__(reason)
        self.is_proven = is_proven


class Bzip2Stream:
    """The decompressed bytes of a bzip2 file; iterate once.

    Args:
        path: the file.
        num_threads: threads that decode; they bear on speed alone.
        start: stream to begin with.

    Attributes:
        num_file_bytes_read: position in the file up to which it has been read, about.
    """

    def __init__(self, path: Path, *, num_threads: int = 1, start: StreamStart = BEGINNING) -> None:
        self._path = path
        self._start = start
        self._num_given = start.offset
        self._num_threads = min(num_threads, MAX_THREADS)
        if path.stat().st_size - start.file_offset < MIN_PARALLEL_BYTES:
            self._num_threads = 1
        self._streams = _StreamMap(path, start)
        self._decoder: Any = None
        self.num_file_bytes_read = start.file_offset

    def __iter__(self) -> Iterator[bytes]:
        """Give non-empty chunks of at most `CHUNK_BYTES`.

        Raises:
            CorruptInputError: the file is truncated, damaged, or followed by foreign bytes.
        """
        try:
            for chunk in self._decoded():
                self._num_given += len(chunk)
                yield chunk
            return
        except _DoubtError as error:
            logger.debug("%s: read again by the serial decoder: %s", self._path, error)
            doubt = error
        yield from self._read_again(is_proven=doubt.is_proven)

    def stream_before(self, offset: int) -> StreamStart:
        """The last stream known to begin at or before byte `offset` of the decompressed text."""
        return self._streams.last_before(offset)

    def check(self) -> None:
        """Look at all that was given so far once more, where its text makes no sense.

        Raises:
            CorruptInputError: the file is damaged there.
        """
        if self._decoder is None or self._num_threads == 1:
            return
        try:
            self._streams.follow(self._decoder.available_block_offsets())
        except _DoubtError:
            for _ in self._read_again(is_proven=True):
                pass
        start = self._streams.last_before(self._num_given)
        if self.num_file_bytes_read - start.file_offset > MAX_REREAD_BYTES:
            return
        offset = start.offset
        for chunk in SerialBzip2(self._path, start=start.file_offset):
            offset += len(chunk)
            if offset > self._num_given:
                return

    def _decoded(self) -> Iterator[bytes]:
        runs = _RunScan(self._path, self._start.file_offset)
        lookahead = (4 * self._num_threads + 4) << 20
        position, next_follow = 0, _FOLLOW_BYTES
        with closing(_open(self._path, self._start, self._num_threads)) as decoder, closing(runs):
            self._decoder = decoder
            try:
                while True:
                    if self._num_threads > 1 and not runs.is_clear_to(
                        self.num_file_bytes_read + lookahead
                    ):
                        raise _DoubtError("long runs of one character", is_proven=False)
                    chunk = _read(decoder)
                    # At the end, several threads tell 0.
                    position = max(position, decoder.tell_compressed() // 8)
                    self.num_file_bytes_read = self._start.file_offset + position
                    if not chunk or position >= next_follow:
                        self._follow(decoder)
                        # Ever rarer: the list of blocks is copied each time.
                        next_follow = position + max(_FOLLOW_BYTES, position >> 6)
                    if not chunk:
                        self._streams.check_end()
                        self.num_file_bytes_read = self._path.stat().st_size
                        return
                    yield chunk
            finally:
                self._decoder = None

    def _follow(self, decoder: Any) -> None:
        self._streams.follow(decoder.available_block_offsets())
        if self._num_threads > 1 and self._streams.largest_block > MAX_BLOCK_BYTES:
            raise _DoubtError("blocks that expand far", is_proven=False)

    def _read_again(self, *, is_proven: bool) -> Iterator[bytes]:
        """What was not given yet, by the serial decoder; nothing if it was wrong, but the error."""
        start = self._streams.last_before(self._num_given)
        serial = SerialBzip2(self._path, start=start.file_offset)
        offset = start.offset
        for chunk in serial:
            self.num_file_bytes_read = max(self.num_file_bytes_read, serial.num_file_bytes_read)
            end = offset + len(chunk)
            if end > self._num_given and not is_proven:
                fresh = chunk[max(self._num_given - offset, 0) :]
                self._num_given = end
                yield fresh
            offset = end
        if is_proven or offset < self._num_given:
            raise corrupt_file(
                self._path,
                start.file_offset,
                "bzip2 data that all decoders agree on was expected; from here on, two of them "
                "read different text",
            )


def _open(path: Path, start: StreamStart, num_threads: int) -> Any:
    import indexed_bzip2

    source = _Tail(path, start.file_offset) if start.file_offset else str(path)
    try:
        return indexed_bzip2.open(source, parallelization=num_threads)
    except _DECODER_ERRORS as error:
        raise _DoubtError(str(error), is_proven=False) from None


def _read(decoder: Any) -> bytes:
    try:
        data: bytes = decoder.read(CHUNK_BYTES)
        return data
    except _DECODER_ERRORS as error:
        raise _DoubtError(str(error), is_proven=False) from None


class _Tail(io.RawIOBase):
    """A file from some byte on, as a file."""

    def __init__(self, path: Path, first: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._first = first
        self._file.seek(first)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            offset += self._first
        return self._file.seek(offset, whence) - self._first

    def tell(self) -> int:
        return self._file.tell() - self._first

    def readinto(self, buffer: Any) -> int | None:
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _StreamMap:
    """Holds the borders of blocks and streams that a decoder reports against the file itself.

    Attributes:
        largest_block: bytes that the largest block expands to.
    """

    def __init__(self, path: Path, start: StreamStart) -> None:
        self._path = path
        self._num_file_bytes = path.stat().st_size
        self._first = start.file_offset
        self._file_offsets = array("q", [start.file_offset])
        self._offsets = array("q", [start.offset])
        self._start_offset = start.offset
        self._num_followed = 0
        self._is_inside = False
        self._checksum = 0
        self._last_offset = start.offset
        self.largest_block = 0

    def last_before(self, offset: int) -> StreamStart:
        """The last stream that is known to begin at or before `offset` of the text."""
        number = max(bisect_right(self._offsets, offset) - 1, 0)
        return StreamStart(self._file_offsets[number], self._offsets[number])

    def follow(self, blocks: Mapping[int, int]) -> None:
        """Take what is new of `blocks`: bit in the file -> byte of the text, both from the start.

        Raises:
            _DoubtError: it does not fit the file.
        """
        with self._path.open("rb") as file:
            for bit, offset in islice(blocks.items(), self._num_followed, None):
                self._num_followed += 1
                place = bit + 8 * self._first
                if place < 8 * self._num_file_bytes:
                    self._take(file, place, offset + self._start_offset)

    def check_end(self) -> None:
        """Tell that there are no more blocks.

        Raises:
            _DoubtError: the file does not end with the last stream.
        """
        with self._path.open("rb") as file:
            self._pass_empty_streams(file, 8 * self._num_file_bytes)
        end = self._file_offsets[-1]
        if self._is_inside or end != self._num_file_bytes:
            raise _DoubtError(f"its last stream ends at byte {end}", is_proven=True)

    def _take(self, file: io.BufferedReader, place: int, offset: int) -> None:
        self.largest_block = max(self.largest_block, offset - self._last_offset)
        self._last_offset = offset
        if not self._is_inside:
            if place == 8 * self._file_offsets[-1]:
                return  # several threads report where the last one ended, too
            self._enter_stream(file, place)
        file.seek(place // 8)
        data = file.read(_MARK_BITS // 8 + 1).ljust(_MARK_BITS // 8 + 1, b"\x00")
        mark = int.from_bytes(data, "big") >> (8 - place % 8) & ((1 << _MARK_BITS) - 1)
        magic, checksum = mark >> 32, mark & 0xFFFFFFFF
        if magic == _BLOCK_MAGIC:
            rotated = self._checksum << 1 | self._checksum >> 31
            self._checksum = (rotated & 0xFFFFFFFF) ^ checksum
        elif magic == _FOOTER_MAGIC and checksum == self._checksum:
            self._is_inside = False
            self._file_offsets.append((place + _MARK_BITS + 7) // 8)
            self._offsets.append(offset)
        else:
            raise _DoubtError(f"no block or footer fits bit {place}", is_proven=True)

    def _pass_empty_streams(self, file: io.BufferedReader, place: int) -> None:
        """Several threads do not report streams without blocks."""
        file.seek(self._file_offsets[-1])
        while place >= 8 * (self._file_offsets[-1] + _EMPTY_BYTES):
            if not _EMPTY_STREAM.fullmatch(file.read(_EMPTY_BYTES)):
                return
            self._file_offsets[-1] += _EMPTY_BYTES

    def _enter_stream(self, file: io.BufferedReader, place: int) -> None:
        self._pass_empty_streams(file, place)
        begin = self._file_offsets[-1]
        file.seek(begin)
        header = file.read(_HEADER_BYTES)
        is_header = header[:3] == BZIP2_MAGIC and header[3:] in b"123456789"
        if not is_header or place != 8 * (begin + _HEADER_BYTES):
            raise _DoubtError(f"no stream begins at byte {begin}", is_proven=True)
        self._is_inside = True
        self._checksum = 0


def _shifted_magics() -> dict[bytes, int]:
    """The five whole bytes inside a block's magic number, for each of its places in a byte."""
    found = {}
    for shift in range(8):
        bits = _BLOCK_MAGIC << (8 - shift)
        found[bits.to_bytes(7, "big")[1:6]] = shift
    return found


class _RunScan:
    """Scans compressed bytes ahead of the decoder for blocks so small that they must be bombs.

    The last block of a stream may be small; hence a block that is followed by a new stream is none.
    """

    MIN_BLOCK_BYTES = 4096
    _STEP_BYTES = 4 << 20
    _MAGICS = _shifted_magics()
    _PATTERN = re.compile(b"|".join(re.escape(magic) for magic in _MAGICS))

    def __init__(self, path: Path, start: int) -> None:
        self._file = path.open("rb")
        self._file.seek(start)
        self._scanned = start
        self._rest = b""
        self._last = -self.MIN_BLOCK_BYTES
        self._is_clear = True
        self._is_at_end = False

    def is_clear_to(self, position: int) -> bool:
        """Whether no bomb lies before `position` of the file (or some way behind it)."""
        while self._is_clear and not self._is_at_end and self._scanned < position:
            data = self._file.read(self._STEP_BYTES)
            self._is_at_end = not data
            self._scan(self._rest + data, self._scanned - len(self._rest))
            self._scanned += len(data)
        return self._is_clear

    def _scan(self, data: bytes, first: int) -> None:
        # A match needs four bytes before it and four behind; the last ones are looked at again.
        for match in self._PATTERN.finditer(data):
            place = first + match.start()
            if place <= self._last:
                continue
            header = data[max(match.start() - 5, 0) : match.start()]
            begins_stream = BZIP2_MAGIC in header
            if place - self._last < self.MIN_BLOCK_BYTES and not begins_stream:
                self._is_clear = False
            self._last = place
        self._rest = data[-16:]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
