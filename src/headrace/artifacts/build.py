"""An artifact under construction, in the directory that it will keep.

Finished shards lie there with their records; what a kill leaves behind is taken up by the next
run. `manifest.json` is written last and is the commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

from headrace.artifacts import files
from headrace.artifacts.manifest import DROPPED, QUARANTINED, FileEntry
from headrace.artifacts.runtime import Draw, Progress, Runtime
from headrace.artifacts.shards import (
    BUILDING_NAME,
    TEMPORARY,
    WORK,
    ShardJob,
    ShardOutcome,
    ShardRecord,
    load_good_record,
    write_shard,
)
from headrace.errors import StoreError, TooManyDropsError
from headrace.memory import LossWatch

logger = logging.getLogger(__name__)


class Build:
    """What a stage's writer gets as `out`. It never writes the manifest itself.

    Attributes:
        path: the artifact's final directory.
        runtime: workers, home, cache; nothing that may bear on the bytes.
        lock_fd: descriptor that holds the artifact's lock; long-lived children inherit it.
        progress: call as `progress(done, total, unit, detail="")`.
    """

    def __init__(self, path: Path, *, stage_name: str, runtime: Runtime, lock_fd: int) -> None:
        self.path = path
        self.runtime = runtime
        self.lock_fd = lock_fd
        self.progress = Progress(stage_name, runtime.on_progress, self.counts_so_far)
        self.num_resumed = 0
        self.keeps_workdir = False
        self._stage_name = stage_name
        self._records: dict[str, ShardRecord] = {}
        self._index: dict[str, bytes] = {}
        self._extras: dict[str, FileEntry] = {}
        self._counts: dict[str, int] = {}
        self._max_quarantined_fraction: float | None = None
        self._losses = LossWatch()
        files.remove_tree(path / TEMPORARY)

    @property
    def workdir(self) -> Path:
        """Scratch directory that survives a kill; removed once the artifact is finished."""
        path = self.path / WORK
        path.mkdir(parents=True, exist_ok=True)
        return path

    def keep_workdir(self) -> None:
        """Leave the scratch directory in place after the artifact is finished."""
        self.keeps_workdir = True

    def finished(self, name: str) -> ShardRecord | None:
        """The record of a shard that an earlier, interrupted run left whole; else None."""
        if name in self._records:
            return self._records[name]
        record = load_good_record(self.path, name)
        if record is not None:
            self.num_resumed += 1
            self._records[name] = record
        return record

    def publish(self, name: str, write: Callable[[Path], ShardOutcome]) -> ShardRecord:
        """Write one shard in this process, unless it is finished already."""
        record = self.finished(name)
        if record is None:
            record = write_shard(self.path, ShardJob(name=name, function=write))
            self._records[name] = record
        return record

    def run_shards(self, jobs: Sequence[ShardJob], unit: str = "rows") -> list[ShardRecord]:
        """Write all shards that are not finished, in parallel; returns the records in job order.

        Raises:
            WorkerLostError: a worker process died.
            OutOfMemoryError: the system ended one for want of memory.
            HeadraceError: what the first failing job raised; the others are not started.
        """
        names = [job.name for job in jobs]
        if len(set(names)) != len(names):
            raise StoreError(
                f"{self._stage_name}: two shards of one name among {sorted(names)[:9]}"
            )
        missing = [job for job in jobs if self.finished(job.name) is None]
        self._note_num_shards(len(jobs))
        rows = sum(self._records[name].rows for name in names if name in self._records)
        done = len(jobs) - len(missing)
        self._tell_shards(rows, unit, done, len(jobs))
        for number, record in enumerate(self._write_all(missing), 1):
            self._records[record.name] = record
            rows += record.rows
            self._tell_shards(rows, unit, done + number, len(jobs))
        return [self._records[name] for name in names]

    def _tell_shards(self, rows: int, unit: str, done: int, num_shards: int) -> None:
        total = rows if done == num_shards else None
        share = done / num_shards if num_shards else None
        self.progress(rows, total, unit, f"{done} of {num_shards} shards", share=share)

    def _note_num_shards(self, num_shards: int) -> None:
        """For a plan made after a kill: how many shards there will be."""
        path = self.path / BUILDING_NAME
        begun = files.read_json(path)
        if isinstance(begun, dict):
            files.write_json(path, begun | {"num_shards": num_shards})

    def _write_all(self, jobs: Sequence[ShardJob]) -> Any:
        num_workers = min(self.runtime.num_workers, len(jobs))
        if num_workers <= 1:
            for job in jobs:
                yield write_shard(self.path, job)
            return
        opened = self.runtime.open_executor(num_workers)
        with cast("AbstractContextManager[Executor]", opened) as executor:
            pending = {executor.submit(write_shard, self.path, job) for job in jobs}
            while pending:
                done, pending = wait(pending, return_when=FIRST_EXCEPTION, timeout=0.5)
                for future in done:
                    yield self._result(future, pending)

    def _result(
        self, future: Future[ShardRecord], pending: set[Future[ShardRecord]]
    ) -> ShardRecord:
        try:
            return future.result()
        except BrokenProcessPool:
            raise self._losses.explain(
                f"{self._stage_name}: a worker process is gone, finished shards are kept",
                remedy="use fewer workers",
            ) from None
        except BaseException:
            for other in pending:
                other.cancel()
            raise

    def write_index(self, name: str, content: bytes) -> None:
        """Add a small data file that others open as an index; written just before the manifest."""
        self._index[name] = content

    def write_extra(self, name: str, content: bytes) -> None:
        """Add a report or a plot: beside the data, outside the digest."""
        with files.explained_os_errors(self.path):
            files.write_atomic(self.path / name, content)
        path = self.path / name
        self._extras[name] = FileEntry(
            name=name, bytes=len(content), sha256=files.sha256_file(path)
        )

    def show_plot(self, name: str, draw: Draw) -> None:
        """Offer a plot of the work so far; it is drawn when, and if, somebody looks on."""
        if self.runtime.on_plot is not None:
            self.runtime.on_plot(name, draw)

    def set_counts(self, **counts: int) -> None:
        """Add counts to the manifest; they are part of the digest."""
        self._counts.update(counts)

    def drop_limit(self, max_fraction: float) -> None:
        """Fail the build if more than this fraction of its records ends in quarantine."""
        self._max_quarantined_fraction = max_fraction

    def data_entries(self) -> tuple[list[FileEntry], list[FileEntry]]:
        """Write the index files; returns the entries of all data files and of all extras."""
        entries = [entry for record in self._records.values() for entry in record.files]
        extras = [entry for record in self._records.values() for entry in record.extras]
        for name, content in sorted(self._index.items()):
            files.write_atomic(self.path / name, content)
            digest = files.sha256_file(self.path / name)
            entries.append(FileEntry(name=name, bytes=len(content), sha256=digest))
        names = [entry.name for entry in entries]
        if len(set(names)) != len(names) or not names:
            raise StoreError(
                f"{self._stage_name}: {len(names)} data files with {len(set(names))} names; "
                "a defect of the stage"
            )
        extras += self._extras.values()
        return sorted(entries, key=_name), sorted(extras, key=_name)

    def counts(self) -> dict[str, int]:
        """All counts of the artifact: summed over shards, then those set.

        Raises:
            TooManyDropsError: more records are in quarantine than the limit allows.
        """
        total = self._sums()
        total.setdefault("rows", sum(record.rows for record in self._records.values()))
        total.update(self._counts)
        self._check_quarantine(total)
        return dict(sorted(total.items()))

    def counts_so_far(self) -> dict[str, int]:
        """Rows, bytes and all counts of the shards that are finished now; {} before the first."""
        records = self._records.values()
        if not records:
            return {}
        size = sum(entry.bytes for record in records for entry in record.files)
        rows = sum(record.rows for record in records)
        return {"rows": rows, "bytes": size} | self._sums()

    def _sums(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for record in self._records.values():
            _add(total, record.counts, "")
            _add(total, record.dropped, DROPPED)
            _add(total, record.quarantined, QUARANTINED)
        return total

    def _check_quarantine(self, counts: Mapping[str, int]) -> None:
        bad = {name: num for name, num in counts.items() if name.startswith(QUARANTINED)}
        num_bad, num_in = sum(bad.values()), counts.get("records_in", 0)
        limit = self._max_quarantined_fraction
        if limit is None or num_bad <= limit * num_in:
            return
        reasons = ", ".join(f"{name.removeprefix(QUARANTINED)} {num}" for name, num in bad.items())
        raise TooManyDropsError(
            f"{self._stage_name}: {num_bad} of {num_in} records are bad ({reasons}), more than the "
            f"limit of {limit:.3%}; look at {self.path / 'quarantine'}, then mend the input or "
            "raise max_quarantined_fraction"
        )


def _name(entry: FileEntry) -> str:
    return entry.name


def _add(total: dict[str, int], counts: Mapping[str, int], prefix: str) -> None:
    for name, count in counts.items():
        total[prefix + name] = total.get(prefix + name, 0) + count
