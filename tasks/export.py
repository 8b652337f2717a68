"""From a model to verified FasterTransformer files and a Triton repository."""

from __future__ import annotations

from typing import Any

from headrace.artifacts import InputLink
from headrace.export.fastertransformer import FT_EXPORT, FtExportConfig
from headrace.export.parity import PARITY, ParityConfig
from headrace.export.triton_repository import TRITON_REPOSITORY, TritonRepositoryConfig
from tasks.planning import stage_task
from tasks.stage import run_stage


@stage_task
def ft_export(model: InputLink, config: FtExportConfig) -> Any:
    """Write the FasterTransformer directory of a model."""
    return run_stage(FT_EXPORT, config, {"model": model})


@stage_task
def parity(model: InputLink, ft_export: InputLink, blocks: InputLink, config: ParityConfig) -> Any:
    """Prove the export: logits from its files alone against the model's."""
    inputs = {"model": model, "ft_export": ft_export, "blocks": blocks}
    return run_stage(PARITY, config, inputs)


@stage_task
def triton_repository(
    ft_export: InputLink, parity: InputLink, config: TritonRepositoryConfig
) -> Any:
    """Lay a proved export out as a Triton model repository."""
    return run_stage(TRITON_REPOSITORY, config, {"ft_export": ft_export, "parity": parity})
