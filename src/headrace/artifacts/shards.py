"""Shards: the unit of work, of resumption and of repair.

A shard is one or more files written by one function call. The call writes into a temporary
directory; then the files are fsynced, hashed, stamped and renamed into place, and last a small
record file of its own appears under `.records/`. There is no shared journal, so any number of
processes may publish shards of one artifact at once. Cost per shard: one read for the hash, one
fsync a file, two for directories.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headrace.artifacts import files
from headrace.artifacts.files import Stamp
from headrace.artifacts.manifest import FileEntry
from headrace.errors import StoreError

RECORDS = ".records"
TEMPORARY = ".tmp"
QUARANTINE = "quarantine"
WORK = ".work"
BUILDING_NAME = ".building.json"
STAMPS_NAME = ".stamps.json"
MAX_EXCERPT_CHARACTERS = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A bad record that was put aside.

    Attributes:
        source: the file it came from, as users know it.
        offset: byte offset or record number in it.
        reason: short name, counted in the manifest.
        excerpt: the beginning of it; cut at 500 characters.
    """

    source: str
    offset: int
    reason: str
    excerpt: str


@dataclass(frozen=True, kw_only=True)
class ShardOutcome:
    """What a shard function reports about the files it wrote.

    Attributes:
        rows: records in the shard's data files.
        counts: further counts, summed over shards; `records_in` and `records_out` must be
            explained by `dropped` and `quarantined`.
        dropped: records left out on purpose, by reason.
        quarantined: bad records put aside.
        carry: any JSON value that the next shard needs to be rebuilt alone.
    """

    rows: int
    counts: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    quarantined: Sequence[Quarantined] = ()
    carry: Any = None


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """A shard to be written by `function(directory, *args) -> ShardOutcome`, in any process."""

    name: str
    function: Callable[..., ShardOutcome]
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """A published shard, as its record file tells it."""

    name: str
    files: tuple[FileEntry, ...]
    extras: tuple[FileEntry, ...]
    rows: int
    counts: Mapping[str, int]
    dropped: Mapping[str, int]
    quarantined: Mapping[str, int]
    carry: Any
    stamps: Mapping[str, Stamp]

    @classmethod
    def load(cls, artifact: Path, name: str) -> ShardRecord | None:
        """The record of shard `name`, or None where there is none that can be read."""
        value = files.read_json(record_path(artifact, name))
        try:
            return cls(
                **{
                    **value,
                    "files": tuple(FileEntry(**entry) for entry in value["files"]),
                    "extras": tuple(FileEntry(**entry) for entry in value["extras"]),
                    "stamps": {key: tuple(stamp) for key, stamp in value["stamps"].items()},
                }
            )
        except (TypeError, KeyError, AttributeError):
            return None


def record_path(artifact: Path, name: str) -> Path:
    """Where the record of shard `name` lies."""
    return artifact / RECORDS / f"{name}.json"


def damage_of(artifact: Path, entry: FileEntry, stamp: Stamp | None) -> str | None:
    """What is wrong with a file, in words; None if its bytes are those recorded.

    A file whose size, mtime and inode are those of its last hashing is taken as unchanged.
    """
    path = artifact / entry.name
    try:
        now = files.stamp_of(path)
    except FileNotFoundError:
        return "missing"
    if stamp is not None and tuple(stamp) == now and now[0] == entry.bytes:
        return None
    if now[0] != entry.bytes:
        return f"{now[0]} bytes instead of {entry.bytes}"
    if files.sha256_file(path) != entry.sha256:
        return f"its sha256 is not {entry.sha256[:12]}"
    return None


def load_good_record(artifact: Path, name: str) -> ShardRecord | None:
    """The record of shard `name` if all its files are there and hold, else None."""
    record = ShardRecord.load(artifact, name)
    if record is None:
        return None
    for entry in (*record.files, *record.extras):
        damage = damage_of(artifact, entry, record.stamps.get(entry.name))
        if damage is not None:
            logger.warning("%s/%s: %s; its shard is built again", artifact.name, entry.name, damage)
            return None
    return record


def write_shard(artifact: Path, job: ShardJob) -> ShardRecord:
    """Run one shard's function and publish what it wrote. Runs in any process.

    Raises:
        StoreError: the function wrote no file, or its counts do not explain its drops.
    """
    directory = artifact / TEMPORARY / uuid.uuid4().hex
    directory.mkdir(parents=True)
    try:
        with files.explained_os_errors(artifact):
            outcome = job.function(directory, *job.args)
            _check_counts(job.name, outcome)
            extras = _write_quarantine(directory, job.name, outcome.quarantined)
            return _publish(artifact, directory, job.name, outcome, extras)
    finally:
        files.remove_tree(directory)


def _check_counts(name: str, outcome: ShardOutcome) -> None:
    if "records_in" not in outcome.counts:
        return
    lost = outcome.counts["records_in"] - outcome.counts.get("records_out", outcome.rows)
    explained = sum(outcome.dropped.values()) + len(outcome.quarantined)
    if lost != explained:
        raise StoreError(
            f"shard {name}: {lost} records did not come out, but {explained} have a reason "
            f"({dict(outcome.dropped)}, {len(outcome.quarantined)} quarantined): this is a defect "
            "of the stage; nothing may be lost without a reason"
        )


def _write_quarantine(directory: Path, name: str, records: Sequence[Quarantined]) -> set[str]:
    if not records:
        return set()
    relative = f"{QUARANTINE}/{name}.jsonl"
    path = directory / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for record in records:
            value = asdict(record) | {"excerpt": record.excerpt[:MAX_EXCERPT_CHARACTERS]}
            file.write(json.dumps(value, ensure_ascii=False, sort_keys=True) + "\n")
    return {relative}


def _publish(
    artifact: Path, directory: Path, name: str, outcome: ShardOutcome, extras: set[str]
) -> ShardRecord:
    written = list(files.walk_files(directory))
    entries = []
    for path in written:
        relative = path.relative_to(directory).as_posix()
        size = path.stat().st_size
        entries.append(FileEntry(name=relative, bytes=size, sha256=files.sha256_file(path)))
    if len(entries) == len(extras):
        raise StoreError(f"shard {name}: its function wrote no data file; a defect of the stage")
    files.move_into((path, artifact / path.relative_to(directory)) for path in written)
    quarantined: dict[str, int] = {}
    for bad in outcome.quarantined:
        quarantined[bad.reason] = quarantined.get(bad.reason, 0) + 1
    record = ShardRecord(
        name=name,
        files=tuple(entry for entry in entries if entry.name not in extras),
        extras=tuple(entry for entry in entries if entry.name in extras),
        rows=outcome.rows,
        counts=dict(outcome.counts),
        dropped=dict(outcome.dropped),
        quarantined=quarantined,
        carry=outcome.carry,
        stamps={entry.name: files.stamp_of(artifact / entry.name) for entry in entries},
    )
    files.write_json(record_path(artifact, name), asdict(record))
    return record


def load_records(artifact: Path) -> dict[str, ShardRecord | None]:
    """The record of each shard by its name; None for one that cannot be read."""
    names = [
        path.relative_to(artifact / RECORDS).as_posix().removesuffix(".json")
        for path in files.walk_files(artifact / RECORDS)
    ]
    return {name: ShardRecord.load(artifact, name) for name in names}


def shards_with(artifact: Path, names: set[str]) -> list[str]:
    """Shards that hold one of the named files, and those whose record cannot be read."""
    found = []
    for shard, record in load_records(artifact).items():
        held = {entry.name for entry in (*record.files, *record.extras)} if record else set()
        if record is None or held & names:
            found.append(shard)
    return found


def forget_shards_with(artifact: Path, names: set[str]) -> list[str]:
    """Remove the record of every shard that holds one of the named files, and those files.

    Returns:
        Names of the shards forgotten.
    """
    forgotten = shards_with(artifact, names)
    for shard in forgotten:
        record_path(artifact, shard).unlink()
    for name in names:
        (artifact / name).unlink(missing_ok=True)
    return forgotten


def clear_unfinished(artifact: Path) -> None:
    """Remove what an unfinished build left in a directory; files that are not its own stay."""
    for record in load_records(artifact).values():
        for entry in (*record.files, *record.extras) if record else ():
            (artifact / entry.name).unlink(missing_ok=True)
    for folder in (RECORDS, TEMPORARY, WORK):
        files.remove_tree(artifact / folder)
    for name in (BUILDING_NAME, STAMPS_NAME):
        (artifact / name).unlink(missing_ok=True)
    # Folders that only held shards are empty now; deepest first.
    emptied = sorted((path for path in artifact.rglob("*") if path.is_dir()), reverse=True)
    for path in emptied:
        if not any(path.iterdir()):
            path.rmdir()
