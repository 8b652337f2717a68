"""Child programs that cannot outlive this process, with their output streamed and kept.

Every long-running child (extractor, training launcher, servers) runs below `guardian.py`: one more
process of about 10 MB and 40 ms, which brings the whole tree down when this process ends by any
means, SIGKILL included.
"""

from __future__ import annotations

import contextlib
import contextvars
import fcntl
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from headrace.errors import ProcessFailedError

GUARDIAN = Path(__file__).with_name("guardian.py")
TAIL_LINES = 200
MAX_LINE_BYTES = 16_384
GRACE_SECONDS = 3.5

logger = logging.getLogger(__name__)


def _guardian_command(
    owner: str,
    status_fd: int,
    grace_seconds: float,
    pass_fds: Sequence[int],
    command: Sequence[str],
) -> list[str]:
    fds = ",".join(str(fd) for fd in pass_fds)
    own = [sys.executable, "-I", "-S", str(GUARDIAN)]
    return [*own, owner, str(status_fd), str(grace_seconds), fds, "--", *command]


def _read_status(status_read: int, name: str) -> int:
    """The pid of the started command, from the guardian's first line."""
    with os.fdopen(status_read, "rb") as status:
        line = status.readline().decode().strip()
    kind, _, text = line.partition(" ")
    if kind != "pid":
        raise ProcessFailedError(
            f"{name}: the program could not be started: {text or 'its guardian ended at once'}; "
            "check that it is installed and executable"
        )
    return int(text)


class GuardedProcess:
    """A command whose whole process tree dies with this process.

    Usage:
        with GuardedProcess(["tritonserver", ...], name="triton", on_line=log) as server:
            ...                      # leaving the block stops the tree

    Args:
        command: program and arguments.
        env: its whole environment; None inherits ours.
        cwd: its working directory.
        on_line: called in a reader thread with each line of its merged stdout and stderr.
        log_path: every line is appended to this file too.
        grace_seconds: from SIGTERM to SIGKILL, also when this process dies.
        pass_fds: descriptors that the command inherits under the same numbers.
        name: what messages call it.

    Raises:
        ProcessFailedError: the program could not be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        on_line: Callable[[str], None] | None = None,
        log_path: Path | None = None,
        grace_seconds: float = GRACE_SECONDS,
        pass_fds: Sequence[int] = (),
        name: str = "child",
    ) -> None:
        self.name = name
        self.last_output_monotonic = time.monotonic()
        self._grace_seconds = grace_seconds
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._log = log_path.open("ab") if log_path else None
        owner_read, self._owner_write = os.pipe()
        status_read, status_write = os.pipe()
        try:
            self._guardian = subprocess.Popen(
                _guardian_command(
                    f"pipe:{owner_read}", status_write, grace_seconds, pass_fds, command
                ),
                env=dict(env) if env is not None else None,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(owner_read, status_write, *pass_fds),
            )
        finally:
            os.close(owner_read)
            os.close(status_write)
        assert self._guardian.stdout is not None
        # In a copy of our context: its lines belong to the run and stage that started the program.
        context = contextvars.copy_context()
        self._reader = threading.Thread(
            target=context.run,
            args=(self._read, self._guardian.stdout),
            name=f"{name}-output",
            daemon=True,
        )
        self._reader.start()
        try:
            self.pid = _read_status(status_read, name)
        except ProcessFailedError:
            self.stop()
            raise

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for raw in iter(lambda: stream.readline(MAX_LINE_BYTES), b""):
                self.last_output_monotonic = time.monotonic()
                if self._log is not None:
                    self._log.write(raw)
                    self._log.flush()
                # A progress bar rewrites its line with \r: only the last state is worth a line.
                line = raw.decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2]
                self._lines.append(line)
                if self._on_line is not None:
                    self._tell(line)

    def _tell(self, line: str) -> None:
        """Hand a line on; a listener that fails must not stop the pipe from being emptied."""
        assert self._on_line is not None
        try:
            self._on_line(line)
        except Exception:
            logger.exception("%s: the listener failed on line %r", self.name, line[:200])
            self._on_line = None

    def tail(self, num_lines: int = 20) -> str:
        """The last lines of output, joined by newlines."""
        return "\n".join(list(self._lines)[-num_lines:])

    def poll(self) -> int | None:
        """Exit code (128 + n after signal n), or None while it runs."""
        return self._guardian.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and for the last of its output; returns the exit code.

        Raises:
            TimeoutError: it still runs after `timeout` seconds.
        """
        try:
            code = self._guardian.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name}: still running after {timeout} s") from None
        self._close()
        return code

    def stop(self, grace_seconds: float | None = None) -> int:
        """End the whole tree (SIGTERM, then SIGKILL after the grace); returns the exit code."""
        grace = self._grace_seconds if grace_seconds is None else grace_seconds
        if self._owner_write >= 0:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._owner_write, f"{grace}\n".encode())
        code = self._guardian.wait()
        self._close()
        return code

    def _close(self) -> None:
        if self._owner_write >= 0:
            os.close(self._owner_write)
            self._owner_write = -1
        self._reader.join(timeout=5.0)
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start_shared(
    command: Sequence[str],
    *,
    users_lock: Path,
    log_path: Path,
    env: Mapping[str, str] | None = None,
    name: str,
) -> int:
    """Start a program that several processes share and that ends after the last of them.

    A user holds a shared flock on `users_lock` (`hold_shared`); the caller must hold one already.

    Returns:
        The pid of the command.
    """
    status_read, status_write = os.pipe()
    with log_path.open("ab") as log:
        guardian = subprocess.Popen(
            _guardian_command(f"lock:{users_lock}", status_write, GRACE_SECONDS, (), command),
            env=dict(env) if env is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(status_write,),
        )
    os.close(status_write)
    pid = _read_status(status_read, name)
    # Reaped by a thread, so that it never lies about as a zombie of a long-lived caller.
    threading.Thread(target=guardian.wait, name=f"{name}-reaper", daemon=True).start()
    return pid


def hold_shared(path: Path) -> int:
    """Take a shared flock on `path` (created if missing); returns the open descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports that are free now; another program may still take one first."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def exit_with_parent() -> None:
    """Make this pool worker end when the process that spawned it is gone.

    A worker of `concurrent.futures` whose parent was killed waits for work for ever; this starts a
    thread that waits on the parent instead. Meant as a pool's `initializer`.
    """
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()
