"""What goes on in a home, gathered from its disk: services, runs and their steps.

Needs no server and imports no Prefect, so it answers at once, also when all of that is broken.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.artifacts import Artifact, InputLink, Runtime, Store
from headrace.artifacts.files import read_json
from headrace.artifacts.lineage import find_link
from headrace.artifacts.progress import RunProgress, StepProgress, born_at, load_progress
from headrace.artifacts.runs import RunRecord, StepRecord, find_run, load_runs
from headrace.errors import MissingInputError

RUNNING, DEAD, PENDING = "Running", "Dead", "Pending"
DEAD_ADVICE = "its process is gone: run it again to go on"


@dataclass(frozen=True, kw_only=True)
class StepStanding:
    """How one step of a run stands.

    Attributes:
        name: the step.
        state: Pending, Running, Cached, Healed, Completed, Failed, Stopped or Dead.
        seconds: how long it took, or has run.
        share: fraction done, where that is known.
        done: units done, where it tells.
        total: units in all, where it tells.
        unit: what is counted.
        rate: units a second.
        seconds_left: at the rate so far.
        rows: rows written so far, or in all.
        num_bytes: bytes of data files so far, or in all.
        drops: dropped and bad records so far, or in all, by reason.
        note: the last line of its log, or its error.
    """

    name: str
    state: str
    seconds: float | None = None
    share: float | None = None
    done: float | None = None
    total: float | None = None
    unit: str = ""
    rate: float | None = None
    seconds_left: float | None = None
    rows: int | None = None
    num_bytes: int | None = None
    drops: Mapping[str, int] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RunStanding:
    """How a run stands.

    Attributes:
        name: its name in this home.
        pipeline: which pipeline it runs.
        flow_run_name: Prefect's name of its newest attempt.
        flow_run_id: Prefect's id of it.
        deployment: what it was started from; "" for a local run.
        attempt: 1 for the first try.
        state: Running, Completed, Failed, Crashed, Cancelled or Dead; "" where nobody told.
        started: seconds since the epoch; 0.0 where nobody told.
        seconds: how long it took, or has run.
        error: what failed, in one line.
        steps: its steps in their order.
    """

    name: str
    pipeline: str
    flow_run_name: str
    flow_run_id: str
    deployment: str
    attempt: int
    state: str
    started: float
    seconds: float | None
    error: str
    steps: tuple[StepStanding, ...]

    @property
    def is_active(self) -> bool:
        """Whether it runs."""
        return self.state == RUNNING


@dataclass(frozen=True, kw_only=True)
class ServiceStanding:
    """A service of `headrace up`: what it said last, or "gone"; pid 0 where it has no process."""

    name: str
    pid: int
    url: str
    state: str


class Observer:
    """Looks at one home, as often as you like; what cannot change is read once."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._store = Store(Runtime(home=home))
        self._artifacts: dict[InputLink, Artifact | None] = {}

    def services(self) -> list[ServiceStanding]:
        """What `headrace up` started; [] where it does not run."""
        found = []
        listed = read_json(self._home / "prefect" / "services.json")
        for item in listed if isinstance(listed, list) else []:
            try:
                service = ServiceStanding(
                    name=str(item["name"]),
                    pid=int(item["pid"] or 0),
                    url=str(item.get("url") or ""),
                    state=str(item.get("state") or ""),
                )
            except (TypeError, KeyError, ValueError, AttributeError):
                continue
            gone = ServiceStanding(**{**vars(service), "state": "gone"})
            # One without a process says why itself (Triton where it is not installed).
            found.append(service if not service.pid or born_at(service.pid) else gone)
        return found

    def runs(self) -> list[RunStanding]:
        """Every named run, active ones first, then the newest first."""
        runs = [self._run(record) for record in load_runs(self._home)]
        return sorted(runs, key=lambda run: (run.is_active, run.started), reverse=True)

    def run(self, text: str) -> RunStanding:
        """The run of this name, or with this flow run's name or id.

        Raises:
            MissingInputError: there is none.
        """
        record = find_run(self._home, text)
        if record is not None:
            return self._run(record)
        known = ", ".join(run.name for run in self.runs()[:9]) or "none"
        raise MissingInputError(
            f"'{text}': no run of {self._home} has this name or id (there are: {known})"
        )

    def _run(self, record: RunRecord) -> RunStanding:
        progress = _matching(record, load_progress(self._home, record.name))
        state = _state_of(record, progress)
        started = record.started or (progress.started if progress else 0.0)
        steps = tuple(self._steps(record, progress, state))
        return RunStanding(
            name=record.name,
            pipeline=record.pipeline,
            flow_run_name=record.flow_run_name or (progress.flow_run_name if progress else ""),
            flow_run_id=record.flow_run_id or (progress.flow_run_id if progress else ""),
            deployment=record.deployment,
            attempt=record.attempt,
            state=state,
            started=started,
            seconds=_elapsed(record, progress, state, started),
            error=DEAD_ADVICE if state == DEAD else record.error,
            steps=steps,
        )

    def _steps(
        self, record: RunRecord, progress: RunProgress | None, state: str
    ) -> list[StepStanding]:
        going = dict(progress.steps) if progress else {}
        newest = record.steps_of_newest()
        # A step that is tried again stands in both.
        ended = {
            name: step
            for name, step in newest.items()
            if name not in going or step.noted > going[name].updated
        }
        found = [self._ended(name, step) for name, step in ended.items()]
        found += [_going(name, step, state) for name, step in going.items() if name not in ended]
        if state == RUNNING:
            # The run before knew what comes.
            reached = newest.keys() | going.keys()
            found += [
                StepStanding(name=name, state=PENDING)
                for name in record.steps
                if name not in reached
            ]
        return found

    def _ended(self, name: str, step: StepRecord) -> StepStanding:
        if step.link not in self._artifacts:
            self._artifacts[step.link] = find_link(self._store, step.link)
        artifact = self._artifacts[step.link]
        return StepStanding(
            name=name,
            state=step.outcome,
            seconds=step.seconds,
            share=1.0,
            rows=artifact.counts.get("rows", 0) if artifact else None,
            num_bytes=artifact.num_bytes if artifact else None,
            drops={**artifact.dropped, **artifact.quarantined} if artifact else {},
            note=step.reason if artifact else "no longer in the store",
        )


def _matching(record: RunRecord, progress: RunProgress | None) -> RunProgress | None:
    """The progress if it is of the record's newest attempt."""
    if progress is None or record.flow_run_id in ("", progress.flow_run_id):
        # A retry keeps its flow run's id: what the try before left is not its own.
        return progress if progress and progress.updated >= record.started else None
    return None


def _state_of(record: RunRecord, progress: RunProgress | None) -> str:
    if record.state not in ("", RUNNING):
        return record.state
    if progress is None:
        return record.state
    if progress.is_alive() is False:
        going = any(step.state == RUNNING for step in progress.steps.values())
        return DEAD if record.state == RUNNING or going else ""
    return RUNNING


def _elapsed(
    record: RunRecord, progress: RunProgress | None, state: str, started: float
) -> float | None:
    if not started:
        return None
    if state == RUNNING:
        return time.time() - started
    end = record.ended or (progress.updated if progress else 0.0)
    return max(end - started, 0.0) if end else None


def _going(name: str, step: StepProgress, run_state: str) -> StepStanding:
    """A step that runs, or ended badly."""
    state = step.state
    if state == RUNNING and run_state != RUNNING:
        state = DEAD if run_state == DEAD else run_state or DEAD
    event: Mapping[str, Any] = step.event if isinstance(step.event, dict) else {}
    told = event.get("counts")
    told = told if isinstance(told, dict) else {}
    counts = {key: num for key, num in told.items() if _number(num) is not None}
    running = state == RUNNING
    return StepStanding(
        name=name,
        state=state,
        seconds=(time.time() if running else step.updated) - step.started,
        share=_number(event.get("share")),
        done=_number(event.get("done")),
        total=_number(event.get("total")),
        unit=str(event.get("unit", "")),
        rate=_number(event.get("rate")),
        seconds_left=_number(event.get("seconds_left")) if running else None,
        rows=counts.get("rows"),
        num_bytes=counts.get("bytes"),
        drops={
            key.partition(".")[2]: count
            for key, count in counts.items()
            if key.startswith(("dropped.", "quarantined."))
        },
        note=step.error or step.line or str(event.get("detail", "")),
    )


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None
