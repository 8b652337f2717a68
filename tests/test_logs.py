"""Log lines know their run and stage, whichever thread or process they come from."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.artifacts import Build, Runtime, ShardJob, ShardOutcome, Stage, Store
from headrace.config import StageConfig
from headrace.logs import LabelledFormatter, Origin, current_origin, lines_of
from headrace.processes import GuardedProcess

ORIGIN = Origin(run_name="wise-falcon", run_id="1", step="model")


class Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, Origin | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), current_origin()))


@pytest.fixture
def heard() -> Iterator[Heard]:
    logger, handler = logging.getLogger("headrace"), Heard()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_lines_of_a_child_program_belong_to_the_stage_that_started_it(heard: Heard) -> None:
    command = [sys.executable, "-c", "print('from the child')"]
    logger = logging.getLogger("headrace.test")
    with lines_of(ORIGIN), GuardedProcess(command, on_line=logger.info) as process:
        process.wait(30.0)
    assert ("from the child", ORIGIN) in heard.lines
    assert current_origin() is None


class NoisyConfig(StageConfig):
    num_shards: int = 4


def write_noisy_shard(directory: Path, index: int) -> ShardOutcome:
    logging.getLogger("headrace.noisy").info("shard %d speaks", index)
    logging.getLogger("headrace.noisy").debug("too quiet to be heard")
    (directory / f"{index}.txt").write_text("x")
    return ShardOutcome(rows=1)


def write_noisy(*, config: NoisyConfig, out: Build) -> None:
    jobs = [
        ShardJob(name=f"noisy-{index}", function=write_noisy_shard, args=(index,))
        for index in range(config.num_shards)
    ]
    out.run_shards(jobs)


NOISY = Stage(name="noisy", version=1, format="test.noisy/1", packages=(), write=write_noisy)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_lines_of_shard_workers_are_heard_once(
    heard: Heard, tmp_path: Path, num_workers: int
) -> None:
    store = Store(Runtime(home=tmp_path, num_workers=num_workers))
    with lines_of(ORIGIN):
        store.open_or_build(NOISY, NoisyConfig(), {})
    lines = sorted(line for line in heard.lines if "shard" in line[0] and "speaks" in line[0])
    assert lines == [(f"shard {index} speaks", ORIGIN) for index in range(4)]
    assert all("quiet" not in line for line, _ in heard.lines)


def test_a_shared_terminal_tells_runs_apart_and_leaves_others_lines_alone() -> None:
    formatter = LabelledFormatter(logging.Formatter("%(levelname)s %(message)s"))

    def line(name: str) -> str:
        record = logging.LogRecord(name, logging.INFO, "", 1, "%d%%", (5,), None)
        return formatter.format(record)

    with lines_of(ORIGIN):
        assert line("headrace.training") == "INFO [wise-falcon model] 5%"
        assert line("urllib3") == "INFO 5%"
    assert line("headrace.training") == "INFO 5%"
