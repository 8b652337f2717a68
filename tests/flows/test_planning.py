"""Plans of the real pipeline, from its own flow, against what runs then do."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
)

from flows import planning as command
from flows.pipelines import PIPELINES
from flows.pretrain_wikipedia import pretrain_wikipedia
from flows.running import flush_to_prefect
from headrace.artifacts import Runtime, Store
from headrace.artifacts.plans import Plan
from headrace.artifacts.shards import WORK
from headrace.corpus.sentences import SENTENCES
from headrace.errors import MissingInputError
from tasks import corpus, planning
from tasks.planning import plan_pipeline, show_plan, stage_task
from tasks.stage import open_store, run_stage
from tests.artifacts.stages import LETTERS, LettersConfig
from tests.flows.conftest import ROOT, SAMPLE, SHRUNK, STAGES, Pipeline

pytestmark = [
    pytest.mark.timeout(1500),
    # Prefect's own code, not ours.
    pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning"),
]

FROM_TRAINING = STAGES[STAGES.index("model") :]
STATES = {"HIT": "Cached", "RUN": "Completed", "HEAL": "Healed"}


def make_plan(home: Path, *settings: str, dump: Path = SAMPLE) -> Plan:
    config = PIPELINES["pretrain_wikipedia"].load(SHRUNK, [f"dump={dump}", *settings])
    return plan_pipeline(pretrain_wikipedia, config, Store(Runtime(home=home, num_workers=2)))


def actions(plan: Plan) -> dict[str, str]:
    return {step.step: step.action.value for step in plan.steps}


def reasons(plan: Plan) -> dict[str, str]:
    return {step.step: step.reason for step in plan.steps}


def runs_from(first: str) -> dict[str, str]:
    start = STAGES.index(first)
    return dict.fromkeys(STAGES[:start], "HIT") | dict.fromkeys(STAGES[start:], "RUN")


def test_a_finished_pipeline_is_all_hits(finished: Pipeline) -> None:
    plan = make_plan(finished.home)
    assert actions(plan) == dict.fromkeys(STAGES, "HIT")
    assert plan.seconds == 0.0
    assert plan.needed_bytes == 0


def test_another_learning_rate(finished: Pipeline) -> None:
    plan = make_plan(finished.home, "training.learning_rate=1e-3")
    assert actions(plan) == runs_from("model")
    assert reasons(plan)["model"] == "config.learning_rate: 0.005 -> 0.001"
    taken = finished.store.find("model").manifest.provenance["full_seconds"]
    assert {step.step: step.seconds for step in plan.steps}["model"] == pytest.approx(taken)
    assert all(step.waits_for for step in plan.steps if step.step in FROM_TRAINING[1:])


def test_another_tokenizer_size(finished: Pipeline) -> None:
    plan = make_plan(finished.home, "tokenizer.vocab_size=512", "blocks.seq_len=32")
    assert actions(plan) == runs_from("tokenizer")
    assert reasons(plan)["tokenizer"] == "config.vocab_size: 1024 -> 512"
    # What waits for it names its own change besides.
    assert "config.seq_len: 64 -> 32" in reasons(plan)["blocks"]
    assert "tokenizer" in reasons(plan)["blocks"]


def test_another_stage_version(finished: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SENTENCES", replace(SENTENCES, version=SENTENCES.version + 1))
    plan = make_plan(finished.home)
    assert actions(plan) == runs_from("sentences")
    assert reasons(plan)["sentences"] == f"version: {SENTENCES.version} -> {SENTENCES.version + 1}"


def test_another_dump(finished: Pipeline, tmp_path: Path) -> None:
    dump = tmp_path / "other.xml"
    dump.write_bytes(b"<mediawiki/>")
    plan = make_plan(finished.home, dump=dump)
    assert actions(plan) == dict.fromkeys(STAGES, "RUN")
    before = finished.store.find("source").digest[:12]
    assert f"input.source: {before} -> " in reasons(plan)["pages"]


def test_a_renamed_dump_changes_nothing(finished: Pipeline, tmp_path: Path) -> None:
    dump = tmp_path / "renamed.bz2"
    dump.write_bytes(SAMPLE.read_bytes())
    assert set(actions(make_plan(finished.home, dump=dump)).values()) == {"HIT"}


def test_an_empty_home_is_timed_by_the_reference(tmp_path: Path) -> None:
    plan = make_plan(tmp_path / "home")
    assert actions(plan) == dict.fromkeys(STAGES, "RUN")
    assert plan.untimed == []
    assert plan.machine
    sizes = {step.step: step.num_bytes for step in plan.steps}
    assert all(sizes.values())
    assert plan.needed_bytes > sum(step.write_bytes for step in plan.steps)  # checkpoints


def test_a_gpu_is_not_timed_by_cpu_runs(finished: Pipeline) -> None:
    plan = make_plan(finished.home, "training.backend=cuda")
    assert plan.untimed == ["model"]


def test_training_goes_on_from_its_checkpoint(pipeline: Pipeline) -> None:
    setting = "training.learning_rate=2e-3"
    whole = next(step for step in make_plan(pipeline.home, setting).steps if step.step == "model")
    scratch = pipeline.store.path_of("model", whole.key) / WORK
    checkpoint = scratch / "checkpoints" / "step-00000040"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").touch()
    rest = next(step for step in make_plan(pipeline.home, setting).steps if step.step == "model")
    assert "step 40 of 80" in rest.reason
    assert "learning_rate" in rest.reason
    assert rest.seconds is not None
    assert whole.seconds is not None
    assert rest.seconds < whole.seconds


def snapshot(root: Path) -> Mapping[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_the_run_does_what_the_plan_says(pipeline: Pipeline) -> None:
    pipeline.store.find("articles").files("articles-*.parquet")[1].unlink()
    setting = "samples.max_new_tokens=8"
    before = snapshot(pipeline.home)
    plan = make_plan(pipeline.home, setting)
    assert snapshot(pipeline.home) == before
    expected = dict.fromkeys(STAGES, "HIT") | {"articles": "HEAL", "samples": "RUN"}
    assert actions(plan) == expected
    step = next(step for step in plan.steps if step.step == "articles")
    assert len(step.damaged) == 1
    assert step.damaged[0] in step.reason
    assert reasons(plan)["samples"] == "config.max_new_tokens: 16 -> 8"
    seen = pipeline.run(setting)
    assert seen == {name: STATES[action] for name, action in expected.items()}, pipeline.output
    assert set(actions(make_plan(pipeline.home, setting)).values()) == {"HIT"}


def plan_command(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home")
    common.add_argument("--workers", type=int)
    common.add_argument("--config", type=Path)
    common.add_argument("--set", action="append", default=[], dest="settings")
    command.add_parser(parser.add_subparsers(), [common])
    return parser.parse_args(["plan", "pretrain_wikipedia", *arguments])


def test_the_command_prints_a_table_and_json(
    finished: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--home", str(finished.home), "--config", str(SHRUNK), "--set", f"dump={SAMPLE}"]
    arguments = plan_command(*given)
    assert arguments.function(arguments) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in STAGES)
    arguments = plan_command(*given, "--set", "training.seed=7", "--json")
    assert arguments.function(arguments) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["pipeline"] == "pretrain_wikipedia"
    assert [step["step"] for step in value["steps"]] == list(STAGES)
    assert value["hits"] + value["runs"] + value["heals"] == len(STAGES)
    assert value["runs"] == len(FROM_TRAINING)
    assert value["fits"] is True
    assert value["seconds"] > 0
    assert value["needed_bytes"] > 0


def test_a_missing_dump_is_the_usual_error(tmp_path: Path) -> None:
    arguments = plan_command("--set", f"dump={tmp_path / 'none.xml'}")
    with pytest.raises(MissingInputError):
        arguments.function(arguments)


def test_a_plan_needs_no_server_and_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.flows.test_planning import make_plan\n"
        f"print(len(make_plan(Path({str(tmp_path)!r})).steps), 'torch' in sys.modules)\n"
    )
    # Whoever asked this server would fail.
    environment = {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_HOME": str(tmp_path / "p")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [str(len(STAGES)), "False"], done.stderr


@stage_task
def letters(config: LettersConfig) -> Any:
    return run_stage(LETTERS, config, {})


def tell(flow: Any, flow_run: Any, _state: Any) -> None:
    show_plan(flow, LettersConfig(), open_store(), flow_run_id=flow_run.id)


@flow(name="planned_letters", persist_result=False, on_running=[tell])
def letters_flow(config: LettersConfig) -> None:
    letters(config)


def run_letters(name: str) -> tuple[dict[str, Any], int]:
    """Artifacts by key, and the number of task runs, of one run of the flow."""
    letters_flow.with_options(flow_run_name=name)(LettersConfig())
    flush_to_prefect()
    chosen = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(flow_run_filter=chosen)
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        )
        deadline, tasks = time.monotonic() + 20, []
        while not tasks and time.monotonic() < deadline:
            tasks = client.read_task_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
            )
    return {artifact.key or "": artifact for artifact in found}, len(tasks)


@pytest.mark.usefixtures("prefect_server")
def test_the_plan_is_the_runs_first_artifact_and_makes_no_task_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    found, num_tasks = run_letters(f"planned-{tmp_path.name}")
    assert num_tasks == 1
    assert min(found.values(), key=lambda artifact: artifact.created).key == "plan"
    assert found["plan"].type == "markdown"
    assert "letters" in found["plan"].data


@pytest.mark.usefixtures("prefect_server")
def test_a_plan_that_fails_does_not_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise RuntimeError("no plan today")

    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(planning, "plan_pipeline", fail)
    found, num_tasks = run_letters(f"unplanned-{tmp_path.name}")
    assert num_tasks == 1
    assert "plan" not in found


def test_options_keep_a_task_plannable() -> None:
    copy = letters.with_options(name="other", retries=7)
    assert (type(copy), copy.name, copy.retries) == (type(letters), "other", 7)
    assert letters.retries != 7
