"""A pipeline's settings from a file and from `--set`, into one checked model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from headrace.config import parse_config
from headrace.errors import ConfigError, MissingInputError

ModelT = TypeVar("ModelT", bound=BaseModel)


def read_config_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file.

    Raises:
        MissingInputError: there is no such file.
        ConfigError: it is not YAML, or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise MissingInputError(
            f"{path}: a configuration file was expected; there is none"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: UTF-8 text was expected: {error}") from None
    try:
        value = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: 'key: value' pairs were expected, found {type(value).__name__}")
    return value


def apply_settings(values: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Lay `a.b=value` settings over a mapping; values are read as YAML.

    Raises:
        ConfigError: a setting has no '=', or goes below something that is no mapping.
    """
    merged: dict[str, Any] = json.loads(json.dumps(values))
    for setting in settings:
        name, separator, text = setting.partition("=")
        if not separator or not name:
            raise ConfigError(f"--set {setting}: KEY=VALUE was expected, such as training.seed=7")
        *parents, last = name.split(".")
        target = merged
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise ConfigError(f"--set {setting}: '{parent}' holds a value, not further keys")
        try:
            target[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            target[last] = text
    return merged


def load_config(
    model: type[ModelT],
    path: Path | None,
    settings: Sequence[str],
    flags: Mapping[str, Any] | None = None,
) -> ModelT:
    """The checked settings from an optional file, with a command's flags, then `--set`, over it.

    Raises:
        ConfigError: a key is unknown, missing, or holds what it may not; one line.
        MissingInputError: the file is not there.
    """
    values = (read_config_file(path) if path else {}) | dict(flags or {})
    source = str(path) if path else "settings"
    return parse_config(model, apply_settings(values, settings), source=source)
