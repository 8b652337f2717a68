"""What is read from config.json, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import ConversionError
from headrace.export.source_model import drift_notes, read_source_model, reasons_not_servable
from tests.export.models import GPT2_SIZES, NEOX_SIZES

NEOX = {**NEOX_SIZES, "model_type": "gpt_neox"}
GPT2 = {**GPT2_SIZES, "model_type": "gpt2"}


@pytest.mark.parametrize(
    ("keys", "rotary_dim"),
    [
        ({}, 4),
        ({"rotary_pct": 1.0, "rotary_emb_base": 10000}, 16),
        ({"rotary_pct": 0.5, "rope_scaling": None}, 8),
        ({"rope_parameters": {"rope_theta": 10000.0, "partial_rotary_factor": 0.75}}, 12),
        ({"rope_parameters": {"rope_type": "default"}, "rotary_pct": 1.0}, 16),
    ],
)
def test_both_spellings_of_rotary(keys: dict[str, Any], rotary_dim: int) -> None:
    assert read_source_model({**NEOX, **keys}).rotary_dim == rotary_dim


@pytest.mark.parametrize(
    ("base", "keys", "reason"),
    [
        (NEOX, {"layer_norm_eps": 1e-6}, "layer_norm_eps"),
        (NEOX, {"rotary_emb_base": 25000}, "rotary base"),
        (NEOX, {"rope_parameters": {"rope_theta": 5e5}}, "rotary base"),
        (NEOX, {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "rotary scaling"),
        (NEOX, {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rotary scaling"),
        (NEOX, {"rotary_pct": 0.2}, "rotated dimensions"),
        (NEOX, {"rotary_pct": 1.5}, "rotary share"),
        (NEOX, {"hidden_act": "relu"}, "hidden_act"),
        (NEOX, {"hidden_act": "silu"}, "hidden_act"),
        (NEOX, {"attention_bias": False}, "attention_bias"),
        (NEOX, {"num_attention_heads": 7}, "heads"),
        (NEOX, {"num_hidden_layers": 10**9}, "layers"),
        (NEOX, {"hidden_size": "64"}, "hidden_size"),
        (NEOX, {"eos_token_id": None}, "eos_token_id"),
        (NEOX, {"quantization_config": {"bits": 4}}, "quantised"),
        (GPT2, {"activation_function": "quick_gelu"}, "activation_function"),
        (GPT2, {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx"),
        (GPT2, {"scale_attn_weights": False}, "scale_attn_weights"),
        (GPT2, {"add_cross_attention": True}, "cross_attention"),
        (GPT2, {"model_type": "llama"}, "llama"),
    ],
)
def test_what_the_runtime_cannot_express_is_refused(
    base: dict[str, Any], keys: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConversionError, match=reason):
        read_source_model({**base, **keys})


def test_all_reasons_come_at_once() -> None:
    config = {**NEOX, "layer_norm_eps": 1e-6, "hidden_act": "relu", "rotary_emb_base": 500}
    with pytest.raises(ConversionError) as caught:
        read_source_model(config)
    assert all(
        word in str(caught.value) for word in ("layer_norm_eps", "hidden_act", "rotary base")
    )


def test_token_ids_fall_back_and_say_so() -> None:
    listed = read_source_model({**NEOX, "eos_token_id": [5, 6]})
    assert listed.end_id == 5
    assert any("eos_token_id" in note for note in drift_notes(listed))
    generation = {"eos_token_id": 9}
    config = {**GPT2, "eos_token_id": None, "bos_token_id": None}
    model = read_source_model(config, generation)
    assert (model.start_id, model.end_id) == (9, 9)


def test_inner_size_of_gpt2() -> None:
    assert read_source_model(GPT2).inter_size == 4 * 48
    assert read_source_model({**GPT2, "n_inner": 70}).inter_size == 70


def test_what_the_runtime_would_not_serve_has_reasons() -> None:
    good = {**NEOX, "hidden_size": 128, "rotary_pct": 0.25}
    assert reasons_not_servable(read_source_model(good)) == []
    assert reasons_not_servable(read_source_model(NEOX))
    outside = read_source_model({**good, "eos_token_id": 50256})
    assert any("end_id" in reason for reason in reasons_not_servable(outside))
    assert any("GELU" in note for note in drift_notes(read_source_model(good)))
    tanh = read_source_model({**good, "hidden_act": "gelu_new"})
    assert drift_notes(tanh) == []
