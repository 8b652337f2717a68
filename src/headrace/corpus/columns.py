"""Arrow columns straight from, and to, plain buffers.

Arrow's own conversions (`pa.array` of a list, `to_numpy`) import pandas wherever it is installed,
which costs each process 0.2 to 0.4 s; these do not, and copy each value once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class TextColumn:
    """A column of strings in Arrow's own layout; at most 2 GiB, which is two shards' limit."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("i", [0])

    @classmethod
    def of(cls, texts: Iterable[str]) -> pa.Array:
        """The column of some texts."""
        column = cls()
        for text in texts:
            column.append(text.encode("utf-8"))
        return column.to_array()

    def append(self, utf8: bytes) -> None:
        """Add a text."""
        self._data += utf8
        self._ends.append(len(self._data))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @property
    def num_bytes(self) -> int:
        """Bytes of all texts."""
        return len(self._data)

    def to_array(self) -> pa.Array:
        """The column; nothing may be added any more."""
        buffers = [None, pa.py_buffer(self._ends), pa.py_buffer(self._data)]
        return pa.Array.from_buffers(pa.string(), len(self), buffers)


def integer_column(values: Iterable[int]) -> pa.Array:
    """A column of int64."""
    numbers = values if isinstance(values, array) else array("q", values)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def small_integer_column(values: Iterable[int]) -> pa.Array:
    """A column of int32."""
    numbers = array("i", values)
    return pa.Array.from_buffers(pa.int32(), len(numbers), [None, pa.py_buffer(numbers)])


def integer_values(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    """The values of a column of int64 without nulls, shape [n].

    Arrow's own `to_numpy` imports pandas wherever it is installed (0.2 to 0.4 s).
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    parts = [
        np.frombuffer(chunk.buffers()[1], np.int64, len(chunk), 8 * chunk.offset)
        for chunk in chunks
        if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
