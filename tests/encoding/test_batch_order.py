"""Batches: gathers, and an order that can be taken up anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.encoding import arrow_dataset
from headrace.encoding.batches import BatchSampler, BlockReader, permute
from headrace.errors import ConfigError, CorruptInputError


class Directory:
    """As much of an artifact as the reader asks for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self, pattern: str = "*") -> list[Path]:
        return sorted(self.path.glob(pattern))


def test_gather_over_shards_and_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_dataset, "BATCH_ROWS", 3)
    values = np.arange(20 * 4, dtype=np.uint16).reshape(20, 4)
    for number, (start, end) in enumerate([(0, 7), (7, 7), (7, 8), (8, 20)]):
        path = tmp_path / f"train/data-{number:05d}-of-00004.arrow"
        arrow_dataset.write_blocks_file(path, values[start:end], "uint16")
    reader = BlockReader(Directory(tmp_path), "train")
    assert (len(reader), reader.seq_len) == (20, 4)
    wanted = np.random.default_rng(0).integers(0, 20, 50)
    found = reader.gather(wanted)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, values[wanted])
    assert reader.gather([]).shape == (0, 4)
    for outside in ([-1], [20]):
        with pytest.raises(IndexError):
            reader.gather(outside)


def test_truncated_shard_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "train/data-00000-of-00001.arrow"
    arrow_dataset.write_blocks_file(path, np.ones((100, 8), np.uint16), "uint16")
    for content in (path.read_bytes()[:900], b"", b"hello world, no arrow"):
        path.write_bytes(content)
        with pytest.raises(CorruptInputError, match="data-00000"):
            BlockReader(Directory(tmp_path), "train")


@given(st.integers(1, 700), st.integers(-5, 2**70), st.integers(0, 2**40))
def test_each_epoch_is_a_permutation(num_items: int, seed: int, epoch: int) -> None:
    found = permute(np.arange(num_items), num_items, seed, np.full(num_items, epoch))
    assert sorted(found.tolist()) == list(range(num_items))


def test_epochs_and_seeds_differ() -> None:
    orders = {
        tuple(BatchSampler(100, 4, seed).indices(epoch * 100, 100).tolist())
        for seed in (0, 1, 1234)
        for epoch in range(5)
    }
    assert len(orders) == 15


@given(st.integers(1, 50), st.integers(1, 9), st.integers(0, 300))
def test_resuming_anywhere_gives_the_same_order(
    num_blocks: int, batch_size: int, consumed: int
) -> None:
    sampler = BatchSampler(num_blocks, batch_size, seed=7)
    whole = sampler.indices(0, 320)
    np.testing.assert_array_equal(
        sampler.batch(consumed), BatchSampler(num_blocks, batch_size, 7).indices(0, 400)[consumed:][
            :batch_size
        ]
    )  # fmt: skip
    for epoch in range(320 // num_blocks):
        part = whole[epoch * num_blocks : (epoch + 1) * num_blocks]
        assert len(set(part.tolist())) == num_blocks


def test_order_is_spread_evenly() -> None:
    """Each item is at each position about equally often (chi-square, 5 sigma)."""
    num_items, num_epochs = 10, 4000
    counts = np.zeros((num_items, num_items))
    order = BatchSampler(num_items, 1, seed=3).indices(0, num_items * num_epochs)
    for position in range(num_items):
        counts[position] = np.bincount(order[position::num_items], minlength=num_items)
    expected = num_epochs / num_items
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = (num_items - 1) ** 2
    assert abs(chi_square - freedom) < 5 * np.sqrt(2 * freedom)


def test_order_is_part_of_the_contract() -> None:
    """Golden: another order would change every resumed run."""
    assert BatchSampler(10, 4, seed=1234).indices(0, 12).tolist() == GOLDEN


GOLDEN = [0, 2, 4, 5, 6, 1, 8, 7, 3, 9, 1, 3]


@pytest.mark.parametrize(("num_blocks", "batch_size"), [(0, 1), (5, 0)])
def test_empty_batches_are_refused(num_blocks: int, batch_size: int) -> None:
    with pytest.raises(ConfigError):
        BatchSampler(num_blocks, batch_size, seed=0)
