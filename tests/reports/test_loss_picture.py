"""The picture of losses that stages leave and Prefect's UI shows."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import pytest

from headrace.plots import MAX_BYTES, draw_losses


def dimensions(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def log(num_steps: int, **others: float) -> list[dict[str, Any]]:
    draw = random.Random(1)
    return [{"step": step, "loss": draw.random() * 9, **others} for step in range(num_steps)]


def test_the_learning_rate_gets_a_panel_of_its_own() -> None:
    without = dimensions(draw_losses(log(9)))
    beside = dimensions(draw_losses(log(9, learning_rate=1e-3)))
    assert beside[0] == without[0]
    assert beside[1] > without[1]
    assert without[0] >= 900


def test_a_noisy_picture_still_fits_into_the_ui() -> None:
    assert len(draw_losses(log(4000, learning_rate=1e-3))) <= MAX_BYTES


@pytest.mark.parametrize("records", [
    [], [{"step": 1}], [{"step": 1, "loss": math.nan, "learning_rate": math.inf}],
    [{"step": 1, "learning_rate": 0.0}], [{"step": 3, "valid_loss": 2.0}],
])  # fmt: skip
def test_little_is_drawn_of_little(records: list[dict[str, Any]]) -> None:
    assert dimensions(draw_losses(records))[0] >= 900
