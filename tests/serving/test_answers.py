"""The stage that asks a real Triton server and holds it against the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.artifacts import Artifact, Runtime, Store
from headrace.errors import ConfigError, ServingError
from headrace.export.directory import FtDirectory
from headrace.export.fastertransformer import FT_EXPORT, FtExportConfig, export_directory
from headrace.export.parity import PARITY, ParityConfig
from headrace.export.triton_repository import TRITON_REPOSITORY, TritonRepositoryConfig
from headrace.serving.answers import (
    ANSWERS,
    AnswersConfig,
    check_not_alike,
    compare_with_checkpoint,
)
from headrace.serving.installation import TritonInstallation
from headrace.serving.server import TritonServer
from tests.export.models import hf_logits, raw_artifact, save_blocks, save_model

CONFIG = AnswersConfig(num_prompts=6, num_tokens=12, prompt_tokens=20)


@pytest.fixture
def home(triton: TritonInstallation, tmp_path: Path) -> Path:
    """A home of its own that has the session's installation."""
    path = tmp_path / "home"
    path.mkdir()
    (path / triton.path.name).symlink_to(triton.path)
    return path


def build_repository(store: Store, model: Artifact, **options: Any) -> Artifact:
    export = store.open_or_build(FT_EXPORT, FtExportConfig(**options), {"model": model}).artifact
    inputs = {"model": model, "ft_export": export}
    parity = store.open_or_build(PARITY, ParityConfig(num_prompts=1), inputs).artifact
    inputs = {"ft_export": export, "parity": parity}
    return store.open_or_build(TRITON_REPOSITORY, TritonRepositoryConfig(), inputs).artifact


def build_inputs(store: Store, tmp_path: Path, name: str, **options: Any) -> dict[str, Artifact]:
    model = raw_artifact(store, save_model(name, tmp_path / name))
    return {
        "repository": build_repository(store, model, **options),
        "model": model,
        "blocks": raw_artifact(store, save_blocks(tmp_path / "blocks")),
    }


def greedy(hf_dir: Path, prompt: list[int], num_tokens: int) -> list[int]:
    ids = list(prompt)
    while len(ids) < len(prompt) + num_tokens:
        ids.append(int(hf_logits(hf_dir, np.array([ids]))[0, -1].argmax()))
        if ids[-1] == 2:
            break
    return ids[len(prompt) :]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("neox-parallel-rotary-0.25", {}),
        ("neox-sequential-rotary-1.0", {"dtype": "fp16", "tensor_para_size": 2}),
        ("gpt2-untied", {}),
    ],
)
def test_triton_gives_the_checkpoints_greedy_tokens(
    home: Path, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    store = Store(Runtime(home=home))
    inputs = build_inputs(store, tmp_path, name, **options)
    artifact = store.open_or_build(ANSWERS, CONFIG, inputs).artifact
    value = json.loads(artifact.file("answers.json").read_text())
    assert value["num_prompts"] == len(value["answers"]) == 6
    assert value["num_equal"] == value["num_tokens"] > 0
    if not options:
        first = value["answers"][0]
        assert first["tokens"] == greedy(tmp_path / name, first["prompt"], 12)


def test_answers_need_an_installed_triton(tmp_path: Path, store: Store) -> None:
    inputs = build_inputs(store, tmp_path, "gpt2")
    with pytest.raises(ServingError, match="installed"):
        store.open_or_build(ANSWERS, CONFIG, inputs)


def test_prompt_and_answer_must_fit_the_position_table(tmp_path: Path, store: Store) -> None:
    inputs = build_inputs(store, tmp_path, "gpt2")
    config = AnswersConfig(num_prompts=2, num_tokens=31, prompt_tokens=20)
    with pytest.raises(ConfigError, match="51"):
        store.open_or_build(ANSWERS, config, inputs)


def test_server_with_a_damaged_weight_does_not_pass_its_known_answer(
    home: Path, tmp_path: Path, triton: TritonInstallation
) -> None:
    store = Store(Runtime(home=home))
    model = raw_artifact(store, save_model("neox-sequential-rotary-1.0", tmp_path / "m"))
    repository = build_repository(store, model)
    path = repository.path / "models/fastertransformer/1/1-gpu"
    weight = path / "model.layers.0.mlp.dense_4h_to_h.weight.0.bin"
    np.fromfile(weight, "<f4")[::-1].tofile(weight)
    with (
        TritonServer(triton, repository.path / "models") as server,
        pytest.raises(ServingError, match="expected"),
    ):
        server.prove(repository.path / "known_answer.json")


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Path, FtDirectory]:
    model = save_model("gpt2", tmp_path / "m")
    return model, FtDirectory(export_directory(model, tmp_path, dtype="fp32", tensor_para_size=1))


def test_comparison_finds_the_first_wrong_token(exported: tuple[Path, FtDirectory]) -> None:
    model, directory = exported
    prompt = [5, 9, 40, 7]
    right = greedy(model, prompt, 6)
    agreement = compare_with_checkpoint(model, directory, [prompt], [right], 6)
    assert (agreement.num_tokens, agreement.num_ties, agreement.max_gap) == (len(right), 0, 0.0)
    wrong = [*right[:3], (right[3] + 1) % 97, *right[4:]]
    with pytest.raises(ServingError, match="token 3"):
        compare_with_checkpoint(model, directory, [prompt], [wrong], 6)


def test_answer_that_stops_without_its_end_token_is_wrong(
    exported: tuple[Path, FtDirectory],
) -> None:
    model, directory = exported
    prompt = [5, 9, 40, 7]
    right = greedy(model, prompt, 6)
    assert 2 not in right
    for answer in (right[:4], [*right[:2], 2, *right[3:]], []):
        with pytest.raises(ServingError, match="end in 2"):
            compare_with_checkpoint(model, directory, [prompt], [answer], 6)


def test_answers_that_are_all_alike_are_refused() -> None:
    with pytest.raises(ServingError, match="same"):
        check_not_alike([[1, 2], [3, 4]], [[7, 7], [7, 7]])
    check_not_alike([[1, 2], [3, 4]], [[7, 7], [7, 8]])
    check_not_alike([[1, 2], [1, 2]], [[7, 7], [7, 7]])
