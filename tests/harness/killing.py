"""Kills a running command at a chosen moment and looks at what it leaves behind.

A kill hits the flow's process alone or its whole process group (as a closed terminal or a cgroup
would). The moment is named (a stage, and how long after it began) or drawn at random. Afterwards
nothing of the command may live: its processes are known by a variable in their environment, which
every child inherits, whatever session or group it moved to.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "HEADRACE_TEST_MARK"
LEFT_OVER_SECONDS = 5.0
BUILDING = ".building.json"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When to kill: `seconds` after the directory of `stage` shows that its build began."""

    stage: str
    seconds: float
    group: bool


@dataclass(frozen=True, kw_only=True)
class KilledRun:
    """What became of one run.

    Attributes:
        killed: whether it was still running at its moment.
        unfinished: stages whose build was under way when it was killed.
        left_over: command lines of processes that lived on after five seconds.
        output: what it printed.
    """

    killed: bool
    unfinished: tuple[str, ...]
    left_over: tuple[str, ...]
    output: str


def marked_processes(mark: str) -> list[psutil.Process]:
    """All live processes that have the mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


def wait_until_gone(mark: str, seconds: float = LEFT_OVER_SECONDS) -> tuple[str, ...]:
    """Command lines of the marked processes that still live after `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := marked_processes(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    lines = []
    for process in left:
        try:
            lines.append(" ".join(process.cmdline())[:200])
        except psutil.NoSuchProcess:
            continue
    return tuple(lines)


def stages_being_built(home: Path) -> tuple[str, ...]:
    """Stages whose build began and did not end."""
    return tuple(sorted(path.parts[-3] for path in home.glob(f"artifacts/*/*/{BUILDING}")))


@dataclass
class KillHarness:
    """Runs one command again and again in one home.

    Attributes:
        command: program and arguments.
        home: its HEADRACE_HOME.
        cwd: where it runs.
        max_seconds: a run that takes longer is killed and counts as hung.
    """

    command: Sequence[str]
    home: Path
    cwd: Path
    max_seconds: float = 600.0

    def _start(self, mark: str, log: Path) -> subprocess.Popen[bytes]:
        environment = os.environ | {MARK: mark, "HEADRACE_HOME": str(self.home)}
        environment.pop("PREFECT_API_URL", None)
        environment.pop("PREFECT_HOME", None)
        with log.open("wb") as output:
            return subprocess.Popen(
                list(self.command), cwd=self.cwd, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def run(self) -> str:
        """Run undisturbed; returns the output.

        Raises:
            AssertionError: it failed, hung, or left a process behind.
        """
        mark = f"{os.getpid()}-{time.monotonic_ns()}"
        log = self.home.with_name(f"{self.home.name}-{mark}.log")
        process = self._start(mark, log)
        code = process.wait(self.max_seconds)
        output = log.read_text(errors="replace")
        assert code == 0, f"exit code {code}\n{output[-4000:]}"
        assert wait_until_gone(mark) == ()
        return output

    def run_and_kill(self, moment: Moment) -> KilledRun:
        """Run and kill at `moment`; a run that ends before it is told as not killed."""
        mark = f"{os.getpid()}-{time.monotonic_ns()}"
        log = self.home.with_name(f"{self.home.name}-{mark}.log")
        process = self._start(mark, log)
        deadline = time.monotonic() + self.max_seconds
        while process.poll() is None and moment.stage not in stages_being_built(self.home):
            assert time.monotonic() < deadline, f"{moment.stage} never began"
            time.sleep(0.005)
        end = time.monotonic() + moment.seconds
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        killed = process.poll() is None
        if killed:
            self._kill(process, group=moment.group)
        process.wait()
        return KilledRun(
            killed=killed,
            unfinished=stages_being_built(self.home) if killed else (),
            left_over=wait_until_gone(mark),
            output=log.read_text(errors="replace"),
        )

    @staticmethod
    def _kill(process: subprocess.Popen[bytes], *, group: bool) -> None:
        try:
            if group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def random_moments(stages: Sequence[str], seconds: dict[str, float], *, seed: int) -> list[Moment]:
    """One moment inside each stage, at a random share of its length, group and process in turn."""
    generator = random.Random(seed)
    return [
        Moment(
            stage=stage,
            seconds=generator.uniform(0.0, 0.9) * seconds.get(stage, 0.1),
            group=index % 2 == 0,
        )
        for index, stage in enumerate(stages)
    ]


def digests(home: Path) -> dict[str, str]:
    """Digest of every finished artifact, by stage and key."""
    from headrace.artifacts import Runtime, Store

    store = Store(Runtime(home=home))
    return {f"{item.stage}/{item.key}": item.digest for item in store.artifacts()}


SHOWN_STATE = re.compile(r"^(?P<stage>\w+) +(?P<state>Cached|Healed|Completed) ", re.MULTILINE)


def states(output: str) -> dict[str, str]:
    """State of each stage in the table that a run prints."""
    return {match["stage"]: match["state"] for match in SHOWN_STATE.finditer(output)}


def headrace(*arguments: str) -> list[str]:
    """The command line of `headrace`, run by this interpreter."""
    return [sys.executable, "-m", "flows.commands", *arguments]
