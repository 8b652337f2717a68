"""When what failed is tried again by itself: after growing pauses with jitter, a few times.

Which errors are worth it is `headrace.errors.is_retryable`, for a stage's task as for a whole run
whose worker was lost. Pauses double (5 s, 10 s, ...) and are stretched at random by up to half, so
that many runs which one server's restart hit do not all come back at once.
"""

from __future__ import annotations

import random

MAX_RETRIES = 2
"""Tries after the first one, of a stage and of a run alike."""
FIRST_PAUSE_SECONDS = 5.0
MAX_PAUSE_SECONDS = 60.0
JITTER = 0.5


def delay_seconds(num_failures: int, *, generator: random.Random | None = None) -> float:
    """Pause before the next try.

    Args:
        num_failures: how often it failed so far, 1 or more.
        generator: source of the jitter; a fresh one by default.
    """
    pause = min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (num_failures - 1))
    return pause * (1.0 + JITTER * (generator or random.Random()).random())
