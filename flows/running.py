"""Runs a flow in this process: server, dead runs, log lines, and what Prefect is still to get."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from flows.dead_runs import close_dead_runs
from flows.embedded_server import prefect_api
from headrace import summary
from headrace.artifacts import Store
from headrace.artifacts.owners import Owner
from headrace.artifacts.runs import RunRecord, load_run
from headrace.artifacts.runtime import HOME_VARIABLE, RUN_VARIABLE, WORKERS_VARIABLE

if TYPE_CHECKING:
    from flows.pipelines import Pipeline

FLUSH_SECONDS = 10.0

logger = logging.getLogger("headrace.runs")


def run_flow(
    pipeline: Pipeline,
    config: BaseModel,
    *,
    store: Store,
    name: str,
    flow_run_id: str | None = None,
) -> None:
    """Run a pipeline under a name.

    Args:
        pipeline: which one.
        config: its settings.
        store: where its artifacts are.
        name: what the run is kept under.
        flow_run_id: an earlier flow run of which this is to be the next attempt; a new one if
            the server does not know it.

    Raises:
        ConfigError: that earlier run is not over.
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
    with (
        _environment(environment), store.reading(), prefect_api(home) as url, Owner(home) as owner,
    ):  # fmt: skip
        import prefect
        from prefect.flow_engine import run_flow as prefect_run_flow

        flow = getattr(importlib.import_module(pipeline.module), pipeline.function)
        quiet_prefect()
        close_dead_runs(home)
        try:
            earlier = _retried(flow_run_id, owner.tag)
            with prefect.tags(owner.tag), _heartbeats(url):
                if earlier is None:
                    flow(config)
                else:
                    prefect_run_flow(flow, flow_run=earlier, parameters={"config": config})
        finally:
            flush_to_prefect(owner.tag)


@contextmanager
def _heartbeats(url: str) -> Iterator[None]:
    """Heartbeats to another machine's server only.

    On this machine the owner's lock tells more, and sooner, that a run died; and Prefect waits up
    to a second at each run's end for the thread that sends them.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    is_local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None} if is_local else {}):
        yield


def run_and_tell(
    pipeline: Pipeline,
    config: BaseModel,
    *,
    store: Store,
    name: str,
    flow_run_id: str | None = None,
) -> None:
    """Run a pipeline (see `run_flow`) and print its table of stages and its results."""
    started = time.time()
    try:
        run_flow(pipeline, config, store=store, name=name, flow_run_id=flow_run_id)
    finally:
        sys.stdout.write(summary.stage_table(store, name, since=started))
    sys.stdout.write(summary.results(store, name))
    sys.stdout.write(f"{pipeline.name}: done in {time.time() - started:.1f} s\n")


def _retried(flow_run_id: str | None, tag: str) -> Any:
    """An earlier flow run, scheduled for its next attempt; None for a new one."""
    if flow_run_id is None:
        return None
    from prefect.client.orchestration import get_client
    from prefect.states import AwaitingRetry

    from flows.retrying import check_terminal, find_flow_run

    run = find_flow_run(flow_run_id)
    if run is None or run.deployment_id is not None:
        return None
    check_terminal(run)
    state: Any = AwaitingRetry(message="retried with `headrace retry`")
    with get_client(sync_client=True) as client:
        client.update_flow_run(run.id, tags={*run.tags, tag})
        client.set_flow_run_state(run.id, state, force=True)
        return client.read_flow_run(run.id)


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


def quiet_prefect() -> None:
    """Take Prefect's console handlers away; its logs still reach the server and the UI.

    Prefect sets its logging up when `prefect.main` is imported; that must not come later.
    """
    import prefect.main  # noqa: F401 (sets Prefect's logging up, which this changes)
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
