"""The bytes of a dump: opened by magic, decompressed, and brought to an encoding expat reads.

A file is what its first bytes say, whatever its name: plain XML, bzip2 (any number of streams, as
multistream dumps have them), gzip (any number of members) or zstd. UTF-16 is re-encoded as UTF-8,
so every offset after this module counts UTF-8 bytes (or the bytes of the file's own 8-bit
encoding).

Cost: bzip2 decodes at about 50 MB/s a thread and decides the speed of reading; memory stays at a
few chunks, since decompression is asked for at most `CHUNK_BYTES` at a time (a bomb cannot fill
it).
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from headrace.corpus.decompression import DecompressedFile, kind_of
from headrace.corpus.dumps.bzip2 import BEGINNING, Bzip2Stream, StreamStart
from headrace.corpus.dumps.serial_bzip2 import BZIP2_MAGIC, corrupt_file

MAGIC_BYTES = 6

# Containers people do hold dumps in, and that must not be reported as "not XML".
_FOREIGN_MAGICS = {
    b"\xfd7zXZ\x00": "an xz file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"PK\x03\x04": "a zip archive",
}
_UTF32_MARKS = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")
_UTF16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
# XML without a mark begins with "<" all the same (XML 1.0, appendix F).
_UTF16_STARTS = {b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}


class _Source(Protocol):
    """Gives a file's content in chunks, and tells how far it is."""

    num_file_bytes_read: int

    def __iter__(self) -> Iterator[bytes]: ...


class DumpStream:
    """The decompressed, expat-readable bytes of one dump file; iterate once.

    Args:
        path: the file.
        num_threads: threads that decompress; they bear on speed alone.

    Attributes:
        path: the file.
        num_file_bytes: its size as it lies on disk.
        encoding: what expat must be told, or None where it finds out by itself; set before the
            first chunk is given.
        is_checksummed: the container vouches for its completeness (bzip2, gzip, zstd); plain
            XML does not.
    """

    def __init__(self, path: Path, *, num_threads: int = 1) -> None:
        self.path = path
        self.num_file_bytes = path.stat().st_size
        self.encoding: str | None = None
        self.is_checksummed = False
        self._num_threads = num_threads
        self._source: _Source | None = None
        self._is_recoded = False

    @property
    def num_file_bytes_read(self) -> int:
        """How much of the file has been read so far (for progress)."""
        return self._source.num_file_bytes_read if self._source is not None else 0

    def __iter__(self) -> Iterator[bytes]:
        """Give non-empty chunks of at most about `CHUNK_BYTES`.

        Raises:
            CorruptInputError: the file is empty, truncated, damaged, followed by foreign bytes,
                in a container or an encoding that is not read.
        """
        self._source = self._open(BEGINNING)
        chunks = iter(self._source)
        head = b""
        for chunk in chunks:
            head += chunk
            if len(head) >= MAGIC_BYTES:
                break
        if not head:
            raise corrupt_file(
                self.path, 0, "a MediaWiki XML dump was expected; it decompresses to 0 bytes"
            )
        yield from self._recoded(head, chunks)

    def from_offset(self, offset: int, nearest: StreamStart) -> Iterator[bytes]:
        """Give what follows byte `offset`, to a caller who has read the beginning already.

        Args:
            offset: as `__iter__` counts.
            nearest: what `stream_before(offset)` said when the file was read before.

        Raises:
            CorruptInputError: as `__iter__`.
        """
        if self._is_recoded:
            chunks, position = iter(self), 0
        else:
            self._source = self._open(nearest, offset)
            chunks = iter(self._source)
            position = nearest.offset if self.is_checksummed else offset
        for chunk in chunks:
            end = position + len(chunk)
            if end > offset:
                yield chunk[max(offset - position, 0) :]
            position = end

    def stream_before(self, offset: int) -> StreamStart:
        """Where to begin decompressing to come to `offset` soonest; the beginning if unknown."""
        if isinstance(self._source, Bzip2Stream) and not self._is_recoded:
            return self._source.stream_before(offset)
        return BEGINNING

    def check(self) -> None:
        """Look for damage where the text makes no sense.

        Raises:
            CorruptInputError: what was read so far is not what the file holds.
        """
        if isinstance(self._source, Bzip2Stream):
            self._source.check()

    def _open(self, start: StreamStart, offset: int = 0) -> _Source:
        with self.path.open("rb") as file:
            head = file.read(MAGIC_BYTES)
        if not head:
            raise corrupt_file(self.path, 0, "a MediaWiki XML dump was expected; the file is empty")
        for magic, what in _FOREIGN_MAGICS.items():
            if head.startswith(magic):
                raise corrupt_file(
                    self.path,
                    0,
                    f"plain XML, bzip2, gzip or zstd was expected; it is {what}: unpack it first",
                )
        is_bzip2 = head.startswith(BZIP2_MAGIC)
        self.is_checksummed = is_bzip2 or kind_of(head) != "plain"
        if is_bzip2:
            return Bzip2Stream(self.path, num_threads=self._num_threads, start=start)
        first = 0 if self.is_checksummed else offset
        return DecompressedFile(self.path, first, checks_name=False)

    def _recoded(self, head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        if head.startswith(_UTF32_MARKS):
            raise corrupt_file(
                self.path, 0, "UTF-8 or UTF-16 was expected; it is UTF-32: convert it first"
            )
        codec = _UTF16_MARKS.get(head[:2])
        if codec is not None:
            head = head[2:]
        elif not head.startswith((b"<\x00\x00", b"\x00\x00")):
            codec = _UTF16_STARTS.get(head[:2])
        if codec is None:
            yield head
            yield from rest
            return
        # The declaration still says UTF-16; expat must be told what it is given now.
        self.encoding = "utf-8"
        self._is_recoded = True
        decoder = codecs.getincrementaldecoder(codec)()
        num_decoded = 0
        for chunk in _with_end(head, rest):
            try:
                text = decoder.decode(chunk or b"", final=chunk is None)
            except UnicodeDecodeError as error:
                raise corrupt_file(
                    self.path,
                    num_decoded + error.start,
                    f"{codec.upper()} text was expected; {error.reason}",
                ) from None
            num_decoded += len(chunk or b"")
            if text:
                yield text.encode("utf-8")


def _with_end(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes | None]:
    """The chunks, then None once, which asks a decoder for what it still holds."""
    yield head
    yield from rest
    yield None
