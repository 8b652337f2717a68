"""What the training worker is told and what it tells: a job file in, event lines out.

The launcher between the two turns every exit code but 0 into 1, so how a run ended is told by its
last event, not by its code.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.artifacts import files
from headrace.training.config import PretrainingConfig

EVENT_PREFIX = "headrace-training "

EXIT_STOPPED = 75
"""The worker was asked to stop and saved a checkpoint (EX_TEMPFAIL)."""
EXIT_FAILED = 70
"""Training cannot go on; the event `failed` says why (EX_SOFTWARE)."""

Event = dict[str, Any]
"""`event` is one of started, progress, evaluated, saved, finished, stopped, failed."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One training run, as its worker process needs to know it.

    Attributes:
        config: all settings.
        blocks: artifact of the token blocks, splits `train` and `valid`.
        tokenizer: directory of the tokenizer.
        workdir: checkpoints, log and the final model are written below it.
        identity: of config and inputs together; checkpoints of another are refused.
    """

    config: PretrainingConfig
    blocks: Path
    tokenizer: Path
    workdir: Path
    identity: str

    @property
    def checkpoints(self) -> Path:
        """Directory of the checkpoints."""
        return self.workdir / "checkpoints"

    @property
    def log(self) -> Path:
        """The training log, one JSON object a line."""
        return self.workdir / "training_log.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Directory of TensorBoard event files."""
        return self.workdir / "tensorboard"

    @property
    def final_model(self) -> Path:
        """Where the trained model is put, in Hugging Face's layout."""
        return self.workdir / "final"

    def write(self, path: Path) -> None:
        """Write the job file."""
        value = {
            "config": self.config.model_dump(mode="json"),
            "blocks": str(self.blocks),
            "tokenizer": str(self.tokenizer),
            "workdir": str(self.workdir),
            "identity": self.identity,
        }
        files.write_json(path, value)

    @classmethod
    def read(cls, path: Path) -> TrainingJob:
        """Read a job file."""
        value = json.loads(path.read_bytes())
        return cls(
            config=PretrainingConfig.model_validate(value["config"]),
            blocks=Path(value["blocks"]),
            tokenizer=Path(value["tokenizer"]),
            workdir=Path(value["workdir"]),
            identity=value["identity"],
        )


def encode_event(event: Event) -> str:
    """An event as one line of output."""
    return EVENT_PREFIX + json.dumps(event, sort_keys=True)


def decode_event(line: str) -> Event | None:
    """The event in a line of output, None where the line is ordinary output."""
    if not line.startswith(EVENT_PREFIX):
        return None
    try:
        event = json.loads(line[len(EVENT_PREFIX) :])
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
