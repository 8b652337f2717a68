"""The process that trains: `python -m headrace.training.worker JOB.json`, run below torchrun.

It tells events on stdout (see `protocol`). SIGTERM, SIGINT or the death of its launcher make it
finish the current step, save a checkpoint and end with code 75; that takes a step and some
hundredths of a second. Before the first step there is nothing to save, and it ends at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.training.protocol import (
    EXIT_FAILED,
    EXIT_STOPPED,
    Event,
    TrainingJob,
    encode_event,
)

PR_SET_PDEATHSIG = 1


class StopRequest:
    """Becomes true once a stopping signal arrived. Call it to ask."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: object) -> None:
        self._asked = True

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._asked


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the launcher dies."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def sole_worker(workdir: Path) -> Iterator[None]:
    """Wait until no other worker uses `workdir`, then keep others out.

    A worker whose launchers were all killed may still be writing its last checkpoint.
    """
    with (workdir / ".worker.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def report(event: Event) -> None:
    """Tell an event; once nobody listens any more it is lost, and work goes on."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(encode_event(event) + "\n")
        sys.stdout.flush()


def run_job(path: Path) -> int:
    """Do the job in a file; returns the exit code."""
    end_with_parent()
    job = TrainingJob.read(path)
    try:
        with sole_worker(job.workdir):
            from headrace.training.loop import TrainingRun

            run = TrainingRun(job, report)
            # Only now: until here nothing can be lost, and a signal may end us at once.
            finished = run.run(StopRequest())
    except HeadraceError as error:
        report({"event": "failed", "kind": type(error).__name__, "message": str(error)})
        return EXIT_FAILED
    return 0 if finished else EXIT_STOPPED


def main() -> int:
    """Run the job named on the command line."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    code = run_job(Path(sys.argv[1]))
    if code == EXIT_STOPPED:
        # The launcher may be gone, and with it the pipe that a normal exit would flush into.
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
