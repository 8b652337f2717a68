"""Hugging Face's on-disk dataset format, written without the `datasets` library.

A split is a directory of Arrow *stream* files with `state.json` and `dataset_info.json`; a
dictionary of splits adds `dataset_dict.json`. The one column is `input_ids`, FixedSizeList of
uint16 or int32: 2 or 4 bytes a token and nothing else. Modelled on what `datasets` 5.2 writes
(`Dataset.save_to_disk`), which opens it with `load_from_disk`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

COLUMN = "input_ids"
# Rows in a record batch: fixed, since it shows in the bytes. 1024 x 1024 tokens x 2 B = 2 MiB.
BATCH_ROWS = 1024
DATASET_DICT_NAME = "dataset_dict.json"


def shard_name(number: int, num_shards: int) -> str:
    """The name `datasets` gives a shard."""
    return f"data-{number:05d}-of-{num_shards:05d}.arrow"


def features(seq_len: int, dtype: str) -> dict[str, Any]:
    """The column's type in the words of `datasets`."""
    value = {"dtype": dtype, "_type": "Value"}
    return {COLUMN: {"feature": value, "length": seq_len, "_type": "List"}}


def blocks_schema(seq_len: int, dtype: str) -> pa.Schema:
    """Arrow schema of a shard, with the metadata that tells `datasets` its features."""
    metadata = json.dumps({"info": {"features": features(seq_len, dtype)}})
    kind = pa.list_(pa.field("item", pa.type_for_alias(dtype)), seq_len)
    return pa.schema([pa.field(COLUMN, kind)], metadata={"huggingface": metadata})


def write_blocks_file(path: Path, blocks: npt.NDArray[np.integer[Any]], dtype: str) -> None:
    """Write one shard.

    Args:
        path: the file.
        blocks: token ids, shape [num_blocks, seq_len]; num_blocks may be 0.
        dtype: "uint16" or "int32".
    """
    seq_len = blocks.shape[1]
    schema = blocks_schema(seq_len, dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for start in range(0, len(blocks), BATCH_ROWS):
            part = blocks[start : start + BATCH_ROWS].astype(dtype, copy=False)
            values = pa.array(part.reshape(-1), type=pa.type_for_alias(dtype))
            column = pa.FixedSizeListArray.from_arrays(values, type=schema.field(0).type)
            writer.write_batch(pa.record_batch([column], schema=schema))


def dataset_info(seq_len: int, dtype: str) -> bytes:
    """Content of a split's `dataset_info.json`."""
    info = {
        "citation": "",
        "description": "",
        "features": features(seq_len, dtype),
        "homepage": "",
        "license": "",
    }
    # Not sorted below the first level: the order of features is the order of columns.
    return json.dumps(info, indent=2).encode()


def dataset_state(split: str, shard_names: Sequence[str], shard_digests: Sequence[str]) -> bytes:
    """Content of a split's `state.json`; the fingerprint follows from the shards' sha256."""
    fingerprint = hashlib.sha256(" ".join([split, *shard_digests]).encode()).hexdigest()[:16]
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in shard_names],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": split,
    }
    return json.dumps(state, indent=2, sort_keys=True).encode()


def dataset_dict(splits: Sequence[str]) -> bytes:
    """Content of `dataset_dict.json`."""
    return json.dumps({"splits": list(splits)}).encode()
