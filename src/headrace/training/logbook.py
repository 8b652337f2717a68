"""The training log and TensorBoard, both consistent with the checkpoint a run resumes from.

`training_log.jsonl` has a line for each optimiser step, {"step", "loss", "learning_rate",
"grad_norm", "tokens_per_second"}, and one for each evaluation, {"step", "valid_loss",
"valid_perplexity"}. Losses are natural logarithms per token. A resumed run first cuts off what
lies behind its checkpoint; TensorBoard is told to forget it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from headrace.artifacts import files

TAGS = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/grad_norm",
    "tokens_per_second": "train/tokens_per_second",
    "valid_loss": "valid/loss",
    "valid_perplexity": "valid/perplexity",
}


def read_log(path: Path) -> list[dict[str, Any]]:
    """The records of a training log; what is not a whole line of JSON is left out."""
    records = []
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and isinstance(record.get("step"), int):
                records.append(record)
    return records


def cut_log(path: Path, step: int) -> list[dict[str, Any]]:
    """Keep only records up to and including `step`; returns them."""
    records = [record for record in read_log(path) if record["step"] <= step]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    files.write_atomic(path, lines.encode())
    return records


class Logbook:
    """Writes both logs from `step` on. Use as a context manager."""

    def __init__(self, log: Path, tensorboard: Path, *, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        kept = cut_log(log, step)
        self.evaluated_steps = {record["step"] for record in kept if "valid_loss" in record}
        # A line at a time: the log is looked at while training goes on.
        self._file = log.open("a", buffering=1, encoding="utf-8")
        self._board = SummaryWriter(
            str(tensorboard), purge_step=step + 1 if step else None, flush_secs=30
        )

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add one record."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        if "valid_loss" in values:
            self.evaluated_steps.add(step)
        for name, value in values.items():
            self._board.add_scalar(TAGS[name], value, step)

    def flush(self) -> None:
        """Hand everything to the operating system; called before each checkpoint."""
        self._file.flush()
        self._board.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._board.close()
