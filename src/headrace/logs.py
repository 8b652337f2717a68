"""Which run and stage a log line comes from: also lines of threads and of pool workers.

`lines_of` names the origin for everything below it; a thread takes it over by running in a copy of
its starter's context, a worker process by sending its records home (`forwarded_records`).
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing.context import SpawnContext
from multiprocessing.queues import SimpleQueue
from typing import Any

ROOT_LOGGER = "headrace"
POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a line comes from.

    Attributes:
        run_name: the run's name as people call it.
        run_id: its id in Prefect.
        step: the step of the pipeline.
    """

    run_name: str
    run_id: str
    step: str


_origin: contextvars.ContextVar[Origin | None] = contextvars.ContextVar("origin", default=None)


def current_origin() -> Origin | None:
    """What this thread works for, if it was told."""
    return _origin.get()


@contextlib.contextmanager
def lines_of(origin: Origin) -> Iterator[None]:
    """Everything logged in the block comes from `origin`."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


class LabelledFormatter(logging.Formatter):
    """Another formatter's lines, ours with "[run step]" before the message.

    For terminals that several runs share, such as a worker's.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The record as one text."""
        origin = current_origin()
        if origin is None or record.name.partition(".")[0] != ROOT_LOGGER:
            return self.inner.format(record)
        labelled = copy.copy(record)
        labelled.msg = f"[{origin.run_name} {origin.step}] {record.getMessage()}"
        labelled.args = ()
        return self.inner.format(labelled)


class _SendHome(QueueHandler):
    """Puts records on a queue that is written at once, without a thread of its own."""

    def __init__(self, queue: SimpleQueue[Any]) -> None:
        super().__init__(queue)  # type: ignore[arg-type]
        self._home = queue

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a record whose message is text already."""
        self._home.put(record)


def send_records_home(queue: SimpleQueue[Any], level: int) -> None:
    """In a worker process: hand our log lines to the process that started it."""
    logger = logging.getLogger(ROOT_LOGGER)
    logger.handlers[:] = [_SendHome(queue)]
    logger.setLevel(level)
    logger.propagate = False


@contextlib.contextmanager
def forwarded_records(context: SpawnContext) -> Iterator[tuple[SimpleQueue[Any], int]]:
    """Take in the log lines of worker processes, as if they were logged here.

    Yields:
        The arguments of `send_records_home` for each worker.
    """
    queue: SimpleQueue[Any] = context.SimpleQueue()
    done = threading.Event()

    def take_all() -> None:
        # Polled, because a worker that was killed while writing never lets go of the queue's lock.
        while True:
            if not queue.empty():
                record = queue.get()
                logging.getLogger(record.name).handle(record)
            elif done.wait(POLL_SECONDS) and queue.empty():
                return

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(take_all,), name="worker-lines", daemon=True
    )
    thread.start()
    try:
        yield queue, logging.getLogger(ROOT_LOGGER).getEffectiveLevel()
    finally:
        done.set()
        thread.join(timeout=2.0)
        if not thread.is_alive():
            queue.close()
