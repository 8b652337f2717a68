"""A FasterTransformer directory as a torch model with a key/value cache.

Copied beside `model.py` into a Triton repository, so it imports torch, numpy and the standard
library only and runs under numpy 1 and 2. It reads `config.ini` and the `.bin` files by itself: it
shares nothing with the exporter or the interpreter. Ranks are joined at load. Weights are computed
in float32 on a CPU whatever their file type, in the file's type on a GPU.

Cost: one pass over the prompts, then one position a token; cache 2*L*B*E*T floats.
"""

from __future__ import annotations

import configparser
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

NEOX_EPS = 1e-5
GPT_EPS = 1e-6
_ERF_ACTIVATIONS = ("gelu", "gelu_python")
_FILE_TYPES: dict[str, np.dtype[Any]] = {"fp32": np.dtype("<f4"), "fp16": np.dtype("<f2")}


class ExportError(Exception):
    """The directory is no export that this model can run."""


@dataclass(frozen=True)
class FtConfig:
    """What `config.ini` says; see docs/formats.md."""

    family: str
    num_heads: int
    head_size: int
    inter_size: int
    num_layers: int
    vocab_size: int
    start_id: int
    end_id: int
    dtype: str
    num_ranks: int
    rotary_size: int
    rotary_base: float
    parallel_residual: bool
    max_positions: int | None
    layernorm_eps: float
    exact_gelu: bool

    @property
    def hidden_size(self) -> int:
        """Width of the residual stream."""
        return self.num_heads * self.head_size


def read_config(directory: Path) -> FtConfig:
    """Read `config.ini` of an `<n>-gpu` directory.

    Raises:
        ExportError: it is missing, or lacks a key.
    """
    parser = configparser.ConfigParser(interpolation=None)
    if not parser.read(directory / "config.ini"):
        raise ExportError(f"{directory}: config.ini was expected; there is none")
    families = [name for name in ("gptneox", "gpt") if parser.has_section(name)]
    if len(families) != 1:
        raise ExportError(f"{directory}/config.ini: one section [gptneox] or [gpt] was expected")
    family = families[0]
    values = parser[family]
    neox = family == "gptneox"
    try:
        positions = values.get("max_pos_seq_len")
        return FtConfig(
            family=family,
            num_heads=int(values["head_num"]),
            head_size=int(values["size_per_head"]),
            inter_size=int(values["inter_size"]),
            num_layers=int(values["num_layer"]),
            vocab_size=int(values["vocab_size"]),
            start_id=int(values["start_id"]),
            end_id=int(values["end_id"]),
            dtype=values["weight_data_type"],
            num_ranks=int(directory.name.removesuffix("-gpu")),
            rotary_size=int(values["rotary_embedding"]) if neox else 0,
            rotary_base=float(values.get("rotary_base", "10000")),
            parallel_residual=neox and values.get("use_gptj_residual", "1") == "1",
            max_positions=int(positions) if positions else None,
            layernorm_eps=NEOX_EPS if neox else float(values.get("layernorm_eps", GPT_EPS)),
            exact_gelu=values.get("hidden_act", "gelu" if neox else "gelu_new") in _ERF_ACTIVATIONS,
        )
    except (KeyError, ValueError) as error:
        raise ExportError(f"{directory}/config.ini: {error!r}") from None


class Cache:
    """Keys and values of all positions so far: per layer [B, H, S, D] each."""

    def __init__(self, config: FtConfig, num_prompts: int, num_slots: int, like: torch.Tensor):
        shape = (config.num_layers, 2, num_prompts, config.num_heads, num_slots, config.head_size)
        self.values = torch.zeros(shape, dtype=like.dtype, device=like.device)


class FtModel:
    """Runs an export.

    Args:
        directory: `<n>-gpu`.
        device: torch device.

    Raises:
        ExportError: a file is missing or has another size than config.ini demands.
    """

    def __init__(self, directory: Path, device: str = "cpu") -> None:
        self.config = read_config(directory)
        self.device = torch.device(device)
        self._directory = directory
        if self.config.dtype not in _FILE_TYPES:
            raise ExportError(f"{directory}: weight_data_type {self.config.dtype} is not read")
        hidden, vocab = self.config.hidden_size, self.config.vocab_size
        self._wte = self._read("wte", vocab, hidden)
        self._norm = self._read_norm("final_layernorm")
        head = directory / "model.lm_head.weight.bin"
        has_head = self.config.family == "gptneox" or head.exists()
        self._head = self._read("lm_head.weight", vocab, hidden) if has_head else self._wte
        self._wpe: torch.Tensor | None = None
        if self.config.family == "gpt":
            self._wpe = self._read("wpe", self.config.max_positions or 0, hidden)
        self._layers = [self._read_layer(index) for index in range(self.config.num_layers)]
        rotary = max(self.config.rotary_size, 2)
        exponents = torch.arange(0, rotary, 2, dtype=torch.float64) / rotary
        self._frequencies = (self.config.rotary_base**-exponents).to(torch.float32).to(self.device)

    def _read(self, name: str, *shape: int) -> torch.Tensor:
        path = self._directory / f"model.{name}.bin"
        file_type = _FILE_TYPES[self.config.dtype]
        num_bytes = math.prod(shape) * file_type.itemsize
        if not path.exists() or path.stat().st_size != num_bytes:
            found = f"{path.stat().st_size} bytes" if path.exists() else "no file"
            raise ExportError(f"{path}: {num_bytes} bytes were expected, found {found}")
        array = np.fromfile(path, file_type).reshape(shape)
        tensor = torch.from_numpy(array)
        return tensor.to(self.device, None if self.device.type == "cuda" else torch.float32)

    def _read_norm(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.config.hidden_size
        return self._read(f"{name}.weight", hidden), self._read(f"{name}.bias", hidden)

    def _ranks(self, name: str, *shape: int, axis: int) -> torch.Tensor:
        """All ranks' pieces of one tensor, joined on the axis that was split."""
        parts = [self._read(f"{name}.{rank}", *shape) for rank in range(self.config.num_ranks)]
        return torch.cat(parts, dim=axis)

    def _read_layer(self, index: int) -> dict[str, torch.Tensor]:
        config, at = self.config, f"layers.{index}"
        hidden, ranks = config.hidden_size, config.num_ranks
        inner = config.inter_size // ranks
        part = hidden // ranks
        qkv, up = f"{at}.attention.query_key_value", f"{at}.mlp.dense_h_to_4h"
        dense, down = f"{at}.attention.dense", f"{at}.mlp.dense_4h_to_h"
        layer = {
            "qkv": self._ranks(f"{qkv}.weight", hidden, 3, part, axis=2),
            "qkv_bias": self._ranks(f"{qkv}.bias", 3, part, axis=1),
            "dense": self._ranks(f"{dense}.weight", part, hidden, axis=0),
            "up": self._ranks(f"{up}.weight", hidden, inner, axis=1),
            "up_bias": self._ranks(f"{up}.bias", inner, axis=0),
            "down": self._ranks(f"{down}.weight", inner, hidden, axis=0),
        }
        for name in ("input_layernorm", "post_attention_layernorm"):
            layer[name], layer[f"{name}.bias"] = self._read_norm(f"{at}.{name}")
        if config.parallel_residual:
            # Each rank adds this sum before the runtime's all-reduce.
            layer["sum_bias"] = self._read(f"{at}.mlp.attention.bias.sum", hidden) * ranks
        else:
            layer["dense_bias"] = self._read(f"{dense}.bias", hidden)
            layer["down_bias"] = self._read(f"{down}.bias", hidden)
        return layer

    def new_cache(self, num_prompts: int, num_slots: int) -> Cache:
        """An empty cache for `num_slots` positions of each prompt."""
        return Cache(self.config, num_prompts, num_slots, self._wte)

    @torch.inference_mode()
    def forward(self, ids: torch.Tensor, positions: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Hidden states after the final norm, [B, T, E], of tokens at given positions.

        Args:
            ids: int64 [B, T].
            positions: int64 [B, T]; token t of prompt b is put into that slot of the cache and
                sees every slot up to it.
            cache: filled up to here; extended in place.
        """
        x = self._wte[ids]
        if self._wpe is not None:
            x = x + self._wpe[positions]
        slots = torch.arange(cache.values.shape[4], device=self.device)
        visible = slots[None, None, None, :] <= positions[:, None, :, None]
        for index, layer in enumerate(self._layers):
            attended = self._attend(self._normed(x, layer, "input_layernorm"), layer, positions,
                                    visible, cache.values[index])  # fmt: skip
            if self.config.parallel_residual:
                mixed = self._feed(self._normed(x, layer, "post_attention_layernorm"), layer)
                x = x + attended + mixed + layer["sum_bias"]
            else:
                x = x + attended + layer["dense_bias"]
                mixed = self._feed(self._normed(x, layer, "post_attention_layernorm"), layer)
                x = x + mixed + layer["down_bias"]
        return functional.layer_norm(
            x, (x.shape[-1],), self._norm[0], self._norm[1], self.config.layernorm_eps
        )

    @torch.inference_mode()
    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """Next-token scores in float32, [..., V], of hidden states [..., E]."""
        return functional.linear(hidden, self._head).float()

    def _normed(self, x: torch.Tensor, layer: dict[str, torch.Tensor], name: str) -> torch.Tensor:
        return functional.layer_norm(
            x, (x.shape[-1],), layer[name], layer[f"{name}.bias"], self.config.layernorm_eps
        )

    def _feed(self, x: torch.Tensor, layer: dict[str, torch.Tensor]) -> torch.Tensor:
        kind = "none" if self.config.exact_gelu else "tanh"
        inner = functional.gelu(x @ layer["up"] + layer["up_bias"], approximate=kind)
        return inner @ layer["down"]

    def _attend(
        self,
        x: torch.Tensor,
        layer: dict[str, torch.Tensor],
        positions: torch.Tensor,
        visible: torch.Tensor,
        cache: torch.Tensor,
    ) -> torch.Tensor:
        num_prompts, num_tokens, hidden = x.shape
        heads, size = self.config.num_heads, self.config.head_size
        fused = torch.einsum("bte,ekn->btkn", x, layer["qkv"]) + layer["qkv_bias"]
        query, key, value = fused.view(num_prompts, num_tokens, 3, heads, size).unbind(2)
        if self.config.rotary_size:
            query, key = self._rotate(query, positions), self._rotate(key, positions)
        rows = torch.arange(num_prompts, device=self.device)[:, None]
        # Advanced indices around a slice put [B, T] first: [B, T, H, D], as key and value are.
        cache[0][rows, :, positions] = key
        cache[1][rows, :, positions] = value
        scores = query.transpose(1, 2) @ cache[0].transpose(2, 3) / math.sqrt(size)
        weights = scores.float().masked_fill(~visible, -math.inf).softmax(-1).to(x.dtype)
        mixed = (weights @ cache[1]).transpose(1, 2).reshape(num_prompts, num_tokens, hidden)
        return mixed @ layer["dense"]

    def _rotate(self, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """NeoX rotary on the first `rotary_size` entries of each head: pairs (i, i + R/2)."""
        size = self.config.rotary_size
        angles = positions[:, :, None, None].float() * self._frequencies
        cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        first, second, rest = x[..., : size // 2], x[..., size // 2 : size], x[..., size:]
        turned = (first * cosine - second * sine, second * cosine + first * sine, rest)
        return torch.cat(turned, dim=-1)
