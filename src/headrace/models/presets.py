"""Sizes of the models that can be trained from scratch, and the settings that choose one.

A size is four integers. The named ones follow published tables: 124m, 345m and 1.3b are GPT-2
small and medium (Radford et al. 2019, Megatron-LM) and GPT-3 XL with 16 heads (Cerebras-GPT's
1.3B); `demo` and `tiny` are ours. All presets have a head size that FasterTransformer's kernels
know (32, 64 or 128), so that every one of them can be served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from headrace.config import StageConfig

Architecture = Literal["gpt-neox", "gpt2"]
PresetName = Literal["demo", "tiny", "124m", "345m", "1.3b"]


@dataclass(frozen=True)
class ModelSize:
    """The dimensions of a decoder-only transformer.

    Attributes:
        hidden_size: width of the residual stream.
        num_layers: transformer blocks.
        num_heads: attention heads a layer.
        intermediate_size: width inside the feed-forward part.
    """

    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads


# Changing a row changes what a config that names it means: bump the model stage's version with it.
PRESETS: dict[PresetName, ModelSize] = {
    "tiny": ModelSize(64, 2, 2, 256),
    "demo": ModelSize(128, 4, 4, 512),
    "124m": ModelSize(768, 12, 12, 3072),
    "345m": ModelSize(1024, 24, 16, 4096),
    "1.3b": ModelSize(2048, 24, 16, 8192),
}


class ModelConfig(StageConfig):
    """Which model is trained. Vocabulary and context length come from the tokenizer and blocks."""

    architecture: Architecture = Field(
        default="gpt-neox",
        description="gpt-neox: rotary positions, untied output; gpt2: learned positions, tied",
    )
    preset: PresetName | None = Field(
        default="124m", description="named size; null when all four sizes are given (article: 124m)"
    )
    hidden_size: int | None = Field(default=None, ge=8, description="width, overrides the preset")
    num_layers: int | None = Field(default=None, ge=1, description="layers, overrides the preset")
    num_heads: int | None = Field(
        default=None, ge=1, description="heads a layer, overrides the preset"
    )
    intermediate_size: int | None = Field(
        default=None,
        ge=8,
        description="feed-forward width; null is the preset's, or 4 x hidden_size",
    )
    dropout: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="on embeddings, attention and residuals (one-epoch runs)",
    )
    rotary_fraction: float = Field(
        default=1.0, gt=0.0, le=1.0, description="gpt-neox: rotated share of each head (rinna: 1.0)"
    )
    parallel_residual: bool = Field(
        default=False,
        description="gpt-neox: attention and feed-forward side by side (rinna: false)",
    )
    initializer_range: float = Field(
        default=0.02, gt=0.0, description="standard deviation of initial weights (Megatron-LM)"
    )

    @property
    def size(self) -> ModelSize:
        """The dimensions after overrides."""
        base = PRESETS[self.preset] if self.preset is not None else None
        hidden = self.hidden_size or (base.hidden_size if base else 0)
        # An overridden width would leave the preset's feed-forward width behind.
        inherited = base.intermediate_size if base and self.hidden_size is None else 4 * hidden
        return ModelSize(
            hidden_size=hidden,
            num_layers=self.num_layers or (base.num_layers if base else 0),
            num_heads=self.num_heads or (base.num_heads if base else 0),
            intermediate_size=self.intermediate_size or inherited,
        )

    @property
    def rotary_size(self) -> int:
        """Rotated entries of each head (gpt-neox)."""
        return int(self.size.head_size * self.rotary_fraction)

    @model_validator(mode="after")
    def _check(self) -> Self:
        size = self.size
        if not (size.hidden_size and size.num_layers and size.num_heads):
            raise ValueError("without a preset, hidden_size, num_layers and num_heads are required")
        if size.hidden_size % size.num_heads:
            raise ValueError(
                f"hidden_size {size.hidden_size} must be a multiple of num_heads {size.num_heads}"
            )
        # FasterTransformer's rotary kernels work on vectors of four halves.
        if self.architecture == "gpt-neox" and (self.rotary_size < 4 or self.rotary_size % 4):
            raise ValueError(
                f"rotary_fraction {self.rotary_fraction} of a head of {size.head_size} rotates "
                f"{self.rotary_size} entries; it must be a positive multiple of 4"
            )
        return self


def num_parameters(model: ModelConfig, *, vocab_size: int, seq_len: int) -> int:
    """Trainable parameters of the model, by arithmetic (no torch; constant time)."""
    size = model.size
    hidden, inner = size.hidden_size, size.intermediate_size
    norms = 2 * 2 * hidden
    attention = 4 * hidden * hidden + 4 * hidden
    feed_forward = 2 * hidden * inner + hidden + inner
    layers = size.num_layers * (norms + attention + feed_forward)
    outside = vocab_size * hidden + 2 * hidden
    outside += vocab_size * hidden if model.architecture == "gpt-neox" else seq_len * hidden
    return layers + outside
