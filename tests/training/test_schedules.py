"""Learning-rate schedules against Megatron-LM's own values and against plain arithmetic."""

import json
import math
from pathlib import Path

import pytest

from headrace.training.config import PretrainingConfig
from headrace.training.schedules import learning_rate_at, scheduled_rate

MEGATRON = json.loads((Path(__file__).parents[1] / "data" / "megatron_rates.json").read_bytes())


@pytest.mark.parametrize(
    ("schedule", "table"),
    [
        ("megatron-cosine", "lr_cosine"),
        ("megatron-linear", "lr_linear"),
        ("constant", "lr_constant"),
    ],
)
def test_schedule_gives_megatrons_values(schedule, table):
    for step, expected in MEGATRON[table].items():
        rate = learning_rate_at(
            int(step), peak=1.5e-4, num_steps=320_000, warmup_steps=3200, schedule=schedule
        )
        assert rate == pytest.approx(expected, rel=1e-9, abs=1e-18), step


def test_cosine_and_linear_end_exactly_at_the_floor():
    for schedule in ("cosine", "linear"):
        rate = learning_rate_at(
            100, peak=2.0, num_steps=100, warmup_steps=10, schedule=schedule, min_fraction=0.25
        )
        assert rate == pytest.approx(0.5, abs=1e-15)


def test_cosine_is_halfway_in_the_middle_of_the_fall():
    rate = learning_rate_at(
        60, peak=1.0, num_steps=110, warmup_steps=10, schedule="cosine", min_fraction=0.2
    )
    assert rate == pytest.approx(0.6)


def test_warm_up_rises_linearly_and_never_starts_at_zero():
    config = PretrainingConfig(num_steps=1000, warmup_fraction=0.01, learning_rate=1.0)
    rates = [scheduled_rate(config, step) for step in range(1, 11)]
    assert rates == pytest.approx([step / 10 for step in range(1, 11)])


def test_no_warm_up_starts_at_the_peak():
    rate = learning_rate_at(1, peak=1.0, num_steps=10_000, warmup_steps=0, schedule="cosine")
    assert rate == pytest.approx(1.0, abs=1e-6)


def test_rate_never_leaves_its_bounds():
    for schedule in ("cosine", "linear", "constant", "megatron-cosine", "megatron-linear"):
        for step in range(1, 51):
            rate = learning_rate_at(
                step, peak=3.0, num_steps=50, warmup_steps=7, schedule=schedule, min_fraction=0.1
            )
            assert 0.0 <= rate <= 3.0
            assert math.isfinite(rate)
