"""From token blocks to a model, and how good it is."""

from __future__ import annotations

from typing import Any

from headrace.artifacts import InputLink
from headrace.evaluation.generation import SAMPLES, SamplesConfig
from headrace.evaluation.perplexity import EVALUATION, EvaluationConfig
from headrace.training.config import PretrainingConfig
from headrace.training.pretraining import PRETRAINING
from tasks.planning import stage_task
from tasks.stage import run_stage


@stage_task
def model(blocks: InputLink, tokenizer: InputLink, config: PretrainingConfig) -> Any:
    """Pretrain a language model from scratch."""
    return run_stage(PRETRAINING, config, {"blocks": blocks, "tokenizer": tokenizer})


@stage_task
def evaluation(model: InputLink, blocks: InputLink, config: EvaluationConfig) -> Any:
    """Measure perplexity on the held-out splits, beside a unigram model's."""
    return run_stage(EVALUATION, config, {"model": model, "blocks": blocks})


@stage_task
def samples(model: InputLink, config: SamplesConfig) -> Any:
    """Generate text from prompts."""
    return run_stage(SAMPLES, config, {"model": model})
