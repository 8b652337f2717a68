"""Runs whose process is gone are closed, whatever Prefect's server still says of them.

Each run tells its owner by a tag (`headrace.artifacts.owners`). Commands close their home's
abandoned runs when they begin; `headrace up` does it all the time, and starts again those that a
lost worker left behind. What died on another machine is closed by the heartbeat automation
(`deployments/automations.py`) once three heartbeats are missing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any

from headrace.artifacts.owners import has_owner_tag, is_abandoned
from headrace.artifacts.runs import load_runs

LIVE_STATES = ("RUNNING", "PENDING", "CANCELLING")
MESSAGE = "the process that ran it is gone; a retry goes on from what is finished"

logger = logging.getLogger("headrace.runs")


def close_dead_runs(home: Path, *, pools: Collection[str] = ()) -> list[Any]:
    """Set abandoned flow runs (and their task runs) to Crashed; returns those flow runs.

    One that was being cancelled is Cancelled, and not among them.

    Needs PREFECT_API_URL; imports Prefect.

    Args:
        home: whose runs.
        pools: work pools none of whose workers is alive: their runs that never told an owner are
            abandoned too.
    """
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled, Crashed

    from tasks.runs import close_task_runs

    closed = []
    with get_client(sync_client=True) as client:
        for run in _live_runs(client):
            unowned = run.work_pool_name in pools and not has_owner_tag(run.tags)
            if not unowned and not is_abandoned(home, run.tags):
                continue
            close_task_runs(client, run.id)
            # Who asked for its end gets what was asked for.
            was_cancelled = run.state is not None and run.state.type.value == "CANCELLING"
            state: Any = Cancelled() if was_cancelled else Crashed(message=MESSAGE)
            client.set_flow_run_state(run.id, state, force=True)
            logger.info("run %s lost its process: it is closed as %s", run.name, state.name)
            if not was_cancelled:
                closed.append(run)
    _end_records(home, {str(run.id) for run in closed})
    return closed


def _end_records(home: Path, flow_run_ids: set[str]) -> None:
    if not flow_run_ids:
        return
    for record in load_runs(home):
        if record.flow_run_id in flow_run_ids and not record.ended:
            record.end("Crashed", MESSAGE)


def _live_runs(client: Any) -> list[Any]:
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType

    types = [StateType(name) for name in LIVE_STATES]
    live = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types)))
    return list(client.read_flow_runs(flow_run_filter=live))
