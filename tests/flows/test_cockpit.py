"""`headrace up` as a person uses it: forms, schedules, buttons, Ctrl-C; and what kills do to it."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.artifacts.runs import load_run
from headrace.serving.installation import DIRECTORY
from tests.flows.conftest import ROOT, SAMPLE, SHRUNK, STAGES, Pipeline
from tests.harness.browser import keep_picture, open_page
from tests.harness.cockpit import RunningCockpit, wait_for
from tests.harness.killing import digests, headrace, marked_processes

pytestmark = pytest.mark.timeout(900)

TASKS = [{"tokenizer": "trained_tokenizer"}.get(stage, stage) for stage in STAGES]
"""Names of the tasks, which for one stage is another than the step's."""


def shrunk_config(**training: Any) -> dict[str, Any]:
    """Settings of the shrunk pipeline, as the finished home ran it, with changes in training."""
    config: dict[str, Any] = yaml.safe_load(SHRUNK.read_text(encoding="utf-8"))
    config["dump"] = str(SAMPLE.relative_to(ROOT))
    config["training"] |= training
    return config


@pytest.fixture(scope="module")
def cockpit(
    finished: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningCockpit]:
    """A running `headrace up` over a home in which the shrunk pipeline ran."""
    home = tmp_path_factory.mktemp("cockpit") / "home"
    shutil.copytree(finished.home, home, symlinks=True)
    running = RunningCockpit(home).start()
    try:
        yield running
        assert running.stop() == 0
        assert running.left_over() == ()
    finally:
        running.kill_leftovers()


@pytest.fixture(scope="module")
def deployment(cockpit: RunningCockpit) -> str:
    """Id of a deployment with the shrunk settings."""
    return cockpit.add_deployment("shrunk", shrunk_config())


def open_tab(page: Any, name: str) -> None:
    page.get_by_role("listitem").get_by_text(name, exact=True).or_(
        page.get_by_text(name, exact=True)
    ).first.click()


def test_everything_is_up_and_registered(cockpit: RunningCockpit) -> None:
    services = cockpit.services()
    assert set(services) == {"server", "worker-cpu", "worker-gpu", "triton", "reports"}
    assert {row["state"].partition(":")[0] for row in services.values()} == {"running"}
    pools = {pool["name"]: pool for pool in cockpit.ask("/work_pools/filter", {})}
    assert pools["gpu"]["concurrency_limit"] == 1
    for name in ("demo", "small", "article"):
        found = cockpit.deployment(name)
        (step,) = found["pull_steps"]
        assert "{{ $HEADRACE_PROJECT }}" in str(step)
        assert str(ROOT) not in str(found)
        assert [item["active"] for item in found["schedules"]] == [False]
    names = [item["name"] for item in cockpit.ask("/automations/filter", {})]
    assert sum("crashed" in name for name in names) == 1
    # Triton serves what the finished run left, on the port that was asked for.
    model = cockpit.services()["triton"]["state"].partition(": ")[2]
    assert list(cockpit.home.glob(f"artifacts/triton_repository/{model}*"))


def test_a_second_one_and_a_taken_port_are_refused(cockpit: RunningCockpit, tmp_path: Path) -> None:
    variables = cockpit.variables()
    for home, port in ((cockpit.home, "4999"), (tmp_path / "other", str(cockpit.port))):
        done = subprocess.run(
            headrace("up", "--port", port), cwd=ROOT, env=variables | {"HEADRACE_HOME": str(home)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
        assert "Traceback" not in done.stderr


def test_from_the_form_to_the_plots_in_a_browser(cockpit: RunningCockpit, deployment: str) -> None:
    with open_page(height=1300) as page:
        page.goto(f"{cockpit.ui}/deployments/deployment/{deployment}/run")
        field = page.get_by_label("Learning Rate").first
        if not field.count():
            label = page.get_by_text("Learning Rate (Optional)", exact=True)
            field = label.locator("xpath=following::input[1]")
        field.scroll_into_view_if_needed()
        assert float(field.input_value()) == pytest.approx(5e-3)
        keep_picture(page, "form")
        field.fill("0.004")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url("**/deployments/deployment/*tab=Runs*")
        run_id = only_run(cockpit, deployment)
        page.locator(f"a[href*='{run_id}']").first.click()
        page.get_by_text("Running", exact=True).first.wait_for()
        keep_picture(page, "running")
        seen = watch_progress(cockpit, run_id)
        page.get_by_text("Completed", exact=True).first.wait_for(timeout=300_000)
        run = cockpit.wait_for_end(run_id)
        keep_picture(page, "completed")

        assert run["state_type"] == "COMPLETED", run["state"]
        assert run["parameters"]["config"]["training"]["learning_rate"] == 0.004
        states = cockpit.task_states(run_id)
        first_new = TASKS.index("model")
        assert [states[name] for name in TASKS[:first_new]] == ["Cached"] * first_new
        assert {states[name] for name in TASKS[first_new:]} == {"Completed"}
        # The owner's tag is there while it runs, and gone afterwards.
        assert not [tag for tag in run["tags"] if tag.startswith("headrace-owner")]

        artifacts = cockpit.artifacts(run_id)
        assert seen >= 2, "the progress of training was not seen to grow"
        open_tab(page, "Artifacts")
        page.get_by_text("model-loss", exact=True).first.wait_for()
        keep_picture(page, "artifacts")
        look_at_image(page, cockpit, artifacts["model-loss"]["id"])
        for key, text in (
            ("plan", "learning_rate"), ("evaluation-figures", "perplexity"),
            ("parity-figures", "error"), ("pages-counts", "redirect"), ("report", "html"),
        ):  # fmt: skip
            page.goto(f"{cockpit.ui}/artifacts/artifact/{artifacts[key]['id']}")
            page.get_by_text(text).first.wait_for()
            keep_picture(page, f"artifact-{key}")
        look_at_report(page, cockpit, artifacts["report"]["data"])
        assert page.foreign == []


def only_run(cockpit: RunningCockpit, deployment: str) -> str:
    wanted = {"deployments": {"id": {"any_": [deployment]}}}
    (run,) = wait_for("the run", lambda: cockpit.ask("/flow_runs/filter", wanted), 30)
    return str(run["id"])


def watch_progress(cockpit: RunningCockpit, run_id: str) -> int:
    """Look at the training's progress until it ends; returns how many different values it had."""
    values: set[float] = set()
    wait_for(
        "the progress of training",
        lambda: (
            "model-progress" in cockpit.artifacts(run_id)
            or cockpit.run(run_id)["state_type"] == "FAILED"
        ),
        240,
    )
    ids = set()

    def look() -> bool:
        found = cockpit.artifacts(run_id)["model-progress"]
        ids.add(found["id"])
        values.add(float(found["data"]))
        return cockpit.task_states(run_id).get("model") == "Completed"

    wait_for("the end of training", look, 240)
    assert len(ids) == 1, "progress must be updated in place"
    return len(values)


def look_at_image(page: Any, cockpit: RunningCockpit, artifact_id: str) -> None:
    page.goto(f"{cockpit.ui}/artifacts/artifact/{artifact_id}")
    image = page.locator("img[src^='data:image/png']").first
    image.wait_for()
    # A picture that the browser could not read has no width.
    width = wait_for("the picture", lambda: image.evaluate("item => item.naturalWidth"), 20)
    assert width >= 600
    source = image.get_attribute("src")
    assert base64.b64decode(source.partition(",")[2]).startswith(b"\x89PNG")
    keep_picture(page, "artifact-model-loss")


def look_at_report(page: Any, cockpit: RunningCockpit, text: str) -> None:
    url = text.partition("(<")[2].partition(">)")[0]
    assert url.startswith(f"http://127.0.0.1:{cockpit.reports_port}/pretrain_wikipedia-shrunk/")
    page.goto(url)
    for what in ("perplexity", "Triton", "model", "sha256"):
        page.get_by_text(what).first.wait_for(state="attached")
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    keep_picture(page, "report")


def test_a_failed_run_is_retried_by_the_button(cockpit: RunningCockpit, deployment: str) -> None:
    # The fault: Triton's installation is away when the last stage needs it.
    changed = cockpit.add_deployment("faulty", shrunk_config(learning_rate=3e-3))
    link, away = cockpit.home / DIRECTORY, cockpit.home / "away"
    link.rename(away)
    try:
        run_id = cockpit.start_run(changed)
        run = cockpit.wait_for_end(run_id)
    finally:
        away.rename(link)
    assert run["state_type"] == "FAILED"
    assert "make setup" in run["state"]["message"]
    before = cockpit.task_states(run_id)
    assert before.pop("answers") == "Failed"
    assert set(before.values()) == {"Cached", "Completed"}
    record = load_run(cockpit.home, "pretrain_wikipedia-faulty")
    assert record is not None
    assert (record.state, record.attempt) == ("Failed", 1)
    assert "ServingError" in record.error

    with open_page() as page:
        page.goto(f"{cockpit.ui}/runs/flow-run/{run_id}")
        page.get_by_text("Failed", exact=True).first.wait_for()
        page.get_by_text("Task runs").first.wait_for()
        page.wait_for_timeout(2000)  # for the picture: the log is drawn a little later
        keep_picture(page, "failed")
        page.get_by_role("button", name="Retry").first.click()
        page.get_by_role("dialog").get_by_role("button", name="Retry").click()
        page.get_by_text("Completed", exact=True).first.wait_for(timeout=120_000)
        run = cockpit.wait_for_end(run_id, attempt=2)
        keep_picture(page, "retried")
    assert run["state_type"] == "COMPLETED"
    after = cockpit.task_states(run_id)
    assert after.pop("answers") == "Completed"
    assert set(after.values()) == {"Cached"}
    record = load_run(cockpit.home, "pretrain_wikipedia-faulty")
    assert record is not None
    assert (record.state, record.attempt, record.error) == ("Completed", 2, "")


def prefect(cockpit: RunningCockpit, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = cockpit.variables() | {"PREFECT_API_URL": cockpit.api}
    variables["PREFECT_HOME"] = str(cockpit.home / "prefect")
    return subprocess.run(
        [sys.executable, "-m", "prefect", *arguments], cwd=ROOT, env=variables,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_retrying_from_either_command_line(cockpit: RunningCockpit, deployment: str) -> None:
    run_id = cockpit.start_run(deployment)
    assert cockpit.wait_for_end(run_id)["state_type"] == "COMPLETED"
    done = prefect(cockpit, "flow-run", "retry", run_id)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cockpit.wait_for_end(run_id, attempt=2)["state_type"] == "COMPLETED"
    ours = subprocess.run(
        headrace("retry", "pretrain_wikipedia-shrunk"), cwd=ROOT, env=cockpit.variables(),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ours.returncode == 0, ours.stdout + ours.stderr
    run = cockpit.run(run_id)
    assert (run["run_count"], run["state_type"]) == (3, "COMPLETED")
    assert set(cockpit.task_states(run_id).values()) == {"Cached"}


@pytest.mark.slow
def test_a_local_run_uses_this_server_and_is_retried_in_place(cockpit: RunningCockpit) -> None:
    variables = cockpit.variables()
    command = headrace("run", "pretrain_wikipedia", "--config", str(SHRUNK), "--name", "local")
    command += ["--set", f"dump={SAMPLE}"]
    link, away = cockpit.home / DIRECTORY, cockpit.home / "away"
    link.rename(away)
    try:
        failed = subprocess.run(
            [*command, "--set", "answers.num_prompts=9"], cwd=ROOT, env=variables,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    finally:
        away.rename(link)
    assert failed.returncode == 1
    record = load_run(cockpit.home, "local")
    assert record is not None
    assert record.state == "Failed"
    run = cockpit.run(record.flow_run_id)
    assert (run["state_type"], run["run_count"]) == ("FAILED", 1)
    retried = subprocess.run(
        headrace("retry", "local"), cwd=ROOT, env=variables,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert retried.returncode == 0, retried.stdout + retried.stderr
    run = cockpit.run(record.flow_run_id)
    assert (run["state_type"], run["run_count"]) == ("COMPLETED", 2)


def test_a_schedule_fires_by_itself(cockpit: RunningCockpit, deployment: str) -> None:
    schedules = cockpit.ask(
        f"/deployments/{deployment}/schedules",
        [{"schedule": {"interval": 20}, "active": True, "slug": "often"}],
    )
    try:

        def fired() -> list[dict[str, Any]]:
            return [
                run
                for run in cockpit.ask(
                    "/flow_runs/filter",
                    {"deployments": {"id": {"any_": [deployment]}},
                     "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}},
                )
                if run["auto_scheduled"]
            ]  # fmt: skip

        runs = wait_for("a scheduled run", fired, 180)
    finally:
        item = schedules[0]["id"]
        cockpit.ask(f"/deployments/{deployment}/schedules/{item}", method="DELETE")
    assert set(cockpit.task_states(runs[0]["id"]).values()) == {"Cached"}


def test_a_killed_worker_loses_nothing(cockpit: RunningCockpit) -> None:
    changed = cockpit.add_deployment("killed-worker", shrunk_config(learning_rate=2e-3))
    run_id = cockpit.start_run(changed)
    wait_for("training", lambda: cockpit.task_states(run_id).get("model") == "Running", 120)
    pid = cockpit.services()["worker-cpu"]["pid"]
    os.kill(pid, signal.SIGKILL)
    # It is tried again by itself, once the worker is back.
    run = cockpit.wait_for_end(run_id, attempt=2)
    assert run["state_type"] == "COMPLETED", run["state"]
    assert cockpit.services()["worker-cpu"]["pid"] != pid
    tasks = cockpit.ask("/task_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
    assert {task["state_type"] for task in tasks} <= {"COMPLETED", "CRASHED"}
    assert_undisturbed(cockpit, 2e-3)


@pytest.mark.slow
def test_a_killed_server_loses_nothing(cockpit: RunningCockpit) -> None:
    changed = cockpit.add_deployment("killed-server", shrunk_config(learning_rate=1e-3))
    run_id = cockpit.start_run(changed)
    wait_for("training", lambda: cockpit.task_states(run_id).get("model") == "Running", 120)
    pid = cockpit.services()["server"]["pid"]
    os.kill(pid, signal.SIGKILL)
    run = cockpit.wait_for_end(run_id)
    if run["state_type"] != "COMPLETED":
        # It may be told as crashed; then a retry finishes it.
        assert run["state_type"] == "CRASHED", run["state"]
        assert prefect(cockpit, "flow-run", "retry", run_id).returncode == 0
        run = cockpit.wait_for_end(run_id, attempt=run["run_count"] + 1)
    assert run["state_type"] == "COMPLETED", run["state"]
    assert cockpit.services()["server"]["pid"] != pid
    assert_undisturbed(cockpit, 1e-3)


def assert_undisturbed(cockpit: RunningCockpit, learning_rate: float) -> None:
    """A fresh home with only what comes before the model must give the same digests."""
    record = load_run(cockpit.home, "pretrain_wikipedia-killed-worker")
    other = load_run(cockpit.home, "pretrain_wikipedia-killed-server")
    (record,) = [
        item
        for item in (record, other)
        if item and item.config["training"]["learning_rate"] == learning_rate
    ]
    home = cockpit.home.with_name(f"undisturbed-{learning_rate}")
    shutil.copytree(
        cockpit.home, home, symlinks=True,
        ignore=shutil.ignore_patterns(
            *[stage for stage in STAGES[STAGES.index("model") :]], "logs", "reports", "prefect"
        ),
    )  # fmt: skip
    undisturbed = Pipeline(home)
    undisturbed.run(f"training.learning_rate={learning_rate}")
    assert undisturbed.code == 0, undisturbed.output[-3000:]
    wanted = digests(home)
    for step in record.steps.values():
        assert wanted[f"{step.link.stage}/{step.link.key}"] == step.link.digest


def second_attempt(cockpit: RunningCockpit, run_id: str) -> dict[str, Any] | None:
    run = cockpit.run(run_id)
    return run if run["run_count"] == 2 else None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill-9"])
def test_nothing_is_left_after_ten_seconds(
    finished: Pipeline, tmp_path: Path, number: signal.Signals
) -> None:
    home = tmp_path / "home"
    shutil.copytree(finished.home, home, symlinks=True)
    running = RunningCockpit(home).start()
    try:
        changed = running.add_deployment("going", shrunk_config(num_steps=100_000))
        run_id = running.start_run(changed)
        wait_for("training", lambda: running.task_states(run_id).get("model") == "Running", 120)
        os.kill(running.process.pid, number)
        assert running.left_over(10.0) == ()
        assert running.process.wait(5) == (0 if number == signal.SIGINT else -signal.SIGKILL)
        again = RunningCockpit(home).start()
        try:
            if number == signal.SIGINT:
                # Stopped on purpose: it waits for a retry.
                assert again.wait_for_end(run_id, seconds=60)["state_type"] == "CRASHED"
            else:
                # Cut off: it goes on by itself.
                going = wait_for("the next attempt", lambda: second_attempt(again, run_id), 120)
                assert going["state_type"] == "RUNNING"
            assert again.stop() == 0
            assert again.left_over(1.0) == ()
        finally:
            again.kill_leftovers()
    finally:
        running.kill_leftovers()


@pytest.mark.slow
def test_what_was_switched_on_stays_on(finished: Pipeline, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(finished.home, home, symlinks=True)
    running = RunningCockpit(home).start()
    try:
        demo = running.deployment("demo")
        (schedule,) = demo["schedules"]
        path = f"/deployments/{demo['id']}/schedules/{schedule['id']}"
        running.ask(path, {"active": True}, method="PATCH")
        assert running.stop() == 0
        (home / "prefect" / "deployed.json").write_text("{}")  # as after a change of the file
        running = RunningCockpit(home).start()
        assert [item["active"] for item in running.deployment("demo")["schedules"]] == [True]
        assert [item["active"] for item in running.deployment("small")["schedules"]] == [False]
        assert running.stop() == 0
    finally:
        running.kill_leftovers()


def test_a_cancelled_run_is_cancelled_and_leaves_nothing(cockpit: RunningCockpit) -> None:
    changed = cockpit.add_deployment("cancelled", shrunk_config(num_steps=100_001))
    run_id = cockpit.start_run(changed)
    wait_for("training", lambda: cockpit.task_states(run_id).get("model") == "Running", 120)
    state = {"state": {"type": "CANCELLING"}}
    cockpit.ask(f"/flow_runs/{run_id}/set_state", state)
    run = cockpit.wait_for_end(run_id, seconds=60)
    assert run["state_type"] == "CANCELLED"
    record = wait_for(
        "the record's end",
        lambda: (
            (found := load_run(cockpit.home, "pretrain_wikipedia-cancelled"))
            and (found if found.ended else None)
        ),
        30,
    )
    assert record.state == "Cancelled"
    training = [
        process.pid
        for process in marked_processes(cockpit.mark)
        if "headrace.training" in " ".join(process.cmdline())
    ]
    assert training == []
