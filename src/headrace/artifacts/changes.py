"""Why is this not a hit? Compares the parts of a key with those of earlier runs of the stage."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.artifacts.files import read_json
from headrace.artifacts.manifest import MANIFEST_NAME
from headrace.config import StageConfig

MAX_SHOWN = 6
_SHA256 = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_ABSENT = object()


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        merged: dict[str, Any] = {}
        for key, item in value.items():
            merged |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
        return merged
    return {prefix: value}


def _is_same(old: Any, new: Any) -> bool:
    # As identity sees them: 1 and 1.0 are different, and so are null and nothing at all.
    if old is _ABSENT or new is _ABSENT:
        return old is new
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _differences(before: Any, after: Any, what: str) -> list[str]:
    old, new = (_flat(value, what) if value else {} for value in (before, after))
    return [
        f"{name}: {_short(old.get(name, _ABSENT))} -> {_short(new.get(name, _ABSENT))}"
        for name in sorted(old.keys() | new.keys())
        if not _is_same(old.get(name, _ABSENT), new.get(name, _ABSENT))
    ]


def _short(value: Any) -> str:
    if value is _ABSENT or (isinstance(value, Mapping) and not value):
        return "(absent)"
    text = _SHA256.sub(r"\1", "none" if value is None else str(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def find_changes(
    stage_directory: Path,
    *,
    version: int,
    config: StageConfig,
    inputs: Mapping[str, str | None],
    packages: Mapping[str, str],
) -> list[str] | None:
    """Which parts of the key differ from the nearest earlier run of the same stage, in words.

    Args:
        stage_directory: where the stage's artifacts lie.
        version: the stage's version now.
        config: its settings now.
        inputs: digest of each input; None for one that is not known yet, which is left out.
        packages: versions of the packages that determine its bytes.

    Returns:
        For example `["config.learning_rate: 0.001 -> 0.002"]`; [] where nothing that is known
        differs; None where there is no earlier run.
    """
    after = config.model_dump(mode="json")
    known = {name: digest for name, digest in inputs.items() if digest is not None}
    candidates = []
    for path in sorted(stage_directory.glob(f"*/{MANIFEST_NAME}")):
        manifest = read_json(path)
        if not isinstance(manifest, dict):
            continue
        links = {
            name: link.get("digest")
            for name, link in (manifest.get("inputs") or {}).items()
            if name in known or name not in inputs
        }
        changes = (
            _differences({"version": manifest.get("version")}, {"version": version}, "")
            + _differences(manifest.get("config"), after, "config")
            + _differences(links, known, "input")
            + _differences(manifest.get("packages"), packages, "package")
        )
        finished = str((manifest.get("provenance") or {}).get("finished", ""))
        candidates.append((-len(changes), finished, changes))
    # The nearest; of several the newest.
    return max(candidates)[2] if candidates else None


def explain_change(
    stage_directory: Path,
    *,
    version: int,
    config: StageConfig,
    inputs: Mapping[str, str | None],
    packages: Mapping[str, str],
) -> str:
    """The same as one text; "" where there is no earlier run."""
    changes = find_changes(
        stage_directory, version=version, config=config, inputs=inputs, packages=packages
    )
    return joined(changes or [])


def joined(changes: list[str]) -> str:
    """The first few changes, and how many more there are."""
    more = [f"{len(changes) - MAX_SHOWN} more"] if len(changes) > MAX_SHOWN else []
    return "; ".join([*changes[:MAX_SHOWN], *more])
