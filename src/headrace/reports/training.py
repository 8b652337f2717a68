"""The section on training: losses, learning rate, speed and gradient over the steps."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from headrace.reports.charts import Line, line_chart
from headrace.reports.contents import Contents, Step
from headrace.reports.markup import Child, Html, pairs, tag
from headrace.reports.training_log import MAX_POINTS, Series, read_series
from headrace.reports.wording import count, data, number, plural

LOG = "training_log.jsonl"
CHARTS = (
    ("Loss", "nats a token", {"loss": "train", "valid_loss": "valid"}),
    ("Learning rate", "", {"learning_rate": "learning rate"}),
    ("Speed", "a second", {"tokens_per_second": "tokens"}),
    ("Gradient norm", "before clipping", {"grad_norm": "norm"}),
)
"""Title, unit, and the log's quantities with their labels."""
NOT_DRAWN = {"valid_perplexity"}
MARKED = {"valid_loss"}
MAX_OTHER_CHARTS = 6


def training(contents: Contents) -> Html | None:
    """The log of every model that this run trained or took from the store."""
    parts = [_log_of(step) for step in contents.holding(LOG)]
    return tag("div", parts) if parts else None


def _log_of(step: Step) -> Html:
    assert step.artifact is not None
    series = read_series(step.artifact.path / LOG)
    if not series:
        words = f"{step.name}: its {LOG} is gone or holds no record."
        return tag("p", words, class_="muted")
    known = {name for _, _, names in CHARTS for name in names} | NOT_DRAWN
    others = [(name, "", {name: name}) for name in series if name not in known]
    drawings = []
    for title, unit, names in [*CHARTS, *others[:MAX_OTHER_CHARTS]]:
        drawing = _chart(series, title, unit, names)
        if drawing:
            drawings.append(tag("figure", tag("figcaption", title), drawing, class_="card"))
    return tag(
        "div", tag("h3", step.name), _facts(series), tag("div", drawings, class_="charts"),
        tag("p", _notes(series), class_="muted"),
    )  # fmt: skip


def _chart(series: Mapping[str, Series], title: str, unit: str, names: Mapping[str, str]) -> Html:
    lines = [
        Line(
            label=label,
            points=series[name].thinned(),
            exact=series[name].finite(),
            marked=name in MARKED and len(series[name].steps) <= 60,
        )
        for name, label in names.items()
        if name in series
    ]
    return line_chart(lines, title=title, unit=unit)


def _facts(series: Mapping[str, Series]) -> Html:
    items: list[tuple[Child, Child]] = []
    last = max(max(one.steps) for one in series.values())
    items.append(("last step", data(int(last), count(int(last)))))
    train, valid = _points(series, "loss"), _points(series, "valid_loss")
    if train:
        items.append(("last train loss", data(train[-1][1])))
    if valid:
        step, value = min(valid, key=lambda point: point[1])
        perplexity = f", perplexity {number(math.exp(min(valid[-1][1], 700.0)))}"
        items.append(("last valid loss", [data(valid[-1][1]), perplexity]))
        items.append(("best valid loss", [data(value), f" at step {step:,.0f}"]))
    speed = _points(series, "tokens_per_second")
    if speed:
        median = statistics.median(value for _, value in speed)
        items.append(("median speed", [data(median, f"{median:,.0f}"), " tokens a second"]))
    return pairs(items)


def _points(series: Mapping[str, Series], name: str) -> list[tuple[float, float]]:
    return series[name].finite() if name in series else []


def _notes(series: Mapping[str, Series]) -> str:
    lost = sum(one.num_lost for one in series.values())
    longest = max(len(one.steps) for one in series.values())
    notes = []
    if longest > MAX_POINTS:
        notes.append(
            f"Of {longest:,} records each of {MAX_POINTS // 2} buckets is drawn by its lowest and "
            "its highest value."
        )
    if lost:
        notes.append(f"{plural(lost, 'value')} not finite and left out: lines break there.")
    return " ".join(notes)
