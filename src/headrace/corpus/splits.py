"""Stage "splits": documents dealt out to train, valid and test.

Document ids (their positions, where they have none) are put in the order of a seeded hash (sha256
of seed and id: the same on any machine, in any order of shards), and that order is cut at
cumulative floors: of n documents and weights w with sum W, split i gets the ranks
[n*W_i // W, n*W_(i+1) // W). So the splits are disjoint, cover everything, and their sizes are
exact integers. Which split a document is in follows from its own hash and two borders, so any shard
can be written alone. Inside a split, dump order is kept.

Cost: one pass over the ids (16 bytes and about 1 microsecond each), one over the shards.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, field_validator

from headrace.artifacts import Artifact, Build, ShardJob, ShardOutcome, Stage
from headrace.artifacts.measures import Measure
from headrace.config import StageConfig
from headrace.corpus.columns import integer_values
from headrace.corpus.document_inputs import site_of
from headrace.corpus.site import SITEINFO_NAME
from headrace.corpus.tables import num_rows, write_table
from headrace.errors import ConfigError, CorruptInputError

SPLIT_NAMES = ("train", "valid", "test")
ID = "id"
_KEY = np.dtype([("hash", "<u8"), ("id", "<i8")])


class SplitsConfig(StageConfig):
    """Settings of the split."""

    weights: tuple[int, int, int] = Field(
        default=(949, 50, 1),
        description="shares of train, valid and test; a text '949,50,1' will do; 0 leaves a split "
        "out. Default: the article's Megatron split",
    )
    seed: int = Field(
        default=1234,
        ge=0,
        lt=1 << 63,
        description="decides which document goes where; default as in the article",
    )

    @field_validator("weights", mode="before")
    @classmethod
    def _parse_weights(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(","))
        return value

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(value) < 0 or max(value) > 1 << 31:
            raise ValueError("weights of 0 to 2^31 are needed")
        if value[0] == 0:
            raise ValueError("the weight of train must be above 0")
        return value


def split_sizes(num_documents: int, weights: Sequence[int]) -> list[int]:
    """Documents in each split; their sum is `num_documents`.

    Raises:
        ConfigError: a split with a weight above 0 would get no document of its own.
    """
    sizes = _apportion(num_documents, weights)
    starved = [
        name for name, size, weight in zip(SPLIT_NAMES, sizes, weights, strict=True)
        if weight and not size
    ]  # fmt: skip
    if starved:
        enough = _enough_documents(num_documents, weights)
        text = ",".join(map(str, weights))
        raise ConfigError(
            f"splits: weights={text} over {num_documents} documents leave none for "
            f"{' and '.join(starved)}; every split with a weight needs one of its own, which takes "
            f"{enough} documents: give more documents, more even weights, or weight 0 to leave a "
            "split out (weights=1,0,0 puts everything into train)"
        )
    return sizes


def _apportion(num_documents: int, weights: Sequence[int]) -> list[int]:
    total = sum(weights)
    borders = [num_documents * part // total for part in accumulate(weights, initial=0)]
    return [after - before for before, after in pairwise(borders)]


def _enough_documents(num_documents: int, weights: Sequence[int]) -> int:
    """The next larger number of documents that gives each weighted split one."""
    smallest = min(weight for weight in weights if weight)
    # From this number on floors cannot starve a split, so the search ends.
    sure = max(num_documents, -(-sum(weights) // smallest))
    if sure - num_documents > 100_000:
        return sure
    for count in range(num_documents + 1, sure):
        sizes = _apportion(count, weights)
        if all(size for size, weight in zip(sizes, weights, strict=True) if weight):
            return count
    return sure


def document_keys(ids: npt.NDArray[Any], seed: int) -> npt.NDArray[np.void]:
    """Sort keys of documents.

    Args:
        ids: document ids, shape [n], int64 or texts (dtype object).
        seed: the split's seed.

    Returns:
        Shape [n], fields "hash" (uint64: first 8 bytes of sha256 of "seed:id") and "id" (int64; of
        a text the next 8 bytes).
    """
    digests = [
        hashlib.sha256(f"{seed}:{document_id}".encode(errors="surrogatepass")).digest()
        for document_id in ids.tolist()
    ]
    keys = np.empty(len(ids), dtype=_KEY)
    keys["hash"] = [int.from_bytes(digest[:8], "little") for digest in digests]
    if ids.dtype.kind == "i":
        keys["id"] = ids
    else:
        keys["id"] = [int.from_bytes(digest[8:16], "little", signed=True) for digest in digests]
    return keys


def assign_splits(
    keys: npt.NDArray[np.void], borders: Sequence[tuple[int, int] | None]
) -> npt.NDArray[np.int8]:
    """Which split each document is in.

    Args:
        keys: as from `document_keys`, shape [n].
        borders: the first key of the second and of the third split; None beyond the last.

    Returns:
        Index into `SPLIT_NAMES`, shape [n], int8.
    """
    found = np.zeros(len(keys), dtype=np.int8)
    for border in borders:
        if border is not None:
            first, document_id = np.uint64(border[0]), np.int64(border[1])
            is_tie = (keys["hash"] == first) & (keys["id"] >= document_id)
            found += (keys["hash"] > first) | is_tie
    return found


def _find_borders(
    ordered: npt.NDArray[np.void], sizes: Sequence[int]
) -> list[tuple[int, int] | None]:
    """Keys at which the second and third split begin; None where nothing is left for it."""
    borders: list[tuple[int, int] | None] = []
    for start in (sizes[0], sizes[0] + sizes[1]):
        if start < len(ordered):
            borders.append((int(ordered[start]["hash"]), int(ordered[start]["id"])))
        else:
            borders.append(None)
    return borders


def _read_ids(path: Path, first: int) -> npt.NDArray[Any]:
    """The ids of a shard's documents; where there is no such column, their positions from `first`.

    Raises:
        CorruptInputError: an id is null, or neither a whole number nor a text.
    """
    schema = pq.read_schema(path)
    if ID not in schema.names:
        return np.arange(first, first + num_rows([path]), dtype=np.int64)
    column = pq.read_table(path, columns=[ID])[ID]
    if column.null_count:
        raise CorruptInputError(
            f"{path}: an id for each document was expected; {column.null_count} of {len(column)} "
            "are null: give each one an id, or leave the column out"
        )
    if pa.types.is_integer(column.type):
        return integer_values(column.cast(pa.int64()))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=object)
    raise CorruptInputError(
        f"{path}: whole numbers or texts were expected in column '{ID}'; it has {column.type}: "
        "mend it, or leave the column out"
    )


def _check_distinct(ordered: npt.NDArray[np.void], where: Path) -> None:
    num_double = int(np.count_nonzero(ordered[1:] == ordered[:-1]))
    if num_double:
        raise CorruptInputError(
            f"{where}: distinct document ids were expected, for they decide on the split; "
            f"{num_double} of {len(ordered)} are there before: make them distinct, or leave the "
            f"column '{ID}' out"
        )


def _write_shard(
    directory: Path,
    path: str,
    first: int,
    names: dict[str, str],
    seed: int,
    borders: list[tuple[int, int] | None],
) -> ShardOutcome:
    """Deal one shard of documents, the first of them in position `first`, out to named files."""
    table = pq.read_table(path).replace_schema_metadata()
    assigned = assign_splits(document_keys(_read_ids(Path(path), first), seed), borders)
    counts = {"records_in": len(table), "records_out": len(table)}
    for split, name in names.items():
        chosen = table.filter(pa.array(assigned == SPLIT_NAMES.index(split)))
        write_table(directory / split / name, chosen)
        counts[f"num_documents_{split}"] = len(chosen)
    return ShardOutcome(rows=len(table), counts=counts)


def write_splits(*, sentences: Artifact, config: SplitsConfig, out: Build) -> None:
    """Write each document into one of train, valid and test.

    Args:
        sentences: output of the sentences stage, or any other artifact with
            `documents-*.parquet`; the ids of documents, if they have a column of that name, are
            distinct whole numbers or texts.
        config: settings.
        out: receives `train/documents-00000-of-0000N.parquet` and so on, columns as they came in;
            a split's shards follow the input's, leaving out those that would be empty. A split of
            weight 0 has no directory.

    Raises:
        ConfigError: a split with a weight above 0 would get no document.
        CorruptInputError: ids are not distinct, null, or of another type.
    """
    shards = sentences.files("documents-*.parquet")
    firsts = list(accumulate((num_rows([path]) for path in shards), initial=0))
    keys = [
        document_keys(_read_ids(path, first), config.seed)
        for path, first in zip(shards, firsts[:-1], strict=True)
    ]
    all_keys = np.concatenate(keys) if keys else np.empty(0, dtype=_KEY)
    ordered = np.sort(all_keys, order=("hash", "id"))
    _check_distinct(ordered, sentences.path)
    sizes = split_sizes(len(ordered), config.weights)
    borders = _find_borders(ordered, sizes)
    names = _shard_names([assign_splits(part, borders) for part in keys])
    jobs = []
    for number, path in enumerate(shards):
        if not names[number]:
            continue
        args: tuple[Any, ...] = (str(path), firsts[number], names[number], config.seed, borders)
        job_name = f"documents-{number:05d}-of-{len(shards):05d}"
        jobs.append(ShardJob(name=job_name, function=_write_shard, args=args))
    out.run_shards(jobs, unit="documents")
    out.write_index(SITEINFO_NAME, site_of(sentences).to_json())


def _shard_names(assigned: Sequence[npt.NDArray[np.int8]]) -> list[dict[str, str]]:
    """For each input shard: split -> name of the file that takes its documents, if any."""
    present = [[SPLIT_NAMES[index] for index in np.unique(part)] for part in assigned]
    num_shards = Counter(split for splits in present for split in splits)
    next_number: Counter[str] = Counter()
    names: list[dict[str, str]] = []
    for splits in present:
        mine = {}
        for split in splits:
            mine[split] = f"documents-{next_number[split]:05d}-of-{num_shards[split]:05d}.parquet"
            next_number[split] += 1
        names.append(mine)
    return names


SPLITS = Stage(
    name="splits",
    version=1,
    format="headrace.splits/1",
    packages=("pyarrow",),
    write=write_splits,
    measure=Measure(start_seconds=0.5),
)
