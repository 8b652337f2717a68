"""A small program that runs another one and sees to it that nothing of it outlives its owner.

    python -I -S guardian.py OWNER STATUS_FD GRACE_SECONDS FDS -- COMMAND [ARG ...]

OWNER is `pipe:FD` (the owner lives as long as the other end of that pipe is open) or `lock:PATH`
(owners hold a shared flock on PATH; when none does any more, the work is over). The guardian has a
session of its own, so a kill of the owner's whole process group does not reach it, and it is a
child sub-reaper, so processes that detach themselves below the command still hang on it. Ending
means: SIGTERM to the command, half the grace later to everything below, SIGKILL at its end.

It imports nothing but the standard library (without `site`), which keeps its start near 30 ms,
and it must stay importable alone: it is run by file name. Linux only (prctl, /proc).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_SECONDS = 0.25


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _parents() -> dict[int, int]:
    """Map of pid to parent pid for every process that is not a zombie."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            # No pathlib here: it would double the start-up time.
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                # The command name may hold spaces and parentheses: cut after the last ")".
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields and fields[0] != b"Z":
            found[int(name)] = int(fields[1])
    return found


def descendants(root: int) -> list[int]:
    """Pids of all live processes below `root`, nearest first."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(0), [])
        found.extend(below)
        queue.extend(below)
    return found


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _reap(main_pid: int, status: int | None) -> tuple[int | None, bool]:
    """Collect ended children; returns the main command's wait status, and whether any lives."""
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status, False
        if pid == 0:
            return status, True
        if pid == main_pid:
            status = ended


def end_tree(main_pid: int, grace_seconds: float, status: int | None) -> int | None:
    """Bring down everything below this process; returns the main command's wait status."""
    start = time.monotonic()
    told_all = False
    if status is None:
        _signal([main_pid], signal.SIGTERM)
    while True:
        status, any_child = _reap(main_pid, status)
        # Orphans become our children, so no child means that nothing is left. A look at /proc alone
        # does not: it misses what moves from a dying parent to us while it reads.
        if not any_child:
            return status
        left = descendants(os.getpid())
        waited = time.monotonic() - start
        if waited >= grace_seconds:
            _signal(left, signal.SIGKILL)
        elif not told_all and (status is not None or waited >= grace_seconds / 2):
            told_all = True
            _signal(left, signal.SIGTERM)
        time.sleep(0.02)


def _owner_gone(owner: str) -> Callable[[float], float | None]:
    """A function that waits up to its argument and returns a grace in seconds once to stop.

    Returns None while the owner lives; -1.0 means "use the grace from the command line".
    """
    kind, _, where = owner.partition(":")
    if kind == "lock":
        lock_fd = os.open(where, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

        def lock_free(timeout: float) -> float | None:
            select.select([_WAKE[0]], [], [], timeout)
            try:
                fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            return -1.0

        return lock_free
    pipe_fd = int(where)
    os.set_inheritable(pipe_fd, False)

    def pipe_closed(timeout: float) -> float | None:
        ready, _, _ = select.select([pipe_fd, _WAKE[0]], [], [], timeout)
        if pipe_fd not in ready:
            return None
        text = os.read(pipe_fd, 64)
        return float(text.split(b"\n")[0]) if text else -1.0

    return pipe_closed


_WAKE: tuple[int, int] = (-1, -1)
_ASKED_TO_STOP = False
_KEPT: list[subprocess.Popen[bytes]] = []


def _on_stop(_number: int, _frame: object) -> None:
    global _ASKED_TO_STOP
    _ASKED_TO_STOP = True


def _install_signals() -> None:
    global _WAKE
    _WAKE = os.pipe()
    for end in _WAKE:
        os.set_blocking(end, False)
    signal.set_wakeup_fd(_WAKE[1], warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _n, _f: None)
    signal.signal(signal.SIGTERM, _on_stop)
    signal.signal(signal.SIGINT, _on_stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _start(command: list[str], pass_fds: tuple[int, ...]) -> int:
    guardian = os.getpid()

    def die_with_guardian() -> None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guardian:
            os._exit(127)

    child = subprocess.Popen(
        command, start_new_session=True, pass_fds=pass_fds, preexec_fn=die_with_guardian
    )
    # A collected Popen reaps its child and swallows the exit code: this one stays until the end.
    _KEPT.append(child)
    return child.pid


def main(argv: list[str]) -> int:
    """Run the command under guard; returns its exit code (128 + n where signal n ended it)."""
    split = argv.index("--")
    owner, status_fd, grace, fds = argv[:split]
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _install_signals()
    gone = _owner_gone(owner)
    try:
        main_pid = _start(argv[split + 1 :], tuple(int(fd) for fd in fds.split(",") if fd))
    except OSError as error:
        os.write(int(status_fd), f"error {error.strerror}: {error.filename}\n".encode())
        return 127
    os.write(int(status_fd), f"pid {main_pid}\n".encode())
    os.close(int(status_fd))
    status: int | None = None
    grace_seconds = float(grace)
    while status is None:
        asked = gone(POLL_SECONDS)
        with contextlib.suppress(BlockingIOError):
            os.read(_WAKE[0], 512)
        status, _ = _reap(main_pid, status)
        if asked is not None or _ASKED_TO_STOP:
            grace_seconds = asked if asked is not None and asked >= 0 else grace_seconds
            break
    status = end_tree(main_pid, grace_seconds, status)
    code = os.waitstatus_to_exitcode(status) if status is not None else 1
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
