"""From token blocks to a model, and how good it is."""

from __future__ import annotations

from typing import Any

from prefect import task

from headrace.artifacts import InputLink
from headrace.evaluation.generation import SAMPLES, SamplesConfig
from headrace.evaluation.perplexity import EVALUATION, EvaluationConfig
from headrace.training.config import PretrainingConfig
from headrace.training.pretraining import PRETRAINING
from tasks.stage import STAGE_TASK, run_stage


@task(**STAGE_TASK)
def model(blocks: InputLink, tokenizer: InputLink, config: PretrainingConfig) -> Any:
    """Pretrain a language model from scratch."""
    return run_stage(PRETRAINING, config, {"blocks": blocks, "tokenizer": tokenizer})


@task(**STAGE_TASK)
def evaluation(model: InputLink, blocks: InputLink, config: EvaluationConfig) -> Any:
    """Measure perplexity on the held-out splits, beside a unigram model's."""
    return run_stage(EVALUATION, config, {"model": model, "blocks": blocks})


@task(**STAGE_TASK)
def samples(model: InputLink, config: SamplesConfig) -> Any:
    """Generate text from prompts."""
    return run_stage(SAMPLES, config, {"model": model})
