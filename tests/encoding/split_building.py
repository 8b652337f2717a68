"""Splits artifacts of a few given documents."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage, Store
from headrace.config import StageConfig

WORDS = (
    "the", "water", "runs", "down", "to", "the", "mill", "and", "the", "mill", "grinds", "the",
    "grain", "of", "the", "valley", ".",
)  # fmt: skip


class TextsConfig(StageConfig):
    train: tuple[tuple[str, ...], ...]
    valid: tuple[tuple[str, ...], ...] = ()
    test: tuple[tuple[str, ...], ...] = ()


def write_texts(*, config: TextsConfig, out: Build) -> None:
    for split in ("train", "valid", "test"):
        shards = getattr(config, split)
        for number, texts in enumerate(shards):
            name = f"{split}/documents-{number:05d}-of-{len(shards):05d}.parquet"

            def write(directory: Path, name: str = name, texts: tuple = texts) -> ShardOutcome:
                path = directory / name
                path.parent.mkdir()
                pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path)
                return ShardOutcome(rows=len(texts))

            out.publish(f"{split}-{number}", write)


TEXTS = Stage(name="splits", version=1, format="t", packages=(), write=write_texts)


def splits_of(store: Store, **shards: object) -> Artifact:
    return store.open_or_build(TEXTS, TextsConfig(**shards), {}).artifact


def sentence(number: int, length: int = 30) -> str:
    """A made-up sentence, another one for each number."""
    return " ".join(WORDS[(number * 7 + i * i * (number + 1)) % len(WORDS)] for i in range(length))
