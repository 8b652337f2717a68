"""The forward pass of a FasterTransformer directory in numpy: what its files mean.

Reads `config.ini` and `model.*.bin` and nothing else. It shares no line with the writer (names,
shapes and axes are spelt out here a second time), so a mistake there cannot cancel out here. Ranks
are computed one after another and summed where the runtime would all-reduce, so a directory for n
GPUs is checked as n GPUs would use it. One layer's weights are in memory at a time.

Cost: the arithmetic of one forward pass without cache; memory B*T*(E + I) and B*H*T*T floats plus
the largest layer. Semantics: NVIDIA/FasterTransformer df4a753, ParallelGpt and GptNeoX.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headrace.errors import ConfigError, ParityError
from headrace.export.directory import FtDirectory

Mode = Literal["exact", "ft"]
Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

RUNTIME_NEOX_EPS = 1e-5
RUNTIME_GPT_EPS = 1e-6
GPT2_EPS = 1e-5

# Names of HF's activations that are the error-function GELU; all others are its tanh form.
_ERF_ACTIVATIONS = ("gelu", "gelu_python")


class FtInterpreter:
    """Computes logits from an export.

    Args:
        directory: `<n>-gpu`, checked when opened.
        mode: `exact` computes what the checkpoint means (error-function GELU where config.ini says
            so or says nothing, GPT-2's epsilon); `ft` computes what NVIDIA's runtime would (tanh
            GELU, the epsilon it falls back to).

    Raises:
        ParityError: a file is missing, of another size, not finite, or not expected.
    """

    def __init__(self, directory: Path, mode: Mode = "exact") -> None:
        if mode not in ("exact", "ft"):
            raise ConfigError(f"mode {mode!r}: 'exact' or 'ft' was expected")
        self.files = FtDirectory(directory)
        self.files.check()
        self.vocab_size = self.files.size("vocab_size")
        self._is_neox = self.files.section == "gptneox"
        self._heads = self.files.size("head_num")
        self._head_size = self.files.size("size_per_head")
        self._ranks = self.files.num_ranks
        self._eps = np.float32(self._choose_eps(mode))
        kind = self.files.text("activation_type", "Gelu")
        if kind.lower() != "gelu":
            raise ParityError(f"{directory}: activation_type Gelu was expected, found {kind!r}")
        default_act = "gelu" if self._is_neox else "gelu_new"
        act = self.files.text("hidden_act", default_act)
        self._activation = gelu_erf if mode == "exact" and act in _ERF_ACTIVATIONS else gelu_tanh
        self._parallel = self._is_neox and self.files.flag("use_gptj_residual", True)

    def _choose_eps(self, mode: Mode) -> float:
        if self._is_neox:
            return RUNTIME_NEOX_EPS
        fallback = GPT2_EPS if mode == "exact" else RUNTIME_GPT_EPS
        return self.files.number("layernorm_eps", fallback)

    def logits(self, ids: Ids) -> Floats:
        """Next-token scores at every position.

        Args:
            ids: token ids [B, T].

        Returns:
            float32 [B, T, V].

        Raises:
            ConfigError: ids are no [B, T] array, outside the vocabulary, or too long for `wpe`.
        """
        return self.project(self.final_hidden(ids))

    def final_hidden(self, ids: Ids) -> Floats:
        """Output of the last layer norm: float32 [B, T, E] for ids [B, T]."""
        self._check_ids(ids)
        x = self._embed(ids)
        for layer in range(self.files.size("num_layer")):
            x = self._layer(x, layer)
        return self._norm(x, "final_layernorm")

    def project(self, hidden: Floats, table: Floats | None = None) -> Floats:
        """Scores over the vocabulary: [..., E] to [..., V]; `table` saves reading the matrix."""
        matrix = self.output_matrix() if table is None else table
        scores: Floats = hidden @ matrix.T
        return scores

    def output_matrix(self) -> Floats:
        """The matrix that `project` uses: float32 [V, E]."""
        return self.files.read("lm_head.weight" if self.files.has_head else "wte")

    def _check_ids(self, ids: Ids) -> None:
        if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer) or ids.size == 0:
            raise ConfigError(f"ids: integers [B, T] were expected, found {ids.dtype} {ids.shape}")
        if int(ids.min()) < 0 or int(ids.max()) >= self.vocab_size:
            raise ConfigError(
                f"ids: 0..{self.vocab_size - 1} was expected, found {ids.min()}..{ids.max()}"
            )
        if not self._is_neox and ids.shape[1] > self.files.size("max_pos_seq_len"):
            raise ConfigError(
                f"ids: {ids.shape[1]} tokens, but the position table has "
                f"{self.files.size('max_pos_seq_len')} rows"
            )

    def _embed(self, ids: Ids) -> Floats:
        x: Floats = self.files.read("wte")[ids]
        if not self._is_neox:
            x = x + self.files.read("wpe")[: ids.shape[1]]
        return x

    def _norm(self, x: Floats, name: str) -> Floats:
        weight, bias = self.files.read(f"{name}.weight"), self.files.read(f"{name}.bias")
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        normed: Floats = centred / np.sqrt(variance + self._eps) * weight + bias
        return normed

    def _layer(self, x: Floats, layer: int) -> Floats:
        name = f"layers.{layer}"
        attended = self._attention(self._norm(x, f"{name}.input_layernorm"), f"{name}.attention")
        if self._parallel:
            fed = self._feed_forward(self._norm(x, f"{name}.post_attention_layernorm"), name)
            # Every rank adds this file before the all-reduce: it counts once per rank.
            bias = self.files.read(f"{name}.mlp.attention.bias.sum")
            parallel: Floats = x + attended + fed + np.float32(self._ranks) * bias
            return parallel
        x = x + attended + self.files.read(f"{name}.attention.dense.bias")
        fed = self._feed_forward(self._norm(x, f"{name}.post_attention_layernorm"), name)
        sequential: Floats = x + fed + self.files.read(f"{name}.mlp.dense_4h_to_h.bias")
        return sequential

    def _attention(self, x: Floats, name: str) -> Floats:
        """Sum over ranks of each one's heads, without the output bias: [B, T, E]."""
        total = np.zeros_like(x)
        for rank in range(self._ranks):
            weight = self.files.read(f"{name}.query_key_value.weight", rank)
            bias = self.files.read(f"{name}.query_key_value.bias", rank)
            fused = x @ weight.reshape(weight.shape[0], -1) + bias.reshape(-1)
            context = self._attend(fused)
            total += context @ self.files.read(f"{name}.dense.weight", rank)
        return total

    def _attend(self, fused: Floats) -> Floats:
        """Causal attention of one rank: [B, T, 3*h*D] (q, then k, then v) to [B, T, h*D]."""
        batch, length, _ = fused.shape
        heads = self._heads // self._ranks
        split = fused.reshape(batch, length, 3, heads, self._head_size)
        query, key, value = np.moveaxis(split, (2, 3), (0, 2))  # each [B, h, T, D]
        if self._is_neox:
            cos, sin = self._rotation(length)
            query, key = _rotate(query, cos, sin), _rotate(key, cos, sin)
        scores = query @ key.swapaxes(-1, -2) / np.float32(math.sqrt(self._head_size))
        scores += np.triu(np.full((length, length), -np.inf, np.float32), k=1)
        scores -= scores.max(axis=-1, keepdims=True)
        weights = np.exp(scores)
        weights /= weights.sum(axis=-1, keepdims=True)
        context = weights @ value
        joined: Floats = context.swapaxes(1, 2).reshape(batch, length, -1)
        return joined

    def _rotation(self, length: int) -> tuple[Floats, Floats]:
        """Cosines and sines [T, R/2] of the rotary embedding, in float32 as the models have it."""
        width = self.files.size("rotary_embedding")
        base = np.float32(self.files.number("rotary_base", 10000.0))
        exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
        angles = np.outer(np.arange(length, dtype=np.float32), np.float32(1) / base**exponents)
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def _feed_forward(self, x: Floats, layer: str) -> Floats:
        """Sum over ranks of each one's units, without the output bias: [B, T, E]."""
        total = np.zeros_like(x)
        for rank in range(self._ranks):
            inner = x @ self.files.read(f"{layer}.mlp.dense_h_to_4h.weight", rank)
            inner += self.files.read(f"{layer}.mlp.dense_h_to_4h.bias", rank)
            total += self._activation(inner) @ self.files.read(
                f"{layer}.mlp.dense_4h_to_h.weight", rank
            )
        return total


def _rotate(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Rotate pairs (i, i + R/2) of the first R dimensions of [B, h, T, D]; the rest passes."""
    half = cos.shape[1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    turned = (first * cos - second * sin, second * cos + first * sin, rest)
    joined: Floats = np.concatenate(turned, axis=-1)
    return joined


def gelu_tanh(x: Floats) -> Floats:
    """GELU by its tanh approximation, the one compiled into the runtime."""
    inner = np.float32(math.sqrt(2.0 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(np.float32(0.5) * x * (np.float32(1.0) + np.tanh(inner)), dtype=np.float32)


def gelu_erf(x: Floats) -> Floats:
    """GELU by the error function."""
    share = np.float32(1.0) + erf(x * np.float32(math.sqrt(0.5)))
    return np.asarray(np.float32(0.5) * x * share, dtype=np.float32)


_ERF_STEP = 1.0 / 64.0
_ERF_END = 4.0  # erf is 1 in float32 from here on
_ERF_NODES: npt.NDArray[np.float64] = np.arange(0.0, _ERF_END + _ERF_STEP, _ERF_STEP)
_ERF_TABLE: npt.NDArray[Any] = np.array([math.erf(node) for node in _ERF_NODES])
_ERF_SLOPES: npt.NDArray[Any] = 2.0 / math.sqrt(math.pi) * np.exp(-np.square(_ERF_NODES))


def erf(x: Floats) -> Floats:
    """The error function, within one unit in float32's last place.

    numpy has none. A third-order Taylor step from the nearest of 257 tabulated points leaves a
    remainder below 1e-9: derivatives of erf at a are s, -2as and (4a^2 - 2)s with
    s = 2/sqrt(pi) exp(-a^2).
    """
    size = np.minimum(np.abs(x).astype(np.float64), _ERF_END)
    index = np.rint(size / _ERF_STEP).astype(np.intp)
    node = _ERF_NODES[index]
    h = size - node
    series = 1.0 - h * node + h * h * (4.0 * node * node - 2.0) / 6.0
    value = np.asarray(_ERF_TABLE[index] + _ERF_SLOPES[index] * h * series, dtype=np.float32)
    return np.asarray(np.copysign(value, x), dtype=np.float32)


def greedy_tokens(interpreter: FtInterpreter, prompt: list[int], num_tokens: int) -> list[int]:
    """The most likely continuation, one token after another, without a cache.

    Raises:
        ParityError: logits are not finite.
    """
    ids = list(prompt)
    for _ in range(num_tokens):
        hidden = interpreter.final_hidden(np.array([ids], dtype=np.int64))
        scores = interpreter.project(hidden[0, -1])
        if not np.isfinite(scores).all():
            raise ParityError(f"{interpreter.files.path}: logits are not finite")
        ids.append(int(np.argmax(scores)))
    return ids[len(prompt) :]
