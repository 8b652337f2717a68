from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.export.fastertransformer import export_directory
from headrace.serving.installation import TritonInstallation, find_triton, install_triton

SERVING = Path(__file__).resolve().parents[2] / "src" / "headrace" / "serving"
VOCAB_SIZE = 97


@pytest.fixture(scope="session", autouse=True)
def _backend_on_path() -> None:
    """Triton puts a model's folder on sys.path; the backend's two files import each other so."""
    if str(SERVING) not in sys.path:
        sys.path.append(str(SERVING))


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> TritonInstallation:
    """A real Triton server: the one that `make` unpacked, else a fresh one."""
    given = os.environ.get("HEADRACE_TEST_HOME")
    home = Path(given) if given else Path(__file__).resolve().parents[2] / ".headrace"
    return find_triton(home) or install_triton(tmp_path_factory.mktemp("triton"))


def neox(parallel: bool, rotary: float, act: str = "gelu") -> Any:
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(11)
    config = GPTNeoXConfig(
        vocab_size=VOCAB_SIZE, hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=96, max_position_embeddings=128, use_parallel_residual=parallel,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                         "partial_rotary_factor": rotary},
        hidden_act=act, bos_token_id=1, eos_token_id=2, initializer_range=0.2,
        attn_implementation="eager",
    )  # fmt: skip
    return _noisy(GPTNeoXForCausalLM(config))


def gpt2(act: str = "gelu_new") -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(12)
    config = GPT2Config(
        vocab_size=VOCAB_SIZE, n_embd=64, n_layer=2, n_head=2, n_inner=100, n_positions=64,
        bos_token_id=1, eos_token_id=2, initializer_range=0.2, attn_implementation="eager",
        activation_function=act,
    )  # fmt: skip
    return _noisy(GPT2LMHeadModel(config))


def _noisy(model: Any) -> Any:
    """Fresh models have zero biases and unit norms, which hide mistakes."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    return model.eval()


MODELS = {
    "neox-sequential": lambda: neox(False, 1.0),
    "neox-parallel": lambda: neox(True, 0.25),
    "neox-tanh": lambda: neox(False, 1.0, "gelu_new"),
    "gpt2": gpt2,
    "gpt2-exact-gelu": lambda: gpt2("gelu"),
}


@pytest.fixture(scope="session")
def make_export(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Gives (HF model, its `<n>-gpu` directory) of a named tiny model."""
    made: dict[tuple[str, int, str], tuple[Any, Path]] = {}

    def make(name: str, num_ranks: int = 1, dtype: str = "fp32") -> tuple[Any, Path]:
        key = (name, num_ranks, dtype)
        if key not in made:
            directory = tmp_path_factory.mktemp(f"{name}-{num_ranks}-{dtype}")
            model = MODELS[name]()
            model.save_pretrained(directory / "hf")
            folder = export_directory(
                directory / "hf", directory, dtype=dtype, tensor_para_size=num_ranks
            )
            made[key] = (model, folder)
        return made[key]

    return make
