"""Reading HF checkpoints: shards, types, damage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headrace.errors import ConversionError, CorruptInputError, MissingInputError
from headrace.export.checkpoint import Checkpoint
from tests.export.models import load_tensors, save_model


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    directory = save_model("neox-parallel-rotary-0.25", tmp_path / "sharded", max_shard_size="60KB")
    assert len(list(directory.glob("model-*.safetensors"))) > 2
    return directory


def edit_index(directory: Path, **changes: str) -> None:
    path = directory / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"].update({key.replace("__", "."): value for key, value in changes.items()})
    path.write_text(json.dumps(index))


def test_shards_read_like_one_file(sharded: Path, tmp_path: Path) -> None:
    whole = load_tensors(save_model("neox-parallel-rotary-0.25", tmp_path / "whole"))
    checkpoint = Checkpoint(sharded)
    assert checkpoint.shapes.keys() == whole.keys()
    assert all(np.array_equal(checkpoint.read(name), value) for name, value in whole.items())


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "/etc/passwd", "sub/x.safetensors", ".."]
)
def test_index_that_leads_outside_is_refused(sharded: Path, name: str) -> None:
    edit_index(sharded, embed_out__weight=name)
    with pytest.raises(ConversionError, match="out of its directory"):
        Checkpoint(sharded)


def test_missing_shards_are_all_named(sharded: Path) -> None:
    gone = sorted(sharded.glob("model-*.safetensors"))[:2]
    for path in gone:
        path.unlink()
    with pytest.raises(ConversionError) as caught:
        Checkpoint(sharded)
    assert all(path.name in str(caught.value) for path in gone)


def test_tensor_not_in_its_shard_is_named(sharded: Path) -> None:
    first, second = sorted(path.name for path in sharded.glob("model-*.safetensors"))[:2]
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    name = next(key for key, value in index["weight_map"].items() if value == first)
    edit_index(sharded, **{name: second})
    with pytest.raises(ConversionError) as caught:
        Checkpoint(sharded)
    assert name in str(caught.value)


def test_bfloat16_and_float16_are_widened_exactly(tmp_path: Path) -> None:
    import torch

    for dtype in (torch.bfloat16, torch.float16):
        directory = save_model("gpt2", tmp_path / str(dtype), dtype=dtype)
        fp32 = load_tensors(save_model("gpt2", tmp_path / f"{dtype}-fp32"))
        checkpoint = Checkpoint(directory)
        for name, value in fp32.items():
            expected = torch.from_numpy(value).to(dtype).float().numpy()
            assert np.array_equal(checkpoint.read(name), expected), name


def test_cut_file_is_corrupt(tmp_path: Path) -> None:
    directory = save_model("gpt2", tmp_path / "m")
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorruptInputError, match=r"model\.safetensors"):
        Checkpoint(directory)


def test_other_weight_formats_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(MissingInputError, match="safetensors"):
        Checkpoint(tmp_path)
    with pytest.raises(MissingInputError, match=r"config\.json"):
        Checkpoint(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["[1]", "{", ""])
def test_config_that_is_no_object_is_corrupt(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CorruptInputError):
        Checkpoint(tmp_path)
