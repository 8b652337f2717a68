"""The source model as an export must reproduce it: HF, eager attention, float32 arithmetic.

For an fp16 export every weight is rounded to fp16 and widened again, so that what is left between
the two sides is arithmetic noise, and a wrong axis cannot hide behind rounding. One thing is
rounded otherwise: with a parallel residual FasterTransformer keeps the *sum* of a layer's two
output biases, so here too the sum is what is rounded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headrace.errors import CorruptInputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_reference(directory: Path) -> PreTrainedModel:
    """Open an HF directory for inference on the CPU in float32; nothing is fetched or executed.

    Raises:
        CorruptInputError: it cannot be opened.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            directory,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="eager",
        )
    except (OSError, ValueError) as error:
        raise CorruptInputError(
            f"{directory}: a causal language model in Hugging Face's layout was expected: {error}"
        ) from None
    evaluated: PreTrainedModel = model.eval()
    return evaluated


def round_weights(model: PreTrainedModel, dtype: str, num_ranks: int = 1) -> None:
    """Round all weights in place to what an export of this type holds.

    Args:
        model: changed in place; stays float32.
        dtype: `fp32` leaves it as it is, `fp16` rounds.
        num_ranks: ranks of the export; a rank's share of a bias is what is rounded.
    """
    import torch

    if dtype == "fp32":
        return
    parallel = bool(getattr(model.config, "use_parallel_residual", False))
    with torch.no_grad():
        if parallel:
            _round_bias_sums(model, num_ranks)
        for name, weight in model.named_parameters():
            if parallel and _is_row_bias(name):
                continue
            weight.copy_(weight.half().float())


def _is_row_bias(name: str) -> bool:
    return name.endswith(("attention.dense.bias", "mlp.dense_4h_to_h.bias"))


def _round_bias_sums(model: PreTrainedModel, num_ranks: int) -> None:
    """Put each layer's rounded sum of output biases into its first one; the other becomes 0."""
    weights = dict(model.named_parameters())
    for name, attention in weights.items():
        if not name.endswith("attention.dense.bias"):
            continue
        mlp = weights[name.replace("attention.dense.bias", "mlp.dense_4h_to_h.bias")]
        share = (attention / num_ranks).half() + (mlp / num_ranks).half()
        attention.copy_(share.float() * num_ranks)
        mlp.zero_()


def reference_logits(model: PreTrainedModel, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Next-token scores of one row of ids [T]: float32 [T, V]."""
    import torch

    with torch.inference_mode():
        output = model(input_ids=torch.from_numpy(ids)[None], use_cache=False)
    logits: npt.NDArray[np.float32] = output.logits[0].float().numpy()
    return logits
