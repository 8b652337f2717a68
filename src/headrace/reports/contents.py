"""What a report tells of: a run's record, the artifacts of its newest attempt and their files.

Everything may be missing: a run that failed early, artifacts that were collected since, files that
are damaged. What is not there is None here, and a section less in the page.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.artifacts import Artifact, InputLink, Outcome, Store
from headrace.artifacts.files import read_json
from headrace.artifacts.lineage import find_link
from headrace.artifacts.runs import RunRecord, StepRecord
from headrace.artifacts.shards import BUILDING_NAME

FAILED, INTERRUPTED, NOT_REACHED = "Failed", "Interrupted", "Not reached"
MAX_JSON_BYTES = 16_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a run as a reader sees it.

    Attributes:
        name: the step's name.
        state: Cached, Healed, Completed, Failed, Interrupted or Not reached.
        link: its artifact; None where none was made.
        artifact: the artifact itself; None where it was not made, or is gone or damaged.
        seconds: wall time that opening or building it took in this attempt, or until it failed.
        noted: when that ended, in seconds since the epoch; 0.0 where it was not reached.
        reason: why it ran.
    """

    name: str
    state: str
    link: InputLink | None = None
    artifact: Artifact | None = None
    seconds: float = 0.0
    noted: float = 0.0
    reason: str = ""

    @property
    def is_done(self) -> bool:
        """Whether this attempt opened it."""
        return self.state not in (FAILED, INTERRUPTED, NOT_REACHED)

    @property
    def has_run(self) -> bool:
        """Whether this attempt began it."""
        return self.noted > 0.0

    @property
    def started(self) -> float:
        """When it began, in seconds since the epoch."""
        return self.noted - self.seconds

    def has_file(self, name: str) -> bool:
        """Whether its artifact lists such a file, among its data or beside it."""
        if self.artifact is None:
            return False
        manifest = self.artifact.manifest
        return any(entry.name == name for entry in (*manifest.files, *manifest.extras))

    def read(self, name: str) -> Any:
        """The JSON value in one of its artifact's files; None where it cannot be read."""
        if self.artifact is None:
            return None
        path = self.artifact.path / name
        try:
            return read_json(path) if path.stat().st_size <= MAX_JSON_BYTES else None
        except (OSError, RecursionError):
            return None


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything that the sections are made from.

    Attributes:
        store: where the artifacts lie.
        record: the run.
        steps: in the order in which they ended, those not reached last.
    """

    store: Store
    record: RunRecord
    steps: tuple[Step, ...]

    @property
    def done(self) -> list[Step]:
        """The steps that this attempt opened."""
        return [step for step in self.steps if step.is_done]

    def holding(self, name: str) -> list[Step]:
        """The opened steps whose artifact has a file of this name."""
        return [step for step in self.done if step.has_file(name)]

    def artifacts(self) -> Iterator[Artifact]:
        """The artifacts that are there, each once."""
        seen = set()
        for step in self.done:
            if step.artifact is not None and step.artifact.path not in seen:
                seen.add(step.artifact.path)
                yield step.artifact

    @property
    def failed_step(self) -> Step | None:
        """The step that was being built when the run ended."""
        found = [step for step in self.steps if step.state in (FAILED, INTERRUPTED)]
        return found[0] if found else None

    @property
    def started(self) -> float:
        """When the attempt began; of an old record, when its first step did."""
        return self.record.started or min((step.started for step in self.done), default=0.0)

    @property
    def ended(self) -> float:
        """When the attempt ended; of an old or running one, when its last step did."""
        return self.record.ended or max((step.noted for step in self.done), default=0.0)


def gather(store: Store, record: RunRecord) -> Contents:
    """Look up what a run's newest attempt left."""
    newest = record.steps_of_newest()
    steps = [_step(store, name, step) for name, step in newest.items()]
    building = _building(store, record)
    if building is not None and building.name not in {
        step.link.stage for step in steps if step.link
    }:
        steps.append(building)
    known = {step.name for step in steps}
    steps += [
        Step(name=name, state=NOT_REACHED, link=step.link)
        for name, step in record.steps.items()
        if name not in known and record.state != "Completed"
    ]
    return Contents(store=store, record=record, steps=tuple(steps))


def _step(store: Store, name: str, step: StepRecord) -> Step:
    try:
        artifact = find_link(store, step.link)
    except (OSError, RecursionError) as error:
        logger.warning("%s: its artifact cannot be read: %r", name, error)
        artifact = None
    return Step(
        name=name,
        state=step.outcome,
        link=step.link,
        artifact=artifact,
        seconds=_finite(step.seconds),
        noted=_finite(step.noted),
        reason=step.reason,
    )


def _finite(value: Any) -> float:
    try:
        return float(value) if math.isfinite(value) else 0.0
    except (TypeError, OverflowError):
        return 0.0


def _building(store: Store, record: RunRecord) -> Step | None:
    """The step that this attempt began to build last and did not finish, if there is one.

    A build leaves a file in its directory until it is done, written anew when it is gone on with.
    """
    if record.state in ("Completed", "Running", "") or not record.ended:
        return None
    found = []
    for path in store.root.glob(f"*/*/{BUILDING_NAME}"):
        try:
            changed = path.stat().st_mtime
        except OSError:
            continue
        if record.started <= changed <= record.ended:
            found.append((changed, path.parent.parent.name))
    if not found:
        return None
    changed, name = max(found)
    state = FAILED if record.state == "Failed" else INTERRUPTED
    return Step(name=name, state=state, seconds=record.ended - changed, noted=record.ended)


def read_lines(path: Path, limit: int) -> list[dict[str, Any]]:
    """The first mappings of a file with one JSON value a line; [] where it cannot be read."""
    found: list[dict[str, Any]] = []
    try:
        with path.open("rb") as file:
            for line in file:
                value = _value(line)
                if isinstance(value, dict):
                    found.append(value)
                if len(found) >= limit:
                    break
    except OSError:
        pass
    return found


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def outcome_class(state: str) -> str:
    """The name under which the style sheet knows a state's colour."""
    return {
        Outcome.HIT.value: "cached",
        Outcome.HEALED.value: "healed",
        Outcome.BUILT.value: "completed",
        FAILED: "failed",
        "Crashed": "failed",
        INTERRUPTED: "healed",
        "Cancelled": "healed",
        "Running": "cached",
    }.get(state, "unknown")
