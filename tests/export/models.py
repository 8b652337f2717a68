"""Tiny random models in HF's layout, and other small things that the export tests share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from headrace.artifacts import Artifact, Store
from headrace.artifacts.sources import open_source

VOCAB = 97
NEOX_SIZES: dict[str, Any] = {
    "vocab_size": VOCAB, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 100, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GPT2_SIZES: dict[str, Any] = {
    "vocab_size": VOCAB, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 50,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def _neox(parallel: bool, rotary: float, **more: Any) -> Callable[[], Any]:
    def make() -> Any:
        from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

        rope = {"rope_theta": 10000.0, "partial_rotary_factor": rotary, "rope_type": "default"}
        sizes = {**NEOX_SIZES, "use_parallel_residual": parallel, "rope_parameters": rope, **more}
        return GPTNeoXForCausalLM(GPTNeoXConfig(**sizes))

    return make


def _gpt2(**more: Any) -> Callable[[], Any]:
    def make() -> Any:
        from transformers import GPT2Config, GPT2LMHeadModel

        return GPT2LMHeadModel(GPT2Config(**{**GPT2_SIZES, **more}))

    return make


MAKERS: dict[str, Callable[[], Any]] = {
    **{
        f"neox-{'parallel' if parallel else 'sequential'}-rotary-{rotary}": _neox(parallel, rotary)
        for parallel, rotary in itertools.product((True, False), (0.25, 1.0))
    },
    "neox-tied": _neox(False, 0.25, tie_word_embeddings=True),
    "neox-gelu-new": _neox(True, 0.5, hidden_act="gelu_new"),
    "gpt2": _gpt2(),
    "gpt2-odd": _gpt2(n_inner=70, layer_norm_epsilon=1e-3, activation_function="gelu"),
    "gpt2-untied": _gpt2(n_inner=70, tie_word_embeddings=False),
}


def save_model(name: str, directory: Path, *, seed: int = 1, **options: Any) -> Path:
    """Save one of `MAKERS` with large random weights and biases, so that a slip shows."""
    import torch

    model = MAKERS[name]()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
            if key.endswith("weight") and weight.ndim == 1:
                weight.add_(1.0)
    model.to(options.pop("dtype", torch.float32)).save_pretrained(directory, **options)
    return directory


def change_config(directory: Path, **values: Any) -> None:
    """Set or, with None given as "absent", drop keys of config.json."""
    path = directory / "config.json"
    config = json.loads(path.read_text())
    for key, value in values.items():
        if value == "absent":
            config.pop(key, None)
        else:
            config[key] = value
    path.write_text(json.dumps(config))


def load_tensors(directory: Path) -> dict[str, np.ndarray]:
    """All tensors of `model.safetensors`."""
    from safetensors.numpy import load_file

    return load_file(directory / "model.safetensors")


def save_tensors(directory: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write `model.safetensors` anew."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()},
              directory / "model.safetensors")  # fmt: skip


def hf_logits(directory: Path, ids: np.ndarray) -> np.ndarray:
    """HF's own fp32 logits [B, T, V] of ids [B, T]."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    with torch.inference_mode():
        return model.eval()(torch.from_numpy(ids)).logits.numpy()


def random_ids(*shape: int, seed: int = 0) -> np.ndarray:
    """Token ids of the tiny vocabulary."""
    return np.random.default_rng(seed).integers(0, VOCAB, shape)


def raw_artifact(store: Store, path: Path) -> Artifact:
    """A plain directory as an input of a stage."""
    return open_source(store, path).artifact


def save_blocks(
    directory: Path, *, num_valid: int = 5, num_test: int = 4, seq_len: int = 40
) -> Path:
    """Token blocks as an IPC stream a split, the way `datasets` lays them out."""
    import pyarrow as pa

    for split, rows, seed in (("train", 3, 1), ("valid", num_valid, 2), ("test", num_test, 3)):
        ids = random_ids(rows * seq_len, seed=seed).astype(np.uint16)
        column = pa.FixedSizeListArray.from_arrays(pa.array(ids), seq_len)
        table = pa.table({"input_ids": column})
        path = directory / split / "data-00000-of-00001.arrow"
        path.parent.mkdir(parents=True)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    return directory
