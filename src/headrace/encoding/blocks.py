"""Stage "blocks": documents to blocks of `seq_len` token ids.

Each document is followed by the end-of-text token; the tokens of a split's documents, in order, are
cut into blocks without gaps, so every position is trained on and only the last, partial block of a
split is dropped (its tokens are counted).

Tokenising runs in parallel, a shard of documents a job, at most one shard a worker ahead of
packing. Packing is sequential: what is left of shard i (less than one block) is carried to shard
i + 1 and recorded, so one shard can be built again from its documents and its predecessor's record.
Cost: 1.2 M tokens/s a core for tokenising, next to nothing for packing; memory: the tokens of one
shard and a few MiB of text.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardOutcome, ShardRecord, Stage
from headrace.artifacts.measures import Inputs, Measure
from headrace.config import StageConfig
from headrace.encoding import arrow_dataset
from headrace.encoding.engines import Engine, HuggingFaceEngine, Vocabulary
from headrace.errors import ConfigError, CorruptInputError, ProcessFailedError

logger = logging.getLogger(__name__)

SPLIT_NAMES = ("train", "valid", "test")
_BATCH_CHARACTERS = 1 << 20
_READ_ROWS = 64

Tokens = npt.NDArray[np.integer[Any]]


class BlocksConfig(StageConfig):
    """Settings of tokenising and packing."""

    seq_len: int = Field(
        default=512, ge=2, le=1 << 20, description="tokens in a block; default as in the article"
    )


@dataclass(frozen=True)
class EncodedShard:
    """The tokens of one shard of documents.

    Attributes:
        tokens: ids, each document followed by the end-of-text token, shape [num_tokens].
        num_documents: documents in it.
    """

    tokens: Tokens
    num_documents: int


def iter_batches(texts: Iterator[str], max_characters: int) -> Iterator[list[str]]:
    """Group texts so that a group has about `max_characters`, which bounds the engine's memory."""
    batch: list[str] = []
    num_characters = 0
    for text in texts:
        batch.append(text)
        num_characters += len(text)
        if num_characters >= max_characters:
            yield batch
            batch, num_characters = [], 0
    if batch:
        yield batch


def encode_documents(texts: Iterator[str], engine: Engine, vocabulary: Vocabulary) -> EncodedShard:
    """Encode documents and end each with the end-of-text token.

    Raises:
        CorruptInputError: a document's text gave a special token, which would end it early.
    """
    eos = np.array([vocabulary.eos_id], dtype=vocabulary.dtype)
    parts: list[Tokens] = []
    num_documents = 0
    for batch in iter_batches(texts, _BATCH_CHARACTERS):
        for ids in engine.encode(batch):
            found = np.isin(ids, vocabulary.special_ids)
            if found.any():
                raise CorruptInputError(
                    f"document {num_documents} of the shard: plain text was expected to give no "
                    f"special token; token {int(ids[found.argmax()])} came out: this tokenizer "
                    "cannot encode its own special tokens as text"
                )
            parts += [ids.astype(vocabulary.dtype), eos]
            num_documents += 1
    tokens: Tokens = np.concatenate(parts) if parts else np.empty(0, dtype=vocabulary.dtype)
    return EncodedShard(tokens=tokens, num_documents=num_documents)


def pack_tokens(carry: Tokens, tokens: Tokens, seq_len: int) -> tuple[Tokens, Tokens]:
    """Cut `carry` followed by `tokens` into blocks.

    Returns:
        Blocks, shape [num_blocks, seq_len], and what is left, shape [less than seq_len].
    """
    stream = np.concatenate([carry.astype(tokens.dtype), tokens])
    num_blocks = len(stream) // seq_len
    return stream[: num_blocks * seq_len].reshape(num_blocks, seq_len), stream[
        num_blocks * seq_len :
    ]


@dataclass(frozen=True)
class _Shard:
    """One shard of a split: where its documents come from and its blocks go."""

    split: str
    number: int
    num_shards: int
    path: Path

    @property
    def name(self) -> str:
        return f"{self.split}-{self.number:05d}-of-{self.num_shards:05d}"

    @property
    def file_name(self) -> str:
        return f"{self.split}/{arrow_dataset.shard_name(self.number, self.num_shards)}"


def _iter_texts(path: Path) -> Iterator[str]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_READ_ROWS, columns=["text"]):
            yield from batch.column(0).to_pylist()


def _encode_shard(path: Path, tokenizer: Path) -> EncodedShard:
    """Encode one shard of documents. Runs in any process; the tokens come back pickled."""
    engine = HuggingFaceEngine(tokenizer)
    try:
        return encode_documents(_iter_texts(path), engine, engine.vocabulary)
    except CorruptInputError as error:
        raise CorruptInputError(f"{path}, {error}") from None


def _encode_all(
    shards: Sequence[_Shard], tokenizer: Path, out: Build
) -> Generator[tuple[_Shard, EncodedShard]]:
    """Encode shards, in order, at most one a worker ahead of what the caller has taken."""
    num_workers = min(out.runtime.num_workers, len(shards))
    if num_workers <= 1:
        for shard in shards:
            yield shard, _encode_shard(shard.path, tokenizer)
        return
    opened = cast("AbstractContextManager[Executor]", out.runtime.open_executor(num_workers))
    with opened as executor:
        waiting: deque[tuple[_Shard, Future[EncodedShard]]] = deque()
        for shard in shards:
            waiting.append((shard, executor.submit(_encode_shard, shard.path, tokenizer)))
            if len(waiting) > num_workers:
                yield _result(waiting)
        while waiting:
            yield _result(waiting)


def _result(waiting: deque[tuple[_Shard, Future[EncodedShard]]]) -> tuple[_Shard, EncodedShard]:
    shard, future = waiting.popleft()
    try:
        return shard, future.result()
    except BrokenProcessPool:
        raise ProcessFailedError(
            f"{shard.path}: a worker process died while it tokenised (killed, or out of memory); "
            "finished shards are kept: run again, with fewer workers if memory was short"
        ) from None


class _Packer:
    """Writes the shards of all splits in order, carrying what is left inside a split."""

    def __init__(self, out: Build, seq_len: int, dtype: str) -> None:
        self._out = out
        self._seq_len = seq_len
        self._dtype = dtype

    def publish(self, shard: _Shard, encoded: EncodedShard, carry: list[int]) -> ShardRecord:
        """Write one shard of blocks, given what its predecessor left."""
        before = np.array(carry, dtype=self._dtype)
        blocks, rest = pack_tokens(before, encoded.tokens, self._seq_len)

        def write(directory: Path) -> ShardOutcome:
            path = directory / shard.file_name
            arrow_dataset.write_blocks_file(path, blocks, self._dtype)
            return ShardOutcome(
                rows=len(blocks),
                counts={
                    "records_in": encoded.num_documents,
                    "records_out": encoded.num_documents,
                    f"num_documents_{shard.split}": encoded.num_documents,
                    f"num_tokens_{shard.split}": len(encoded.tokens),
                    f"num_blocks_{shard.split}": len(blocks),
                },
                carry=rest.tolist(),
            )

        return self._out.publish(shard.name, write)


def write_blocks(
    *, splits: Artifact, tokenizer: Artifact, config: BlocksConfig, out: Build
) -> None:
    """Write the token blocks of every split.

    Args:
        splits: output of the splits stage.
        tokenizer: output of the tokenizer stage.
        config: settings.
        out: receives a dataset dictionary that `datasets.load_from_disk` opens: `{split}/
            data-00000-of-0000N.arrow` with one column `input_ids` (fixed-size lists of `seq_len`
            uint16, or int32 for vocabularies above 65535), and its index files. Counts: `num_
            documents_`, `num_tokens_` (end-of-text tokens included), `num_blocks_` and
            `num_dropped_tokens_` of each split, `seq_len`, `vocab_size`.

    Raises:
        ConfigError: the train split does not fill one block.
    """
    vocabulary = HuggingFaceEngine(tokenizer.path).vocabulary
    shards = _list_shards(splits)
    missing = [shard for shard in shards if out.finished(shard.name) is None]
    packer = _Packer(out, config.seq_len, vocabulary.dtype)
    encoded = _encode_all(missing, tokenizer.path, out)
    records: list[ShardRecord] = []
    num_tokens = 0
    # Closed on the way out, so that its pool ends before an error is handled.
    with closing(encoded):
        for shard in shards:
            record = out.finished(shard.name)
            if record is None:
                fresh, tokens = next(encoded)
                assert fresh is shard
                record = packer.publish(shard, tokens, records[-1].carry if shard.number else [])
            records.append(record)
            num_tokens += record.counts[f"num_tokens_{shard.split}"]
            detail = f"{len(records)} of {len(shards)} shards"
            share = len(records) / len(shards)
            out.progress(num_tokens, None, "tokens", detail, share=share)
    _check_train(shards, records, config.seq_len)
    _finish(shards, records, config.seq_len, vocabulary, out)


def _list_shards(splits: Artifact) -> list[_Shard]:
    found = []
    for split in SPLIT_NAMES:
        paths = splits.files(f"{split}/*.parquet")
        found += [_Shard(split, number, len(paths), path) for number, path in enumerate(paths)]
    return found


def _check_train(shards: list[_Shard], records: list[ShardRecord], seq_len: int) -> None:
    num_tokens = sum(
        record.counts["num_tokens_train"]
        for shard, record in zip(shards, records, strict=True)
        if shard.split == "train"
    )
    if num_tokens < seq_len:
        raise ConfigError(
            f"blocks: the train split has {num_tokens} tokens, less than one block of seq_len="
            f"{seq_len}: set seq_len to {max(num_tokens, 2)} or less, or give more text"
        )


def _finish(
    shards: list[_Shard],
    records: list[ShardRecord],
    seq_len: int,
    vocabulary: Vocabulary,
    out: Build,
) -> None:
    """Write the index files and the counts that belong to no shard."""
    present = [split for split in SPLIT_NAMES if any(shard.split == split for shard in shards)]
    out.set_counts(seq_len=seq_len, vocab_size=vocabulary.size)
    for split in present:
        mine = [(s, r) for s, r in zip(shards, records, strict=True) if s.split == split]
        names = [Path(shard.file_name).name for shard, _ in mine]
        digests = [entry.sha256 for _, record in mine for entry in record.files]
        out.write_index(f"{split}/state.json", arrow_dataset.dataset_state(split, names, digests))
        out.write_index(
            f"{split}/dataset_info.json", arrow_dataset.dataset_info(seq_len, vocabulary.dtype)
        )
        out.set_counts(**{f"num_dropped_tokens_{split}": len(mine[-1][1].carry)})
        if not any(record.rows for _, record in mine):
            logger.warning(
                "blocks: split %s has less than one block of %d tokens; it is empty", split, seq_len
            )
    out.write_index(arrow_dataset.DATASET_DICT_NAME, arrow_dataset.dataset_dict(present))


def _split_bytes(_config: BlocksConfig, inputs: Inputs) -> float:
    return inputs["splits"].num_bytes


def _known_counts(
    config: BlocksConfig, inputs: Inputs, scaled: Mapping[str, float]
) -> dict[str, float]:
    num_tokens = sum(scaled.get(f"num_tokens_{split}", 0.0) for split in SPLIT_NAMES)
    return {
        "rows": num_tokens // config.seq_len,
        "seq_len": config.seq_len,
        "vocab_size": inputs["tokenizer"].counts["vocab_size"],
    }


BLOCKS = Stage(
    name="blocks",
    version=1,
    format="headrace.blocks/1",
    packages=("tokenizers", "pyarrow"),
    write=write_blocks,
    measure=Measure(
        work=_split_bytes, volume=_split_bytes, counts=_known_counts, start_seconds=0.5
    ),
)
