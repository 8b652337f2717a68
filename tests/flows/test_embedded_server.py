from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from flows.embedded_server import is_healthy, prefect_api
from headrace.artifacts.files import read_json
from headrace.artifacts.owners import Owner, has_owner_tag, is_abandoned
from headrace.errors import ServerUnavailableError


def test_commands_of_one_home_share_a_server_that_ends_with_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with prefect_api(tmp_path) as first:
        assert os.environ["PREFECT_API_URL"] == first
        assert is_healthy(first)
        assert first.startswith("http://127.0.0.1:")
        pid = read_json(tmp_path / "prefect" / "server.json")["pid"]
        del os.environ["PREFECT_API_URL"]
        with prefect_api(tmp_path) as second:
            assert second == first
        assert is_healthy(first)
        os.environ["PREFECT_API_URL"] = first
    assert "PREFECT_API_URL" not in os.environ
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(pid)


def test_a_given_server_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ServerUnavailableError, match=r"127\.0\.0\.1:9"), prefect_api(tmp_path):
        pass


def test_a_run_lives_as_long_as_its_owner(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Owner(home) as owner, Owner(home) as other:
        assert not is_abandoned(home, [owner.tag, "another-tag"])
        other.release()
        # A retried run may carry two: one living owner is enough.
        assert not is_abandoned(home, [other.tag, owner.tag])
    assert has_owner_tag([owner.tag])
    assert is_abandoned(home, ["another-tag", owner.tag])


def test_what_another_home_or_nobody_owns_is_not_called_abandoned(tmp_path: Path) -> None:
    with Owner(tmp_path / "theirs") as owner:
        pass
    assert not is_abandoned(tmp_path / "ours", [owner.tag])
    assert not is_abandoned(tmp_path / "ours", ["a-tag"])
    assert not has_owner_tag(["a-tag"])
