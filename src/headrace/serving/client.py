"""A gRPC client for models with FasterTransformer's tensors, whichever backend answers.

Names, types and optional inputs are those of NVIDIA's `fastertransformer` backend
(fastertransformer_backend, all_models/gptneox/fastertransformer/config.pbtxt), so the same client
asks a GPU server and our Python backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.errors import ConfigError, ServerUnavailableError, ServingError

MODEL_NAME = "fastertransformer"
REQUEST_SECONDS = 300.0
OPTIONAL_INPUTS: dict[str, tuple[str, type[np.generic]]] = {
    "start_id": ("UINT32", np.uint32),
    "end_id": ("UINT32", np.uint32),
    "runtime_top_k": ("UINT32", np.uint32),
    "runtime_top_p": ("FP32", np.float32),
    "beam_search_diversity_rate": ("FP32", np.float32),
    "temperature": ("FP32", np.float32),
    "len_penalty": ("FP32", np.float32),
    "repetition_penalty": ("FP32", np.float32),
    "random_seed": ("UINT64", np.uint64),
    "is_return_log_probs": ("BOOL", np.bool_),
    "beam_width": ("UINT32", np.uint32),
    "prompt_learning_task_name_ids": ("UINT32", np.uint32),
    "top_p_decay": ("FP32", np.float32),
    "top_p_min": ("FP32", np.float32),
    "top_p_reset_ids": ("UINT32", np.uint32),
}
"""Triton type and numpy type of each input that may be left out; one value a prompt, [B, 1]."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A server's answer.

    Attributes:
        tokens: for each prompt the ids after it, up to and without the end token's padding.
        cum_log_probs: float32 [B], sum of the log probabilities; None unless asked for.
        output_log_probs: float32 [B, num_tokens]; None unless asked for.
    """

    tokens: list[list[int]]
    cum_log_probs: np.ndarray | None = None
    output_log_probs: np.ndarray | None = None


class TritonClient:
    """Asks one server over gRPC.

    Args:
        url: `host:port` of its gRPC end.
        timeout_seconds: longest wait for one answer.
    """

    def __init__(self, url: str, *, timeout_seconds: float = REQUEST_SECONDS) -> None:
        from tritonclient import grpc

        self._grpc = grpc
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._client = grpc.InferenceServerClient(url)

    def is_ready(self) -> bool:
        """Whether the server is up and all its models are loaded."""
        try:
            return bool(self._client.is_server_ready())
        except self._grpc.InferenceServerException:
            return False

    def model_states(self) -> dict[str, tuple[str, str]]:
        """State (READY, LOADING, UNAVAILABLE) and reason of each model; {} while it is not up."""
        try:
            index = self._client.get_model_repository_index(as_json=True)
        except self._grpc.InferenceServerException:
            return {}
        return {
            item["name"]: (item.get("state", ""), item.get("reason", ""))
            for item in index.get("models", [])
            if item.get("state")
        }

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        num_tokens: int,
        model: str = MODEL_NAME,
        **options: Any,
    ) -> Generation:
        """Continue token prompts of any lengths; greedy unless options say otherwise.

        Args:
            prompts: ids, B lists.
            num_tokens: tokens to be added to each prompt.
            model: the model's name on the server.
            options: any of `OPTIONAL_INPUTS`, one value for all prompts or one each; also
                `bad_words_list` and `stop_words_list`, int32 [B, 2, n].

        Raises:
            ConfigError: an option is unknown or does not fit the prompts.
            ServingError: the server refuses the request; its reason is in the message.
            ServerUnavailableError: it does not answer.
        """
        inputs = self._inputs(prompts, num_tokens, options)
        try:
            answer = self._client.infer(model, inputs, client_timeout=self._timeout_seconds)
        except self._grpc.InferenceServerException as error:
            self._explain(error, model)
        output_ids = answer.as_numpy("output_ids")
        lengths = answer.as_numpy("sequence_length")
        tokens = [
            [int(token) for token in output_ids[row, 0, len(prompt) : int(lengths[row, 0])]]
            for row, prompt in enumerate(prompts)
        ]
        with_log_probs = bool(np.any(options.get("is_return_log_probs", False)))
        return Generation(
            tokens=tokens,
            cum_log_probs=answer.as_numpy("cum_log_probs") if with_log_probs else None,
            output_log_probs=answer.as_numpy("output_log_probs") if with_log_probs else None,
        )

    def _explain(self, error: Any, model: str) -> None:
        message = " ".join(str(error.message()).split())
        status = str(error.status())
        if "UNAVAILABLE" in status or "DEADLINE" in status:
            raise ServerUnavailableError(f"Triton at {self._url}: {message}") from None
        raise ServingError(f"Triton's model '{model}' refuses the request: {message}") from None

    def _inputs(
        self, prompts: Sequence[Sequence[int]], num_tokens: int, options: dict[str, Any]
    ) -> list[Any]:
        num_prompts = len(prompts)
        width = max((len(prompt) for prompt in prompts), default=0)
        input_ids = np.zeros((num_prompts, width), np.uint32)
        for row, prompt in enumerate(prompts):
            input_ids[row, : len(prompt)] = prompt
        lengths = np.array([[len(prompt)] for prompt in prompts], np.uint32)
        lengths = lengths.reshape(num_prompts, 1)
        wanted = np.full((num_prompts, 1), num_tokens, np.uint32)
        tensors = [
            self._tensor("input_ids", input_ids, "UINT32"),
            self._tensor("input_lengths", lengths, "UINT32"),
            self._tensor("request_output_len", wanted, "UINT32"),
        ]
        for name, value in options.items():
            if name in ("bad_words_list", "stop_words_list"):
                tensors.append(self._tensor(name, np.asarray(value, np.int32), "INT32"))
                continue
            if name not in OPTIONAL_INPUTS:
                known = ", ".join(OPTIONAL_INPUTS)
                raise ConfigError(f"option '{name}': one of {known} was expected")
            triton_type, numpy_type = OPTIONAL_INPUTS[name]
            try:
                array = np.asarray(value, numpy_type).reshape(-1, 1)
                array = np.broadcast_to(array, (num_prompts, 1))
            except (ValueError, OverflowError, TypeError):
                raise ConfigError(
                    f"option {name} = {value!r}: one {triton_type} value, or one for each of the "
                    f"{num_prompts} prompts, was expected"
                ) from None
            tensors.append(self._tensor(name, np.ascontiguousarray(array), triton_type))
        return tensors

    def _tensor(self, name: str, value: np.ndarray, triton_type: str) -> Any:
        tensor = self._grpc.InferInput(name, list(value.shape), triton_type)
        tensor.set_data_from_numpy(value)
        return tensor

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
