"""What a run shows while it goes on, and when a stage ends: in Prefect's UI and on disk.

    stage -> ProgressReporter (a thread a stage) -> Board (a thread a process) -> Prefect's API
                              `-> <home>/progress/<run>.json, for `headrace status`

Each artifact is made once a task run and then updated in place. Nothing here holds a stage up or
fails it: what Prefect does not take in time is left out, and said once.
"""

from __future__ import annotations

import base64
import contextvars
import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from prefect import runtime as prefect_runtime
from prefect.logging.handlers import PrefectConsoleHandler

from headrace.artifacts import Opened, Outcome, ProgressEvent, resolve_home
from headrace.artifacts.manifest import DROPPED, QUARANTINED
from headrace.artifacts.progress import ProgressFile
from headrace.artifacts.runtime import Draw, describe_seconds
from headrace.counts import plain_counts, summary_rows
from headrace.logs import ROOT_LOGGER, LabelledFormatter, Origin, current_origin, lines_of
from headrace.markdown import describe_figures, escaped
from headrace.plots import draw_drops
from tasks.board import Slot, board, known_board

PROGRESS_SECONDS = 2.0
HEARTBEAT_SECONDS = 10.0
PLOT_SECONDS = 15.0
PLOT_SHARE = 0.02
"""A plot is drawn again after this share of the time that the stage has run, 15 s at least."""
DRAIN_SECONDS = 10.0
MAX_IMAGE_BYTES = 200_000
NOT_NEWS = "headrace.artifacts.runtime"
"""Logs the progress events themselves."""

logger = logging.getLogger("headrace.tasks")

_files: dict[tuple[str, str], ProgressFile] = {}
_announced: set[str] = set()
_files_lock = threading.Lock()


def _progress_file(run_name: str) -> ProgressFile:
    """This process's progress file of the flow run that is going on here."""
    flow_run_id = str(prefect_runtime.flow_run.id or "")
    with _files_lock:
        home = resolve_home()
        key = (str(home / run_name), flow_run_id)
        if key not in _files:
            name = str(prefect_runtime.flow_run.name or "")
            _files[key] = ProgressFile(home, run_name, flow_run_id=flow_run_id, flow_run_name=name)
        return _files[key]


def announce(run_name: str, *, flow_run_id: str, flow_run_name: str) -> None:
    """Tell on disk which process carries a flow run's new attempt, before its first step.

    Its hits then do not wait one by one for Prefect to take what they show: whoever announces must
    `drain` before the flow's function returns, so that a Completed run's page is whole.
    """
    home = resolve_home()
    file = ProgressFile(home, run_name, flow_run_id=flow_run_id, flow_run_name=flow_run_name)
    with _files_lock:
        _files[str(home / run_name), flow_run_id] = file
        _announced.add(flow_run_id)


def origin_of(step: str, run_name: str) -> Origin:
    """Where the lines of a step of this flow run come from."""
    name = str(prefect_runtime.flow_run.name or run_name)
    return Origin(run_name=name, run_id=str(prefect_runtime.flow_run.id or ""), step=step)


def prepare_logging() -> None:
    """Let our lines through where no command of ours set logging up: in a worker's process.

    Its terminal is shared by all of its runs, so there each line says where it comes from.
    """
    ours = logging.getLogger(ROOT_LOGGER)
    if ours.level == logging.NOTSET:
        ours.setLevel(logging.INFO)
    for handler in (*ours.handlers, *logging.getLogger().handlers):
        formatter = handler.formatter
        is_prefects = isinstance(handler, PrefectConsoleHandler)
        if is_prefects and formatter and not isinstance(formatter, LabelledFormatter):
            handler.setFormatter(LabelledFormatter(formatter))


class _LastLine(logging.Handler):
    """Keeps the last line that a step logged, whichever of its threads or workers did."""

    def __init__(self, origin: Origin) -> None:
        super().__init__(logging.INFO)
        self.line = ""
        self._origin = origin

    def emit(self, record: logging.LogRecord) -> None:
        if current_origin() == self._origin and record.name != NOT_NEWS:
            self.line = record.getMessage()


class ProgressReporter:
    """Shows how far a stage is, every two seconds, from a thread of its own.

    A stage that ends sooner leaves no progress artifact.

    Args:
        step: the step's name in the run.
        run_name: the run's name in the home.
    """

    def __init__(self, step: str, run_name: str) -> None:
        self._step = step
        self._file = _progress_file(run_name)
        self._newest: ProgressEvent | None = None
        self._shown: ProgressEvent | None = None
        self._plots: dict[str, Draw] = {}
        self._started = self._written = self._drawn = time.monotonic()
        self._done = threading.Event()
        origin = origin_of(step, run_name)
        self._lines = _LastLine(origin)
        self._origin = lines_of(origin)

    def __enter__(self) -> ProgressReporter:
        prepare_logging()
        self._file.begin(self._step)
        self._origin.__enter__()
        logging.getLogger(ROOT_LOGGER).addHandler(self._lines)
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._show_all,), name=f"{self._step}-progress", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, _trace: object) -> None:
        self._done.set()
        # A picture may be in the making; nobody waits for it.
        self._thread.join(timeout=1.0)
        logging.getLogger(ROOT_LOGGER).removeHandler(self._lines)
        self._origin.__exit__(None, None, None)
        if kind is None:
            self._file.end(self._step)
            self._show_end()
            return
        state = "Failed" if issubclass(kind, Exception) else "Stopped"
        self._file.end(self._step, state=state, error=f"{kind.__name__}: {error}")

    def __call__(self, event: ProgressEvent) -> None:
        """Take a stage's newest event."""
        self._newest = event

    def offer_plot(self, name: str, draw: Draw) -> None:
        """Take a plot that can be drawn at any time while the stage runs."""
        self._plots[name] = draw

    def _show_all(self) -> None:
        while not self._done.wait(PROGRESS_SECONDS):
            try:
                self._show_now()
                self._show_plots()
            except Exception as error:  # noqa: BLE001 (watching must not break the work)
                logger.debug("progress of %s was not shown: %r", self._step, error)

    def _show_now(self) -> None:
        event, now = self._newest, time.monotonic()
        is_new = event is not self._shown
        if is_new or now - self._written >= HEARTBEAT_SECONDS:
            self._written = now
            self._file.update(self._step, event, self._lines.line)
        if event is None or not is_new:
            return
        self._shown = event
        percent = 100.0 * (event.share or 0.0)
        board().put(_slot(self._step, "progress"), "progress", percent, _sentence(event))
        if event.counts:
            put_counts(self._step, event.counts, "so far")

    def _show_plots(self) -> None:
        now = time.monotonic()
        if now - self._drawn < max(PLOT_SECONDS, PLOT_SHARE * (now - self._started)):
            return
        self._drawn = now
        for name, draw in self._plots.items():
            png = draw()
            if not self._done.is_set():
                put_image(f"{self._step}-{name}", png, f"{escaped(self._step)}: {name} so far")

    def _show_end(self) -> None:
        """Bring a progress artifact that there is to its end; what it told may be seconds old."""
        if self._shown is None or self._newest is None:
            return
        took = describe_seconds(time.monotonic() - self._started)
        text = f"{_sentence(self._newest)} - done in {took}"
        board().put(_slot(self._step, "progress"), "progress", 100.0, text)


def _sentence(event: ProgressEvent) -> str:
    return escaped(str(event).removeprefix(f"{event.stage}: "))


def _slot(step: str, what: str) -> Slot:
    """Where an artifact of the task run that is going on belongs."""
    key = f"{step}-{what}" if what else step
    return Slot(
        key=key.replace("_", "-").replace("/", "-").replace(".", "-").lower(),
        flow_run_id=str(prefect_runtime.flow_run.id or ""),
        task_run_id=str(prefect_runtime.task_run.id or ""),
    )


def put_counts(step: str, counts: Mapping[str, int], description: str) -> None:
    """Show rows, bytes, and drops and bad records by reason, as one table."""
    rows: list[dict[str, Any]] = []
    for name, count in plain_counts(counts).items():
        what = name
        for prefix, word in ((DROPPED, "dropped"), (QUARANTINED, "quarantined")):
            if name.startswith(prefix):
                what = f"{word}: {name.removeprefix(prefix)}"
        rows.append({"what": what, "count": count})
    rows.sort(key=lambda row: (": " in row["what"], row["what"] not in ("rows", "bytes")))
    board().put(_slot(step, "counts"), "table", json.dumps(rows), description)


def put_image(key: str, png: bytes, description: str) -> None:
    """Show a picture; nothing where there is none, or where it is too big for Prefect."""
    if png and len(png) <= MAX_IMAGE_BYTES:
        content = base64.b64encode(png).decode()
        board().put(_slot(key, ""), "image", f"data:image/png;base64,{content}", description)


def show_artifact(step: str, opened: Opened) -> None:
    """Show what a finished artifact holds: counts, plots, and the figures that matter."""
    artifact = opened.artifact
    about = f"{opened.outcome.value}; digest {artifact.digest[:16]}"
    reason = f"; {escaped(opened.reason)}" if opened.reason else ""
    put_counts(step, {**artifact.counts, "bytes": artifact.num_bytes}, about + reason)
    statistics = summary_rows(artifact.counts)
    if statistics:
        board().put(_slot(step, "statistics"), "table", json.dumps(statistics), about)
    for entry in artifact.manifest.extras:
        if entry.name.endswith(".png") and entry.bytes <= MAX_IMAGE_BYTES:
            name = entry.name.removesuffix(".png")
            put_image(f"{step}-{name}", (artifact.path / entry.name).read_bytes(), about)
    figures = describe_figures(artifact)
    if figures:
        board().put(_slot(step, "figures"), "markdown", figures, about)
    reasons = {**artifact.dropped, **artifact.quarantined}
    # A hit has shown its picture already, and should not wait for one to be drawn.
    if reasons and opened.outcome is not Outcome.HIT:
        kept = artifact.counts.get("records_out", artifact.counts.get("rows", 0))
        put_image(f"{step}-drops", draw_drops(kept, reasons), about)


def show_link(key: str, url: str, *, flow_run_id: object) -> None:
    """Show a link on a flow run's page, and wait until it is there."""
    slot = Slot(key=key, flow_run_id=str(flow_run_id), task_run_id="")
    board().put(slot, "markdown", f"[{escaped(url)}](<{url}>)", key)
    drain()


def drain(seconds: float | None = None) -> bool:
    """Wait until Prefect has everything; False where that takes longer than `seconds`."""
    found = known_board()
    return found is None or found.drain(DRAIN_SECONDS if seconds is None else seconds)


def drain_stage(outcome: Outcome) -> None:
    """Wait at a stage's end; hits of an announced flow run are waited for at its end."""
    announced = str(prefect_runtime.flow_run.id or "") in _announced
    if outcome is not Outcome.HIT or not announced:
        drain()
