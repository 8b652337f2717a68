"""Pictures of what people would rather look at than read: losses, lengths, drops.

PNG files, drawn without a display; about 0.7 s for importing matplotlib, 0.1 s a picture. They lie
beside the data, outside every digest, so their bytes need not be the same twice.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

LOSS_DPI = (150, 110, 70)
"""Dots an inch, tried until the picture is small enough."""
MAX_BYTES = 200_000


def _new_axes() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def draw_losses(records: list[dict[str, Any]]) -> bytes:
    """Draw training and validation loss over the steps, and below them the learning rate.

    Args:
        records: lines of `training_log.jsonl`.

    Returns:
        A PNG file of at most 200 kB, so that Prefect's UI takes it.
    """
    for dpi in LOSS_DPI:
        picture = _png(_loss_figure(records, dpi))
        if len(picture) <= MAX_BYTES:
            break
    return picture


def _loss_figure(records: list[dict[str, Any]], dpi: int) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rates = _points(records, "learning_rate")
    figure = Figure(figsize=(7, 5.2 if rates else 4), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        2 if rates else 1, sharex=True, squeeze=False, height_ratios=[3, 1] if rates else [1]
    )[:, 0]
    axes = panels[0]
    for key, label, style in (("loss", "train", "-"), ("valid_loss", "valid", "o-")):
        points = _points(records, key)
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label, linewidth=1, markersize=4)
    axes.set_ylabel("loss (nats per token)")
    if axes.lines:
        axes.legend(frameon=False)
    if rates:
        panels[1].plot(*zip(*rates, strict=True), color="tab:green", linewidth=1.2)
        panels[1].set_ylabel("learning rate")
        panels[1].set_ylim(bottom=0)
        panels[1].ticklabel_format(axis="y", scilimits=(-2, 3))
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("step")
    figure.align_ylabels(panels)
    return figure


def _points(records: list[dict[str, Any]], key: str) -> list[tuple[int, float]]:
    return [(record["step"], record[key]) for record in records if key in record]


def draw_histogram(bins: Sequence[Sequence[int]], *, what: str, of: str) -> bytes:
    """Draw a histogram with bins of doubling width.

    Args:
        bins: (largest value of the bin, number of records), rising.
        what: what is measured, with its unit.
        of: what is counted.

    Returns:
        A PNG file.
    """
    figure, axes = _new_axes()
    labels = [f"to {high:,}" for high, _ in bins]
    axes.bar(labels, [num for _, num in bins], width=0.9)
    axes.set_xlabel(what)
    axes.set_ylabel(of)
    axes.tick_params(axis="x", rotation=45)
    axes.grid(alpha=0.3, axis="y")
    return _png(figure)


def draw_drops(kept: int, reasons: Mapping[str, int]) -> bytes:
    """Draw how many records were kept, and how many were not, by reason.

    Args:
        kept: records that came out.
        reasons: number of records for each reason.

    Returns:
        A PNG file.
    """
    figure, axes = _new_axes()
    ordered = sorted(reasons.items(), key=lambda item: item[1])
    names = [*(name for name, _ in ordered), "kept"]
    counts = [*(num for _, num in ordered), kept]
    bars = axes.barh(names, counts, color=["tab:red"] * len(ordered) + ["tab:green"])
    axes.bar_label(bars, [f"{num:,}" for num in counts], padding=3)
    axes.set_xlabel("records")
    axes.margins(x=0.15)
    return _png(figure)
