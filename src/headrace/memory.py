"""Was a process killed for want of memory, or lost for another reason?

The kernel counts its out-of-memory kills for each control group, or at least for the machine. A
process that vanished by SIGKILL while the count rose was one of them, and would be again; another
may be tried again. Cost: one small file read before and one after.
"""

from __future__ import annotations

from pathlib import Path

from headrace.errors import OutOfMemoryError, ProcessFailedError, WorkerLostError

CGROUP = Path("/sys/fs/cgroup")


def num_oom_kills(
    cgroup: Path = CGROUP,
    own: Path = Path("/proc/self/cgroup"),
    vmstat: Path = Path("/proc/vmstat"),
) -> int:
    """Processes killed for want of memory so far, in our control group or on this machine."""
    candidates = [vmstat, cgroup / "memory" / "memory.oom_control", cgroup / "memory.events"]
    for line in _lines(own):
        controllers, _, path = line.partition(":")[2].partition(":")
        if not controllers:  # version 2: one tree
            candidates.append(cgroup / path.lstrip("/") / "memory.events")
    return max((_count(path) for path in candidates), default=0)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _count(path: Path) -> int:
    for line in _lines(path):
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.strip().isdigit():
            return int(value)
    return 0


class LossWatch:
    """Tells after a process was lost which of the two it was. Make it before the process starts."""

    def __init__(self) -> None:
        self._before = num_oom_kills()

    def explain(self, what: str, *, remedy: str) -> ProcessFailedError:
        """The error to raise for a lost process.

        Args:
            what: what was lost, and what of it is kept.
            remedy: how to need less memory.
        """
        if num_oom_kills() > self._before:
            return OutOfMemoryError(
                f"{what}; the system ended it because memory ran out: {remedy}, then run again"
            )
        return WorkerLostError(f"{what}; it was killed or crashed: run again to go on")
