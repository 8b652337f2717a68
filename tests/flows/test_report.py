"""The report on a real run: every section, and the figures of the real artifacts."""

from __future__ import annotations

import json
from typing import Any

from headrace.artifacts.runs import load_run
from headrace.reports import render_report
from tests.flows.conftest import STAGES, Pipeline
from tests.reports.runs import Page, check_drawings


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_a_real_run_is_told_whole(finished: Pipeline) -> None:
    record = load_run(finished.home, "pretrain_wikipedia")
    assert record is not None
    text = render_report(finished.store, record)
    page = Page(text)
    assert page.faults == []
    assert page.sections() == [
        "stages", "times", "drops", "lengths", "corpus", "training", "evaluation", "samples",
        "parity", "answers", "lineage", "settings", "makers",
    ]  # fmt: skip
    assert check_drawings(text) > 20
    assert len(text) < 1_000_000

    found = {name: finished.store.find(f"{s.link.stage}/{s.link.key}") for name, s in
             record.steps.items()}  # fmt: skip
    expected: list[float] = []
    for name in STAGES:
        expected += [found[name].num_bytes, found[name].counts["rows"], record.steps[name].seconds]
        expected += [*found[name].dropped.values(), *found[name].quarantined.values()]
    evaluation = json.loads((found["evaluation"].path / "evaluation.json").read_bytes())
    shown = numbers(evaluation)
    losses = [evaluation["unigram_loss"]]
    losses += [split["unigram_loss"] for split in evaluation["splits"].values()]
    expected += [number for number in shown if number not in losses]
    expected += numbers(json.loads(found["parity"].extra("parity_figures.json").read_bytes()))
    answers = json.loads((found["answers"].path / "answers.json").read_bytes())
    expected += [answers["num_equal"], answers["num_tokens"], answers["num_prompts"]]
    assert [number for number in expected if number not in page.figures] == []

    for sample in json.loads((found["samples"].path / "samples.json").read_bytes()):
        assert sample["prompt"] in page.texts["samples"]
    (raw,) = json.loads((found["source"].path / "source.json").read_bytes())
    assert raw[2] in page.texts["lineage"]
    for artifact in found.values():
        assert artifact.digest[:12] in page.texts["stages"]
