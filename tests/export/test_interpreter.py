"""The interpreter: what an export's files mean, and whether they are what they should be."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.errors import ConfigError, ParityError
from headrace.export.fastertransformer import export_directory
from headrace.export.interpreter import FtInterpreter, erf, greedy_tokens
from tests.export.models import MAKERS, hf_logits, random_ids

GetModel = Callable[[str], Path]
TOLERANCE = 1e-4


def make_export(model: Path, out: Path, **options: Any) -> Path:
    return export_directory(model, out, **{"dtype": "fp32", "tensor_para_size": 1, **options})


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize("ranks", [1, 2])
def test_logits_are_those_of_hf(hf_model: GetModel, tmp_path: Path, name: str, ranks: int) -> None:
    ids = random_ids(3, 21)
    folder = make_export(hf_model(name), tmp_path, tensor_para_size=ranks)
    ours, theirs = FtInterpreter(folder).logits(ids), hf_logits(hf_model(name), ids)
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).max() <= TOLERANCE * max(1.0, np.abs(theirs).max())


@pytest.mark.parametrize("name", ["neox-parallel-rotary-1.0", "gpt2-untied"])
def test_fp16_files_stay_close(hf_model: GetModel, tmp_path: Path, name: str) -> None:
    ids = random_ids(2, 16)
    folder = make_export(hf_model(name), tmp_path, dtype="fp16")
    theirs = hf_logits(hf_model(name), ids)
    assert np.abs(FtInterpreter(folder).logits(ids) - theirs).max() < 5e-2


@pytest.mark.parametrize("name", ["neox_r100_seq", "gpt2"])
def test_nvidias_own_files_give_the_reference_logits(shared: Path, name: str) -> None:
    root = shared / "golden" / "ft"
    expected = np.load(root / "expected" / f"{name}.npz")
    for folder in sorted((root / "ft" / f"{name}.fp32").glob("*-gpu")):
        if name == "neox_r100_seq" and folder.name != "1-gpu":
            continue  # NVIDIA's converter divides biases that it must not
        interpreter = FtInterpreter(folder)
        error = np.abs(interpreter.logits(expected["ids"]) - expected["logits"]).max()
        assert error < 1e-4
        for prompt, continued in zip(expected["ids"], expected["greedy"], strict=True):
            assert greedy_tokens(interpreter, prompt.tolist(), 12) == continued.tolist()


def test_runtime_mode_shows_the_tanh_gelu(hf_model: GetModel, tmp_path: Path) -> None:
    ids = random_ids(2, 16)
    folder = make_export(hf_model("neox-parallel-rotary-0.25"), tmp_path / "a")
    exact, runtime = (FtInterpreter(folder, mode).logits(ids) for mode in ("exact", "ft"))
    assert 1e-5 < np.abs(exact - runtime).max() < 0.1
    tanh = make_export(hf_model("neox-gelu-new"), tmp_path / "b")
    assert np.array_equal(FtInterpreter(tanh).logits(ids), FtInterpreter(tanh, "ft").logits(ids))
    with pytest.raises(ConfigError):
        FtInterpreter(tanh, "fast")  # type: ignore[arg-type]


def test_runtime_mode_shows_the_missing_epsilon(hf_model: GetModel, tmp_path: Path) -> None:
    """Without its key NVIDIA's runtime has 1e-6, where GPT-2 means 1e-5."""
    ids = random_ids(2, 16)
    folder = make_export(hf_model("gpt2"), tmp_path, compat="nvidia")
    exact, runtime = (FtInterpreter(folder, mode).logits(ids) for mode in ("exact", "ft"))
    assert not np.array_equal(exact, runtime)
    theirs = hf_logits(hf_model("gpt2"), ids)
    assert np.abs(exact - theirs).max() <= TOLERANCE * max(1.0, np.abs(theirs).max())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0\0\0\0")


def put_nan(path: Path) -> None:
    path.write_bytes(np.float32(np.nan).tobytes() + path.read_bytes()[4:])


def copy_astray(path: Path) -> None:
    path.with_name("model.layers.9.stray.bin").write_bytes(b"1234")


@pytest.mark.parametrize("damage", [Path.unlink, cut, lengthen, put_nan, copy_astray])
def test_damaged_files_are_named(
    hf_model: GetModel, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = make_export(hf_model("neox-parallel-rotary-0.25"), tmp_path)
    victim = folder / "model.layers.1.mlp.attention.bias.sum.bin"
    damage(victim)
    name = "model.layers.9.stray.bin" if damage is copy_astray else victim.name
    with pytest.raises(ParityError, match=name):
        FtInterpreter(folder)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("inter_size = 100", "inter_size = 256"),
        ("head_num = 4", "head_num = 8"),
        ("num_layer = 2", "num_layer = 3"),
        ("num_layer = 2", "num_layer = 999999999"),
        ("vocab_size = 97", "vocab_size = 96"),
        ("vocab_size = 97", "vocab_size = many"),
        ("weight_data_type = fp32", "weight_data_type = fp16"),
        ("weight_data_type = fp32", "weight_data_type = int8"),
        ("use_gptj_residual = 1", "use_gptj_residual = 0"),
        ("activation_type = Gelu", "activation_type = Relu"),
        ("[gptneox]", "[bert]"),
    ],
)
def test_config_that_does_not_fit_the_files_is_refused(
    hf_model: GetModel, tmp_path: Path, before: str, after: str
) -> None:
    folder = make_export(hf_model("neox-parallel-rotary-0.25"), tmp_path)
    path = folder / "config.ini"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(ParityError):
        FtInterpreter(folder)


def test_directory_must_tell_its_ranks(hf_model: GetModel, tmp_path: Path) -> None:
    folder = make_export(hf_model("gpt2"), tmp_path)
    with pytest.raises(ParityError):
        FtInterpreter(folder.rename(tmp_path / "2-gpu"))
    with pytest.raises(ParityError, match="<n>-gpu"):
        FtInterpreter(tmp_path)
    (tmp_path / "1-gpu").mkdir()
    with pytest.raises(ParityError, match=r"config\.ini"):
        FtInterpreter(tmp_path / "1-gpu")


@pytest.mark.parametrize(
    "ids", [np.zeros((1, 0), int), np.zeros(3, int), np.array([[97]]), np.array([[-1]]),
            np.array([[0.5]]), np.zeros((1, 51), int)],
)  # fmt: skip
def test_ids_that_cannot_be_are_refused(
    hf_model: GetModel, tmp_path: Path, ids: np.ndarray
) -> None:
    interpreter = FtInterpreter(make_export(hf_model("gpt2"), tmp_path))
    with pytest.raises(ConfigError, match="ids"):
        interpreter.logits(ids)


def test_erf_is_right_to_the_last_place() -> None:
    x = np.concatenate([np.linspace(-5, 5, 20_001), [0.0, -0.0, 1e-30, 100.0, -100.0]])
    x = x.astype(np.float32)
    expected = np.array([math.erf(float(value)) for value in x], np.float32)
    np.testing.assert_array_max_ulp(erf(x), expected, maxulp=1)
