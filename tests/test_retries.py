"""Which errors are tried again by themselves, when, and what a lost process died of."""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

import pytest

from headrace import errors
from headrace.memory import LossWatch, num_oom_kills
from headrace.retries import MAX_PAUSE_SECONDS, MAX_RETRIES, delay_seconds

PASSING = [
    errors.ServerUnavailableError("x"),
    errors.WorkerLostError("x"),
    ConnectionResetError(),
    ConnectionRefusedError(),
    BrokenPipeError(),
    TimeoutError(),
    OSError(errno.ESTALE, "the file system's server was away"),
    OSError(errno.ENETUNREACH, "no network"),
    socket.gaierror(socket.EAI_AGAIN, "try again"),
]
LASTING = [
    errors.ConfigError("bad settings"),
    errors.MissingInputError("bad data"),
    errors.CorruptInputError("bad data"),
    errors.TooManyDropsError("bad data"),
    errors.TrainingError("the loss is not finite"),
    errors.TrainingStoppedError("asked to"),
    errors.OutOfMemoryError("no memory"),
    errors.ParityError("the proof failed"),
    errors.ProcessFailedError("a program's own error"),
    errors.StoreError("the disk is full"),
    MemoryError(),
    OSError(errno.ENOSPC, "the disk is full"),
    socket.gaierror(socket.EAI_NONAME, "no such name"),
    ValueError("a defect"),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_may_pass_is_tried_again(error: BaseException) -> None:
    assert errors.is_retryable(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_what_stays_wrong_is_not(error: BaseException) -> None:
    assert not errors.is_retryable(error)


def test_every_error_of_the_tree_is_decided() -> None:
    def below(kind: type[errors.HeadraceError]) -> set[type[errors.HeadraceError]]:
        return {kind}.union(*(below(sub) for sub in kind.__subclasses__()))

    retried = {
        kind.__name__ for kind in below(errors.HeadraceError) if errors.is_retryable(kind(""))
    }
    assert retried == {"ServerUnavailableError", "WorkerLostError"}


def test_pauses_double_up_to_a_limit_and_differ() -> None:
    generator = random.Random(1)
    pauses = [delay_seconds(number, generator=generator) for number in range(1, 9)]
    for number, pause in enumerate(pauses, 1):
        least = min(MAX_PAUSE_SECONDS, 5.0 * 2 ** (number - 1))
        assert least <= pause <= 1.5 * least
    assert len({delay_seconds(1, generator=generator) for _ in range(20)}) > 10
    assert MAX_RETRIES >= 1


def write_counts(path: Path, count: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"low 0\noom 9\noom_kill {count}\noom_group_kill 0\n")
    return path


def test_the_kernel_s_count_is_found_in_either_version(tmp_path: Path) -> None:
    own, nowhere = tmp_path / "self", tmp_path / "nowhere"
    own.write_text("0::/job/42\n")
    write_counts(tmp_path / "cgroup" / "job" / "42" / "memory.events", 3)
    assert num_oom_kills(tmp_path / "cgroup", own, nowhere) == 3
    write_counts(tmp_path / "v1" / "memory" / "memory.oom_control", 5)
    assert num_oom_kills(tmp_path / "v1", nowhere, nowhere) == 5
    assert num_oom_kills(nowhere, nowhere, write_counts(tmp_path / "vmstat", 7)) == 7
    assert num_oom_kills(nowhere, nowhere, nowhere) == 0


def test_a_lost_process_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([4, 4, 5])
    monkeypatch.setattr("headrace.memory.num_oom_kills", lambda: next(counts))
    watch = LossWatch()
    assert isinstance(watch.explain("gone", remedy="less"), errors.WorkerLostError)
    killed = watch.explain("gone", remedy="take less")
    assert isinstance(killed, errors.OutOfMemoryError)
    assert "take less" in str(killed)
