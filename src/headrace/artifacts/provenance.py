"""Where, when and by what an artifact was made. Outside every digest."""

from __future__ import annotations

import functools
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import headrace

SHOWN_PACKAGES = ("headrace", "prefect", "torch", "transformers", "pyarrow", "numpy")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


@functools.cache
def git_commit() -> str | None:
    """Commit of the checkout that this package runs from, `-dirty` if changed; None outside one."""
    directory = Path(headrace.__file__).parent
    try:
        described = subprocess.run(
            ["git", "-C", str(directory), "describe", "--always", "--dirty", "--abbrev=40",
             "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in SHOWN_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def full_seconds(provenance: Mapping[str, Any]) -> float | None:
    """Seconds of an uninterrupted build of the whole artifact; None where none is known."""
    if "full_seconds" in provenance:
        found = provenance["full_seconds"]
    else:  # written before such builds were told apart
        found = None if provenance.get("num_resumed_shards") else provenance.get("seconds")
    return float(found) if isinstance(found, int | float) else None


def collect_provenance(
    *,
    started: float,
    num_workers: int,
    num_resumed: int,
    resumed: bool,
    scratch_bytes: int,
    before: Mapping[str, Any],
    input_paths: Mapping[str, str],
) -> dict[str, Any]:
    """The `provenance` part of a manifest.

    Args:
        started: seconds since the epoch when the stage's writer was called.
        num_workers: processes that worked on it at once.
        num_resumed: shards taken from an interrupted run, or left whole by damage.
        resumed: whether anything was taken over: those shards, or a scratch directory's checkpoint.
        scratch_bytes: size of the scratch directory at the end.
        before: provenance of the artifact that was repaired; {} where none was.
        input_paths: where each input lay then; the store is asked first when lineage is walked.
    """
    now = time.time()
    seconds = round(now - started, 3)
    return {
        "started": _iso(started),
        "finished": _iso(now),
        "seconds": seconds,
        "full_seconds": full_seconds(before) if resumed else seconds,
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "user": str(os.getuid()),
        "command": Path(sys.argv[0]).name if sys.argv else "",
        "git_commit": git_commit(),
        "versions": _versions(),
        "num_workers": num_workers,
        "num_resumed_shards": num_resumed,
        "resumed": resumed,
        "scratch_bytes": scratch_bytes,
        "input_paths": dict(input_paths),
    }
