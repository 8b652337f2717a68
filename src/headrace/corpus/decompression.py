"""A file's bytes, decompressed: plain, gzip (any number of members), zstd (any number of frames).

A file is what its first bytes say, whatever its name. gzip goes through ISA-L (igzip), which takes
a third of zlib's time (about 1.1 GB/s of text a core) and checks each member's CRC and length; zstd
decodes at about 1.5 GB/s. Memory stays at a few chunks, whatever the ratio of compression: output
is asked for in chunks of `CHUNK_BYTES` (zstd: input is fed in crumbs, of which none can grow
beyond 8 MiB).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Protocol

from headrace.errors import CorruptInputError

READ_BYTES = 1 << 18
CHUNK_BYTES = 1 << 21
# A block of zstd has at least 4 bytes and at most 128 KiB of output.
_ZSTD_READ_BYTES = 1 << 8
_HEAD_BYTES = 8

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_ZSTD = (0x184D2A50, 0x184D2A5F)
_FOREIGN_MAGICS = {
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "a Parquet file",
}
_COMPRESSED_SUFFIXES = (".gz", ".zst", ".zstd")


class _Member(Protocol):
    """One compressed stream: what `bz2.BZ2Decompressor` offers."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _ZstdFrame:
    """Gives zstandard's object the interface of bz2's."""

    def __init__(self) -> None:
        import zstandard

        self._decoder = zstandard.ZstdDecompressor().decompressobj()
        self._input = b""

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._input

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data + self._input

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Decode until there is a chunk's worth; `max_length` is only aimed at."""
        view = memoryview(self._input + data)
        pieces, size, used = [], 0, 0
        while used < len(view) and not self._decoder.eof and not 0 < max_length <= size:
            piece = self._decoder.decompress(view[used : used + _ZSTD_READ_BYTES])
            used += _ZSTD_READ_BYTES
            pieces.append(piece)
            size += len(piece)
        self._input = bytes(view[used:])
        return b"".join(pieces)


def _decoder_of(kind: str) -> tuple[Callable[[], _Member], type[Exception]]:
    """What starts a member of this kind, and what it raises on damage."""
    if kind == "zstd":
        import zstandard

        return _ZstdFrame, zstandard.ZstdError
    from isal import igzip_lib

    damage: type[Exception] = igzip_lib.error  # type: ignore[assignment]  # the stub has an object
    return partial(igzip_lib.IgzipDecompressor, flag=igzip_lib.DECOMP_GZIP), damage


def kind_of(head: bytes) -> str:
    """What a file with these first bytes is: "gzip", "zstd" or "plain"."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    number = int.from_bytes(head[:4], "little")
    if head.startswith(ZSTD_MAGIC) or _SKIPPABLE_ZSTD[0] <= number <= _SKIPPABLE_ZSTD[1]:
        return "zstd"
    return "plain"


class DecompressedFile:
    """The decompressed bytes of one file; iterate once.

    Args:
        path: the file.
        start: for a plain file, byte at which to begin; a compressed one is read from 0 only.
        checks_name: refuse bytes that are no text below a name that promises a compressed file.

    Attributes:
        path: the file.
        kind: "gzip", "zstd" or "plain"; known once iteration began.
        num_file_bytes: its size as it lies on disk.
        num_file_bytes_read: how much of that has been read so far (for progress).
    """

    def __init__(self, path: Path, start: int = 0, *, checks_name: bool = True) -> None:
        self.path = path
        self._checks_name = checks_name
        self.kind = "plain"
        self.num_file_bytes = path.stat().st_size
        self.num_file_bytes_read = start

    def __iter__(self) -> Iterator[bytes]:
        """Give non-empty chunks of about `CHUNK_BYTES` at most.

        Raises:
            CorruptInputError: the file is truncated, damaged, followed by foreign bytes, in a
                container that is not read, or empty though its name says it is compressed.
        """
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.num_file_bytes_read)
            head = self._read(file, READ_BYTES)
            if self.num_file_bytes_read == len(head):
                self._check_head(head)
                self.kind = kind_of(head)
            if self.kind != "plain":
                yield from self._inflate(file, head)
                return
            while head:
                yield head
                head = self._read(file, CHUNK_BYTES)

    def _check_head(self, head: bytes) -> None:
        name = self.path.name.lower()
        is_named_compressed = self._checks_name and name.endswith(_COMPRESSED_SUFFIXES)
        if not head and is_named_compressed:
            raise self._corrupt(0, f"a {self.path.suffix} file was expected; it is empty")
        for magic, what in _FOREIGN_MAGICS.items():
            if head.startswith(magic):
                raise self._corrupt(
                    0, f"plain text, gzip or zstd was expected; it is {what}: unpack it first"
                )
        if is_named_compressed and kind_of(head) == "plain" and b"\x00" in head[:4096]:
            raise self._corrupt(
                0,
                f"a {self.path.suffix} file was expected; it begins with bytes "
                f"{head[:8].hex(' ')}: it is damaged, or no such file",
            )

    def _inflate(self, file: IO[bytes], data: bytes) -> Iterator[bytes]:
        while data:
            first = self.num_file_bytes_read - len(data)
            while len(data) < _HEAD_BYTES and (more := self._read(file, READ_BYTES)):
                data += more
            if kind_of(data) != self.kind:
                self._check_padding(file, data, first)
                return
            start, damage = _decoder_of(self.kind)
            member = start()
            yield from self._inflate_member(file, data, member, damage, first)
            data = member.unused_data or self._read(file, READ_BYTES)

    def _inflate_member(
        self, file: IO[bytes], data: bytes, member: _Member, damage: type[Exception], first: int
    ) -> Iterator[bytes]:
        while True:
            try:
                chunk = member.decompress(data, CHUNK_BYTES)
            except (damage, OSError, ValueError, EOFError) as error:
                raise self._corrupt(
                    self.num_file_bytes_read,
                    f"sound {self.kind} data was expected; the stream that begins at byte {first} "
                    f"is damaged before here ({error})",
                ) from None
            if chunk:
                yield chunk
            if member.eof:
                return
            data = b""
            if member.needs_input:
                data = self._read(file, READ_BYTES)
                if not data:
                    raise self._corrupt(
                        self.num_file_bytes_read,
                        f"the end of a {self.kind} stream was expected; the file stops inside the "
                        f"one that begins at byte {first}: it is truncated",
                    )

    def _check_padding(self, file: IO[bytes], data: bytes, first: int) -> None:
        """Zero bytes after gzip are tape padding, which gzip ignores too; all else is foreign."""
        if self.kind == "gzip":
            while data and not data.strip(b"\x00"):
                data = self._read(file, READ_BYTES)
            if not data:
                return
        raise self._corrupt(
            first,
            f"the end of the file or another {self.kind} stream was expected; foreign bytes follow "
            f"({data[:8].hex(' ')})",
        )

    def _read(self, file: IO[bytes], num_bytes: int) -> bytes:
        data = file.read(num_bytes)
        self.num_file_bytes_read += len(data)
        return data

    def _corrupt(self, offset: int, problem: str) -> CorruptInputError:
        return CorruptInputError(
            f"{self.path}, byte {offset}: {problem}; get or write the file again"
        )
