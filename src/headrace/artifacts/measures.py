"""How a stage's work and output are measured, so that a run not yet made can be told beforehand.

Work is a number in any unit of the stage's own: what counts is that twice as much takes twice as
long, beyond a start that does not depend on it. Everything here is arithmetic on settings and on
the sizes of inputs; nothing is opened, and nothing bears on what a stage writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large an artifact is, or is going to be.

    Attributes:
        num_bytes: of its data files.
        counts: as in its manifest; estimated ones are not whole numbers.
    """

    num_bytes: float
    counts: Mapping[str, float] = field(default_factory=dict)


Inputs = Mapping[str, Size]


def input_bytes(_config: Any, inputs: Inputs) -> float:
    """Bytes of all inputs: the work of a stage that reads them once."""
    return sum(size.num_bytes for size in inputs.values())


def one(_config: Any, _inputs: Inputs) -> float:
    """For what does not grow with its inputs."""
    return 1.0


def _no_counts(_config: Any, _inputs: Inputs, _scaled: Mapping[str, float]) -> dict[str, float]:
    return {}


def _one_kind(_config: Any) -> str:
    return ""


def _nothing_done(_scratch: Path, _config: Any) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class Resumption:
    """What an interrupted build left: which share is done, and where it goes on, in words."""

    share: float
    words: str


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How one stage is measured. Functions raise KeyError where they miss a count.

    Attributes:
        work: `work(config, inputs)`: how much there is to do.
        volume: `volume(config, inputs)`: what the output's and the scratch directory's bytes grow
            with.
        counts: `counts(config, inputs, scaled)`: counts of the output that follow from settings
            and inputs; the others are those of an earlier run, `scaled` with the volume.
        start_seconds: what a build takes however little there is to do; None if it is not known.
        kind: `kind(config)`: times of another kind (device) tell nothing about this one.
        resumption: `resumption(scratch, config)`: how far the scratch directory of an interrupted
            build is; None where it is no help.
    """

    work: Callable[[Any, Inputs], float] = input_bytes
    volume: Callable[[Any, Inputs], float] = input_bytes
    counts: Callable[[Any, Inputs, Mapping[str, float]], Mapping[str, float | None]] = _no_counts
    start_seconds: float | None = None
    kind: Callable[[Any], str] = _one_kind
    resumption: Callable[[Path, Any], Resumption | None] = _nothing_done
