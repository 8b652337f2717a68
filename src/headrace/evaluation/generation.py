"""Stage "samples": what the model writes after a few prompts, greedily and by sampling.

Greedy: the likeliest token each time. Sampled: logits / temperature, cut to the top_k likeliest and
then to the smallest set with probability top_p, one draw from what is left. A prompt's draws follow
from the seed and the prompt, so adding a prompt changes none of the others. A text ends at the
end-of-text token, after max_new_tokens, or when the context is full.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.config import StageConfig
from headrace.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROMPTS = ("hangzhou is a beautiful city", "The history of", "In mathematics,")


class SamplesConfig(StageConfig):
    """Prompts and the way of drawing."""

    prompts: tuple[str, ...] = Field(
        default=PROMPTS,
        min_length=1,
        description="texts to go on with (the first is the article's)",
    )
    max_new_tokens: int = Field(default=64, ge=1, description="tokens written at most")
    temperature: float = Field(
        default=0.8, gt=0.0, description="divides the logits (common for samples)"
    )
    top_k: int = Field(
        default=40, ge=0, description="likeliest tokens drawn from; 0: all (GPT-2 paper)"
    )
    top_p: float = Field(default=1.0, gt=0.0, le=1.0, description="probability drawn from; 1: all")
    seed: int = Field(default=1234, ge=0, lt=2**32, description="of all draws (Megatron-LM)")
    num_threads: int = Field(
        default=2, ge=1, description="CPU threads; near ties depend on the last bits"
    )


def prompt_seed(seed: int, prompt: str) -> int:
    """A prompt's own seed in [0, 2**63): prompts would else be continued by the same draws."""
    digest = hashlib.sha256(f"{seed}:{prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generate_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    config: SamplesConfig,
) -> dict[str, str]:
    """Go on with one prompt.

    Returns:
        {"prompt", "greedy", "sampled"}: both continuations without the prompt and without special
        tokens.

    Raises:
        ConfigError: the prompt fills the model's whole context.
    """
    import torch

    ids: list[int] = tokenizer.encode(prompt, add_special_tokens=False)
    ids = ids or [model.config.bos_token_id]
    room = int(model.config.max_position_embeddings) - len(ids)
    if room < 1:
        raise ConfigError(
            f"prompt {prompt[:40]!r} has {len(ids)} tokens; the model's context of "
            f"{model.config.max_position_embeddings} leaves no room: shorten it"
        )
    length = min(room, config.max_new_tokens)
    drawing = {
        "do_sample": True,
        "temperature": config.temperature,
        "top_k": config.top_k,
        "top_p": config.top_p,
    }
    texts = {"prompt": prompt}
    for name, how in (("greedy", {"do_sample": False}), ("sampled", drawing)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(prompt_seed(config.seed, prompt))
            texts[name] = _continue(model, tokenizer, ids, length, how)
    return texts


def _continue(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    ids: list[int],
    length: int,
    how: dict[str, Any],
) -> str:
    import torch
    from transformers import GenerationConfig

    end = model.config.eos_token_id
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=length, eos_token_id=end, pad_token_id=end, use_cache=True, **how
    )
    inputs = torch.tensor([ids])
    with torch.no_grad():
        out: Any = model.generate(  # type: ignore[operator]
            input_ids=inputs,
            attention_mask=torch.ones_like(inputs),
            generation_config=settings,
        )
    text: Any = tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True)
    return str(text)


def write_samples(*, model: Artifact, config: SamplesConfig, out: Build) -> None:
    """Write `samples.json`: a list of {"prompt", "greedy", "sampled"}, in the prompts' order.

    Args:
        model: a Hugging Face directory with model and tokenizer.
        config: prompts and how to draw.
        out: the artifact under construction.

    Raises:
        ConfigError: a prompt fills the model's whole context.
        CorruptInputError: the model cannot be opened.
    """
    from transformers import AutoTokenizer

    from headrace.evaluation.inference import fixed_threads, open_model

    samples = []
    with fixed_threads(config.num_threads):
        opened = open_model(model.path, "cpu")
        tokenizer: Any = AutoTokenizer.from_pretrained(model.path, local_files_only=True)
        for number, prompt in enumerate(config.prompts, 1):
            samples.append(generate_texts(opened, tokenizer, prompt, config))
            out.progress(number, len(config.prompts), "prompts")
    out.publish("samples", lambda directory: _write(directory, samples))


def _write(directory: Path, samples: list[dict[str, str]]) -> ShardOutcome:
    text = json.dumps(samples, sort_keys=True, indent=1, ensure_ascii=False)
    (directory / "samples.json").write_text(text + "\n", encoding="utf-8")
    return ShardOutcome(rows=len(samples))


# A pass over a single token costs a small model what the weights' bytes do not explain.
_TOKEN_OVERHEAD_BYTES = 20_000_000


def _num_tokens(config: SamplesConfig, _inputs: Inputs) -> float:
    return 2.0 * len(config.prompts) * config.max_new_tokens


def _work(config: SamplesConfig, inputs: Inputs) -> float:
    return _num_tokens(config, inputs) * (inputs["model"].num_bytes + _TOKEN_OVERHEAD_BYTES)


def _known_counts(
    config: SamplesConfig, _inputs: Inputs, _scaled: Mapping[str, float]
) -> dict[str, float]:
    return {"rows": len(config.prompts)}


SAMPLES = Stage(
    name="samples",
    version=1,
    format="headrace.samples/1",
    packages=("torch", "transformers", "tokenizers"),
    write=write_samples,
    measure=Measure(work=_work, volume=_num_tokens, counts=_known_counts),
)
