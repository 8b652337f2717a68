"""The artifact store: `open_or_build` decides between a hit, a repair and a build.

    key  = stage name + version + config + input digests + package versions
    hit  = a manifest is there and each file is what it was
    heal = a manifest is there, some files are not: their shards alone are built again
    build= no manifest: finished shards of an interrupted run are taken, the rest is built

The whole decision is made under the artifact's lock, so a second run with the same key waits and
then hits. An unchanged digest keeps everything downstream cached, since keys are made of digests.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from headrace.artifacts import files, locks, verification
from headrace.artifacts.build import Build
from headrace.artifacts.changes import explain_change
from headrace.artifacts.fingerprint import content_digest, package_versions, sha256_of, stage_key
from headrace.artifacts.manifest import (
    MANIFEST_NAME,
    Artifact,
    Manifest,
    Stage,
    open_artifact,
)
from headrace.artifacts.provenance import collect_provenance
from headrace.artifacts.runtime import Runtime
from headrace.artifacts.shards import (
    BUILDING_NAME,
    TEMPORARY,
    WORK,
    clear_unfinished,
    forget_shards_with,
)
from headrace.config import StageConfig
from headrace.errors import IncompleteArtifactError, MissingInputError, StoreError
from headrace.processes import hold_shared

logger = logging.getLogger(__name__)


class Outcome(Enum):
    """How an artifact came about; the value is the state's name in the Prefect UI."""

    HIT = "Cached"
    HEALED = "Healed"
    BUILT = "Completed"


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An artifact and how it came about.

    Attributes:
        artifact: the finished artifact.
        outcome: hit, healed or built.
        seconds: wall time taken now.
        reason: why it was not simply a hit, in words; "" for a hit.
    """

    artifact: Artifact
    outcome: Outcome
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Store:
    """All artifacts below `runtime.store_root`: `<root>/<stage>/<key>/`."""

    runtime: Runtime

    @property
    def root(self) -> Path:
        """Directory of all artifacts."""
        return self.runtime.store_root

    def path_of(self, stage_name: str, key: str) -> Path:
        """Where the artifact of a stage and key lies, or will lie."""
        return self.root / stage_name / key

    def key_of(self, stage: Stage, config: StageConfig, inputs: Mapping[str, Artifact]) -> str:
        """The key under which `stage` with this config and these inputs is stored."""
        return stage_key(
            name=stage.name,
            version=stage.version,
            config=config,
            inputs={name: artifact.digest for name, artifact in inputs.items()},
            packages=package_versions(stage.packages),
        )

    def open_or_build(
        self,
        stage: Stage,
        config: StageConfig,
        inputs: Mapping[str, Artifact],
        *,
        at: Path | None = None,
    ) -> Opened:
        """Give the artifact of a stage: from the store if it is there and whole, else by building.

        Args:
            stage: what to run.
            config: its frozen settings.
            inputs: its named inputs, finished artifacts.
            at: build it in this directory of the user's instead of the store.

        Raises:
            StoreError: the directory cannot be used.
            HeadraceError: whatever the stage raises; finished shards stay for the next run.
        """
        start = time.monotonic()
        key = self.key_of(stage, config, inputs)
        path = at if at is not None else self.path_of(stage.name, key)
        plan = _Plan(stage=stage, config=config, inputs=inputs, key=key, path=path)
        with (
            files.explained_os_errors(path),
            locks.exclusive(self._lock_path(path), what=f"{stage.name} {key[:12]}") as lock_fd,
        ):
            opened = self._open_or_build_locked(plan, lock_fd)
        return replace(opened, seconds=time.monotonic() - start)

    def _open_or_build_locked(self, plan: _Plan, lock_fd: int) -> Opened:
        previous = _load_manifest(plan)
        outcome, reason = Outcome.BUILT, ""
        if previous is not None:
            artifact = Artifact(plan.path, previous)
            damages = verification.find_damage(artifact)
            if not damages:
                return Opened(artifact=artifact, outcome=Outcome.HIT, seconds=0.0)
            outcome = Outcome.HEALED
            reason = "; ".join(f"{damage.name}: {damage.problem}" for damage in damages[:5])
            logger.warning("%s %s: damaged: %s", plan.stage.name, plan.key[:12], reason)
            # The manifest goes first: a kill from here on leaves an unfinished artifact.
            (plan.path / MANIFEST_NAME).unlink()
            shards = forget_shards_with(plan.path, {damage.name for damage in damages})
            logger.info(
                "%s: building again: %s", plan.stage.name, ", ".join(shards) or "index files"
            )
        elif plan.path.parent.is_dir():
            reason = explain_change(
                plan.path.parent,
                version=plan.stage.version,
                config=plan.config,
                inputs={name: item.digest for name, item in plan.inputs.items()},
                packages=package_versions(plan.stage.packages),
            )
        artifact = self._build(plan, lock_fd, previous)
        if previous is not None and previous.digest != artifact.digest:
            logger.warning(
                "%s %s: repaired, but its digest is now %s instead of %s: what follows runs again",
                plan.stage.name, plan.key[:12], artifact.digest[:12], previous.digest[:12],
            )  # fmt: skip
        return Opened(artifact=artifact, outcome=outcome, seconds=0.0, reason=reason)

    def _build(self, plan: _Plan, lock_fd: int, previous: Manifest | None) -> Artifact:
        started = time.time()
        # A scratch directory that is not empty may hold the checkpoint that training goes on from.
        has_scratch = files.tree_bytes(plan.path / WORK) > 0
        plan.path.mkdir(parents=True, exist_ok=True)
        files.write_json(plan.path / BUILDING_NAME, {"stage": plan.stage.name, "key": plan.key})
        build = Build(plan.path, stage_name=plan.stage.name, runtime=self.runtime, lock_fd=lock_fd)
        plan.stage.write(config=plan.config, out=build, **plan.inputs)
        counts = build.counts()
        entries, extras = build.data_entries()
        digest = content_digest(
            format_name=plan.stage.format,
            files=[(entry.name, entry.bytes, entry.sha256) for entry in entries],
            counts=counts,
        )
        manifest = Manifest(
            stage=plan.stage.name,
            version=plan.stage.version,
            format=plan.stage.format,
            key=plan.key,
            digest=digest,
            config=plan.config.model_dump(mode="json"),
            packages=package_versions(plan.stage.packages),
            inputs={name: artifact.link() for name, artifact in plan.inputs.items()},
            counts=counts,
            files=tuple(entries),
            extras=tuple(extras),
            provenance=collect_provenance(
                started=started,
                num_workers=self.runtime.num_workers,
                num_resumed=build.num_resumed,
                resumed=has_scratch or build.num_resumed > 0,
                scratch_bytes=files.tree_bytes(plan.path / WORK),
                before=previous.provenance if previous is not None else {},
                input_paths={name: str(item.path) for name, item in plan.inputs.items()},
            ),
        )
        stamps = {entry.name: files.stamp_of(plan.path / entry.name) for entry in entries}
        verification.save_stamps(plan.path, stamps)
        files.write_json(plan.path / MANIFEST_NAME, manifest.to_json())
        (plan.path / BUILDING_NAME).unlink(missing_ok=True)
        files.remove_tree(plan.path / TEMPORARY)
        if not build.keeps_workdir:
            files.remove_tree(plan.path / WORK)
        return Artifact(plan.path, manifest)

    def find(self, text: str) -> Artifact:
        """Find a finished artifact by path, `stage/key`, stage name (newest), key or digest prefix.

        Raises:
            MissingInputError: nothing, or more than one thing, is meant.
        """
        if "/" in text and Path(text).is_dir():
            return open_artifact(Path(text).resolve())
        found = [
            artifact
            for artifact in self.artifacts()
            if artifact.stage == text
            or f"{artifact.stage}/{artifact.key}".startswith(text)
            or (len(text) >= 4 and artifact.key.startswith(text))
            or (len(text) >= 4 and artifact.digest.startswith(text))
        ]
        if found and all(artifact.stage == text for artifact in found):
            return max(found, key=_finished_at)
        if len(found) == 1:
            return found[0]
        if not found and Path(text).is_dir():
            return open_artifact(Path(text).resolve())
        what = ", ".join(f"{item.stage}/{item.key[:12]}" for item in found[:6])
        raise MissingInputError(
            f"'{text}': {'several artifacts are meant: ' + what if found else 'no such artifact'}; "
            "`headrace ls` lists them"
        )

    def artifacts(self) -> Iterator[Artifact]:
        """Every finished artifact in the store, by stage and key."""
        for path in sorted(self.root.glob("*/*/")):
            try:
                yield open_artifact(path)
            except (IncompleteArtifactError, MissingInputError):
                continue

    def unfinished(self) -> list[Path]:
        """Directories in the store without a manifest that holds."""
        finished = {artifact.path for artifact in self.artifacts()}
        return [path for path in sorted(self.root.glob("*/*/")) if path not in finished]

    def _lock_path(self, path: Path) -> Path:
        if path.is_relative_to(self.root):
            return path.with_name(f".{path.name}.lock")
        # A user's own directory is not littered with lock files.
        return self.root / ".locks" / sha256_of(str(path.resolve()))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the store against garbage collection while a run uses it."""
        descriptor = hold_shared(self.root / ".in-use.lock")
        try:
            yield
        finally:
            os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    stage: Stage
    config: StageConfig
    inputs: Mapping[str, Artifact]
    key: str
    path: Path


def _finished_at(artifact: Artifact) -> str:
    return str(artifact.manifest.provenance.get("finished", ""))


def _load_manifest(plan: _Plan) -> Manifest | None:
    """The finished manifest of exactly this plan, or None where it must be built.

    Raises:
        StoreError: the directory is somebody else's.
    """
    if plan.path.exists() and not plan.path.is_dir():
        raise StoreError(f"{plan.path}: an output directory was expected; there is a file: move it")
    try:
        manifest = open_artifact(plan.path).manifest
    except MissingInputError:
        return None
    except IncompleteArtifactError as error:
        _check_may_build(plan, str(error))
        return None
    if manifest.key != plan.key:
        raise StoreError(
            f"{plan.path}: it holds another artifact ({manifest.stage} {manifest.key[:12]}): name "
            "another output directory, or remove this one"
        )
    return manifest


def _check_may_build(plan: _Plan, problem: str) -> None:
    """An unfinished directory may be gone on with if it is ours and of the same key."""
    if plan.path.name == plan.key:
        if (plan.path / MANIFEST_NAME).exists():
            logger.warning("%s; it is built again", problem)
        return
    building = files.read_json(plan.path / BUILDING_NAME)
    if isinstance(building, dict) and building.get("key") == plan.key:
        return
    if isinstance(building, dict):
        logger.info("%s: an unfinished run with other inputs or settings is cleared", plan.path)
        clear_unfinished(plan.path)
    if any(plan.path.iterdir()):
        raise StoreError(
            f"{plan.path}: the directory is not empty and holds no unfinished run of this command: "
            "name a new or empty one"
        )
