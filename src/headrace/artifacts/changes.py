"""Why is this not a hit? Compares the parts of a key with those of earlier runs of the stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.artifacts.files import read_json
from headrace.artifacts.manifest import MANIFEST_NAME
from headrace.config import StageConfig


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        merged: dict[str, Any] = {}
        for key, item in value.items():
            merged |= _flat(item, f"{prefix}.{key}" if prefix else str(key))
        return merged
    return {prefix: value}


def _differences(before: Any, after: Any, what: str) -> list[str]:
    old, new = _flat(before, what), _flat(after, what)
    return [
        f"{name}: {_short(old.get(name))} -> {_short(new.get(name))}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:12] if len(text) == 64 else text[:60]


def explain_change(
    stage_directory: Path,
    *,
    version: int,
    config: StageConfig,
    inputs: Mapping[str, str],
    packages: Mapping[str, str],
) -> str:
    """Which parts of the key differ from the nearest earlier run of the same stage, in words.

    Returns:
        For example `config.learning_rate: 0.001 -> 0.002`; "" where there is no earlier run.
    """
    after = config.model_dump(mode="json")
    candidates = []
    for path in stage_directory.glob(f"*/{MANIFEST_NAME}"):
        manifest = read_json(path)
        if not isinstance(manifest, dict):
            continue
        links = manifest.get("inputs") or {}
        digests = {name: link.get("digest") for name, link in links.items()}
        candidates.append(
            _differences(manifest.get("version"), version, "version")
            + _differences(manifest.get("config"), after, "config")
            + _differences(digests, dict(inputs), "input")
            + _differences(manifest.get("packages"), dict(packages), "package")
        )
    nearest = min(candidates, key=len, default=[])
    return "; ".join(nearest[:6])
