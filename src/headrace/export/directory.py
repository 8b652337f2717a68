"""The files of a FasterTransformer directory: which must be there, how large, and reading them.

Used by the interpreter only. What the writer knows about names and shapes is not asked: both are
derived here from `config.ini` alone, as the C++ runtime derives them.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.errors import ParityError

Floats = npt.NDArray[np.float32]
Shape = tuple[int, ...]

CONFIG_NAME = "config.ini"
_READ_FLOATS = 1 << 22  # values checked for finiteness at a time, 16 MiB of float32


class FtDirectory:
    """Typed access to `config.ini` and the weight files of `<n>-gpu`.

    Args:
        path: the directory; its name tells the number of ranks.

    Raises:
        ParityError: config.ini is missing or lacks a key, or the name tells no number of ranks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        name = re.fullmatch(r"([1-9][0-9]*)-gpu", path.name)
        if name is None:
            raise ParityError(f"{path}: a directory named <n>-gpu was expected")
        self.num_ranks = int(name[1])
        self._keys = self._read_config()
        self._dtype: np.dtype[Any] = self._stored_type()
        self.has_head = self.section == "gptneox" or (path / "model.lm_head.weight.bin").exists()
        self._shapes = self._expected_shapes()

    def _read_config(self) -> configparser.SectionProxy:
        parser = configparser.ConfigParser(interpolation=None)
        try:
            text = (self.path / CONFIG_NAME).read_text(encoding="utf-8")
            parser.read_string(text)
        except FileNotFoundError:
            raise ParityError(f"{self.path / CONFIG_NAME}: expected, found no such file") from None
        except (configparser.Error, UnicodeDecodeError) as error:
            raise ParityError(f"{self.path / CONFIG_NAME}: cannot be read: {error!r}") from None
        for section in ("gptneox", "gpt"):
            if section in parser:
                self.section = section
                return parser[section]
        raise ParityError(
            f"{self.path / CONFIG_NAME}: a section [gptneox] or [gpt] was expected, found "
            f"{parser.sections()}"
        )

    def _stored_type(self) -> np.dtype[Any]:
        name = self.text("weight_data_type", "fp32")
        types: dict[str, np.dtype[Any]] = {"fp32": np.dtype("<f4"), "fp16": np.dtype("<f2")}
        if name not in types:
            raise ParityError(
                f"{self.path / CONFIG_NAME}: weight_data_type fp32 or fp16 was expected, "
                f"found {name!r}"
            )
        return types[name]

    def text(self, key: str, default: str) -> str:
        """A key's value as it stands."""
        return str(self._keys.get(key, default))

    def size(self, key: str) -> int:
        """A key that must hold a whole number, 0 or more."""
        value = self._keys.get(key, "")
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise ParityError(
                f"{self.path / CONFIG_NAME}: {key}: a whole number was expected, found {value!r}"
            )
        return int(value)

    def number(self, key: str, default: float) -> float:
        """A key that holds a number."""
        value = self._keys.get(key)
        try:
            return default if value is None else float(value)
        except ValueError:
            raise ParityError(
                f"{self.path / CONFIG_NAME}: {key}: a number was expected, found {value!r}"
            ) from None

    def flag(self, key: str, default: bool) -> bool:
        """A key that holds 0 or 1."""
        return self.size(key) == 1 if key in self._keys else default

    def _expected_shapes(self) -> dict[str, Shape]:
        """File name -> shape of everything that the runtime would load."""
        heads, head_size = self.size("head_num"), self.size("size_per_head")
        inner, width, ranks = self.size("inter_size"), heads * head_size, self.num_ranks
        if ranks < 1 or heads % ranks or inner % ranks or not width:
            raise ParityError(
                f"{self.path}: {heads} heads and {inner} feed-forward units cannot be shared out "
                f"among {ranks} ranks"
            )
        num_files = sum(1 for _ in self.path.iterdir())
        if self.size("num_layer") > num_files:
            raise ParityError(
                f"{self.path}: files of {self.size('num_layer')} layers were expected, found "
                f"{num_files} files in all"
            )
        words = (self.size("vocab_size"), width)
        shapes: dict[str, Shape] = {"model.wte.bin": words}
        if self.section == "gpt":
            shapes["model.wpe.bin"] = (self.size("max_pos_seq_len"), width)
        if self.has_head:
            shapes["model.lm_head.weight.bin"] = words
        vectors = ["final_layernorm.weight", "final_layernorm.bias"]
        for number in range(self.size("num_layer")):
            layer = f"layers.{number}"
            for norm in ("input_layernorm", "post_attention_layernorm"):
                vectors += [f"{layer}.{norm}.weight", f"{layer}.{norm}.bias"]
            vectors += [f"{layer}.attention.dense.bias", f"{layer}.mlp.dense_4h_to_h.bias"]
            if self.section == "gptneox" and self.flag("use_gptj_residual", True):
                vectors.append(f"{layer}.mlp.attention.bias.sum")
            pieces: dict[str, Shape] = {
                "attention.query_key_value.weight": (width, 3, width // ranks),
                "attention.query_key_value.bias": (3, width // ranks),
                "attention.dense.weight": (width // ranks, width),
                "mlp.dense_h_to_4h.weight": (width, inner // ranks),
                "mlp.dense_h_to_4h.bias": (inner // ranks,),
                "mlp.dense_4h_to_h.weight": (inner // ranks, width),
            }
            for key, shape in pieces.items():
                for rank in range(ranks):
                    shapes[f"model.{layer}.{key}.{rank}.bin"] = shape
        shapes.update({f"model.{key}.bin": (width,) for key in vectors})
        return shapes

    def check(self) -> None:
        """Make sure that exactly the expected files are there, whole and finite.

        Raises:
            ParityError: names each file with what was expected and what was found.
        """
        found = {entry.name: entry.stat().st_size for entry in self.path.iterdir()}
        found.pop(CONFIG_NAME, None)
        problems = [
            f"{name}: {self._num_bytes(shape)} bytes ({list(shape)} {self._dtype}) were expected, "
            f"found {'no such file' if name not in found else f'{found[name]} bytes'}"
            for name, shape in self._shapes.items()
            if found.get(name) != self._num_bytes(shape)
        ]
        problems += [f"{name}: not expected" for name in sorted(found.keys() - self._shapes.keys())]
        if not problems:
            problems = [problem for name in self._shapes if (problem := self._not_finite(name))]
        if problems:
            raise ParityError(
                f"{self.path}: {len(problems)} files are not what config.ini asks for: "
                + "; ".join(problems)
            )

    def _num_bytes(self, shape: Shape) -> int:
        total = self._dtype.itemsize
        for size in shape:
            total *= size
        return total

    def _not_finite(self, name: str) -> str:
        values = np.memmap(self.path / name, dtype=self._dtype, mode="r")
        num_bad = 0
        for start in range(0, values.size, _READ_FLOATS):
            piece = values[start : start + _READ_FLOATS]
            num_bad += piece.size - int(np.count_nonzero(np.isfinite(piece)))
        return f"{name}: finite values were expected, {num_bad} are not" if num_bad else ""

    def read(self, key: str, rank: int | None = None) -> Floats:
        """One weight file as float32 in its shape."""
        name = f"model.{key}.bin" if rank is None else f"model.{key}.{rank}.bin"
        values = np.fromfile(self.path / name, dtype=self._dtype)
        shaped: Floats = values.reshape(self._shapes[name]).astype(np.float32, copy=False)
        return shaped
