"""The artifact store: identity, shards, manifests, repair, lineage, garbage collection."""

from headrace.artifacts.build import Build
from headrace.artifacts.manifest import (
    Artifact,
    FileEntry,
    InputLink,
    Manifest,
    Stage,
    open_artifact,
)
from headrace.artifacts.runtime import NoConfig, ProgressEvent, Runtime, resolve_home
from headrace.artifacts.shards import Quarantined, ShardJob, ShardOutcome, ShardRecord
from headrace.artifacts.store import Opened, Outcome, Store

__all__ = [
    "Artifact",
    "Build",
    "FileEntry",
    "InputLink",
    "Manifest",
    "NoConfig",
    "Opened",
    "Outcome",
    "ProgressEvent",
    "Quarantined",
    "Runtime",
    "ShardJob",
    "ShardOutcome",
    "ShardRecord",
    "Stage",
    "Store",
    "open_artifact",
    "resolve_home",
]
