"""One lock per artifact: flock on a file beside it.

The lock belongs to the open file, not to a process: children that inherit the descriptor hold it
too, and the kernel lets go when the last of them has ended, however it ended. Nothing expires and
nothing has to be cleaned up.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1


def try_lock(path: Path) -> int | None:
    """Take an exclusive lock now; returns its descriptor, or None where another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def exclusive(path: Path, *, what: str) -> Iterator[int]:
    """Hold an exclusive lock; waits for another holder and says so once.

    Yields:
        The lock's descriptor, for children that must hold it too.
    """
    descriptor = try_lock(path)
    if descriptor is None:
        logger.info("%s: another run works on it; waiting for it to end", what)
        # Polling instead of a blocking flock keeps Ctrl-C and cancellation prompt.
        while (descriptor := try_lock(path)) is None:
            time.sleep(POLL_SECONDS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
