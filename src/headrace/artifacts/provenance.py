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


def collect_provenance(
    *, started: float, num_workers: int, num_resumed: int, input_paths: Mapping[str, str]
) -> dict[str, Any]:
    """The `provenance` part of a manifest.

    Args:
        started: seconds since the epoch when the stage's writer was called.
        num_workers: processes that worked on it at once.
        num_resumed: shards taken from an interrupted run.
        input_paths: where each input lay then; the store is asked first when lineage is walked.
    """
    now = time.time()
    return {
        "started": _iso(started),
        "finished": _iso(now),
        "seconds": round(now - started, 3),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "user": str(os.getuid()),
        "command": Path(sys.argv[0]).name if sys.argv else "",
        "git_commit": git_commit(),
        "versions": _versions(),
        "num_workers": num_workers,
        "num_resumed_shards": num_resumed,
        "input_paths": dict(input_paths),
    }
