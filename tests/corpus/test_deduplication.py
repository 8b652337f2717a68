"""Deduplication: the first of equal or nearly equal documents stays, whatever the shards."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.artifacts import Artifact, ShardOutcome, Stage, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.deduplication import (
    EXACT_DEDUPLICATION,
    NEAR_DEDUPLICATION,
    ExactDeduplicationConfig,
    NearDeduplicationConfig,
)
from headrace.corpus.duplicates import banding, find_clusters, first_of_each, ngram_hashes
from headrace.corpus.tables import iter_rows, write_table
from headrace.errors import ConfigError

Files = dict[str, Sequence[str | None]]


def build_documents(store: Store, files: Files) -> Artifact:
    import pyarrow as pa

    from headrace.artifacts.runtime import NoConfig

    def write(*, config: NoConfig, out: Any) -> None:
        number = 0
        for name, texts in files.items():
            table = pa.table(
                {
                    "content": pa.array(texts, pa.string()),
                    "id": list(range(number, number + len(texts))),
                }
            )
            number += len(texts)

            def publish(directory: Path, name: str = name, table: Any = table) -> ShardOutcome:
                write_table(directory / f"{name}.parquet", table)
                return ShardOutcome(rows=table.num_rows)

            out.publish(name, publish)

    stage = Stage(name="documents", version=1, format="t", packages=(), write=write)
    return store.open_or_build(stage, NoConfig(), {}).artifact


def ids_of(artifact: Artifact) -> dict[str, list[int]]:
    return {
        path.relative_to(artifact.path).as_posix().removesuffix(".parquet"): [
            row["id"] for row in iter_rows(path)
        ]
        for path in artifact.files("*.parquet")
    }


def code(seed: int, num_words: int = 300) -> list[str]:
    source = random.Random(seed)
    return [f"name{source.randrange(10_000)}" for _ in range(num_words)]


def changed(words: list[str], num_changes: int) -> str:
    words = list(words)
    step = len(words) // num_changes
    for place in range(0, num_changes * step, step):
        words[place] = f"other{place}"
    return " ".join(words)


def test_the_first_of_equal_documents_stays(store: Store) -> None:
    files: Files = {
        "train/documents-00000-of-00002": ["a", "b", "a", "é"],
        "train/documents-00001-of-00002": ["b", "c", "a b", "e\u0301"],
        "valid/documents-00000-of-00001": ["c", "d", "a  b", None],
    }
    documents = build_documents(store, files)
    config = ExactDeduplicationConfig()
    artifact = store.open_or_build(EXACT_DEDUPLICATION, config, {"documents": documents}).artifact
    assert ids_of(artifact) == {
        "train/documents-00000-of-00002": [0, 1, 3],
        "train/documents-00001-of-00002": [5, 6, 7],
        "valid/documents-00000-of-00001": [9, 10, 11],
    }
    assert artifact.dropped == {"exact_duplicate": 3}
    assert artifact.counts["records_in"] == 12
    assert artifact.extra("README.md").is_file()
    config = ExactDeduplicationConfig(ignore_white_space=True)
    artifact = store.open_or_build(EXACT_DEDUPLICATION, config, {"documents": documents}).artifact
    assert artifact.dropped == {"exact_duplicate": 4}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.binary(min_size=16, max_size=16)), min_size=1, max_size=4), st.data())
def test_first_of_each_is_the_plain_loop(parts: list[list[bytes]], data: st.DataObject) -> None:
    pool = [b"\0" * 16, b"\0" * 15 + b"\1", *[item for part in parts for item in part]]
    parts = [data.draw(st.lists(st.sampled_from(pool), max_size=9)) for _ in parts]
    seen: set[bytes] = set()
    expected = []
    for part in parts:
        expected.append([item not in seen and not seen.add(item) for item in part])
    arrays = [np.frombuffer(b"".join(part), "V16") for part in parts]
    assert [mask.tolist() for mask in first_of_each(arrays)] == expected


def test_the_first_of_nearly_equal_documents_stays(store: Store) -> None:
    one, two = code(1), code(2)
    files: Files = {
        "train/documents-00000-of-00001": [
            " ".join(one), changed(one, 2), " ".join(two), "short", "short", "", None,
        ],
        "valid/documents-00000-of-00001": [
            changed(two, 1), changed(one, 60), changed(one, 1), " ".join(code(3)),
        ],
    }  # fmt: skip
    documents = build_documents(store, files)
    config = NearDeduplicationConfig()
    artifact = store.open_or_build(NEAR_DEDUPLICATION, config, {"documents": documents}).artifact
    assert ids_of(artifact) == {
        "train/documents-00000-of-00001": [0, 2, 3, 4, 5, 6],
        "valid/documents-00000-of-00001": [8, 10],
    }
    assert artifact.dropped == {"near_duplicate": 3}
    report = json.loads(artifact.extra("clusters.json").read_text())
    train, valid = (f"{name}/documents-00000-of-00001.parquet" for name in ("train", "valid"))
    assert report["num_clusters"] == 2
    assert report["largest"] == [[[train, 0], [train, 1], [valid, 2]], [[train, 2], [valid, 0]]]


def test_near_duplicates_do_not_depend_on_workers(make_store: Callable[..., Store]) -> None:
    files: Files = {
        f"documents-0000{number}-of-00003": [changed(code(seed), number + 1) for seed in range(5)]
        for number in range(3)
    }
    digests = set()
    for num_workers in (1, 2):
        store = make_store(num_workers, f"home{num_workers}")
        documents = build_documents(store, files)
        inputs = {"documents": documents}
        artifact = store.open_or_build(
            NEAR_DEDUPLICATION, NearDeduplicationConfig(), inputs
        ).artifact
        digests.add(artifact.digest)
        assert artifact.counts["rows"] == 5
    assert len(digests) == 1


def test_characters_find_near_duplicates_without_spaces(store: Store) -> None:
    source = random.Random(0)
    text = "".join(chr(source.randrange(0x4E00, 0x5E00)) for _ in range(500))
    documents = build_documents(
        store, {"documents": [text, text[:250] + "新" + text[250:], text[::-1]]}
    )
    for unit, expected in (("words", [0, 1, 2]), ("characters", [0, 2])):
        config = NearDeduplicationConfig(unit=unit)
        inputs = {"documents": documents}
        artifact = store.open_or_build(NEAR_DEDUPLICATION, config, inputs).artifact
        assert ids_of(artifact) == {"documents": expected}


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 30), st.integers(0, 10**6), st.sampled_from([0.5, 0.85]))
def test_clusters_are_those_of_all_pairs(num_documents: int, seed: int, threshold: float) -> None:
    source = np.random.default_rng(seed)
    signatures = source.integers(0, 1 << 31, (num_documents, 64), dtype=np.uint32)
    for index in range(1, num_documents):
        if source.random() < 0.7:  # a copy with a few changes, far from the threshold
            signatures[index] = signatures[source.integers(index)]
            signatures[index, source.integers(64)] = 7
    shared = (signatures[:, None, :] == signatures[None, :, :]).mean(axis=2)
    expected = list(range(num_documents))
    for one in range(num_documents):
        for other in range(one):
            if shared[one, other] >= threshold:
                a, b = sorted((expected[one], expected[other]))
                expected = [a if root == b else root for root in expected]
    found = find_clusters(signatures, threshold=threshold)
    # Bands may miss a pair near the threshold, never join what is not similar.
    num_bands, size = banding(threshold, 64)
    assert num_bands * size <= 64
    assert all(expected[root] == expected[index] for index, root in enumerate(found.tolist()))
    assert len(set(found.tolist())) >= len(set(expected))
    identical = [index for index in range(num_documents) if shared[index, 0] == 1]
    assert {int(found[index]) for index in identical} == {0}


def test_ngrams_ignore_what_lies_between_words() -> None:
    config = NearDeduplicationConfig(min_units=3, ngram_size=2)
    assert ngram_hashes("a, b\n(c) d", config).tolist() == ngram_hashes("a b c d", config).tolist()
    assert len(ngram_hashes("a b c a b", config)) == 3
    assert len(ngram_hashes("a b", config)) == 0
    order = [ngram_hashes(text, config).tolist() for text in ("a b c", "b a c")]
    assert order[0] != order[1]


@pytest.mark.parametrize(
    ("stage", "config"),
    [
        (EXACT_DEDUPLICATION, ExactDeduplicationConfig()),
        (NEAR_DEDUPLICATION, NearDeduplicationConfig()),
    ],
)
def test_what_is_no_artifact_of_documents_is_refused(
    store: Store, tmp_path: Path, stage: Stage, config: Any
) -> None:
    (tmp_path / "a.jsonl").write_text('{"content": "a"}\n')
    source = open_source(store, tmp_path / "a.jsonl").artifact
    with pytest.raises(ConfigError):
        store.open_or_build(stage, config, {"documents": source})
    documents = build_documents(store, {"documents": ["a"]})
    wrong = config.model_copy(update={"text_column": "body"})
    with pytest.raises(ConfigError, match="body"):
        store.open_or_build(stage, wrong, {"documents": documents})


def test_no_documents_have_no_clusters() -> None:
    found = find_clusters(np.empty((0, 64), np.uint32), threshold=0.85)
    assert found.tolist() == []
