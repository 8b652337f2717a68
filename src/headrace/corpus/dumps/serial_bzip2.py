"""bzip2 read front to back by Python's own decoder.

Slow and thorough: each stream is followed to its end, checksums are verified, and what is wrong is
told with its byte offset. Output is asked for at most `CHUNK_BYTES` at a time, so a bomb cannot
fill the memory. About 20-40 MB/s a core; `corpus.dumps.bzip2` is faster and comes back here where
it has doubts.
"""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from headrace.errors import CorruptInputError

READ_BYTES = 1 << 18
CHUNK_BYTES = 1 << 18
BZIP2_MAGIC = b"BZh"


class SerialBzip2:
    """The decompressed bytes of a bzip2 file: any number of streams, one after the other.

    Args:
        path: the file.
        start: byte at which the first stream to be read begins.

    Attributes:
        num_file_bytes_read: position in the file up to which it has been read.
    """

    def __init__(self, path: Path, *, start: int = 0) -> None:
        self._path = path
        self._start = start
        self.num_file_bytes_read = start

    def __iter__(self) -> Iterator[bytes]:
        """Give non-empty chunks of at most `CHUNK_BYTES`.

        Raises:
            CorruptInputError: the file is truncated, damaged, or followed by foreign bytes.
        """
        with self._path.open("rb") as file:
            file.seek(self._start)
            data = self._read(file)
            while data:
                first = self.num_file_bytes_read - len(data)
                while len(data) < len(BZIP2_MAGIC) and (more := self._read(file)):
                    data += more
                if not data.startswith(BZIP2_MAGIC):
                    raise corrupt_file(
                        self._path,
                        first,
                        "the end of the file or another bzip2 stream was expected; foreign bytes "
                        f"follow ({data[:8].hex(' ')})",
                    )
                member = bz2.BZ2Decompressor()
                yield from self._inflate(file, data, member, first)
                data = member.unused_data or self._read(file)

    def _inflate(
        self, file: IO[bytes], data: bytes, member: bz2.BZ2Decompressor, first: int
    ) -> Iterator[bytes]:
        while True:
            try:
                chunk = member.decompress(data, CHUNK_BYTES)
            except (OSError, ValueError, EOFError) as error:
                raise corrupt_file(
                    self._path,
                    self.num_file_bytes_read,
                    f"sound bzip2 data was expected; the stream that begins at byte {first} "
                    f"is damaged before here ({error})",
                ) from None
            if chunk:
                yield chunk
            if member.eof:
                return
            data = b""
            if member.needs_input:
                data = self._read(file)
                if not data:
                    raise corrupt_file(
                        self._path,
                        self.num_file_bytes_read,
                        f"the end of a bzip2 stream was expected; the file stops inside the "
                        f"one that begins at byte {first}: it is truncated",
                    )

    def _read(self, file: IO[bytes]) -> bytes:
        data = file.read(READ_BYTES)
        self.num_file_bytes_read += len(data)
        return data


def corrupt_file(path: Path, offset: int, problem: str) -> CorruptInputError:
    """The error for a dump file whose bytes are not right at `offset`."""
    return CorruptInputError(f"{path}, byte {offset}: {problem}; download or export the dump again")
