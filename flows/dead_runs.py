"""Runs that a dead command left `Running` are closed by the next command.

Each command holds a lock on a file named by a token, and its flow runs carry the token as a tag.
A run whose token's lock can be taken has no living owner, whatever its state says.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace.artifacts import locks
from headrace.errors import StoreError

TAG_PREFIX = "headrace-owner:"
LIVE_STATES = ("RUNNING", "PENDING", "CANCELLING")

logger = logging.getLogger("headrace.runs")


def _owners(home: Path) -> Path:
    return home / "prefect" / "owners"


@contextlib.contextmanager
def owner_tag(home: Path) -> Iterator[str]:
    """A tag for this command's flow runs, which says that they live as long as it does."""
    token = secrets.token_hex(8)
    path = _owners(home) / token
    descriptor = locks.try_lock(path)
    if descriptor is None:
        raise StoreError(
            f"{path}: a new file could not be locked: check the file system of the home"
        )
    try:
        yield TAG_PREFIX + token
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _is_dead(home: Path, tags: list[str]) -> bool:
    tokens = [tag.removeprefix(TAG_PREFIX) for tag in tags if tag.startswith(TAG_PREFIX)]
    for token in tokens:
        path = _owners(home) / token
        if not path.exists():
            continue
        descriptor = locks.try_lock(path)
        if descriptor is None:
            return False
        os.close(descriptor)
        path.unlink(missing_ok=True)
    return bool(tokens)


def close_dead_runs(home: Path) -> int:
    """Set flow runs (and their task runs) of dead commands to Crashed; returns how many.

    Needs PREFECT_API_URL; imports Prefect.
    """
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed

    state: Any = Crashed(message="the command that ran it is gone; run it again to go on")
    closed = 0
    with get_client(sync_client=True) as client:
        for run in _live_runs(client):
            if not _is_dead(home, run.tags):
                continue
            for task_run in _live_task_runs(client, run.id):
                client.set_task_run_state(task_run.id, state, force=True)
            client.set_flow_run_state(run.id, state, force=True)
            logger.info("run %s of a dead command is closed as Crashed", run.name)
            closed += 1
    return closed


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


def _live_task_runs(client: Any, flow_run_id: Any) -> list[Any]:
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterId,
        TaskRunFilter,
        TaskRunFilterState,
        TaskRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType

    types = [StateType(name) for name in LIVE_STATES]
    return list(
        client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
            task_run_filter=TaskRunFilter(
                state=TaskRunFilterState(type=TaskRunFilterStateType(any_=types))
            ),
        )
    )
