"""Stages "deduplicate" and "deduplicate_near": of equal or nearly equal documents, the first stays.

Exact: texts are compared by a 128-bit BLAKE2b (1 GB/s); of equal ones the first in the order of the
files' names and rows stays. Memory: 16 bytes a document.

Near: each text becomes the set of its n-grams of words, of which datasketch makes a MinHash
signature (in parallel, a shard a job). Signatures are cut into bands, as many as the threshold asks
for; documents equal in a band are compared by the share of equal values in their signatures, which
estimates Jaccard's similarity, and those above the threshold are joined (union-find). Of each
cluster the first stays. Bands are sorted one after the other, so memory holds the signatures, 4
bytes x num_perm a document (1 KiB with 256), and 24 bytes more.

Splits come in the order of their names (test, train, valid): what train has already, valid loses.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from headrace.artifacts import Artifact, Build, ShardJob, ShardRecord, Stage
from headrace.artifacts.files import json_bytes
from headrace.artifacts.measures import Measure
from headrace.artifacts.sources import SOURCE
from headrace.config import StageConfig
from headrace.corpus.records import text_column_of
from headrace.corpus.site import SITEINFO_NAME
from headrace.corpus.statistics import DatasetCard, write_statistics
from headrace.errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt

CLUSTERS_NAME = "clusters.json"
SCRATCH_NAME = "signatures"


class ExactDeduplicationConfig(StageConfig):
    """Settings of exact deduplication."""

    text_column: str | None = Field(
        default=None, min_length=1, description="column compared; null: content, else text"
    )
    ignore_white_space: bool = Field(
        default=False,
        description="true takes texts for equal that differ in white space alone, as codeparrot's "
        "own deduplication did",
    )


class NearDeduplicationConfig(StageConfig):
    """Settings of near deduplication; defaults are those of codeparrot's clean corpus."""

    text_column: str | None = Field(
        default=None, min_length=1, description="column compared; null: content, else text"
    )
    threshold: float = Field(
        default=0.85, gt=0, lt=1, description="Jaccard similarity from which documents are one"
    )
    num_perm: int = Field(
        default=256, ge=16, le=4096, description="values of a signature; error 1/sqrt(num_perm)"
    )
    unit: Literal["words", "characters"] = Field(
        default="words",
        description="what n-grams are made of: words (runs of letters, digits and _), or "
        "characters without white space, for languages that write no spaces",
    )
    ngram_size: int = Field(default=5, ge=1, le=100, description="units in an n-gram")
    min_units: int = Field(
        default=10, ge=1, description="shorter documents, in units, are never near-duplicates"
    )
    num_reported_clusters: int = Field(
        default=100, ge=0, description="largest clusters listed in clusters.json"
    )
    seed: int = Field(default=1, ge=0, lt=1 << 32, description="of the permutations")


def write_exact_deduplication(
    *, documents: Artifact, config: ExactDeduplicationConfig, out: Build
) -> None:
    """Write the first of each set of equal documents.

    Args:
        documents: an artifact with Parquet files of documents.
        config: settings.
        out: receives a file for each file of the input, of the same name, columns and order.
            Dropped are "exact_duplicate".

    Raises:
        ConfigError: the input is no such artifact, or has no text column.
    """
    from headrace.corpus.duplicates import first_of_each, hash_texts

    files, text_column = _open(documents, config.text_column)
    hashes = [hash_texts(path, text_column, config.ignore_white_space) for path in files]
    keep = first_of_each(hashes)
    _write_kept(documents, files, keep, "exact_duplicate", text_column, out)


def write_near_deduplication(
    *, documents: Artifact, config: NearDeduplicationConfig, out: Build
) -> None:
    """Write the first of each cluster of nearly equal documents.

    Args:
        documents: an artifact with Parquet files of documents.
        config: settings.
        out: receives a file for each file of the input, of the same name, columns and order; as an
            extra `clusters.json`, the largest clusters with their members. Dropped are
            "near_duplicate".

    Raises:
        ConfigError: the input is no such artifact, or has no text column.
    """
    import numpy as np

    from headrace.corpus.duplicates import find_clusters, write_signatures

    files, text_column = _open(documents, config.text_column)
    scratch = Build(
        out.workdir / SCRATCH_NAME,
        stage_name="deduplicate_near",
        runtime=out.runtime,
        lock_fd=out.lock_fd,
    )
    jobs = []
    for number, path in enumerate(files):
        args = (str(path), f"{number:05d}", text_column, config)
        jobs.append(ShardJob(name=f"{number:05d}", function=write_signatures, args=args))
    scratch.run_shards(jobs, unit="signatures")
    parts = [np.load(scratch.path / f"{job.name}.npy") for job in jobs]
    first = find_clusters(np.concatenate(parts), threshold=config.threshold)
    is_first = first == np.arange(len(first))
    borders = np.cumsum([len(part) for part in parts])[:-1]
    keep = np.split(is_first, borders)
    _write_kept(documents, files, keep, "near_duplicate", text_column, out)
    names = [path.relative_to(documents.path).as_posix() for path in files]
    report = _largest_clusters(first, names, borders, config.num_reported_clusters)
    out.write_extra(CLUSTERS_NAME, json_bytes(report))


def _open(documents: Artifact, wanted: str | None) -> tuple[list[Path], str]:
    """The artifact's Parquet files, and its text column."""
    from headrace.corpus.document_files import read_schema

    files = documents.files("*.parquet")
    if documents.stage == SOURCE.name or not files:
        raise ConfigError(
            f"{documents.path}: an artifact with Parquet files of documents was expected; it is "
            f"'{documents.stage}': bring raw files in by `headrace filter` or `read-texts` first"
        )
    schema = read_schema(files[0])
    return files, text_column_of(schema.names, wanted, str(files[0]))


def _write_kept(
    documents: Artifact,
    files: Sequence[Path],
    keep: Sequence[npt.NDArray[Any]],
    reason: str,
    text_column: str,
    out: Build,
) -> list[ShardRecord]:
    """Write the rows that stay, a shard for each file."""
    from headrace.corpus.duplicates import write_kept

    jobs = []
    for path, mask in zip(files, keep, strict=True):
        name = path.relative_to(documents.path).as_posix().removesuffix(".parquet")
        args = (str(path), name, mask, reason, text_column)
        jobs.append(ShardJob(name=name, function=write_kept, args=args))
    records = out.run_shards(jobs, unit="documents")
    if (documents.path / SITEINFO_NAME).is_file():
        out.write_index(SITEINFO_NAME, (documents.path / SITEINFO_NAME).read_bytes())
    write_statistics(out, records, _card(documents, reason))
    return records


def _card(documents: Artifact, reason: str) -> DatasetCard:
    return DatasetCard(
        title=f"{documents.stage} without duplicates",
        licence="other",
        source=f"the artifact {documents.stage} {documents.key[:12]}; manifest.json has its digest",
        description=f"Documents of {documents.stage}, one of each set ({reason} dropped).",
        attribution="The licences are those of the source.",
    )


def _largest_clusters(
    first: npt.NDArray[Any], names: Sequence[str], borders: npt.NDArray[Any], num_largest: int
) -> dict[str, Any]:
    """The largest clusters: each member as [file, row], the one that stayed first."""
    import numpy as np

    roots, sizes = np.unique(first, return_counts=True)
    is_cluster = sizes > 1
    order = np.argsort(-sizes[is_cluster], kind="stable")[:num_largest]
    starts = np.concatenate([[0], borders])
    clusters = []
    for root in roots[is_cluster][order].tolist():
        members = np.flatnonzero(first == root)[:1000]
        shards = np.searchsorted(borders, members, side="right")
        rows = members - starts[shards]
        clusters.append(
            [[names[s], r] for s, r in zip(shards.tolist(), rows.tolist(), strict=True)]
        )
    return {"num_clusters": int(is_cluster.sum()), "largest": clusters}


EXACT_DEDUPLICATION = Stage(
    name="deduplicate",
    version=1,
    format="headrace.deduplicate/1",
    packages=("pyarrow",),
    write=write_exact_deduplication,
    measure=Measure(start_seconds=0.4),
)
NEAR_DEDUPLICATION = Stage(
    name="deduplicate_near",
    version=1,
    format="headrace.deduplicate_near/1",
    packages=("pyarrow", "datasketch", "numpy"),
    write=write_near_deduplication,
    measure=Measure(start_seconds=1.2),
)
