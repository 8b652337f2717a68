"""A served model's answers."""

from __future__ import annotations

from typing import Any

from prefect import task

from headrace.artifacts import InputLink
from headrace.serving.answers import ANSWERS, AnswersConfig
from tasks.stage import STAGE_TASK, run_stage


@task(**STAGE_TASK)
def answers(
    repository: InputLink, model: InputLink, blocks: InputLink, config: AnswersConfig
) -> Any:
    """Ask a real Triton server and compare with the checkpoint's own greedy tokens."""
    inputs = {"repository": repository, "model": model, "blocks": blocks}
    return run_stage(ANSWERS, config, inputs)
