"""What a run is doing at this moment, on disk, for those who only look.

`<home>/progress/<run>.json` is written by the process that runs the stages: when it begins, when a
step begins or ends, and every few seconds in between. It is renamed into place but not fsynced:
after a power cut nobody wants it. What the finished steps gave stands in the run's record.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from headrace.artifacts import files
from headrace.artifacts.runtime import ProgressEvent

MAX_LINE_CHARACTERS = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StepProgress:
    """A step that has begun and has not ended well.

    Attributes:
        state: Running, Failed or Stopped.
        started: when it began, in seconds since the epoch.
        updated: when this was written last.
        event: its newest progress event, plain values; {} before the first.
        line: the last line that it logged.
        error: what it failed with, in one line.
    """

    state: str
    started: float
    updated: float
    event: Mapping[str, Any] = field(default_factory=dict)
    line: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """What a run's process told last.

    Attributes:
        flow_run_id: Prefect's id of the flow run.
        flow_run_name: Prefect's name of it.
        host: where its process runs.
        pid: the process.
        born: when that process began, in the kernel's ticks: pids are used again.
        started: when the first step began.
        updated: when this was written last.
        steps: steps that run, or ended badly, by name.
    """

    flow_run_id: str
    flow_run_name: str
    host: str
    pid: int
    born: int
    started: float
    updated: float
    steps: Mapping[str, StepProgress] = field(default_factory=dict)

    def is_alive(self) -> bool | None:
        """Whether its process lives; None on another machine, where that cannot be seen."""
        if self.host != socket.gethostname():
            return None
        return self.born == born_at(self.pid) != 0


def born_at(pid: int) -> int:
    """When a process of this machine began, in ticks since boot; 0 where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The name in parentheses may hold anything; the 22nd field is the 20th behind it.
    after_name = text.rpartition(")")[2].split()
    return 0 if after_name[0] == "Z" else int(after_name[19])


def progress_path(home: Path, run_name: str) -> Path:
    """Where a run's progress is written."""
    return home / "progress" / f"{run_name}.json"


def load_progress(home: Path, run_name: str) -> RunProgress | None:
    """What a run told last; None where there is nothing that can be read."""
    value = files.read_json(progress_path(home, run_name))
    try:
        steps = {name: StepProgress(**step) for name, step in value["steps"].items()}
        found = RunProgress(**{**value, "steps": steps})
        stamps = [found.started, found.updated, found.pid, found.born]
        stamps += [stamp for step in steps.values() for stamp in (step.started, step.updated)]
    except (TypeError, KeyError, AttributeError):
        return None
    return found if all(isinstance(stamp, int | float) for stamp in stamps) else None


class ProgressFile:
    """Writes a run's progress from any of its threads; a disk that fails is not an error."""

    def __init__(self, home: Path, run_name: str, *, flow_run_id: str, flow_run_name: str) -> None:
        self._path = progress_path(home, run_name)
        self._lock = threading.Lock()
        now = time.time()
        self._run = RunProgress(
            flow_run_id=flow_run_id,
            flow_run_name=flow_run_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            born=born_at(os.getpid()),
            started=now,
            updated=now,
        )
        self._steps: dict[str, StepProgress] = {}
        self._save()

    def begin(self, step: str) -> None:
        """A step begins now."""
        now = time.time()
        self._put(step, StepProgress(state="Running", started=now, updated=now))

    def update(self, step: str, event: ProgressEvent | None, line: str) -> None:
        """Tell how far a step is, and its last line."""
        before = self._steps[step]
        plain = asdict(event) if event else {}
        line = " ".join(line.split())[:MAX_LINE_CHARACTERS]
        self._put(step, replace(before, updated=time.time(), event=plain, line=line))

    def end(self, step: str, *, state: str = "", error: str = "") -> None:
        """A step has ended; one that ended badly stays, with its state and error."""
        if not state:
            self._put(step, None)
            return
        error = " ".join(error.split())[: 4 * MAX_LINE_CHARACTERS]
        self._put(step, replace(self._steps[step], updated=time.time(), state=state, error=error))

    def _put(self, step: str, progress: StepProgress | None) -> None:
        with self._lock:
            self._steps.pop(step, None)
            if progress is not None:
                self._steps[step] = progress
            self._run = replace(self._run, updated=time.time(), steps=dict(self._steps))
            self._save()

    def _save(self) -> None:
        text = json.dumps(asdict(self._run), ensure_ascii=False)
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
            temporary.replace(self._path)
        except OSError as error:
            logger.debug("progress was not written: %r", error)
