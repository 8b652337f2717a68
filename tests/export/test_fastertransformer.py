"""The writer: byte for byte NVIDIA's where NVIDIA is right, and right elsewhere."""

from __future__ import annotations

import configparser
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.artifacts import Outcome, Runtime, Store
from headrace.errors import ConfigError, ConversionError, StoreError
from headrace.export.fastertransformer import FT_EXPORT, FtExportConfig, export_directory
from tests.conftest import SHARED
from tests.export.models import (
    MAKERS,
    change_config,
    load_tensors,
    raw_artifact,
    save_tensors,
)

GetModel = Callable[[str], Path]
# Written wrongly by NVIDIA's converter; see docs/formats.md.
WRONG_KEYS = {"model_name"}


def goldens() -> Iterator[Any]:
    found = sorted(SHARED.glob("golden/ft/ft/*/*-gpu"))
    for path in found:
        yield pytest.param(path, id=f"{path.parent.name}-{path.name}")
    if not found:
        reason = "needs the reference folder ../shared, which is not beside this checkout"
        yield pytest.param(None, marks=pytest.mark.skip(reason=reason), id="no-goldens")


def read_ini(path: Path) -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.read(path)
    (section,) = parser.sections()
    return {"section": section, **parser[section]}


def piece(directory: Path, key: str, *shape: int, dtype: str = "<f4") -> np.ndarray:
    return np.fromfile(directory / f"model.{key}.bin", dtype).reshape(shape)


@pytest.mark.parametrize("golden", list(goldens()))
def test_files_are_nvidias_byte_for_byte(golden: Path, tmp_path: Path) -> None:
    name, dtype = golden.parent.name.rsplit(".", 1)
    ranks = int(golden.name.removesuffix("-gpu"))
    source = golden.parents[2] / "hf" / name
    ours = export_directory(source, tmp_path, dtype=dtype, tensor_para_size=ranks)  # type: ignore[arg-type]
    theirs = {path.name: path for path in golden.iterdir()}
    ini, expected = read_ini(ours / "config.ini"), read_ini(golden / "config.ini")
    sequential = expected.get("use_gptj_residual") == "0"
    wrong_biases = sequential and ranks > 1
    assert {path.name for path in ours.iterdir()} == theirs.keys()
    for file, path in theirs.items():
        is_row_bias = file.endswith(("dense.bias.bin", "dense_4h_to_h.bias.bin"))
        if file == "config.ini" or (wrong_biases and is_row_bias):
            continue
        assert (ours / file).read_bytes() == path.read_bytes(), file
    true_inner = json.loads((source / "config.json").read_text()).get("n_inner")
    wrong = WRONG_KEYS | ({"inter_size"} if true_inner else set())
    assert {key: ini[key] for key in expected if key not in wrong} == {
        key: value for key, value in expected.items() if key not in wrong
    }


def test_neox_layout_by_its_definition(hf_model: GetModel, tmp_path: Path) -> None:
    """Each element is looked up where the layout's definition says it is."""
    source = load_tensors(hf_model("neox-parallel-rotary-0.25"))
    ours = export_directory(hf_model("neox-parallel-rotary-0.25"), tmp_path,
                            dtype="fp32", tensor_para_size=2)  # fmt: skip
    layer, heads, size, width = "gpt_neox.layers.1", 4, 16, 64
    fused = source[f"{layer}.attention.query_key_value.weight"]
    bias = source[f"{layer}.attention.query_key_value.bias"]
    for rank in range(2):
        stored = piece(ours, f"layers.1.attention.query_key_value.weight.{rank}", width, 3, 32)
        stored_bias = piece(ours, f"layers.1.attention.query_key_value.bias.{rank}", 3, 32)
        for which in range(3):
            for local in range(heads // 2):
                head = rank * 2 + local
                row = (head * 3 + which) * size
                columns = slice(local * size, (local + 1) * size)
                assert np.array_equal(stored[:, which, columns], fused[row : row + size].T)
                assert np.array_equal(stored_bias[which, columns], bias[row : row + size])
        dense = piece(ours, f"layers.1.attention.dense.weight.{rank}", 32, width)
        whole = source[f"{layer}.attention.dense.weight"]
        assert np.array_equal(dense, whole[:, rank * 32 : rank * 32 + 32].T)
        up = piece(ours, f"layers.1.mlp.dense_h_to_4h.weight.{rank}", width, 50)
        whole = source[f"{layer}.mlp.dense_h_to_4h.weight"]
        assert np.array_equal(up, whole[rank * 50 : rank * 50 + 50].T)
    total = piece(ours, "layers.1.mlp.attention.bias.sum", width)
    both = source[f"{layer}.attention.dense.bias"] + source[f"{layer}.mlp.dense_4h_to_h.bias"]
    np.testing.assert_allclose(total, both / 2, rtol=1e-6)


def test_sequential_residual_keeps_whole_biases(hf_model: GetModel, tmp_path: Path) -> None:
    model = hf_model("neox-sequential-rotary-1.0")
    source = load_tensors(model)
    ours = export_directory(model, tmp_path, dtype="fp32", tensor_para_size=4)
    for name in ("attention.dense.bias", "mlp.dense_4h_to_h.bias"):
        stored = piece(ours, f"layers.0.{name}", 64)
        assert np.array_equal(stored, source[f"gpt_neox.layers.0.{name}"])
    assert not list(ours.glob("*bias.sum*"))


def test_output_matrix_of_tied_and_untied_models(hf_model: GetModel, tmp_path: Path) -> None:
    tied = export_directory(hf_model("neox-tied"), tmp_path / "a", dtype="fp32", tensor_para_size=1)
    words = (tied / "model.wte.bin").read_bytes()
    assert (tied / "model.lm_head.weight.bin").read_bytes() == words
    gpt2 = export_directory(hf_model("gpt2"), tmp_path / "b", dtype="fp32", tensor_para_size=1)
    assert not (gpt2 / "model.lm_head.weight.bin").exists()
    untied = export_directory(
        hf_model("gpt2-untied"), tmp_path / "c", dtype="fp32", tensor_para_size=1
    )
    head = piece(untied, "lm_head.weight", 97, 48)
    assert np.array_equal(head, load_tensors(hf_model("gpt2-untied"))["lm_head.weight"])


def test_tied_model_with_a_second_copy_must_agree(hf_model: GetModel, tmp_path: Path) -> None:
    model = Path(shutil.copytree(hf_model("gpt2"), tmp_path / "m"))
    tensors = load_tensors(model)
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"].copy()
    save_tensors(model, tensors)
    ours = export_directory(model, tmp_path / "same", dtype="fp32", tensor_para_size=1)
    assert not (ours / "model.lm_head.weight.bin").exists()
    tensors["lm_head.weight"][3, 4] += 1.0
    save_tensors(model, tensors)
    with pytest.raises(ConversionError, match=r"lm_head\.weight"):
        export_directory(model, tmp_path / "other", dtype="fp32", tensor_para_size=1)


def test_bare_model_without_prefix_is_read(hf_model: GetModel, tmp_path: Path) -> None:
    model = Path(shutil.copytree(hf_model("gpt2"), tmp_path / "m"))
    tensors = {name.removeprefix("transformer."): v for name, v in load_tensors(model).items()}
    tensors["h.0.attn.bias"] = np.ones((1, 1, 50, 50), np.float32)  # a mask of old checkpoints
    save_tensors(model, tensors)
    bare = export_directory(model, tmp_path / "a", dtype="fp16", tensor_para_size=1)
    usual = export_directory(hf_model("gpt2"), tmp_path / "b", dtype="fp16", tensor_para_size=1)
    for path in usual.iterdir():
        assert (bare / path.name).read_bytes() == path.read_bytes()


def test_missing_extra_and_misshapen_tensors_are_all_listed(
    hf_model: GetModel, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(hf_model("neox-parallel-rotary-0.25"), tmp_path / "m"))
    tensors = load_tensors(model)
    gone = ["embed_out.weight", "gpt_neox.layers.1.mlp.dense_4h_to_h.bias"]
    for name in gone:
        del tensors[name]
    tensors["gpt_neox.layers.0.adapter.weight"] = np.zeros(3, np.float32)
    odd = "gpt_neox.layers.0.attention.dense.weight"
    tensors[odd] = tensors[odd][:, :-1]
    save_tensors(model, tensors)
    with pytest.raises(ConversionError) as caught:
        export_directory(model, tmp_path / "out", dtype="fp32", tensor_para_size=1)
    for name in (*gone, "gpt_neox.layers.0.adapter.weight", odd):
        assert name in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("dtype", "value", "fails"),
    [("fp16", 65504.0, False), ("fp16", 70000.0, True), ("fp32", 70000.0, False),
     ("fp32", np.nan, True), ("fp16", -np.inf, True)],
)  # fmt: skip
def test_values_that_the_type_cannot_hold_are_refused(
    hf_model: GetModel, tmp_path: Path, dtype: Any, value: float, fails: bool
) -> None:
    model = Path(shutil.copytree(hf_model("gpt2"), tmp_path / "m"))
    tensors = load_tensors(model)
    name = "transformer.h.1.mlp.c_fc.weight"
    tensors[name][2, 3] = value
    save_tensors(model, tensors)
    if not fails:
        export_directory(model, tmp_path / "out", dtype=dtype, tensor_para_size=1)
        return
    with pytest.raises(ConversionError, match=name):
        export_directory(model, tmp_path / "out", dtype=dtype, tensor_para_size=1)
    assert not list((tmp_path / "out").rglob("config.ini"))


def test_sum_of_biases_that_overflows_is_refused(hf_model: GetModel, tmp_path: Path) -> None:
    model = Path(shutil.copytree(hf_model("neox-parallel-rotary-1.0"), tmp_path / "m"))
    tensors = load_tensors(model)
    for name in ("attention.dense.bias", "mlp.dense_4h_to_h.bias"):
        tensors[f"gpt_neox.layers.0.{name}"][:] = 60000.0
    save_tensors(model, tensors)
    with pytest.raises(ConversionError, match="sum"):
        export_directory(model, tmp_path / "out", dtype="fp16", tensor_para_size=1)


def test_heads_must_be_shared_out_evenly(hf_model: GetModel, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="heads"):
        export_directory(hf_model("gpt2"), tmp_path, dtype="fp32", tensor_para_size=8)
    with pytest.raises(ConversionError, match="feed-forward"):
        export_directory(hf_model("gpt2-odd"), tmp_path, dtype="fp32", tensor_para_size=4)
    with pytest.raises(ConfigError):
        export_directory(hf_model("gpt2"), tmp_path, dtype="bf16", tensor_para_size=1)  # type: ignore[arg-type]


def test_directory_with_files_is_left_alone(hf_model: GetModel, tmp_path: Path) -> None:
    export_directory(hf_model("gpt2"), tmp_path, dtype="fp32", tensor_para_size=1)
    with pytest.raises(StoreError):
        export_directory(hf_model("gpt2"), tmp_path, dtype="fp32", tensor_para_size=1)


def test_config_ini_says_what_nvidias_leaves_out(hf_model: GetModel, tmp_path: Path) -> None:
    odd = export_directory(hf_model("gpt2-odd"), tmp_path / "a", dtype="fp16", tensor_para_size=2)
    ini = read_ini(odd / "config.ini")
    assert (ini["section"], ini["inter_size"], ini["weight_data_type"]) == ("gpt", "70", "fp16")
    assert float(ini["layernorm_eps"]) == 1e-3
    assert ini["tensor_para_size"] == "2"
    plain = export_directory(
        hf_model("gpt2-odd"), tmp_path / "b", dtype="fp16", tensor_para_size=2, compat="nvidia"
    )
    nvidia = read_ini(plain / "config.ini")
    assert "layernorm_eps" not in nvidia
    assert nvidia.items() <= ini.items()


@pytest.mark.parametrize("name", ["neox-parallel-rotary-0.25", "gpt2"])
def test_stage_gives_one_digest_for_any_number_of_workers(
    hf_model: GetModel, tmp_path: Path, name: str
) -> None:
    digests = set()
    for num_workers in (1, 2):
        store = Store(Runtime(home=tmp_path / str(num_workers), num_workers=num_workers))
        model = raw_artifact(store, hf_model(name))
        opened = store.open_or_build(FT_EXPORT, FtExportConfig(), {"model": model})
        digests.add(opened.artifact.digest)
        assert opened.artifact.counts["num_layers"] == 2
    assert len(digests) == 1


def test_damaged_file_costs_its_layer_alone(hf_model: GetModel, store: Store) -> None:
    inputs = {"model": raw_artifact(store, hf_model("neox-sequential-rotary-0.25"))}
    built = store.open_or_build(FT_EXPORT, FtExportConfig(), inputs).artifact
    victim = built.file("1-gpu/model.layers.1.attention.dense.weight.0.bin")
    good = victim.read_bytes()
    other = built.file("1-gpu/model.wte.bin").stat()
    victim.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    healed = store.open_or_build(FT_EXPORT, FtExportConfig(), inputs)
    assert healed.outcome is Outcome.HEALED
    assert healed.artifact.digest == built.digest
    assert victim.read_bytes() == good
    assert built.file("1-gpu/model.wte.bin").stat().st_mtime_ns == other.st_mtime_ns
    verdict = json.loads(healed.artifact.extra("servable.json").read_text())
    assert verdict["servable"] is False
    assert verdict["reasons"]


def test_every_kind_of_model_is_written(hf_model: GetModel, tmp_path: Path) -> None:
    for name in MAKERS:
        folder = export_directory(hf_model(name), tmp_path / name, dtype="fp16", tensor_para_size=2)
        assert str(tmp_path) not in (folder / "config.ini").read_text()


def test_null_end_token_is_refused(hf_model: GetModel, tmp_path: Path) -> None:
    model = Path(shutil.copytree(hf_model("gpt2"), tmp_path / "m"))
    (model / "generation_config.json").unlink()
    change_config(model, eos_token_id=None)
    with pytest.raises(ConversionError, match="eos_token_id"):
        export_directory(model, tmp_path / "out", dtype="fp32", tensor_para_size=1)
