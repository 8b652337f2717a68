"""`config.ini` of a FasterTransformer directory: NVIDIA's keys in NVIDIA's order, then ours.

The file has one section, `[gptneox]` or `[gpt]`. The runtime ignores keys it does not know, so
what its own keys cannot say (exact GELU, the rotary base it hard-codes) is added for readers that
can make use of it: the interpreter and the Python backend.
"""

from __future__ import annotations

import configparser
import io
from typing import Literal

from headrace.export.source_model import NEOX_ROTARY_BASE, SourceModel

Compat = Literal["headrace", "nvidia"]


def format_config_ini(
    model: SourceModel, *, dtype: str, tensor_para_size: int, compat: Compat
) -> bytes:
    """The file's bytes (UTF-8).

    Args:
        model: what is exported.
        dtype: `fp32` or `fp16`, the type of every file.
        tensor_para_size: number of ranks.
        compat: `nvidia` leaves out every key that NVIDIA's converter does not write.
    """
    values = _neox_keys(model, dtype) if model.family == "gptneox" else _gpt_keys(model, dtype)
    if model.family == "gpt":
        values["tensor_para_size"] = str(tensor_para_size)
    if compat == "headrace":
        values |= _further_keys(model, tensor_para_size)
    parser = configparser.ConfigParser(interpolation=None)
    parser[model.family] = values
    text = io.StringIO()
    parser.write(text)
    return text.getvalue().encode()


def _neox_keys(model: SourceModel, dtype: str) -> dict[str, str]:
    return {
        # NVIDIA's is a command-line argument that bears on nothing; a fixed name has no paths.
        "model_name": "gptneox",
        "head_num": str(model.num_heads),
        "size_per_head": str(model.head_dim),
        "inter_size": str(model.inter_size),
        "num_layer": str(model.num_layers),
        "rotary_embedding": str(model.rotary_dim),
        "vocab_size": str(model.vocab_size),
        "start_id": str(model.start_id),
        "end_id": str(model.end_id),
        "use_gptj_residual": str(int(model.parallel_residual)),
        "weight_data_type": dtype,
    }


def _gpt_keys(model: SourceModel, dtype: str) -> dict[str, str]:
    return {
        "model_name": "gpt",
        "head_num": str(model.num_heads),
        "size_per_head": str(model.head_dim),
        # NVIDIA's converter writes 4 * n_embd whatever n_inner says; the runtime believes it.
        "inter_size": str(model.inter_size),
        "max_pos_seq_len": str(model.max_positions),
        "num_layer": str(model.num_layers),
        "vocab_size": str(model.vocab_size),
        "start_id": str(model.start_id),
        "end_id": str(model.end_id),
        "weight_data_type": dtype,
    }


def _further_keys(model: SourceModel, tensor_para_size: int) -> dict[str, str]:
    """What NVIDIA's converter leaves out; the runtime reads some of it for `[gpt]`."""
    # The runtime's default for [gpt] is 1e-6, and GPT-2 has 1e-5: this key is no decoration.
    values = {"layernorm_eps": repr(model.layernorm_eps), "activation_type": "Gelu"}
    if model.family == "gptneox":
        values["tensor_para_size"] = str(tensor_para_size)
        values["max_pos_seq_len"] = str(model.max_positions)
        values["rotary_base"] = f"{NEOX_ROTARY_BASE:g}"
    else:
        values["layernorm_type"] = "pre_layernorm"
    values["hidden_act"] = model.hidden_act
    return values
