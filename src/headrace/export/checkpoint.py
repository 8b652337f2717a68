"""A Hugging Face checkpoint directory, read one tensor at a time.

Headers alone are read at the start (a few kilobytes a file); a tensor's bytes are read when it is
asked for, so the peak is one tensor, whatever the size of the model. Only safetensors are opened:
nothing of a checkpoint is ever executed. torch and transformers are not needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from headrace.errors import ConversionError, CorruptInputError, MissingInputError

SINGLE_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"

FloatArray = npt.NDArray[np.float32]

# Source types whose values all fit into float32, which is what conversions compute in.
_FLOAT_TYPES = {"F32": np.float32, "F16": np.float16, "F64": np.float64}


class Checkpoint:
    """The tensors of an HF directory: one `model.safetensors`, or shards with their index.

    Args:
        directory: holds `config.json` and the safetensors files.

    Raises:
        MissingInputError: no config, no weights, or weights only in another format.
        CorruptInputError: a file's header cannot be read.
        ConversionError: the index names files outside the directory, shards that are missing, or
            tensors that its shards do not hold (all of them in one message).
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = read_json_object(directory / "config.json")
        self._files: dict[str, Path] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        single = directory / SINGLE_NAME
        if single.is_file():
            self._add_file(single)
            return
        if not (directory / INDEX_NAME).is_file():
            raise MissingInputError(
                f"{directory}: {SINGLE_NAME} or {INDEX_NAME} was expected; there is neither. "
                "Weights in another format must be saved as safetensors first"
            )
        self._add_indexed(directory / INDEX_NAME)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor, by name."""
        return self._shapes

    def _add_file(self, path: Path) -> None:
        try:
            with safe_open(path, framework="np") as file:
                for name in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    self._shapes[name] = tuple(file.get_slice(name).get_shape())
                    self._files[name] = path
        except (SafetensorError, OSError) as error:
            raise CorruptInputError(
                f"{path}: a whole safetensors file was expected: {error}; fetch or save it again"
            ) from None

    def _add_indexed(self, index: Path) -> None:
        weight_map = read_json_object(index).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise CorruptInputError(f"{index}: a 'weight_map' object was expected; there is none")
        names = sorted({str(value) for value in weight_map.values()})
        outside = [name for name in names if Path(name).name != name or name in ("", ".", "..")]
        if outside:
            raise ConversionError(
                f"{index}: plain file names were expected, found {', '.join(outside)}: an index "
                "may not lead out of its directory"
            )
        missing = [name for name in names if not (self.directory / name).is_file()]
        if missing:
            raise ConversionError(
                f"{index}: {len(missing)} of {len(names)} shards are missing: {', '.join(missing)}"
            )
        for name in names:
            self._add_file(self.directory / name)
        astray = [
            f"{tensor} (in {name})"
            for tensor, name in sorted(weight_map.items())
            if self._files.get(tensor) != self.directory / str(name)
        ]
        if astray:
            raise ConversionError(
                f"{index}: {len(astray)} tensors are not in the shard named for them: "
                f"{', '.join(astray)}"
            )

    def read(self, name: str) -> FloatArray:
        """One tensor as float32, C order; float16, bfloat16 and float32 values are kept exactly.

        Raises:
            ConversionError: it is not of a float type.
            CorruptInputError: its bytes cannot be read.
        """
        path = self._files[name]
        try:
            with safe_open(path, framework="np") as file:
                kind = file.get_slice(name).get_dtype()
                if kind in _FLOAT_TYPES:
                    values = file.get_tensor(name)
                    # A float64 too large for float32 becomes inf, which every caller checks for.
                    with np.errstate(over="ignore"):
                        return np.ascontiguousarray(values, dtype=np.float32)
        except (SafetensorError, OSError) as error:
            raise CorruptInputError(f"{path}: tensor {name} cannot be read: {error}") from None
        if kind == "BF16":
            return self._read_bfloat16(path, name)
        raise ConversionError(
            f"{path}: tensor {name} is of type {kind}; float32, float16, bfloat16 or float64 was "
            "expected. Quantised checkpoints must be expanded first"
        )

    def _read_bfloat16(self, path: Path, name: str) -> FloatArray:
        """Widen bfloat16, which numpy lacks: its bits are the upper half of a float32's."""
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            begin, end = json.loads(file.read(header_bytes))[name]["data_offsets"]
            file.seek(8 + header_bytes + begin)
            raw = file.read(end - begin)
        shape = self._shapes[name]
        if len(raw) != 2 * int(np.prod(shape, dtype=np.int64)):
            raise CorruptInputError(f"{path}: tensor {name} ends early, after {len(raw)} bytes")
        bits = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << 16
        return bits.view(np.float32).reshape(shape)


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a file that must hold one JSON object.

    Raises:
        MissingInputError: there is no such file.
        CorruptInputError: it holds anything else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingInputError(f"{path}: the file was expected; there is none") from None
    except ValueError as error:
        raise CorruptInputError(f"{path}: JSON was expected: {error}") from None
    if not isinstance(value, dict):
        raise CorruptInputError(f"{path}: a JSON object was expected, found {type(value).__name__}")
    return value
