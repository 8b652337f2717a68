"""The one cache rule: the store decides, Prefect shows.

Every task calls `run_stage`, which opens or builds one artifact and returns a completed state that
is *named* Cached, Healed or Completed. Prefect's own caching is off: its policies cannot see what
lies below a thin task or behind a path. What travels between tasks is a link (stage, key, digest).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from prefect import runtime as prefect_runtime
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from headrace.artifacts import (
    Artifact,
    InputLink,
    Opened,
    Runtime,
    Stage,
    Store,
    resolve_home,
)
from headrace.artifacts.lineage import find_link
from headrace.artifacts.planning import PLANNER, PlannedLink
from headrace.artifacts.runs import RunRecord, load_run
from headrace.artifacts.runtime import RUN_VARIABLE, WORKERS_VARIABLE, available_cores
from headrace.config import StageConfig
from headrace.corpus.sources.inputs import open_input, plan_input
from headrace.errors import MissingInputError, is_retryable
from headrace.logs import lines_of
from headrace.retries import FIRST_PAUSE_SECONDS, JITTER, MAX_RETRIES
from tasks import watching

logger = logging.getLogger("headrace.tasks")


def _worth_retrying(_task: Any, _run: Any, state: State[Any]) -> bool:
    error = state.data if isinstance(state.data, BaseException) else None
    if error is None:
        error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and is_retryable(error)


STAGE_TASK: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": MAX_RETRIES,
    "retry_delay_seconds": exponential_backoff(backoff_factor=FIRST_PAUSE_SECONDS),
    "retry_jitter_factor": JITTER,
    "retry_condition_fn": _worth_retrying,
}
"""Options of every stage's task."""


RUN_NAMES: dict[str, str] = {}
"""Names of this process's flow runs by their Prefect id, where they were given one."""


def open_store(reporter: watching.ProgressReporter | None = None) -> Store:
    """The store of this process's HEADRACE_HOME."""
    num_workers = int(os.environ.get(WORKERS_VARIABLE) or available_cores())
    return Store(
        Runtime(
            home=resolve_home(),
            num_workers=num_workers,
            on_progress=reporter,
            on_plot=reporter.offer_plot if reporter else None,
        )
    )


def run_name() -> str:
    """The name under which this run is kept from garbage collection."""
    given = RUN_NAMES.get(str(prefect_runtime.flow_run.id)) or os.environ.get(RUN_VARIABLE)
    return given or str(prefect_runtime.flow_run.flow_name or "unnamed").replace("-", "_")


def _resolve(store: Store, link: InputLink) -> Artifact:
    artifact = find_link(store, link)
    if artifact is None:
        raise MissingInputError(
            f"{link.stage} {link.key[:12]} is not in the store {store.root}: it was removed while "
            "the run went on, or this worker uses another HEADRACE_HOME"
        )
    return artifact


def run_stage(
    stage: Stage, config: StageConfig, inputs: Mapping[str, Any], *, step: str | None = None
) -> State[InputLink] | PlannedLink:
    """Open or build the artifact of a stage, and show it in Prefect; or only plan it.

    Args:
        stage: which stage.
        config: its frozen settings.
        inputs: links to its named inputs.
        step: the step's name in the run, where one stage serves two steps.

    Returns:
        A completed state named Cached, Healed or Completed; its data is the artifact's link. While
        a planner is active, what it plans.
    """
    name = step or stage.name
    planner = PLANNER.get()
    if planner is not None:
        return planner.plan_stage(stage, config, inputs, name)
    with watching.ProgressReporter(name, run_name()) as reporter:
        store = open_store(reporter)
        artifacts = {key: _resolve(store, link) for key, link in inputs.items()}
        opened = store.open_or_build(stage, config, artifacts)
    return finish(store, name, opened)


def run_source(path: str, *, step: str = "source") -> State[InputLink] | PlannedLink:
    """Take a raw input (a path, a URL, a wiki's dump) into the store; see `run_stage`."""
    planner = PLANNER.get()
    if planner is not None:
        return plan_input(planner, planner.store, path, step)
    with watching.ProgressReporter(step, run_name()) as reporter:
        store = open_store(reporter)
        opened = open_input(store, path)
    return finish(store, step, opened)


def finish(store: Store, step: str, opened: Opened) -> State[InputLink]:
    """Note an opened artifact in the run's record and in Prefect; returns the named state."""
    record = load_run(store.runtime.home, run_name())
    if record is None:
        pipeline = str(prefect_runtime.flow_run.flow_name or "")
        record = RunRecord(home=store.runtime.home, name=run_name(), pipeline=pipeline, config={})
    record.note(step, opened)
    artifact = opened.artifact
    message = (
        f"{artifact.stage} {artifact.key[:12]}: {artifact.counts.get('rows', 0):,} rows, "
        f"{artifact.num_bytes:,} bytes in {opened.seconds:.1f} s"
    )
    with lines_of(watching.origin_of(step, run_name())):
        reason = f" ({opened.reason})" if opened.reason else ""
        logger.info("%-9s %s%s", opened.outcome.value, message, reason)
    try:
        watching.show_artifact(step, opened)
        watching.drain_stage(opened.outcome)
    except Exception as error:  # noqa: BLE001 (watching must not break the work)
        logger.warning("%s: its tables and plots could not be sent to Prefect: %r", step, error)
    return Completed(name=opened.outcome.value, message=message, data=artifact.link())
