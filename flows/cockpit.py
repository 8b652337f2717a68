"""`headrace up`: everything a pipeline needs day after day, in one command.

Prefect's server with its UI, a worker for each work pool, Triton with the newest proved model, and
the runs' reports; started, registered, health-checked, started again when they die, and stopped
together. All of it belongs to one home and listens on the loopback address only.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.embedded_server import START_SECONDS, running_server, set_prefect_defaults, starting
from headrace import summary
from headrace.artifacts import Runtime, Store, files, locks, resolve_home
from headrace.artifacts.runtime import HOME_VARIABLE, REPORTS_URL_VARIABLE
from headrace.errors import ConfigError, HeadraceError, ServerUnavailableError, StoreError

PROJECT = Path(__file__).resolve().parent.parent
WEBHOOK_VARIABLE = "HEADRACE_FAILURE_WEBHOOK"
LOOK_SECONDS = 1.0
RECOVER_SECONDS = 5.0
READY_SECONDS = 120.0
EMBEDDED_SECONDS = 10.0

logger = logging.getLogger("headrace.up")


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Loopback ports of `headrace up`; the defaults are those that users of each program expect."""

    server: int = 4200
    reports: int = 4280
    triton_http: int = 8000
    triton_grpc: int = 8001
    triton_metrics: int = 8002

    def check(self) -> None:
        """Make sure that all of them can be had.

        Raises:
            ConfigError: two are the same, or one is no port.
            ServerUnavailableError: another program listens on one.
        """
        taken = list(vars(self).values())
        if len(set(taken)) < len(taken) or not all(0 < port < 65536 for port in taken):
            raise ConfigError(f"ports {taken}: five different ones between 1 and 65535 are needed")
        for name, port in vars(self).items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    option = name.partition("_")[0].replace("server", "port")
                    option = option if option == "port" else f"{option}-port"
                    raise ServerUnavailableError(
                        f"port {port} ({name}) is in use ({error.strerror}): end the program that "
                        f"listens there, or choose another with --{option}"
                    ) from None


def add_parser(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add `headrace up`."""
    defaults = Ports()
    up = commands.add_parser(
        "up", parents=list(parents), help="server, UI, workers and Triton, until Ctrl-C"
    )
    up.add_argument("--port", type=int, default=defaults.server, help="of Prefect's server and UI")
    up.add_argument("--reports-port", type=int, default=defaults.reports)
    up.add_argument(
        "--triton-port", type=int, default=defaults.triton_http,
        help="Triton's HTTP; gRPC and metrics take the next two",
    )  # fmt: skip
    up.set_defaults(function=run_up)


def run_up(arguments: argparse.Namespace) -> int:
    """Start everything, watch it until a signal, stop everything."""
    ports = Ports(
        server=arguments.port,
        reports=arguments.reports_port,
        triton_http=arguments.triton_port,
        triton_grpc=arguments.triton_port + 1,
        triton_metrics=arguments.triton_port + 2,
    )
    home = resolve_home(arguments.home)
    with _stop_signals() as stop, _only_one(home):
        cockpit = Cockpit(Store(Runtime(home=home)), ports, stop)
        try:
            cockpit.start()
            cockpit.watch()
        finally:
            cockpit.stop()
    return 0


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    descriptor = locks.try_lock(home / "prefect" / "up.lock")
    if descriptor is None:
        raise StoreError(
            f"{home}: `headrace up` runs already for this home: {running_server(home) or ''}"
        )
    try:
        yield
    finally:
        os.close(descriptor)


class Cockpit:
    """The running programs of one home.

    Args:
        store: whose home.
        ports: where they listen.
        stop: set when all is to end.
    """

    def __init__(self, store: Store, ports: Ports, stop: threading.Event) -> None:
        # Here, not above: these know Triton's client and must not slow other commands down.
        from flows import services

        self._home = home = store.runtime.home
        self._ports, self._stop = ports, stop
        self._told: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{ports.server}/api"
        logs = home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        (home / "reports").mkdir(exist_ok=True)
        self._environment = self._make_environment()
        # The webhook's address is a secret of the automations' program alone.
        env = {k: v for k, v in self._environment.items() if k != WEBHOOK_VARIABLE}
        self.server = services.prefect_server(self.url, ports.server, env, logs / "server.log")
        from flows.registration import POOLS

        self.workers = {
            pool: services.worker(pool, self.url, env, logs / f"worker-{pool}.log")
            for pool in POOLS
        }
        self.reports = services.report_server(
            home / "reports", ports.reports, env, logs / "reports.log"
        )
        self.triton = services.TritonService(
            store,
            ports=(ports.triton_http, ports.triton_grpc, ports.triton_metrics),
            log_path=logs / "triton.log",
        )
        self._triton_thread = threading.Thread(
            target=self._watch_triton, name="triton-watch", daemon=True
        )

    def _make_environment(self) -> Mapping[str, str]:
        from flows.registration import PROJECT_VARIABLE

        set_prefect_defaults(self._home)
        ours = {
            HOME_VARIABLE: str(self._home),
            PROJECT_VARIABLE: str(PROJECT),
            REPORTS_URL_VARIABLE: f"http://127.0.0.1:{self._ports.reports}",
            "PREFECT_API_URL": self.url,
            # Without this the UI's pages call port 4200 whatever the server's own port is.
            "PREFECT_SERVER_UI_API_URL": self.url,
            "PYTHONUNBUFFERED": "1",
        }
        defaults = {
            # A run that starts from the UI should not wait long for a worker to look.
            "PREFECT_WORKER_QUERY_SECONDS": "3",
            # A schedule that was just switched on is seen within so long; 60 by default.
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "10",
            # A server that is started again is away for some ten seconds.
            "PREFECT_CLIENT_MAX_RETRIES": "8",
            # Kept in memory, the leases of concurrency limits would be lost with the server, and
            # Prefect ends a run whose lease is gone.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
                "prefect.server.concurrency.lease_storage.filesystem"
            ),
            # Runs that died while the server was away are told only if it remembers it watched.
            "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "P1D",
        }
        for name, value in defaults.items():
            os.environ.setdefault(name, value)
        os.environ.update(ours)
        return dict(os.environ)

    def start(self) -> None:
        """Start everything; returns once it is healthy, or a signal came.

        Raises:
            HeadraceError: the server does not start, or it refuses a deployment.
        """
        from flows import registration
        from flows.recovery import recover_runs
        from flows.running import quiet_prefect

        quiet_prefect()
        self._ports.check()
        logger.info("starting Prefect's server on %s", self.url)
        with starting(self._home):
            self._wait_for_embedded()
            self.server.start()
            self._wait(lambda: self.server.state == "running", START_SECONDS, "Prefect's server")
            known = {"url": self.url, "pid": self.server.pid}
            files.write_json(self._home / "prefect" / "server.json", known)
        if self._stop.is_set():
            return
        registration.register(self._home, self._environment)
        # What a power cut or a kill of the last `headrace up` left goes on by itself.
        recover_runs(self._home, lost_pools=list(self.workers), just_now=False)
        for service in (*self.workers.values(), self.reports):
            service.start()
        self._triton_thread.start()
        logger.info("starting the workers and Triton")
        self._wait(self._all_settled, READY_SECONDS, "the workers or Triton")
        if not self._stop.is_set():
            self._tell_ready()

    def _wait_for_embedded(self) -> None:
        deadline = time.monotonic() + EMBEDDED_SECONDS
        while (url := running_server(self._home)) and time.monotonic() < deadline:
            time.sleep(0.2)
        if url:
            raise StoreError(
                f"{self._home}: a `headrace run` of this home is using a Prefect server of its own "
                f"({url}): wait for its end, then `headrace up`"
            )

    def _all_settled(self) -> bool:
        services = (self.server, *self.workers.values(), self.reports)
        triton_settled = self.triton.state != "starting"
        return triton_settled and all(service.state == "running" for service in services)

    def _wait(self, is_done: Any, max_seconds: float, what: str) -> None:
        deadline = time.monotonic() + max_seconds
        while not self._stop.is_set():
            self._look()
            if is_done():
                return
            if time.monotonic() > deadline or self.server.num_deaths > 2:
                raise ServerUnavailableError(
                    f"{what} did not start in {max_seconds:.0f} s: see {self._home / 'logs'}; "
                    f"`headrace doctor` tells what is wrong; {self._states()}"
                )
            self._stop.wait(0.2)

    def _states(self) -> str:
        return ", ".join(f"{item.name}: {item.state}" for item in self._all())

    def _all(self) -> list[Any]:
        return [self.server, *self.workers.values(), self.triton, self.reports]

    def _look(self) -> list[str]:
        """Look at every started program; returns the pools whose worker died just now."""
        lost = []
        if self.server.pid is not None or self.server.num_deaths:
            self.server.watch()
        for pool, service in self.workers.items():
            if (service.pid is not None or service.num_deaths) and service.watch():
                lost.append(pool)
        if self.reports.pid is not None or self.reports.num_deaths:
            self.reports.watch()
        rows = [
            {"name": item.name, "pid": item.pid, "url": item.url, "state": item.state}
            for item in self._all()
            if hasattr(item, "url")
        ]
        if rows != self._told:
            files.write_json(self._home / "prefect" / "services.json", rows)
            self._told = rows
        return lost

    def _watch_triton(self) -> None:
        while not self._stop.is_set():
            try:
                self.triton.watch()
            except Exception:
                if not self._stop.is_set():
                    logger.exception("watching Triton failed; it is tried again")
            self._stop.wait(LOOK_SECONDS)

    def watch(self) -> None:
        """Look at everything until the stop event; starts again what died."""
        from flows.recovery import recover_runs

        lost: set[str] = set()
        next_recovery = time.monotonic() + RECOVER_SECONDS
        while not self._stop.wait(LOOK_SECONDS):
            known_pid = self.server.pid
            lost |= set(self._look())
            if self.server.pid not in (None, known_pid):
                value = {"url": self.url, "pid": self.server.pid}
                files.write_json(self._home / "prefect" / "server.json", value)
            if self.server.state != "running" or time.monotonic() < next_recovery:
                continue
            next_recovery = time.monotonic() + RECOVER_SECONDS
            try:
                recover_runs(self._home, lost_pools=lost, just_now=True)
                lost = set()
            except Exception as error:  # noqa: BLE001 (a server that restarts must not end us)
                logger.warning("runs could not be looked at: %s", error)

    def _tell_ready(self) -> None:
        rows = [[item.name, item.state, item.url or "-"] for item in self._all()]
        sys.stdout.write("\n" + summary.table(["service", "state", "where"], rows))
        sys.stdout.write(
            f"\nReady: {self.url.removesuffix('/api')} is the UI; logs in {self._home / 'logs'}.\n"
            f"For commands elsewhere: export PREFECT_API_URL={self.url}\nCtrl-C stops it all.\n\n"
        )
        sys.stdout.flush()

    def stop(self) -> None:
        """End everything: workers with their runs first, the server last."""
        self._stop.set()
        started = [item for item in self._all() if item.pid is not None]
        if not started:
            return
        logger.info("stopping: runs in progress save what they have")
        others = [item for item in started if item is not self.server]
        threads = [threading.Thread(target=_stop_one, args=(item,)) for item in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._close_runs()
        _stop_one(self.server)
        (self._home / "prefect" / "services.json").unlink(missing_ok=True)
        logger.info("stopped; nothing is left running")

    def _close_runs(self) -> None:
        """Say of runs that had no time to say it themselves that they were interrupted."""
        from flows.dead_runs import close_dead_runs

        if self.server.state != "running":
            return
        try:
            close_dead_runs(self._home, pools=list(self.workers))
        except Exception as error:  # noqa: BLE001 (the next start closes them)
            logger.warning("interrupted runs could not be closed: %s", error)


def _stop_one(service: Any) -> None:
    try:
        service.stop()
    except HeadraceError as error:
        logger.warning("%s: %s", service.name, error)
