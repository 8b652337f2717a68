"""Runs that lost their worker are started again by themselves, a few times, after a pause.

A run whose worker died goes on from what is finished, so another try is worth it
(`errors.is_retryable(WorkerLostError)`); one whose own process was killed is not tried again, since
lack of memory looks just so. The try is Prefect's own retry: same run, next attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flows.dead_runs import close_dead_runs
from headrace.errors import WorkerLostError, is_retryable
from headrace.retries import MAX_RETRIES, delay_seconds

LOOK_BACK_SECONDS = 20.0
"""A worker's runs may have been told as crashed so long before its death was seen."""

logger = logging.getLogger("headrace.up")


def recover_runs(home: Path, *, lost_pools: Collection[str], just_now: bool) -> int:
    """Close this home's abandoned runs, and schedule those that a lost worker left behind.

    Needs PREFECT_API_URL; imports Prefect.

    Args:
        home: whose runs.
        lost_pools: work pools that have no worker, so that none of their runs is alive.
        just_now: the workers died a moment ago by themselves. Runs that crashed meanwhile are then
            taken up too; after a stop on purpose they wait for somebody's retry.

    Returns:
        How many runs will be tried again.
    """
    closed = close_dead_runs(home, pools=lost_pools)
    ids = {run.id for run in closed if run.deployment_id is not None}
    if just_now:
        ids |= set(_just_crashed(lost_pools))
    return sum(schedule_again(run_id) for run_id in sorted(ids))


def schedule_again(flow_run_id: Any) -> bool:
    """Schedule another attempt of a crashed run, unless it has had them all."""
    from prefect.client.orchestration import get_client
    from prefect.states import AwaitingRetry

    from tasks.runs import close_task_runs

    error = WorkerLostError("the worker that ran it is gone")
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(flow_run_id)
        num_failures = max(1, run.run_count)
        if not is_retryable(error) or num_failures > MAX_RETRIES:
            logger.warning("run %s lost its worker %d times: it stays", run.name, num_failures)
            return False
        pause = delay_seconds(num_failures)
        state: Any = AwaitingRetry(
            scheduled_time=datetime.now(UTC) + timedelta(seconds=pause),
            message=f"its worker was lost; attempt {num_failures + 1} in {pause:.0f} s",
        )
        close_task_runs(client, run.id)
        client.set_flow_run_state(run.id, state, force=True)
    logger.info("run %s lost its worker: it is tried again in %.0f s", run.name, pause)
    return True


def _just_crashed(pools: Collection[str]) -> list[Any]:
    """Runs of these pools that were told as crashed while their worker went down."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterEndTime,
        FlowRunFilterState,
        FlowRunFilterStateType,
        WorkPoolFilter,
        WorkPoolFilterName,
    )
    from prefect.client.schemas.objects import StateType

    if not pools:
        return []
    since = datetime.now(UTC) - timedelta(seconds=LOOK_BACK_SECONDS)
    crashed = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
        end_time=FlowRunFilterEndTime(after_=since),
    )
    in_pools = WorkPoolFilter(name=WorkPoolFilterName(any_=list(pools)))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=crashed, work_pool_filter=in_pools)
    return [run.id for run in runs if run.deployment_id is not None]
