"""What would a run do? The flow itself is called dry, and each of its stages answers here.

While a `Planner` is active (`PLANNER`), the tasks of a flow hand their stage, config and inputs to
it instead of opening or building anything, so the flow's body stays the one description of what
runs. Planning writes nothing into the store but the memory of raw inputs' hashes, and costs what an
all-hit run costs without Prefect: a few small files and a stat for each data file.

    digests of all inputs known -> the key is known -> HIT, HEAL or RUN, as the store decides
    an input runs first         -> RUN, unless that gives the bytes that it gave before

A step that heals is promised to give the bytes it had, and a raw input's digest follows from its
bytes, so what comes after them is planned exactly.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headrace.artifacts import files
from headrace.artifacts.changes import find_changes, joined
from headrace.artifacts.estimates import Estimate, Estimator, Reference, shipped_reference
from headrace.artifacts.fingerprint import package_versions, stage_key
from headrace.artifacts.manifest import Artifact, Stage, open_artifact
from headrace.artifacts.measures import Resumption, Size
from headrace.artifacts.plans import Action, Plan, PlannedStep
from headrace.artifacts.shards import (
    BUILDING_NAME,
    WORK,
    ShardRecord,
    load_good_record,
    load_records,
    shards_with,
)
from headrace.artifacts.sources import SOURCE, expected_source, read_source
from headrace.artifacts.store import Store
from headrace.artifacts.verification import Damage, find_damage
from headrace.config import StageConfig
from headrace.errors import IncompleteArtifactError, MissingInputError

FIRST_RUN = "no earlier run of this stage"
MAX_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class PlannedLink:
    """What a dry task returns: the artifact that its step has or will have.

    Attributes:
        step: the step's name.
        digest: its content; "" where it is not known before it has run.
        size: how large it is or will be; None where nothing tells.
    """

    step: str
    digest: str
    size: Size | None

    def result(self) -> PlannedLink:
        """Itself: flows ask Prefect's futures and states for their result."""
        return self


@dataclass(frozen=True, kw_only=True)
class _Request:
    """One stage as the flow asks for it."""

    step: str
    stage: Stage
    config: StageConfig
    inputs: Mapping[str, PlannedLink]

    @property
    def waits_for(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(link.step for link in self.inputs.values() if not link.digest))

    def key(self) -> str:
        """Its key; "" where an input's digest is not known yet."""
        if self.waits_for:
            return ""
        return stage_key(
            name=self.stage.name,
            version=self.stage.version,
            config=self.config,
            inputs={name: link.digest for name, link in self.inputs.items()},
            packages=package_versions(self.stage.packages),
        )


class Planner:
    """Notes what each step of a flow would do. One for each plan.

    Args:
        store: which the run would use.
        reference: times for stages that never ran there; the shipped ones by default.
    """

    def __init__(self, store: Store, reference: Reference | None = None) -> None:
        self._store = store
        self._reference = shipped_reference() if reference is None else reference
        self._estimator = Estimator(store, self._reference)
        self._steps: list[PlannedStep] = []

    @property
    def store(self) -> Store:
        """The store that the run would use."""
        return self._store

    def plan_source(self, path: Path, step: str) -> PlannedLink:
        """Plan the step that takes a raw input in; its bytes are hashed now if they are new.

        Raises:
            MissingInputError: there is nothing at `path`.
            CorruptInputError: it changed while it was hashed.
        """
        config = read_source(self._store, path)
        digest, num_bytes, counts = expected_source(config)
        request = _Request(step=step, stage=SOURCE, config=config, inputs={})
        size = Size(num_bytes=num_bytes, counts=counts)
        # It was hashed just now, so only its list of hashes is left to be written.
        known = Estimate(seconds=0.0, size=size, basis="hashed already")
        return self._plan(request, digest=digest, known=known)

    def plan_stage(
        self, stage: Stage, config: StageConfig, inputs: Mapping[str, PlannedLink], step: str
    ) -> PlannedLink:
        """Plan one step.

        Args:
            stage: which stage.
            config: its settings.
            inputs: what earlier steps of this plan returned.
            step: its name in the run.
        """
        return self._plan(_Request(step=step, stage=stage, config=config, inputs=inputs))

    def plan(self, pipeline: str) -> Plan:
        """All that was planned."""
        used = any("reference" in step.basis for step in self._steps)
        return Plan(
            pipeline=pipeline,
            steps=tuple(self._steps),
            free_bytes=free_bytes(self._store.runtime.home),
            machine=self._reference.machine if used else "",
        )

    def _plan(
        self, request: _Request, *, digest: str = "", known: Estimate | None = None
    ) -> PlannedLink:
        key = request.key()
        path = self._store.path_of(request.stage.name, key) if key else None
        artifact = _finished(path) if path is not None else None
        if artifact is None:
            return self._run(request, key, path, digest, known or self._estimate(request))
        damages = find_damage(artifact, remember=False)
        common = PlannedStep(
            step=request.step,
            stage=request.stage.name,
            action=Action.HIT,
            key=key,
            digest=artifact.digest,
            rows=artifact.counts.get("rows"),
            num_bytes=artifact.num_bytes,
        )
        if damages:
            common = _heal(common, artifact, damages, known or self._estimate(request))
        self._steps.append(common)
        return PlannedLink(step=request.step, digest=artifact.digest, size=artifact.size)

    def _estimate(self, request: _Request) -> Estimate:
        sizes = {name: link.size for name, link in request.inputs.items() if link.size is not None}
        if len(sizes) < len(request.inputs):
            return Estimate(basis="the size of an input is not known")
        return self._estimator.estimate(request.stage, request.config, sizes)

    def _run(
        self, request: _Request, key: str, path: Path | None, digest: str, estimate: Estimate
    ) -> PlannedLink:
        changes = find_changes(
            self._store.root / request.stage.name,
            version=request.stage.version,
            config=request.config,
            inputs={name: link.digest or None for name, link in request.inputs.items()},
            packages=package_versions(request.stage.packages),
        )
        begun = _begun(path, request) if path is not None else None
        size, share = estimate.size, 1.0 - begun.share if begun else 1.0
        step = PlannedStep(
            step=request.step,
            stage=request.stage.name,
            action=Action.RUN,
            reason=_reason(request, changes, begun),
            changes=tuple(changes or ()),
            waits_for=request.waits_for,
            key=key,
            digest=digest,
            rows=_rounded(size.counts.get("rows")) if size else None,
            num_bytes=_rounded(size.num_bytes) if size else None,
            seconds=estimate.seconds_for(share),
            write_bytes=round(share * size.num_bytes) if size else 0,
            scratch_bytes=estimate.scratch_bytes,
            basis=estimate.basis,
        )
        self._steps.append(step)
        return PlannedLink(step=request.step, digest=digest, size=size)


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def _finished(path: Path) -> Artifact | None:
    try:
        return open_artifact(path)
    except (MissingInputError, IncompleteArtifactError):
        return None


def _heal(
    step: PlannedStep, artifact: Artifact, damages: Sequence[Damage], estimate: Estimate
) -> PlannedStep:
    """What makes a damaged artifact good: the shards that hold the files, or index files alone."""
    names = {damage.name for damage in damages}
    shards = shards_with(artifact.path, names)
    records = load_records(artifact.path)
    total = sum(_num_bytes(record) for record in records.values())
    lost = sum(_num_bytes(records[shard]) for shard in shards)
    everything = len(shards) == len(records) or not total
    share = 1.0 if shards and everything else lost / max(total, 1)
    told = [f"{damage.name}: {damage.problem}" for damage in damages[:MAX_NAMED]]
    if len(damages) > MAX_NAMED:
        told.append(f"{len(damages) - MAX_NAMED} more files")
    what = f"shard {_named(shards)}" if shards else "index files"
    return replace(
        step,
        action=Action.HEAL,
        reason=f"{'; '.join(told)}: {what} built again",
        damaged=tuple(sorted(names)),
        seconds=estimate.seconds_for(share),
        write_bytes=round(share * artifact.num_bytes),
        scratch_bytes=estimate.scratch_bytes if share else 0,
        basis=estimate.basis,
    )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more


def _num_bytes(record: ShardRecord | None) -> int:
    return sum(entry.bytes for entry in record.files) if record else 0


def _begun(path: Path, request: _Request) -> Resumption | None:
    """What an interrupted build of the same key left to go on from."""
    if not path.is_dir():
        return None
    whole = sum(load_good_record(path, name) is not None for name in load_records(path))
    building = files.read_json(path / BUILDING_NAME)
    total = building.get("num_shards") if isinstance(building, dict) else None
    if whole and isinstance(total, int) and total >= whole:
        words = f"goes on: {whole} of {total} shards finished"
        return Resumption(share=whole / total, words=words)
    if whole:
        return Resumption(share=0.0, words=f"goes on: {whole} of its shards finished")
    return request.stage.measure.resumption(path / WORK, request.config)


def _reason(request: _Request, changes: list[str] | None, begun: Resumption | None) -> str:
    """Why a step runs, in words."""
    parts = [begun.words] if begun else []
    if changes:
        parts.append(joined(changes))
    waits = request.waits_for
    if waits and changes is not None:
        names = ", ".join(waits)
        parts.append(
            f"after {names}" if changes else f"unless the bytes from {names} are as before"
        )
    elif changes == [] and not waits:
        parts.append("its earlier run is not finished, or its manifest does not hold")
    if changes is None:
        parts.append(FIRST_RUN)
    return "; ".join(parts)


def free_bytes(path: Path) -> int:
    """Free space of the volume on which `path` lies, or will lie."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


PLANNER: ContextVar[Planner | None] = ContextVar("PLANNER", default=None)
"""The planner that tasks ask; None while stages run."""


@contextlib.contextmanager
def planning(planner: Planner) -> Iterator[Planner]:
    """Let every task called meanwhile plan instead of run."""
    token = PLANNER.set(planner)
    try:
        yield planner
    finally:
        PLANNER.reset(token)


def plan_flow(
    body: Callable[[Any], Any],
    config: Any,
    store: Store,
    *,
    pipeline: str,
    reference: Reference | None = None,
) -> Plan:
    """What a run of a flow would do.

    Args:
        body: the flow's plain function.
        config: its settings.
        store: which the run would use.
        pipeline: its name.
        reference: as for `Planner`.

    Raises:
        HeadraceError: a raw input is missing or cannot be read.
    """
    with planning(Planner(store, reference)) as planner:
        body(config)
    return planner.plan(pipeline)
