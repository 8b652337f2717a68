"""Where reports lie: `<home>/reports/<run>/<started, UTC>-<flow run>.html`, one an attempt."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

from headrace.artifacts import Store, files
from headrace.artifacts.runs import RUN_NAME, RunRecord
from headrace.reports.page import render_report

FOLDER = "reports"
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
MAX_NAME = 80


def write_report(store: Store, record: RunRecord) -> Path:
    """Write the page on a run's newest attempt; returns where. The same attempt replaces it.

    Raises:
        StoreError: the home cannot be written.
    """
    path = report_path(record)
    with files.explained_os_errors(path):
        files.write_atomic(path, render_report(store, record).encode())
    return path


def report_path(record: RunRecord) -> Path:
    """Where the report on a run's newest attempt belongs."""
    started = record.started or min(
        (step.noted - step.seconds for step in record.steps.values()), default=0.0
    )
    stamp = datetime.fromtimestamp(started or time.time(), UTC).strftime("%Y%m%dT%H%M%S")
    flow_run = NOT_IN_NAMES.sub("-", record.flow_run_name)[:MAX_NAME].strip(".-") or "local"
    return record.home / FOLDER / record.name / f"{stamp}-{flow_run}.html"


def newest_report(home: Path, name: str) -> Path | None:
    """The report on the newest attempt of a run, or None where there is none."""
    if not RUN_NAME.fullmatch(name):
        return None
    return max((home / FOLDER / name).glob("*.html"), default=None)
