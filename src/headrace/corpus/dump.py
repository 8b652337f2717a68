"""The bytes of a dump: opened by magic, decompressed, and brought to an encoding expat reads.

A file is what its first bytes say, whatever its name: plain XML, bzip2 (any number of streams, as
multistream dumps have them) or gzip (any number of members). UTF-16 is re-encoded as UTF-8, so
every offset after this module counts UTF-8 bytes (or the bytes of the file's own 8-bit encoding).

Cost: bzip2 decodes at about 20 MB/s a core and decides the speed of reading; memory stays at a few
chunks, since decompression is asked for at most `CHUNK_BYTES` at a time (a bomb cannot fill it).
"""

from __future__ import annotations

import bz2
import codecs
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from headrace.errors import CorruptInputError

READ_BYTES = 1 << 18
CHUNK_BYTES = 1 << 20
MAGIC_BYTES = 6

# Containers people do hold dumps in, and that must not be reported as "not XML".
_FOREIGN_MAGICS = {
    b"\xfd7zXZ\x00": "an xz file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"PK\x03\x04": "a zip archive",
}
_UTF32_MARKS = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")
_UTF16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
# XML without a mark begins with "<" all the same (XML 1.0, appendix F).
_UTF16_STARTS = {b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}


class _Member(Protocol):
    """One compressed stream: what `bz2.BZ2Decompressor` offers."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _GzipMember:
    """Gives zlib's object the interface of bz2's; zlib checks the member's CRC and length."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(wbits=31)
        self._has_more = False

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def needs_input(self) -> bool:
        return not self._has_more

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        given = self._inflater.decompress(self._inflater.unconsumed_tail + data, max(max_length, 0))
        # A full answer may leave output inside zlib even when all input is consumed.
        self._has_more = bool(self._inflater.unconsumed_tail) or len(given) == max_length
        return given


class DumpStream:
    """The decompressed, expat-readable bytes of one dump file; iterate once.

    Attributes:
        path: the file.
        num_file_bytes: its size as it lies on disk.
        num_file_bytes_read: how much of that has been read so far (for progress).
        encoding: what expat must be told, or None where it finds out by itself; set before the
            first chunk is given.
        is_checksummed: the container vouches for its completeness (bzip2, gzip); plain XML does
            not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.num_file_bytes = path.stat().st_size
        self.num_file_bytes_read = 0
        self.encoding: str | None = None
        self.is_checksummed = False

    def __iter__(self) -> Iterator[bytes]:
        """Give non-empty chunks of at most about `CHUNK_BYTES`.

        Raises:
            CorruptInputError: the file is empty, truncated, damaged, followed by foreign bytes,
                in a container or an encoding that is not read.
        """
        chunks = self._decompressed()
        head = b""
        for chunk in chunks:
            head += chunk
            if len(head) >= MAGIC_BYTES:
                break
        if not head:
            raise self._corrupt(0, "a MediaWiki XML dump was expected; it decompresses to 0 bytes")
        yield from self._recoded(head, chunks)

    def _decompressed(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            head = self._read(file)
            if not head:
                raise self._corrupt(0, "a MediaWiki XML dump was expected; the file is empty")
            for magic, what in _FOREIGN_MAGICS.items():
                if head.startswith(magic):
                    raise self._corrupt(
                        0,
                        f"plain XML, bzip2 or gzip was expected; it is {what}: unpack it first",
                    )
            if head.startswith(b"BZh"):
                yield from self._inflate(file, head, "bzip2", b"BZh", bz2.BZ2Decompressor)
            elif head.startswith(b"\x1f\x8b"):
                yield from self._inflate(file, head, "gzip", b"\x1f\x8b", _GzipMember)
            else:
                while head:
                    yield head
                    head = self._read(file)

    def _inflate(
        self, file: IO[bytes], data: bytes, kind: str, magic: bytes, start: Callable[[], _Member]
    ) -> Iterator[bytes]:
        self.is_checksummed = True
        while data:
            first = self.num_file_bytes_read - len(data)
            while len(data) < len(magic) and (more := self._read(file)):
                data += more
            if not data.startswith(magic):
                self._check_padding(file, data, first, kind)
                return
            member = start()
            yield from self._inflate_member(file, data, kind, member, first)
            data = member.unused_data or self._read(file)

    def _inflate_member(
        self, file: IO[bytes], data: bytes, kind: str, member: _Member, first: int
    ) -> Iterator[bytes]:
        while True:
            try:
                chunk = member.decompress(data, CHUNK_BYTES)
            except (OSError, ValueError, EOFError, zlib.error) as error:
                raise self._corrupt(
                    self.num_file_bytes_read,
                    f"sound {kind} data was expected; the stream that begins at byte {first} is "
                    f"damaged before here ({error})",
                ) from None
            if chunk:
                yield chunk
            if member.eof:
                return
            data = b""
            if member.needs_input:
                data = self._read(file)
                if not data:
                    raise self._corrupt(
                        self.num_file_bytes_read,
                        f"the end of a {kind} stream was expected; the file stops inside the one "
                        f"that begins at byte {first}: it is truncated",
                    )

    def _check_padding(self, file: IO[bytes], data: bytes, first: int, kind: str) -> None:
        """Zero bytes after gzip are tape padding, which gzip ignores too; all else is foreign."""
        if kind == "gzip":
            while data and not data.strip(b"\x00"):
                data = self._read(file)
            if not data:
                return
        raise self._corrupt(
            first,
            f"the end of the file or another {kind} stream was expected; foreign bytes follow "
            f"({data[:8].hex(' ')})",
        )

    def _recoded(self, head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        if head.startswith(_UTF32_MARKS):
            raise self._corrupt(0, "UTF-8 or UTF-16 was expected; it is UTF-32: convert it first")
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
        decoder = codecs.getincrementaldecoder(codec)()
        num_decoded = 0
        for chunk in _with_end(head, rest):
            try:
                text = decoder.decode(chunk or b"", final=chunk is None)
            except UnicodeDecodeError as error:
                raise self._corrupt(
                    num_decoded + error.start,
                    f"{codec.upper()} text was expected; {error.reason}",
                ) from None
            num_decoded += len(chunk or b"")
            if text:
                yield text.encode("utf-8")

    def _read(self, file: IO[bytes]) -> bytes:
        data = file.read(READ_BYTES)
        self.num_file_bytes_read += len(data)
        return data

    def _corrupt(self, offset: int, problem: str) -> CorruptInputError:
        return CorruptInputError(
            f"{self.path}, byte {offset}: {problem}; download or export the dump again"
        )


def _with_end(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes | None]:
    """The chunks, then None once, which asks a decoder for what it still holds."""
    yield head
    yield from rest
    yield None
