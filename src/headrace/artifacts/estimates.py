"""How long a stage will take and how much it will write, from its earlier runs.

seconds = start + rate x work. Two or more earlier runs with differing work give both; one gives the
rate, its start being the stage's declared one. Where a store has no earlier run of the stage, the
runs shipped in `reference_runs.json` stand in for it; what was measured there is told as such.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headrace.artifacts.files import read_json
from headrace.artifacts.lineage import find_link
from headrace.artifacts.manifest import Artifact, Stage, open_artifact
from headrace.artifacts.measures import Inputs, Size
from headrace.artifacts.provenance import full_seconds
from headrace.artifacts.store import Store
from headrace.config import StageConfig
from headrace.errors import IncompleteArtifactError, MissingInputError

REFERENCE_NAME = "reference_runs.json"
DIFFERING_WORK = 1.5
"""Two runs tell start and rate apart only if their work differs by this factor."""
UNKNOWN_START_SHARE = 0.3
MAX_START_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One finished build of a stage.

    Attributes:
        config: its settings, plain.
        inputs: size of each input.
        output: what it wrote.
        seconds: of an uninterrupted build; None where there was none.
        num_workers: processes that worked on it.
        scratch_bytes: of the scratch directory at the end; None where it was not measured.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, Size]
    output: Size
    seconds: float | None
    num_workers: int
    scratch_bytes: int | None

    @classmethod
    def of(cls, store: Store, artifact: Artifact) -> Sample | None:
        """What a finished artifact tells; None where its inputs are gone."""
        provenance = artifact.manifest.provenance
        inputs = {}
        for name, link in artifact.manifest.inputs.items():
            found = find_link(store, link)
            if found is None:
                return None
            inputs[name] = found.size
        return cls(
            config=artifact.manifest.config,
            inputs=inputs,
            output=artifact.size,
            seconds=full_seconds(provenance),
            num_workers=int(provenance.get("num_workers", 1)),
            scratch_bytes=provenance.get("scratch_bytes"),
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Sample:
        """Read what `asdict` gave."""
        inputs = {name: Size(**size) for name, size in value["inputs"].items()}
        return cls(**{**value, "inputs": inputs, "output": Size(**value["output"])})


def load_samples(store: Store, stage_name: str) -> list[Sample]:
    """What the store's finished artifacts of a stage tell."""
    samples = []
    for path in sorted((store.root / stage_name).glob("*/")):
        try:
            sample = Sample.of(store, open_artifact(path))
        except (IncompleteArtifactError, MissingInputError):
            continue
        if sample is not None:
            samples.append(sample)
    return samples


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Runs measured elsewhere.

    Attributes:
        machine: on what, in words.
        samples: by stage.
    """

    machine: str = ""
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for the file."""
        samples = {name: [asdict(item) for item in items] for name, items in self.samples.items()}
        return {"machine": self.machine, "samples": samples}


@functools.cache
def shipped_reference() -> Reference:
    """The runs that come with the package."""
    value = read_json(Path(__file__).with_name(REFERENCE_NAME)) or {"machine": "", "samples": {}}
    samples = {
        name: [Sample.from_json(item) for item in items] for name, items in value["samples"].items()
    }
    return Reference(machine=value["machine"], samples=samples)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a build is expected to take.

    Attributes:
        seconds: wall time of a whole build; None where nothing tells it.
        start_seconds: the part of it that does not depend on the work.
        size: what it will write; None where nothing tells it.
        scratch_bytes: scratch space beside that.
        basis: what tells it, in words.
    """

    seconds: float | None = None
    start_seconds: float = 0.0
    size: Size | None = None
    scratch_bytes: int = 0
    basis: str = "no earlier run"

    def seconds_for(self, share: float) -> float | None:
        """Wall time where only this share of the work is left."""
        if self.seconds is None:
            return None
        return self.start_seconds + share * (self.seconds - self.start_seconds)


@dataclass(frozen=True, kw_only=True)
class _Measured:
    sample: Sample
    work: float
    volume: float
    kind: str


class Estimator:
    """Estimates builds from a store's earlier runs, else from the reference.

    Args:
        store: where earlier runs lie.
        reference: stands in for stages that never ran there; the shipped one by default.
    """

    def __init__(self, store: Store, reference: Reference | None = None) -> None:
        self._store = store
        self._reference = shipped_reference() if reference is None else reference
        self._samples: dict[str, list[Sample]] = {}

    def estimate(self, stage: Stage, config: StageConfig, inputs: Inputs) -> Estimate:
        """What a whole build of `stage` is expected to take.

        Args:
            stage: which stage.
            config: its settings.
            inputs: sizes of its inputs, known or estimated.
        """
        if stage.name not in self._samples:
            self._samples[stage.name] = load_samples(self._store, stage.name)
        own = _measured(stage, config, self._samples[stage.name])
        given = _measured(stage, config, self._reference.samples.get(stage.name, ()))
        try:
            work = stage.measure.work(config, inputs)
            volume = stage.measure.volume(config, inputs)
        except KeyError:
            return Estimate(basis="the size of an input is not known")
        kind = stage.measure.kind(config)
        start, rate, basis = self._times(stage, own, given, kind)
        nearest = _nearest(own, volume) or _nearest(given, volume)
        with_scratch = [m for m in (*own, *given) if m.sample.scratch_bytes is not None]
        return Estimate(
            seconds=None if rate is None else start + rate * work,
            start_seconds=start,
            size=_scaled(stage, config, inputs, nearest, volume),
            scratch_bytes=_scratch(_nearest(with_scratch, volume), volume),
            basis=basis,
        )

    def _times(
        self, stage: Stage, own: list[_Measured], given: list[_Measured], kind: str
    ) -> tuple[float, float | None, str]:
        """Start and rate, and what they rest on."""
        workers = self._store.runtime.num_workers
        for measured, whose in ((own, "earlier run"), (given, "run on the reference machine")):
            timed = [m for m in measured if m.sample.seconds is not None and m.kind == kind]
            alike = [m for m in timed if m.sample.num_workers == workers] or timed
            if alike:
                points = [(m.work, m.sample.seconds or 0.0) for m in alike]
                start, rate = fit(points, stage.measure.start_seconds)
                return start, rate, f"{len(alike)} {whose}{'s' if len(alike) > 1 else ''}"
        where = f" on {kind}" if kind else ""
        return 0.0, None, f"no earlier run{where}"


def _measured(stage: Stage, config: StageConfig, samples: Sequence[Sample]) -> list[_Measured]:
    """Those samples whose settings are of this config's kind and whose work can be measured."""
    found = []
    for sample in samples:
        try:
            settings = type(config).model_validate(sample.config)
            work = stage.measure.work(settings, sample.inputs)
            volume = stage.measure.volume(settings, sample.inputs)
        except (KeyError, ValueError):
            continue
        kind = stage.measure.kind(settings)
        found.append(_Measured(sample=sample, work=work, volume=volume, kind=kind))
    return found


def fit(points: Sequence[tuple[float, float]], start_seconds: float | None) -> tuple[float, float]:
    """Start and rate of a line through (work, seconds), neither below 0.

    Args:
        points: at least one.
        start_seconds: the declared start, used where the points do not tell it.
    """
    points = [(work, max(seconds, 1e-3)) for work, seconds in points]
    works = [work for work, _ in points]
    if max(works) > DIFFERING_WORK * min(works):
        start, rate = _line(points)
        if start >= 0.0 and rate >= 0.0:
            return start, rate
    # The largest runs tell most about larger ones.
    largest = [point for point in points if point[0] * DIFFERING_WORK >= max(works)]
    work = statistics.fmean(work for work, _ in largest)
    seconds = statistics.fmean(seconds for _, seconds in largest)
    start = UNKNOWN_START_SHARE * seconds if start_seconds is None else start_seconds
    start = min(start, MAX_START_SHARE * seconds)
    return start, (seconds - start) / work if work > 0.0 else 0.0


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Least squares of the relative error, so that short runs count as much as long ones."""
    weights = [1.0 / seconds**2 for _, seconds in points]
    total = sum(weights)
    mean_work = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_seconds = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    both = [
        (w * (x - mean_work) ** 2, w * (x - mean_work) * (y - mean_seconds))
        for w, (x, y) in zip(weights, points, strict=True)
    ]
    rate = sum(product for _, product in both) / sum(square for square, _ in both)
    return mean_seconds - rate * mean_work, rate


def _nearest(measured: Sequence[_Measured], volume: float) -> _Measured | None:
    """The run whose output's measure is nearest."""
    return min(measured, key=lambda m: abs(m.volume - volume), default=None)


def _scaled(
    stage: Stage, config: StageConfig, inputs: Inputs, nearest: _Measured | None, volume: float
) -> Size | None:
    """An earlier output, scaled, with those counts that are known beforehand."""
    if nearest is None:
        return None
    ratio = volume / nearest.volume if nearest.volume else 1.0
    output = nearest.sample.output
    counts = {name: count * ratio for name, count in output.counts.items()}
    try:
        known = stage.measure.counts(config, inputs, counts)
    except KeyError:
        known = {}
    merged = {**counts, **known}
    return Size(
        num_bytes=output.num_bytes * ratio,
        counts={name: count for name, count in merged.items() if count is not None},
    )


def _scratch(nearest: _Measured | None, volume: float) -> int:
    if nearest is None or not nearest.volume:
        return 0
    return round((nearest.sample.scratch_bytes or 0) * volume / nearest.volume)
