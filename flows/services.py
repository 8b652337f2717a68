"""The long-running programs of `headrace up`: what each is, how it is seen to be well.

Each runs under a guardian (`headrace.processes`), so none outlives the command, however that ends.
One that dies is started again with growing pauses; one that cannot be started is told in words and
does not take the others down.
"""

from __future__ import annotations

import http.client
import json
import logging
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flows.embedded_server import is_healthy
from headrace.artifacts.files import read_json
from headrace.artifacts.runs import load_runs
from headrace.artifacts.store import Store
from headrace.errors import HeadraceError, ProcessFailedError
from headrace.export.triton_repository import KNOWN_ANSWER_NAME, MODELS_FOLDER
from headrace.processes import GuardedProcess
from headrace.retries import delay_seconds
from headrace.serving.installation import find_triton, unsupported_reason
from headrace.serving.server import TritonServer

WORKER_GRACE_SECONDS = 6.0
"""A worker ends its runs first, and training writes a checkpoint; Ctrl-C lasts 10 s at most."""
STEADY_SECONDS = 60.0
"""A program that lived so long starts its pauses anew when it dies."""

logger = logging.getLogger("headrace.up")


@dataclass(kw_only=True)
class Service:
    """One supervised program.

    Attributes:
        name: as in the table of `headrace up` and in its log's name.
        command: program and arguments.
        environment: its whole environment.
        log_path: what it prints.
        url: where people reach it; "" for a worker.
        is_well: asked while it runs; cheap, and false rather than an exception.
        grace_seconds: from SIGTERM to SIGKILL.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    url: str
    is_well: Callable[[], bool]
    grace_seconds: float = 3.5
    state: str = "starting"
    num_deaths: int = 0
    _process: GuardedProcess | None = field(default=None, repr=False)
    _started: float = 0.0
    _next_start: float = 0.0

    @property
    def pid(self) -> int | None:
        """The running program, if it runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the program.

        Raises:
            ProcessFailedError: it is not there or not executable.
        """
        self._process = GuardedProcess(
            self.command, env=self.environment, log_path=self.log_path, name=self.name,
            grace_seconds=self.grace_seconds,
        )  # fmt: skip
        self._started = time.monotonic()
        self.state = "starting"

    def watch(self) -> bool:
        """Look at it, start it again when its pause is over; returns whether it died just now."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._next_start:
                self._start_again(now)
            return False
        code = self._process.poll()
        if code is None:
            well = self.is_well()
            self.state = "running" if well else self.state_while_unwell()
            return False
        tail = " | ".join(line for line in self._process.tail(20).splitlines() if line.strip())
        self._process.stop()
        self._process = None
        self.num_deaths = 1 if now - self._started > STEADY_SECONDS else self.num_deaths + 1
        pause = delay_seconds(self.num_deaths - 1) if self.num_deaths > 1 else 0.0
        self._next_start = now + pause
        self.state = f"ended with exit code {code}; starts again"
        logger.warning(
            "%s ended with exit code %d (%s); it starts again in %.0f s; log: %s",
            self.name, code, tail[-200:] or "it said nothing", pause, self.log_path,
        )  # fmt: skip
        return True

    def _start_again(self, now: float) -> None:
        try:
            self.start()
        except ProcessFailedError as error:
            self.num_deaths += 1
            self._next_start = now + delay_seconds(self.num_deaths)
            self.state = f"failed: {error}"

    def state_while_unwell(self) -> str:
        """What to call a running program that does not answer (yet)."""
        return "starting" if self.state.startswith("starting") else "not answering"

    def stop(self) -> None:
        """End the program and everything below it."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        self.state = "stopped"


class TritonService:
    """Triton with the newest repository that a run of this home left.

    Without one it runs empty. Every start with a model is proved by the repository's known answer.
    """

    name = "triton"

    def __init__(self, store: Store, *, ports: tuple[int, int, int], log_path: Path) -> None:
        self._store = store
        self._ports = ports
        self._log_path = log_path
        self._server: TritonServer | None = None
        self._serving: Path | None = None
        self._failed: tuple[Path | None, float] | None = None
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.state = "starting"

    @property
    def pid(self) -> int | None:
        """Triton's process, if it runs."""
        return self._server.pid if self._server is not None else None

    def newest_repository(self) -> Path | None:
        """Directory of the newest proved repository that a named run used."""
        steps = [
            step
            for run in load_runs(self._store.runtime.home)
            for step in run.steps.values()
            if step.link.stage == "triton_repository"
        ]
        for step in sorted(steps, key=lambda step: step.noted, reverse=True):
            path = self._store.path_of(step.link.stage, step.link.key)
            if read_json(path / "manifest.json") is not None:
                return path
        return None

    def watch(self) -> bool:
        """Serve what is newest; returns whether the server died just now."""
        died = self._server is not None and self._server.exit_code() is not None
        if died:
            logger.warning("Triton ended by itself; it starts again; log: %s", self._log_path)
            self.stop()
        wanted = self.newest_repository()
        if self._server is not None and wanted == self._serving:
            return died
        if self._failed and self._failed[0] == wanted and time.monotonic() < self._failed[1]:
            return died
        self.stop()
        self._start(wanted)
        return died

    def _start(self, repository: Path | None) -> None:
        home = self._store.runtime.home
        installation = find_triton(home)
        if installation is None:
            self.state = unsupported_reason() or "not installed: `make setup` gets it"
            return
        self.state = "starting"
        models = repository / MODELS_FOLDER if repository else home / "prefect" / "no_models"
        models.mkdir(parents=True, exist_ok=True)
        server = TritonServer(
            installation, models, log_path=self._log_path, ports=self._ports, allow_empty=True
        )
        self._server, self._serving = server, repository
        try:
            server.__enter__()
            if repository is not None:
                server.prove(repository / KNOWN_ANSWER_NAME)
            what = repository.name[:12] if repository else "no model yet"
            self.state = f"running: {what}"
            logger.info("Triton serves %s", what)
        except HeadraceError as error:
            self.stop()
            self._failed = (repository, time.monotonic() + STEADY_SECONDS)
            self.state = f"failed: {error}"
            logger.error("Triton: %s", error)

    def stop(self) -> None:
        """End Triton and everything below it."""
        if self._server is not None:
            self._server.stop()
        self._server, self._serving, self.state = None, None, "stopped"


def prefect_server(url: str, port: int, environment: Mapping[str, str], log: Path) -> Service:
    """Prefect's server with its UI and all its services (scheduler, automations, ...)."""
    command = [sys.executable, "-m", "prefect", "server", "start"]
    return Service(
        name="server",
        command=[*command, "--host", "127.0.0.1", "--port", str(port)],
        environment=environment,
        log_path=log,
        url=url.removesuffix("/api"),
        is_well=lambda: is_healthy(url, timeout_seconds=2.0),
    )


def worker(pool: str, url: str, environment: Mapping[str, str], log: Path) -> Service:
    """A worker that runs the flow runs of one work pool as processes."""
    name = f"worker-{pool}"
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "process"]
    return Service(
        name=name,
        command=[*command, "--pool", pool, "--name", name],
        environment=environment,
        log_path=log,
        url="",
        is_well=lambda: _is_online(url, pool, name),
        grace_seconds=WORKER_GRACE_SECONDS,
    )


def report_server(directory: Path, port: int, environment: Mapping[str, str], log: Path) -> Service:
    """The reports of the home's runs, as files over HTTP for links in the UI."""
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    return Service(
        name="reports",
        command=[*command, "--directory", str(directory)],
        environment=environment,
        log_path=log,
        url=url,
        is_well=lambda: _answers(url),
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as response:
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def _is_online(url: str, pool: str, name: str) -> bool:
    request = urllib.request.Request(
        f"{url}/work_pools/{pool}/workers/filter",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=2.0) as response:
            workers = json.load(response)
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return any(item["name"] == name and item["status"] == "ONLINE" for item in workers)
