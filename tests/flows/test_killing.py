"""kill -9 at any moment, run again: the same digests, no process left, no run left Running."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from headrace.artifacts.runs import load_run
from tests.flows.conftest import ROOT, STAGES, Pipeline, lend_database, lend_triton
from tests.harness.killing import KillHarness, Moment, digests, random_moments

LIVE = ("RUNNING", "PENDING", "CANCELLING", "SCHEDULED")

# Whole pipelines: a loaded machine may take several times the usual minute.
pytestmark = pytest.mark.timeout(1500)


def live_runs(home: Path) -> list[tuple[str, str]]:
    """Flow and task runs that Prefect's database still takes for alive."""
    found = []
    with sqlite3.connect(f"file:{home / 'prefect' / 'prefect.db'}?mode=ro", uri=True) as database:
        for table in ("flow_run", "task_run"):
            rows = database.execute(f"select name, state_type from {table}").fetchall()
            found += [(name, state) for name, state in rows if state in LIVE]
    database.close()
    return found


def stage_seconds(finished: Pipeline) -> dict[str, float]:
    run = load_run(finished.home, "pretrain_wikipedia")
    assert run is not None
    return {
        artifact.stage: float(artifact.manifest.provenance["seconds"])
        for artifact in finished.store.artifacts()
    }


def kill_and_finish(
    finished: Pipeline, home: Path, moments: list[Moment]
) -> dict[str, tuple[str, ...]]:
    """Kill at each moment in turn, then finish; returns what was unfinished at each kill."""
    lend_triton(home)
    lend_database(home, finished)
    harness = KillHarness(command=Pipeline(home).command(), home=home, cwd=ROOT)
    seen = {}
    for moment in moments:
        result = harness.run_and_kill(moment)
        assert result.left_over == (), (moment, result.left_over)
        if result.killed:
            seen[moment.stage] = result.unfinished
    output = harness.run()
    assert "done in" in output
    assert digests(home) == finished.digests()
    assert live_runs(home) == []
    return seen


def test_three_kills_then_the_same_digests(finished: Pipeline, tmp_path: Path) -> None:
    seconds = stage_seconds(finished)
    moments = [
        Moment(stage="articles", seconds=0.5 * seconds["articles"], group=False),
        Moment(stage="model", seconds=0.6 * seconds["model"], group=True),
        Moment(stage="answers", seconds=0.5 * seconds["answers"], group=False),
    ]
    seen = kill_and_finish(finished, tmp_path / "home", moments)
    assert "model" in seen
    assert "model" in seen["model"]


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", [20261121])
def test_a_kill_in_every_stage_then_the_same_digests(
    finished: Pipeline, tmp_path: Path, seed: int
) -> None:
    stages = [stage for stage in STAGES if stage != "source"]
    moments = random_moments(stages, stage_seconds(finished), seed=seed)
    seen = kill_and_finish(finished, tmp_path / "home", moments)
    assert len(seen) >= 10
