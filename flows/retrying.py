"""`headrace retry RUN`: a run that failed, crashed or was cancelled goes on from what is finished.

It is Prefect's own retry (same flow run, next attempt), as the UI's button and `prefect flow-run
retry` do it: finished stages are hits, the one that failed goes on from its shards or its newest
checkpoint. A deployment's run is scheduled for a worker; a local one runs in this process.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.dead_runs import close_dead_runs
from flows.embedded_server import prefect_api, running_server
from flows.pipelines import PIPELINES
from headrace.artifacts import Store
from headrace.artifacts.runs import RunRecord, find_run
from headrace.errors import ConfigError, MissingInputError, ServerUnavailableError

POLL_SECONDS = 1.0

logger = logging.getLogger("headrace.runs")


def add_parser(commands: Any, parents: Sequence[argparse.ArgumentParser], open_store: Any) -> None:
    """Add `headrace retry`; `open_store` makes the store of the arguments."""
    retry = commands.add_parser(
        "retry", parents=list(parents), help="go on with a run that failed or was interrupted"
    )
    retry.add_argument(
        "run",
        metavar="RUN",
        help="a run as in `headrace status`, or a flow run by name or id",
    )
    retry.add_argument("--workers", type=int, metavar="N", help="processes (default: all cores)")
    retry.add_argument(
        "--no-wait", action="store_true", help="of a deployment's run: only schedule it"
    )
    retry.set_defaults(function=lambda arguments: retry_run(arguments, open_store(arguments)))


def retry_run(arguments: argparse.Namespace, store: Store) -> int:
    """Find the run and go on with it; returns an exit code."""
    home = store.runtime.home
    record = find_run(home, arguments.run)
    url = os.environ.get("PREFECT_API_URL") or running_server(home)
    if record is not None and record.deployment and not url:
        raise ServerUnavailableError(
            f"{arguments.run} is a run of the deployment {record.deployment}, which a worker runs: "
            "start `headrace up`, then retry"
        )
    with prefect_api(home):
        # One that a dead process left Running is over.
        close_dead_runs(home)
        run = find_flow_run(record.flow_run_id if record else arguments.run)
        if run is not None and run.deployment_id is not None:
            return _retry_on_worker(run, wait=not arguments.no_wait)
        if record is None and run is not None:
            record = _record_of(home, run)
    if record is None:
        raise MissingInputError(
            f"'{arguments.run}': no run of this home or of its Prefect server has this name or id; "
            "`headrace status --all` lists them"
        )
    return _retry_here(record, store)


def _record_of(home: Path, run: Any) -> RunRecord:
    """What an older local run would have as its record; a newer one of its name took the place."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        name = client.read_flow(run.flow_id).name
    config = run.parameters.get("config", {})
    return RunRecord(home=home, name=name, pipeline=name, config=config, flow_run_id=str(run.id))


def find_flow_run(text: str) -> Any:
    """The flow run of a name or id on the server of PREFECT_API_URL, or None.

    Raises:
        MissingInputError: several have this name.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
    from prefect.exceptions import ObjectNotFound

    if not text:
        return None
    with get_client(sync_client=True) as client:
        try:
            return client.read_flow_run(UUID(text))
        except (ValueError, ObjectNotFound):
            named = FlowRunFilter(name=FlowRunFilterName(any_=[text]))
            found = client.read_flow_runs(flow_run_filter=named)
    if len(found) > 1:
        raise MissingInputError(
            f"'{text}': {len(found)} flow runs have this name: give the id, as the UI shows it"
        )
    return found[0] if found else None


def check_terminal(run: Any) -> None:
    """Only a run that is over may be tried again.

    Raises:
        ConfigError: it is not.
    """
    if run.state is None or not run.state.is_final():
        state = run.state.name if run.state else "new"
        raise ConfigError(
            f"run {run.name} is {state}, not failed: wait for its end, or cancel it with "
            f"`prefect flow-run cancel {run.id}`"
        )


def _retry_on_worker(run: Any, *, wait: bool) -> int:
    from prefect.client.orchestration import get_client
    from prefect.states import AwaitingRetry

    check_terminal(run)
    state: Any = AwaitingRetry(message="retried with `headrace retry`")
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, state, force=True)
        sys.stdout.write(f"run {run.name} is scheduled again; a worker will take it up\n")
        if not wait:
            return 0
        seen = ""
        while True:
            now = client.read_flow_run(run.id)
            if now.state and now.state.name != seen:
                seen = now.state.name
                logger.info("run %s: %s", run.name, seen)
            # A cached copy of the end before the retry is no end of the retry.
            if now.state and now.state.is_final() and now.run_count > run.run_count:
                break
            time.sleep(POLL_SECONDS)
    message = f": {now.state.message}" if now.state.message else ""
    sys.stdout.write(f"run {run.name}: {now.state.name}{message}\n")
    return 0 if now.state.is_completed() else 1


def _retry_here(record: RunRecord, store: Store) -> int:
    from flows.running import run_and_tell

    pipeline = PIPELINES.get(record.pipeline)
    if pipeline is None:
        raise ConfigError(
            f"{record.path}: it names the pipeline '{record.pipeline}'; known are "
            f"{', '.join(sorted(PIPELINES))}"
        )
    config = pipeline.check(record.config, source=str(record.path))
    flow_run_id = record.flow_run_id or None
    run_and_tell(pipeline, config, store=store, name=record.name, flow_run_id=flow_run_id)
    return 0
