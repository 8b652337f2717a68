from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace.artifacts import Outcome, Store
from headrace.artifacts.collection import collect, find_garbage
from headrace.artifacts.lineage import raw_inputs, trace
from headrace.artifacts.runs import RunRecord, load_runs
from headrace.artifacts.sources import data_directory, open_source, source_path
from headrace.errors import ConfigError, CorruptInputError, MissingInputError, StoreError
from tests.artifacts.stages import LENGTH, LETTERS, LengthConfig, LettersConfig


def test_a_moved_file_is_the_same_source(store: Store, tmp_path: Path) -> None:
    first = tmp_path / "a.bz2"
    first.write_bytes(b"content")
    before = open_source(store, first).artifact
    second = tmp_path / "sub" / "b.bz2"
    second.parent.mkdir()
    first.rename(second)
    after = open_source(store, second)
    assert after.outcome is Outcome.HIT
    assert after.artifact.digest == before.digest
    assert source_path(after.artifact) == second


def test_one_changed_byte_is_another_source(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = open_source(store, path).artifact
    path.write_bytes(b"two")
    assert open_source(store, path).artifact.digest != before.digest


def test_the_hash_is_remembered_by_stamp(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    before = open_source(store, path).artifact
    found = path.stat()
    with path.open("r+b") as file:  # same size and inode, and the time put back: not read again
        file.write(b"two")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert open_source(store, path).artifact.digest == before.digest


def test_directories_are_sources_too(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    (folder / "sub").mkdir(parents=True)
    (folder / "vocab.json").write_text("{}")
    (folder / "sub" / "x").write_text("x")
    artifact = open_source(store, folder).artifact
    assert data_directory(artifact) == folder
    assert {item["name"] for item in raw_inputs(artifact)} == {"vocab.json", "sub/x"}


def test_input_that_changes_or_goes_during_a_run(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    artifact = open_source(store, path).artifact
    path.write_bytes(b"other")
    with pytest.raises(CorruptInputError, match="changed"):
        source_path(artifact)
    path.unlink()
    with pytest.raises(MissingInputError, match="gone"):
        source_path(artifact)


def test_missing_and_empty_inputs(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="none"):
        open_source(store, tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match="no file"):
        open_source(store, tmp_path / "empty")


def make_chain(store: Store, tmp_path: Path) -> RunRecord:
    path = tmp_path / "raw"
    path.write_bytes(b"raw")
    source = open_source(store, path)
    letters = store.open_or_build(LETTERS, LettersConfig(), {"raw": source.artifact})
    length = store.open_or_build(LENGTH, LengthConfig(), {"letters": letters.artifact})
    run = RunRecord(home=store.runtime.home, name="main", pipeline="p", config={})
    run.note("length", length)
    return run


def test_lineage_reaches_the_raw_bytes(store: Store, tmp_path: Path) -> None:
    make_chain(store, tmp_path)
    tree = trace(store, store.find("length"))
    walked = [(depth, node.link.stage) for depth, node in tree.walk()]
    assert walked == [(0, "length"), (1, "letters"), (2, "source")]
    leaf = [node for _, node in tree.walk()][-1]
    assert leaf.artifact is not None
    raw = raw_inputs(leaf.artifact)[0]
    assert raw["path"] == str(tmp_path / "raw")
    assert raw["bytes"] == 3


def test_garbage_is_what_no_named_run_reaches(store: Store, tmp_path: Path) -> None:
    make_chain(store, tmp_path)
    extra = store.open_or_build(LETTERS, LettersConfig(text="other"), {}).artifact
    assert [item.path for item in find_garbage(store)] == [extra.path]
    with store.reading(), pytest.raises(StoreError, match="a run is using"):
        collect(store)
    assert [item.path for item in collect(store)] == [extra.path]
    assert not extra.path.exists()
    assert {artifact.stage for artifact in store.artifacts()} == {"source", "letters", "length"}
    assert collect(store) == []


def test_runs_are_read_back_and_names_checked(store: Store, tmp_path: Path) -> None:
    run = make_chain(store, tmp_path)
    (read,) = load_runs(store.runtime.home)
    assert read == run
    with pytest.raises(ConfigError, match="run name"):
        RunRecord(home=tmp_path, name="../x", pipeline="p", config={})
