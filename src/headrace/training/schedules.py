"""Learning-rate schedules: pure functions of the step, constant time.

`cosine`, `linear` and `constant` rise linearly over the warm-up and then fall from the peak to the
given share of it, reached exactly at the last step. `megatron-cosine` and `megatron-linear` are
those of Megatron-LM v1: their fall starts late by the warm-up but is scaled by all steps, so they
never come down to zero.
"""

from __future__ import annotations

import math

from headrace.training.config import PretrainingConfig, ScheduleName


def learning_rate_at(
    step: int,
    *,
    peak: float,
    num_steps: int,
    warmup_steps: int,
    schedule: ScheduleName,
    min_fraction: float = 0.0,
) -> float:
    """The learning rate of one optimiser step.

    Args:
        step: 1 for the first optimiser step, num_steps for the last (Megatron's `num_iters`).
        peak: the highest rate.
        num_steps: optimiser steps of the whole run.
        warmup_steps: the peak is reached at this step; 0 starts at the peak.
        schedule: shape of the fall.
        min_fraction: share of the peak at the last step (not used by megatron-*).

    Returns:
        The rate, a float in [0, peak].
    """
    if warmup_steps > 0 and step <= warmup_steps:
        return peak * step / warmup_steps
    since = step - warmup_steps
    if schedule == "constant":
        return peak
    if schedule == "megatron-cosine":
        return peak / 2.0 * (math.cos(math.pi * since / num_steps) + 1)
    if schedule == "megatron-linear":
        return peak * (num_steps - since) / num_steps
    progress = min(1.0, since / max(1, num_steps - warmup_steps))
    remaining = 1.0 - progress
    if schedule == "cosine":
        remaining = 0.5 * (1.0 + math.cos(math.pi * progress))
    return peak * (min_fraction + (1.0 - min_fraction) * remaining)


def scheduled_rate(config: PretrainingConfig, step: int) -> float:
    """`learning_rate_at` with the values of a config."""
    return learning_rate_at(
        step,
        peak=config.learning_rate,
        num_steps=config.num_steps,
        warmup_steps=config.warmup_steps,
        schedule=config.schedule,
        min_fraction=config.min_learning_rate_fraction,
    )
