"""A small model with random weights, and blocks of random tokens with a skewed distribution."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from headrace.artifacts import Artifact, NoConfig, Runtime, ShardOutcome, Stage, Store
from headrace.models.presets import ModelConfig

SEQ_LEN = 16
SIZES = {"train": 40, "valid": 7, "test": 3}


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory) -> Path:
    from tokenizers import ByteLevelBPETokenizer

    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        ["the mill wheel turns in the old town", "Über die Brücke"] * 3,
        vocab_size=290,
        special_tokens=["<|endoftext|>"],
        show_progress=False,
    )
    trained.save(str(path))
    return path


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory, tokenizer_file) -> Path:
    from transformers import PreTrainedTokenizerFast

    from headrace.training.initialization import build_hf_config, build_model

    path = tmp_path_factory.mktemp("model")
    end = "<|endoftext|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer_file), eos_token=end, bos_token=end
    )
    tokenizer.save_pretrained(path)
    config = ModelConfig(preset="tiny", initializer_range=0.3)
    hf_config = build_hf_config(
        config,
        vocab_size=len(tokenizer),
        seq_len=SEQ_LEN,
        bos_id=tokenizer.bos_token_id,
        eos_id=tokenizer.eos_token_id,
    )
    build_model(hf_config, num_layers=2, seed=7).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def block_arrays(model_dir) -> dict[str, np.ndarray]:
    """Token ids by split, int64 [num_blocks, seq_len]."""
    draws = np.random.default_rng(5)
    return {
        name: np.minimum(draws.geometric(0.03, size=(count, SEQ_LEN)), 289).astype(np.int64)
        for name, count in SIZES.items()
    }


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(Runtime(home=tmp_path / "home"))


@pytest.fixture
def store_directory(store):
    """store_directory(name, source) -> Artifact holding a copy of a directory."""

    def put(name: str, source: Path) -> Artifact:
        def copy(directory: Path) -> ShardOutcome:
            shutil.copytree(source, directory, dirs_exist_ok=True)
            return ShardOutcome(rows=1)

        def write(*, config, out) -> None:
            out.publish(name, copy)

        stage = Stage(name=name, version=1, format=f"test.{name}/1", packages=(), write=write)
        return store.open_or_build(stage, NoConfig(), {}).artifact

    return put


@pytest.fixture
def make_blocks(tmp_path, store_directory):
    """make_blocks(arrays) -> Artifact of token blocks, written by Hugging Face's own writer."""

    def make(arrays: dict[str, np.ndarray]) -> Artifact:
        import datasets

        features = datasets.Features(
            {"input_ids": datasets.List(datasets.Value("uint16"), length=SEQ_LEN)}
        )
        parts = {
            name: datasets.Dataset.from_dict({"input_ids": rows.tolist()}, features=features)
            for name, rows in arrays.items()
        }
        datasets.DatasetDict(parts).save_to_disk(tmp_path / "written_blocks")
        return store_directory("blocks", tmp_path / "written_blocks")

    return make


@pytest.fixture
def model(store_directory, model_dir) -> Artifact:
    return store_directory("model", model_dir)
