"""A real `headrace up` as a child process, asked over Prefect's own API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from headrace.processes import free_ports
from tests.harness.killing import MARK, headrace, marked_processes, wait_until_gone

ROOT = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 240.0
RUN_SECONDS = 600.0
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

FoundT = TypeVar("FoundT")


def wait_for(what: str, look: Callable[[], FoundT | None], seconds: float) -> FoundT:
    """Ask again and again until `look` gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.25)
    raise AssertionError(f"{what}: nothing after {seconds} s")


@dataclass
class RunningCockpit:
    """`headrace up` of one home on ports of its own.

    Attributes:
        home: its HEADRACE_HOME.
        environment: variables beside the inherited ones.
    """

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Triton takes three ports in a row: ask for one in a range that is seldom used.
        self.port, self.reports_port, triton = free_ports(3)
        self.triton_port = triton if triton < 65000 else triton - 1000
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.log = self.home.with_name(f"{self.home.name}-up-{self.mark}.log")
        self.ui = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.ui}/api"

    def variables(self) -> dict[str, str]:
        """The environment of `headrace up` and of commands beside it."""
        values = os.environ | {"HEADRACE_HOME": str(self.home), MARK: self.mark} | self.environment
        for name in ("PREFECT_API_URL", "PREFECT_HOME", "HEADRACE_RUN"):
            values.pop(name, None)
        return values

    def start(self) -> RunningCockpit:
        """Start it and wait until it says that all is healthy."""
        command = headrace(
            "up", "--port", str(self.port), "--reports-port", str(self.reports_port),
            "--triton-port", str(self.triton_port),
        )  # fmt: skip
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.variables(), stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + READY_SECONDS
        while "Ready:" not in self.output():
            assert self.process.poll() is None, self.output()[-3000:]
            assert time.monotonic() < deadline, self.output()[-3000:]
            time.sleep(0.2)
        return self

    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self) -> int:
        """Press Ctrl-C; returns the exit code."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)
        return self.process.wait(60)

    def left_over(self, seconds: float = 10.0) -> tuple[str, ...]:
        """Processes of it that still live after so long."""
        return wait_until_gone(self.mark, seconds)

    def kill_leftovers(self) -> None:
        """End whatever a failed test left."""
        for process in marked_processes(self.mark):
            process.kill()

    def services(self) -> dict[str, dict[str, Any]]:
        """What `headrace up` says of its programs."""
        rows = json.loads((self.home / "prefect" / "services.json").read_text())
        return {row["name"]: row for row in rows}

    def ask(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """Send a request to Prefect's API; a body makes it a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.api + path, data=data, headers={"Content-Type": "application/json"}, method=method
        )
        for pause in (1, 2, 4, 8, None):
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    text = response.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                # A busy SQLite database: Prefect's own client waits too.
                if error.code != 503 or pause is None:
                    raise
                time.sleep(pause)
        return None

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment of `pretrain_wikipedia`."""
        found = self.ask("/deployments/filter", {})
        (wanted,) = [item for item in found if item["name"] == name]
        return dict(wanted)

    def add_deployment(self, name: str, config: dict[str, Any]) -> str:
        """Register one more deployment, as `demo` but with other settings; returns its id."""
        demo = self.deployment("demo")
        kept = (
            "flow_id", "entrypoint", "pull_steps", "work_pool_name", "work_queue_name",
            "parameter_openapi_schema", "enforce_parameter_schema", "concurrency_limit",
            "concurrency_options",
        )  # fmt: skip
        body = {key: demo[key] for key in kept if demo.get(key) is not None}
        body |= {"name": name, "parameters": {"config": config}, "concurrency_limit": 1}
        return str(self.ask("/deployments/", body)["id"])

    def start_run(self, deployment_id: str) -> str:
        """Start a run of a deployment; returns its id."""
        run = self.ask(f"/deployments/{deployment_id}/create_flow_run", {})
        return str(run["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """A flow run."""
        return dict(self.ask(f"/flow_runs/{run_id}"))

    def task_states(self, run_id: str) -> dict[str, str]:
        """Name of the newest state of each stage's task in a flow run, by stage."""
        runs = self.ask(
            "/task_runs/filter",
            {"flow_runs": {"id": {"any_": [run_id]}}, "sort": "EXPECTED_START_TIME_ASC"},
        )
        # For a moment a new task run has no state yet.
        return {
            run["name"].rpartition("-")[0]: (run["state"] or {}).get("name", "") for run in runs
        }

    def artifacts(self, run_id: str) -> dict[str, dict[str, Any]]:
        """The newest artifact of each key of a flow run."""
        found = self.ask(
            "/artifacts/filter",
            {"flow_runs": {"id": {"any_": [run_id]}}, "sort": "UPDATED_DESC", "limit": 200},
        )
        newest: dict[str, dict[str, Any]] = {}
        for item in found:
            newest.setdefault(str(item["key"]), item)
        return newest

    def wait_for_end(
        self, run_id: str, *, attempt: int = 1, seconds: float = RUN_SECONDS
    ) -> dict[str, Any]:
        """Wait until an attempt of a run is over; returns the flow run."""

        def ended() -> dict[str, Any] | None:
            try:
                run = self.run(run_id)
            except OSError:  # the server is being started again
                return None
            over = run["state_type"] in FINAL and run["run_count"] >= attempt
            return run if over else None

        return wait_for(f"attempt {attempt} of run {run_id}", ended, seconds)
