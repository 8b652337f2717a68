"""The home directory and what the machine has left: disk, memory, shared memory."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace.artifacts import files
from headrace.diagnosis.findings import Finding, one_line

GIB = 1 << 30
DISK_PROBLEM_BYTES, DISK_WARNING_BYTES = GIB, 10 * GIB
INODES_PROBLEM, INODES_WARNING = 1_000, 50_000
MEMORY_PROBLEM_BYTES, MEMORY_WARNING_BYTES = GIB, 4 * GIB
SHARED_MEMORY_WARNING_BYTES = 64 << 20
SHARED_MEMORY = Path("/dev/shm")
CGROUP = Path("/sys/fs/cgroup")
PRIVATE_MODE = 0o700
WRITE, ENTER = 0o2, 0o5


def existing_parent(path: Path) -> Path:
    """The path itself or the nearest directory above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def check_home(home: Path, user: int) -> Iterator[Finding]:
    """Whether the home is there or can be made, is this user's, and can be written.

    Args:
        home: absolute.
        user: id of the user who runs.
    """
    found = existing_parent(home)
    if not found.is_dir():
        what = f"{found} is no directory"
        fix = "move it away, or set HEADRACE_HOME to a directory of your own"
        yield Finding(name="home", state="problem", what=what, fix=fix)
        return
    if not os.access(found, os.W_OK | os.X_OK):
        fix = f"chown or chmod {found}, or set HEADRACE_HOME to a directory of your own"
        what = f"{found} cannot be written by user {user}"
        yield Finding(name="home", state="problem", what=what, fix=fix)
        return
    if found != home:
        what = f"{home} is not there yet; the first run makes it"
        yield Finding(name="home", state="ok", what=what)
        return
    owner = home.stat().st_uid
    if owner != user:
        yield Finding(
            name="home", state="warning",
            what=f"{home} belongs to user {owner}, this is user {user}: files of both get mixed",
            fix=f"chown -R {user} {home}, or set HEADRACE_HOME to a directory of your own",
        )  # fmt: skip
        return
    yield Finding(name="home", state="ok", what=str(home))


def check_privacy(home: Path) -> Iterator[Finding]:
    """Whether other users can write into the home, or read Prefect's part of it.

    Who can write there can make Prefect run code of his (it loads results that name pickle as
    their serializer); who can read there sees parameters, logs and the key of stored secrets.
    """
    prefect = home / "prefect"
    is_open = False
    for path in (home, home / "artifacts", prefect):
        if path.is_dir() and _rights_of_others(path) & WRITE:
            is_open = True
            yield Finding(
                name="permissions", state="problem",
                what=f"{path} can be written by other users (mode {_mode(path)}): what they put "
                "there is used, and Prefect may run it",
                fix=f"chmod go-w {path}",
            )  # fmt: skip
    others_reach = home.is_dir() and _rights_of_others(home) & 0o1
    if others_reach and prefect.is_dir() and _rights_of_others(prefect) & ENTER:
        is_open = True
        yield Finding(
            name="permissions", state="warning",
            what=f"{prefect} can be read by other users (mode {_mode(prefect)}): parameters, logs "
            "and stored secrets are theirs too",
            fix=f"chmod {PRIVATE_MODE:o} {prefect}",
        )  # fmt: skip
    if not is_open:
        yield Finding(name="permissions", state="ok", what="nothing of Prefect is open to others")


def _rights_of_others(path: Path) -> int:
    """Read (4), write (2) and enter (1), as far as anybody but the owner has them."""
    found = path.stat()
    # A group with the user's own number is his alone on most systems.
    group = 0 if found.st_gid == found.st_uid else found.st_mode >> 3 & 0o7
    return group | found.st_mode & 0o7


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):o}"


def check_file_system(home: Path) -> Iterator[Finding]:
    """Whether locks, renames and fsync work where the artifacts lie, in a scratch directory."""
    place = existing_parent(home)
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".doctor-") as scratch:
            fault = try_file_system(Path(scratch))
    except OSError as error:
        fault = f"a scratch directory could not be used: {one_line(error)}"
    if fault is None:
        what = f"locks, renames and fsync work in {place}"
        yield Finding(name="file system", state="ok", what=what)
        return
    yield Finding(
        name="file system", state="problem", what=f"{place}: {fault}",
        fix="set HEADRACE_HOME to a local disk (ext4, xfs, btrfs), or mount with locking",
    )  # fmt: skip


def try_file_system(scratch: Path) -> str | None:
    """What does not work in a directory, in words; None if all does."""
    lock = scratch / "lock"
    with lock.open("w") as first, lock.open("w") as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"a file cannot be locked: {one_line(error)}"
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return "a locked file could be locked again: two runs would write the same artifact"
        except OSError:
            pass  # refused, as it must be
    files.write_atomic(scratch / "file", b"old")
    files.write_atomic(scratch / "file", b"new")
    return None if (scratch / "file").read_bytes() == b"new" else "a rename did not replace a file"


@dataclass(frozen=True, kw_only=True)
class Space:
    """What a file system has left; `num_files` is None where it keeps no count of inodes."""

    free_bytes: int
    num_files: int | None


def measure_space(path: Path) -> Space:
    """The space that this user has left on the file system of `path`."""
    found = os.statvfs(existing_parent(path))
    inodes = found.f_favail if found.f_files else None
    return Space(free_bytes=found.f_bavail * found.f_frsize, num_files=inodes)


def check_disk(home: Path, space: Space) -> Iterator[Finding]:
    """Whether there is room for a run."""
    free = f"{space.free_bytes / GIB:,.1f} GiB free for {home}"
    limits = f"below {DISK_WARNING_BYTES // GIB} GiB is little, below 1 GiB runs fail"
    fix = "headrace gc --dry-run shows what no run needs; or set HEADRACE_HOME to another disk"
    if space.free_bytes < DISK_PROBLEM_BYTES:
        yield Finding(name="disk", state="problem", what=f"{free}; {limits}", fix=fix)
    elif space.free_bytes < DISK_WARNING_BYTES:
        yield Finding(name="disk", state="warning", what=f"{free}; {limits}", fix=fix)
    else:
        yield Finding(name="disk", state="ok", what=free)
    if space.num_files is not None and space.num_files < INODES_WARNING:
        yield Finding(
            name="inodes", state="problem" if space.num_files < INODES_PROBLEM else "warning",
            what=f"{space.num_files:,} more files fit on the disk of {home}; below "
            f"{INODES_WARNING:,} is little, below {INODES_PROBLEM:,} runs fail",
            fix=fix,
        )  # fmt: skip


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None  # "max", or no such group


def available_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = CGROUP) -> int | None:
    """Bytes that a new process may use: the machine's, or the container's where that is less."""
    available: list[int] = []
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available.append(int(line.split()[1]) << 10)
    except OSError:
        pass  # not Linux: told by the check of the platform
    limit, used = _number(cgroup / "memory.max"), _number(cgroup / "memory.current")
    if limit is not None and used is not None:
        available.append(max(limit - used, 0))
    return min(available, default=None)


def check_memory(available: int | None) -> Iterator[Finding]:
    """Whether there is memory for a run."""
    if available is None:
        yield Finding(name="memory", state="skipped", what="the system does not tell")
        return
    what = f"{available / GIB:,.1f} GiB available"
    limits = "below 4 GiB is little for training beside its workers, below 1 GiB runs are killed"
    if available >= MEMORY_WARNING_BYTES:
        yield Finding(name="memory", state="ok", what=what)
        return
    yield Finding(
        name="memory", state="problem" if available < MEMORY_PROBLEM_BYTES else "warning",
        what=f"{what}; {limits}",
        fix="end other programs, raise the container's limit, or run with --workers 1",
    )  # fmt: skip


def check_shared_memory(path: Path = SHARED_MEMORY) -> Iterator[Finding]:
    """Whether Triton can hand tensors to its Python backend, which it does through /dev/shm."""
    if not path.is_dir() or not os.access(path, os.W_OK):
        what, state = f"{path} is missing or cannot be written", True
    else:
        space = measure_space(path)
        what = f"{space.free_bytes / (1 << 20):,.0f} MiB free in {path}"
        state = space.free_bytes < SHARED_MEMORY_WARNING_BYTES
    if not state:
        yield Finding(name="shared memory", state="ok", what=what)
        return
    yield Finding(
        name="shared memory", state="warning",
        what=f"{what}; Triton's Python backend passes tensors there and wants 64 MiB or more",
        fix="in a container: docker run --shm-size=1g",
    )  # fmt: skip
