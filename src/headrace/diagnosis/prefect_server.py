"""The Prefect server that runs report to: whether it answers, its pages, who reaches it, its data.

Asked over HTTP, so that a broken Prefect in this Python does not keep from looking at it.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from headrace.artifacts import files
from headrace.diagnosis.environment import LOOPBACK_NAMES, UI_VARIABLES, same_address
from headrace.diagnosis.findings import Finding, one_line
from headrace.diagnosis.ports import find_listeners

REQUEST_SECONDS = 5.0
MAX_ANSWER_BYTES = 1 << 20
DATABASE_SECONDS = 10.0
DATABASE_WARNING_BYTES = 2 << 30
DATABASE_VARIABLES = (
    "PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL",
)  # fmt: skip
AUTH_VARIABLE = "PREFECT_API_AUTH_STRING"
SERVER_AUTH_VARIABLE = "PREFECT_SERVER_API_AUTH_STRING"
UNAUTHORIZED = (401, 403)


@dataclass(frozen=True, kw_only=True)
class ServerAddress:
    """Where a server should be.

    Attributes:
        url: of its API; None if none is expected to run.
        origin: what says so, for a reader.
    """

    url: str | None
    origin: str


def find_server(home: Path, environment: Mapping[str, str]) -> ServerAddress:
    """The server of PREFECT_API_URL, else the one that a command of this home keeps running."""
    given = environment.get("PREFECT_API_URL")
    if given:
        return ServerAddress(url=given.rstrip("/"), origin="PREFECT_API_URL")
    path = home / "prefect" / "server.json"
    known = files.read_json(path)
    try:
        url, pid = str(known["url"]), int(known["pid"])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        port = str(urlsplit(url).port).encode()
    except (TypeError, KeyError, ValueError, OSError):
        command, port, url = [], b"", ""
    if b"prefect" in command and port in command:
        return ServerAddress(url=url, origin=str(path))
    return ServerAddress(url=None, origin="none runs: each `headrace run` starts and ends its own")


class NoAnswerError(Exception):
    """A server gave no answer that can be used; the message says why."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def fetch_json(url: str, auth: str | None = None, seconds: float = REQUEST_SECONDS) -> Any:
    """The JSON value at an address.

    Raises:
        NoAnswerError: no connection, a time-out, an error status, or no JSON.
    """
    headers = {"Accept": "application/json"}
    if auth:
        headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return json.loads(response.read(MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            raise NoAnswerError(f"status {error.code} from {url}", error.code) from None
    except urllib.error.URLError as error:
        raise NoAnswerError(f"{url}: {one_line(error.reason)}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NoAnswerError(f"{url}: {one_line(error) or type(error).__name__}") from None


def check_server(
    address: ServerAddress, client_version: str | None, auth: str | None = None
) -> Iterator[Finding]:
    """Whether the server answers, is of the client's version, and its pages call it.

    Args:
        address: where it should be.
        client_version: of the Prefect installed here.
        auth: `user:password`, as in PREFECT_API_AUTH_STRING.
    """
    if address.url is None:
        yield Finding(name="server", state="skipped", what=address.origin)
        return
    try:
        fetch_json(f"{address.url}/health", auth)
    except NoAnswerError as error:
        started = "start it (`headrace up`)"
        if address.origin == "PREFECT_API_URL":
            started += ", or unset PREFECT_API_URL to let each run start its own"
        what = f"no Prefect server answers ({address.origin}): {error}"
        yield Finding(name="server", state="problem", what=what, fix=started)
        return
    yield Finding(name="server", state="ok", what=f"{address.url} answers ({address.origin})")
    yield from _check_version(address.url, client_version, auth)
    yield from _check_pages(address.url)


def _check_version(url: str, client: str | None, auth: str | None) -> Iterator[Finding]:
    name = "server version"
    try:
        found = str(fetch_json(f"{url}/admin/version", auth))
    except NoAnswerError as error:
        needs_password = error.status in UNAUTHORIZED
        fix = f"export {AUTH_VARIABLE}=user:password" if needs_password else ""
        what = "the server asks for a password" if needs_password else str(error)
        yield Finding(name=name, state="problem", what=what, fix=fix)
        return
    if client is None or found.split(".")[:2] == client.split(".")[:2]:
        yield Finding(name=name, state="ok", what=f"Prefect {found}")
        return
    is_older = found.split(".")[:1] != client.split(".")[:1]
    yield Finding(
        name=name, state="problem" if is_older else "warning",
        what=f"the server is Prefect {found}, this Python has {client}",
        fix=f"start the server from this Python, or install prefect=={found} in both",
    )  # fmt: skip


def _check_pages(url: str) -> Iterator[Finding]:
    """Whether the UI's pages call the API that serves them, and who may use them."""
    base = url.removesuffix("/api")
    try:
        settings = fetch_json(f"{base}/ui-settings")
        shown = str(settings["api_url"])
    except (NoAnswerError, KeyError, TypeError):
        yield Finding(name="UI", state="skipped", what=f"{base} serves no pages")
        return
    yield _pages(url, shown)
    yield from _check_access(url, settings.get("auth"))


def _pages(url: str, shown: str) -> Finding:
    if shown.startswith("/") or same_address(shown, url):
        return Finding(name="UI", state="ok", what=f"its pages call {shown}")
    fix = f"start the server with {UI_VARIABLES[0]}={url}"
    try:
        fetch_json(f"{shown.rstrip('/')}/health")
    except NoAnswerError:
        what = f"the pages of {url} call {shown}, where no server answers: they stay empty"
        return Finding(name="UI", state="problem", what=what, fix=fix)
    what = f"the pages of {url} call {shown}, which may be another server with other runs"
    return Finding(name="UI", state="warning", what=what, fix=fix)


def _check_access(url: str, auth: object) -> Iterator[Finding]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    is_local = (parts.hostname or "") in LOOPBACK_NAMES
    listeners = find_listeners(port) if is_local else []
    if auth or (is_local and all(listener.is_loopback for listener in listeners)):
        what = "asks for a password" if auth else "reached from this machine only"
        yield Finding(name="server access", state="ok", what=what)
        return
    where = "on every address" if is_local else f"at {parts.hostname}"
    yield Finding(
        name="server access", state="warning",
        what=f"the server listens {where} and asks for no password: who reaches it can run code",
        fix=f"start it with --host 127.0.0.1, or with {SERVER_AUTH_VARIABLE}=user:password (and "
        f"{AUTH_VARIABLE} for those who use it)",
    )  # fmt: skip


def check_database(
    home: Path, environment: Mapping[str, str], seconds: float = DATABASE_SECONDS
) -> Iterator[Finding]:
    """Whether the home's SQLite database is whole, writable and of a bearable size.

    Opened for reading only; a check that takes longer than `seconds` is given up.
    """
    name = "database"
    other = next((text for text in DATABASE_VARIABLES if environment.get(text)), None)
    path = home / "prefect" / "prefect.db"
    if other or not path.exists():
        what = f"{other} names another one" if other else "none yet; the first run makes it"
        yield Finding(name=name, state="skipped", what=what)
        return
    size = path.stat().st_size
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        fix = f"chown or chmod {path.parent} and what is in it"
        what = f"{path} or its directory cannot be written"
        yield Finding(name=name, state="problem", what=what, fix=fix)
        return
    fault = _database_fault(path, seconds)
    if fault:
        yield Finding(
            name=name, state="problem", what=f"{path}: {fault}",
            fix=f"end what uses it, then move {path} away: the next run makes a new one; the "
            "artifacts do not need it, only the history of runs is lost",
        )  # fmt: skip
    elif size > DATABASE_WARNING_BYTES:
        yield Finding(
            name=name, state="warning", what=f"{path} has {size:,} bytes: pages get slow",
            fix="start the server with PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs",
        )  # fmt: skip
    else:
        yield Finding(name=name, state="ok", what=f"{path}, {size:,} bytes")


def _database_fault(path: Path, seconds: float) -> str | None:
    deadline = time.monotonic() + seconds
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1.0)) as base:
            base.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            found = [str(row[0]) for row in base.execute("PRAGMA quick_check(3)")]
    except sqlite3.OperationalError as error:
        # Given up or busy: neither says that it is damaged.
        text = str(error)
        return None if "interrupted" in text or "locked" in text else one_line(text)
    except sqlite3.DatabaseError as error:
        return one_line(error)
    return None if found == ["ok"] else one_line("; ".join(found))
