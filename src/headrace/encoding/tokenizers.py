"""Stage "tokenizer": a byte-level BPE trained on the train split, or one that is given.

Either way the artifact holds `tokenizer.json`, `tokenizer_config.json` and
`special_tokens_map.json`, so `AutoTokenizer.from_pretrained` opens the directory offline.

Training counts words on all cores and merges on one; the counts are sums and ties go to the smaller
pair, so the result does not depend on the number of threads. About 4 MB of text a second a core,
memory in proportion to the number of distinct words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import Field, model_validator
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.artifacts.sources import source_path
from headrace.config import StageConfig
from headrace.errors import ConfigError, CorruptInputError

END_OF_TEXT = "<|endoftext|>"
NUM_BYTES = 256
TOKENIZER_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"
SPECIAL_NAME = "special_tokens_map.json"

_ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")
# GPT-2's two files under OpenAI's names and under Hugging Face's.
_GPT2_FILES = (("encoder.json", "vocab.bpe"), ("vocab.json", "merges.txt"))
_READ_ROWS = 256
# What `transformers` writes where a tokenizer has no limit of its own.
_NO_LIMIT = 10**30


class TrainedTokenizerConfig(StageConfig):
    """Settings of training a byte-level BPE."""

    vocab_size: int = Field(
        default=50257,
        ge=1,
        le=1 << 22,
        description="tokens, the 256 bytes and the special ones included; default: GPT-2's. A "
        "small corpus may give fewer",
    )
    min_frequency: int = Field(
        default=2, ge=1, description="least number of times that a pair is seen to be merged"
    )
    special_tokens: tuple[str, ...] = Field(
        default=(END_OF_TEXT,), description="tokens with the first ids; documents never give them"
    )
    eos_token: str = Field(
        default=END_OF_TEXT,
        min_length=1,
        description="the special token that ends a document; as in GPT-2 also bos and unk",
    )

    @model_validator(mode="after")
    def _check(self) -> TrainedTokenizerConfig:
        if self.eos_token not in self.special_tokens:
            raise ValueError(
                f"eos_token {self.eos_token!r} must be one of special_tokens "
                f"{list(self.special_tokens)}"
            )
        if len(set(self.special_tokens)) < len(self.special_tokens) or "" in self.special_tokens:
            raise ValueError("special_tokens must be distinct and not empty")
        least = NUM_BYTES + len(self.special_tokens)
        if self.vocab_size < least:
            raise ValueError(
                f"vocab_size = {self.vocab_size}: at least {least} are needed ({NUM_BYTES} bytes "
                f"and {len(self.special_tokens)} special tokens)"
            )
        return self


class GivenTokenizerConfig(StageConfig):
    """Settings of taking over a tokenizer."""

    eos_token: str | None = Field(
        default=None,
        min_length=1,
        description="the token that ends a document; None takes what the tokenizer's own files "
        "name, else <|endoftext|>",
    )


def train_tokenizer(texts: Iterator[str], config: TrainedTokenizerConfig) -> Tokenizer:
    """Train a byte-level BPE with GPT-2's rules for words.

    Args:
        texts: documents.
        config: settings.

    Returns:
        The tokenizer; special tokens have ids 0, 1, ..., then come the 256 bytes, then merges.
    """
    tokenizer = Tokenizer(models.BPE())
    _set_byte_level(tokenizer)
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=list(config.special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _set_byte_level(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)


def load_given(path: Path, config: GivenTokenizerConfig) -> tuple[Tokenizer, dict[str, str], int]:
    """Read a Hugging Face tokenizer directory, its `tokenizer.json` alone, or GPT-2's two files.

    Returns:
        The tokenizer; its special tokens by role, "eos_token" among them; its longest input in
        tokens (10^30: no limit).

    Raises:
        ConfigError: there is no tokenizer that can be read, or no token to end documents with.
        CorruptInputError: a file is not what its name says.
    """
    settings: dict[str, Any] = {}
    if path.is_dir():
        for name in (SPECIAL_NAME, CONFIG_NAME):
            if (path / name).is_file():
                settings |= _read_object(path / name)
        tokenizer = _load_directory(path)
    else:
        tokenizer = _load_json(path)
    roles = _roles_of(settings)
    roles["eos_token"] = _find_eos(tokenizer, roles, config, path)
    roles = {role: token for role, token in roles.items() if _has_token(tokenizer, token)}
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # The one that ends documents must be special, or the same letters in a text would give it.
    tokenizer.add_special_tokens([_special(token) for token in dict.fromkeys(roles.values())])
    limit = settings.get("model_max_length")
    return tokenizer, roles, int(limit) if isinstance(limit, int | float) else _NO_LIMIT


def _special(token: str) -> AddedToken:
    return AddedToken(token, special=True, normalized=False)


def _has_token(tokenizer: Tokenizer, token: str) -> bool:
    return tokenizer.token_to_id(token) is not None


def _load_directory(path: Path) -> Tokenizer:
    if (path / TOKENIZER_NAME).is_file():
        return _load_json(path / TOKENIZER_NAME)
    for vocabulary, merges in _GPT2_FILES:
        if (path / vocabulary).is_file() and (path / merges).is_file():
            return _load_gpt2(path / vocabulary, path / merges)
    found = ", ".join(sorted(item.name for item in path.iterdir())[:12]) or "nothing"
    raise ConfigError(
        f"{path}: {TOKENIZER_NAME}, or encoder.json with vocab.bpe, or vocab.json with merges.txt "
        f"was expected; found {found}: save the tokenizer with save_pretrained of a fast tokenizer"
    )


def _load_json(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # noqa: BLE001  the binding raises nothing narrower
        raise CorruptInputError(
            f"{path}: a tokenizer.json of the tokenizers library was expected; {error}"
        ) from None


def _load_gpt2(vocabulary: Path, merges: Path) -> Tokenizer:
    vocab = _read_object(vocabulary)
    lines = merges.read_text(encoding="utf-8").split("\n")
    pairs: list[tuple[str, str]] = []
    for line in lines:
        left, _, right = line.partition(" ")
        if not line or line.startswith("#version"):
            continue
        if not left or not right or " " in right:
            raise CorruptInputError(f"{merges}: two tokens a line were expected; found {line!r}")
        pairs.append((left, right))
    try:
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=pairs))
    except Exception as error:  # noqa: BLE001  the binding raises nothing narrower
        raise CorruptInputError(f"{vocabulary} and {merges.name} do not fit: {error}") from None
    _set_byte_level(tokenizer)
    return tokenizer


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptInputError(f"{path}: JSON was expected; {error}") from None
    if not isinstance(value, dict):
        raise CorruptInputError(f"{path}: a JSON object was expected; found {type(value).__name__}")
    return value


def _roles_of(settings: Mapping[str, Any]) -> dict[str, str]:
    roles = {}
    for role in _ROLES:
        value = settings.get(role)
        token = value.get("content") if isinstance(value, dict) else value
        if isinstance(token, str) and token:
            roles[role] = token
    return roles


def _find_eos(
    tokenizer: Tokenizer, roles: Mapping[str, str], config: GivenTokenizerConfig, path: Path
) -> str:
    token = config.eos_token or roles.get("eos_token") or END_OF_TEXT
    if _has_token(tokenizer, token):
        return token
    raise ConfigError(
        f"{path}: a token that ends documents is needed; {token!r} is not in its vocabulary of "
        f"{tokenizer.get_vocab_size()} tokens: set eos_token of the tokenizer stage to one that is"
    )


def _publish(tokenizer: Tokenizer, roles: Mapping[str, str], limit: int, out: Build) -> None:
    settings = {
        **roles,
        "clean_up_tokenization_spaces": False,
        "model_max_length": limit,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }

    def write(directory: Path) -> ShardOutcome:
        (directory / TOKENIZER_NAME).write_text(
            tokenizer.to_str(pretty=True) + "\n", encoding="utf-8"
        )
        for name, value in ((CONFIG_NAME, settings), (SPECIAL_NAME, dict(roles))):
            text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
            (directory / name).write_text(text + "\n", encoding="utf-8")
        size = tokenizer.get_vocab_size()
        # In the record, so that a resumed run has it without training again.
        return ShardOutcome(rows=size, counts={"vocab_size": size})

    out.publish("tokenizer", write)


def _iter_texts(paths: list[Path], out: Build) -> Iterator[str]:
    num_done = 0
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_READ_ROWS, columns=["text"]):
                yield from batch.column(0).to_pylist()
                num_done += len(batch)
                out.progress(num_done, None, "documents")


def write_trained_tokenizer(
    *, splits: Artifact, config: TrainedTokenizerConfig, out: Build
) -> None:
    """Train a tokenizer on the train split (and on nothing else) and write its three files.

    Args:
        splits: output of the splits stage.
        config: settings.
        out: receives `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`; count
            `vocab_size`.
    """
    if out.finished("tokenizer") is not None:
        return
    tokenizer = train_tokenizer(_iter_texts(splits.files("train/*.parquet"), out), config)
    # As in GPT-2: one token begins, ends, and stands for what has no token (no byte lacks one).
    roles = dict.fromkeys(("bos_token", "eos_token", "unk_token"), config.eos_token)
    _publish(tokenizer, roles, _NO_LIMIT, out)


def write_given_tokenizer(*, source: Artifact, config: GivenTokenizerConfig, out: Build) -> None:
    """Write the three files of a tokenizer that somebody else made.

    Args:
        source: a tokenizer directory, a `tokenizer.json`, or a directory with GPT-2's files.
        config: settings.
        out: as for `write_trained_tokenizer`.

    Raises:
        ConfigError: nothing readable, or no token to end documents with.
        CorruptInputError: a file is damaged.
    """
    tokenizer, roles, limit = load_given(source_path(source), config)
    _publish(tokenizer, roles, limit, out)


def _vocab_size(config: TrainedTokenizerConfig, _inputs: Inputs) -> float:
    return config.vocab_size


def _trained_counts(
    config: TrainedTokenizerConfig, _inputs: Inputs, _scaled: Mapping[str, float]
) -> dict[str, float]:
    return {"rows": config.vocab_size, "vocab_size": config.vocab_size}


def _source_bytes(_config: GivenTokenizerConfig, inputs: Inputs) -> float:
    return inputs["source"].counts["num_bytes"]


TRAINED_TOKENIZER = Stage(
    name="tokenizer",
    version=1,
    format="headrace.tokenizer/1",
    packages=("tokenizers",),
    write=write_trained_tokenizer,
    measure=Measure(volume=_vocab_size, counts=_trained_counts, start_seconds=0.2),
)
GIVEN_TOKENIZER = Stage(
    name="tokenizer",
    version=1,
    format="headrace.tokenizer/1",
    packages=("tokenizers",),
    write=write_given_tokenizer,
    measure=Measure(work=_source_bytes, volume=_source_bytes),
)
