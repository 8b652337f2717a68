"""Drawings as inline SVG: lines over steps, bars, histograms, stages over time.

No script: what the pointer rests on is shown by the style sheet. Colours come from classes, so a
drawing follows the reader's light or dark theme. Every coordinate is finite, whatever came in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from headrace.reports.markup import Html, join, tag
from headrace.reports.training_log import LARGEST, Point

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 30, 40
NUM_STRIPS = 100
NUM_LETTERS = 6.2
"""Width of an average letter of a drawing's text."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series of a drawing.

    Attributes:
        label: its name in the legend.
        points: to be drawn; a line breaks at NaN.
        exact: the points that the pointer finds; `points` where there are as few.
        marked: with a dot at each point.
    """

    label: str
    points: Sequence[Point]
    exact: Sequence[Point] = ()
    marked: bool = False


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` onto pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 1)


def ticks(low: float, high: float, num: int = 5) -> list[float]:
    """About `num` round numbers from `low` to `high`."""
    if not high - low > 1e-290:
        return [low]
    rough = (high - low) / num
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * unit for unit in (1, 2, 2.5, 5, 10) if power * unit >= rough), rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_text(value: float) -> str:
    """A round number in few letters."""
    if value == 0:
        return "0"
    for least, power, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if least <= abs(value) < 1e13:
            return f"{value / power:.4g}{unit}"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:,.6g}"
    mantissa, _, exponent = f"{value:.3e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def span(values: Iterable[float]) -> tuple[float, float]:
    """The range of an axis for these finite values: from 0 where they come near it."""
    found = list(values) or [0.0]
    low, high = min(found), max(found)
    if 0.0 <= low < 0.5 * high:
        return 0.0, high * 1.05
    margin = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _finite(points: Iterable[Point]) -> list[Point]:
    return [(x, y) for x, y in points if abs(x) <= LARGEST and abs(y) <= LARGEST]


def _path(points: Iterable[Point], x: Scale, y: Scale) -> str:
    parts: list[str] = []
    pen_is_up = True
    for step, value in points:
        if not (abs(step) <= LARGEST and abs(value) <= LARGEST):
            pen_is_up = True
            continue
        parts.append(f"{'M' if pen_is_up else 'L'}{x(step):g} {y(value):g}")
        pen_is_up = False
    return "".join(parts)


def line_chart(lines: Sequence[Line], *, title: str, unit: str, over: str = "step") -> Html:
    """Lines over the steps.

    Args:
        lines: what is drawn.
        title: what the drawing is called.
        unit: of the values.
        over: what the horizontal axis counts.
    """
    drawn = [line for line in lines if _finite(line.points)]
    if not drawn:
        return Html("")
    points = [point for line in drawn for point in _finite(line.points)]
    left, right = min(step for step, _ in points), max(step for step, _ in points)
    x = Scale(left, right, LEFT, WIDTH - RIGHT)
    y = Scale(*span(value for _, value in points), HEIGHT - BOTTOM, TOP)
    shapes = []
    for index, line in enumerate(drawn):
        shapes.append(tag("path", d=_path(line.points, x, y), class_=f"line s{index}"))
        if line.marked or len(line.points) == 1:
            shapes += [
                tag("circle", cx=x(a), cy=y(b), r=3, class_=f"dot s{index}")
                for a, b in _finite(line.points)
            ]
    return tag(
        "svg",
        tag("title", title),
        _axes(x, y, over),
        shapes,
        _strips(drawn, x, y, over),
        _legend(drawn, unit),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        class_="chart",
    )


def _axes(x: Scale, y: Scale, over: str) -> Html:
    floor = HEIGHT - BOTTOM
    parts = []
    for value in ticks(y.low, y.high):
        at = y(value)
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
        text = tick_text(value)
        parts.append(tag("text", text, x=LEFT - 7, y=round(at + 3.5, 1), text_anchor="end"))
    for value in ticks(x.low, x.high, 6):
        at = x(value)
        parts.append(tag("line", x1=at, x2=at, y1=floor, y2=floor + 4, class_="axis"))
        parts.append(tag("text", tick_text(value), x=at, y=floor + 16, text_anchor="middle"))
    parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=floor, y2=floor, class_="axis"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(tag("text", over, x=middle, y=HEIGHT - 6, text_anchor="middle"))
    return tag("g", parts, class_="axes")


def _legend(lines: Sequence[Line], unit: str) -> Html:
    at, parts = float(LEFT), []
    for index, line in enumerate(lines):
        parts.append(tag("line", x1=at, x2=at + 14, y1=12, y2=12, class_=f"line s{index}"))
        if line.marked:
            parts.append(tag("circle", cx=at + 7, cy=12, r=3, class_=f"dot s{index}"))
        parts.append(tag("text", line.label, x=at + 19, y=16))
        at += 19 + NUM_LETTERS * len(line.label) + 12
    parts.append(tag("text", unit, x=at, y=16, class_="unit"))
    return tag("g", parts, class_="legend")


def _strips(lines: Sequence[Line], x: Scale, y: Scale, over: str) -> Html:
    """Upright strips which show a point of each line while the pointer is in them."""
    width = (WIDTH - RIGHT - LEFT) / NUM_STRIPS
    found: dict[int, list[tuple[int, Point]]] = {}
    for index, line in enumerate(lines):
        for point in _finite(line.exact or line.points):
            strip = min(int((x(point[0]) - LEFT) / width), NUM_STRIPS - 1)
            some = found.setdefault(strip, [])
            # The last point of each line in a strip speaks for it.
            some[:] = [item for item in some if item[0] != index] + [(index, point)]
    parts = []
    for strip, some in sorted(found.items()):
        at = round(LEFT + strip * width, 1)
        some.sort()
        values = ", ".join(f"{lines[i].label} {tick_text(value)}" for i, (_, value) in some)
        text = f"{over} {max(step for _, (step, _) in some):,.0f}: {values}"
        parts.append(
            tag(
                "g",
                tag("title", text),
                tag("rect", x=at, y=TOP, width=round(width + 0.1, 1), height=HEIGHT - BOTTOM - TOP),
                [tag("circle", cx=x(a), cy=y(b), r=3.5, class_=f"dot s{i}") for i, (a, b) in some],
                tag("text", text, x=WIDTH - RIGHT, y=TOP + 12, text_anchor="end"),
                class_="strip",
            )
        )
    return join(parts)


def bar(share: float, kind: str) -> Html:
    """A bar that fills so much of its line; a sliver stays visible."""
    share = share if share == share else 0.0
    width = 0.0 if share <= 0.0 else max(0.6, min(share, 1.0) * 100)
    filled = tag("rect", x=0, y=0, width=f"{width:.4g}", height=10, class_=f"fill {kind}")
    ground = tag("rect", x=0, y=0, width=100, height=10, class_="ground")
    return tag(
        "svg", ground, filled, viewBox="0 0 100 10", preserveAspectRatio="none", class_="bar",
        aria_hidden="true",
    )  # fmt: skip


def histogram(bins: Sequence[tuple[float, float]], *, title: str, what: str, of: str) -> Html:
    """Bars for (largest value of a bin, number of records), as they come."""
    width = (WIDTH - LEFT - RIGHT) / len(bins)
    y = Scale(0.0, max(num for _, num in bins) * 1.12 or 1.0, HEIGHT - BOTTOM, TOP)
    parts = []
    for value in ticks(0.0, y.high, 4):
        at = y(value)
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid"))
        text = tick_text(value)
        parts.append(tag("text", text, x=LEFT - 7, y=round(at + 3.5, 1), text_anchor="end"))
    letters = max(len(tick_text(bound)) for bound, _ in bins) + 1
    every = math.ceil((NUM_LETTERS * letters + 6) / width)
    for index, (bound, num) in enumerate(bins):
        left, top = round(LEFT + index * width, 1), y(num)
        middle = round(left + width / 2, 1)
        shape = tag(
            "rect", tag("title", f"to {bound:,g} {what}: {num:,g} {of}"), x=round(left + 1.5, 1),
            y=top, width=round(width - 3, 1), height=round(HEIGHT - BOTTOM - top, 1), rx=2,
            class_="column",
        )  # fmt: skip
        parts.append(shape)
        if width >= 18:
            parts.append(tag("text", f"{num:,g}", x=middle, y=top - 4, text_anchor="middle"))
        if index % every == 0:
            text = f"≤{tick_text(bound)}"
            parts.append(tag("text", text, x=middle, y=HEIGHT - BOTTOM + 16, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(tag("text", what, x=middle, y=HEIGHT - 6, text_anchor="middle"))
    parts.append(tag("text", of, x=LEFT, y=16, class_="unit"))
    return tag(
        "svg", tag("title", title), tag("g", parts, class_="axes"), role="img", class_="chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Span:
    """One line of a timeline: a label, from when to when in seconds, a colour, words beside it."""

    label: str
    start: float
    end: float
    kind: str
    text: str


Side = Literal["start", "end"]


def timeline(spans: Sequence[Span], *, title: str, seconds: float) -> Html:
    """Bars over time, one line each, from 0 to `seconds`."""
    width, left, right, line = 900, 150, 866, 24
    height = line * len(spans) + 30
    x = Scale(0.0, max(seconds, 1e-3), left, right)
    factor, unit = next(
        ((f, u) for f, u in ((3600.0, "h"), (60.0, "min"), (1.0, "s")) if seconds >= 2 * f),
        (1e-3, "ms"),
    )
    parts = []
    for value in ticks(0.0, x.high / factor, 8):
        at = x(value * factor)
        parts.append(tag("line", x1=at, x2=at, y1=0, y2=height - 24, class_="grid"))
        text = f"{tick_text(value)} {unit}"
        parts.append(tag("text", text, x=at, y=height - 8, text_anchor="middle"))
    for index, item in enumerate(spans):
        top = line * index
        start, end = x(max(0.0, item.start)), x(min(max(item.start, item.end), x.high))
        end = max(end, start + 3)
        beside = len(item.text) * NUM_LETTERS + 8
        anchor: Side = "start" if end + beside < width else "end"
        inside = anchor == "end" and start - 6 - beside < left
        text_at = end + 6 if anchor == "start" else (end - 6 if inside else start - 6)
        parts += [
            tag("text", item.label[:24], x=left - 10, y=top + 16, text_anchor="end", class_="name"),
            tag(
                "rect", tag("title", f"{item.label}: {item.text}"), x=start, y=top + 5, rx=2,
                width=round(end - start, 1), height=line - 10, class_=f"fill {item.kind}",
            ),
            tag("text", item.text, x=round(text_at, 1), y=top + 16, text_anchor=anchor,
                class_="inside" if inside else None),
        ]  # fmt: skip
    return tag(
        "svg", tag("title", title), tag("g", parts, class_="axes"), role="img", class_="timeline",
        viewBox=f"0 0 {width} {height}",
    )  # fmt: skip
