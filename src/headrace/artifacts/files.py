"""The one door to the file system: atomic writes, hashing, stamps.

A file appears under its name only when it is whole: written under another name in the same file
system, flushed, fsynced, renamed, and the directory fsynced. Object stores will come in behind the
same functions (a conditional put takes the rename's place). sha256 runs at 1-2 GB/s a core.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headrace.errors import StoreError

CHUNK_BYTES = 1 << 20

Stamp = tuple[int, int, int]
"""Size in bytes, mtime in ns, inode: what a file looked like when it was last hashed."""


def stamp_of(path: Path) -> Stamp:
    """The file's present stamp. Raises FileNotFoundError."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file, read in chunks of 1 MiB."""
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def fsync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_directory(path: Path) -> None:
    """Force a directory's entries to the disk."""
    fsync_file(path)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` so that `path` holds either what it held before or all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_directory(path.parent)


def json_bytes(value: object) -> bytes:
    """`value` as indented JSON with sorted keys, as `write_json` writes it."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    # A path or a quoted excerpt may hold lone surrogates: escaped, they are still valid JSON.
    return (text + "\n").encode(errors="backslashreplace")


def write_json(path: Path, value: object) -> None:
    """Write `value` atomically as indented JSON with sorted keys."""
    write_atomic(path, json_bytes(value))


def read_json(path: Path) -> Any:
    """The JSON value in a file; None where it is missing or is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def move_into(files: Iterable[tuple[Path, Path]]) -> None:
    """Publish finished files: fsync all, rename all, then fsync each directory touched once."""
    pairs = list(files)
    for source, _ in pairs:
        fsync_file(source)
    for source, target in pairs:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
    for directory in sorted({target.parent for _, target in pairs}):
        fsync_directory(directory)


def walk_files(directory: Path) -> Iterator[Path]:
    """Every regular file below `directory`, sorted by its relative name."""
    yield from sorted(path for path in directory.rglob("*") if path.is_file())


def tree_bytes(path: Path) -> int:
    """Size of all files below `path`; 0 where there is none."""
    return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())


def remove_tree(path: Path) -> None:
    """Remove a directory tree; nothing happens where there is none."""
    if path.exists():
        shutil.rmtree(path)


@contextmanager
def explained_os_errors(where: Path) -> Iterator[None]:
    """Turn a full, read-only or forbidden disk into one StoreError that says what to do."""
    advice = {
        errno.ENOSPC: "the disk is full: free space (`headrace gc`) or set HEADRACE_HOME elsewhere",
        errno.EDQUOT: "the disk quota is used up: free space or set HEADRACE_HOME elsewhere",
        errno.EROFS: "the file system is read-only: set HEADRACE_HOME elsewhere",
        errno.EACCES: "permission is denied: check the owner of the directory",
        errno.ENOTDIR: "a part of this path is a file: choose another directory",
        errno.EEXIST: "a file is where a directory should be: choose another directory",
        errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
        errno.EIO: "the disk reports an input/output error: check it",
    }
    try:
        yield
    except OSError as error:
        if error.errno not in advice:
            raise
        path = error.filename or where
        raise StoreError(f"{path} cannot be used: {advice[error.errno]}") from error
