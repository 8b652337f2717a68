"""Shards of an intermediate result: as parallel and resumable as an artifact's, and never in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from headrace.artifacts import Build, Quarantined, ShardJob, ShardRecord


def run_scratch_shards(
    out: Build, name: str, jobs: Sequence[ShardJob], unit: str
) -> tuple[Build, list[ShardRecord]]:
    """Write shards below the scratch directory of `out`, which goes when the artifact is finished.

    Args:
        out: the artifact under construction.
        name: of the intermediate result.
        jobs: as for `Build.run_shards`.
        unit: what a shard's rows are.

    Returns:
        The intermediate build, whose `path` the files are below, and the records in job order.
    """
    inner = Build(
        out.workdir / name, stage_name=name, runtime=out.runtime, lock_fd=out.lock_fd
    )  # fmt: skip
    return inner, inner.run_shards(jobs, unit=unit)


def iter_quarantined(inner: Build, records: Sequence[ShardRecord]) -> Iterator[Quarantined]:
    """The bad records that intermediate shards put aside, to be handed on."""
    for record in records:
        for entry in record.extras:
            with (inner.path / entry.name).open(encoding="utf-8") as file:
                for line in file:
                    yield Quarantined(**json.loads(line))
