"""Where and how a stage runs: everything that must not bear on what it writes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from headrace.config import StageConfig
from headrace.errors import ConfigError
from headrace.logs import forwarded_records, send_records_home
from headrace.processes import exit_with_parent

logger = logging.getLogger(__name__)

HOME_VARIABLE = "HEADRACE_HOME"
WORKERS_VARIABLE = "HEADRACE_WORKERS"
RUN_VARIABLE = "HEADRACE_RUN"
REPORTS_URL_VARIABLE = "HEADRACE_REPORTS_URL"
"""Where the home's reports are served, if anywhere: `headrace up` sets it."""
PROGRESS_SECONDS = 2.0

Draw = Callable[[], bytes]
"""Draws a picture of the work so far as a PNG file; b"" while there is nothing to see."""


@dataclass(frozen=True, kw_only=True)
class ProgressEvent:
    """How far a stage is.

    Attributes:
        stage: the stage's name.
        done: units finished.
        total: units in all; None where it is not known beforehand.
        unit: what is counted.
        rate: units a second.
        detail: anything else worth a few words.
        share: fraction of the work that is done, 0 to 1; None where it is not known.
        seconds_left: at the rate so far; None where it is not known.
        counts: rows, bytes, drops and quarantined records of the shards finished so far.
    """

    stage: str
    done: float
    total: float | None
    unit: str
    rate: float
    detail: str
    share: float | None = None
    seconds_left: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        total = f"/{self.total:,.0f}" if self.total else ""
        share = f" ({self.share:.0%})" if self.share is not None else ""
        detail = f", {self.detail}" if self.detail else ""
        left = f", {describe_seconds(self.seconds_left)} left" if self.seconds_left else ""
        speed = f"{describe_rate(self.rate)} {self.unit}/s"
        return f"{self.stage}: {self.done:,.0f}{total}{share} {self.unit}, {speed}{detail}{left}"


def describe_rate(rate: float) -> str:
    """A rate with the digits that matter: '1,234.5', '0.04'."""
    return f"{rate:,.1f}" if rate >= 1 or rate == 0 else f"{rate:.2g}"


def describe_seconds(seconds: float) -> str:
    """A duration in the two units that matter: '8 s', '4 min 05 s', '3 h 20 min', '2 d 04 h'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600:02} h"


class Progress:
    """Turns a stage's counts into events, at most one in two seconds, the last one always."""

    def __init__(
        self,
        stage: str,
        listener: Callable[[ProgressEvent], None] | None,
        counts: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._stage = stage
        self._listener = listener
        self._counts = counts
        self._start = time.monotonic()
        self._first: tuple[float, float] | None = None
        self._last_told = 0.0
        self._told_end = False

    def __call__(
        self,
        done: float,
        total: float | None,
        unit: str,
        detail: str = "",
        *,
        share: float | None = None,
    ) -> None:
        """Tell that `done` of `total` units are finished.

        Args:
            done: units finished.
            total: units in all, if known.
            unit: what is counted.
            detail: anything else worth a few words.
            share: fraction of the work that is done, where the total of units does not tell it.
        """
        now = time.monotonic()
        if share is None and total:
            share = min(done / total, 1.0)
        if self._first is None:
            # What a resumed stage finds finished is not speed: rates count from the first call.
            self._first, self._start = (done, share or 0.0), now
        finished = share is not None and share >= 1.0
        ended = finished and not self._told_end
        if not ended and now - self._last_told < PROGRESS_SECONDS:
            return
        self._last_told, self._told_end = now, finished
        elapsed = max(now - self._start, 1e-3)
        gained = (share or 0.0) - self._first[1]
        event = ProgressEvent(
            stage=self._stage,
            done=done,
            total=total,
            unit=unit,
            rate=(done - self._first[0]) / elapsed,
            detail=detail,
            share=share,
            seconds_left=elapsed * (1.0 - share) / gained if share and gained > 0 else None,
            counts=self._counts(),
        )
        logger.info("%s", event)
        if self._listener is not None:
            self._listener(event)


@contextmanager
def process_pool(num_workers: int) -> Iterator[Executor]:
    """A pool of spawned processes which end with this one, even if it is killed.

    What they log is logged here.
    """
    context = multiprocessing.get_context("spawn")
    with forwarded_records(context) as lines:
        pool = ProcessPoolExecutor(
            num_workers, mp_context=context, initializer=_start_worker, initargs=lines
        )
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(queue: SimpleQueue[Any], level: int) -> None:
    exit_with_parent()
    send_records_home(queue, level)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where and how stages run.

    Attributes:
        home: the project's own directory (`HEADRACE_HOME`), absolute.
        num_workers: processes that work on shards at once.
        on_progress: told how far a stage is.
        on_plot: told the name of a plot and how to draw it as it is now; called once a plot.
        open_executor: gives the executor for a number of workers; processes by default.
    """

    home: Path
    num_workers: int = 1
    on_progress: Callable[[ProgressEvent], None] | None = None
    on_plot: Callable[[str, Draw], None] | None = None
    open_executor: Callable[[int], object] = process_pool

    def __post_init__(self) -> None:
        if not self.home.is_absolute():
            raise ConfigError(f"home {self.home}: an absolute path is needed")
        if self.num_workers < 1:
            raise ConfigError(f"num_workers = {self.num_workers}: at least 1 is needed")

    @property
    def store_root(self) -> Path:
        """Directory of all artifacts."""
        return self.home / "artifacts"

    @property
    def cache_dir(self) -> Path:
        """For what can be made again at any time (compiled kernels, downloads)."""
        return self.home / "cache"


def resolve_home(value: str | Path | None = None) -> Path:
    """The project's home, absolute: the argument, else $HEADRACE_HOME, else ./.headrace."""
    return Path(value or os.environ.get(HOME_VARIABLE) or ".headrace").expanduser().resolve()


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


class NoConfig(StageConfig):
    """For stages without settings."""
