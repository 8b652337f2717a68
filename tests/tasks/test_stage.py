"""The cache rule, beside Prefect's own policies, on a real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterName,
)

from flows.running import flush_to_prefect
from headrace.artifacts import Artifact, Build, InputLink, ShardOutcome, Stage, Store
from headrace.artifacts.runs import load_run
from headrace.artifacts.sources import source_path
from headrace.config import StageConfig
from headrace.errors import ConfigError, ServerUnavailableError
from tasks.stage import STAGE_TASK, open_store, run_source, run_stage
from tests.artifacts.stages import LETTERS, LettersConfig

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    # Prefect's own code, not ours.
    pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning"),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class UpperConfig(StageConfig):
    suffix: str = "!"


def shout(text: str, config: UpperConfig) -> str:
    """The library function under the thin task; tests put another in its place."""
    return text.upper() + config.suffix


LIBRARY: dict[str, Callable[[str, UpperConfig], str]] = {"shout": shout}


def write_upper(*, source: Artifact, config: UpperConfig, out: Build) -> None:
    def write(directory: Path) -> ShardOutcome:
        text = LIBRARY["shout"](source_path(source).read_text(), config)
        (directory / "upper.txt").write_text(text)
        return ShardOutcome(rows=1)

    out.publish("upper", write)


def upper_stage(version: int = 1) -> Stage:
    return Stage(
        name="upper", version=version, format="test.upper/1", packages=(), write=write_upper
    )


@task(**STAGE_TASK)
def take(path: str) -> Any:
    return run_source(path)


@task(**STAGE_TASK)
def upper(source: InputLink, config: UpperConfig, version: int) -> Any:
    return run_stage(upper_stage(version), config, {"source": source})


@flow(name="ours", persist_result=False)
def ours(path: str, suffix: str = "!", version: int = 1) -> InputLink:
    link: InputLink = upper(take(path), UpperConfig(suffix=suffix), version).result()
    return link


def our_text(path: Path, **parameters: Any) -> str:
    link = ours(str(path), **parameters)
    artifact = next(a for a in open_store().artifacts() if a.digest == link.digest)
    return artifact.file("upper.txt").read_text()


@task(cache_policy=INPUTS + TASK_SOURCE, persist_result=True)
def prefect_upper(path: Path, out: Path) -> Path:
    out.write_text(LIBRARY["shout"](path.read_text(), UpperConfig()))
    return out


@flow(name="theirs")
def theirs(path: Path, out: Path) -> Path:
    result: Path = prefect_upper(path, out)
    return result


@pytest.fixture
def other_library() -> Any:
    before = LIBRARY["shout"]
    LIBRARY["shout"] = lambda text, config: text.title() + config.suffix
    yield
    LIBRARY["shout"] = before


def raw(tmp_path: Path, text: str = "hello") -> Path:
    path = tmp_path / "raw.txt"
    path.write_text(text)
    return path


def test_changed_library_code_is_stale_for_prefect_and_not_for_us(tmp_path: Path) -> None:
    path = raw(tmp_path)
    assert theirs(path, tmp_path / "out").read_text() == our_text(path) == "HELLO!"
    before = LIBRARY["shout"]
    LIBRARY["shout"] = lambda text, config: text.title() + config.suffix
    try:
        assert theirs(path, tmp_path / "out").read_text() == "HELLO!"  # the trap: a stale hit
        assert our_text(path, version=2) == "Hello!"
    finally:
        LIBRARY["shout"] = before


def test_changed_bytes_behind_a_path_are_stale_for_prefect_and_not_for_us(tmp_path: Path) -> None:
    path = raw(tmp_path)
    assert theirs(path, tmp_path / "out").read_text() == our_text(path) == "HELLO!"
    path.write_text("good-bye")
    assert theirs(path, tmp_path / "out").read_text() == "HELLO!"  # the trap: a stale hit
    assert our_text(path) == "GOOD-BYE!"


def test_deleted_output_is_a_hit_for_prefect_and_healed_by_us(tmp_path: Path, home: Path) -> None:
    path = raw(tmp_path)
    assert theirs(path, tmp_path / "out").exists()
    assert our_text(path) == "HELLO!"
    (tmp_path / "out").unlink()
    assert not theirs(path, tmp_path / "out").exists()  # the trap: a path to nothing
    next(home.glob("artifacts/upper/*/upper.txt")).unlink()
    assert our_text(path) == "HELLO!"


def states_seen_by_the_server(flow_run_name: str) -> dict[str, str]:
    """Name of each task run's state in the database, by the task's name."""
    flush_to_prefect()
    deadline = time.monotonic() + 20
    while True:
        with get_client(sync_client=True) as client:
            runs = client.read_task_runs(
                flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[flow_run_name]))
            )
        states = {run.name.rpartition("-")[0]: run.state_name or "" for run in runs}
        final = [run for run in runs if run.state and run.state.is_final()]
        if (final and len(final) == len(runs) == 2) or time.monotonic() > deadline:
            return states
        time.sleep(0.2)


def test_states_are_named_in_prefects_api(tmp_path: Path, home: Path) -> None:
    path = raw(tmp_path)
    names = [f"{home.parent.name}-{number}" for number in range(3)]
    ours.with_options(flow_run_name=names[0])(str(path))
    ours.with_options(flow_run_name=names[1])(str(path))
    next(home.glob("artifacts/upper/*/upper.txt")).write_text("damaged")
    ours.with_options(flow_run_name=names[2])(str(path))
    seen = [states_seen_by_the_server(name) for name in names]
    assert seen == [
        {"take": "Completed", "upper": "Completed"},
        {"take": "Cached", "upper": "Cached"},
        {"take": "Cached", "upper": "Healed"},
    ]


def test_the_run_record_names_what_was_used(tmp_path: Path, home: Path) -> None:
    ours(str(raw(tmp_path)))
    run = load_run(home, "ours")
    assert run is not None
    assert [(name, step.outcome) for name, step in run.steps.items()] == [
        ("source", "Completed"),
        ("upper", "Completed"),
    ]


def test_no_absolute_path_travels_through_prefect(tmp_path: Path) -> None:
    link = ours(str(raw(tmp_path)))
    assert str(tmp_path) not in str(vars(link))


@task(**STAGE_TASK)
def letters(config: LettersConfig) -> Any:
    return run_stage(LETTERS, config, {})


@flow(name="letters", persist_result=False)
def letters_flow(config: LettersConfig) -> None:
    letters(config)


def test_counts_drops_and_progress_are_prefect_artifacts(home: Path) -> None:
    name = f"shown-{home.parent.name}"
    # Long enough for a progress event to be sent while it runs.
    config = LettersConfig(num_shards=3, sleep_seconds=2.2)
    letters_flow.with_options(flow_run_name=name)(config)
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name]))
        )
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[runs[0].id]))
        )
    kinds = {artifact.key: artifact.type for artifact in found}
    assert kinds == {
        "letters-counts": "table",
        "letters-drops": "image",
        "letters-progress": "progress",
    }
    progress = next(artifact for artifact in found if artifact.type == "progress")
    assert progress.data == 100.0
    assert "3 of 3 shards" in (progress.description or "")


FAILURES: list[BaseException] = []
CALLS: list[int] = []


@task(**(STAGE_TASK | {"retry_delay_seconds": 0}))
def failing() -> None:
    CALLS.append(1)
    raise FAILURES[0]


@flow(name="failing")
def failing_flow() -> None:
    failing()


@pytest.mark.parametrize(
    ("error", "num_calls"),
    [
        (ConfigError("bad setting"), 1),
        (MemoryError("full"), 1),
        (ValueError("defect"), 1),
        (ServerUnavailableError("not yet"), 3),
        (ConnectionResetError("broken"), 3),
    ],
    ids=["config", "memory", "defect", "server", "connection"],
)
def test_only_passing_troubles_are_retried(error: BaseException, num_calls: int) -> None:
    FAILURES[:] = [error]
    CALLS.clear()
    with pytest.raises(type(error)):
        failing_flow()
    assert len(CALLS) == num_calls


def test_a_wiped_home_is_a_miss_and_not_a_crash(tmp_path: Path, home: Path) -> None:
    path = raw(tmp_path)
    assert our_text(path) == "HELLO!"
    import shutil

    shutil.rmtree(home)
    assert our_text(path) == "HELLO!"
    assert isinstance(open_store(), Store)
