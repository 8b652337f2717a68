"""`headrace status`: what goes on in this home, in the terminal.

    headrace status [RUN] [--once] [--json] [--all]

In a terminal it is drawn again every second until Ctrl-C; elsewhere, and with --once, it is printed
once. Read from the home's disk: no server is asked, none has to be there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flows.standing import Observer, RunStanding, ServiceStanding, StepStanding
from headrace.artifacts import resolve_home
from headrace.artifacts.runtime import describe_rate, describe_seconds
from headrace.markdown import visible

REFRESH_SECONDS = 1.0
SHOWN_RUNS = 5
NOTE_CHARACTERS = 200
BAR_WIDTH = 12
WIDTH_WITHOUT_TERMINAL = 160
COLOURS = {
    "Running": "blue", "Completed": "green", "Cached": "cyan", "Healed": "yellow",
    "Failed": "red", "Crashed": "red", "Dead": "red", "gone": "red",
    "Cancelled": "magenta", "Stopped": "magenta", "Pending": "bright_black",
}  # fmt: skip


def add_parser(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add `status` to the subcommands."""
    parser = commands.add_parser("status", parents=parents, help="what runs now, live")
    parser.add_argument("run", nargs="?", help="a run's name (default: those that run)")
    parser.add_argument("--once", action="store_true", help="print it once, also in a terminal")
    parser.add_argument("--json", action="store_true", help="print it once as JSON")
    parser.add_argument("--all", action="store_true", help="all runs, not just the last few")
    parser.set_defaults(function=show_status)


def show_status(arguments: argparse.Namespace) -> int:
    """Print or keep showing what goes on; Ctrl-C is the way out, not an error."""
    observer = Observer(resolve_home(arguments.home))
    try:
        if arguments.json:
            sys.stdout.write(json.dumps(_plain(observer, arguments), indent=1) + "\n")
        elif arguments.once or not sys.stdout.isatty():
            _console().print(_screen(observer, arguments))
        else:
            _watch(observer, arguments)
    except KeyboardInterrupt:
        pass
    return 0


def _watch(observer: Observer, arguments: argparse.Namespace) -> None:
    from rich.live import Live

    with Live(_screen(observer, arguments), console=_console(), auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_SECONDS)
            live.update(_screen(observer, arguments), refresh=True)


def _console() -> Any:
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(highlight=False, markup=False, emoji=False, width=width)


def _chosen(
    observer: Observer, arguments: argparse.Namespace
) -> tuple[list[RunStanding], list[RunStanding]]:
    """The runs to list, and those whose steps are shown."""
    if arguments.run:
        run = observer.run(arguments.run)
        return [run], [run]
    runs = observer.runs()
    active = [run for run in runs if run.is_active]
    listed = runs if arguments.all else runs[: max(SHOWN_RUNS, len(active))]
    return listed, active or runs[:1]


def _plain(observer: Observer, arguments: argparse.Namespace) -> dict[str, Any]:
    listed, _ = _chosen(observer, arguments)
    return {
        "services": [asdict(service) for service in observer.services()],
        "runs": [asdict(run) for run in listed],
    }


def _screen(observer: Observer, arguments: argparse.Namespace) -> Any:
    from rich.console import Group
    from rich.text import Text

    listed, detailed = _chosen(observer, arguments)
    services = observer.services()
    parts: list[Any] = []
    if services:
        parts += [_service_table(services), Text()]
    if not listed:
        parts.append(Text("no run yet: `headrace run PIPELINE` starts one"))
        return Group(*parts)
    parts.append(_run_table(listed))
    for run in detailed:
        parts += [Text(), Text(f"steps of {_clean(run.name)}", style="bold"), _step_table(run)]
    return Group(*parts)


def _table(*columns: str, right: str = "") -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        at_right = name in right.split()
        # What is long is cut; figures never are.
        cut = "ellipsis" if name in ("note", "error", "dropped", "address") else "fold"
        table.add_column(
            name,
            justify="right" if at_right else "left",
            no_wrap=at_right or cut == "ellipsis",
            overflow=cut,  # type: ignore[arg-type]
            min_width=BAR_WIDTH if not name else None,
        )
    return table


def _clean(text: str) -> str:
    return " ".join(visible(text).split())[:NOTE_CHARACTERS]


def _state(state: str) -> Any:
    from rich.text import Text

    return Text(_clean(state) or "-", style=COLOURS.get(state, ""))


def _service_table(services: Sequence[ServiceStanding]) -> Any:
    table = _table("service", "state", "pid", "address", right="pid")
    for service in services:
        table.add_row(
            _clean(service.name), _state(service.state), str(service.pid), _clean(service.url)
        )
    return table


def _run_table(runs: Sequence[RunStanding]) -> Any:
    table = _table(
        "run", "flow run", "pipeline", "state", "since", "elapsed", "error", right="elapsed"
    )
    for run in runs:
        since = datetime.fromtimestamp(run.started).strftime("%Y-%m-%d %H:%M:%S")
        tries = f" (try {run.attempt})" if run.attempt > 1 else ""
        table.add_row(
            _clean(run.name),
            _clean(run.flow_run_name) + tries,
            _clean(run.pipeline),
            _state(run.state),
            since if run.started else "-",
            _duration(run.seconds),
            _clean(run.error),
        )
    return table


def _step_table(run: RunStanding) -> Any:
    table = _table(
        "step", "state", "", "done", "rate", "left", "took", "rows", "bytes", "dropped", "note",
        right="done rate left took rows bytes",
    )  # fmt: skip
    for step in run.steps:
        table.add_row(
            _clean(step.name),
            _state(step.state),
            _bar(step),
            _done(step),
            f"{describe_rate(step.rate)} {_clean(step.unit)}/s" if step.rate else "",
            _duration(step.seconds_left),
            _duration(step.seconds),
            "" if step.rows is None else f"{step.rows:,}",
            "" if step.num_bytes is None else f"{step.num_bytes:,}",
            ", ".join(f"{_clean(reason)} {count:,}" for reason, count in step.drops.items()),
            _clean(step.note),
        )
    return table


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else describe_seconds(seconds)


def _bar(step: StepStanding) -> Any:
    from rich.progress_bar import ProgressBar

    if step.share is None:
        return ""
    return ProgressBar(total=1.0, completed=min(step.share, 1.0), width=BAR_WIDTH)


def _done(step: StepStanding) -> str:
    if step.done is None:
        return ""
    total = f"/{step.total:,.0f}" if step.total else ""
    share = f" {step.share:.0%}" if step.share is not None and not step.total else ""
    return f"{step.done:,.0f}{total}{share}"
