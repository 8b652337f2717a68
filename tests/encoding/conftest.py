from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.artifacts import Runtime, Store


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Store]:
    def make(num_workers: int = 1, home: str = "home") -> Store:
        return Store(Runtime(home=tmp_path / home, num_workers=num_workers))

    return make


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    return make_store()
