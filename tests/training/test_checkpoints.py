"""Checkpoints: whole or not there, verified, the newest good one taken."""

import logging

import pytest
import torch

from headrace.errors import TrainingError
from headrace.training.checkpoints import CheckpointDirectory


@pytest.fixture
def directory(tmp_path):
    return CheckpointDirectory(tmp_path / "checkpoints", identity="run", num_kept=2)


def save(directory, step):
    tensors = {"model": {"weight": torch.full((4, 3), float(step))}}
    return directory.save(step, tensors, {"consumed_samples": step * 8})


def test_newest_gives_back_what_was_saved(directory):
    save(directory, 5)
    save(directory, 10)
    newest = directory.newest()
    assert newest.step == 10
    assert newest.state["consumed_samples"] == 80
    assert torch.equal(newest.tensors("model")["weight"], torch.full((4, 3), 10.0))


def test_no_checkpoint_is_none(directory):
    assert directory.newest() is None


def test_only_the_newest_are_kept(directory):
    for step in (5, 10, 100, 1000):
        save(directory, step)
    assert [path.name for path in directory.paths()] == ["step-00000100", "step-00001000"]


def test_saving_a_step_again_replaces_it(directory):
    save(directory, 5)
    save(directory, 5)
    assert directory.newest().step == 5
    assert len(list(directory.root.iterdir())) == 1


@pytest.mark.parametrize("name", ["model.safetensors", "state.json"])
def test_flipped_byte_is_named_and_the_one_before_taken(directory, name, caplog):
    save(directory, 5)
    damaged = save(directory, 10)
    content = bytearray((damaged / name).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / name).write_bytes(bytes(content))
    with caplog.at_level(logging.WARNING):
        assert directory.newest().step == 5
    assert str(damaged) in caplog.text
    assert name in caplog.text


@pytest.mark.parametrize("harm", ["truncate", "remove", "no_manifest", "bad_manifest"])
def test_incomplete_checkpoint_is_not_taken(directory, harm):
    save(directory, 5)
    damaged = save(directory, 10)
    weights = damaged / "model.safetensors"
    if harm == "truncate":
        weights.write_bytes(weights.read_bytes()[:-7])
    elif harm == "remove":
        weights.unlink()
    elif harm == "no_manifest":
        (damaged / "manifest.json").unlink()
    else:
        (damaged / "manifest.json").write_text("{")
    assert directory.newest().step == 5


def test_all_damaged_starts_from_the_beginning(directory):
    for step in (5, 10):
        (save(directory, step) / "manifest.json").unlink()
    assert directory.newest() is None


def test_half_written_leftovers_are_swept_away(directory):
    save(directory, 5)
    half = directory.root / ".step-00000010.4711"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    again = CheckpointDirectory(directory.root, identity="run", num_kept=2)
    assert not half.exists()
    assert again.newest().step == 5


def test_checkpoint_of_another_run_is_refused(directory):
    save(directory, 5)
    other = CheckpointDirectory(directory.root, identity="other", num_kept=2)
    with pytest.raises(TrainingError, match="belongs to"):
        other.newest()
