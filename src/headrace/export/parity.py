"""Stage "parity": an export is not done until it is proved.

The interpreter computes logits from the exported files alone; the source model computes them in
torch, with its weights rounded to the export's type. The gate holds when

    max |difference| <= 1e-4 * max(1, max |logit|)      over every prompt, position and token, and
    the most likely token is the same wherever the two best logits differ by ten times that.

Prompts are held-out blocks and random ids. Cost: three forward passes over them (four for fp16)
and the source model in memory in float32; the exported side is streamed a tensor at a time.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage
from headrace.artifacts.measures import Inputs, Measure, one
from headrace.artifacts.sources import data_directory
from headrace.config import StageConfig
from headrace.errors import MissingInputError, ParityError
from headrace.export.held_out import Ids, held_out_windows, random_windows
from headrace.export.interpreter import Floats, FtInterpreter
from headrace.export.reference import load_reference, reference_logits, round_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

RELATIVE_TOLERANCE = 1e-4
# Two logits closer than this many tolerances may come out in either order.
DECIDED_TOLERANCES = 10.0
ROWS_PER_PASS = 16
NUM_TORCH_THREADS = 2
DATA_NAME = "parity.json"
FIGURES_NAME = "parity_figures.json"


class ParityConfig(StageConfig):
    """How an export is proved."""

    num_prompts: int = Field(8, ge=1, description="rows of held-out token ids")
    num_random_prompts: int = Field(2, ge=0, description="rows of random token ids, besides")
    seq_len: int = Field(
        64, ge=2, description="tokens a row; cut to the blocks' and the model's own length"
    )
    seed: int = Field(0, ge=0, description="of the random rows")


@dataclass(frozen=True, kw_only=True)
class ParityFigures:
    """What the gate measured.

    Attributes:
        max_error: largest |interpreter - source model|, logits.
        max_abs_logit: largest |logit| of the source model.
        tolerance: largest error allowed.
        num_positions: rows times tokens.
        num_decided: positions whose two best logits are far enough apart to be compared.
        num_equal: of these, positions with the same most likely token.
        drift_fp32: largest |interpreter - source model before rounding|.
        drift_runtime: the same for NVIDIA's runtime (tanh GELU, its own epsilon).
    """

    max_error: float
    max_abs_logit: float
    tolerance: float
    num_positions: int
    num_decided: int
    num_equal: int
    drift_fp32: float
    drift_runtime: float

    def problem(self) -> str:
        """Why the gate does not hold, in words; "" if it does."""
        if not math.isfinite(self.max_abs_logit):
            return "the source model's logits are not finite: its weights are damaged"
        # Written so that a NaN fails.
        if not self.max_error <= self.tolerance:
            return f"logits differ by {self.max_error:.3g}, at most {self.tolerance:.3g} is allowed"
        if self.num_equal != self.num_decided:
            return (
                f"the most likely token differs at {self.num_decided - self.num_equal} of "
                f"{self.num_decided} positions where it is clear"
            )
        return ""


def write_parity(
    *,
    model: Artifact,
    ft_export: Artifact,
    config: ParityConfig,
    out: Build,
    blocks: Artifact | None = None,
) -> None:
    """Prove an export; write `parity.json`, with full figures beside it as a report.

    Args:
        model: HF directory that was exported.
        ft_export: the export.
        config: how many prompts.
        out: where to.
        blocks: token blocks whose held-out splits give the prompts; random ids if None.

    Raises:
        ParityError: the gate does not hold, or a file is not what config.ini asks for.
    """
    folder = find_export_folder(data_directory(ft_export))

    def write(directory: Path) -> ShardOutcome:
        interpreter = FtInterpreter(folder)
        blocks_dir = data_directory(blocks) if blocks is not None else None
        ids = choose_prompts(interpreter, config, blocks_dir)
        figures = measure_parity(data_directory(model), interpreter, ids)
        problem = figures.problem()
        if problem:
            raise ParityError(
                f"{folder}: the export does not say what its source model says: {problem}; nothing "
                "may be served from it"
            )
        logger.info("max logit error %.3g of %.3g allowed", figures.max_error, figures.tolerance)
        content = json.dumps(_summary(figures, interpreter), indent=1, sort_keys=True) + "\n"
        (directory / DATA_NAME).write_text(content, encoding="utf-8")
        return ShardOutcome(rows=len(ids), carry=vars(figures))

    record = out.publish("parity", write)
    out.write_extra(FIGURES_NAME, (json.dumps(record.carry, indent=1) + "\n").encode())


def find_export_folder(directory: Path) -> Path:
    """The one `<n>-gpu` folder of an export, given it or the directory around it.

    Raises:
        MissingInputError: there is none, or more than one.
    """
    if directory.name.endswith("-gpu") and (directory / "config.ini").is_file():
        return directory
    found = sorted(path.parent for path in directory.glob("*-gpu/config.ini"))
    if len(found) != 1:
        raise MissingInputError(
            f"{directory}: one folder <n>-gpu with a config.ini was expected, found {len(found)}"
        )
    return found[0]


def choose_prompts(
    interpreter: FtInterpreter, config: ParityConfig, blocks_dir: Path | None
) -> list[Ids]:
    """Rows of token ids [T], held-out ones first."""
    length = config.seq_len
    if interpreter.files.section == "gpt":
        length = min(length, interpreter.files.size("max_pos_seq_len"))
    rows: list[Ids] = []
    num_random = config.num_random_prompts
    if blocks_dir is None:
        num_random += config.num_prompts
    else:
        windows = held_out_windows(
            blocks_dir,
            splits=("valid", "test"),
            num_windows=config.num_prompts,
            length=length,
            shorten=True,
        )
        rows.extend(windows)
    rows.extend(
        random_windows(
            num_windows=num_random,
            length=length,
            vocab_size=interpreter.vocab_size,
            seed=config.seed,
        )
    )
    return rows


def measure_parity(hf_dir: Path, interpreter: FtInterpreter, ids: list[Ids]) -> ParityFigures:
    """Compare the interpreter with the source model on rows of token ids [T].

    Raises:
        ParityError: the two have vocabularies of different sizes.
    """
    runtime = FtInterpreter(interpreter.files.path, "ft")
    hidden, runtime_hidden = _hidden_states(interpreter, ids), _hidden_states(runtime, ids)
    table = interpreter.output_matrix()
    with _fixed_torch_threads():
        model = load_reference(hf_dir)
        dtype = interpreter.files.text("weight_data_type", "fp32")
        drift_fp32 = drift_runtime = 0.0
        comparison = _Comparison()
        for row, ours, theirs in zip(ids, hidden, runtime_hidden, strict=True):
            source, scores = (
                _source_logits(model, row, interpreter),
                interpreter.project(ours, table),
            )
            drift_fp32 = _worst(drift_fp32, scores, source)
            drift_runtime = _worst(drift_runtime, runtime.project(theirs, table), source)
            if dtype == "fp32":  # nothing is rounded, so this is the comparison already
                comparison.add(scores, source)
        if dtype != "fp32":
            round_weights(model, dtype, interpreter.files.num_ranks)
            for row, ours in zip(ids, hidden, strict=True):
                source = _source_logits(model, row, interpreter)
                comparison.add(interpreter.project(ours, table), source)
    return comparison.figures(drift_fp32, drift_runtime)


def _hidden_states(interpreter: FtInterpreter, ids: list[Ids]) -> list[Floats]:
    """Last hidden states [T, E] of each row; rows of one length share a pass over the weights."""
    hidden: dict[int, Floats] = {}
    for length in {len(row) for row in ids}:
        numbers = [number for number, row in enumerate(ids) if len(row) == length]
        for start in range(0, len(numbers), ROWS_PER_PASS):
            some = numbers[start : start + ROWS_PER_PASS]
            states = interpreter.final_hidden(np.stack([ids[number] for number in some]))
            hidden.update(zip(some, states, strict=True))
    return [hidden[number] for number in range(len(ids))]


def _source_logits(model: PreTrainedModel, row: Ids, interpreter: FtInterpreter) -> Floats:
    logits = reference_logits(model, row)
    if logits.shape[-1] != interpreter.vocab_size:
        raise ParityError(
            f"{interpreter.files.path}: a vocabulary of {logits.shape[-1]} was expected, "
            f"config.ini says {interpreter.vocab_size}: the export is of another model"
        )
    return logits


def _worst(before: float, ours: Floats, source: Floats) -> float:
    return float(np.maximum(before, np.max(np.abs(ours - source))))


class _Comparison:
    """Gathers errors first, since the tolerance depends on the largest logit of all."""

    def __init__(self) -> None:
        self._max_error = 0.0
        self._max_abs_logit = 0.0
        self._gaps: list[Floats] = []
        self._equal: list[Any] = []

    def add(self, ours: Floats, source: Floats) -> None:
        """Take the logits of one row: both [T, V]."""
        self._max_error = _worst(self._max_error, ours, source)
        self._max_abs_logit = _worst(self._max_abs_logit, np.zeros_like(source), source)
        best = np.partition(source, -2, axis=-1)[:, -2:]
        self._gaps.append(best[:, 1] - best[:, 0])
        self._equal.append(ours.argmax(axis=-1) == source.argmax(axis=-1))

    def figures(self, drift_fp32: float, drift_runtime: float) -> ParityFigures:
        tolerance = RELATIVE_TOLERANCE * max(1.0, self._max_abs_logit)
        decided = np.concatenate(self._gaps) > DECIDED_TOLERANCES * tolerance
        equal = np.concatenate(self._equal)
        return ParityFigures(
            max_error=self._max_error,
            max_abs_logit=self._max_abs_logit,
            tolerance=tolerance,
            num_positions=int(decided.size),
            num_decided=int(decided.sum()),
            num_equal=int((decided & equal).sum()),
            drift_fp32=drift_fp32,
            drift_runtime=drift_runtime,
        )


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... (any power of ten) at or above `value`; 0 stays 0.

    The last digits of an error depend on how many threads summed; an upper bound hardly does.
    """
    if value <= 0.0 or not math.isfinite(value):
        return value
    power = math.floor(math.log10(value))
    for step in (1, 2, 5, 10):
        bound = float(f"{step}e{power}")
        if value <= bound:
            return bound
    return float(f"1e{power + 1}")


def _summary(figures: ParityFigures, interpreter: FtInterpreter) -> dict[str, Any]:
    return {
        "passed": True,
        "max_error": round_up(figures.max_error),
        "tolerance": float(f"{figures.tolerance:.3g}"),
        "drift_fp32": round_up(figures.drift_fp32),
        "drift_runtime": round_up(figures.drift_runtime),
        "num_positions": figures.num_positions,
        "greedy_tokens_differing": figures.num_decided - figures.num_equal,
        "weight_data_type": interpreter.files.text("weight_data_type", "fp32"),
        "tensor_para_size": interpreter.files.num_ranks,
    }


@contextmanager
def _fixed_torch_threads() -> Iterator[None]:
    """Sum in an order that does not depend on the machine's cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(NUM_TORCH_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _num_rows(config: ParityConfig) -> int:
    return config.num_prompts + config.num_random_prompts


def _work(config: ParityConfig, inputs: Inputs) -> float:
    return _num_rows(config) * config.seq_len * inputs["model"].num_bytes


def _known_counts(
    config: ParityConfig, _inputs: Inputs, _scaled: Mapping[str, float]
) -> dict[str, float]:
    return {"rows": _num_rows(config)}


PARITY = Stage(
    name="parity",
    version=1,
    format="headrace.parity/1",
    packages=("torch", "transformers"),
    write=write_parity,
    measure=Measure(work=_work, volume=one, counts=_known_counts, start_seconds=0.1),
)
