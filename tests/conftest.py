"""Fixtures shared by all tests. Nothing here reaches a network or needs a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.artifacts import Runtime, Store

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def _no_foreign_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test never writes into the developer's own home or server."""
    for name in ("HEADRACE_HOME", "HEADRACE_RUN", "HEADRACE_WORKERS", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    yield


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store with one worker."""
    return Store(Runtime(home=tmp_path / "home", num_workers=1))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference outputs beside the checkout; skips where it is not there."""
    if not SHARED.is_dir():
        pytest.skip("needs the reference folder ../shared, which is not beside this checkout")
    return SHARED


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
