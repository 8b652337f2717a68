"""Drawings and the log behind them: XML that parses, finite coordinates, no hidden peak."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.artifacts import Store
from headrace.reports import render_report
from headrace.reports.charts import Line, Span, bar, histogram, line_chart, ticks, timeline
from headrace.reports.markup import escape, tag
from headrace.reports.training_log import MAX_POINTS, Series, read_series
from headrace.reports.wording import duration, number, size
from tests.reports.runs import (
    FilesConfig,
    Page,
    add,
    as_json,
    begin,
    build_whole,
    check_drawings,
    check_svg,
)

FLOATS = st.floats(allow_nan=True, allow_infinity=True)


def test_every_drawing_of_a_page_is_xml(store: Store) -> None:
    assert check_drawings(render_report(store, build_whole(store))) > 10


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=20), st.text(max_size=20))
def test_lines_are_finite_whatever_came_in(points: list[tuple[float, float]], label: str) -> None:
    lines = [Line(label=label, points=points, marked=True), Line(label="b", points=points[:3])]
    drawing = line_chart(lines, title=label, unit=label)
    if drawing:
        check_svg(drawing)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1e15), st.floats(0, 1e15)), min_size=1, max_size=40),
    st.floats(0, 1e9),
)
def test_bars_are_finite(pairs: list[tuple[float, float]], seconds: float) -> None:
    check_svg(histogram(pairs, title="t", what="w", of="o"))
    spans = [
        Span(label="model", start=a, end=b, kind="cached", text=duration(b)) for a, b in pairs[:5]
    ]
    check_svg(timeline(spans, title="t", seconds=seconds))
    for share in (pairs[0][0], math.nan, math.inf, -1.0):
        check_svg(bar(share, "cached"))


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_ticks_are_few_and_inside(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high)
    assert 1 <= len(found) <= 12 or (high - low) < abs(high) * 1e-12
    slack = (high - low) * 1e-6 + abs(high) * 1e-9
    assert all(low - slack <= value <= high + slack for value in found)


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_text_comes_back_out_of_markup(text: str) -> None:
    page = Page(tag("p", text, title=text))
    assert page.faults == []
    assert [name for name, _ in page.elements] == ["p"]
    assert page.text == page.all("p")[0]["title"]
    ElementTree.fromstring(tag("p", text, title=text))
    kept = [c for c in text.replace("\r\n", "\n").replace("\r", "\n") if c.isprintable()]
    assert [c for c in page.text if c.isprintable() and c != "\ufffd"] == [
        c for c in kept if c != "\ufffd"
    ]


def test_markup_is_not_escaped_twice() -> None:
    inner = tag("b", "<")
    assert tag("p", inner, ["&", None, 3]) == "<p><b>&lt;</b>&amp;3</p>"
    assert escape("'\"") == "&#39;&quot;"


def test_a_long_log_is_thinned_and_keeps_its_peaks(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    values = [1.0 + math.sin(step / 50) / 10 for step in range(100_000)]
    values[31_337], values[77_777] = 99.0, -99.0
    path.write_text("".join(f'{{"step": {i}, "loss": {v}}}\n' for i, v in enumerate(values)))
    series = read_series(path)["loss"]
    thin = series.thinned()
    assert len(thin) <= MAX_POINTS
    assert (31_337.0, 99.0) in thin
    assert (77_777.0, -99.0) in thin
    assert [step for step, _ in thin] == sorted(step for step, _ in thin)
    assert len(line_chart([Line(label="a", points=thin)], title="t", unit="u")) < 100_000


def test_a_page_on_a_long_log_stays_small(store: Store) -> None:
    lines = [as_json({"step": i, "loss": 3.0, "learning_rate": 1e-4, "grad_norm": 1.0,
                      "tokens_per_second": 9e3}) for i in range(20_000)]  # fmt: skip
    record = begin(store)
    add(store, record, "model", FilesConfig(extras={"training_log.jsonl": "\n".join(lines)}))
    text = render_report(store, record)
    assert len(text) < 500_000
    assert "its lowest and its highest" in Page(text).texts["training"]


def test_what_is_not_finite_breaks_the_line_and_is_counted(store: Store) -> None:
    values = [3.0, 2.0, math.nan, math.inf, 1.0, 0.5]
    lines = [json.dumps({"step": i, "loss": value}) for i, value in enumerate(values)]
    record = begin(store)
    add(store, record, "model", FilesConfig(extras={"training_log.jsonl": "\n".join(lines)}))
    text = render_report(store, record)
    page = Page(text)
    path = next(item["d"] or "" for item in page.all("path"))
    assert (path.count("M"), path.count("L")) == (2, 2)
    assert "2 values not finite" in page.texts["training"]


@pytest.mark.parametrize("content", ["", "\n\n", "{}\n", '{"step": 1}\n', "\x00\xff\n", "[1]\n"])
def test_an_empty_log_says_so(store: Store, content: str) -> None:
    record = begin(store)
    add(store, record, "model", FilesConfig(extras={"training_log.jsonl": content}))
    page = Page(render_report(store, record))
    assert "holds no record" in page.texts["training"]
    assert page.all("path") == []


def test_a_log_with_one_step_is_drawn(store: Store) -> None:
    record = begin(store)
    log = as_json({"step": 1, "loss": 2.5}) + "\nbroken\n" + as_json({"step": True, "loss": 1})
    add(store, record, "model", FilesConfig(extras={"training_log.jsonl": log}))
    page = Page(render_report(store, record))
    assert 2.5 in page.figures
    assert page.all("circle")


def test_a_bucket_without_a_value_is_a_gap() -> None:
    series = Series()
    for step in range(4 * MAX_POINTS):
        series.add(step, math.nan if 1000 <= step < 2000 else 1.0)
    thin = series.thinned()
    assert any(math.isnan(value) for step, value in thin if 1000 <= step < 2000)
    assert series.num_lost == 1000
    assert len(series.finite()) == 3 * MAX_POINTS


def test_figures_in_words() -> None:
    assert [number(value) for value in (0, 0.0, 41529, 175.001, 8.58306884765625e-06, 1e9)] == [
        "0", "0.000", "41,529", "175.0", "8.583e-6", "1.000e9",
    ]  # fmt: skip
    assert [size(value) for value in (0, 999, 1000, 1_695_871, 29_200_000_000)] == [
        "0 B", "999 B", "1.0 kB", "1.7 MB", "29.2 GB",
    ]  # fmt: skip
    assert [duration(value) for value in (0.0012, 1.0, 59.96, 123.4, 3600.0, 200_000.0)] == [
        "1 ms", "1.0 s", "1 min 00 s", "2 min 03 s", "1 h 00 min", "2 d 7 h",
    ]  # fmt: skip
    assert duration(math.nan) == "unknown"
    assert number(math.nan) == "not a number"
