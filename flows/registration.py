"""What a Prefect server must know before runs can start: pools, deployments, automations.

Registering takes seconds and would undo what users switched in the UI, so it happens only when the
deployments changed, and schedules stay on or off as they were.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.pipelines import PIPELINES
from headrace.artifacts import files
from headrace.errors import ProcessFailedError

DEPLOYMENTS = Path(__file__).resolve().parent.parent / "deployments"
PREFECT_FILE = DEPLOYMENTS / "prefect.yaml"
PROJECT_VARIABLE = "HEADRACE_PROJECT"
"""Where a worker's checkout lies: the deployments' pull step goes there."""
POOLS: dict[str, int] = {"cpu": 2, "gpu": 1}
"""Work pools and how many runs each takes at once: one a GPU; the CPU's are bounded by memory."""
DEPLOY_SECONDS = 180.0

logger = logging.getLogger("headrace.up")


def definition_digest() -> str:
    """Digest of everything a registration depends on: the file and the parameters' schemas."""
    schemas = {name: item.config.model_json_schema() for name, item in sorted(PIPELINES.items())}
    text = PREFECT_FILE.read_text(encoding="utf-8") + json.dumps(schemas, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def register(home: Path, environment: Mapping[str, str]) -> None:
    """Make pools, deployments and automations known to the server of PREFECT_API_URL.

    Raises:
        ProcessFailedError: the server refused something.
    """
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        _create_pools(client)
        before = _schedule_switches(client)
        digest = definition_digest()
        memory = home / "prefect" / "deployed.json"
        if not before or files.read_json(memory) != {"digest": digest}:
            logger.info("registering the deployments of %s", PREFECT_FILE.name)
            # Prefect would write a variable's value in now instead of the worker's later.
            others = {k: v for k, v in environment.items() if k != PROJECT_VARIABLE}
            _run([sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all",
                  "--prefect-file", str(PREFECT_FILE)], others)  # fmt: skip
            _restore_switches(client, before)
            files.write_json(memory, {"digest": digest})
    automations = DEPLOYMENTS / "automations.py"
    _run([sys.executable, str(automations)], environment)


def _create_pools(client: Any) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    for name, limit in POOLS.items():
        pool = WorkPoolCreate(
            name=name,
            type="process",
            base_job_template=ProcessWorker.get_default_base_job_template(),
            concurrency_limit=limit,
        )
        try:
            client.create_work_pool(pool)
        except ObjectAlreadyExists:
            # Its limit may have been changed in the UI: that stays.
            continue


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, cwd=DEPLOYMENTS.parent, env=dict(environment), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=DEPLOY_SECONDS, check=False,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        logger.debug("%s", line)
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())
        tail = said if len(said) < 1600 else f"{said[:800]} ... {said[-800:]}"
        raise ProcessFailedError(
            f"{Path(command[-1]).name}: registering at {os.environ.get('PREFECT_API_URL')} failed "
            f"with exit code {done.returncode}: {tail}"
        )


def _schedule_switches(client: Any) -> dict[str, dict[str, bool]]:
    """For each deployment (`flow/name`) whether the schedule of each slug is on."""
    found: dict[str, dict[str, bool]] = {}
    for deployment in client.read_deployments():
        flow = client.read_flow(deployment.flow_id)
        found[f"{flow.name}/{deployment.name}"] = {
            schedule.slug: schedule.active for schedule in deployment.schedules if schedule.slug
        }
    return found


def _restore_switches(client: Any, before: Mapping[str, Mapping[str, bool]]) -> None:
    for name, switches in before.items():
        deployment = client.read_deployment_by_name(name)
        for schedule in deployment.schedules:
            wanted = switches.get(schedule.slug or "", schedule.active)
            if wanted != schedule.active:
                client.update_deployment_schedule(deployment.id, schedule.id, active=wanted)
