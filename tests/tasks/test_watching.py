"""What is seen of a stage while it runs and after it, on a real server."""

from __future__ import annotations

import json
import logging
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from prefect import flow, task
from prefect import runtime as prefect_runtime
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterName,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.logging.handlers import APILogHandler, PrefectConsoleHandler
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.running import flush_to_prefect
from headrace.artifacts import Build, ShardJob, ShardOutcome, Stage
from headrace.artifacts.progress import load_progress
from headrace.config import StageConfig
from headrace.corpus.statistics import CorpusStatistics
from headrace.errors import ConfigError
from headrace.logs import LabelledFormatter
from headrace.plots import draw_losses
from headrace.processes import GuardedProcess, free_ports
from tasks import watching
from tasks.board import Board, Slot
from tasks.stage import STAGE_TASK, run_stage
from tests.artifacts.stages import LETTERS, LettersConfig

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    # Prefect's own code, not ours.
    pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning"),
]
HOSTILE = "<script>alert(1)</script> ![x](http://example.org/x.png)"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_WORKERS", "1")
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PROGRESS_SECONDS", 0.1)
    monkeypatch.setattr(watching, "PLOT_SECONDS", 0.5)
    monkeypatch.setattr("headrace.artifacts.runtime.PROGRESS_SECONDS", 0.1)


STAGE: list[Stage] = []
CONFIG: list[StageConfig] = []


@task(**STAGE_TASK)
def step() -> Any:
    return run_stage(STAGE[0], CONFIG[0], {})


@flow(name="watched", persist_result=False)
def watched() -> None:
    step()


def start(name: str, stage: Stage, config: StageConfig) -> None:
    STAGE[:], CONFIG[:] = [stage], [config]
    watched.with_options(flow_run_name=name)()


def flow_run_id(name: str) -> Any:
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name]))
        )
    return found[0].id if found else None


def artifacts_of(name: str) -> dict[str, Any]:
    """The artifacts of a flow run by key; fails where two share one."""
    run_id = flow_run_id(name)
    if run_id is None:
        return {}
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
    by_key = {str(artifact.key): artifact for artifact in found}
    assert len(by_key) == len(found), sorted(str(artifact.key) for artifact in found)
    return by_key


class Spectator:
    """Looks at a flow run's artifacts over and over while it goes on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.seen: dict[str, list[Any]] = {}

    def _look(self) -> None:
        while not self._done.wait(0.1):
            for key, artifact in artifacts_of(self._name).items():
                views = self.seen.setdefault(key, [])
                if not views or views[-1].data != artifact.data:
                    views.append(artifact)

    def __enter__(self) -> Spectator:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join()


def in_spectators_context(name: str, url: str) -> Spectator:
    spectator = Spectator(name)
    look = spectator._look

    def look_there() -> None:
        with temporary_settings({PREFECT_API_URL: url}):
            look()

    spectator._thread = threading.Thread(target=look_there)
    return spectator


def test_progress_and_counts_change_in_place_while_a_stage_runs(
    home: Path, prefect_server: str
) -> None:
    name = f"progress-{home.parent.name}"
    with in_spectators_context(name, prefect_server) as spectator:
        start(name, LETTERS, LettersConfig(num_shards=6, sleep_seconds=0.7))
    final = artifacts_of(name)
    progress = [artifact.data for artifact in spectator.seen["letters-progress"]]
    assert progress == sorted(progress)
    assert len([percent for percent in progress if 0 < percent < 100]) >= 2
    assert final["letters-progress"].data == 100.0
    assert {artifact.id for artifact in spectator.seen["letters-progress"]} == {
        final["letters-progress"].id
    }
    rows = [rows_of(artifact)["rows"] for artifact in spectator.seen["letters-counts"]]
    assert rows == sorted(rows)
    assert rows[0] < 6
    assert {artifact.id for artifact in spectator.seen["letters-counts"]} == {
        final["letters-counts"].id
    }
    assert final["letters-counts"].task_run_id is not None


def rows_of(artifact: Any) -> dict[str, int]:
    return {row["what"]: row["count"] for row in json.loads(artifact.data)}


def test_the_last_table_holds_rows_bytes_and_drops_by_reason(home: Path) -> None:
    name = f"table-{home.parent.name}"
    start(name, LETTERS, LettersConfig())
    final = artifacts_of(name)
    assert rows_of(final["letters-counts"]) == {
        "rows": 4,
        "bytes": 43,
        "records_in": 12,
        "records_out": 4,
        "dropped: blank": 6,
        "quarantined: odd": 2,
    }
    assert final["letters-drops"].data.startswith("data:image/png;base64,")
    # A hit on another page shows the same table.
    start(f"{name}-again", LETTERS, LettersConfig())
    again = artifacts_of(f"{name}-again")
    assert rows_of(again["letters-counts"]) == rows_of(final["letters-counts"])


class CurveConfig(StageConfig):
    num_steps: int = 4
    seconds: float = 0.7


def write_curve(*, config: CurveConfig, out: Build) -> None:
    records: list[dict[str, float]] = []
    out.show_plot("loss", lambda: draw_losses(list(records)) if records else b"")
    for number in range(config.num_steps):
        records.append({"step": number, "loss": 1.0 / (number + 1)})
        out.progress(number, config.num_steps, "steps")
        time.sleep(config.seconds)
    draw = draw_losses([*records, {"step": 99, "loss": 0.0}])
    out.publish("curve", lambda directory: _write_text(directory / "x.txt", "x"))
    out.write_extra("loss.png", draw)


def _write_text(path: Path, text: str) -> ShardOutcome:
    path.write_text(text)
    return ShardOutcome(rows=1)


def test_a_plot_changes_in_place_while_a_stage_runs(home: Path, prefect_server: str) -> None:
    name = f"plot-{home.parent.name}"
    stage = Stage(name="curve", version=1, format="t/1", packages=(), write=write_curve)
    with in_spectators_context(name, prefect_server) as spectator:
        start(name, stage, CurveConfig())
    views = spectator.seen["curve-loss"]
    assert all(view.data.startswith("data:image/png;base64,iVBOR") for view in views)
    assert len({view.data for view in views}) >= 2
    final = artifacts_of(name)["curve-loss"]
    assert {view.id for view in views} == {final.id}
    assert "so far" not in final.description


class TalkConfig(StageConfig):
    pass


def write_talk(*, config: TalkConfig, out: Build) -> None:
    samples = [{"prompt": HOSTILE, "sampled": "``` " + HOSTILE, "greedy": "x"}]
    out.publish(
        "samples", lambda directory: _write_text(directory / "samples.json", json.dumps(samples))
    )


def test_a_models_text_is_shown_as_text(home: Path) -> None:
    name = f"talk-{home.parent.name}"
    stage = Stage(name="samples", version=1, format="t/1", packages=(), write=write_talk)
    start(name, stage, TalkConfig())
    shown = artifacts_of(name)["samples-figures"]
    assert shown.type == "markdown"
    from markdown_it import MarkdownIt

    html = MarkdownIt("commonmark", {"html": True}).render(shown.data)
    assert "<script" not in html
    assert "<img" not in html
    assert "alert(1)" in html


def write_texts(*, config: TalkConfig, out: Build) -> None:
    statistics = CorpusStatistics()
    for text in ("one text", "ein Text, der länger ist"):
        statistics.add(text, text[:2])
    counts = {"records_in": 2, "records_out": 2} | statistics.counts()

    def write(directory: Path) -> ShardOutcome:
        (directory / "texts.txt").write_text("x")
        return ShardOutcome(rows=2, counts=counts)

    out.publish("texts", write)


def test_statistics_of_a_corpus_are_a_table_of_their_own(home: Path) -> None:
    name = f"texts-{home.parent.name}"
    start(name, Stage(name="texts", version=1, format="t/1", packages=(), write=write_texts),
          TalkConfig())  # fmt: skip
    shown = artifacts_of(name)
    assert not any("." in what for what in rows_of(shown["texts-counts"]))
    table = {row["what"]: row["number"] for row in json.loads(shown["texts-statistics"].data)}
    assert (table["documents"], table["language on"], table["language ei"]) == ("2", "1", "1")
    assert table["up to 8 bytes"] == table["up to 32 bytes"] == "1"


def write_lines(*, config: TalkConfig, out: Build) -> None:
    command = [sys.executable, "-c", "print('line of a child program')"]
    lines = logging.getLogger("headrace.test")
    with GuardedProcess(command, on_line=lines.info, name="child") as process:
        process.wait(60.0)
    jobs = [ShardJob(name=f"s{n}", function=speak_in_shard, args=(n,)) for n in range(2)]
    out.run_shards(jobs)


def speak_in_shard(directory: Path, number: int) -> ShardOutcome:
    logging.getLogger("headrace.test").info("line of shard %d", number)
    return _write_text(directory / f"{number}.txt", "x")


@pytest.fixture
def logs_to_prefect() -> Iterator[None]:
    logger, handler = logging.getLogger("headrace"), APILogHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.mark.usefixtures("logs_to_prefect")
def test_lines_of_threads_and_workers_belong_to_the_task_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_WORKERS", "2")
    name = f"lines-{home.parent.name}"
    stage = Stage(name="lines", version=1, format="t/1", packages=(), write=write_lines)
    start(name, stage, TalkConfig())
    task_run_id = artifacts_of(name)["lines-counts"].task_run_id
    wanted = {"line of a child program", "line of shard 0", "line of shard 1"}
    deadline = time.monotonic() + 30
    found: dict[str, Any] = {}
    while not wanted <= found.keys() and time.monotonic() < deadline:
        flush_to_prefect()
        with get_client(sync_client=True) as client:
            logs = client.read_logs(
                LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_id(name)]))
            )
        found = {log.message: log.task_run_id for log in logs}
    assert {line: found.get(line) for line in wanted} == dict.fromkeys(wanted, task_run_id)


def write_until_looked_at(*, config: TalkConfig, out: Build) -> None:
    logging.getLogger("headrace.test").warning("a last line")
    out.progress(1, 4, "steps")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = load_progress(out.runtime.home, "watched")
        if found and found.steps["failing"].line and found.steps["failing"].event:
            break
        time.sleep(0.05)
    raise ConfigError("a setting is\nwrong")


def test_the_progress_file_tells_what_runs_and_what_failed(home: Path) -> None:
    stage = Stage(name="failing", version=1, format="t/1", packages=(), write=write_until_looked_at)
    with pytest.raises(ConfigError):
        start(f"failing-{home.parent.name}", stage, TalkConfig())
    found = load_progress(home, "watched")
    assert found is not None
    step_now = found.steps["failing"]
    assert (step_now.state, step_now.line) == ("Failed", "a last line")
    assert step_now.event["share"] == 0.25
    assert step_now.error == "ConfigError: a setting is wrong"
    start(f"good-{home.parent.name}", LETTERS, LettersConfig())
    found = load_progress(home, "watched")
    assert found is not None
    assert found.steps == {}


class Api(BaseHTTPRequestHandler):
    """As much of Prefect's API as takes artifacts."""

    taken: ClassVar[list[Any]] = []

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.taken.append(body)
        self._answer(body | {"id": "00000000-0000-4000-8000-000000000001"})

    do_PATCH = do_POST

    def _answer(self, value: Any) -> None:
        text = json.dumps(value).encode()
        self.send_response(200 if value else 404)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


SLOT = Slot(key="a-key", flow_run_id="", task_run_id="")


def test_a_server_that_is_away_gets_the_newest_when_it_is_back() -> None:
    (port,) = free_ports(1)
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
        board = Board()
        board.put(SLOT, "markdown", "old", "")
        assert not board.drain(0.5)
        board.put(SLOT, "markdown", "new", "")
    socketserver.TCPServer.allow_reuse_address = True
    Api.taken.clear()
    with HTTPServer(("127.0.0.1", port), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        deadline = time.monotonic() + 60
        while not any(item["data"] == "new" for item in Api.taken) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert board.drain(10.0)
        server.shutdown()
        thread.join()
    assert Api.taken[-1]["data"] == "new"


def test_a_stage_ends_well_without_a_server_for_its_artifacts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
        deaf = Board()
    monkeypatch.setattr(watching, "board", lambda: deaf)
    monkeypatch.setattr(watching, "DRAIN_SECONDS", 0.5)
    name = f"deaf-{home.parent.name}"
    start(name, LETTERS, LettersConfig(sleep_seconds=0.2))
    assert next(home.glob("artifacts/letters/*/manifest.json"))
    assert artifacts_of(name) == {}


def test_hits_of_an_announced_run_are_there_once_the_flow_has_drained(home: Path) -> None:
    start(f"first-{home.parent.name}", LETTERS, LettersConfig())
    name = f"hits-{home.parent.name}"
    seen: list[list[str]] = []

    @flow(name="announced", persist_result=False)
    def announced() -> None:
        run_id = str(prefect_runtime.flow_run.id)
        watching.announce("announced", flow_run_id=run_id, flow_run_name=name)
        assert load_progress(home, "announced") is not None
        step()
        assert watching.drain()
        seen.append(sorted(artifacts_of(name)))

    announced.with_options(flow_run_name=name)()
    assert seen == [["letters-counts"]]


def test_a_process_without_our_logging_gets_lines_that_say_where_they_come_from() -> None:
    ours, root = logging.getLogger("headrace"), logging.getLogger()
    level, console = ours.level, PrefectConsoleHandler()
    console.setFormatter(logging.Formatter("%(message)s"))
    root.addHandler(console)
    try:
        ours.setLevel(logging.NOTSET)
        watching.prepare_logging()
        watching.prepare_logging()
        assert ours.level == logging.INFO
        assert isinstance(console.formatter, LabelledFormatter)
        assert not isinstance(console.formatter.inner, LabelledFormatter)
        ours.setLevel(logging.WARNING)  # --quiet
        watching.prepare_logging()
        assert ours.level == logging.WARNING
    finally:
        root.removeHandler(console)
        ours.setLevel(level)
