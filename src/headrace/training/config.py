"""Settings of pretraining from scratch.

Defaults are those of the article this pipeline follows (GPT-2 124M on Wikipedia with Megatron-LM)
where it gives one, else Megatron-LM's; each field names its source.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from headrace.config import StageConfig
from headrace.models.presets import ModelConfig

ScheduleName = Literal["cosine", "linear", "constant", "megatron-cosine", "megatron-linear"]


class PretrainingConfig(StageConfig):
    """How a model is trained from scratch on token blocks.

    Everything here may change the trained bits, so all of it is identity: also the number of
    threads, the device and the number type.
    """

    model: ModelConfig = Field(default_factory=lambda: ModelConfig(), description="what is trained")
    num_steps: int = Field(default=320_000, ge=1, description="optimiser steps (article)")
    micro_batch_size: int = Field(
        default=8, ge=1, description="blocks in one forward and backward pass (article)"
    )
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, description="passes an optimiser step (article: none)"
    )
    learning_rate: float = Field(default=1.5e-4, gt=0.0, description="peak learning rate (article)")
    min_learning_rate_fraction: float = Field(
        default=0.1, ge=0.0, le=1.0, description="share of the peak at the end (Chinchilla, GPT-3)"
    )
    warmup_fraction: float = Field(
        default=0.01, ge=0.0, lt=1.0, description="share of num_steps with a rising rate (article)"
    )
    schedule: ScheduleName = Field(
        default="cosine",
        description="shape after warm-up; megatron-* reproduce Megatron-LM v1, which ignore "
        "min_learning_rate_fraction (article: megatron-cosine)",
    )
    weight_decay: float = Field(
        default=0.01,
        ge=0.0,
        description="on matrices and embeddings, never biases or norms (article)",
    )
    adam_beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="decay of the mean (Adam)")
    adam_beta2: float = Field(
        default=0.999, ge=0.0, lt=1.0, description="decay of the square (Adam)"
    )
    adam_epsilon: float = Field(default=1e-8, gt=0.0, description="added to the denominator (Adam)")
    clip_norm: float = Field(
        default=1.0,
        ge=0.0,
        description="largest global L2 norm of the gradient; 0: no limit (article)",
    )
    seed: int = Field(
        default=1234, ge=0, lt=2**32, description="initial weights, order, dropout (Megatron)"
    )
    dtype: Literal["fp32", "bf16"] = Field(
        default="fp32", description="arithmetic of the model; weights and optimiser are always fp32"
    )
    backend: Literal["cpu", "cuda"] = Field(default="cpu", description="device kind")
    num_threads: int = Field(
        default=2,
        ge=1,
        description="CPU threads of arithmetic; another number gives other last bits",
    )
    world_size: Literal[1] = Field(default=1, description="training processes; one so far")
    eval_interval: int = Field(
        default=1000, ge=1, description="steps between looks at the valid split (Megatron-LM)"
    )
    num_eval_batches: int = Field(
        default=100, ge=0, description="batches of each look, 0: none (Megatron-LM)"
    )
    save_interval: int = Field(
        default=5000, ge=1, description="steps between checkpoints (article)"
    )
    keep_checkpoints: int = Field(
        default=2, ge=2, description="newest ones kept; two, so that a damaged one is no loss"
    )

    @property
    def warmup_steps(self) -> int:
        """Steps of rising learning rate."""
        return int(self.warmup_fraction * self.num_steps)

    @property
    def batch_size(self) -> int:
        """Blocks an optimiser step."""
        return self.micro_batch_size * self.gradient_accumulation_steps
