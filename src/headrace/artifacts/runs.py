"""Named runs: what a pipeline used, so that garbage collection knows what to keep.

A run's file is `<home>/runs/<name>.json`, written anew as each stage opens; the same name again
replaces it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headrace.artifacts import files
from headrace.artifacts.manifest import InputLink
from headrace.artifacts.store import Opened
from headrace.errors import ConfigError, MissingInputError

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ATTEMPT_FIELDS = (
    "flow_run_id", "flow_run_name", "deployment", "attempt", "state", "error", "started", "ended",
)  # fmt: skip
"""What a run's file holds of its newest attempt, besides the steps."""


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """What one step of a run gave.

    Attributes:
        link: stage, key and digest of the artifact.
        outcome: Cached, Healed or Completed.
        seconds: wall time that opening or building it took in that run.
        reason: why it was not simply a hit, in words.
        noted: when, in seconds since the epoch.
    """

    link: InputLink
    outcome: str
    seconds: float
    reason: str
    noted: float


@dataclass
class RunRecord:
    """One named run. `note` adds a finished artifact and saves.

    Attributes:
        home: the project's home.
        name: letters, digits, '.', '_' and '-'.
        pipeline: which pipeline it ran.
        config: the pipeline's whole configuration, plain values.
        steps: what each step gave, in the order in which they ended. Steps of the run before stay
            until they are replaced, so that a killed run does not turn them into garbage.
        flow_run_id: Prefect's id of the newest flow run under this name; "" where it had none.
        flow_run_name: Prefect's name of it.
        deployment: name of the deployment that it was started from; "" for a local run.
        attempt: 1 for its first try, 2 for its first retry, ...
        state: Running, Completed, Failed, Crashed or Cancelled; "" while it is not known.
        error: what failed, in one line; "" where nothing did.
        started: when its newest attempt began, in seconds since the epoch.
        ended: when that ended; 0.0 while it runs.
    """

    home: Path
    name: str
    pipeline: str
    config: Mapping[str, Any]
    steps: dict[str, StepRecord] = field(default_factory=dict)
    flow_run_id: str = ""
    flow_run_name: str = ""
    deployment: str = ""
    attempt: int = 1
    state: str = ""
    error: str = ""
    started: float = 0.0
    ended: float = 0.0

    def __post_init__(self) -> None:
        if not RUN_NAME.fullmatch(self.name):
            raise ConfigError(
                f"run name '{self.name}': letters, digits, '.', '_', '-' are allowed, 100 at most"
            )

    @property
    def path(self) -> Path:
        """The run's file."""
        return self.home / "runs" / f"{self.name}.json"

    def note(self, step: str, opened: Opened) -> None:
        """Remember what `step` gave."""
        self.steps.pop(step, None)
        self.steps[step] = StepRecord(
            link=opened.artifact.link(),
            outcome=opened.outcome.value,
            seconds=round(opened.seconds, 3),
            reason=opened.reason,
            noted=time.time(),
        )
        self.save()

    def begin(self, *, flow_run_id: str, flow_run_name: str, deployment: str, attempt: int) -> None:
        """Remember that an attempt begins now."""
        self.flow_run_id, self.flow_run_name = flow_run_id, flow_run_name
        self.deployment, self.attempt = deployment, attempt
        self.state, self.error, self.started, self.ended = "Running", "", time.time(), 0.0
        self.save()

    def end(self, state: str, error: str = "") -> None:
        """Remember how the newest attempt ended."""
        self.state, self.error, self.ended = state, error, time.time()
        self.save()

    def steps_of_newest(self) -> dict[str, StepRecord]:
        """The steps that the newest attempt opened, in the order in which they ended."""
        return {name: step for name, step in self.steps.items() if step.noted >= self.started}

    def save(self) -> None:
        """Write the run's file."""
        steps = [{"step": name, **asdict(step)} for name, step in self.steps.items()]
        value = {"name": self.name, "pipeline": self.pipeline, "config": self.config}
        value |= {name: getattr(self, name) for name in ATTEMPT_FIELDS}
        files.write_json(self.path, value | {"steps": steps})


def load_run(home: Path, name: str) -> RunRecord | None:
    """The named run, or None where there is none that can be read."""
    value = files.read_json(home / "runs" / f"{name}.json")
    try:
        steps = {
            item["step"]: StepRecord(
                link=InputLink(**item["link"]),
                outcome=item["outcome"],
                seconds=item["seconds"],
                reason=item["reason"],
                noted=item["noted"],
            )
            for item in value["steps"]
        }
        return RunRecord(
            home=home,
            name=name,
            pipeline=value["pipeline"],
            config=value["config"],
            steps=steps,
            **{name: value[name] for name in ATTEMPT_FIELDS if name in value},
        )
    except (TypeError, KeyError):
        return None


def load_runs(home: Path) -> Iterator[RunRecord]:
    """Every named run that can be read, by name."""
    for path in sorted((home / "runs").glob("*.json")):
        run = load_run(home, path.stem)
        if run is not None:
            yield run


def find_run(home: Path, text: str) -> RunRecord | None:
    """The record meant by a run's name, its flow run's name, or its id (or the id's start).

    Raises:
        MissingInputError: several are meant.
    """
    exact = load_run(home, text) if "/" not in text else None
    if exact is not None:
        return exact
    found = [
        record
        for record in load_runs(home)
        if record.flow_run_name == text or (len(text) >= 4 and record.flow_run_id.startswith(text))
    ]
    if len(found) > 1:
        names = ", ".join(record.name for record in found)
        raise MissingInputError(f"'{text}': several runs are meant: {names}: give the whole id")
    return found[0] if found else None
