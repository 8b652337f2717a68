"""Tasks that can be planned: called under a planner they say what they would do, and do nothing.

A flow made of `@stage_task`s can so be called dry, `flow.fn(config)`, without Prefect's engine, a
server or a task run: the flow itself is the one description of what `headrace plan` shows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.tasks import Task

from headrace.artifacts import Store
from headrace.artifacts.planning import PLANNER, plan_flow
from headrace.artifacts.plans import Plan
from headrace.plan_views import plan_markdown, totals_text
from tasks.stage import STAGE_TASK

PLAN_ARTIFACT = "plan"

logger = logging.getLogger("headrace.tasks")


class StageTask(Task[..., Any]):
    """A Prefect task that runs its plain function while a planner is active."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a task, or plan."""
        if PLANNER.get() is None:
            return super().__call__(*args, **kwargs)
        return self._plan(*args, **kwargs)

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Submit to the flow's task runner, or plan."""
        if PLANNER.get() is None:
            return super().submit(*args, **kwargs)
        return self._plan(*args, **kwargs)

    def with_options(self, *args: Any, **kwargs: Any) -> StageTask:
        """A copy with other options."""
        copy: Any = super().with_options(*args, **kwargs)
        copy.__class__ = StageTask  # Prefect makes a plain Task of it
        changed: StageTask = copy
        return changed

    def _plan(
        self, *args: Any, return_state: bool = False, wait_for: Any = None, **kwargs: Any
    ) -> Any:
        return self.fn(*args, **kwargs)


def stage_task(function: Callable[..., Any]) -> StageTask:
    """Decorator of every stage's task."""
    return StageTask(fn=function, **STAGE_TASK)


def plan_pipeline(flow: Any, config: Any, store: Store) -> Plan:
    """What a run of a flow would do; nothing runs, and nothing of Prefect is asked.

    Raises:
        HeadraceError: a raw input is missing or cannot be read.
    """
    return plan_flow(flow.fn, config, store, pipeline=flow.name)


def show_plan(flow: Any, config: Any, store: Store, *, flow_run_id: UUID | None = None) -> None:
    """Publish the plan as a flow run's first artifact; never fails the run."""
    try:
        plan = plan_pipeline(flow, config, store)
        logger.info("plan: %s", totals_text(plan))
        if not plan.fits:
            logger.warning("the plan does not fit on the disk: %s", totals_text(plan))
        with get_client(sync_client=True) as client:
            client.create_artifact(
                ArtifactCreate(
                    type="markdown",
                    key=PLAN_ARTIFACT,
                    description=totals_text(plan),
                    data=plan_markdown(plan),
                    flow_run_id=flow_run_id,
                )
            )
    except Exception as error:  # noqa: BLE001 (watching must not break the work)
        logger.warning("the plan could not be shown: %r", error)
