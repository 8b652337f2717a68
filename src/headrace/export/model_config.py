"""`config.pbtxt` of a served FasterTransformer model: for NVIDIA's backend and for ours.

Both declare the same tensors, so that a client need not know which one answers. Names, types,
shapes and which inputs are optional are those of fastertransformer_backend c6936c3,
all_models/{gptneox,gpt}/fastertransformer/config.pbtxt. The batch dimension is implied; `[1]` with
an empty reshape means that the backend sees one value a prompt, [B].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MODEL_NAME = "fastertransformer"


@dataclass(frozen=True)
class Tensor:
    """A declared tensor.

    Attributes:
        name: as in requests and responses.
        type: Triton's type without `TYPE_`.
        dims: without the batch dimension; -1 is any size.
        optional: a request may leave it out.
        is_scalar: one value a prompt; handed over as [B] instead of [B, 1].
    """

    name: str
    type: str
    dims: tuple[int, ...]
    optional: bool = False
    is_scalar: bool = False


def _option(name: str, kind: str) -> Tensor:
    return Tensor(name, kind, (1,), optional=True, is_scalar=True)


INPUTS = (
    Tensor("input_ids", "UINT32", (-1,)),
    Tensor("input_lengths", "UINT32", (1,), is_scalar=True),
    Tensor("request_output_len", "UINT32", (-1,)),
    _option("start_id", "UINT32"),
    _option("end_id", "UINT32"),
    _option("runtime_top_k", "UINT32"),
    _option("runtime_top_p", "FP32"),
    _option("beam_search_diversity_rate", "FP32"),
    _option("temperature", "FP32"),
    _option("len_penalty", "FP32"),
    _option("repetition_penalty", "FP32"),
    _option("random_seed", "UINT64"),
    _option("is_return_log_probs", "BOOL"),
    _option("beam_width", "UINT32"),
    Tensor("bad_words_list", "INT32", (2, -1), optional=True),
    Tensor("stop_words_list", "INT32", (2, -1), optional=True),
    _option("prompt_learning_task_name_ids", "UINT32"),
    _option("top_p_decay", "FP32"),
    _option("top_p_min", "FP32"),
    _option("top_p_reset_ids", "UINT32"),
)
OUTPUTS = (
    Tensor("output_ids", "UINT32", (-1, -1)),
    Tensor("sequence_length", "UINT32", (-1,)),
    Tensor("cum_log_probs", "FP32", (-1,)),
    Tensor("output_log_probs", "FP32", (-1, -1)),
)
# What NVIDIA's GPT has besides; our backend has no use for them and does not declare them, so
# that a request which relies on them is refused.
GPT_INPUTS = (
    _option("is_return_context_embeddings", "BOOL"),
    Tensor("request_prompt_embedding", "FP16", (-1, -1), optional=True),
    _option("request_prompt_lengths", "UINT32"),
    _option("request_prompt_type", "UINT32"),
)
GPT_OUTPUTS = (
    Tensor("response_input_lengths", "INT32", (-1,)),
    Tensor("context_embeddings", "FP32", (-1, -1)),
)


def format_python_config(*, folder: str, max_batch_size: int) -> str:
    """`config.pbtxt` for our Python backend.

    Args:
        folder: name of the weight directory beside `model.py`.
        max_batch_size: prompts a request.
    """
    return _format(
        head=(
            f'name: "{MODEL_NAME}"',
            'backend: "python"',
            f"max_batch_size: {max_batch_size}",
        ),
        inputs=INPUTS,
        outputs=OUTPUTS,
        parameters={
            # Relative to the version's directory: a repository may be moved.
            "model_checkpoint_path": folder,
        },
    )


def format_gpu_config(
    *, family: str, folder: str, num_ranks: int, dtype: str, max_batch_size: int
) -> str:
    """`config.pbtxt` for NVIDIA's `fastertransformer` backend.

    Args:
        family: `gptneox` or `gpt`.
        folder: name of the weight directory in the version's directory.
        num_ranks: GPUs a layer is shared among.
        dtype: `fp32` or `fp16`, type of the computation.
        max_batch_size: prompts a request.
    """
    is_gpt = family == "gpt"
    parameters = {
        "model_type": "GPT" if is_gpt else "GPT-NeoX",
        "data_type": dtype,
        "tensor_para_size": str(num_ranks),
        "pipeline_para_size": "1",
        "enable_custom_all_reduce": "0",
    }
    if is_gpt:
        parameters["int8_mode"] = "0"
    return _format(
        head=(
            "# For a server with NVIDIA's fastertransformer backend: put this file in the place of",
            "# models/fastertransformer/config.pbtxt. Without a model_checkpoint_path the backend",
            "# takes the weights from the version's directory, below default_model_filename.",
            f'name: "{MODEL_NAME}"',
            'backend: "fastertransformer"',
            f'default_model_filename: "{folder}"',
            f"max_batch_size: {max_batch_size}",
        ),
        inputs=(*INPUTS, *(GPT_INPUTS if is_gpt else ())),
        outputs=(*OUTPUTS, *(GPT_OUTPUTS if is_gpt else ())),
        parameters=parameters,
    )


def _format(
    *,
    head: Sequence[str],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    parameters: Mapping[str, str],
) -> str:
    lines = [*head]
    for what, tensors in (("input", inputs), ("output", outputs)):
        lines.append(f"{what} [")
        lines.append(",\n".join(_format_tensor(tensor) for tensor in tensors))
        lines.append("]")
    # The backends place their own work: this is the only kind that NVIDIA's accepts.
    lines.append("instance_group [ { count: 1 kind: KIND_CPU } ]")
    for key, value in parameters.items():
        lines.append(f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}')
    return "\n".join(lines) + "\n"


def _format_tensor(tensor: Tensor) -> str:
    parts = [
        f'name: "{tensor.name}"',
        f"data_type: TYPE_{tensor.type}",
        f"dims: [ {', '.join(str(size) for size in tensor.dims)} ]",
    ]
    if tensor.is_scalar:
        parts.append("reshape: { shape: [ ] }")
    if tensor.optional:
        parts.append("optional: true")
    return "  { " + " ".join(parts) + " }"
