"""Garbage collection: mark from named runs through manifests, sweep the rest.

Nothing is removed while a run uses the store, and an artifact whose lock is held stays. Unfinished
directories are kept unless asked for: they are what an interrupted run goes on from.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace.artifacts import files, locks
from headrace.artifacts.lineage import find_link
from headrace.artifacts.manifest import Artifact, InputLink
from headrace.artifacts.runs import load_runs
from headrace.artifacts.sources import holder_link
from headrace.artifacts.store import Store
from headrace.errors import StoreError


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """A directory that no named run needs."""

    path: Path
    num_bytes: int
    reason: str


def mark(store: Store) -> set[Path]:
    """Directories of all artifacts that named runs reach; a source reaches what holds its bytes."""
    reached: set[Path] = set()
    queue: list[InputLink] = []
    for run in load_runs(store.runtime.home):
        queue.extend(step.link for step in run.steps.values())
    seen: set[tuple[str, str, str]] = set()
    while queue:
        link = queue.pop()
        if (link.stage, link.key, link.digest) in seen:
            continue
        seen.add((link.stage, link.key, link.digest))
        artifact: Artifact | None = find_link(store, link)
        if artifact is not None:
            reached.add(artifact.path)
            queue.extend(artifact.manifest.inputs.values())
            holder = holder_link(artifact)
            queue.extend([holder] if holder is not None else [])
    return reached


def _size(path: Path) -> int:
    return sum(item.stat().st_size for item in files.walk_files(path))


def find_garbage(store: Store, *, with_unfinished: bool = False) -> list[Garbage]:
    """What `collect` would remove."""
    reached = mark(store)
    found = [
        Garbage(path=item.path, num_bytes=_size(item.path), reason="no named run reaches it")
        for item in store.artifacts()
        if item.path not in reached
    ]
    if with_unfinished:
        found += [
            Garbage(path=path, num_bytes=_size(path), reason="unfinished")
            for path in store.unfinished()
        ]
    return found


@contextlib.contextmanager
def _alone(store: Store) -> Iterator[None]:
    store.root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(store.root / ".in-use.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreError(
            f"{store.root}: a run is using the store: collect garbage after it has ended"
        ) from None
    finally:
        os.close(descriptor)


def collect(store: Store, *, with_unfinished: bool = False) -> list[Garbage]:
    """Remove what no named run reaches; returns what was removed.

    Raises:
        StoreError: a run is using the store.
    """
    removed = []
    with _alone(store):
        for item in find_garbage(store, with_unfinished=with_unfinished):
            lock_path = item.path.with_name(f".{item.path.name}.lock")
            descriptor = locks.try_lock(lock_path)
            if descriptor is None:
                continue
            try:
                # The manifest goes first, so that a kill leaves nothing that looks finished.
                (item.path / "manifest.json").unlink(missing_ok=True)
                files.remove_tree(item.path)
                removed.append(item)
            finally:
                lock_path.unlink(missing_ok=True)
                os.close(descriptor)
    return removed
