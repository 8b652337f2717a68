"""Opening a finished model for measurement, with the arithmetic's thread count fixed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from headrace.errors import ConfigError, CorruptInputError


@contextmanager
def fixed_threads(num_threads: int) -> Iterator[None]:
    """Compute with `num_threads` CPU threads; the number before is set again afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def open_model(path: Path, backend: str) -> PreTrainedModel:
    """Load a Hugging Face model in fp32 for inference, without network.

    Args:
        path: its directory.
        backend: "cpu" or "cuda".

    Raises:
        ConfigError: backend "cuda" without a CUDA device.
        CorruptInputError: the directory holds no such model.
    """
    if backend == "cuda" and not torch.cuda.is_available():
        raise ConfigError("backend = 'cuda': torch finds no CUDA device here; use backend = 'cpu'")
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path, local_files_only=True, dtype=torch.float32
        )
    except (OSError, ValueError) as error:
        raise CorruptInputError(
            f"{path}: a causal language model in Hugging Face's layout was expected: {error}"
        ) from error
    model: PreTrainedModel = loaded.to(backend).eval()
    return model
