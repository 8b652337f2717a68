"""From any artifact back to the bytes of the raw input: manifests link, this walks them.

An input is looked up by stage and key; where early cut-off or garbage collection left another
artifact with the same content, by digest. Cost: one small JSON file per artifact on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.artifacts.files import read_json
from headrace.artifacts.manifest import Artifact, InputLink, open_artifact
from headrace.artifacts.sources import LOCATION_NAME, SOURCE, SOURCE_NAME, holder_link
from headrace.artifacts.store import Store
from headrace.errors import IncompleteArtifactError, MissingInputError


@dataclass(frozen=True)
class LineageNode:
    """One artifact on the way back.

    Attributes:
        role: what it was to the artifact above it ("" at the top).
        link: its stage, key and digest.
        artifact: the artifact itself; None where it is no longer in the store.
        inputs: where it came from.
    """

    role: str
    link: InputLink
    artifact: Artifact | None
    inputs: tuple[LineageNode, ...]

    def walk(self, depth: int = 0) -> Iterator[tuple[int, LineageNode]]:
        """This node and all below it, with their depth."""
        yield depth, self
        for node in self.inputs:
            yield from node.walk(depth + 1)


def find_link(store: Store, link: InputLink, hint: str | None = None) -> Artifact | None:
    """The artifact that `link` names: by key, by the path it had, or by digest; else None."""
    candidates = [store.path_of(link.stage, link.key)]
    if hint:
        candidates.append(Path(hint))
    candidates += sorted((store.root / link.stage).glob("*/"))
    for path in candidates:
        try:
            artifact = open_artifact(path)
        except (MissingInputError, IncompleteArtifactError):
            continue
        if artifact.digest == link.digest:
            return artifact
    return None


def trace(store: Store, artifact: Artifact, role: str = "") -> LineageNode:
    """The whole tree of inputs below `artifact`."""
    hints = artifact.manifest.provenance.get("input_paths", {})
    below = []
    links = dict(artifact.manifest.inputs)
    if (holder := holder_link(artifact)) is not None:
        links["holder"] = holder
    for name, link in sorted(links.items()):
        found = find_link(store, link, hints.get(name) if isinstance(hints, Mapping) else None)
        below.append(
            trace(store, found, name) if found else LineageNode(name, link, None, inputs=())
        )
    return LineageNode(role, artifact.link(), artifact, tuple(below))


def raw_inputs(artifact: Artifact) -> list[dict[str, object]]:
    """For a source artifact: path now, bytes and sha256 of each raw file; [] for any other."""
    if artifact.stage != SOURCE.name:
        return []
    location = read_json(artifact.path / LOCATION_NAME) or {}
    entries = read_json(artifact.path / SOURCE_NAME) or []
    return [
        {"path": location.get("path"), "name": name, "bytes": size, "sha256": digest}
        for name, size, digest in entries
    ]
