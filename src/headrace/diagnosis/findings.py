"""What a check found, and how checks are run: each alone, none hangs, none ends the others."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem", "skipped"]
Examine = Callable[[], Iterable["Finding"]]

CHECK_SECONDS = 30.0
REPORT_IT = "run `headrace doctor --json` and report its output"
LOOK_FOR_IT = "look whether a disk, a network file system or a server hangs"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        name: what was looked at, in a word or two.
        state: "ok", "warning" (works, or nearly), "problem" (something will fail) or "skipped".
        what: what was found, in one line.
        fix: the next move, a command where there is one; empty if there is nothing to do.
    """

    name: str
    state: State
    what: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something to look at.

    Attributes:
        name: as in its findings; used when it breaks.
        examine: looks, and gives its findings.
        seconds: after this long it counts as stuck.
    """

    name: str
    examine: Examine
    seconds: float = CHECK_SECONDS


def run_check(check: Check) -> Iterator[Finding]:
    """The findings of one check as they come; one that breaks or hangs is itself a finding.

    A thread that hangs (a dead network file system) is left behind; it does not keep the command.
    """
    found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            for finding in check.examine():
                found.put(finding)
        except Exception as error:  # noqa: BLE001 - any failure is a finding
            what = f"the check itself broke: {type(error).__name__}: {one_line(error)}"
            found.put(Finding(name=check.name, state="problem", what=what, fix=REPORT_IT))
        finally:
            found.put(None)

    threading.Thread(target=work, name=f"check {check.name}", daemon=True).start()
    deadline = time.monotonic() + check.seconds
    while True:
        try:
            finding = found.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            what = f"no answer within {check.seconds:g} s"
            yield Finding(name=check.name, state="problem", what=what, fix=LOOK_FOR_IT)
            return
        if finding is None:
            return
        yield finding


def run_checks(checks: Iterable[Check]) -> Iterator[Finding]:
    """The findings of all checks, in their order, as they come."""
    for check in checks:
        yield from run_check(check)


def one_line(value: object, limit: int = 300) -> str:
    """A text without newlines, cut to what a terminal line can bear."""
    text = " ".join(str(value).split())
    return text if len(text) <= limit else text[:limit] + "..."
