"""New models: Hugging Face classes, initialised as Megatron-LM does.

Weights are drawn from N(0, initializer_range); the two projections of each layer that write into
the residual stream from N(0, initializer_range / sqrt(2 x num_layers)); biases are 0, norms 1.
The order of drawing is that of `named_modules`, from one generator, so a seed fixes every bit.
The activation is GELU's tanh form in both architectures: FasterTransformer computes no other.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.pytorch_utils import Conv1D

from headrace.models.presets import ModelConfig

ROTARY_BASE = 10_000
LAYER_NORM_EPSILON = 1e-5
RESIDUAL_PROJECTIONS = ("attention.dense", "mlp.dense_4h_to_h", "attn.c_proj", "mlp.c_proj")


def build_hf_config(
    model: ModelConfig, *, vocab_size: int, seq_len: int, bos_id: int, eos_id: int
) -> PreTrainedConfig:
    """The Hugging Face config of a model.

    Args:
        model: architecture and size.
        vocab_size: rows of the embedding.
        seq_len: longest input in tokens.
        bos_id: token id that starts a text.
        eos_id: token id that ends a document.
    """
    size = model.size
    common: dict[str, Any] = {
        "vocab_size": vocab_size,
        "initializer_range": model.initializer_range,
        "bos_token_id": bos_id,
        "eos_token_id": eos_id,
        "use_cache": True,
    }
    if model.architecture == "gpt2":
        return GPT2Config(
            n_positions=seq_len,
            n_embd=size.hidden_size,
            n_layer=size.num_layers,
            n_head=size.num_heads,
            n_inner=size.intermediate_size,
            activation_function="gelu_new",
            layer_norm_epsilon=LAYER_NORM_EPSILON,
            resid_pdrop=model.dropout,
            embd_pdrop=model.dropout,
            attn_pdrop=model.dropout,
            tie_word_embeddings=True,
            **common,
        )
    return GPTNeoXConfig(
        max_position_embeddings=seq_len,
        hidden_size=size.hidden_size,
        num_hidden_layers=size.num_layers,
        num_attention_heads=size.num_heads,
        intermediate_size=size.intermediate_size,
        hidden_act="gelu_new",
        layer_norm_eps=LAYER_NORM_EPSILON,
        attention_dropout=model.dropout,
        hidden_dropout=model.dropout,
        use_parallel_residual=model.parallel_residual,
        attention_bias=True,
        tie_word_embeddings=False,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": ROTARY_BASE,
            "partial_rotary_factor": model.rotary_fraction,
        },
        **common,
    )


def build_model(hf_config: PreTrainedConfig, *, num_layers: int, seed: int) -> PreTrainedModel:
    """A freshly initialised model in fp32 on the CPU.

    Args:
        hf_config: what `build_hf_config` gave.
        num_layers: for the scale of the residual projections.
        seed: fixes all weights.
    """
    kind = GPT2LMHeadModel if isinstance(hf_config, GPT2Config) else GPTNeoXForCausalLM
    model: PreTrainedModel = kind(hf_config)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        _initialize(model, float(hf_config.initializer_range), num_layers, generator)
    return model


def _initialize(
    model: nn.Module, deviation: float, num_layers: int, generator: torch.Generator
) -> None:
    done: set[int] = set()
    for name, module in model.named_modules():
        if isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
        if not isinstance(module, nn.Linear | nn.Embedding | Conv1D):
            continue
        scale = deviation
        if name.endswith(RESIDUAL_PROJECTIONS):
            scale /= math.sqrt(2 * num_layers)
        if id(module.weight) not in done:  # a tied output layer keeps the embedding's draw
            module.weight.normal_(0.0, scale, generator=generator)
            done.add(id(module.weight))
        bias = getattr(module, "bias", None)
        if bias is not None:
            bias.zero_()
