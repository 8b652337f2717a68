"""Runs a flow in this process: server, dead runs, log lines, and what Prefect is still to get."""

from __future__ import annotations

import importlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from flows.dead_runs import close_dead_runs, owner_tag
from flows.embedded_server import prefect_api
from headrace.artifacts import Store
from headrace.artifacts.runs import RunRecord, load_run
from headrace.artifacts.runtime import HOME_VARIABLE, RUN_VARIABLE, WORKERS_VARIABLE

if TYPE_CHECKING:
    from flows.pipelines import Pipeline

FLUSH_SECONDS = 10.0

logger = logging.getLogger("headrace.runs")


def run_flow(pipeline: Pipeline, config: BaseModel, *, store: Store, name: str) -> Any:
    """Run a pipeline under a name; returns what its flow returns.

    Raises:
        HeadraceError: what the failing stage raised; finished stages are hits the next time.
    """
    home = store.runtime.home
    record = load_run(home, name) or RunRecord(home=home, name=name, pipeline="", config={})
    record.pipeline, record.config = pipeline.name, config.model_dump(mode="json")
    record.save()
    environment = {
        HOME_VARIABLE: str(home),
        RUN_VARIABLE: name,
        WORKERS_VARIABLE: str(store.runtime.num_workers),
    }
    with _environment(environment), store.reading(), prefect_api(home), owner_tag(home) as tag:
        import prefect

        flow = getattr(importlib.import_module(pipeline.module), pipeline.function)
        _quiet_prefect()
        close_dead_runs(home)
        try:
            with prefect.tags(tag):
                return flow(config)
        finally:
            flush_to_prefect(tag)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _WithoutTracebacks(logging.Filter):
    """Keeps Prefect's log lines that a terminal reader can use: no tracebacks, no chatter."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING and record.exc_info is None


def _quiet_prefect() -> None:
    """Take Prefect's console handlers away; its logs still reach the server and the UI.

    Prefect sets its logging up when `prefect.main` is imported, so a flow must be imported before.
    """
    from prefect.logging.handlers import PrefectConsoleHandler

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(_WithoutTracebacks())
    for name in ("", "headrace", "prefect", "prefect.flow_runs", "prefect.task_runs"):
        target = logging.getLogger(name or None)
        target.handlers = [h for h in target.handlers if not isinstance(h, PrefectConsoleHandler)]
    logging.getLogger("prefect").addHandler(handler)
    # Ours are printed by our own handler; the root has none left that would print them twice.


def flush_to_prefect(tag: str | None = None) -> None:
    """Send what Prefect still holds, and wait until the server shows every task's end.

    Task runs reach the database through the server's event queue; a server stopped at once would
    lose the last of them.
    """
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(at_exit=True, timeout=FLUSH_SECONDS)
    APILogWorker.drain_all(at_exit=True, timeout=FLUSH_SECONDS)
    deadline = time.monotonic() + FLUSH_SECONDS
    while tag and time.monotonic() < deadline and _num_open_task_runs(tag):
        time.sleep(0.1)


def _num_open_task_runs(tag: str) -> int:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

    with get_client(sync_client=True) as client:
        runs = client.read_task_runs(
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]))
        )
    return sum(run.state is None or not run.state.is_final() for run in runs)
