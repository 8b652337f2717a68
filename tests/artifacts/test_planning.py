"""Plans of small stages: what they say, that a run then does it, and that they touch nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from headrace.artifacts import Artifact, Outcome, Runtime, Stage, Store
from headrace.artifacts.estimates import Reference, fit
from headrace.artifacts.files import read_json, write_json
from headrace.artifacts.manifest import MANIFEST_NAME
from headrace.artifacts.measures import Measure, Resumption
from headrace.artifacts.planning import PLANNER, Planner, free_bytes, planning
from headrace.artifacts.plans import Action, Plan, PlannedStep
from headrace.artifacts.shards import BUILDING_NAME, WORK
from headrace.artifacts.sources import MEMORY_NAME, open_source
from headrace.errors import MissingInputError
from headrace.plan_views import plan_markdown, plan_text
from tests.artifacts.stages import LENGTH, LETTERS, LengthConfig, LettersConfig

ACTIONS = {Outcome.HIT: "HIT", Outcome.HEALED: "HEAL", Outcome.BUILT: "RUN"}


@dataclass(frozen=True)
class Mill:
    """A raw file, letters made beside it, their length: planned and run from one description."""

    store: Store
    raw: Path
    letters: LettersConfig = field(default_factory=LettersConfig)
    length: LengthConfig = field(default_factory=LengthConfig)
    letters_stage: Stage = LETTERS

    def plan(self, reference: Reference | None = None) -> Plan:
        planner = Planner(self.store, reference or Reference())
        source = planner.plan_source(self.raw, "source")
        letters = planner.plan_stage(
            self.letters_stage, self.letters, {"source": source}, "letters"
        )
        planner.plan_stage(LENGTH, self.length, {"letters": letters}, "length")
        return planner.plan("mill")

    def steps(self) -> dict[str, PlannedStep]:
        return {step.step: step for step in self.plan().steps}

    def actions(self) -> list[str]:
        return [step.action.value for step in self.plan().steps]

    def run(self) -> list[str]:
        source = open_source(self.store, self.raw)
        letters = self.store.open_or_build(
            self.letters_stage, self.letters, {"source": source.artifact}
        )
        length = self.store.open_or_build(LENGTH, self.length, {"letters": letters.artifact})
        return [ACTIONS[item.outcome] for item in (source, letters, length)]

    def artifact(self, stage: str) -> Artifact:
        return self.store.find(stage)


@pytest.fixture
def mill(store: Store, tmp_path: Path) -> Mill:
    raw = tmp_path / "raw.txt"
    raw.write_text("hello")
    return Mill(store, raw)


@pytest.fixture
def run(mill: Mill) -> Mill:
    """A mill that ran once."""
    assert mill.run() == ["RUN", "RUN", "RUN"]
    return mill


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_first_plan_runs_everything_and_says_so(mill: Mill) -> None:
    steps = mill.steps()
    assert {step.action for step in steps.values()} == {Action.RUN}
    assert "no earlier run" in steps["letters"].reason
    assert steps["letters"].key
    assert not steps["length"].key  # its input's bytes are not known yet
    assert steps["length"].waits_for == ("letters",)


def test_the_plan_names_the_key_that_the_run_uses(mill: Mill) -> None:
    before = mill.steps()
    mill.run()
    after = mill.steps()
    assert [step.action for step in after.values()] == [Action.HIT] * 3
    assert before["letters"].key == after["letters"].key == mill.artifact("letters").key
    assert before["source"].digest == mill.artifact("source").digest


def test_planning_writes_nothing_but_the_hashes_of_raw_inputs(mill: Mill) -> None:
    mill.plan()
    assert set(snapshot(mill.store.runtime.home)) == {f"artifacts/{MEMORY_NAME}"}
    mill.run()
    # A touched file is hashed, and its stamp is left to the run to renew.
    mill.artifact("letters").file("letters-00001.txt").touch()
    mill.artifact("length").file("length.txt").write_text("damaged")
    before = snapshot(mill.store.runtime.home)
    assert mill.actions() == ["HIT", "HIT", "HEAL"]
    assert snapshot(mill.store.runtime.home) == before


def change_text(mill: Mill) -> Mill:
    return replace(mill, letters=LettersConfig(text="xyz"))


def raise_version(mill: Mill) -> Mill:
    return replace(mill, letters_stage=replace(LETTERS, version=2))


def change_unit(mill: Mill) -> Mill:
    return replace(mill, length=LengthConfig(unit="octets"))


def delete_shard(mill: Mill) -> Mill:
    mill.artifact("letters").file("letters-00002.txt").unlink()
    return mill


def delete_index(mill: Mill) -> Mill:
    mill.artifact("letters").file("index.json").unlink()
    return mill


def change_raw(mill: Mill) -> Mill:
    mill.raw.write_text("good-bye")
    return mill


def nothing(mill: Mill) -> Mill:
    return mill


CASES = [
    (nothing, ["HIT", "HIT", "HIT"], "letters", ""),
    (change_text, ["HIT", "RUN", "RUN"], "letters", "config.text: abc -> xyz"),
    (raise_version, ["HIT", "RUN", "RUN"], "letters", "version: 1 -> 2"),
    (change_unit, ["HIT", "HIT", "RUN"], "length", "config.unit: bytes -> octets"),
    (delete_shard, ["HIT", "HEAL", "HIT"], "letters", "letters-00002.txt"),
    (delete_index, ["HIT", "HEAL", "HIT"], "letters", "index.json"),
    (change_raw, ["RUN", "RUN", "RUN"], "letters", "input.source: "),
]


@pytest.mark.parametrize(("change", "actions", "step", "why"), CASES)
def test_the_plan_names_what_changed_and_the_run_does_it(
    run: Mill, change: Callable[[Mill], Mill], actions: list[str], step: str, why: str
) -> None:
    changed = change(run)
    steps = changed.steps()
    assert [item.action.value for item in steps.values()] == actions
    assert why in steps[step].reason
    done = changed.run()
    # What waits for another step may turn out to be a hit: early cut-off.
    for planned, outcome in zip(steps.values(), done, strict=True):
        assert outcome == planned.action.value or (planned.waits_for and outcome == "HIT")


def test_equal_bytes_from_a_new_version_keep_the_rest_cached_as_the_plan_says(run: Mill) -> None:
    changed = raise_version(run)
    step = changed.steps()["length"]
    assert step.waits_for == ("letters",)
    assert "as before" in step.reason
    assert changed.run() == ["HIT", "RUN", "HIT"]


def test_a_step_that_waits_names_its_own_changes_too(run: Mill) -> None:
    changed = change_unit(change_text(run))
    step = changed.steps()["length"]
    assert step.changes == ("config.unit: bytes -> octets",)
    assert step.waits_for == ("letters",)
    assert "letters" in step.reason


def test_several_changes_are_told_against_the_nearest_run(run: Mill) -> None:
    other = replace(run, letters=LettersConfig(text="xyz", num_shards=2))
    other.run()
    near = replace(run, letters=LettersConfig(text="xyz", num_shards=3))
    assert near.steps()["letters"].changes == ("config.num_shards: 2 -> 3",)


def test_only_the_damaged_shard_is_planned_to_be_built(run: Mill) -> None:
    step = delete_shard(run).steps()["letters"]
    assert step.damaged == ("letters-00002.txt",)
    assert "shard letters-00002 " in step.reason
    whole = run.artifact("letters").num_bytes
    assert 0 < step.write_bytes < whole / 2


@pytest.fixture
def interrupted(mill: Mill) -> Mill:
    """Two of four shards are finished."""
    broken = replace(mill, letters=LettersConfig(fail_at=2))
    with pytest.raises(ValueError, match="shard 2"):
        broken.run()
    (path,) = (mill.store.root / "letters").glob("*/")
    key = mill.steps()["letters"].key
    target = path.with_name(key)  # as if the same settings had been interrupted
    path.rename(target)
    write_json(target / BUILDING_NAME, {**read_json(target / BUILDING_NAME), "key": key})
    return mill


def test_an_interrupted_build_is_told_to_go_on(interrupted: Mill) -> None:
    step = interrupted.steps()["letters"]
    assert step.action is Action.RUN
    assert "2 of 4 shards" in step.reason
    assert interrupted.run() == ["HIT", "RUN", "RUN"]


def test_a_resumed_build_is_no_measure_of_a_whole_one(interrupted: Mill) -> None:
    interrupted.run()
    provenance = interrupted.artifact("letters").manifest.provenance
    assert provenance["resumed"]
    assert provenance["full_seconds"] is None
    assert change_text(interrupted).steps()["letters"].seconds is None


def test_a_healed_artifact_remembers_what_its_whole_build_took(run: Mill) -> None:
    before = run.artifact("letters").manifest.provenance["full_seconds"]
    delete_shard(run)
    assert run.run() == ["HIT", "HEAL", "HIT"]
    provenance = run.artifact("letters").manifest.provenance
    assert provenance["resumed"]
    assert provenance["full_seconds"] == before


def write_slowly(*, config: LettersConfig, out: Any, **_inputs: Artifact) -> None:
    (out.workdir / "checkpoint").write_bytes(b"x" * 1000)
    LETTERS.write(config=config, out=out)


def shards_of(config: LettersConfig, _inputs: Any) -> float:
    return config.num_shards


SLOW = replace(
    LETTERS,
    write=write_slowly,
    measure=Measure(
        work=shards_of,
        volume=shards_of,
        counts=lambda config, _inputs, _scaled: {"rows": config.num_shards},
        resumption=lambda scratch, _config: (
            Resumption(share=0.5, words="from its checkpoint")
            if (scratch / "checkpoint").exists()
            else None
        ),
    ),
)


def tell_seconds(artifact: Artifact, seconds: float) -> None:
    """Put a measured time of our own choice into a manifest."""
    value = read_json(artifact.path / MANIFEST_NAME)
    value["provenance"]["full_seconds"] = seconds
    write_json(artifact.path / MANIFEST_NAME, value)


def test_time_disk_and_rows_follow_from_earlier_runs(mill: Mill) -> None:
    for num_shards, seconds in ((4, 6.0), (8, 10.0)):
        some = replace(mill, letters_stage=SLOW, letters=LettersConfig(num_shards=num_shards))
        some.run()
        found = [item for item in mill.store.artifacts() if item.stage == "letters"]
        (made,) = [item for item in found if item.counts["rows"] == num_shards]
        assert made.manifest.provenance["scratch_bytes"] == 1000
        tell_seconds(made, seconds)
    step = replace(mill, letters_stage=SLOW, letters=LettersConfig(num_shards=16)).steps()[
        "letters"
    ]
    assert step.seconds == pytest.approx(18.0)
    assert step.rows == 16
    assert step.scratch_bytes == 2000
    assert "2 earlier runs" in step.basis


def test_a_checkpoint_shortens_the_time(mill: Mill) -> None:
    slow = replace(mill, letters_stage=SLOW)
    slow.run()
    tell_seconds(slow.artifact("letters"), 10.0)
    other = replace(slow, letters=LettersConfig(text="xyz"))
    whole, key = other.steps()["letters"].seconds, other.steps()["letters"].key
    scratch = mill.store.path_of("letters", key) / WORK
    scratch.mkdir(parents=True)
    (scratch / "checkpoint").touch()
    step = other.steps()["letters"]
    assert "from its checkpoint" in step.reason
    assert step.seconds is not None
    assert whole is not None
    assert whole / 2 <= step.seconds < whole


def test_a_reference_stands_in_for_earlier_runs(mill: Mill, tmp_path: Path) -> None:
    from headrace.artifacts.estimates import load_samples

    measured = replace(mill, store=Store(Runtime(home=tmp_path / "elsewhere")))
    measured.run()
    samples = {name: load_samples(measured.store, name) for name in ("letters", "length")}
    reference = Reference(machine="a mill", samples=samples)
    plan = mill.plan(Reference(**reference.__dict__))
    assert plan.machine == "a mill"
    assert plan.untimed == []
    assert str(tmp_path) not in json.dumps(reference.to_json())
    assert mill.plan().untimed == ["letters", "length"]


@pytest.mark.parametrize(
    ("points", "declared", "start", "rate"),
    [
        ([(1.0, 3.0), (3.0, 7.0)], None, 1.0, 2.0),
        ([(10.0, 5.0)], 1.0, 1.0, 0.4),
        ([(10.0, 1.0)], 5.0, 0.9, 0.01),  # quicker than its declared start
        ([(1.0, 1.0), (4.0, 8.0)], 0.0, 0.0, 2.0),  # a line would start below 0
        ([(10.0, 4.0), (10.0, 6.0)], 0.0, 0.0, 0.5),
        ([(0.0, 1.0)], None, 0.3, 0.0),
    ],
)
def test_start_and_rate(
    points: list[tuple[float, float]], declared: float | None, start: float, rate: float
) -> None:
    assert fit(points, declared) == pytest.approx((start, rate))


def test_what_does_not_fit_on_the_disk_is_said_loudly(run: Mill) -> None:
    plan = change_text(run).plan()
    assert plan.fits
    full = replace(plan, free_bytes=plan.needed_bytes - 1)
    assert not full.to_json()["fits"]
    assert "NOT FIT" in plan_text(full)
    assert "NOT FIT" in plan_markdown(full)


def test_free_space_is_that_of_a_home_not_yet_made(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(
        shutil.disk_usage(tmp_path).free, rel=0.2
    )


def test_a_plan_is_json_and_names_every_step(run: Mill) -> None:
    value = json.loads(json.dumps(change_text(run).plan().to_json(), allow_nan=False))
    assert [step["action"] for step in value["steps"]] == ["HIT", "RUN", "RUN"]
    assert (value["hits"], value["runs"], value["heals"]) == (1, 2, 0)
    text = plan_text(change_text(run).plan())
    assert all(step["step"] in text for step in value["steps"])


def test_a_manifest_that_does_not_hold_is_told(run: Mill) -> None:
    path = run.artifact("length").path / MANIFEST_NAME
    path.write_text(path.read_text().replace('"rows": 1', '"rows": 7'))
    step = run.steps()["length"]
    assert step.action is Action.RUN
    assert "manifest" in step.reason


def test_a_missing_input_is_the_usual_error(mill: Mill) -> None:
    mill.raw.unlink()
    with pytest.raises(MissingInputError):
        mill.plan()


def test_a_planner_is_active_only_inside_its_block(store: Store) -> None:
    with planning(Planner(store)) as planner:
        assert PLANNER.get() is planner
    assert PLANNER.get() is None
