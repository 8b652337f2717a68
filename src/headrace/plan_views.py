"""A plan for a reader: a table for the terminal, Markdown for Prefect's UI."""

from __future__ import annotations

import math

from headrace import summary
from headrace.artifacts.plans import Action, Plan, PlannedStep

KIB = 1024.0
FEW = 10
MARKS = {Action.HIT: "HIT", Action.RUN: "**RUN**", Action.HEAL: "**HEAL**"}


def num_bytes_text(value: float) -> str:
    """Bytes in a unit that leaves few digits."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < KIB:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= KIB
    return f"{value:,.1f} TiB"


def duration_text(seconds: float) -> str:
    """Seconds as a person says them: 0.4 s, 45 s, 2.5 min, 3.0 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def _count(step: PlannedStep, value: int | None) -> str:
    """A count; rounded to two digits and marked where it is an estimate and not a few."""
    if value is None:
        return "?"
    if step.action is Action.RUN and step.basis != "hashed already" and value >= FEW:
        digits = 1 - math.floor(math.log10(value))
        return f"~{round(value, min(digits, 0)):,}"
    return f"{value:,}"


def _time(step: PlannedStep) -> str:
    if step.action is Action.HIT:
        return "-"
    return "?" if step.seconds is None else f"~{duration_text(step.seconds)}"


def totals_text(plan: Plan) -> str:
    """Hits, work, time and disk in one line."""
    heals = plan.num(Action.HEAL)
    time = f"~{duration_text(plan.seconds)}" if plan.seconds else "nothing"
    if plan.untimed:
        time = f"more than {duration_text(plan.seconds)}"
    hits = plan.num(Action.HIT)
    return (
        f"{hits} hit{'' if hits == 1 else 's'}, {plan.num(Action.RUN)} to run"
        f"{f', {heals} to heal' if heals else ''}: {time} to do; needs "
        f"{num_bytes_text(plan.needed_bytes)} of disk, {num_bytes_text(plan.free_bytes)} free"
    )


def _notes(plan: Plan) -> list[str]:
    notes = []
    if not plan.fits:
        notes.append(
            f"DOES NOT FIT: {num_bytes_text(plan.needed_bytes - plan.free_bytes)} of disk are "
            "missing: free space (`headrace gc`) or set HEADRACE_HOME to a larger volume"
        )
    if plan.untimed:
        notes.append(f"no earlier run tells the time of: {', '.join(plan.untimed)}")
    if plan.machine:
        notes.append(f"times of stages that never ran here are from {plan.machine}")
    return notes


def plan_text(plan: Plan) -> str:
    """The plan for a terminal."""
    rows = [
        [step.step, step.action.value, _count(step, step.rows), _count(step, step.num_bytes),
         _time(step), step.reason]
        for step in plan.steps
    ]  # fmt: skip
    header = ["step", "action", "rows", "bytes", "time", "why"]
    lines = [totals_text(plan), *_notes(plan)]
    return summary.table(header, rows, right="rows bytes time") + "\n" + "\n".join(lines) + "\n"


def plan_markdown(plan: Plan) -> str:
    """The plan as a Markdown table."""
    lines = [totals_text(plan), ""]
    lines += [f"- {note}" for note in _notes(plan)]
    lines += ["", "| step | action | rows | bytes | time | why |", "|---|---|--:|--:|--:|---|"]
    for step in plan.steps:
        cells = [step.step, MARKS[step.action], _count(step, step.rows),
                 _count(step, step.num_bytes), _time(step), step.reason]  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
