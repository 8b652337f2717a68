from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.artifacts import (
    Artifact,
    Build,
    Outcome,
    ProgressEvent,
    Runtime,
    ShardJob,
    ShardOutcome,
    Stage,
    Store,
)
from headrace.artifacts.manifest import MANIFEST_NAME, open_artifact
from headrace.artifacts.runtime import Progress
from headrace.artifacts.verification import find_damage, find_strays
from headrace.config import StageConfig
from headrace.errors import (
    IncompleteArtifactError,
    MissingInputError,
    StoreError,
    TooManyDropsError,
    WorkerLostError,
)
from tests.artifacts.stages import LENGTH, LETTERS, LengthConfig, LettersConfig, die_in_shard


def tree(artifact: Artifact) -> dict[str, bytes]:
    return {
        entry.name: (artifact.path / entry.name).read_bytes() for entry in artifact.manifest.files
    }


def test_second_run_hits_and_does_not_run_anything(store: Store, tmp_path: Path) -> None:
    config = LettersConfig(marker_dir=str(tmp_path))
    first = store.open_or_build(LETTERS, config, {})
    num_calls = len(list(tmp_path.glob("*-*")))
    second = store.open_or_build(LETTERS, config, {})
    assert (first.outcome, second.outcome) == (Outcome.BUILT, Outcome.HIT)
    assert len(list(tmp_path.glob("*-*"))) == num_calls == 4
    assert second.artifact.digest == first.artifact.digest


def test_counts_and_reasons_are_in_the_manifest(store: Store) -> None:
    artifact = store.open_or_build(LETTERS, LettersConfig(), {}).artifact
    assert artifact.counts["records_in"] == 12
    assert artifact.dropped == {"blank": 6}
    assert artifact.quarantined == {"odd": 2}
    lines = (artifact.path / "quarantine/letters-00001.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["offset"] == 1


def test_worker_count_does_not_change_bytes_or_digest(tmp_path: Path) -> None:
    artifacts = []
    for num_workers in (1, 2, 3):
        store = Store(Runtime(home=tmp_path / str(num_workers), num_workers=num_workers))
        artifacts.append(store.open_or_build(LETTERS, LettersConfig(num_shards=5), {}).artifact)
    assert len({artifact.digest for artifact in artifacts}) == 1
    assert tree(artifacts[0]) == tree(artifacts[1]) == tree(artifacts[2])


def flip(path: Path, offset: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "index", "quarantine"])
def test_damage_is_healed_shard_by_shard(store: Store, tmp_path: Path, damage: str) -> None:
    config = LettersConfig(marker_dir=str(tmp_path))
    before = store.open_or_build(LETTERS, config, {}).artifact
    content = tree(before)
    for marker in tmp_path.glob("*-*"):
        marker.unlink()
    target = before.path / "letters-00001.txt"
    if damage == "flip":
        flip(target)
    elif damage == "truncate":
        target.write_bytes(target.read_bytes()[:-1])
    elif damage == "delete":
        target.unlink()
    elif damage == "index":
        flip(before.path / "index.json")
    else:
        flip(before.path / "quarantine/letters-00001.jsonl")
    healed = store.open_or_build(LETTERS, config, {})
    assert healed.outcome is Outcome.HEALED
    assert tree(healed.artifact) == content
    assert healed.artifact.digest == before.digest
    rebuilt = sorted(path.name.split("-")[0] for path in tmp_path.glob("*-*"))
    assert rebuilt == ([] if damage == "index" else ["1"])
    assert store.open_or_build(LETTERS, config, {}).outcome is Outcome.HIT


def test_full_verification_names_a_hidden_change_and_revokes_its_stamp(store: Store) -> None:
    artifact = store.open_or_build(LETTERS, LettersConfig(), {}).artifact
    target = artifact.path / "letters-00002.txt"
    found = target.stat()
    flip(target)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert find_damage(artifact) == []  # size, time and inode are as before: nothing to see
    assert [damage.name for damage in find_damage(artifact, full=True)] == ["letters-00002.txt"]
    assert [damage.name for damage in find_damage(artifact)] == ["letters-00002.txt"]
    assert store.open_or_build(LETTERS, LettersConfig(), {}).outcome is Outcome.HEALED
    assert find_damage(artifact, full=True) == []


def test_copied_artifact_is_hashed_once_then_hits(store: Store, tmp_path: Path) -> None:
    artifact = store.open_or_build(LETTERS, LettersConfig(), {}).artifact
    other = Store(Runtime(home=tmp_path / "other", num_workers=1))
    target = other.path_of(LETTERS.name, artifact.key)
    shutil.copytree(artifact.path, target)
    assert other.open_or_build(LETTERS, LettersConfig(), {}).outcome is Outcome.HIT


def test_failed_build_keeps_good_shards(store: Store, tmp_path: Path) -> None:
    # The key must be the same for both tries, so the failure comes from a file, not the config.
    config = LettersConfig(marker_dir=str(tmp_path))
    blocked = Stage(
        name="letters", version=1, format="test.letters/1", packages=("pydantic",),
        write=write_half,
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="half way"):
        store.open_or_build(blocked, config, {})
    path = store.path_of("letters", store.key_of(LETTERS, config, {}))
    with pytest.raises(IncompleteArtifactError):
        open_artifact(path)
    finished = store.open_or_build(LETTERS, config, {})
    assert finished.outcome is Outcome.BUILT
    assert finished.artifact.manifest.provenance["num_resumed_shards"] == 2
    calls = sorted(marker.name.split("-")[0] for marker in tmp_path.glob("*-*"))
    assert calls == ["0", "1", "2", "3"]


def write_half(*, config: LettersConfig, out: Build) -> None:
    from tests.artifacts.stages import write_letter_shard

    for index in range(2):
        name = f"letters-{index:05d}"
        out.publish(name, lambda directory, i=index: write_letter_shard(directory, i, config))
    raise RuntimeError("half way")


def test_a_shard_damaged_while_unfinished_is_not_taken(store: Store) -> None:
    config = LettersConfig()
    half = Stage(
        name="letters", version=1, format="test.letters/1", packages=("pydantic",),
        write=write_half,
    )  # fmt: skip
    with pytest.raises(RuntimeError):
        store.open_or_build(half, config, {})
    flip(store.path_of("letters", store.key_of(LETTERS, config, {})) / "letters-00000.txt")
    artifact = store.open_or_build(LETTERS, config, {}).artifact
    assert artifact.manifest.provenance["num_resumed_shards"] == 1
    assert (artifact.path / "letters-00000.txt").read_text() == "abc"


def test_early_cut_off_keeps_downstream_cached(store: Store, tmp_path: Path) -> None:
    letters = store.open_or_build(LETTERS, LettersConfig(), {}).artifact
    first = store.open_or_build(LENGTH, LengthConfig(), {"letters": letters})
    # Another config, so another key, that happens to write the same bytes.
    same = store.open_or_build(LETTERS, LettersConfig(marker_dir=str(tmp_path)), {}).artifact
    assert same.key != letters.key
    assert same.digest == letters.digest
    second = store.open_or_build(LENGTH, LengthConfig(), {"letters": same})
    assert second.outcome is Outcome.HIT
    assert second.artifact.path == first.artifact.path


def test_changed_input_reruns_and_says_why(store: Store) -> None:
    letters = store.open_or_build(LETTERS, LettersConfig(), {}).artifact
    store.open_or_build(LENGTH, LengthConfig(), {"letters": letters})
    other = store.open_or_build(LETTERS, LettersConfig(text="xyz"), {})
    assert "config.text: abc -> xyz" in other.reason
    opened = store.open_or_build(LENGTH, LengthConfig(), {"letters": other.artifact})
    assert opened.outcome is Outcome.BUILT
    assert "input.letters" in opened.reason


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"not json", b'{"stage": 1}', b"\xff\xfe"])
def test_a_broken_manifest_counts_as_unfinished(store: Store, content: bytes) -> None:
    artifact = store.open_or_build(LETTERS, LettersConfig(), {}).artifact
    (artifact.path / MANIFEST_NAME).write_bytes(content)
    again = store.open_or_build(LETTERS, LettersConfig(), {})
    assert again.outcome is Outcome.BUILT
    assert again.artifact.digest == artifact.digest


@pytest.mark.parametrize(
    ("part", "name", "value", "word"),
    [
        ("counts", "records_in", 99, "digest"),
        ("config", "text", "other", "key"),
        ("packages", "pydantic", "0", "key"),
    ],
)
def test_a_manifest_that_was_edited_is_refused(
    store: Store, part: str, name: str, value: object, word: str
) -> None:
    artifact = store.open_or_build(LETTERS, LettersConfig(), {}).artifact
    path = artifact.path / MANIFEST_NAME
    manifest = json.loads(path.read_text())
    manifest[part][name] = value
    path.write_text(json.dumps(manifest))
    with pytest.raises(IncompleteArtifactError, match=word):
        open_artifact(artifact.path)


def test_strays_are_reported_and_left_alone(store: Store) -> None:
    artifact = store.open_or_build(LETTERS, LettersConfig(), {}).artifact
    (artifact.path / "notes.txt").write_text("mine")
    assert find_strays(artifact) == ["notes.txt"]
    assert store.open_or_build(LETTERS, LettersConfig(), {}).outcome is Outcome.HIT


class NoteConfig(StageConfig):
    lost: int = 0
    limit: float = 0.5


def write_lossy(*, config: NoteConfig, out: Build) -> None:
    def write(directory: Path) -> ShardOutcome:
        (directory / "data.txt").write_text("x")
        return ShardOutcome(rows=1, counts={"records_in": 1 + config.lost, "records_out": 1})

    out.publish("data", write)


def test_records_lost_without_a_reason_fail_the_stage(store: Store) -> None:
    stage = Stage(name="lossy", version=1, format="t/1", packages=(), write=write_lossy)
    assert store.open_or_build(stage, NoteConfig(), {}).outcome is Outcome.BUILT
    with pytest.raises(StoreError, match="reason"):
        store.open_or_build(stage, NoteConfig(lost=2), {})


def write_limited(*, config: NoteConfig, out: Build) -> None:
    out.drop_limit(config.limit)
    out.run_shards([ShardJob(name="a", function=_odd_shard, args=(LettersConfig(),))])


def _odd_shard(directory: Path, config: LettersConfig) -> ShardOutcome:
    from tests.artifacts.stages import write_letter_shard

    return write_letter_shard(directory, 1, config)


def test_too_many_quarantined_records_fail_the_stage(store: Store) -> None:
    stage = Stage(name="limited", version=1, format="t/1", packages=(), write=write_limited)
    assert store.open_or_build(stage, NoteConfig(limit=0.34), {}).artifact.quarantined == {"odd": 1}
    with pytest.raises(TooManyDropsError, match="odd 1"):
        store.open_or_build(stage, NoteConfig(limit=0.33), {})


def test_output_directory_of_the_users(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = store.open_or_build(LETTERS, LettersConfig(), {}, at=out)
    assert (out / "letters-00000.txt").read_text() == "abc"
    assert store.open_or_build(LETTERS, LettersConfig(), {}, at=out).outcome is Outcome.HIT
    assert (
        first.artifact.digest == store.open_or_build(LETTERS, LettersConfig(), {}).artifact.digest
    )
    with pytest.raises(StoreError, match="another artifact"):
        store.open_or_build(LETTERS, LettersConfig(text="z"), {}, at=out)


def test_an_unfinished_output_of_other_settings_is_cleared(store: Store, tmp_path: Path) -> None:
    half = Stage(
        name="letters", version=1, format="test.letters/1", packages=("pydantic",),
        write=write_half,
    )  # fmt: skip
    out = tmp_path / "out"
    with pytest.raises(RuntimeError):
        store.open_or_build(half, LettersConfig(text="wrong"), {}, at=out)
    assert (out / "letters-00001.txt").exists()
    artifact = store.open_or_build(LETTERS, LettersConfig(num_shards=1), {}, at=out).artifact
    assert find_strays(artifact) == []
    assert (out / "letters-00000.txt").read_text() == "abc"
    assert not (out / "letters-00001.txt").exists()


def test_output_directory_with_foreign_files_is_refused(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.txt").write_text("years of work")
    with pytest.raises(StoreError, match="not empty"):
        store.open_or_build(LETTERS, LettersConfig(), {}, at=out)
    assert (out / "chapter1.txt").read_text() == "years of work"
    with pytest.raises(StoreError, match="file"):
        store.open_or_build(LETTERS, LettersConfig(), {}, at=out / "chapter1.txt")


def write_dying(*, config: NoteConfig, out: Build) -> None:
    out.run_shards([ShardJob(name=f"{i}", function=die_in_shard, args=(i,)) for i in range(2)])


def test_a_dying_worker_fails_the_stage(tmp_path: Path) -> None:
    store = Store(Runtime(home=tmp_path, num_workers=2))
    stage = Stage(name="dying", version=1, format="t/1", packages=(), write=write_dying)
    with pytest.raises(WorkerLostError, match="worker process"):
        store.open_or_build(stage, NoteConfig(), {})
    assert store.unfinished()
    assert list(store.artifacts()) == []


def test_find_by_name_key_and_digest(store: Store) -> None:
    artifact = store.open_or_build(LETTERS, LettersConfig(), {}).artifact
    for text in ("letters", artifact.key[:8], artifact.digest[:8], str(artifact.path)):
        assert store.find(text).path == artifact.path
    with pytest.raises(MissingInputError, match="headrace ls"):
        store.find("nothing")


HOLDER = """
import sys, time
from pathlib import Path
from headrace.artifacts import Runtime, Store
from tests.artifacts.stages import LETTERS, LettersConfig
store = Store(Runtime(home=Path(sys.argv[1]), num_workers=1))
opened = store.open_or_build(LETTERS, LettersConfig(sleep_seconds=float(sys.argv[2])), {})
print(opened.outcome.value, flush=True)
"""


def run_holder(home: Path, seconds: float) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home), str(seconds)],
        cwd=root, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_runs_of_one_key_build_once(tmp_path: Path) -> None:
    runs = [run_holder(tmp_path, 0.2) for _ in range(2)]
    outcomes = sorted(run.communicate(timeout=60)[0].strip() for run in runs)
    assert outcomes == ["Cached", "Completed"]


def test_a_killed_holder_lets_go_of_the_lock(tmp_path: Path) -> None:
    first = run_holder(tmp_path, 1.0)
    while not list(tmp_path.glob("artifacts/letters/*/.records/*")):
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    opened = Store(Runtime(home=tmp_path, num_workers=2)).open_or_build(
        LETTERS, LettersConfig(sleep_seconds=1.0), {}
    )
    assert opened.artifact.manifest.provenance["num_resumed_shards"] >= 1


def test_progress_is_throttled_and_its_end_told_once() -> None:
    told: list[ProgressEvent] = []
    progress = Progress("s", told.append)
    for done in range(100):
        progress(done, 100, "rows")
    for _ in range(50):
        progress(100, 100, "rows")
    assert [event.done for event in told] == [0, 100]
    assert str(told[-1]).startswith("s: 100/100 (100%) rows")
