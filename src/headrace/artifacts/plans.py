"""What a run would do, step by step: the outcome of planning, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Action(Enum):
    """What a run would do for a step."""

    HIT = "HIT"
    RUN = "RUN"
    HEAL = "HEAL"


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step of a plan.

    Attributes:
        step: its name in the run.
        stage: which stage serves it.
        action: hit, run or heal.
        reason: why it is no hit, in words; "" for a hit.
        changes: what differs from the nearest earlier run of the stage, part by part of the key.
        waits_for: steps that run first and whose bytes are not known yet: should they give the
            bytes that they gave before, this step is a hit after all.
        damaged: files that would be made good.
        key: its key; "" where it depends on bytes that are not known yet.
        digest: content that it has or is promised to have; "" where that is not known yet.
        rows: of its output; None where nothing tells. Estimated unless it is a hit.
        num_bytes: the same of its data files.
        seconds: wall time; 0 for a hit, None where nothing tells.
        write_bytes: disk that its output takes beyond what is there.
        scratch_bytes: disk that it needs beside that while it runs.
        basis: what time and sizes rest on, in words.
    """

    step: str
    stage: str
    action: Action
    reason: str = ""
    changes: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    key: str = ""
    digest: str = ""
    rows: int | None = None
    num_bytes: int | None = None
    seconds: float | None = 0.0
    write_bytes: int = 0
    scratch_bytes: int = 0
    basis: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        seconds = None if self.seconds is None else round(self.seconds, 3)
        return {**asdict(self), "action": self.action.value, "seconds": seconds}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run of a pipeline would do.

    Attributes:
        pipeline: its name.
        steps: in the order of the flow.
        free_bytes: free space of the home's volume.
        machine: where reference times were measured; "" where none was used.
    """

    pipeline: str
    steps: Sequence[PlannedStep]
    free_bytes: int
    machine: str = ""

    def num(self, action: Action) -> int:
        """Number of steps with this action."""
        return sum(step.action is action for step in self.steps)

    @property
    def seconds(self) -> float:
        """Wall time of all steps whose time is known; Prefect's own start comes on top."""
        return sum(step.seconds or 0.0 for step in self.steps)

    @property
    def untimed(self) -> list[str]:
        """Steps whose time nothing tells."""
        return [step.step for step in self.steps if step.seconds is None]

    @property
    def needed_bytes(self) -> int:
        """Disk that must be free: what is written, and the largest scratch directory."""
        scratch = max((step.scratch_bytes for step in self.steps), default=0)
        return sum(step.write_bytes for step in self.steps) + scratch

    @property
    def fits(self) -> bool:
        """Whether the volume has room for it."""
        return self.needed_bytes <= self.free_bytes

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`; docs/formats.md describes them."""
        return {
            "pipeline": self.pipeline,
            "steps": [step.to_json() for step in self.steps],
            "hits": self.num(Action.HIT),
            "runs": self.num(Action.RUN),
            "heals": self.num(Action.HEAL),
            "seconds": round(self.seconds, 1),
            "untimed": self.untimed,
            "needed_bytes": self.needed_bytes,
            "free_bytes": self.free_bytes,
            "fits": self.fits,
            "reference_machine": self.machine,
        }
