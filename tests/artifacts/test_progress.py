"""The file that tells what a run is doing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.artifacts.progress import ProgressFile, load_progress, progress_path
from headrace.artifacts.runs import load_runs
from headrace.artifacts.runtime import Progress, ProgressEvent, describe_seconds


def new_file(home: Path) -> ProgressFile:
    return ProgressFile(home, "a.run", flow_run_id="1", flow_run_name="wise-falcon")


def event() -> ProgressEvent:
    told: list[ProgressEvent] = []
    Progress("pages", told.append, lambda: {"rows": 3, "dropped.blank": 1})(5, 20, "bytes")
    return told[0]


def test_steps_come_and_go(tmp_path: Path) -> None:
    file = new_file(tmp_path)
    for step in ("pages", "articles", "model"):
        file.begin(step)
    file.update("articles", event(), "a line\nof two")
    file.end("pages")
    file.end("model", state="Failed", error="TrainingError: loss is\nnot finite")
    found = load_progress(tmp_path, "a.run")
    assert found is not None
    assert {name: step.state for name, step in found.steps.items()} == {
        "articles": "Running",
        "model": "Failed",
    }
    assert found.steps["articles"].line == "a line of two"
    assert found.steps["articles"].event["share"] == 0.25
    assert found.steps["articles"].event["counts"] == {"rows": 3, "dropped.blank": 1}
    assert found.steps["model"].error == "TrainingError: loss is not finite"
    assert found.flow_run_name == "wise-falcon"
    assert list(load_runs(tmp_path)) == []


def test_a_living_a_dead_and_a_foreign_process(tmp_path: Path) -> None:
    new_file(tmp_path).begin("pages")
    alive = load_progress(tmp_path, "a.run")
    assert alive is not None
    assert alive.is_alive() is True
    code = (
        "from pathlib import Path; from headrace.artifacts.progress import ProgressFile\n"
        f"ProgressFile(Path({str(tmp_path)!r}), 'dead', flow_run_id='', flow_run_name='')"
        ".begin('pages')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    dead = load_progress(tmp_path, "dead")
    assert dead is not None
    assert dead.is_alive() is False
    path = progress_path(tmp_path, "a.run")
    path.write_text(path.read_text().replace(f'"host": "{alive.host}"', '"host": "elsewhere"'))
    foreign = load_progress(tmp_path, "a.run")
    assert foreign is not None
    assert foreign.is_alive() is None


def test_a_pid_that_is_used_again_is_not_the_process(tmp_path: Path) -> None:
    new_file(tmp_path).begin("pages")
    path = progress_path(tmp_path, "a.run")
    found = load_progress(tmp_path, "a.run")
    assert found is not None
    path.write_text(path.read_text().replace(f'"born": {found.born}', '"born": 12'))
    again = load_progress(tmp_path, "a.run")
    assert again is not None
    assert (again.pid, again.is_alive()) == (os.getpid(), False)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"steps": 3}', '{"steps": {"a": {"state": 1}}}']
)
def test_a_damaged_file_is_no_progress(tmp_path: Path, text: str) -> None:
    path = progress_path(tmp_path, "x")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert load_progress(tmp_path, "x") is None


def test_a_directory_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("a file in the way")
    new_file(tmp_path).begin("pages")
    assert load_progress(tmp_path, "a.run") is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (65, "1 min 05 s"), (7265, "2 h 01 min"), (90_000, "1 d 01 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text


def test_time_left_counts_only_what_this_run_did() -> None:
    told: list[ProgressEvent] = []
    progress = Progress("s", told.append)
    progress(50, 100, "rows")
    assert (told[0].share, told[0].seconds_left) == (0.5, None)
    progress(100, 100, "rows")
    assert (told[1].share, told[1].seconds_left) == (1.0, 0.0)


def test_the_end_is_told_where_only_the_share_is_known() -> None:
    told: list[ProgressEvent] = []
    progress = Progress("s", told.append)
    for number in range(1, 5):
        progress(number * 10, None, "tokens", share=number / 4)
    assert [event.share for event in told] == [0.25, 1.0]
