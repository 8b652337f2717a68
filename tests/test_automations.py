"""The automations on a real server with all its services."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Pending, Running, Suspended

from deployments.automations import (
    CRASH_DETECTION,
    FAILURE_NOTICE,
    LENGTH_NOTICE,
    AutomationOptions,
    apply_automations,
    read_options,
)
from flows.embedded_server import is_healthy
from headrace.errors import ConfigError
from headrace.processes import GuardedProcess, free_ports

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "deployments" / "automations.py"
START_SECONDS = 120.0
FIRE_SECONDS = 60.0
WINDOW_SECONDS = 10.0
SECRET = "/hook/s3cr3t-t0ken"
AWKWARD = 'it said "no"\n<b>& left\\ {{ 7 * 7 }}'


def environment(home: Path, **values: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "HEADRACE_"))}
    return kept | {
        "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    } | values  # fmt: skip


def wait_for(condition: Callable[[], Any], seconds: float = FIRE_SECONDS) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.25)
    return found


class Server:
    """A Prefect server with all services, a client of it, and its log."""

    def __init__(self, url: str, home: Path, client: SyncPrefectClient) -> None:
        self.url, self.home, self.client = url, home, client

    @property
    def log(self) -> str:
        return (self.home / "server.log").read_text(errors="replace")

    def automations(self) -> dict[str, Automation]:
        found = self.client.read_automations()
        assert len(found) == len({item.name for item in found})
        return {item.name: item for item in found}

    def new_run(self) -> UUID:
        @flow(name="beating")
        def beating() -> None: ...

        run = self.client.create_flow_run(beating, state=Pending())
        self.set_state(run.id, Running())
        return run.id

    def set_state(self, run_id: UUID, state: Any) -> None:
        self.client.set_flow_run_state(run_id, state, force=True)

    def state(self, run_id: UUID) -> str:
        state = self.client.read_flow_run(run_id).state
        assert state is not None
        return str(state.name)

    def beat(self, run_id: UUID) -> None:
        event = {
            "id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(),
            "event": "prefect.flow-run.heartbeat",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run_id}"},
            "related": [], "payload": {},
        }  # fmt: skip
        httpx.post(f"{self.url}/events", json=[event]).raise_for_status()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("automations")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    values = environment(home, PREFECT_SERVER_UI_API_URL=url, PREFECT_LOGGING_SERVER_LEVEL="DEBUG")
    with GuardedProcess(command, env=values, log_path=home / "server.log", name="server") as child:
        assert wait_for(lambda: is_healthy(url) or child.poll() is not None, START_SECONDS)
        assert child.poll() is None, child.tail()
        with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
            yield Server(url, home, client)


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """An address of this test, and what was sent to it: path, content type, body."""
    received: list[tuple[str, str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Content-Type"], body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}{SECRET}", received
        listening.shutdown()


def run_program(server: Server, **values: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM)],
        env=environment(server.home, PREFECT_API_URL=server.url) | values,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_window_is_three_of_prefects_heartbeats(server: Server) -> None:
    done = run_program(server, PREFECT_FLOWS_HEARTBEAT_FREQUENCY="60")
    assert done.returncode == 0, done.stderr
    assert server.automations()[CRASH_DETECTION].trigger.within.total_seconds() == 180
    assert run_program(server).returncode == 0
    assert server.automations()[CRASH_DETECTION].trigger.within.total_seconds() == 540


def test_a_second_call_changes_nothing(server: Server) -> None:
    options = AutomationOptions(window_seconds=540, webhook_url="https://example.org/hook")
    apply_automations(options)
    before = server.automations()
    assert set(before) == {CRASH_DETECTION, FAILURE_NOTICE, LENGTH_NOTICE}
    assert [change.outcome for change in apply_automations(options)] == ["unchanged"] * 3
    assert server.automations() == before


def test_without_a_webhook_nothing_is_called_and_no_address_is_kept(server: Server) -> None:
    done = run_program(server, HEADRACE_FAILURE_WEBHOOK=f"https://example.org{SECRET}")
    assert FAILURE_NOTICE in server.automations()
    assert SECRET not in done.stdout + done.stderr
    blocks = httpx.post(f"{server.url}/block_documents/filter", json={}).json()
    assert SECRET not in json.dumps(blocks)
    assert [item["name"] for item in blocks] == ["headrace-failure-webhook"]

    assert run_program(server).returncode == 0
    found = server.automations()
    assert set(found) == {CRASH_DETECTION, LENGTH_NOTICE}
    assert [action.type for action in found[LENGTH_NOTICE].actions] == ["do-nothing"]
    assert httpx.post(f"{server.url}/block_documents/filter", json={}).json() == []


def test_what_a_user_disabled_stays_disabled(server: Server) -> None:
    apply_automations(AutomationOptions(window_seconds=540))
    server.client.pause_automation(server.automations()[CRASH_DETECTION].id)
    apply_automations(AutomationOptions(window_seconds=600))
    changed = server.automations()[CRASH_DETECTION]
    assert (changed.enabled, changed.trigger.within.total_seconds()) == (False, 600)
    server.client.resume_automation(changed.id)


def test_other_automations_are_left_alone(server: Server) -> None:
    apply_automations(AutomationOptions(window_seconds=540))
    fields = set(AutomationCore.model_fields)
    ours = AutomationCore(**server.automations()[LENGTH_NOTICE].model_dump(include=fields))
    mine_id = server.client.create_automation(ours.model_copy(update={"name": "mine"}))
    # A double of ours, as two servers that were merged would have, goes.
    server.client.create_automation(ours)
    apply_automations(AutomationOptions(window_seconds=None))
    assert set(server.automations()) == {"mine", LENGTH_NOTICE}
    server.client.delete_automation(mine_id)


FAILING = """
import sys
from prefect import flow
@flow
def doomed():
    raise ValueError(sys.argv[1])
try:
    doomed()
except ValueError:
    pass
"""


def test_a_failing_run_is_told_to_the_webhook(
    server: Server, webhook: tuple[str, list[tuple[str, str, bytes]]]
) -> None:
    url, received = webhook
    apply_automations(AutomationOptions(window_seconds=540, webhook_url=url))
    subprocess.run(
        [sys.executable, "-c", FAILING, AWKWARD],
        env=environment(server.home, PREFECT_API_URL=server.url),
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    assert wait_for(lambda: received), server.log[-3000:]
    path, content_type, body = received[0]
    told = json.loads(body)
    run = server.client.read_flow_run(UUID(told["flow_run_id"]))
    assert (path, content_type) == (SECRET, "application/json")
    assert (told["flow"], told["flow_run_name"], told["state"]) == ("doomed", run.name, "Failed")
    assert run.state is not None
    assert told["message"] == run.state.message
    assert AWKWARD in told["message"]
    base = server.url.removesuffix("/api")
    assert told["url"] == f"{base}/runs/flow-run/{run.id}"
    assert run.name in told["text"]
    # Prefect acts at least once: seen twice in some fifteen runs, never more often, never else.
    assert received in ([received[0]], [received[0]] * 2)
    assert SECRET not in server.log


def test_heartbeats_that_stop_lead_to_crashed(server: Server) -> None:
    apply_automations(AutomationOptions(window_seconds=WINDOW_SECONDS))
    living, dead, suspended, ended = (server.new_run() for _ in range(4))
    for run in (living, dead, suspended, ended):
        server.beat(run)
    time.sleep(1.0)
    server.set_state(suspended, Suspended())
    server.set_state(ended, Completed(name="Fine"))

    def is_crashed() -> bool:
        server.beat(living)
        time.sleep(1.0)
        return server.state(dead) == "Crashed"

    start = time.monotonic()
    assert wait_for(is_crashed), server.log[-3000:]
    # A few windows later the others are still what they were.
    while time.monotonic() - start < 3 * WINDOW_SECONDS:
        is_crashed()
    assert server.state(living) == "Running"
    assert server.state(suspended) == "Suspended"
    assert server.state(ended) == "Fine"
    server.set_state(living, Completed())


def test_a_run_that_goes_on_too_long_is_told(
    server: Server, webhook: tuple[str, list[tuple[str, str, bytes]]]
) -> None:
    url, received = webhook
    apply_automations(
        AutomationOptions(window_seconds=540, max_run_hours=10 / 3600, webhook_url=url)
    )
    long, retried, short = (server.new_run() for _ in range(3))
    time.sleep(1.0)
    server.set_state(short, Completed())
    server.set_state(retried, Suspended())
    time.sleep(1.0)
    server.set_state(retried, Running())

    def told() -> set[str]:
        return {json.loads(body)["flow_run_id"] for _, _, body in received}

    assert wait_for(lambda: len(told()) == 2), server.log[-3000:]
    assert told() == {str(long), str(retried)}
    for run in (long, retried):
        server.set_state(run, Completed())


SLEEPING = """
import time
from prefect import flow
@flow
def sleeping():
    print("begun", flush=True)
    time.sleep(600)
sleeping()
"""


@pytest.mark.slow
def test_a_killed_run_is_crashed_within_three_heartbeats_and_told(
    server: Server, webhook: tuple[str, list[tuple[str, str, bytes]]]
) -> None:
    url, received = webhook
    interval = 30  # Prefect's shortest
    values = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(interval)}
    assert run_program(server, HEADRACE_FAILURE_WEBHOOK=url, **values).returncode == 0
    child = subprocess.Popen(
        [sys.executable, "-c", SLEEPING], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(server.home, PREFECT_API_URL=server.url) | values,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        # Longer than an interval: it is kept alive by its heartbeats.
        time.sleep(interval + 5)
    finally:
        child.kill()
        child.communicate()
    assert not received
    assert wait_for(lambda: received, 3 * interval + 30), server.log[-3000:]
    told = json.loads(received[0][2])
    assert (told["flow"], told["state"]) == ("sleeping", "Crashed")


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"HEADRACE_MAX_RUN_HOURS": "a day"}, "HEADRACE_MAX_RUN_HOURS"),
        ({"HEADRACE_MAX_RUN_HOURS": "0"}, "HEADRACE_MAX_RUN_HOURS"),
        ({"HEADRACE_MAX_RUN_HOURS": "nan"}, "HEADRACE_MAX_RUN_HOURS"),
        ({"HEADRACE_FAILURE_WEBHOOK": f"ftp://example.org{SECRET}"}, "HEADRACE_FAILURE_WEBHOOK"),
    ],
)
def test_bad_options_are_refused(values: dict[str, str], word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        read_options(values)
    assert SECRET not in str(caught.value)


def test_without_a_server_the_program_says_so_in_one_line(tmp_path: Path) -> None:
    for url in ("", "http://127.0.0.1:9/api"):
        values = environment(tmp_path, PREFECT_API_URL=url) if url else environment(tmp_path)
        done = subprocess.run(
            [sys.executable, str(PROGRAM)], env=values, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "PREFECT_API_URL" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
