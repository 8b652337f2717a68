"""A served model's answers."""

from __future__ import annotations

from typing import Any

from headrace.artifacts import InputLink
from headrace.serving.answers import ANSWERS, AnswersConfig
from tasks.planning import stage_task
from tasks.stage import run_stage


@stage_task
def answers(
    repository: InputLink, model: InputLink, blocks: InputLink, config: AnswersConfig
) -> Any:
    """Ask a real Triton server and compare with the checkpoint's own greedy tokens."""
    inputs = {"repository": repository, "model": model, "blocks": blocks}
    return run_stage(ANSWERS, config, inputs)
