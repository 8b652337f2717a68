"""The checks of a Prefect server: a small one that answers as told, and the real one."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import prefect
import pytest

from headrace.diagnosis import prefect_server as prefect_server_checks
from headrace.diagnosis.findings import Finding
from headrace.diagnosis.ports import Listener
from headrace.diagnosis.prefect_server import (
    ServerAddress,
    check_database,
    check_server,
    find_server,
)
from headrace.processes import free_ports

VERSION = "3.8.8"


@contextmanager
def answering(answers: dict[str, Any]) -> Iterator[str]:
    """A server that knows `answers` (path -> value or status); yields the URL of its API."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            value = answers.get(self.path, 404)
            status = value if type(value) is int else 200
            body = b"" if type(value) is int else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
        server.shutdown()


def look(url: str) -> dict[str, Finding]:
    found = check_server(ServerAddress(url=url, origin="PREFECT_API_URL"), VERSION)
    return {finding.name: finding for finding in found}


HEALTHY: dict[str, Any] = {"/api/health": True, "/api/admin/version": VERSION}


def test_a_server_that_is_not_there() -> None:
    (port,) = free_ports(1)
    found = look(f"http://127.0.0.1:{port}/api")
    assert [(item.name, item.state) for item in found.values()] == [("server", "problem")]
    assert "PREFECT_API_URL" in found["server"].fix


def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = look(f"http://127.0.0.1:{silent.getsockname()[1]}/api")
    assert found["server"].state == "problem"


def test_a_program_that_is_no_prefect_server() -> None:
    with answering({}) as url:
        assert look(url)["server"].state == "problem"


@pytest.mark.parametrize(
    ("version", "state"),
    [("3.8.1", "ok"), ("3.4.0", "warning"), ("2.20.0", "problem"), (401, "problem")],
)
def test_versions_of_server_and_client(version: Any, state: str) -> None:
    with answering(HEALTHY | {"/api/admin/version": version}) as url:
        assert look(url)["server version"].state == state


def test_pages_that_call_nobody() -> None:
    (port,) = free_ports(1)
    elsewhere = {"/ui-settings": {"api_url": f"http://127.0.0.1:{port}/api", "auth": None}}
    with answering(HEALTHY | elsewhere) as url:
        finding = look(url)["UI"]
    assert finding.state == "problem"
    assert f"PREFECT_SERVER_UI_API_URL={url}" in finding.fix


def test_pages_that_call_another_server() -> None:
    with answering(HEALTHY) as other:
        elsewhere = {"/ui-settings": {"api_url": other, "auth": None}}
        with answering(HEALTHY | elsewhere) as url:
            assert look(url)["UI"].state == "warning"


@pytest.mark.parametrize(
    ("addresses", "auth", "state"),
    [
        (["127.0.0.1"], None, "ok"), (["127.0.0.1", "::1"], None, "ok"),
        (["0.0.0.0"], None, "warning"), (["::"], None, "warning"), (["0.0.0.0"], "BASIC", "ok"),
    ],
)  # fmt: skip
def test_a_server_open_to_others(
    addresses: list[str], auth: str | None, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners = [Listener(address=address, pid=1, command="") for address in addresses]
    monkeypatch.setattr(prefect_server_checks, "find_listeners", lambda _: listeners)
    settings: dict[str, Any] = {"api_url": "/api", "auth": auth}
    with answering(HEALTHY | {"/ui-settings": settings}) as url:
        found = look(url)
    assert (found["server access"].state, found["UI"].state) == (state, "ok")


def test_the_real_server(prefect_server: str) -> None:
    address = ServerAddress(url=prefect_server, origin="test")
    found = {item.name: item.state for item in check_server(address, prefect.__version__)}
    assert found == dict.fromkeys(["server", "server version", "UI", "server access"], "ok")


def test_which_server_is_looked_at(tmp_path: Path, prefect_server: str) -> None:
    given = find_server(tmp_path, {"PREFECT_API_URL": "http://127.0.0.1:1/api/"})
    assert given.url == "http://127.0.0.1:1/api"
    assert find_server(tmp_path, {}).url is None
    record = tmp_path / "prefect" / "server.json"
    record.parent.mkdir()
    # A home's last server is gone, and its pid may be another program's by now.
    for content in ('{"url": "http://127.0.0.1:1/api", "pid": 1}', "[]", "{"):
        record.write_text(content)
        assert find_server(tmp_path, {}).url is None
    (finding,) = check_server(find_server(tmp_path, {}), VERSION)
    assert finding.state == "skipped"


def make_database(home: Path) -> Path:
    path = home / "prefect" / "prefect.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("CREATE TABLE runs (name TEXT)")
        base.executemany("INSERT INTO runs VALUES (?)", [("x" * 500,)] * 2000)
        base.execute("CREATE INDEX by_name ON runs (name)")
        base.commit()
    return path


def test_databases(tmp_path: Path) -> None:
    def state(**environment: str) -> str:
        (finding,) = check_database(tmp_path, environment)
        return finding.state

    assert state() == "skipped"
    path = make_database(tmp_path)
    assert state() == "ok"
    assert state(PREFECT_SERVER_DATABASE_CONNECTION_URL="postgresql://x") == "skipped"
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    assert state() == "problem"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    assert state() == "problem"


def test_a_database_that_takes_too_long_is_not_called_damaged(tmp_path: Path) -> None:
    make_database(tmp_path)
    (finding,) = check_database(tmp_path, {}, seconds=0.0)
    assert finding.state == "ok"


def test_a_database_in_use_is_read_beside_its_writer(tmp_path: Path) -> None:
    path = make_database(tmp_path)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO runs VALUES ('new')")
        (finding,) = check_database(tmp_path, {})
        writer.commit()
    assert finding.state == "ok"
