"""What goes on in a home, told from its disk alone."""

from __future__ import annotations

import argparse
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import status
from flows.standing import DEAD_ADVICE, Observer
from headrace.artifacts import Runtime, Store
from headrace.artifacts.files import read_json, write_json
from headrace.artifacts.progress import ProgressFile, progress_path
from headrace.artifacts.runs import RunRecord
from headrace.artifacts.runtime import Progress
from headrace.errors import MissingInputError
from tests.artifacts.stages import LETTERS, LettersConfig

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import argparse, sys
from flows import status
parser = argparse.ArgumentParser()
common = argparse.ArgumentParser(add_help=False)
common.add_argument("--home")
status.add_parser(parser.add_subparsers(), [common])
arguments = parser.parse_args(sys.argv[1:])
code = arguments.function(arguments)
assert "prefect" not in sys.modules, "Prefect was imported"
sys.exit(code)
"""


def command(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "status", "--home", str(home), *arguments]


def printed(home: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command(home, *arguments), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def record(home: Path, name: str = "a_run", *, flow_run_id: str = "1") -> RunRecord:
    made = RunRecord(home=home, name=name, pipeline="letters", config={})
    made.begin(flow_run_id=flow_run_id, flow_run_name=f"falcon-{name}", deployment="", attempt=1)
    return made


def progress_of(home: Path, name: str = "a_run", *, flow_run_id: str = "1") -> ProgressFile:
    return ProgressFile(home, name, flow_run_id=flow_run_id, flow_run_name=f"falcon-{name}")


def kill(home: Path, name: str = "a_run") -> None:
    """Let the file tell of a process that is gone."""
    path = progress_path(home, name)
    write_json(path, read_json(path) | {"born": 1})


def running(home: Path) -> None:
    record(home)
    file = progress_of(home)
    file.begin("model")
    told: list[Any] = []
    tell = Progress("model", told.append, lambda: {"rows": 7, "bytes": 99, "dropped.blank": 2})
    tell(100, 400, "steps", "loss 5.1")
    file.update("model", told[0], "step 100: valid loss 5.2")


def test_nothing_there_yet(tmp_path: Path) -> None:
    assert "headrace run" in printed(tmp_path)
    assert json.loads(printed(tmp_path, "--json")) == {"services": [], "runs": []}
    assert list(tmp_path.iterdir()) == []


def test_a_running_step_tells_how_far_it_is(tmp_path: Path) -> None:
    running(tmp_path)
    (run,) = Observer(tmp_path).runs()
    assert (run.state, run.flow_run_name, run.is_active) == ("Running", "falcon-a_run", True)
    (step,) = run.steps
    assert (step.name, step.state, step.share) == ("model", "Running", 0.25)
    assert (step.done, step.total, step.unit) == (100, 400, "steps")
    assert (step.rows, step.num_bytes, step.drops) == (7, 99, {"blank": 2})
    assert step.note == "step 100: valid loss 5.2"
    text = printed(tmp_path)
    for part in ("falcon-a_run", "Running", "100/400", "blank 2", "step 100: valid loss 5.2"):
        assert part in text


def test_a_finished_step_shows_its_artifact(tmp_path: Path) -> None:
    made = record(tmp_path)
    opened = Store(Runtime(home=tmp_path)).open_or_build(LETTERS, LettersConfig(), {})
    made.note("letters", opened)
    made.end("Completed")
    (step,) = Observer(tmp_path).run("a_run").steps
    assert (step.state, step.rows, step.num_bytes) == ("Completed", 4, 43)
    assert step.drops == {"blank": 6, "odd": 2}
    assert Observer(tmp_path).run("falcon-a_run").state == "Completed"


def test_steps_that_are_still_to_come_are_known_from_the_run_before(tmp_path: Path) -> None:
    made = record(tmp_path)
    opened = Store(Runtime(home=tmp_path)).open_or_build(LETTERS, LettersConfig(), {})
    for name in ("pages", "model", "parity"):
        made.note(name, opened)
    made.begin(flow_run_id="2", flow_run_name="heron", deployment="", attempt=1)
    made.note("pages", opened)
    progress_of(tmp_path, flow_run_id="2").begin("model")
    run = Observer(tmp_path).run("a_run")
    assert [(step.name, step.state) for step in run.steps] == [
        ("pages", "Completed"),
        ("model", "Running"),
        ("parity", "Pending"),
    ]


def test_a_run_whose_process_is_gone_is_dead(tmp_path: Path) -> None:
    running(tmp_path)
    kill(tmp_path)
    (run,) = Observer(tmp_path).runs()
    assert (run.state, run.error, run.is_active) == ("Dead", DEAD_ADVICE, False)
    assert [step.state for step in run.steps] == ["Dead"]


def test_a_failed_step_shows_its_error(tmp_path: Path) -> None:
    made = record(tmp_path)
    file = progress_of(tmp_path)
    file.begin("model")
    file.end("model", state="Failed", error="TrainingError: the loss is not finite")
    made.end("Failed", "TrainingError: the loss is not finite")
    kill(tmp_path)
    (run,) = Observer(tmp_path).runs()
    assert run.state == "Failed"
    assert [(step.state, step.note) for step in run.steps] == [
        ("Failed", "TrainingError: the loss is not finite")
    ]


def test_what_an_earlier_flow_run_left_is_not_shown(tmp_path: Path) -> None:
    running(tmp_path)
    kill(tmp_path)
    record(tmp_path, flow_run_id="2")
    (run,) = Observer(tmp_path).runs()
    assert (run.state, run.steps) == ("Running", ())


def test_active_runs_come_first_and_old_ones_only_when_asked_for(tmp_path: Path) -> None:
    for number in range(8):
        record(tmp_path, f"old{number}").end("Completed")
    running(tmp_path)
    record(tmp_path, "newest").end("Completed")
    names = [run["name"] for run in json.loads(printed(tmp_path, "--json"))["runs"]]
    assert names[:2] == ["a_run", "newest"]
    assert len(names) == status.SHOWN_RUNS
    assert len(json.loads(printed(tmp_path, "--json", "--all"))["runs"]) == 10
    assert "newest" not in printed(tmp_path, "a_run")


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    record(tmp_path)
    arguments = argparse.Namespace(home=str(tmp_path), run="x", json=True, once=False, all=False)
    with pytest.raises(MissingInputError, match="a_run"):
        status.show_status(arguments)
    arguments.run = "../runs/a_run"
    with pytest.raises(MissingInputError):
        status.show_status(arguments)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "null", '{"steps": {"model": {}}}', '{"steps": []}']
)
def test_damaged_files_hide_nothing_else(tmp_path: Path, text: str) -> None:
    running(tmp_path)
    progress_path(tmp_path, "a_run").write_text(text)
    (tmp_path / "runs" / "broken.json").write_text(text)
    services = tmp_path / "prefect" / "services.json"
    services.parent.mkdir()
    services.write_text(text)
    assert "falcon-a_run" in printed(tmp_path)


def test_odd_values_in_an_event_are_left_out(tmp_path: Path) -> None:
    running(tmp_path)
    path = progress_path(tmp_path, "a_run")
    value = read_json(path)
    value["steps"]["model"]["event"] = {"share": "x", "done": [], "counts": 3, "unit": None}
    write_json(path, value)
    assert "step 100" in printed(tmp_path)


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    record(tmp_path).end("Failed", "\x1b[2J[red]gone[/red]")
    assert "\x1b" not in printed(tmp_path)
    assert "[red]gone[/red]" in printed(tmp_path)


def test_services_of_the_cockpit_and_whether_they_live(tmp_path: Path) -> None:
    rows = [
        {"name": "server", "pid": os.getpid(), "url": "http://127.0.0.1:1", "state": "healthy"},
        {"name": "worker", "pid": 2**22 + 1, "url": "", "state": "healthy"},
        {"name": "odd"},
    ]
    write_json(tmp_path / "prefect" / "services.json", rows)
    seen = json.loads(printed(tmp_path, "--json"))["services"]
    assert [(item["name"], item["state"]) for item in seen] == [
        ("server", "healthy"),
        ("worker", "gone"),
    ]


def start_in_terminal(home: Path) -> tuple[int, int]:
    pid, terminal = pty.fork()
    if pid == 0:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "150"}
        os.execve(sys.executable, command(home), environment)
    return pid, terminal


def read_until(terminal: int, wanted: bytes) -> bytes:
    text = b""
    while wanted not in text:
        ready, _, _ = select.select([terminal], [], [], 60.0)
        assert ready, text
        text += os.read(terminal, 65536)
    return text


# The child of pty.fork() is another program at once; nothing of ours runs in it.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_live_it_follows_the_run_and_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    running(tmp_path)
    pid, terminal = start_in_terminal(tmp_path)
    try:
        read_until(terminal, b"100/400")
        file = progress_of(tmp_path)
        file.begin("parity")
        text = read_until(terminal, b"parity")
        os.write(terminal, b"\x03")
        while True:
            try:
                more = os.read(terminal, 65536)
            except OSError:
                break
            if not more:
                break
            text += more
    finally:
        _, code = os.waitpid(pid, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(code) == 0, text
    assert b"Traceback" not in text


HOLDER = """
import sys
from pathlib import Path
from headrace.artifacts import Runtime, Store
from headrace.artifacts.progress import ProgressFile
from tests.artifacts.stages import LETTERS, LettersConfig
home = Path(sys.argv[1])
file = ProgressFile(home, "a_run", flow_run_id="1", flow_run_name="falcon")
file.begin("letters")
runtime = Runtime(home=home, on_progress=lambda event: file.update("letters", event, ""))
Store(runtime).open_or_build(LETTERS, LettersConfig(num_shards=40, sleep_seconds=0.5), {})
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], env=environment)
    yield process
    process.kill()
    process.wait()


def test_a_stage_that_really_runs_is_seen_and_so_is_its_death(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    record(tmp_path)
    deadline = time.monotonic() + 60
    rows = 0
    while not rows and time.monotonic() < deadline:
        runs = json.loads(printed(tmp_path, "--json"))["runs"]
        rows = (runs[0]["steps"][0]["rows"] or 0) if runs[0]["steps"] else 0
    assert rows > 0
    assert runs[0]["state"] == "Running"
    assert 0 < runs[0]["steps"][0]["share"] < 1
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads(printed(tmp_path, "--json"))["runs"][0]["state"] == "Dead"
