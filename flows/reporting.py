"""The command `headrace report`: the page on a run, written anew from what it left."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from headrace.artifacts import Runtime, Store, files, resolve_home
from headrace.artifacts.runs import RunRecord, find_run, load_runs
from headrace.errors import MissingInputError


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    parents: Sequence[argparse.ArgumentParser],
) -> None:
    """Add the subcommand `report`."""
    parser = commands.add_parser("report", parents=list(parents), help="HTML page on a run")
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="a run's or a flow run's name, or its id (default: the newest)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it there instead")
    parser.set_defaults(function=report_run)


def choose_run(home: Path, name: str | None) -> RunRecord:
    """The run that is meant (see `runs.find_run`), or the one that began last.

    Raises:
        MissingInputError: there is no such run.
    """
    if name is not None:
        record = find_run(home, name)
        if record is not None:
            return record
    runs = list(load_runs(home))
    if name is None and runs:
        return max(runs, key=lambda run: run.started or run.path.stat().st_mtime)
    known = ", ".join(run.name for run in runs) or "none yet: `headrace run PIPELINE` makes one"
    raise MissingInputError(
        f"{home / 'runs'}: a run{f' {name}' if name else ''} was expected; there are: {known}"
    )


def report_run(arguments: argparse.Namespace) -> int:
    """Write the report on a run's newest attempt and print where it lies."""
    from headrace.reports import render_report, report_path, write_report

    home = resolve_home(arguments.home)
    record = choose_run(home, arguments.run)
    store = Store(Runtime(home=home))
    if arguments.out is None:
        path = write_report(store, record)
    else:
        path = arguments.out.expanduser().resolve()
        path = path / report_path(record).name if path.is_dir() else path
        files.write_atomic(path, render_report(store, record).encode())
    sys.stdout.write(f"{path}\n")
    return 0
