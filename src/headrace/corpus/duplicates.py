"""Equal and nearly equal texts: hashes, MinHash signatures, clusters; see `deduplication`."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.artifacts import ShardOutcome
from headrace.corpus.document_files import DocumentWriter
from headrace.corpus.statistics import CorpusStatistics

if TYPE_CHECKING:
    from headrace.corpus.deduplication import NearDeduplicationConfig

BATCH_ROWS = 256
HASH = np.dtype("V16")
_WORD = re.compile(r"\w+")
# 2,048 n-grams at once keep datasketch's table of permutations at a few MB.
_UPDATE_SIZE = 2048
# An odd multiplier near 2^32 / golden ratio (Knuth, volume 3, 6.4): spreads successive n-grams.
_MULTIPLIER = np.uint64(0x9E3779B1)
_MASK = np.uint64(0xFFFFFFFF)

Signatures = npt.NDArray[np.uint32]


def iter_texts(path: Path, text_column: str) -> Iterator[str]:
    """The texts of one Parquet file; "" for null."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[text_column]):
            for text in batch.column(0).to_pylist():
                yield text or ""


def hash_texts(path: Path, text_column: str, ignore_white_space: bool) -> npt.NDArray[Any]:
    """128-bit hashes of the texts of one Parquet file, shape [rows]."""
    digests = bytearray()
    for text in iter_texts(path, text_column):
        compared = "".join(text.split()) if ignore_white_space else text
        digests += hashlib.blake2b(compared.encode(), digest_size=HASH.itemsize).digest()
    return np.frombuffer(bytes(digests), HASH)


def first_of_each(hashes: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[np.bool_]]:
    """For each file's hashes, whether no equal one came before, in any file."""
    joined = np.concatenate(hashes)
    _, first = np.unique(joined, return_index=True)
    keep = np.zeros(len(joined), bool)
    keep[first] = True
    return np.split(keep, np.cumsum([len(part) for part in hashes])[:-1])


def ngram_hashes(text: str, config: NearDeduplicationConfig) -> npt.NDArray[np.uint64]:
    """32-bit hashes of the distinct n-grams of a text; none if it has too few units."""
    if config.unit == "words":
        units = [zlib.crc32(word.encode()) for word in _WORD.findall(text)]
    else:
        units = [ord(char) for char in "".join(text.split())]
    size = config.ngram_size
    if len(units) < max(config.min_units, size):
        return np.empty(0, np.uint64)
    values = np.array(units, np.uint64)
    hashes = np.zeros(len(values) - size + 1, np.uint64)
    for offset in range(size):
        hashes = (hashes ^ values[offset : offset + len(hashes)]) * _MULTIPLIER & _MASK
        hashes ^= hashes >> np.uint64(15)
    return np.unique(hashes)


def write_signatures(
    directory: Path, path: str, name: str, text_column: str, config: NearDeduplicationConfig
) -> ShardOutcome:
    """Write the signatures of one file, uint32 of shape [rows, num_perm]; a shard's function.

    Documents with too few units have the largest value everywhere.
    """
    from datasketch import MinHash

    empty = MinHash(num_perm=config.num_perm, seed=config.seed, hashfunc=int, scheme="affine32")
    rows: list[Signatures] = []
    for text in iter_texts(Path(path), text_column):
        sketch = empty.copy()
        hashes = ngram_hashes(text, config).tolist()
        for first in range(0, len(hashes), _UPDATE_SIZE):
            sketch.update_batch(hashes[first : first + _UPDATE_SIZE])
        rows.append(np.asarray(sketch.hashvalues, np.uint32))
    signatures = np.stack(rows) if rows else np.empty((0, config.num_perm), np.uint32)
    np.save(directory / f"{name}.npy", signatures)
    return ShardOutcome(rows=len(rows))


def find_clusters(signatures: Signatures, *, threshold: float) -> npt.NDArray[np.int64]:
    """Join what is similar.

    Args:
        signatures: shape [documents, num_perm]; see `write_signatures`.
        threshold: share of equal values from which two documents are joined.

    Returns:
        For each document the first of its cluster, shape [documents].
    """
    parents = np.arange(len(signatures), dtype=np.int64)
    known = np.flatnonzero((signatures != np.iinfo(np.uint32).max).any(axis=1))
    num_bands, band_size = banding(threshold, signatures.shape[1])
    for band in range(num_bands):
        columns = signatures[known, band * band_size : (band + 1) * band_size]
        keys = np.ascontiguousarray(columns).view(np.dtype((np.void, 4 * band_size))).ravel()
        order = np.argsort(keys, kind="stable")
        borders = np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1
        for bucket in np.split(known[order], borders):
            if len(bucket) > 1:
                _join_bucket(signatures, parents, bucket, threshold)
    return np.array([_root(parents, index) for index in range(len(parents))], np.int64)


def banding(threshold: float, num_perm: int) -> tuple[int, int]:
    """Number and size of the bands with the fewest errors at this threshold, as datasketch has it.

    A pair of similarity s shares a band of r values, of b bands, with probability 1 - (1 - s^r)^b.
    """
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=num_perm, weights=(0.1, 0.9))
    return int(index.b), int(index.r)


def _join_bucket(
    signatures: Signatures,
    parents: npt.NDArray[np.int64],
    bucket: npt.NDArray[np.int64],
    threshold: float,
) -> None:
    """Compare each document with the first that is left, until none is left."""
    while len(bucket) > 1:
        first, others = int(bucket[0]), bucket[1:]
        similar = (signatures[others] == signatures[first]).mean(axis=1) >= threshold
        for other in others[similar].tolist():
            _join(parents, first, other)
        bucket = others[~similar]


def _root(parents: npt.NDArray[np.int64], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = int(parents[index])
    return index


def _join(parents: npt.NDArray[np.int64], one: int, other: int) -> None:
    a, b = _root(parents, one), _root(parents, other)
    # The smaller is the root, so a cluster's root is its first document.
    parents[max(a, b)] = min(a, b)


def write_kept(
    directory: Path,
    path: str,
    name: str,
    keep: npt.NDArray[np.bool_],
    reason: str,
    text_column: str,
) -> ShardOutcome:
    """Write the rows of one file that stay; a shard's function."""
    statistics, first = CorpusStatistics(), 0
    out = directory / f"{name}.parquet"
    with (
        pq.ParquetFile(path) as file,
        DocumentWriter(out, file.schema_arrow, text_column=text_column) as writer,
    ):
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            mask = pa.array(keep[first : first + batch.num_rows])
            kept = pa.Table.from_batches([batch]).filter(mask)
            statistics.add_column(kept[text_column])
            writer.write(kept)
            first += batch.num_rows
        num_out = writer.num_rows
    num_dropped = len(keep) - num_out
    return ShardOutcome(
        rows=num_out,
        counts={"records_in": len(keep), "records_out": num_out, **statistics.counts()},
        dropped={reason: num_dropped} if num_dropped else {},
    )
