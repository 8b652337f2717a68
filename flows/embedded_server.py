"""One loopback Prefect server for those who set nothing up.

With PREFECT_API_URL set, that server is used and nothing is started. Otherwise all commands of one
home share one server: each holds a shared lock, and the server's guardian ends it once nobody
does, however the last one ended. Start: about 3 s, 10 s for a new home.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from headrace.artifacts import files, locks
from headrace.errors import ServerUnavailableError
from headrace.processes import free_ports, hold_shared, start_shared

START_SECONDS = 120.0
HEALTH_SECONDS = 5.0
MAX_LOG_BYTES = 5_000_000
"""The server's log is begun anew past this size."""

IDLE_SERVICES = (
    "SCHEDULER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS", "CANCELLATION_CLEANUP", "TRIGGERS",
)  # fmt: skip

logger = logging.getLogger("headrace.server")


def set_prefect_defaults(home: Path) -> None:
    """Settings that Prefect reads at import; what the user has set stays."""
    defaults = {
        "PREFECT_HOME": str(home / "prefect"),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "headrace",
        # The first start of an embedded server passes the default of 20 s on a loaded machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(int(START_SECONDS)),
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def is_healthy(url: str, timeout_seconds: float = HEALTH_SECONDS) -> bool:
    """Whether a Prefect API answers at `url`."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=timeout_seconds) as response:
            return bool(response.status == 200)
    except (OSError, http.client.HTTPException, ValueError):
        return False


def running_server(home: Path) -> str | None:
    """URL of the home's server, if one lives and answers."""
    directory = home / "prefect"
    known = files.read_json(directory / "server.json")
    try:
        url, pid = str(known["url"]), int(known["pid"])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (TypeError, KeyError, ValueError, OSError):
        return None
    # Another home's server may have got the port that ours had before it died.
    port = url.removesuffix("/api").rpartition(":")[2]
    is_ours = b"prefect" in command and port.encode() in command
    return url if is_ours and is_healthy(url, timeout_seconds=2.0) else None


def _start(directory: Path, users_lock: Path) -> str:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    log_path = directory / "server.log"
    if log_path.exists() and log_path.stat().st_size > MAX_LOG_BYTES:
        log_path.unlink()
    environment = os.environ | {
        # Without this the UI's pages call port 4200 whatever the server's own port is.
        "PREFECT_SERVER_UI_API_URL": url,
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    # Task runs reach the database through the recorder service, so `--no-services` will not do;
    # what serves deployments has no work here.
    for service in IDLE_SERVICES:
        environment.setdefault(f"PREFECT_SERVER_SERVICES_{service}_ENABLED", "false")
    command = [sys.executable, "-m", "prefect", "server", "start"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    logger.info("starting Prefect's server on %s", url)
    pid = start_shared(
        command, users_lock=users_lock, log_path=log_path, env=environment, name="Prefect server"
    )
    deadline = time.monotonic() + START_SECONDS
    while not is_healthy(url, timeout_seconds=1.0):
        if time.monotonic() > deadline or not Path(f"/proc/{pid}").exists():
            tail = log_path.read_text(errors="replace")[-600:].replace("\n", " | ")
            raise ServerUnavailableError(
                f"Prefect's server did not answer on {url}: see {log_path}; its end: {tail}"
            )
        time.sleep(0.1)
    files.write_json(directory / "server.json", {"url": url, "pid": pid})
    return url


@contextlib.contextmanager
def starting(home: Path) -> Iterator[None]:
    """Keep others from starting a server for this home."""
    directory = home / "prefect"
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)  # logs, and the key of stored secrets
    with locks.exclusive(directory / "start.lock", what="Prefect's server"):
        yield


@contextlib.contextmanager
def prefect_api(home: Path) -> Iterator[str]:
    """The URL of a Prefect API that answers, exported as PREFECT_API_URL while in the block.

    Raises:
        ServerUnavailableError: the given server does not answer, or ours does not start.
    """
    set_prefect_defaults(home)
    given = os.environ.get("PREFECT_API_URL")
    if given:
        if not is_healthy(given):
            raise ServerUnavailableError(
                f"PREFECT_API_URL = {given}: no Prefect server answers there: start it, or unset "
                "the variable to use one of our own"
            )
        yield given
        return
    directory = home / "prefect"
    users_lock = directory / "users.lock"
    with starting(home):
        users = hold_shared(users_lock)
        url = running_server(home) or _start(directory, users_lock)
    os.environ["PREFECT_API_URL"] = url
    try:
        yield url
    finally:
        del os.environ["PREFECT_API_URL"]
        os.close(users)
