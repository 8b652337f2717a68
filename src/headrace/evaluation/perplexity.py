"""Stage "evaluation": held-out perplexity beside that of a unigram model of the same tokens.

Protocol: every block of the splits `valid` and `test` is scored once; in a block each token but
the first is predicted from those before it in the block. A split's loss is the mean over its
predicted tokens, the headline the mean over those of all splits. The unigram model knows only how
often each token occurs in the train split, with one added to every count; it is scored on exactly
the same target tokens. Perplexity is exp(loss in nats). Where the tokenizer works on bytes, bits
per byte are given too: they compare across vocabularies.

Cost: one forward pass over the held-out blocks and one counting pass over the train split.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage, files
from headrace.artifacts.measures import Inputs, Measure, one
from headrace.config import StageConfig
from headrace.encoding.batches import BlockReader
from headrace.errors import ConfigError, MissingInputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HELD_OUT = ("valid", "test")
COUNT_BLOCKS = 4096
SIGNIFICANT_DIGITS = 6

IntArray = npt.NDArray[np.int64]


class EvaluationConfig(StageConfig):
    """How a model is evaluated."""

    batch_size: int = Field(default=8, ge=1, description="blocks in one forward pass")
    num_threads: int = Field(
        default=2, ge=1, description="CPU threads; fixes the last bits of sums"
    )
    backend: Literal["cpu", "cuda"] = Field(default="cpu", description="device kind")


@dataclass(frozen=True)
class SplitLoss:
    """Summed losses over the predicted tokens of a split.

    Attributes:
        model: summed negative log-likelihood of the model, nats.
        unigram: the same of the unigram model, nats.
        num_tokens: predicted tokens.
        num_bytes: UTF-8 bytes of those tokens' text, 0 if unknown.
    """

    model: float
    unigram: float
    num_tokens: int
    num_bytes: int

    def __add__(self, other: SplitLoss) -> SplitLoss:
        return SplitLoss(
            self.model + other.model,
            self.unigram + other.unigram,
            self.num_tokens + other.num_tokens,
            self.num_bytes + other.num_bytes,
        )

    def report(self) -> dict[str, float | int]:
        """The figures that are written."""
        loss, unigram = self.model / self.num_tokens, self.unigram / self.num_tokens
        figures: dict[str, float | int] = {
            "num_tokens": self.num_tokens,
            "loss": rounded(loss),
            "perplexity": rounded(math.exp(loss)),
            "bits_per_token": rounded(loss / math.log(2)),
            "unigram_loss": rounded(unigram),
            "unigram_perplexity": rounded(math.exp(unigram)),
            "ratio": rounded(math.exp(loss - unigram)),
        }
        if self.num_bytes:
            figures["num_bytes"] = self.num_bytes
            figures["bits_per_byte"] = rounded(self.model / math.log(2) / self.num_bytes)
        return figures


def rounded(value: float) -> float:
    """`value` with six significant digits: what lies below differs between machines."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def open_held_out(blocks: Artifact) -> dict[str, BlockReader]:
    """The held-out splits that hold at least one block."""
    readers = {}
    for name in HELD_OUT:
        with contextlib.suppress(MissingInputError):  # a split of weight 0
            readers[name] = BlockReader(blocks, name)
    return {name: reader for name, reader in readers.items() if len(reader)}


def count_tokens(blocks: BlockReader, vocab_size: int) -> IntArray:
    """Occurrences of each token id in a split, int64 [vocab_size].

    Raises:
        ConfigError: an id is not below vocab_size.
    """
    counts = np.zeros(vocab_size, dtype=np.int64)
    for batch in _batches(blocks, COUNT_BLOCKS):
        found = np.bincount(batch.ravel(), minlength=vocab_size)
        if len(found) > vocab_size:
            raise ConfigError(
                f"token id {len(found) - 1} in the blocks, but the model knows {vocab_size}: the "
                "blocks were made with another tokenizer"
            )
        counts += found
    return counts


def unigram_log_probabilities(counts: IntArray) -> npt.NDArray[np.float64]:
    """Natural logarithm of each token's add-one smoothed share, float64 [vocab_size]."""
    shares = (counts + 1) / (counts.sum() + len(counts))
    return np.asarray(np.log(shares), dtype=np.float64)


def token_bytes(tokenizer_file: Path) -> IntArray | None:
    """Bytes of text behind each token id of a byte-level tokenizer, int64 [vocab_size].

    In such a vocabulary every byte is written as one character; special tokens stand for no text.
    Returns None where the tokenizer is not of that kind.
    """
    value = files.read_json(tokenizer_file)
    if not isinstance(value, dict) or (value.get("decoder") or {}).get("type") != "ByteLevel":
        return None
    vocabulary: dict[str, int] = dict(value["model"]["vocab"])
    added = {token["content"]: token for token in value.get("added_tokens", [])}
    vocabulary |= {content: token["id"] for content, token in added.items()}
    lengths = np.zeros(max(vocabulary.values()) + 1, dtype=np.int64)
    for content, token_id in vocabulary.items():
        if content not in added:
            lengths[token_id] = len(content)
        elif not added[content]["special"]:
            lengths[token_id] = len(content.encode())
    return lengths


def _batches(blocks: BlockReader, size: int) -> Iterator[IntArray]:
    for first in range(0, len(blocks), size):
        yield blocks.gather(np.arange(first, min(first + size, len(blocks))))


def model_loss(model: PreTrainedModel, batch: IntArray) -> float:
    """Summed negative log-likelihood of every token but the first of each block.

    Args:
        model: a causal language model in evaluation mode.
        batch: int64 [num_blocks, seq_len].

    Returns:
        Nats, summed in fp64.
    """
    import torch
    from torch.nn import functional

    blocks = torch.from_numpy(batch).to(model.device)
    with torch.no_grad():
        logits = model(input_ids=blocks[:, :-1], use_cache=False).logits.float()
        losses = functional.cross_entropy(
            logits.flatten(0, 1), blocks[:, 1:].flatten(), reduction="none"
        )
    return losses.double().sum().item()


def write_evaluation(
    *, model: Artifact, blocks: Artifact, config: EvaluationConfig, out: Build
) -> None:
    """Measure a model on every held-out block and write `evaluation.json`.

    Args:
        model: a Hugging Face model directory.
        blocks: token blocks with the split `train` and at least one block in `valid` or `test`.
        config: batch size, threads, device.
        out: the artifact under construction.

    Raises:
        ConfigError: no held-out block, or blocks of another vocabulary.
        CorruptInputError: the model cannot be opened.
    """
    from headrace.evaluation.inference import fixed_threads, open_model

    held_out = open_held_out(blocks)
    if not held_out:
        raise ConfigError(
            f"{blocks.path}: neither valid nor test holds a block: use more text, a larger share "
            "for them, or a smaller seq_len"
        )
    with fixed_threads(config.num_threads):
        opened = open_model(model.path, config.backend)
        counts = count_tokens(BlockReader(blocks, "train"), int(opened.config.vocab_size))
        scorer = _Scorer(opened, counts, token_bytes(model.path / "tokenizer.json"), config, out)
        losses = scorer.score(held_out)
    total = sum(losses.values(), SplitLoss(0.0, 0.0, 0, 0))
    report: dict[str, Any] = total.report()
    report["splits"] = {name: loss.report() for name, loss in losses.items()}
    out.publish("evaluation", lambda directory: _write(directory, report))


class _Scorer:
    def __init__(
        self,
        model: PreTrainedModel,
        counts: IntArray,
        num_bytes: IntArray | None,
        config: EvaluationConfig,
        out: Build,
    ) -> None:
        self._model = model
        self._unigram = unigram_log_probabilities(counts)
        self._bytes = num_bytes
        self._config = config
        self._out = out

    def score(self, splits: dict[str, BlockReader]) -> dict[str, SplitLoss]:
        """Summed losses of each split."""
        num_blocks = sum(len(reader) for reader in splits.values())
        done = 0
        losses = {}
        for name, reader in splits.items():
            total = SplitLoss(0.0, 0.0, 0, 0)
            for batch in _batches(reader, self._config.batch_size):
                total += self._score_batch(batch)
                done += len(batch)
                self._out.progress(done, num_blocks, "blocks", name)
            losses[name] = total
        return losses

    def _score_batch(self, batch: IntArray) -> SplitLoss:
        targets = batch[:, 1:]
        if int(targets.max()) >= len(self._unigram):
            raise ConfigError(
                f"token id {int(targets.max())} in the held-out blocks, but the model knows "
                f"{len(self._unigram)}: the blocks were made with another tokenizer"
            )
        return SplitLoss(
            model=model_loss(self._model, batch),
            unigram=-float(self._unigram[targets].sum()),
            num_tokens=targets.size,
            num_bytes=int(self._bytes[targets].sum()) if self._bytes is not None else 0,
        )


def _write(directory: Path, report: dict[str, Any]) -> ShardOutcome:
    text = json.dumps(report, sort_keys=True, indent=1)
    (directory / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    return ShardOutcome(rows=int(report["num_tokens"]))


def _held_out_tokens(inputs: Inputs) -> float:
    counts = inputs["blocks"].counts
    return sum(counts.get(f"num_tokens_{name}", 0.0) for name in HELD_OUT)


def _work(_config: EvaluationConfig, inputs: Inputs) -> float:
    return _held_out_tokens(inputs) * inputs["model"].num_bytes


def _known_counts(
    _config: EvaluationConfig, inputs: Inputs, _scaled: Mapping[str, float]
) -> dict[str, float]:
    seq_len = inputs["blocks"].counts["seq_len"]
    return {"rows": _held_out_tokens(inputs) * (seq_len - 1) / seq_len}


def _backend(config: EvaluationConfig) -> str:
    return config.backend


EVALUATION = Stage(
    name="evaluation",
    version=1,
    format="headrace.evaluation/1",
    packages=("torch", "transformers"),
    write=write_evaluation,
    measure=Measure(work=_work, volume=one, counts=_known_counts, kind=_backend, start_seconds=3.5),
)
