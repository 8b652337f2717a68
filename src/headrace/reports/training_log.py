"""A training log as series to be drawn: read line by line, thinned without hiding a peak."""

from __future__ import annotations

import json
import math
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from headrace.reports.wording import is_number

MAX_POINTS = 1000
LARGEST = 1e300
"""What lies beyond is drawn as little as NaN is: differences of such values are infinite."""

Point = tuple[float, float]


@dataclass
class Series:
    """One quantity over the steps. 16 bytes a value.

    Attributes:
        steps: rising, unless the log is damaged.
        values: NaN where the logged value is not finite.
    """

    steps: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, step: float, value: float) -> None:
        """Take one more value; what cannot be drawn is kept as NaN."""
        self.steps.append(step)
        self.values.append(value if abs(value) <= LARGEST else math.nan)

    @property
    def num_lost(self) -> int:
        """Number of values that are not finite."""
        return sum(map(math.isnan, self.values))

    def finite(self) -> list[Point]:
        """The points that can be drawn, in the order of the steps."""
        pairs = zip(self.steps, self.values, strict=True)
        return sorted((step, value) for step, value in pairs if value == value)

    def thinned(self, limit: int = MAX_POINTS) -> list[Point]:
        """At most `limit` points: of each bucket its lowest and its highest, in their order.

        Where nothing in a bucket can be drawn there is one NaN, at which a line is to break.
        """
        points = list(zip(self.steps, self.values, strict=True))
        if any(b < a for a, b in zip(self.steps, self.steps[1:], strict=False)):
            points.sort(key=lambda point: point[0])
        if len(points) <= limit:
            return points
        num_buckets = limit // 2
        thin: list[Point] = []
        for bucket in range(num_buckets):
            first = bucket * len(points) // num_buckets
            last = (bucket + 1) * len(points) // num_buckets
            some = [point for point in points[first:last] if point[1] == point[1]]
            if not some:
                thin.append((points[first][0], math.nan))
                continue
            low = min(some, key=lambda point: point[1])
            high = max(some, key=lambda point: point[1])
            thin += sorted({low, high})
        return thin


def read_series(path: Path) -> dict[str, Series]:
    """Every quantity of a `training_log.jsonl`, by its name; lines that do not hold are left out.

    Cost: about 3 s a million lines.
    """
    found: dict[str, Series] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                _add_line(found, line)
    except OSError:
        return {}
    return found


def _add_line(found: dict[str, Series], line: bytes) -> None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return
    step = record.get("step") if isinstance(record, dict) else None
    if not is_number(step) or not 0 <= step < 2**53:
        return
    for name, value in record.items():
        if name != "step" and is_number(value):
            # An integer may be too large for a float.
            within = -LARGEST <= value <= LARGEST
            found.setdefault(name, Series()).add(float(step), float(value) if within else math.nan)
