"""Tokenizers: reproducible, complete, opened by transformers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_building import sentence, splits_of
from tokenizers import Tokenizer

from headrace.artifacts import Artifact, Store
from headrace.artifacts.sources import open_source
from headrace.config import parse_config
from headrace.encoding.tokenizers import (
    END_OF_TEXT,
    GIVEN_TOKENIZER,
    TRAINED_TOKENIZER,
    GivenTokenizerConfig,
    TrainedTokenizerConfig,
    train_tokenizer,
)
from headrace.errors import ConfigError, CorruptInputError

TEXTS = [sentence(number) for number in range(200)]
SMALL = TrainedTokenizerConfig(vocab_size=300)
GPT2 = Path(__file__).parents[3] / "shared/data/gpt2_bpe"


@pytest.fixture
def trained(store: Store) -> Artifact:
    splits = splits_of(store, train=(tuple(TEXTS),), valid=(("zzzz qqqq " * 50,),))
    return store.open_or_build(TRAINED_TOKENIZER, SMALL, {"splits": splits}).artifact


@pytest.fixture
def take(store: Store) -> Callable[..., Artifact]:
    def run(path: Path, **config: object) -> Artifact:
        source = open_source(store, path).artifact
        opened = store.open_or_build(
            GIVEN_TOKENIZER, GivenTokenizerConfig(**config), {"source": source}
        )
        return opened.artifact

    return run


def test_bytes_come_first_and_text_of_any_kind_comes_back() -> None:
    tokenizer = train_tokenizer(iter(TEXTS), SMALL)
    assert tokenizer.get_vocab_size() == 300
    assert tokenizer.token_to_id(END_OF_TEXT) == 0

    @settings(max_examples=100, deadline=None)
    @given(st.text(max_size=60))
    def check(text: str) -> None:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text

    check()


def test_training_does_not_depend_on_threads() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from split_building import sentence\n"
        "from headrace.encoding.tokenizers import *\n"
        "texts = (sentence(number % 997) for number in range(3000))\n"
        "print(train_tokenizer(texts, TrainedTokenizerConfig(vocab_size=400)).to_str())\n"
    )
    found = set()
    for threads in ("1", "3"):
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
        command = [sys.executable, "-c", program, str(Path(__file__).parent)]
        found.add(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert len(found) == 1


def test_only_the_train_split_is_learnt_from(trained: Artifact) -> None:
    vocabulary = json.loads(trained.file("tokenizer.json").read_text())["model"]["vocab"]
    assert not any("zz" in token or "qq" in token for token in vocabulary)
    assert trained.counts["vocab_size"] == 300


@pytest.mark.parametrize("model_type", [None, "gpt2", "gpt_neox"])
def test_transformers_opens_the_directory(
    model_type: str | None, trained: Artifact, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    directory = tmp_path / "model"
    directory.mkdir()
    for path in trained.files():
        (directory / path.name).write_bytes(path.read_bytes())
    if model_type:
        (directory / "config.json").write_text(json.dumps({"model_type": model_type}))
    opened = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    own = Tokenizer.from_file(str(trained.file("tokenizer.json")))
    text = "The mill  grinds\n\nдж 日本."
    assert opened(text)["input_ids"] == own.encode(text).ids
    assert opened.decode(own.encode(text).ids) == text
    assert opened.eos_token == opened.bos_token == opened.unk_token == END_OF_TEXT
    assert opened.eos_token_id == 0
    assert opened.pad_token is None
    assert len(opened) == 300


@pytest.mark.parametrize(
    ("settings_", "word"),
    [
        ({"vocab_size": 256}, "257"),
        ({"vocab_size": 0}, "vocab_size"),
        ({"special_tokens": ["<a>"]}, "eos_token"),
        ({"special_tokens": [END_OF_TEXT, END_OF_TEXT]}, "distinct"),
        ({"special_tokens": [], "eos_token": "x"}, "eos_token"),
    ],
)
def test_impossible_vocabularies_are_refused(settings_: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        parse_config(TrainedTokenizerConfig, settings_, source="tokenizer")


def test_smallest_vocabulary_is_the_bytes() -> None:
    tokenizer = train_tokenizer(iter(TEXTS), TrainedTokenizerConfig(vocab_size=257))
    assert tokenizer.get_vocab_size() == 257
    assert len(tokenizer.encode("日本").ids) == 6


def test_given_directory_is_taken_over(
    trained: Artifact, take: Callable[..., Artifact], tmp_path: Path
) -> None:
    own = Tokenizer.from_file(str(trained.file("tokenizer.json")))
    for path in (trained.path, trained.file("tokenizer.json")):
        taken = take(path)
        other = Tokenizer.from_file(str(taken.file("tokenizer.json")))
        assert other.encode(TEXTS[3]).ids == own.encode(TEXTS[3]).ids
        assert json.loads(taken.file("tokenizer_config.json").read_text())["eos_token"] == (
            END_OF_TEXT
        )


def test_given_padding_and_truncation_are_taken_off(
    take: Callable[..., Artifact], tmp_path: Path
) -> None:
    tokenizer = train_tokenizer(iter(TEXTS), SMALL)
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    taken = take(tmp_path / "tokenizer.json")
    other = Tokenizer.from_file(str(taken.file("tokenizer.json")))
    assert len(other.encode(TEXTS[3]).ids) > 9


def small_gpt2(directory: Path, names: tuple[str, str]) -> Path:
    directory.mkdir()
    model = json.loads(train_tokenizer(iter(TEXTS), SMALL).to_str())["model"]
    (directory / names[0]).write_text(json.dumps(model["vocab"]), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"]), ""]
    (directory / names[1]).write_text("\n".join(lines), encoding="utf-8")
    return directory


@pytest.mark.parametrize("names", [("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt")])
def test_gpt2_files_are_taken_over(
    names: tuple[str, str], take: Callable[..., Artifact], tmp_path: Path
) -> None:
    taken = take(small_gpt2(tmp_path / "gpt2", names))
    own = train_tokenizer(iter(TEXTS), SMALL)
    other = Tokenizer.from_file(str(taken.file("tokenizer.json")))
    assert other.encode("the mill, дж").ids == own.encode("the mill, дж").ids
    assert other.encode(END_OF_TEXT).ids == [0]


@pytest.mark.skipif(not GPT2.is_dir(), reason="GPT-2's vocabulary is not beside the project")
def test_real_gpt2_gives_its_published_ids(take: Callable[..., Artifact]) -> None:
    taken = take(GPT2)
    tokenizer = Tokenizer.from_file(str(taken.file("tokenizer.json")))
    assert tokenizer.encode("Hello world").ids == [15496, 995]
    assert tokenizer.encode(END_OF_TEXT).ids == [50256]
    assert taken.counts["vocab_size"] == 50257


def test_given_without_a_usable_end_token_is_refused(
    take: Callable[..., Artifact], trained: Artifact, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="eos_token"):
        take(trained.path, eos_token="</s>")
    assert take(trained.path, eos_token="the").counts["vocab_size"] == 300


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"readme.txt": "x"}, ConfigError),
        ({"encoder.json": "{}"}, ConfigError),
        ({"tokenizer.json": "{}"}, CorruptInputError),
        ({"tokenizer.json": "\x00"}, CorruptInputError),
        ({"vocab.json": "[1]", "merges.txt": ""}, CorruptInputError),
        ({"vocab.json": '{"a": 0}', "merges.txt": "a b c\n"}, CorruptInputError),
        ({"vocab.json": '{"a": 0}', "merges.txt": "a b\n"}, CorruptInputError),
        ({"tokenizer_config.json": "{", "tokenizer.json": "{}"}, CorruptInputError),
    ],
)
def test_what_is_no_tokenizer_gives_one_clear_line(
    files: dict[str, str], error: type[Exception], take: Callable[..., Artifact], tmp_path: Path
) -> None:
    directory = tmp_path / "given"
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_text(content)
    with pytest.raises(error) as caught:
        take(directory)
    assert "\n" not in str(caught.value)
    assert str(directory) in str(caught.value)
