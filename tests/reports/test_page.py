"""The page on a run: what it shows, what it must never load, what it must survive."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.artifacts import Store
from headrace.artifacts.runs import RunRecord, load_run
from headrace.reports import newest_report, render_report, write_report
from tests.reports.runs import (
    ANSWERS,
    EVALUATION,
    PARITY_FIGURES,
    FilesConfig,
    Page,
    add,
    as_json,
    begin,
    build_whole,
    check_drawings,
    log_lines,
    long_ago,
    stage,
)

HOSTILE = "<script>alert(1)</script>'\"&amp;<img src=x onerror=alert(1)>\x00\ud800 \u202e</p>]]>"
SHOWN = HOSTILE.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
SECTIONS = [
    "stages", "times", "drops", "lengths", "training", "evaluation", "samples", "parity",
    "answers", "lineage", "settings", "makers",
]  # fmt: skip


def read(store: Store, record: RunRecord) -> Page:
    page = Page(render_report(store, record))
    assert page.faults == []
    return page


def test_a_whole_run_has_every_section(store: Store) -> None:
    page = read(store, build_whole(store))
    assert page.sections() == SECTIONS
    links = [attributes["href"] for attributes in page.all("a")]
    assert links == [f"#{name}" for name in SECTIONS]


def test_the_page_loads_nothing(store: Store) -> None:
    page = read(store, build_whole(store))
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "base", "form", "audio"}
    for name, attributes in page.elements:
        assert not any(key.startswith("on") or key == "style" for key in attributes), name
        for key in ("src", "href", "srcset", "data", "xlink:href", "action", "poster"):
            value = attributes.get(key) or ""
            assert value == "" or value.startswith(("#", "data:image/png;base64,")), (name, value)
    assert not re.search(r"url\(|@import|expression|http", page.texts["style"])


def test_its_policy_allows_its_own_style_only(store: Store) -> None:
    page = read(store, build_whole(store))
    policy = next(
        attributes["content"] or "" for attributes in page.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )  # fmt: skip
    digest = base64.b64encode(hashlib.sha256(page.texts["style"].encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules


def test_figures_are_those_of_the_artifacts(store: Store) -> None:
    record = build_whole(store)
    page = read(store, record)
    expected = [value for value in EVALUATION.values() if isinstance(value, int | float)]
    expected.remove(EVALUATION["unigram_loss"])
    expected += EVALUATION["splits"]["test"].values()  # type: ignore[attr-defined]
    expected += PARITY_FIGURES.values()
    expected += [ANSWERS["num_equal"], ANSWERS["num_tokens"], ANSWERS["num_prompts"]]
    expected += [206, 105, 99, 2, 8.0 / 30, 8.5 / 30]
    for step in record.steps.values():
        artifact = store.find(f"{step.link.stage}/{step.link.key}")
        expected += [artifact.num_bytes, artifact.counts["rows"], step.seconds]
    assert [figure for figure in expected if figure not in page.figures] == []


def test_cards_show_the_headline(store: Store) -> None:
    text = render_report(store, build_whole(store))
    cards = re.findall(r'<div class="card figure[^"]*"><div class="name">([^<]+)', text)
    assert cards == [
        "held-out perplexity", "parity, max error", "Triton, equal tokens", "on disk", "time",
        "stages",
    ]  # fmt: skip


def test_lineage_ends_in_the_raw_bytes_and_shows_what_is_shared_once(store: Store) -> None:
    from headrace.artifacts.sources import open_source

    raw = store.runtime.home / "dump.bz2"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"raw")
    record = begin(store)
    opened = open_source(store, raw)
    record.note("source", opened)
    pages = add(store, record, "pages", inputs={"source": opened.artifact})
    for name in ("left", "right"):
        add(store, record, name, inputs={"pages": pages})
    record.end("Completed")
    shown = read(store, record).texts["lineage"]
    assert shown.count(hashlib.sha256(b"raw").hexdigest()) == 1
    assert str(raw) in shown
    assert shown.count(pages.key[:12]) == 1
    assert shown.count(pages.digest[:12]) == 2


def test_hostile_text_stays_text(store: Store) -> None:
    record = begin(store)
    counts = {"records_in": 3, "records_out": 1}
    safe = HOSTILE.replace("\ud800", "")
    add(
        store, record, "pages",
        FilesConfig(counts=counts, dropped={safe: 1}, bad=((safe, safe),)),
    )  # fmt: skip
    files = {
        "samples.json": as_json([{"prompt": HOSTILE, "greedy": HOSTILE, HOSTILE: HOSTILE}]),
        "answers.json": as_json(ANSWERS | {"answers": [{"text": HOSTILE, "tokens": [HOSTILE]}]}),
        "evaluation.json": as_json(EVALUATION | {"splits": {HOSTILE: {HOSTILE: 1.5}}}),
        "parity.json": as_json({"passed": HOSTILE, HOSTILE: HOSTILE}),
    }
    extras = {
        "training_log.jsonl": as_json({"step": 1, HOSTILE: 1.0}) + "\n",
        "report.json": as_json({HOSTILE: [[1, 2]]}),
    }
    add(store, record, "results", FilesConfig(files=files, extras=extras))
    record.flow_run_name = record.deployment = record.pipeline = HOSTILE
    record.config = {HOSTILE: [HOSTILE]}
    record.steps[HOSTILE] = record.steps["pages"]
    record.state, record.error, record.ended = "Failed", HOSTILE, time.time()
    page = read(store, record)
    page_bytes = render_report(store, record).encode()
    assert b"\x00" not in page_bytes
    assert not {"script", "img"} & {name for name, _ in page.elements}
    for name in ("failure", "stages", "drops", "training", "samples", "answers", "evaluation"):
        assert SHOWN in page.texts[name] or SHOWN.replace("\ufffd ", " ") in page.texts[name], name
    assert SHOWN in page.texts["parity"]


def test_japanese_text_is_shown_as_it_is(store: Store) -> None:
    record = begin(store)
    text = "日本語の文章、𠮷野家で\n「が」と書く。"
    samples = as_json([{"prompt": "東京は", "greedy": text, "sampled": text}])
    add(store, record, "samples", FilesConfig(files={"samples.json": samples}))
    shown = read(store, record).texts["samples"]
    assert "東京は" + text in shown


def test_a_failed_run_names_step_error_and_next_move(store: Store) -> None:
    record = begin(store)
    pages = add(store, record, "pages")
    old = add(store, record, "evaluation", FilesConfig(files={"evaluation.json": "{}"}))
    record.steps["evaluation"] = type(record.steps["evaluation"])(
        link=old.link(), outcome="Completed", seconds=1.0, reason="", noted=long_ago()
    )
    with pytest.raises(ValueError, match="it fails"):
        store.open_or_build(stage("model"), FilesConfig(fails=True), {"pages": pages})
    record.end("Failed", "TrainingError: step 7: a finite loss was expected: lower learning_rate")
    page = read(store, record)
    assert "Failed in model" in page.texts["failure"]
    assert record.error in page.texts["failure"]
    assert f"headrace retry {record.name}" in page.texts["failure"]
    rows = re.findall(r'<th scope="row">(\w+)</th><td><span class="state \w+">([^<]+)',
                      render_report(store, record))  # fmt: skip
    assert rows[:3] == [("pages", "Completed"), ("model", "Failed"), ("evaluation", "Not reached")]
    # What an earlier attempt measured is not this one's result.
    assert "evaluation" not in page.sections()


def test_a_crash_before_the_first_stage_leaves_a_page(store: Store) -> None:
    record = begin(store)
    record.end("Crashed", "")
    page = read(store, record)
    assert "Crashed" in page.texts["failure"]
    assert "stages" not in page.sections()


def test_a_retry_shows_what_it_took_from_the_store(store: Store) -> None:
    first = begin(store)
    add(store, first, "pages")
    first.end("Failed", "ServingError: away")
    record = load_run(store.runtime.home, first.name)
    assert record is not None
    time.sleep(0.01)
    record.begin(flow_run_id="0d2b", flow_run_name="quick-otter", deployment="", attempt=2)
    add(store, record, "pages")
    record.end("Completed")
    text = render_report(store, record)
    assert 'class="state cached">Cached' in text
    assert "failure" not in Page(text).sections()


def test_a_run_without_serving_has_no_answers(store: Store) -> None:
    record = begin(store)
    add(store, record, "evaluation", FilesConfig(files={"evaluation.json": as_json(EVALUATION)}))
    record.end("Completed")
    page = read(store, record)
    assert "evaluation" in page.sections()
    assert not {"answers", "parity", "samples", "training", "drops"} & set(page.sections())


def test_sections_follow_files_not_steps(store: Store) -> None:
    record = begin(store)
    config = FilesConfig(files={"parity.json": as_json({"max_error": 2.0, "tolerance": 1.0})})
    add(store, record, "convert_megatron", config)
    add(store, record, "convert_ft", FilesConfig(files=config.files | {"more": "x"}))
    shown = read(store, record).texts["parity"]
    assert "convert_megatron" in shown
    assert "convert_ft" in shown


@pytest.mark.parametrize("content", [
    "", "{", "null", "[]", "{}", "3", '"text"', "[1, [2], null]", '{"splits": 5, "answers": 7}',
    '{"perplexity": NaN, "max_error": Infinity, "tolerance": 0, "num_equal": 1, "num_tokens": 0}',
    '{"perplexity": "x", "answers": [{"tokens": 3, "prompt": 4, "text": null}, 5]}',
    '{"num_sentences": [["a", "b"]], "splits": {"valid": [1], "test": {"loss": null}}}',
    "[" * 100_000, '{"max_error": 1e999, "tolerance": -1, "num_prompts": ' + "9" * 400 + "}",
    '[{"prompt": {}, "greedy": [], "sampled": 7}]',
])  # fmt: skip
def test_damaged_files_cost_no_more_than_their_section(store: Store, content: str) -> None:
    record = begin(store)
    pages = add(store, record, "pages", FilesConfig(counts={"records_in": 1, "records_out": 1}))
    names = ("evaluation.json", "samples.json", "parity.json", "answers.json")
    extras = ("training_log.jsonl", "report.json", "parity_figures.json")
    config = FilesConfig(
        files=dict.fromkeys(names, content or " "), extras=dict.fromkeys(extras, content)
    )
    add(store, record, "results", config, {"pages": pages})
    record.end("Completed")
    page = read(store, record)
    assert {"stages", "drops", "lineage"} <= set(page.sections())
    check_drawings(render_report(store, record))


def test_artifacts_that_are_gone_are_said_to_be(store: Store) -> None:
    record = build_whole(store)
    for name in ("pages", "model"):
        shutil.rmtree(store.root / name)
    manifest = next((store.root / "samples").glob("*/manifest.json"))
    manifest.write_text("[" * 100_000)
    (next((store.root / "parity").glob("*/")) / "parity.json").unlink()
    page = read(store, record)
    assert page.texts["stages"].count("no longer in the store") == 3
    assert "no longer in the store" in page.texts["lineage"]
    assert "training" not in page.sections()
    assert "gone or damaged" in page.texts["parity"]
    shutil.rmtree(store.root)
    assert read(store, record).sections()[0] == "stages"


def test_a_record_of_before_is_shown(store: Store) -> None:
    record = build_whole(store)
    value = json.loads(record.path.read_text())
    for name in ("flow_run_id", "flow_run_name", "deployment", "attempt", "state", "error",
                 "started", "ended"):  # fmt: skip
        del value[name]
    record.path.write_text(json.dumps(value))
    old = load_run(store.runtime.home, record.name)
    assert old is not None
    page = read(store, old)
    assert page.sections() == SECTIONS
    assert "1970" not in page.text
    assert write_report(store, old).name.endswith("-local.html")


def test_pictures_are_embedded_up_to_200_kb(store: Store) -> None:
    record = begin(store)
    extras = {
        "shapes.png": "\x89PNG small", "huge.png": "\x89PNG" + "x" * 200_000,
        "fake.png": "<script>", "loss.png": "\x89PNG drawn from the log",
        "training_log.jsonl": log_lines(3),
    }  # fmt: skip
    add(store, record, "model", FilesConfig(extras=extras))
    images = read(store, record).all("img")
    content = base64.b64encode(b"\x89PNG small").decode()
    assert [image["src"] for image in images] == [f"data:image/png;base64,{content}"]


def test_a_report_lies_under_its_run_and_start(store: Store) -> None:
    record = begin(store, started=1_795_253_720.5, flow_run_name="../quick otter/")
    path = write_report(store, record)
    assert path == store.runtime.home / "reports" / "nightly" / "20261121T093520-quick-otter.html"
    assert Page(path.read_text(encoding="utf-8")).faults == []
    record.started += 60
    newer = write_report(store, record)
    assert newest_report(store.runtime.home, "nightly") == newer
    assert sorted(os.listdir(path.parent)) == [path.name, newer.name]
    assert newest_report(store.runtime.home, "other") is None
    assert newest_report(store.runtime.home, "../runs") is None


def test_writing_needs_no_heavy_package(store: Store, tmp_path: Path) -> None:
    record = build_whole(store)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from headrace.artifacts import Runtime, Store\n"
        "from headrace.artifacts.runs import load_run\n"
        "from headrace.reports import write_report\n"
        f"home = Path({str(store.runtime.home)!r})\n"
        f"print(write_report(Store(Runtime(home=home)), load_run(home, {record.name!r})))\n"
        "heavy = ('prefect', 'torch', 'matplotlib', 'numpy', 'pyarrow', 'jinja2')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    path, heavy = done.stdout.split("\n", 1)
    assert Path(path).is_file()
    assert heavy.strip() == "[]"


def test_a_running_run_can_be_looked_at(store: Store) -> None:
    record = begin(store)
    add(store, record, "pages")
    page = read(store, record)
    assert "failure" not in page.sections()
    assert "Running" in page.text
    assert all(math.isfinite(figure) for figure in page.figures)
