"""Token ids to try a model with: windows of held-out blocks, and random ones.

Blocks are Arrow files as `datasets.save_to_disk` writes them (an IPC stream with one column
`input_ids`); they are mapped, not loaded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from headrace.errors import ConfigError, CorruptInputError, MissingInputError

Ids = npt.NDArray[np.int64]


def held_out_windows(
    blocks_dir: Path,
    *,
    splits: tuple[str, ...],
    num_windows: int,
    length: int,
    shorten: bool = False,
) -> Ids:
    """Evenly spaced windows of held-out blocks.

    Where there are fewer blocks than windows, blocks are used again from other offsets.

    Args:
        blocks_dir: a DatasetDict directory.
        splits: names of the splits to draw from, in this order.
        num_windows: rows wanted.
        length: tokens in a row.
        shorten: take whole blocks where they are shorter than that.

    Returns:
        int64 [num_windows, length].

    Raises:
        MissingInputError: none of the splits holds a block.
        ConfigError: blocks are shorter than `length`.
        CorruptInputError: a file is not an Arrow stream with a column `input_ids`.
    """
    tables = [_read_split(blocks_dir, split) for split in splits]
    tables = [table for table in tables if table.size]
    if not tables:
        raise MissingInputError(
            f"{blocks_dir}: blocks of the splits {', '.join(splits)} were expected; there are none"
        )
    table = np.concatenate(tables)
    num_blocks, seq_len = table.shape
    if shorten:
        length = min(length, seq_len)
    if seq_len < length:
        raise ConfigError(
            f"{length} tokens a prompt were asked for, but blocks have {seq_len}: ask for fewer"
        )
    rounds = -(-num_windows // num_blocks)
    windows = []
    for number in range(num_windows):
        if rounds == 1:
            block, offset = number * num_blocks // num_windows, 0
        else:
            block = number % num_blocks
            offset = (number // num_blocks) * (seq_len - length) // max(rounds - 1, 1)
        windows.append(table[block, offset : offset + length])
    return np.stack(windows)


def _read_split(blocks_dir: Path, split: str) -> Ids:
    """All blocks of a split: int64 [num_blocks, seq_len]; [0, 0] without such a split."""
    import pyarrow as pa

    parts = []
    for path in sorted((blocks_dir / split).glob("*.arrow")):
        try:
            with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
                column = reader.read_all().column("input_ids").combine_chunks()
                flat = column.flatten().to_numpy(zero_copy_only=False)
                if len(column):
                    parts.append(flat.reshape(len(column), -1).astype(np.int64))
        except (pa.ArrowInvalid, KeyError, ValueError) as error:
            raise CorruptInputError(
                f"{path}: an Arrow stream with a column input_ids was expected: {error}"
            ) from None
    widths = {part.shape[1] for part in parts}
    if len(widths) > 1:
        raise CorruptInputError(f"{blocks_dir / split}: blocks of several lengths {sorted(widths)}")
    return np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.int64)


def random_windows(*, num_windows: int, length: int, vocab_size: int, seed: int) -> Ids:
    """Seeded uniform ids, int64 [num_windows, length]: they reach rows that text rarely does."""
    return np.random.default_rng(seed).integers(
        0, vocab_size, size=(num_windows, length), dtype=np.int64
    )
