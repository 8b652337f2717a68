"""The gate: it lets right exports through and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.artifacts import Artifact, Runtime, Store
from headrace.errors import ConfigError, CorruptInputError, MissingInputError, ParityError
from headrace.export import name_tables
from headrace.export.fastertransformer import FT_EXPORT, FtExportConfig, export_directory
from headrace.export.held_out import held_out_windows
from headrace.export.interpreter import FtInterpreter
from headrace.export.parity import PARITY, ParityConfig, measure_parity, round_up
from tests.export.models import MAKERS, random_ids, raw_artifact, save_blocks, save_model

GetModel = Callable[[str], Path]


def problem_of(model: Path, folder: Path) -> str:
    rows = list(random_ids(4, 24))
    return measure_parity(model, FtInterpreter(folder), rows).problem()


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize(("dtype", "ranks"), [("fp32", 1), ("fp16", 1), ("fp16", 2)])
def test_right_exports_pass(
    hf_model: GetModel, tmp_path: Path, name: str, dtype: Any, ranks: int
) -> None:
    folder = export_directory(hf_model(name), tmp_path, dtype=dtype, tensor_para_size=ranks)
    figures = measure_parity(hf_model(name), FtInterpreter(folder), list(random_ids(4, 24)))
    assert figures.problem() == ""
    assert figures.num_decided > figures.num_positions // 2
    assert (figures.drift_fp32 > 10 * figures.max_error) == (dtype == "fp16")


def as_is(values: np.ndarray, _model: Any) -> np.ndarray:
    return values


def unpermuted(values: np.ndarray, model: Any) -> np.ndarray:
    return values.T.reshape(model.hidden_size, 3, model.hidden_size)


def swapped_heads(values: np.ndarray, model: Any) -> np.ndarray:
    split = values.T.reshape(model.hidden_size, model.num_heads, 3, model.head_dim)
    turned = split[:, ::-1].transpose(0, 2, 1, 3)
    return turned.reshape(model.hidden_size, 3, model.hidden_size)


def swapped_bias(values: np.ndarray, model: Any) -> np.ndarray:
    return values.reshape(3, model.num_heads, model.head_dim).reshape(3, -1)


@pytest.mark.parametrize(
    ("function", "wrong"),
    [
        ("transposed", as_is),
        ("qkv_weight_from_neox", unpermuted),
        ("qkv_weight_from_neox", swapped_heads),
        ("qkv_bias_from_neox", swapped_bias),
    ],
)
def test_swapped_axis_in_the_writer_fails_the_stage(
    hf_model: GetModel,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    wrong: Callable[..., Any],
) -> None:
    monkeypatch.setattr(name_tables, function, wrong)
    model = raw_artifact(store, hf_model("neox-sequential-rotary-0.25"))
    export = store.open_or_build(FT_EXPORT, FtExportConfig(), {"model": model}).artifact
    with pytest.raises(ParityError, match="logits differ"):
        store.open_or_build(PARITY, ParityConfig(), {"model": model, "ft_export": export})


def swap_files(folder: Path, first: str, second: str) -> None:
    one, two = folder / first, folder / second
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("model.layers.0.input_layernorm.weight.bin",
         "model.layers.0.post_attention_layernorm.weight.bin"),
        ("model.layers.0.attention.query_key_value.weight.0.bin",
         "model.layers.0.attention.query_key_value.weight.1.bin"),
        ("model.layers.0.mlp.dense_h_to_4h.weight.0.bin",
         "model.layers.1.mlp.dense_h_to_4h.weight.0.bin"),
        ("model.wte.bin", "model.lm_head.weight.bin"),
    ],
)  # fmt: skip
def test_swapped_files_fail(hf_model: GetModel, tmp_path: Path, first: str, second: str) -> None:
    model = hf_model("neox-sequential-rotary-1.0")
    folder = export_directory(model, tmp_path, dtype="fp32", tensor_para_size=2)
    swap_files(folder, first, second)
    assert problem_of(model, folder)


def test_nvidias_divided_biases_fail(hf_model: GetModel, tmp_path: Path) -> None:
    """A sequential residual adds each bias once, after ranks are summed."""
    model = hf_model("neox-sequential-rotary-1.0")
    folder = export_directory(model, tmp_path, dtype="fp32", tensor_para_size=2)
    for path in (*folder.glob("*.dense.bias.bin"), *folder.glob("*.dense_4h_to_h.bias.bin")):
        (np.fromfile(path, "<f4") / 2).tofile(path)
    assert problem_of(model, folder)


def test_one_wrong_weight_fails(hf_model: GetModel, tmp_path: Path) -> None:
    model = hf_model("gpt2")
    folder = export_directory(model, tmp_path, dtype="fp32", tensor_para_size=1)
    path = folder / "model.layers.1.attention.dense.weight.0.bin"
    values = np.fromfile(path, "<f4")
    values[7] += 0.05
    values.tofile(path)
    assert problem_of(model, folder)


def test_export_of_another_model_fails(hf_model: GetModel, tmp_path: Path) -> None:
    other = save_model("gpt2", tmp_path / "other", seed=2)
    folder = export_directory(hf_model("gpt2"), tmp_path, dtype="fp32", tensor_para_size=1)
    assert problem_of(other, folder)


@pytest.fixture
def proved(
    hf_model: GetModel, store: Store, tmp_path: Path
) -> tuple[dict[str, Artifact], Artifact]:
    model = raw_artifact(store, hf_model("gpt2"))
    export = store.open_or_build(FT_EXPORT, FtExportConfig(dtype="fp16"), {"model": model}).artifact
    blocks = raw_artifact(store, save_blocks(tmp_path / "blocks"))
    inputs = {"model": model, "ft_export": export, "blocks": blocks}
    config = ParityConfig(num_prompts=3, num_random_prompts=1, seq_len=64)
    return inputs, store.open_or_build(PARITY, config, inputs).artifact


def test_stage_reports_what_it_measured(
    proved: tuple[dict[str, Artifact], Artifact], tmp_path: Path
) -> None:
    inputs, artifact = proved
    value = json.loads(artifact.file("parity.json").read_text())
    figures = json.loads(artifact.extra("parity_figures.json").read_text())
    assert value["passed"] is True
    assert value["num_positions"] == 3 * 40 + 50  # blocks of 40, random rows cut to 50 positions
    assert 0 < figures["max_error"] <= value["max_error"] <= value["tolerance"]
    assert figures["drift_fp32"] <= value["drift_fp32"]
    other = Store(Runtime(home=tmp_path / "other"))
    config = ParityConfig(num_prompts=3, num_random_prompts=1, seq_len=64)
    assert other.open_or_build(PARITY, config, inputs).artifact.digest == artifact.digest


def test_windows_are_spread_over_held_out_blocks(tmp_path: Path) -> None:
    blocks = save_blocks(tmp_path, num_valid=5, num_test=4, seq_len=40)
    windows = held_out_windows(blocks, splits=("valid", "test"), num_windows=3, length=10)
    assert windows.dtype == np.int64
    assert windows.shape == (3, 10)
    more = held_out_windows(blocks, splits=("valid", "test"), num_windows=30, length=10)
    assert len({tuple(row) for row in more.tolist()}) == 30
    valid = held_out_windows(blocks, splits=("valid",), num_windows=5, length=40)
    expected = random_ids(5 * 40, seed=2).reshape(5, 40)
    assert np.array_equal(valid, expected)


def test_windows_that_cannot_be_are_refused(tmp_path: Path) -> None:
    blocks = save_blocks(tmp_path / "b", seq_len=8)
    with pytest.raises(ConfigError, match="8"):
        held_out_windows(blocks, splits=("valid",), num_windows=1, length=9)
    kept = held_out_windows(blocks, splits=("valid",), num_windows=1, length=9, shorten=True)
    assert kept.shape == (1, 8)
    with pytest.raises(MissingInputError):
        held_out_windows(blocks, splits=("dev",), num_windows=1, length=4)
    (blocks / "valid" / "data-00000-of-00001.arrow").write_bytes(b"not arrow")
    with pytest.raises(CorruptInputError):
        held_out_windows(blocks, splits=("valid",), num_windows=1, length=4)


@pytest.mark.parametrize(
    ("value", "bound"),
    [(0.0, 0.0), (1.0, 1.0), (1.01e-6, 2e-6), (4.9e-7, 5e-7), (5.1e-7, 1e-6), (0.11, 0.2)],
)
def test_figures_are_rounded_up_to_coarse_steps(value: float, bound: float) -> None:
    assert round_up(value) == pytest.approx(bound, rel=1e-12)
