"""Raw inputs enter here: files that are not ours, known by the sha256 of their bytes.

A source artifact does not copy the bytes (a dump may have 20 GB). Its data file `source.json`
lists what they are; `location.json`, outside the digest, says where they lie now, and in which of
the store's own artifacts if they do (a download). A hash is remembered by path, size, mtime and
inode, so an unchanged dump is hashed once (1-2 GB/s a core). Moving or renaming a file changes
nothing downstream; changing one byte changes everything.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace.artifacts import files
from headrace.artifacts.build import Build
from headrace.artifacts.fingerprint import content_digest
from headrace.artifacts.manifest import Artifact, InputLink, Stage
from headrace.artifacts.shards import ShardOutcome
from headrace.artifacts.store import Opened, Store
from headrace.config import StageConfig
from headrace.errors import CorruptInputError, MissingInputError

LOCATION_NAME = "location.json"
SOURCE_NAME = "source.json"
MEMORY_NAME = ".source-hashes.json"
SINGLE_FILE = "content"


class SourceConfig(StageConfig):
    """What a source consists of: (name, bytes, sha256) of each file.

    A single file has the name "content", whatever it is called on disk: names are not identity.
    """

    entries: tuple[tuple[str, int, str], ...]


def write_source(*, config: SourceConfig, out: Build) -> None:
    """Write `source.json`; the raw bytes stay where they are."""

    def write(directory: Path) -> ShardOutcome:
        files.write_atomic(directory / SOURCE_NAME, _content(config))
        return ShardOutcome(rows=len(config.entries))

    out.publish("source", write)
    out.set_counts(num_bytes=_num_bytes(config))


def _content(config: SourceConfig) -> bytes:
    return files.json_bytes([list(entry) for entry in config.entries])


def _num_bytes(config: SourceConfig) -> int:
    return sum(size for _, size, _ in config.entries)


def expected_source(config: SourceConfig) -> tuple[str, int, dict[str, int]]:
    """Digest, bytes and counts that the source's artifact has, or will have."""
    content = _content(config)
    entry = (SOURCE_NAME, len(content), hashlib.sha256(content).hexdigest())
    counts = {"num_bytes": _num_bytes(config), "rows": len(config.entries)}
    digest = content_digest(format_name=SOURCE.format, files=[entry], counts=counts)
    return digest, len(content), counts


SOURCE = Stage(
    name="source", version=1, format="headrace.source/1", packages=(), write=write_source
)


@dataclass(frozen=True)
class _Found:
    name: str
    path: Path
    stamp: files.Stamp
    sha256: str


def _scan(path: Path) -> list[tuple[str, Path]]:
    if path.is_dir():
        found = [(item.relative_to(path).as_posix(), item) for item in files.walk_files(path)]
        # An artifact of ours may be given as a plain directory: its bookkeeping is not its content.
        return [(name, item) for name, item in found if not name.startswith(".")]
    return [(SINGLE_FILE, path)]


def _hash(store: Store, items: list[tuple[str, Path]]) -> list[_Found]:
    memory_path = store.root / MEMORY_NAME
    memory = files.read_json(memory_path)
    memory = memory if isinstance(memory, dict) else {}
    found, changed = [], False
    for name, item in items:
        stamp = files.stamp_of(item)
        known = memory.get(str(item))
        if not isinstance(known, list) or known[:3] != list(stamp):
            known = [*stamp, files.sha256_file(item)]
            if files.stamp_of(item) != stamp:
                raise CorruptInputError(
                    f"{item}: it was changed while it was read: wait until it is written, then "
                    "run again"
                )
            memory[str(item)] = known
            changed = True
        found.append(_Found(name, item, stamp, known[3]))
    if changed:
        files.write_json(memory_path, memory)
    return found


def _find(store: Store, path: Path, members: Sequence[str] | None = None) -> list[_Found]:
    given = [path] if members is None else [path / name for name in members]
    for item in given:
        if not item.exists():
            raise MissingInputError(
                f"{item}: an input file was expected; there is none: check the path"
            )
    with files.explained_os_errors(path):
        names = None if members is None else sorted(set(members))
        found = _hash(store, _scan(path) if names is None else [(n, path / n) for n in names])
    if not found:
        raise MissingInputError(f"{path}: the directory holds no file: check the path")
    return found


def _config_of(found: list[_Found]) -> SourceConfig:
    return SourceConfig(entries=tuple((item.name, item.stamp[0], item.sha256) for item in found))


def read_source(store: Store, path: Path) -> SourceConfig:
    """What a raw input consists of; a file that is unchanged since it was last hashed costs a stat.

    Raises:
        HeadraceError: as for `open_source`.
    """
    return _config_of(_find(store, Path(os.path.abspath(path.expanduser()))))


def open_source(
    store: Store,
    path: Path,
    *,
    holder: Artifact | None = None,
    members: Sequence[str] | None = None,
) -> Opened:
    """Give the source artifact of a file, or of all files below a directory.

    Args:
        store: where the list of its hashes is kept.
        path: a local file or directory.
        holder: the artifact of the store that `path` lies in, as a download: whatever keeps the
            source from garbage collection keeps it too.
        members: names relative to the directory `path` of the files that belong to it; None for all
            below it.

    Raises:
        MissingInputError: there is nothing at `path`, or nothing in it.
        CorruptInputError: it changed while it was hashed.
        StoreError: it may not be read.
    """
    path = Path(os.path.abspath(path.expanduser()))
    found = _find(store, path, members)
    opened = store.open_or_build(SOURCE, _config_of(found), {})
    location: dict[str, Any] = {
        "path": str(path),
        "stamps": {item.name: list(item.stamp) for item in found},
    }
    if holder is not None:
        location["holder"] = asdict(holder.link())
    if files.read_json(opened.artifact.path / LOCATION_NAME) != location:
        files.write_json(opened.artifact.path / LOCATION_NAME, location)
    return opened


def source_path(source: Artifact) -> Path:
    """Where the raw file (or directory) of a source artifact lies now.

    Raises:
        MissingInputError: it is gone.
        CorruptInputError: it is not what it was when it was hashed.
    """
    location = files.read_json(source.path / LOCATION_NAME)
    if not isinstance(location, dict):
        raise MissingInputError(
            f"{source.path}: nothing says where its bytes lie: run with the input again"
        )
    path = Path(location["path"])
    for name, stamp in location["stamps"].items():
        item = path if name == SINGLE_FILE and path.is_file() else path / name
        try:
            now = files.stamp_of(item)
        except OSError:
            raise MissingInputError(
                f"{item}: the input was there when the run began; now it is gone: put it back"
            ) from None
        if list(now) != stamp:
            raise CorruptInputError(
                f"{item}: the input changed since it was hashed: run again to take the new bytes"
            )
    return path


def holder_link(source: Artifact) -> InputLink | None:
    """The artifact that a source's bytes lie in now; None for a user's own files, and no source."""
    if source.stage != SOURCE.name:
        return None
    location = files.read_json(source.path / LOCATION_NAME)
    try:
        return InputLink(**location["holder"])
    except (TypeError, KeyError):
        return None


def data_directory(artifact: Artifact) -> Path:
    """The directory (or file) with an input's bytes: a stage's artifact, or a raw source.

    Raises:
        MissingInputError: a raw source is gone.
        CorruptInputError: a raw source changed since it was hashed.
    """
    return source_path(artifact) if artifact.stage == SOURCE.name else artifact.path
