"""The sections on corpora: statistics, examples of drops, what an exclusion took out."""

from __future__ import annotations

import pytest

from headrace.artifacts import Store
from headrace.artifacts.runs import RunRecord
from headrace.reports import render_report
from headrace.summary import describe
from tests.reports.runs import FilesConfig, Page, add, as_json, begin, check_drawings

HOSTILE = "<script>alert(1)</script>'\"&amp;<img src=x>"
COUNTS = {
    "records_in": 9, "records_out": 6, "num_characters": 600, "num_text_bytes": 912,
    "language.en": 4, "language.ja": 1, "length.16": 4, "length.1024": 2,
}  # fmt: skip
EXAMPLES = {"drop_examples": {"empty": [{"title": "A drop", "id": 4711, "offset": 99}]}}
REMOVED = [
    {"id": 5, "title": "Manila", "reason": "title", "reference": "Manila", "overlap": 0.5,
     "num_ngrams": 12},
    {"id": 6, "title": HOSTILE, "reason": HOSTILE, "reference": HOSTILE, "overlap": HOSTILE,
     "num_ngrams": None},
]  # fmt: skip
REFERENCES = [{"title": "Manila", "num_removed": 1}, {"title": "Du Fu", "num_removed": 0}]


def add_corpus(store: Store, record: RunRecord, **changes: object) -> None:
    files = {
        "removed.jsonl": "".join(as_json(item) + "\n" for item in REMOVED),
        "references.jsonl": "".join(as_json(item) + "\n" for item in REFERENCES),
    }
    counts = COUNTS | {"num_references": 2, "num_references_found": 1}
    values: dict[str, object] = {
        "files": files, "counts": counts, "dropped": {"empty": 3},
        "extras": {"statistics.json": as_json(EXAMPLES), "lengths.png": "\x89PNG drawn"},
    }  # fmt: skip
    add(store, record, "exclusion", FilesConfig(**{**values, **changes}))


def read(store: Store, record: RunRecord) -> Page:
    text = render_report(store, record)
    page = Page(text)
    assert page.faults == []
    assert check_drawings(text)
    assert "cannot be shown" not in page.text
    return page


def test_statistics_are_drawn_and_told(store: Store) -> None:
    record = begin(store)
    add_corpus(store, record)
    page = read(store, record)
    assert page.sections() == ["stages", "drops", "corpus", "exclusion", "lineage", "settings",
                               "makers"]  # fmt: skip
    assert {6, 600, 912, 152.0, 4, 1} <= set(page.figures)
    shown = page.texts["corpus"]
    for words in ("en", "ja", "unknown", "bytes", "≤16", "≤32", "≤1,024"):
        assert words in shown
    assert not page.all("img")


def test_drops_come_with_examples(store: Store) -> None:
    record = begin(store)
    add_corpus(store, record)
    shown = read(store, record).texts["drops"]
    for words in ("A drop", "4711", "99"):
        assert words in shown


def test_what_was_excluded_is_listed_and_stays_text(store: Store) -> None:
    record = begin(store)
    add_corpus(store, record)
    page = read(store, record)
    shown = page.texts["exclusion"]
    assert HOSTILE in shown
    assert "Du Fu" in shown
    assert "50.0%" in shown
    assert not {"script", "img"} & {name for name, _ in page.elements}


@pytest.mark.parametrize(
    "changes",
    [
        {"extras": {"statistics.json": "no json"}},
        {"extras": {"statistics.json": as_json([1])}},
        {"extras": {"statistics.json": as_json({"drop_examples": {"a": 1, "b": [2]}})}},
        {"extras": {"statistics.json": as_json({"drop_examples": {"empty": [{}]}})}},
        {"files": {"removed.jsonl": "\x00\n[1]\n{}\n", "references.jsonl": "{"}},
        {"counts": {"length.0": 1, "length.1": 1}, "dropped": {}},
        {"counts": {"length.3": 1, "length.999999999999999999": 1, "language.": 5}, "dropped": {}},
        {"counts": {"length.0": 0}, "dropped": {}},
    ],
)
def test_anything_may_be_damaged(store: Store, changes: dict[str, object]) -> None:
    record = begin(store)
    add_corpus(store, record, **changes)
    text = render_report(store, record)
    assert Page(text).faults == []
    check_drawings(text)
    assert "cannot be shown" not in text


def test_a_description_is_not_flooded_with_counts(store: Store) -> None:
    record = begin(store)
    counts = COUNTS | {f"language.l{n}": 1 for n in range(200)}
    artifact = add(store, record, "pages", FilesConfig(counts=counts, dropped={"empty": 3}))
    lines = describe(store, artifact).splitlines()
    told = [line.split()[1] for line in lines if line.startswith("count ")]
    assert "num_text_bytes" in told
    assert not [name for name in told if name.startswith(("length", "language"))]
    assert any("1,024" in line for line in lines if line.startswith("lengths"))
    assert len(lines) < 40
