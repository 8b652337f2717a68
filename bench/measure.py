"""Measures commands as whole processes, ours and a peer's in turn.

On a shared machine absolute times swing by a factor of two; the ratio of two commands run one after
the other, pair by pair, does not. CPU seconds and peak memory are the kernel's own figures for the
process and all its ended children.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MEMORY_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run: wall and CPU seconds, peak resident bytes of the whole tree."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """Two ways to do one piece of work.

    Attributes:
        name: short, unique.
        work: what is done, in words.
        peer: who the other is.
        prepare: makes the input in a directory, once; not measured.
        commands: gives the command lines {"ours": ..., "peer": ...} that read the directory and
            write into a fresh output directory.
        equal: says how the two outputs compare; must begin with "equal" if they do.
        megabytes: size of the input in MB, for rates.
    """

    name: str
    work: str
    peer: str
    prepare: Callable[[Path], None]
    commands: Callable[[Path, Path], Mapping[str, Sequence[str]]]
    equal: Callable[[Path, Path], str]
    megabytes: Callable[[Path], float]


@dataclass(kw_only=True)
class Result:
    """All samples of one case."""

    case: Case
    comparison: str
    megabytes: float
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def median(self, side: str, figure: str) -> float:
        """Median of a figure of one side."""
        return statistics.median(getattr(sample, figure) for sample in self.samples[side])

    def ratios(self, figure: str) -> list[float]:
        """Peer over ours, pair by pair: above 1, ours takes less."""
        pairs = zip(self.samples["peer"], self.samples["ours"], strict=True)
        return [getattr(peer, figure) / max(getattr(ours, figure), 1e-9) for peer, ours in pairs]


class _MemoryWatch(threading.Thread):
    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._process = psutil.Process(pid)
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(MEMORY_POLL_SECONDS):
            total = 0
            try:
                for process in [self._process, *self._process.children(recursive=True)]:
                    total += process.memory_info().rss
            except psutil.NoSuchProcess:
                pass
            self.peak_bytes = max(self.peak_bytes, total)

    def stop(self) -> None:
        self._done.set()
        self.join()


def run_once(command: Sequence[str], cwd: Path) -> Sample:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; the message ends with its output.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    process = subprocess.Popen(
        list(command), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"},
    )  # fmt: skip
    watch = _MemoryWatch(process.pid)
    watch.start()
    output = process.communicate()[0]
    wall = time.monotonic() - start
    watch.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        raise RuntimeError(f"{command}: exit {process.returncode}: {output.decode()[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(wall_seconds=wall, cpu_seconds=cpu, peak_bytes=watch.peak_bytes)


def measure(case: Case, directory: Path, *, num_runs: int, cwd: Path) -> Result:
    """Run both sides in turn, `num_runs` times after one warm-up that is compared, not counted."""
    given = directory / "input"
    given.mkdir(parents=True)
    case.prepare(given)
    samples: dict[str, list[Sample]] = {"ours": [], "peer": []}
    comparison = ""
    for number in range(num_runs + 1):
        outputs = {side: directory / f"{side}-{number}" for side in samples}
        for side, out in outputs.items():
            sys.stderr.write(f"{case.name}: run {number} of {num_runs}, {side}\n")
            sample = run_once(case.commands(given, out)[side], cwd)
            if number:
                samples[side].append(sample)
        if number == 0:
            comparison = case.equal(outputs["ours"], outputs["peer"])
    return Result(
        case=case, comparison=comparison, megabytes=case.megabytes(given), samples=samples
    )
