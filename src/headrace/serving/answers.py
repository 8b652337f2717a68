"""Stage "answers": what a real Triton server says, held against the checkpoint.

The server continues held-out prompts greedily over gRPC. Each token it gives must be the
checkpoint's most likely one after the prompt and the server's own tokens before it; where the two
best logits are closer than 1e-4 either counts. By induction that is equality with the checkpoint's
greedy search, at the cost of one forward pass a prompt. Nothing of the server's code takes part in
the comparison: the checkpoint runs in Hugging Face's model.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.artifacts.sources import data_directory
from headrace.config import StageConfig
from headrace.errors import ConfigError, ServingError
from headrace.export.directory import FtDirectory
from headrace.export.held_out import held_out_windows
from headrace.export.parity import find_export_folder
from headrace.export.reference import load_reference, reference_logits, round_weights
from headrace.export.triton_repository import KNOWN_ANSWER_NAME, MODELS_FOLDER, VERSION_FOLDER
from headrace.serving.installation import require_triton
from headrace.serving.server import TritonServer

logger = logging.getLogger(__name__)

TIE = 1e-4
DATA_NAME = "answers.json"
FIGURES_NAME = "answers_figures.json"
LOG_NAME = "triton.log"
NUM_PER_REQUEST = 20


class AnswersConfig(StageConfig):
    """What the server is asked."""

    num_prompts: int = Field(20, ge=1, description="prompts from held-out blocks")
    num_tokens: int = Field(64, ge=1, description="tokens asked for a prompt")
    prompt_tokens: int = Field(
        32, ge=1, description="tokens of a prompt; whole blocks where they are shorter"
    )


@dataclass
class Agreement:
    """How the server's tokens compare with the checkpoint's.

    Attributes:
        num_tokens: tokens compared.
        num_ties: of these, not the checkpoint's best, but within 1e-4 of it.
        max_gap: largest amount by which a given token's logit lies below the best.
    """

    num_tokens: int = 0
    num_ties: int = 0
    max_gap: float = 0.0


def write_answers(
    *, repository: Artifact, model: Artifact, blocks: Artifact, config: AnswersConfig, out: Build
) -> None:
    """Ask a real server and write `answers.json`.

    Args:
        repository: the Triton model repository.
        model: the HF directory that it was exported from; its tokenizer gives the texts.
        blocks: token blocks; prompts come from the splits valid and test.
        config: how many prompts and tokens.
        out: where to; the installation is looked for in its runtime's home.

    Raises:
        ServingError: no Triton is installed, it does not start, or an answer is wrong.
        ConfigError: prompt and answer are longer than the model's position table.
    """

    def write(directory: Path) -> ShardOutcome:
        folder = find_export_folder(repository.path / VERSION_FOLDER)
        exported = FtDirectory(folder)
        windows = held_out_windows(
            data_directory(blocks),
            splits=("valid", "test"),
            num_windows=config.num_prompts,
            length=config.prompt_tokens,
            shorten=True,
        )
        _check_length(exported, windows.shape[1] + config.num_tokens)
        prompts = windows.tolist()
        answers = _ask(repository, prompts, config.num_tokens, out)
        agreement = compare_with_checkpoint(
            data_directory(model), exported, prompts, answers, config.num_tokens
        )
        check_not_alike(prompts, answers)
        value = {
            "num_prompts": len(prompts),
            "num_tokens": agreement.num_tokens,
            # Ties count as equal; how many there were is in the report, since rounding decides it.
            "num_equal": agreement.num_tokens,
            "prompt_tokens": windows.shape[1],
            "answers": _with_texts(data_directory(model), prompts, answers),
        }
        content = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        (directory / DATA_NAME).write_text(content, encoding="utf-8")
        return ShardOutcome(rows=len(prompts), carry=vars(agreement))

    record = out.publish("answers", write)
    out.write_extra(FIGURES_NAME, (json.dumps(record.carry, indent=1) + "\n").encode())


def _check_length(exported: FtDirectory, num_tokens: int) -> None:
    if exported.section != "gpt":
        return
    limit = exported.size("max_pos_seq_len")
    if num_tokens > limit:
        raise ConfigError(
            f"prompt and answer have {num_tokens} tokens, the model has {limit} positions: lower "
            "answers.prompt_tokens or answers.num_tokens"
        )


def _ask(
    repository: Artifact, prompts: list[list[int]], num_tokens: int, out: Build
) -> list[list[int]]:
    """Start a server, prove it with the known answer, and ask for all prompts."""
    installation = require_triton(out.runtime.home)
    answers: list[list[int]] = []
    with TritonServer(
        installation, repository.path / MODELS_FOLDER, log_path=out.workdir / LOG_NAME
    ) as server:
        server.prove(repository.file(KNOWN_ANSWER_NAME))
        for start in range(0, len(prompts), NUM_PER_REQUEST):
            some = prompts[start : start + NUM_PER_REQUEST]
            answers += server.client.generate(some, num_tokens=num_tokens).tokens
            out.progress(len(answers), len(prompts), "prompts")
    return answers


def check_not_alike(prompts: list[list[int]], answers: list[list[int]]) -> None:
    """Make sure that answers depend on the prompt.

    Raises:
        ServingError: several different prompts all got the same answer.
    """
    different_prompts = {tuple(prompt) for prompt in prompts}
    different_answers = {tuple(answer) for answer in answers}
    if len(different_prompts) > 1 and len(different_answers) == 1:
        raise ServingError(
            f"Triton gave the same {len(answers[0])} tokens for {len(different_prompts)} different "
            "prompts: the model knows nothing of its prompt, or the server does not hand it over"
        )


def compare_with_checkpoint(
    hf_dir: Path,
    exported: FtDirectory,
    prompts: list[list[int]],
    answers: list[list[int]],
    num_tokens: int,
) -> Agreement:
    """Hold answers against the checkpoint, rounded to the export's type.

    Args:
        hf_dir: the checkpoint.
        exported: what is served.
        prompts: token ids.
        answers: the server's tokens for each; fewer than `num_tokens` only after the end token.
        num_tokens: tokens asked for.

    Raises:
        ServingError: names the first token that is wrong.
    """
    model = load_reference(hf_dir)
    round_weights(model, exported.text("weight_data_type", "fp32"), exported.num_ranks)
    end_id = exported.size("end_id")
    agreement = Agreement()
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        if end_id in answer[:-1] or (len(answer) < num_tokens and answer[-1:] != [end_id]):
            raise ServingError(
                f"prompt {number}: {num_tokens} tokens, or fewer that end in {end_id}, were "
                f"expected; Triton gave {len(answer)}: {answer[:16]}"
            )
        ids = np.array(prompt + answer, dtype=np.int64)
        # Position t scores the token at t + 1, so the last token's own scores are not needed.
        logits = reference_logits(model, ids[:-1])[len(prompt) - 1 :]
        given = logits[np.arange(len(answer)), answer]
        gaps = logits.max(axis=-1) - given
        wrong = np.flatnonzero(~(gaps <= TIE))
        if len(wrong):
            at = int(wrong[0])
            raise ServingError(
                f"prompt {number}, token {at}: the checkpoint's greedy token "
                f"{int(logits[at].argmax())} was expected, Triton gave {answer[at]} (its logit is "
                f"{gaps[at]:.3g} lower): the server does not compute what was exported"
            )
        agreement.num_tokens += len(answer)
        agreement.num_ties += int((logits.argmax(axis=-1) != np.array(answer)).sum())
        agreement.max_gap = max(agreement.max_gap, float(gaps.max()))
    logger.info("%d tokens of Triton equal the checkpoint's", agreement.num_tokens)
    return agreement


def _with_texts(
    hf_dir: Path, prompts: list[list[int]], answers: list[list[int]]
) -> list[dict[str, Any]]:
    """Prompts and answers as ids and, where the model comes with a tokenizer, as text."""
    values: list[dict[str, Any]] = [
        {"prompt": prompt, "tokens": answer}
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    path = hf_dir / "tokenizer.json"
    if path.is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        for value in values:
            value["prompt_text"] = tokenizer.decode(value["prompt"], skip_special_tokens=False)
            value["text"] = tokenizer.decode(value["tokens"], skip_special_tokens=False)
    return values


# A pass over a single token costs a small model what the weights' bytes do not explain.
_TOKEN_OVERHEAD_BYTES = 20_000_000


def _num_tokens(config: AnswersConfig, _inputs: Inputs) -> float:
    return config.num_prompts * (config.prompt_tokens + config.num_tokens)


def _work(config: AnswersConfig, inputs: Inputs) -> float:
    num_asked = config.num_prompts * config.num_tokens
    return num_asked * (inputs["model"].num_bytes + _TOKEN_OVERHEAD_BYTES)


def _known_counts(
    config: AnswersConfig, _inputs: Inputs, _scaled: Mapping[str, float]
) -> dict[str, float]:
    return {"rows": config.num_prompts}


ANSWERS = Stage(
    name="answers",
    version=1,
    format="headrace.answers/1",
    packages=("torch", "transformers"),
    write=write_answers,
    measure=Measure(work=_work, volume=_num_tokens, counts=_known_counts, start_seconds=5.0),
)
