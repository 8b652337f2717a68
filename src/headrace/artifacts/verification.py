"""Does an artifact on disk still hold what its manifest says?

The quick check compares each file's size, mtime and inode with what they were at its last sha256
(one stat a file) and hashes only those that differ. The full check hashes everything, and takes
the stamp of a damaged file away, so that the next run's quick check sees the damage too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.artifacts import files
from headrace.artifacts.files import Stamp
from headrace.artifacts.manifest import MANIFEST_NAME, Artifact, FileEntry
from headrace.artifacts.shards import (
    BUILDING_NAME,
    QUARANTINE,
    RECORDS,
    STAMPS_NAME,
    TEMPORARY,
    WORK,
    damage_of,
)

OWN_NAMES = {MANIFEST_NAME, STAMPS_NAME, BUILDING_NAME, "location.json"}
OWN_FOLDERS = {RECORDS, TEMPORARY, WORK}


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One file that is not what it was: its name and what is wrong, in words."""

    name: str
    problem: str


def load_stamps(path: Path) -> dict[str, Stamp]:
    """The stamps of an artifact's files; {} where they are lost (then everything is hashed)."""
    value = files.read_json(path / STAMPS_NAME)
    if not isinstance(value, dict):
        return {}
    good = {
        name: (stamp[0], stamp[1], stamp[2])
        for name, stamp in value.items()
        if isinstance(stamp, list) and len(stamp) == 3
    }
    return good


def save_stamps(path: Path, stamps: Mapping[str, Stamp]) -> None:
    """Remember what the artifact's files looked like when they were hashed."""
    files.write_json(path / STAMPS_NAME, dict(stamps))


def _checked_entries(artifact: Artifact) -> list[FileEntry]:
    """Data files and quarantine; plots and reports may be lost without harm."""
    manifest = artifact.manifest
    kept = [entry for entry in manifest.extras if entry.name.startswith(f"{QUARANTINE}/")]
    return [*manifest.files, *kept]


def find_damage(artifact: Artifact, *, full: bool = False, remember: bool = True) -> list[Damage]:
    """Every file that is missing or changed.

    Args:
        artifact: a finished artifact.
        full: hash each file whatever its stamp says.
        remember: write the stamps of files that were hashed; a look that changes nothing does not.
    """
    stamps = load_stamps(artifact.path)
    now: dict[str, Stamp] = {}
    damages = []
    for entry in _checked_entries(artifact):
        known = stamps.get(entry.name)
        problem = damage_of(artifact.path, entry, None if full else known)
        if problem is None:
            now[entry.name] = files.stamp_of(artifact.path / entry.name)
        else:
            damages.append(Damage(name=entry.name, problem=problem))
    if remember and now != stamps:
        save_stamps(artifact.path, now)
        _renew_records(artifact.path, {damage.name for damage in damages})
    return damages


def _renew_records(path: Path, damaged: set[str]) -> None:
    """Take the stamps of damaged files out of their shards' records too."""
    if not damaged:
        return
    for record_file in files.walk_files(path / RECORDS):
        value = files.read_json(record_file)
        stamps = value.get("stamps", {}) if isinstance(value, dict) else {}
        if damaged & set(stamps):
            value["stamps"] = {name: s for name, s in stamps.items() if name not in damaged}
            files.write_json(record_file, value)


def find_strays(artifact: Artifact) -> list[str]:
    """Names of files in the directory that the manifest does not know."""
    manifest = artifact.manifest
    known = {entry.name for entry in (*manifest.files, *manifest.extras)} | OWN_NAMES
    strays = []
    for path in files.walk_files(artifact.path):
        relative = path.relative_to(artifact.path)
        if relative.parts[0] not in OWN_FOLDERS and relative.as_posix() not in known:
            strays.append(relative.as_posix())
    return strays
