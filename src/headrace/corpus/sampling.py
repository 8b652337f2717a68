"""A seeded choice of some documents, the same for any number of workers and any cut into shards.

Each document gets a hash of (seed, file, position); of each split those with the smallest hashes
are kept, in the order of the input. The candidates are shards of a build of their own in the
scratch directory (resumed like any other), so memory holds 16 bytes a candidate.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.artifacts import Build, Quarantined, ShardJob, ShardOutcome, ShardRecord
from headrace.artifacts.shards import QUARANTINE
from headrace.corpus.document_files import DocumentWriter
from headrace.corpus.part_filter import PARQUET_BATCH_ROWS, POSITION_COLUMN, PartJob, count_texts
from headrace.corpus.statistics import CorpusStatistics

SCRATCH_NAME = "matches"
NOT_SAMPLED = "not_sampled"

Ranks = npt.NDArray[np.uint64]


def run_sampled(
    out: Build,
    shard_jobs: Sequence[ShardJob],
    jobs: Sequence[PartJob],
    limits: Mapping[str, int],
    seed: int,
) -> list[ShardRecord]:
    """Run jobs, and publish a choice of what they give.

    Args:
        out: receives the chosen documents under the names of the jobs.
        shard_jobs: write the candidates, with positions.
        jobs: what they do, in the same order.
        limits: documents kept at most, by split; a split that is missing keeps all.
        seed: of the choice.

    Returns:
        The records of the shards published, in the order of the jobs.
    """
    scratch = Build(
        out.workdir / SCRATCH_NAME, stage_name="filter", runtime=out.runtime, lock_fd=out.lock_fd
    )
    candidates = scratch.run_shards(shard_jobs, unit="candidates")
    hashes = [
        hash_positions(scratch.path / f"{job.name}.parquet", job.part.name, seed) for job in jobs
    ]
    splits = [job.part.split for job in jobs]
    chosen = choose(hashes, splits, limits)
    final_jobs = [
        ShardJob(
            name=job.name,
            function=_write_chosen,
            args=(str(scratch.path), job, record, rows),
        )
        for job, record, rows in zip(jobs, candidates, chosen, strict=True)
    ]
    return out.run_shards(final_jobs, unit="documents")


def hash_positions(path: Path, name: str, seed: int) -> Ranks:
    """The hash of each row of a shard of candidates, shape [rows]."""
    positions = pq.read_table(path, columns=[POSITION_COLUMN])[POSITION_COLUMN].to_pylist()
    start = hashlib.blake2b(f"{seed}\0{name}\0".encode(errors="surrogateescape"), digest_size=8)
    hashes = np.empty(len(positions), np.uint64)
    for row, position in enumerate(positions):
        mine = start.copy()
        mine.update(position.to_bytes(8, "little"))
        hashes[row] = int.from_bytes(mine.digest(), "little")
    return hashes


def choose(
    hashes: Sequence[Ranks], splits: Sequence[str], limits: Mapping[str, int]
) -> list[npt.NDArray[np.int64]]:
    """Which rows of each shard are kept.

    Args:
        hashes: of the rows of each shard.
        splits: of each shard.
        limits: rows kept at most, by split.

    Returns:
        Row numbers of each shard, ascending. Of equal hashes the first in the input win.
    """
    kept = [np.arange(len(part), dtype=np.int64) for part in hashes]
    for split, limit in limits.items():
        mine = [index for index, name in enumerate(splits) if name == split]
        joined = np.concatenate([hashes[index] for index in mine])
        chosen = np.zeros(len(joined), bool)
        chosen[np.argsort(joined, kind="stable")[:limit]] = True
        borders = np.cumsum([0, *(len(hashes[index]) for index in mine)])
        for index, begin, end in zip(mine, borders[:-1], borders[1:], strict=True):
            kept[index] = np.flatnonzero(chosen[begin:end])
    return kept


def _write_chosen(
    directory: Path,
    scratch: str,
    job: PartJob,
    record: ShardRecord,
    rows: npt.NDArray[np.int64],
) -> ShardOutcome:
    statistics, first = CorpusStatistics(), 0
    path = directory / f"{job.name}.parquet"
    with (
        DocumentWriter(path, job.schema, text_column=job.text_column) as writer,
        pq.ParquetFile(Path(scratch) / f"{job.name}.parquet") as file,
    ):
        for batch in file.iter_batches(batch_size=PARQUET_BATCH_ROWS):
            begin, end = np.searchsorted(rows, [first, first + batch.num_rows])
            mine = pa.Table.from_batches([batch]).take(pa.array(rows[begin:end] - first))
            mine = mine.drop_columns(POSITION_COLUMN)
            count_texts(statistics, mine, job.text_column, job.language_column)
            writer.write(mine)
            first += batch.num_rows
    num_left = record.rows - len(rows)
    counts = {
        name: record.counts[name]
        for name in ("records_in", "num_matches", "num_files", "num_source_bytes")
    }
    return ShardOutcome(
        rows=len(rows),
        counts={**counts, "records_out": len(rows), **statistics.counts()},
        dropped={**record.dropped, **({NOT_SAMPLED: num_left} if num_left else {})},
        quarantined=_quarantined(Path(scratch) / QUARANTINE / f"{job.name}.jsonl"),
        carry=record.carry,
    )


def _quarantined(path: Path) -> list[Quarantined]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return [Quarantined(**json.loads(line)) for line in file]
