"""Where and how a stage runs: everything that must not bear on what it writes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace.config import StageConfig
from headrace.errors import ConfigError
from headrace.processes import exit_with_parent

logger = logging.getLogger(__name__)

HOME_VARIABLE = "HEADRACE_HOME"
WORKERS_VARIABLE = "HEADRACE_WORKERS"
RUN_VARIABLE = "HEADRACE_RUN"
PROGRESS_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class ProgressEvent:
    """How far a stage is: `done` of `total` (None: unknown) `unit`s, `rate` of them a second."""

    stage: str
    done: float
    total: float | None
    unit: str
    rate: float
    detail: str

    def __str__(self) -> str:
        share = f"/{self.total:,.0f} ({self.done / self.total:.0%})" if self.total else ""
        detail = f", {self.detail}" if self.detail else ""
        speed = f"{self.rate:,.1f} {self.unit}/s"
        return f"{self.stage}: {self.done:,.0f}{share} {self.unit}, {speed}{detail}"


class Progress:
    """Turns a stage's counts into events, at most one in two seconds, the last one always."""

    def __init__(self, stage: str, listener: Callable[[ProgressEvent], None] | None) -> None:
        self._stage = stage
        self._listener = listener
        self._start = time.monotonic()
        self._first: float | None = None
        self._last_told = 0.0
        self._told_end = False

    def __call__(self, done: float, total: float | None, unit: str, detail: str = "") -> None:
        """Tell that `done` of `total` units are finished."""
        now = time.monotonic()
        if self._first is None:
            # What a resumed stage finds finished is not speed: rates count from the first call.
            self._first, self._start = done, now
        finished = total is not None and done >= total
        ended = finished and not self._told_end
        if not ended and now - self._last_told < PROGRESS_SECONDS:
            return
        self._last_told, self._told_end = now, finished
        rate = (done - self._first) / max(now - self._start, 1e-3)
        event = ProgressEvent(
            stage=self._stage, done=done, total=total, unit=unit, rate=rate, detail=detail
        )
        logger.info("%s", event)
        if self._listener is not None:
            self._listener(event)


@contextmanager
def process_pool(num_workers: int) -> Iterator[Executor]:
    """A pool of spawned processes which end with this one, even if it is killed."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, mp_context=context, initializer=exit_with_parent)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where and how stages run.

    Attributes:
        home: the project's own directory (`HEADRACE_HOME`), absolute.
        num_workers: processes that work on shards at once.
        on_progress: told how far a stage is.
        open_executor: gives the executor for a number of workers; processes by default.
    """

    home: Path
    num_workers: int = 1
    on_progress: Callable[[ProgressEvent], None] | None = None
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
