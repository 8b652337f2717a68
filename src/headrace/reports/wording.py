"""Figures in a reader's words; the exact value goes beside them into the page."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, TypeGuard

from headrace.reports.markup import Html, tag

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
DIGEST_DIGITS = 12


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value that was read from JSON is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def count(value: int) -> str:
    """A whole number, with commas."""
    return f"{value:,}"


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits; powers of ten where it is very small or large."""
    if isinstance(value, int) and abs(value) < 10**15:
        return count(value)
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if value and not 1e-3 <= abs(value) < 1e7:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    places = digits - 1 - (math.floor(math.log10(abs(value))) if value else 0)
    return f"{value:,.{max(0, places)}f}"


def size(num_bytes: float) -> str:
    """Bytes in decimal units."""
    if num_bytes < 1000:
        return f"{num_bytes:,.0f} B"
    power = min(int(math.log10(num_bytes) // 3), len(UNITS) - 1)
    value = num_bytes / 1000**power
    return f"{value:.{0 if value >= 99.95 else 1}f} {UNITS[power]}"


def duration(seconds: float) -> str:
    """Seconds in the two largest units that matter."""
    if not math.isfinite(seconds) or seconds < 0:
        return "unknown"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def moment(seconds: float) -> str:
    """A point in time, UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "unknown"


def plural(value: int, noun: str) -> str:
    """A number of things."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def data(value: Any, text: str | None = None) -> Html:
    """A figure as it reads, with its exact value in the page for programs."""
    if not is_number(value):
        return tag("span", "missing" if value is None else str(value))
    return tag("data", number(value) if text is None else text, value=repr(value))


def short(digest: str) -> Html:
    """The beginning of a digest; all of it in its tooltip."""
    return tag("code", digest[:DIGEST_DIGITS], title=digest, class_="nowrap")
