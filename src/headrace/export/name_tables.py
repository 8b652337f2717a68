"""Which HF tensor becomes which FasterTransformer file, in which order of axes, split how.

One row per file: the key in the file's name, the HF tensor, its shape there, what is done to its
axes, and the axis that tensor-parallel ranks share out. E = hidden size, I = feed-forward size,
H heads of size D, V = vocabulary. FasterTransformer stores matrices as [in, out] and wants the
fused attention matrix as [in, 3, out]: all queries, all keys, all values. HF GPT-NeoX interleaves
them per head, HF GPT-2 has them in FasterTransformer's order already.

The interpreter that proves an export shares nothing with this module, on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headrace.errors import ConversionError
from headrace.export.checkpoint import Checkpoint, FloatArray
from headrace.export.source_model import SourceModel

# Masks and tables that older checkpoints carry along; they are computed, not learned.
_BUFFERS = re.compile(r"(^|\.)(attn|attention)\.(masked_)?bias$|rotary_emb\.inv_freq$")

Arrange = Callable[[FloatArray, SourceModel], FloatArray]


def as_is(values: FloatArray, _model: SourceModel) -> FloatArray:
    """Leave the axes alone."""
    return values


def transposed(values: FloatArray, _model: SourceModel) -> FloatArray:
    """[out, in] of a torch Linear to [in, out]."""
    return values.T


def qkv_weight_from_neox(values: FloatArray, model: SourceModel) -> FloatArray:
    """[H*3*D, E] with q, k, v interleaved per head to [E, 3, H*D]."""
    heads, width = model.num_heads, model.head_dim
    per_head = values.T.reshape(model.hidden_size, heads, 3, width)
    return per_head.transpose(0, 2, 1, 3).reshape(model.hidden_size, 3, model.hidden_size)


def qkv_bias_from_neox(values: FloatArray, model: SourceModel) -> FloatArray:
    """[H*3*D] with q, k, v interleaved per head to [3, H*D]."""
    per_head = values.reshape(model.num_heads, 3, model.head_dim)
    return per_head.transpose(1, 0, 2).reshape(3, model.hidden_size)


def qkv_weight_from_gpt2(values: FloatArray, model: SourceModel) -> FloatArray:
    """[E, 3*E] to [E, 3, E]: the same order of numbers, with an axis to split."""
    return values.reshape(model.hidden_size, 3, model.hidden_size)


def qkv_bias_from_gpt2(values: FloatArray, model: SourceModel) -> FloatArray:
    """[3*E] to [3, E]."""
    return values.reshape(3, model.hidden_size)


@dataclass(frozen=True, kw_only=True)
class TensorRule:
    """One row of a table.

    Attributes:
        key: middle of the file name, `model.<key>.bin` or `model.<key>.<rank>.bin`.
        source: name of the HF tensor, in full.
        shape: its shape there.
        arrange: what is done to its axes.
        split_axis: axis (after `arrange`) shared out among ranks; None for a whole file.
        is_row_bias: added after ranks have been summed, so it must not count once per rank.
    """

    key: str
    source: str
    shape: tuple[int, ...]
    arrange: Arrange = as_is
    split_axis: int | None = None
    is_row_bias: bool = False


@dataclass(frozen=True, kw_only=True)
class NameTable:
    """All rules of one checkpoint.

    Attributes:
        base: embeddings, last layer norm, output matrix.
        layers: rules of each layer.
        unused: tensors that the model ties to another one; equal to it, so not written.
    """

    base: tuple[TensorRule, ...]
    layers: tuple[tuple[TensorRule, ...], ...]
    unused: tuple[tuple[str, str], ...] = ()

    def rules(self) -> list[TensorRule]:
        """Every rule, base first."""
        return [*self.base, *(rule for layer in self.layers for rule in layer)]


def build_name_table(checkpoint: Checkpoint, model: SourceModel) -> NameTable:
    """Find the HF tensor for each FasterTransformer file.

    Raises:
        ConversionError: tensors are missing, left over or of another shape; all are listed.
    """
    make = _neox_table if model.family == "gptneox" else _gpt2_table
    table = make(checkpoint, model)
    _check_complete(checkpoint, table)
    return table


def _check_complete(checkpoint: Checkpoint, table: NameTable) -> None:
    rules = table.rules()
    expected = {rule.source for rule in rules} | {name for name, _ in table.unused}
    found = checkpoint.shapes
    missing = sorted(expected - found.keys())
    extra = sorted(name for name in found.keys() - expected if not _BUFFERS.search(name))
    odd = [
        f"{rule.source} has {list(found[rule.source])} instead of {list(rule.shape)}"
        for rule in rules
        if rule.source in found and found[rule.source] != rule.shape
    ]
    problems = []
    for what, names in (("missing", missing), ("not known", extra), ("of another shape", odd)):
        if names:
            problems.append(f"{len(names)} tensors {what}: {', '.join(names)}")
    if problems:
        raise ConversionError(
            f"{checkpoint.directory}: the tensors are not those that config.json asks for: "
            + "; ".join(problems)
        )


def _prefix(checkpoint: Checkpoint, prefix: str, probe: str) -> str:
    """`prefix`, or "" where the checkpoint holds the bare model without it."""
    return "" if probe in checkpoint.shapes else prefix


def _layer_norm(key: str, source: str, model: SourceModel) -> tuple[TensorRule, TensorRule]:
    shape = (model.hidden_size,)
    return (
        TensorRule(key=f"{key}.weight", source=f"{source}.weight", shape=shape),
        TensorRule(key=f"{key}.bias", source=f"{source}.bias", shape=shape),
    )


def _neox_table(checkpoint: Checkpoint, model: SourceModel) -> NameTable:
    prefix = _prefix(checkpoint, "gpt_neox.", "embed_in.weight")
    words = f"{prefix}embed_in.weight"
    table_shape = (model.vocab_size, model.hidden_size)
    # The runtime has no fallback: without this file it would answer from a random output matrix.
    head = words if model.tied else "embed_out.weight"
    base = (
        TensorRule(key="wte", source=words, shape=table_shape),
        *_layer_norm("final_layernorm", f"{prefix}final_layer_norm", model),
        TensorRule(key="lm_head.weight", source=head, shape=table_shape),
    )
    layers = tuple(
        _neox_layer(f"layers.{number}", f"{prefix}layers.{number}", model)
        for number in range(model.num_layers)
    )
    return NameTable(base=base, layers=layers, unused=_tied_copy(checkpoint, model, words))


def _tied_copy(
    checkpoint: Checkpoint, model: SourceModel, words: str
) -> tuple[tuple[str, str], ...]:
    """The output matrix that a tied checkpoint stores a second time, if it does."""
    head = "embed_out.weight" if model.family == "gptneox" else "lm_head.weight"
    return ((head, words),) if model.tied and head in checkpoint.shapes else ()


@dataclass(frozen=True)
class _Layer:
    """Where a layer's tensors are, here and in HF; makes its rules."""

    key: str
    source: str

    def rule(
        self,
        name: str,
        shape: tuple[int, ...],
        *,
        hf_name: str = "",
        arrange: Arrange = as_is,
        split_axis: int | None = None,
        is_row_bias: bool = False,
    ) -> TensorRule:
        return TensorRule(
            key=f"{self.key}.{name}",
            source=f"{self.source}.{hf_name or name}",
            shape=shape,
            arrange=arrange,
            split_axis=split_axis,
            is_row_bias=is_row_bias,
        )


def _neox_layer(key: str, source: str, model: SourceModel) -> tuple[TensorRule, ...]:
    width, inner = model.hidden_size, model.inter_size
    rule = _Layer(key, source).rule

    return (
        *_layer_norm(f"{key}.input_layernorm", f"{source}.input_layernorm", model),
        *_layer_norm(
            f"{key}.post_attention_layernorm", f"{source}.post_attention_layernorm", model
        ),
        rule("attention.query_key_value.weight", (3 * width, width),
             arrange=qkv_weight_from_neox, split_axis=2),
        rule("attention.query_key_value.bias", (3 * width,),
             arrange=qkv_bias_from_neox, split_axis=1),
        rule("attention.dense.weight", (width, width), arrange=transposed, split_axis=0),
        rule("attention.dense.bias", (width,), is_row_bias=True),
        rule("mlp.dense_h_to_4h.weight", (inner, width), arrange=transposed, split_axis=1),
        rule("mlp.dense_h_to_4h.bias", (inner,), split_axis=0),
        rule("mlp.dense_4h_to_h.weight", (width, inner), arrange=transposed, split_axis=0),
        rule("mlp.dense_4h_to_h.bias", (width,), is_row_bias=True),
    )  # fmt: skip


def _gpt2_table(checkpoint: Checkpoint, model: SourceModel) -> NameTable:
    prefix = _prefix(checkpoint, "transformer.", "wte.weight")
    words = f"{prefix}wte.weight"
    table_shape = (model.vocab_size, model.hidden_size)
    base: tuple[TensorRule, ...] = (
        TensorRule(key="wte", source=words, shape=table_shape),
        TensorRule(
            key="wpe",
            source=f"{prefix}wpe.weight",
            shape=(model.max_positions, model.hidden_size),
        ),
        *_layer_norm("final_layernorm", f"{prefix}ln_f", model),
    )
    if not model.tied:
        # The runtime shares wte where this file is absent, so an untied head must not be left out.
        head = TensorRule(key="lm_head.weight", source="lm_head.weight", shape=table_shape)
        base = (*base, head)
    layers = tuple(
        _gpt2_layer(f"layers.{number}", f"{prefix}h.{number}", model)
        for number in range(model.num_layers)
    )
    return NameTable(base=base, layers=layers, unused=_tied_copy(checkpoint, model, words))


def _gpt2_layer(key: str, source: str, model: SourceModel) -> tuple[TensorRule, ...]:
    width, inner = model.hidden_size, model.inter_size
    rule = _Layer(key, source).rule

    return (
        *_layer_norm(f"{key}.input_layernorm", f"{source}.ln_1", model),
        *_layer_norm(f"{key}.post_attention_layernorm", f"{source}.ln_2", model),
        rule("attention.query_key_value.weight", (width, 3 * width), hf_name="attn.c_attn.weight",
             arrange=qkv_weight_from_gpt2, split_axis=2),
        rule("attention.query_key_value.bias", (3 * width,), hf_name="attn.c_attn.bias",
             arrange=qkv_bias_from_gpt2, split_axis=1),
        rule("attention.dense.weight", (width, width), hf_name="attn.c_proj.weight", split_axis=0),
        rule("attention.dense.bias", (width,), hf_name="attn.c_proj.bias", is_row_bias=True),
        rule("mlp.dense_h_to_4h.weight", (width, inner), hf_name="mlp.c_fc.weight", split_axis=1),
        rule("mlp.dense_h_to_4h.bias", (inner,), hf_name="mlp.c_fc.bias", split_axis=0),
        rule("mlp.dense_4h_to_h.weight", (inner, width), hf_name="mlp.c_proj.weight", split_axis=0),
        rule("mlp.dense_4h_to_h.bias", (width,), hf_name="mlp.c_proj.bias", is_row_bias=True),
    )  # fmt: skip


def check_tied_copies(checkpoint: Checkpoint, table: NameTable) -> None:
    """Make sure that a second copy of a tied matrix says the same.

    Raises:
        ConversionError: config.json ties two matrices that differ.
    """
    for copy, original in table.unused:
        if not np.array_equal(checkpoint.read(copy), checkpoint.read(original)):
            raise ConversionError(
                f"{checkpoint.directory}: tie_word_embeddings is true, but {copy} differs from "
                f"{original}: set it to false if both are meant"
            )
