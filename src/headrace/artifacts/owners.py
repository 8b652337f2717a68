"""Who keeps a run alive: a lock that dies with its process, named by a token.

A running flow holds an exclusive flock on `<home>/prefect/owners/<token>`, and its flow run in
Prefect carries the token as a tag. Whoever can take the lock knows that the owner is gone, whatever
the run's state says; nothing has to be polled, written or expire.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from headrace.artifacts import locks
from headrace.errors import StoreError

TAG_PREFIX = "headrace-owner:"


def _directory(home: Path) -> Path:
    return home / "prefect" / "owners"


def _home_id(home: Path) -> str:
    """A lasting random name of the home: a server may be shared by several homes and machines."""
    path = _directory(home) / "home"
    while True:
        with contextlib.suppress(FileNotFoundError):
            if text := path.read_text().strip():
                return text
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"home.{secrets.token_hex(4)}")
        draft.write_text(secrets.token_hex(6))
        with contextlib.suppress(FileExistsError):
            # Two commands of a new home may both come here: the first one's name stays.
            os.link(draft, path)
        draft.unlink()


class Owner:
    """A held lock; it lasts until `release`, or until this process ends by any means.

    Attributes:
        tag: for the flow runs of this process.

    Raises:
        StoreError: the home's file system does not lock.
    """

    def __init__(self, home: Path) -> None:
        token = secrets.token_hex(8)
        self.tag = f"{TAG_PREFIX}{_home_id(home)}:{token}"
        self._path = _directory(home) / token
        descriptor = locks.try_lock(self._path)
        if descriptor is None:
            raise StoreError(
                f"{self._path}: a new file could not be locked: check the file system of the home"
            )
        self._descriptor: int = descriptor

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()


def has_owner_tag(tags: Iterable[str]) -> bool:
    """Whether a run told who owns it."""
    return any(tag.startswith(TAG_PREFIX) for tag in tags)


def is_abandoned(home: Path, tags: Iterable[str]) -> bool:
    """Whether a run belonged to processes of this home of which none is alive.

    A run of another home, or one that never told, is not known to be abandoned.
    """
    prefix = f"{TAG_PREFIX}{_home_id(home)}:"
    tokens = [tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)]
    for token in tokens:
        path = _directory(home) / token
        if not path.exists():
            continue
        descriptor = locks.try_lock(path)
        if descriptor is None:
            return False
        path.unlink(missing_ok=True)
        os.close(descriptor)
    return bool(tokens)
