"""Fixtures shared by all tests. Nothing here reaches a network or needs a GPU."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.embedded_server import prefect_api
from flows.running import flush_to_prefect
from headrace.artifacts import Runtime, Store

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def _no_foreign_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test never writes into the developer's own home or server."""
    for name in ("HEADRACE_HOME", "HEADRACE_RUN", "HEADRACE_WORKERS"):
        monkeypatch.delenv(name, raising=False)


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


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Prefect server, started as `headrace run` starts it."""
    home = tmp_path_factory.mktemp("prefect-home")
    # Prefect's settings were read at its import, before this server was there.
    with prefect_api(home) as url, temporary_settings({PREFECT_API_URL: url}):
        yield url
        flush_to_prefect()


def pytest_configure(config: pytest.Config) -> None:
    # Prefect reads its home when it is imported: never the developer's own.
    os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="headrace-prefect-")
    os.environ.pop("PREFECT_API_URL", None)
    os.environ["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"] = "ignore"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
