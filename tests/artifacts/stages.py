"""Small stages for the store's tests: picklable, countable, breakable."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from headrace.artifacts import Artifact, Build, Quarantined, ShardJob, ShardOutcome, Stage
from headrace.config import StageConfig


class LettersConfig(StageConfig):
    num_shards: int = 4
    text: str = "abc"
    marker_dir: str = ""
    fail_at: int = -1
    sleep_seconds: float = 0.0


def write_letter_shard(directory: Path, index: int, config: LettersConfig) -> ShardOutcome:
    if config.marker_dir:
        Path(config.marker_dir, f"{index}-{time.monotonic_ns()}").touch()
    if index == config.fail_at:
        raise ValueError(f"shard {index} fails")
    time.sleep(config.sleep_seconds)
    (directory / f"letters-{index:05d}.txt").write_text(config.text * (index + 1))
    bad = [Quarantined(source="in", offset=index, reason="odd", excerpt="?")] if index % 2 else []
    return ShardOutcome(
        rows=1,
        counts={"records_in": 3, "records_out": 1},
        dropped={"blank": 2 - len(bad)},
        quarantined=bad,
        carry={"index": index},
    )


def write_letters(*, config: LettersConfig, out: Build, **_inputs: Artifact) -> None:
    out.run_shards(
        [
            ShardJob(name=f"letters-{i:05d}", function=write_letter_shard, args=(i, config))
            for i in range(config.num_shards)
        ]
    )
    out.write_index("index.json", json.dumps({"shards": config.num_shards}).encode())


LETTERS = Stage(
    name="letters", version=1, format="test.letters/1", packages=("pydantic",), write=write_letters
)


class LengthConfig(StageConfig):
    unit: str = "bytes"


def write_length(*, letters: Artifact, config: LengthConfig, out: Build) -> None:
    def write(directory: Path) -> ShardOutcome:
        total = sum(path.stat().st_size for path in letters.files("letters-*.txt"))
        (directory / "length.txt").write_text(f"{total} {config.unit}\n")
        return ShardOutcome(rows=1)

    out.publish("length", write)


LENGTH = Stage(name="length", version=1, format="test.length/1", packages=(), write=write_length)


def die_in_shard(directory: Path, index: int) -> ShardOutcome:
    (directory / "half.txt").write_text("half")
    if index == 1:
        os._exit(9)
    return ShardOutcome(rows=1)
