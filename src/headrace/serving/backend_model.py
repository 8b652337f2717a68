"""Triton's Python backend for FasterTransformer exports, with NVIDIA's tensors.

Copied as `model.py` into a model repository beside `ft_model.py`. A client need not know whether
this or NVIDIA's GPU backend answers: names, types, optional inputs and the layout of the outputs
are the same. What this backend does not do (beam search, prefix tasks, streaming) it refuses with
the reason, it never ignores it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ft_model import ExportError, FtModel

try:
    import triton_python_backend_utils as pb_utils
except ImportError:  # imported by a test, outside the server
    pb_utils = None

MAX_CACHE_BYTES = 4 << 30
# Input -> value when a client leaves it out (fastertransformer_backend docs/gptneox_guide.md).
SAMPLING_DEFAULTS: dict[str, float] = {
    "runtime_top_k": 0, "runtime_top_p": 0.0, "temperature": 1.0, "repetition_penalty": 1.0,
}  # fmt: skip
# Refused unless they hold the value that means "off".
UNSUPPORTED: dict[str, float] = {
    "beam_search_diversity_rate": 0.0, "prompt_learning_task_name_ids": 0, "top_p_decay": 1.0,
    "top_p_min": 0.0, "top_p_reset_ids": 0,
}  # fmt: skip


class RequestError(ValueError):
    """The request cannot be answered; the client gets the message."""


@dataclass
class Request:
    """One checked request.

    Attributes:
        ids: int64 [B, T], right-padded.
        lengths: int64 [B].
        num_tokens: tokens to be added to each prompt, int64 [B].
        options: per option float64 [B].
        seeds: one for each prompt, below 2^64.
        end_ids: int64 [B].
        bad_words: per prompt the forbidden token sequences.
        stop_words: per prompt the sequences that end it.
        with_log_probs: whether log probabilities are wanted.
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    num_tokens: torch.Tensor
    options: dict[str, np.ndarray]
    seeds: list[int]
    end_ids: torch.Tensor
    bad_words: list[list[list[int]]]
    stop_words: list[list[list[int]]]
    with_log_probs: bool


def parse_words(
    array: np.ndarray | None, num_prompts: int, vocab_size: int, name: str
) -> list[list[list[int]]]:
    """Token sequences of a word list int32 [B, 2, n]: row 0 all ids, row 1 ends, padded with -1.

    Raises:
        RequestError: the shape or the ends are not of that form, or an id is not in the vocabulary.
    """
    if array is None:
        return [[] for _ in range(num_prompts)]
    if array.ndim != 3 or array.shape[:2] != (num_prompts, 2):
        raise RequestError(f"{name}: shape [{num_prompts}, 2, n] was expected, found {array.shape}")
    words: list[list[list[int]]] = []
    for flat, ends in array:
        found, start = [], 0
        for end in (int(end) for end in ends if end >= 0):
            if not start < end <= len(flat):
                if end == start:  # an empty list is sent as zeros
                    continue
                raise RequestError(f"{name}: ends must rise and stay within {len(flat)} ids")
            word = [int(token) for token in flat[start:end]]
            if min(word) < 0 or max(word) >= vocab_size:
                raise RequestError(
                    f"{name}: ids from 0 to {vocab_size - 1} were expected in {word}"
                )
            found.append(word)
            start = end
        words.append(found)
    return words


class Generator:
    """Greedy search and sampling over an export."""

    def __init__(self, model: FtModel) -> None:
        self.model = model

    def check(self, inputs: dict[str, np.ndarray]) -> Request:
        """Turn Triton's tensors into a request.

        Raises:
            RequestError: a tensor is missing, of a wrong shape, or asks for what is not done.
        """
        for name in ("input_ids", "input_lengths", "request_output_len"):
            if name not in inputs:
                raise RequestError(f"{name} is required")
        ids = inputs["input_ids"].astype(np.int64)
        if ids.ndim != 2 or 0 in ids.shape:
            raise RequestError(f"input_ids: shape [B, T] was expected, found {list(ids.shape)}")
        num_prompts, width = ids.shape
        lengths = _per_prompt(inputs["input_lengths"], num_prompts, "input_lengths")
        wanted = _per_prompt(inputs["request_output_len"], num_prompts, "request_output_len")
        if lengths.min() < 1 or lengths.max() > width:
            raise RequestError(
                f"input_lengths: 1 to {width} was expected, found {lengths.astype(int).tolist()}"
            )
        self._check_sizes(ids, lengths, wanted)
        config = self.model.config
        options = {
            name: _per_prompt(inputs.get(name, np.array([default])), num_prompts, name)
            for name, default in SAMPLING_DEFAULTS.items()
        }
        _check_options(inputs, options, num_prompts)
        ends = inputs.get("end_id", np.array([config.end_id]))
        flags = inputs.get("is_return_log_probs")
        bad, stop = (
            parse_words(inputs.get(name), num_prompts, config.vocab_size, name)
            for name in ("bad_words_list", "stop_words_list")
        )
        return Request(
            ids=torch.from_numpy(ids),
            lengths=torch.from_numpy(lengths.astype(np.int64)),
            num_tokens=torch.from_numpy(wanted.astype(np.int64)),
            options=options,
            seeds=_seeds(inputs.get("random_seed"), num_prompts),
            end_ids=torch.from_numpy(_per_prompt(ends, num_prompts, "end_id").astype(np.int64)),
            bad_words=bad,
            stop_words=stop,
            # NVIDIA's backend looks at the first value only.
            with_log_probs=flags is not None and bool(flags.reshape(-1)[0]),
        )

    def _check_sizes(self, ids: np.ndarray, lengths: np.ndarray, wanted: np.ndarray) -> None:
        config = self.model.config
        real = ids[np.arange(ids.shape[1])[None, :] < lengths[:, None]]
        if real.max() >= config.vocab_size:
            raise RequestError(f"input_ids: {real.max()} is not below {config.vocab_size}")
        longest = int((lengths + wanted).max())
        if config.family == "gpt" and longest > (config.max_positions or 0):
            raise RequestError(
                f"prompt and answer have {longest} tokens together; this model takes "
                f"{config.max_positions}"
            )
        slots = len(ids) * (ids.shape[1] + int(wanted.max()))
        num_bytes = slots * 2 * config.num_layers * config.hidden_size * 4
        if num_bytes > MAX_CACHE_BYTES:
            raise RequestError(
                f"{slots} tokens of prompts and answers need {num_bytes} bytes of cache; "
                f"{MAX_CACHE_BYTES} are allowed: ask for fewer at once"
            )

    @torch.inference_mode()
    def generate(self, request: Request) -> dict[str, np.ndarray]:
        """Answer a request.

        Returns:
            `output_ids` uint32 [B, 1, T + max wanted], `sequence_length` uint32 [B, 1],
            `cum_log_probs` float32 [B, 1], `output_log_probs` float32 [B, 1, max wanted].
        """
        state = _State(request, self.model)
        hidden = self._read_prompts(request, state)
        for step in range(state.num_steps):
            scores = self.model.scores(hidden).cpu()
            tokens = state.take(scores, step)
            if state.done.all():
                break
            if step + 1 < state.num_steps:
                # A finished prompt still runs along; its slots are not read any more, and its
                # position must stay within the table of a model that has one.
                positions = (request.lengths + step).clamp(max=state.last_position)
                positions = positions[:, None].to(self.model.device)
                ids = tokens[:, None].to(self.model.device)
                hidden = self.model.forward(ids, positions, state.cache)[:, 0]
        return state.outputs()

    def _read_prompts(self, request: Request, state: _State) -> torch.Tensor:
        """Run all prompts through the model; hidden state of each one's last token, [B, E]."""
        # Columns that only pad would leave the table of a model that has one.
        ids = request.ids[:, : int(request.lengths.max())].to(self.model.device)
        num_prompts, width = ids.shape
        # What lies right of a prompt's end is masked by its position and overwritten later.
        padding = torch.arange(width)[None, :] >= request.lengths[:, None]
        ids = ids.masked_fill(padding.to(ids.device), 0)
        positions = torch.arange(width, device=ids.device).expand(num_prompts, width)
        hidden = self.model.forward(ids, positions, state.cache)
        rows = torch.arange(num_prompts, device=ids.device)
        last: torch.Tensor = hidden[rows, (request.lengths - 1).to(ids.device)]
        return last


class _State:
    """The growing answers of one request."""

    def __init__(self, request: Request, model: FtModel) -> None:
        self.request = request
        num_prompts, width = request.ids.shape
        self.num_steps = int(request.num_tokens.max())
        total = width + self.num_steps
        end_ids = request.end_ids[:, None]
        self.output = end_ids.expand(num_prompts, total).clone()
        inside = torch.arange(width)[None, :] < request.lengths[:, None]
        self.output[:, :width] = torch.where(inside, request.ids, end_ids)
        self.lengths = request.lengths.clone()
        self.done = request.num_tokens < 1
        self.log_probs = torch.zeros(num_prompts, self.num_steps)
        self.cache = model.new_cache(num_prompts, total)
        table = model.config.max_positions if model.config.family == "gpt" else None
        self.last_position = min(total, table or total) - 1
        self.generators = [torch.Generator().manual_seed(seed) for seed in request.seeds]

    def take(self, scores: torch.Tensor, step: int) -> torch.Tensor:
        """Choose each prompt's next token from its scores [B, V]; returns the ids, int64 [B]."""
        tokens = torch.zeros(len(scores), dtype=torch.int64)
        for row in range(len(scores)):
            if self.done[row]:
                tokens[row] = self.request.end_ids[row]
                continue
            adjusted = self._adjust(scores[row].clone(), row)
            token = choose(
                adjusted,
                top_k=int(self.request.options["runtime_top_k"][row]),
                top_p=float(self.request.options["runtime_top_p"][row]),
                generator=self.generators[row],
            )
            self._append(row, step, token, adjusted)
            tokens[row] = token
        return tokens

    def _adjust(self, scores: torch.Tensor, row: int) -> torch.Tensor:
        options, so_far = self.request.options, self._so_far(row)
        scores = scores / float(options["temperature"][row])
        penalty = float(options["repetition_penalty"][row])
        if penalty != 1.0:
            seen = torch.tensor(sorted(set(so_far)))
            picked = scores[seen]
            scores[seen] = torch.where(picked > 0, picked / penalty, picked * penalty)
        for word in self.request.bad_words[row]:
            if len(word) == 1 or so_far[len(so_far) - len(word) + 1 :] == word[:-1]:
                scores[word[-1]] = -math.inf
        return scores

    def _so_far(self, row: int) -> list[int]:
        return [int(token) for token in self.output[row, : int(self.lengths[row])]]

    def _append(self, row: int, step: int, token: int, scores: torch.Tensor) -> None:
        self.log_probs[row, step] = scores.log_softmax(-1)[token]
        self.output[row, int(self.lengths[row])] = token
        self.lengths[row] += 1
        ended = token == int(self.request.end_ids[row]) or step + 1 >= int(
            self.request.num_tokens[row]
        )
        so_far = self._so_far(row)
        stopped = any(so_far[-len(word) :] == word for word in self.request.stop_words[row])
        self.done[row] = ended or stopped

    def outputs(self) -> dict[str, np.ndarray]:
        """The response's tensors."""
        wanted = self.request.with_log_probs
        log_probs = self.log_probs if wanted else torch.zeros_like(self.log_probs)
        return {
            "output_ids": self.output[:, None, :].numpy().astype(np.uint32),
            "sequence_length": self.lengths[:, None].numpy().astype(np.uint32),
            "cum_log_probs": log_probs.sum(-1, keepdim=True).numpy().astype(np.float32),
            "output_log_probs": log_probs[:, None, :].numpy().astype(np.float32),
        }


def choose(scores: torch.Tensor, *, top_k: int, top_p: float, generator: torch.Generator) -> int:
    """The next token of scores [V]: the best if neither top_k nor top_p is set, else a sample.

    top_k first, then top_p over what is left; the best token always stays.
    """
    if (top_k == 0 and top_p == 0.0) or top_k == 1:
        return int(scores.argmax())
    values, order = scores.sort(descending=True, stable=True)
    if top_k > 0:
        values, order = values[:top_k], order[:top_k]
    shares = values.softmax(-1)
    if 0.0 < top_p < 1.0:
        before = shares.cumsum(-1) - shares
        shares = shares * (before < top_p)
    picked = int(torch.multinomial(shares, 1, generator=generator))
    return int(order[picked])


def _per_prompt(array: np.ndarray, num_prompts: int, name: str) -> np.ndarray:
    flat = array.reshape(-1).astype(np.float64)
    if len(flat) not in (1, num_prompts):
        raise RequestError(
            f"{name}: one value, or one for each of {num_prompts} prompts, was expected, "
            f"found {len(flat)}"
        )
    return np.broadcast_to(flat, (num_prompts,)).copy()


def _seeds(array: np.ndarray | None, num_prompts: int) -> list[int]:
    """A seed for each prompt; never through a float, which would merge those above 2^53."""
    flat = [int(seed) for seed in array.reshape(-1)] if array is not None else [0]
    if len(flat) not in (1, num_prompts):
        raise RequestError(f"random_seed: one value, or {num_prompts}, were expected")
    return flat * num_prompts if len(flat) == 1 else flat


def _check_options(
    inputs: dict[str, np.ndarray], options: dict[str, np.ndarray], num_prompts: int
) -> None:
    if options["temperature"].min() <= 0 or not np.isfinite(options["temperature"]).all():
        raise RequestError("temperature: a number above 0 was expected")
    if options["runtime_top_p"].min() < 0 or options["runtime_top_p"].max() > 1:
        raise RequestError("runtime_top_p: 0 to 1 was expected")
    if options["repetition_penalty"].min() <= 0:
        raise RequestError("repetition_penalty: a number above 0 was expected")
    if "beam_width" in inputs and inputs["beam_width"].reshape(-1)[0] > 1:
        raise RequestError("beam_width: this backend does no beam search; 1 was expected")
    for name, off in UNSUPPORTED.items():
        if name in inputs and (inputs[name].astype(np.float64) != off).any():
            raise RequestError(f"{name}: this backend takes only {off:g}, which means off")
    penalty = inputs.get("len_penalty")
    if penalty is not None and (penalty.astype(np.float64) != 0).any() and num_prompts:
        raise RequestError("len_penalty: it belongs to beam search; 0 was expected")


INPUT_NAMES = (
    "input_ids", "input_lengths", "request_output_len", "start_id", "end_id", "len_penalty",
    "is_return_log_probs", "beam_width", "bad_words_list", "stop_words_list",
    "random_seed", *SAMPLING_DEFAULTS, *UNSUPPORTED,
)  # fmt: skip


class TritonPythonModel:
    """What Triton calls."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the export that `model_checkpoint_path` names, relative to the version's folder."""
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]) / args["model_version"]
        name = config.get("parameters", {}).get("model_checkpoint_path", {}).get("string_value", "")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.generator = Generator(FtModel(folder / (name or "1-gpu"), device))
        except ExportError as error:
            raise pb_utils.TritonModelException(str(error)) from None

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request by itself."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        inputs = {}
        for name in INPUT_NAMES:
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            if tensor is not None:
                inputs[name] = tensor.as_numpy()
        try:
            outputs = self.generator.generate(self.generator.check(inputs))
        except RequestError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        wanted = set(request.requested_output_names())
        tensors = [
            pb_utils.Tensor(name, value) for name, value in outputs.items() if name in wanted
        ]
        return pb_utils.InferenceResponse(output_tensors=tensors)
