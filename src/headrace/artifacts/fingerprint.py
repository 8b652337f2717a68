"""Identity: one canonical JSON, and the sha256 of it.

A stage's key covers its name, version, frozen config, the content digests of its inputs, and the
versions of the packages that determine its bytes. A value with no stable serialisation raises:
falling back to `str(value)` is how other systems get hits that are not hits. Cost: microseconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from pydantic import BaseModel

from headrace.errors import ConfigError

KEY_HEX_DIGITS = 32
"""Digits of a key: 128 bits, short enough for a directory's name."""


def canonical_json(value: object) -> str:
    """Serialise `value` so that equal values give equal text, in any process and on any machine.

    Takes None, bool, int, finite float, str, list, tuple, mappings with str keys, and pydantic
    models of those. Keys are sorted, nothing is padded, non-ASCII text stays as it is.

    Raises:
        ConfigError: a set, path, callable or other object is inside, or a NaN; it names where.
    """
    plain = _plain(value, "value")
    return json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _plain(value: object, where: str) -> Any:
    if isinstance(value, BaseModel):
        # Fields are walked as they are: `model_dump(mode="json")` would turn a set into a list.
        return {
            name: _plain(getattr(value, name), f"{where}.{name}")
            for name in type(value).model_fields
        }
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        if value != value or value in (float("inf"), float("-inf")):
            raise ConfigError(f"{where} = {value}: identity takes finite numbers only")
        return value
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str:
                raise ConfigError(f"{where}: keys of a mapping must be str, found {key!r}")
        return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise ConfigError(
        f"{where} is a {type(value).__name__}, which has no stable serialisation: use numbers, "
        "text, lists and mappings; pass files as source artifacts"
    )


def sha256_of(value: object) -> str:
    """Hex sha256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """Installed version of each distribution, local suffixes (+cpu) left out.

    Raises:
        ConfigError: one of them is not installed.
    """
    versions = {}
    for name in packages:
        try:
            versions[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            raise ConfigError(
                f"package '{name}' is not installed, and this stage's bytes depend on it: "
                f"pip install {name}"
            ) from None
    return versions


def stage_key(
    *,
    name: str,
    version: int,
    config: object,
    inputs: Mapping[str, str],
    packages: Mapping[str, str],
) -> str:
    """The key of one stage run: 32 hex digits.

    Args:
        name: the stage's name.
        version: its explicit version, raised with any change of what it writes.
        config: its frozen config.
        inputs: content digest of each named input.
        packages: version of each package that determines its bytes.
    """
    parts = {
        "stage": name,
        "version": version,
        "config": config,
        "inputs": dict(inputs),
        "packages": dict(packages),
    }
    return sha256_of(parts)[:KEY_HEX_DIGITS]


def content_digest(
    *, format_name: str, files: Sequence[tuple[str, int, str]], counts: Mapping[str, int]
) -> str:
    """An artifact's digest: its format, data files (name, bytes, sha256) and counts."""
    return sha256_of({"format": format_name, "files": sorted(files), "counts": dict(counts)})
