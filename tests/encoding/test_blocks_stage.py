"""Blocks: no token lost, one layout for all, opened by datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from split_building import sentence, splits_of
from tokenizers import Tokenizer

from headrace.artifacts import Artifact, Store
from headrace.encoding.arrow_dataset import write_blocks_file
from headrace.encoding.batches import BlockReader
from headrace.encoding.blocks import BLOCKS, BlocksConfig, encode_documents, pack_tokens
from headrace.encoding.engines import HuggingFaceEngine, Vocabulary
from headrace.encoding.tokenizers import TRAINED_TOKENIZER, TrainedTokenizerConfig
from headrace.errors import ConfigError, CorruptInputError, MissingInputError

LITERAL = "The token <|endoftext|> ends a text. <|endoftext|>"
TRAIN = (
    tuple(sentence(number) for number in range(20)),
    (LITERAL, "", "日本は国。\n\nnext"),
    ("x",),
    tuple(sentence(number, 9) for number in range(20, 45)),
)
VALID = ((sentence(90),), (sentence(91), "short"))
TEST = (("few",),)


@pytest.fixture
def write(make_store: Callable[..., Store]) -> Callable[..., tuple[Artifact, Artifact]]:
    def run(
        num_workers: int = 1, home: str = "home", seq_len: int = 16, **shards: object
    ) -> tuple[Artifact, Artifact]:
        store = make_store(num_workers, home)
        splits = splits_of(store, **(shards or {"train": TRAIN, "valid": VALID, "test": TEST}))
        tokenizer = store.open_or_build(
            TRAINED_TOKENIZER, TrainedTokenizerConfig(vocab_size=290), {"splits": splits}
        ).artifact
        config = BlocksConfig(seq_len=seq_len)
        inputs = {"splits": splits, "tokenizer": tokenizer}
        return store.open_or_build(BLOCKS, config, inputs).artifact, tokenizer

    return run


def flat(artifact: Artifact, split: str) -> list[int]:
    reader = BlockReader(artifact, split)
    return reader.gather(np.arange(len(reader))).reshape(-1).tolist()


def test_blocks_decode_to_the_documents(write: Callable[..., tuple[Artifact, Artifact]]) -> None:
    blocks, files = write()
    tokenizer = Tokenizer.from_file(str(files.file("tokenizer.json")))
    for split, shards in (("train", TRAIN), ("valid", VALID)):
        documents = [text for shard in shards for text in shard]
        ids = flat(blocks, split)
        num_dropped = blocks.counts[f"num_dropped_tokens_{split}"]
        assert len(ids) + num_dropped == blocks.counts[f"num_tokens_{split}"]
        assert len(ids) == blocks.counts[f"num_blocks_{split}"] * 16
        assert num_dropped < 16
        parts = np.split(ids, np.flatnonzero(np.array(ids) == 0) + 1)
        whole = [tokenizer.decode(part[:-1].tolist()) for part in parts[:-1]]
        assert whole == documents[: len(whole)]
        assert len(documents) - len(whole) <= 3
        assert blocks.counts[f"num_documents_{split}"] == len(documents)
        assert "".join(documents).startswith("".join(whole))
    assert blocks.counts["vocab_size"] == 290


def test_letters_of_a_special_token_stay_letters(
    write: Callable[..., tuple[Artifact, Artifact]],
) -> None:
    blocks, files = write(train=((LITERAL,) * 3,), seq_len=2)
    ids = flat(blocks, "train")
    assert ids.count(0) <= 3
    tokenizer = Tokenizer.from_file(str(files.file("tokenizer.json")))
    assert tokenizer.decode(ids, skip_special_tokens=True).startswith(LITERAL)


def test_same_bytes_for_any_number_of_workers(
    write: Callable[..., tuple[Artifact, Artifact]],
) -> None:
    one, _ = write()
    two, _ = write(num_workers=2, home="two")
    assert one.digest == two.digest
    assert len(one.files("train/*.arrow")) == 4


@pytest.mark.parametrize("number", range(4))
def test_any_one_shard_is_rebuilt_alone(
    number: int, write: Callable[..., tuple[Artifact, Artifact]], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks, _ = write()
    path = blocks.files("train/*.arrow")[number]
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    from headrace.encoding import blocks as module

    original, encoded = module._encode_shard, []
    monkeypatch.setattr(
        module, "_encode_shard", lambda *args: encoded.append(args[0]) or original(*args)
    )
    again, _ = write()
    assert len(encoded) == 1
    assert path.read_bytes() == content
    assert again.digest == blocks.digest


def test_interrupted_run_goes_on(
    write: Callable[..., tuple[Artifact, Artifact]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.encoding import blocks as module

    original, encoded = module._encode_shard, []

    def fail_at_third(*args: Path) -> object:
        encoded.append(args[0])
        if len(encoded) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(module, "_encode_shard", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        write()
    blocks, _ = write()
    assert len(encoded) == 3 + 5
    assert blocks.digest == write(home="other")[0].digest


def test_datasets_opens_every_split(write: Callable[..., tuple[Artifact, Artifact]]) -> None:
    datasets = pytest.importorskip("datasets")
    blocks, _ = write()
    opened = datasets.load_from_disk(str(blocks.path))
    assert list(opened) == ["train", "valid", "test"]
    feature = opened["train"].features["input_ids"]
    assert (feature.feature.dtype, feature.length) == ("uint16", 16)
    assert np.concatenate(opened["train"]["input_ids"]).tolist() == flat(blocks, "train")
    assert len(opened["test"]) == 0
    assert opened["test"].features == opened["train"].features
    row = opened["train"].with_format("torch")[1]["input_ids"]
    assert row.tolist() == flat(blocks, "train")[16:32]
    assert str(row.dtype) == "torch.int64"
    assert len(datasets.load_from_disk(str(blocks.path / "valid"))) == len(opened["valid"])


def test_written_as_datasets_writes_it(tmp_path: Path) -> None:
    """Files of `datasets` itself differ from ours in nothing but the fingerprint."""
    datasets = pytest.importorskip("datasets")
    from headrace.encoding import arrow_dataset

    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    kind = datasets.Features({"input_ids": datasets.List(datasets.Value("uint16"), length=4)})
    peer = datasets.Dataset.from_dict(
        {"input_ids": values.tolist()}, features=kind, split=datasets.Split("train")
    )
    peer.save_to_disk(str(tmp_path / "peer"))
    write_blocks_file(tmp_path / "own.arrow", values, "uint16")
    with (
        pa.ipc.open_stream(tmp_path / "own.arrow") as own,
        pa.ipc.open_stream(tmp_path / "peer" / "data-00000-of-00001.arrow") as theirs,
    ):
        assert own.schema.equals(theirs.schema, check_metadata=True)
        assert own.read_all() == theirs.read_all()
    info = (tmp_path / "peer/dataset_info.json").read_bytes()
    assert arrow_dataset.dataset_info(4, "uint16") == info
    state = (tmp_path / "peer/state.json").read_text()
    ours = arrow_dataset.dataset_state("train", ["data-00000-of-00001.arrow"], ["0"]).decode()
    assert [line for line in ours.splitlines() if "_fingerprint" not in line] == [
        line for line in state.splitlines() if "_fingerprint" not in line
    ]


def test_train_split_shorter_than_a_block_is_refused(
    write: Callable[..., tuple[Artifact, Artifact]],
) -> None:
    with pytest.raises(ConfigError, match="seq_len to 4 or less"):
        write(train=(("x", "y"),), seq_len=16)
    blocks, _ = write(train=(("x", "y"),), seq_len=4)
    assert blocks.counts["num_blocks_train"] == 1
    assert blocks.counts["num_dropped_tokens_train"] == 0


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=30), max_size=6),
    st.integers(2, 9),
)
def test_packing_shard_by_shard_is_packing_at_once(shards: list[list[int]], seq_len: int) -> None:
    carry, blocks = np.empty(0, np.uint16), []
    for shard in shards:
        part, carry = pack_tokens(carry, np.array(shard, np.uint16), seq_len)
        assert part.dtype == np.uint16
        blocks += part.reshape(-1).tolist()
    everything = [token for shard in shards for token in shard]
    assert blocks + carry.tolist() == everything
    assert len(carry) == len(everything) % seq_len


@pytest.mark.parametrize(
    ("size", "dtype"), [(300, "uint16"), (65535, "uint16"), (65536, "int32"), (250_000, "int32")]
)
def test_dtype_follows_the_vocabulary(size: int, dtype: str, tmp_path: Path) -> None:
    vocabulary = Vocabulary(size=size, eos_id=size - 1, special_ids=(size - 1,))

    class Letters:
        def encode(self, texts: list[str]) -> list[np.ndarray]:
            return [np.array([ord(letter) for letter in text], np.int64) for text in texts]

    encoded = encode_documents(iter(["ab", ""]), Letters(), vocabulary)
    assert encoded.tokens.dtype == dtype
    assert encoded.tokens.tolist() == [97, 98, size - 1, size - 1]
    write_blocks_file(tmp_path / "x.arrow", encoded.tokens.reshape(1, 4), dtype)
    with pa.ipc.open_stream(tmp_path / "x.arrow") as reader:
        assert str(reader.schema.field("input_ids").type.value_type) == dtype


def test_engine_that_turns_text_into_special_tokens_is_refused() -> None:
    class Careless:
        def encode(self, texts: list[str]) -> list[np.ndarray]:
            return [np.array([5, 0, 6]) for _ in texts]

    with pytest.raises(CorruptInputError, match="document 0"):
        encode_documents(iter(["a"]), Careless(), Vocabulary(size=9, eos_id=0, special_ids=(0,)))


def test_missing_split_is_named(write: Callable[..., tuple[Artifact, Artifact]]) -> None:
    blocks, _ = write(train=TRAIN)
    with pytest.raises(MissingInputError, match="'valid'"):
        BlockReader(blocks, "valid")


def test_engine_names_what_is_wrong_with_a_directory(tmp_path: Path) -> None:
    with pytest.raises(CorruptInputError):
        HuggingFaceEngine(tmp_path)
