"""The figures that tell how good an artifact is: perplexity, parity, answers, samples.

Read from what the artifact holds, whatever its step is called, so that a terminal and the UI show
the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.artifacts import Artifact
from headrace.artifacts.files import read_json

EVALUATION, PARITY, ANSWERS, SAMPLES = (
    "evaluation.json", "parity.json", "answers.json", "samples.json",
)  # fmt: skip
TRITON = "Triton"
SHOWN_TOKENS = 12
SHOWN_CHARACTERS = 120


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A result worth telling, as text.

    Attributes:
        label: what it is.
        value: the figure itself.
        note: what it is to be compared with.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Text that a model wrote: to be treated like any input from outside."""

    prompt: str
    sampled: str
    greedy: str


def read_figures(artifact: Artifact) -> list[Figure]:
    """An artifact's figures, the one that sums it up first; [] where it holds none."""
    readers = {EVALUATION: _evaluation, PARITY: _parity, ANSWERS: _answers}
    for name, read in readers.items():
        value = _document(artifact, name)
        if value:
            return list(read(value))
    return []


def read_samples(artifact: Artifact) -> list[Sample]:
    """The texts that an artifact holds; [] where it holds none."""
    found = _document(artifact, SAMPLES) or []
    return [Sample(**{key: item[key] for key in Sample.__annotations__}) for item in found]


def _document(artifact: Artifact, name: str) -> Any:
    if all(entry.name != name for entry in artifact.manifest.files):
        return None
    return read_json(artifact.path / name)


def _evaluation(value: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure(
        label="held-out perplexity",
        value=f"{value['perplexity']:.2f}",
        note=f"unigram model of the same tokens {value['unigram_perplexity']:.2f}, "
        f"ratio {value['ratio']:.3f}",
    )
    for name, split in value["splits"].items():
        yield Figure(
            label=f"perplexity, {name}",
            value=f"{split['perplexity']:.2f}",
            note=f"unigram {split['unigram_perplexity']:.2f}, ratio {split['ratio']:.3f}, "
            f"{split['num_tokens']:,} tokens",
        )
    yield Figure(
        label="bits per byte",
        value=f"{value['bits_per_byte']:.4f}",
        note=f"{value['num_bytes']:,} bytes of text, {value['num_tokens']:,} tokens",
    )


def _parity(value: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure(
        label="parity",
        value=f"max logit error {value['max_error']:.3g}",
        note=f"allowed {value['tolerance']:.3g}, drift from fp32 {value['drift_fp32']:.3g}",
    )
    yield Figure(
        label="greedy tokens differing",
        value=f"{value['greedy_tokens_differing']:,}",
        note=f"of {value['num_positions']:,} positions",
    )
    yield Figure(
        label="weights",
        value=str(value["weight_data_type"]),
        note=f"split over {value['tensor_para_size']} GPU"
        f"{'' if value['tensor_para_size'] == 1 else 's'}",
    )


def _answers(value: Mapping[str, Any]) -> Iterator[Figure]:
    tokens = " ".join(str(token) for token in value["answers"][0]["tokens"][:SHOWN_TOKENS])
    yield Figure(
        label=TRITON,
        value=f"{value['num_equal']:,} of {value['num_tokens']:,} greedy tokens",
        note=f"over {value['num_prompts']} prompts equal the checkpoint's; the first: {tokens} ...",
    )
    first = value["answers"][0]
    yield Figure(
        label="first answer",
        value=str(first.get("prompt_text", ""))[:SHOWN_CHARACTERS],
        note=str(first.get("text", ""))[:SHOWN_CHARACTERS],
    )
