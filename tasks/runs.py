"""What every flow run does at its beginning and at its end, whoever started it.

Hooks of the flow (`@flow(**PIPELINE_FLOW)`), so that a flow's body stays a table of contents and a
run from the UI, a schedule or the command line leaves the same things behind: its record in the
home, its plan as the first artifact, its owner's lock while it lives, its report when it ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed
from pydantic import BaseModel

from headrace.artifacts import resolve_home
from headrace.artifacts.owners import TAG_PREFIX, Owner
from headrace.artifacts.runs import RunRecord, load_run, load_runs
from headrace.artifacts.runtime import REPORTS_URL_VARIABLE, RUN_VARIABLE
from headrace.errors import HeadraceError
from headrace.reports import write_report
from tasks import stage, watching
from tasks.planning import show_plan

LIVE_TYPES = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
CONFIG_PARAMETER = "config"

logger = logging.getLogger("headrace.runs")

_held: dict[str, contextlib.ExitStack] = {}
"""For each flow run of this process, what must be let go at its end: owner's and reader's lock."""


class _OwnErrorsInOneLine(logging.Filter):
    """Takes the traceback from log lines about errors whose message says it all."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every line."""
        if record.exc_info and isinstance(record.exc_info[1], HeadraceError):
            record.exc_info = record.exc_text = None
        return True


_own_errors_in_one_line = _OwnErrorsInOneLine()


def _run_name(home: Path, flow: Any, flow_run: Any, deployment: str) -> str:
    """The name under which a run is kept from garbage collection."""
    if given := os.environ.get(RUN_VARIABLE):
        return given
    for record in load_runs(home):
        if record.flow_run_id == str(flow_run.id):
            return record.name
    return "-".join(part for part in (flow.name, deployment) if part)


def _deployment_name(flow_run: Any) -> str:
    if flow_run.deployment_id is None:
        return ""
    with get_client(sync_client=True) as client:
        return str(client.read_deployment(flow_run.deployment_id).name)


def _tell_owner(flow_run: Any, owner: Owner | None) -> None:
    """Let the run carry its living owner's tag, and no dead one's."""
    with get_client(sync_client=True) as client:
        # A hook's copy of the run may be from before it began.
        known = set(client.read_flow_run(flow_run.id).tags)
        tags = {tag for tag in known if not tag.startswith(TAG_PREFIX)}
        tags |= {owner.tag} if owner else set()
        if tags != known:
            client.update_flow_run(flow_run.id, tags=tags)


def close_task_runs(client: Any, flow_run_id: Any) -> None:
    """Set task runs that a dead process left unfinished to Crashed."""
    state: Any = Crashed(message="the process that ran it is gone")
    unfinished = client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
        task_run_filter=TaskRunFilter(
            state=TaskRunFilterState(type=TaskRunFilterStateType(any_=LIVE_TYPES))
        ),
    )
    for task_run in unfinished:
        client.set_task_run_state(task_run.id, state, force=True)


def begin_run(flow: Any, flow_run: Any, state: Any) -> None:
    """Note the run in its home, take its owner's lock, and show what it is going to do."""
    home = resolve_home()
    with get_client(sync_client=True) as client:
        # The engine's copy does not count this attempt yet.
        attempt = int(client.read_flow_run(flow_run.id).run_count)
        if attempt > 1:
            # An attempt that was killed could not say so of its tasks.
            close_task_runs(client, flow_run.id)
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        # The same filter a second time is not added.
        logging.getLogger(name).addFilter(_own_errors_in_one_line)
    held = _held[str(flow_run.id)] = contextlib.ExitStack()
    _tell_owner(flow_run, held.enter_context(Owner(home)))
    held.enter_context(stage.open_store().reading())
    deployment = _deployment_name(flow_run)
    config: BaseModel = flow.validate_parameters(flow_run.parameters)[CONFIG_PARAMETER]
    name = _run_name(home, flow, flow_run, deployment)
    record = load_run(home, name) or RunRecord(home=home, name=name, pipeline="", config={})
    record.pipeline, record.config = flow.name, config.model_dump(mode="json")
    record.begin(
        flow_run_id=str(flow_run.id),
        flow_run_name=flow_run.name,
        deployment=deployment,
        attempt=attempt,
    )
    stage.RUN_NAMES[str(flow_run.id)] = name
    watching.announce(name, flow_run_id=str(flow_run.id), flow_run_name=flow_run.name)
    show_plan(flow, config, stage.open_store(), flow_run_id=flow_run.id)


def end_run(flow: Any, flow_run: Any, state: Any) -> None:
    """Note how the run ended, and leave its report."""
    home = resolve_home()
    try:
        watching.drain()
        record = load_run(home, _run_name(home, flow, flow_run, _deployment_name(flow_run)))
        if record is not None and record.flow_run_id == str(flow_run.id):
            record.end(_state_name(state), _error_line(state))
            path = write_report(stage.open_store(), record)
            watching.show_link("report", _report_url(home, path), flow_run_id=flow_run.id)
        _tell_owner(flow_run, None)
    finally:
        if held := _held.pop(str(flow_run.id), None):
            held.close()


def _state_name(state: Any) -> str:
    kind = str(state.type.value).capitalize()
    return "Cancelled" if kind == "Cancelling" else kind


def _error_line(state: Any) -> str:
    if state.is_completed():
        return ""
    error = state.data if isinstance(state.data, BaseException) else None
    text = f"{type(error).__name__}: {error}" if error else str(state.message or "")
    return " ".join(text.split())[:2000]


def _report_url(home: Path, path: Path) -> str:
    served = os.environ.get(REPORTS_URL_VARIABLE)
    if served:
        return f"{served}/{path.relative_to(home / 'reports').as_posix()}"
    return path.as_uri()


PIPELINE_FLOW: dict[str, Any] = {
    "persist_result": False,
    "on_running": [begin_run],
    "on_completion": [end_run],
    "on_failure": [end_run],
    "on_cancellation": [end_run],
    "on_crashed": [end_run],
}
"""Options of every pipeline's flow."""
