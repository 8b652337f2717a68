"""Batches of token blocks: memory-mapped gathers in an order that can be resumed anywhere.

Order: sample s of the run is position s % n of epoch s // n, and each epoch is a seeded permutation
of the n blocks, computed position by position: a Feistel network of 8 rounds over the next power of
four (M. Luby, C. Rackoff 1988; its round function is the 64-bit finaliser of D. Stafford's mixers),
walked until it lands inside n. So resuming after any number of samples costs nothing, no
permutation is held in memory, and the order depends on no library's random generator. The last
batch of an epoch runs over into the next.

Gathering copies only the rows asked for, out of the page cache, as int64.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.artifacts import Artifact
from headrace.encoding.arrow_dataset import COLUMN
from headrace.errors import ConfigError, CorruptInputError, MissingInputError

_NUM_ROUNDS = 8
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1

Indices = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]


class BlockReader:
    """Random access to the blocks of one split.

    Args:
        artifact: output of the blocks stage.
        split: "train", "valid" or "test".

    Raises:
        MissingInputError: the artifact has no such split.
        CorruptInputError: a shard cannot be read.
    """

    def __init__(self, artifact: Artifact, split: str) -> None:
        paths = artifact.files(f"{split}/data-*.arrow")
        if not paths:
            there = {path.parent.name for path in artifact.files("*/data-*.arrow")}
            raise MissingInputError(
                f"{artifact.path}: blocks of split {split!r} were expected; it has "
                f"{sorted(there)}: give the split a weight above 0 in the splits stage"
            )
        # The maps must live as long as the views into them.
        self._maps: list[pa.MemoryMappedFile] = []
        self._parts: list[npt.NDArray[np.uint16] | npt.NDArray[np.int32]] = []
        self.seq_len = 0
        for path in paths:
            self._open(path)
        lengths = [len(part) for part in self._parts]
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)

    def _open(self, path: Path) -> None:
        try:
            mapped = pa.memory_map(str(path))
            with pa.ipc.open_stream(mapped) as reader:
                kind = reader.schema.field(COLUMN).type
                self.seq_len = int(kind.list_size)
                for batch in reader:
                    # flatten() honours the batch's offset, and copies nothing.
                    values = batch.column(0).flatten().to_numpy(zero_copy_only=True)
                    self._parts.append(values.reshape(-1, self.seq_len))
        except (pa.ArrowException, OSError, KeyError, AttributeError) as error:
            raise CorruptInputError(
                f"{path}: an Arrow stream of {COLUMN} blocks was expected; {error}: run `headrace "
                "verify --full`, then the pipeline again"
            ) from None
        self._maps.append(mapped)

    def __len__(self) -> int:
        """Number of blocks."""
        return int(self._starts[-1])

    def gather(self, indices: npt.ArrayLike) -> Indices:
        """Copy blocks out.

        Args:
            indices: block numbers, shape [n], each in [0, len(self)).

        Returns:
            Token ids, shape [n, seq_len], int64.

        Raises:
            IndexError: a number is outside.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"blocks {wanted.min()}..{wanted.max()} of {len(self)}")
        blocks = np.empty((len(wanted), self.seq_len), dtype=np.int64)
        owners = np.searchsorted(self._starts, wanted, side="right") - 1
        for owner in np.unique(owners):
            rows = np.flatnonzero(owners == owner)
            blocks[rows] = self._parts[owner][wanted[rows] - self._starts[owner]]
        return blocks


def _mix(words: _Words) -> _Words:
    """A bijection of 64-bit words that spreads every bit over all others."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def permute(positions: Indices, num_items: int, seed: int, epochs: Indices) -> Indices:
    """Where each position of an epoch's permutation points.

    Args:
        positions: shape [n], each in [0, num_items).
        num_items: size of the permutation.
        seed: any integer.
        epochs: the epoch of each position, shape [n].

    Returns:
        Shape [n], int64, each in [0, num_items); for one epoch all positions give all items.
    """
    half_bits = max(1, (max(num_items - 1, 1).bit_length() + 1) // 2)
    half = np.uint64(half_bits)
    mask = np.uint64((1 << half_bits) - 1)
    base = np.uint64((seed * _GOLDEN) & _MASK)
    keys = _mix(base + _mix(epochs.astype(np.uint64) + np.uint64(1)))
    words = positions.astype(np.uint64)
    is_outside = np.ones(len(words), dtype=bool)
    while is_outside.any():
        left, right = words[is_outside] >> half, words[is_outside] & mask
        for number in range(1, _NUM_ROUNDS + 1):
            salt = np.uint64((number * _GOLDEN) & _MASK)
            left, right = right, left ^ (_mix(_mix(right + salt) + keys[is_outside]) & mask)
        words[is_outside] = (left << half) | right
        is_outside = words >= np.uint64(num_items)
    return words.astype(np.int64)


class BatchSampler:
    """The order in which a run sees its blocks, over any number of epochs.

    Args:
        num_blocks: blocks of the train split.
        global_batch_size: blocks in one batch over all ranks.
        seed: decides the order.

    Raises:
        ConfigError: there are no blocks, or the batch is empty.
    """

    def __init__(self, num_blocks: int, global_batch_size: int, seed: int) -> None:
        if num_blocks < 1 or global_batch_size < 1:
            raise ConfigError(
                f"batches: at least one block and a global_batch_size of 1 are needed; found "
                f"{num_blocks} blocks and global_batch_size={global_batch_size}"
            )
        self.num_blocks = num_blocks
        self.global_batch_size = global_batch_size
        self.seed = seed

    def indices(self, consumed_samples: int, count: int) -> Indices:
        """Block numbers of the `count` samples that follow the first `consumed_samples`.

        Returns:
            Shape [count], int64. The same whatever way one came here.
        """
        samples = np.arange(consumed_samples, consumed_samples + count, dtype=np.int64)
        return permute(
            samples % self.num_blocks, self.num_blocks, self.seed, samples // self.num_blocks
        )

    def batch(self, consumed_samples: int) -> Indices:
        """Block numbers of the next global batch, shape [global_batch_size]."""
        return self.indices(consumed_samples, self.global_batch_size)
