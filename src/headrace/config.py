"""Stage settings: frozen, checked where they are born, and serialisable to one canonical JSON.

A config holds only what bears identity. Paths, worker counts, hosts and time-outs that do not
change a stage's bytes never belong here; they live in `artifacts.Runtime`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from headrace.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)


class StageConfig(BaseModel):
    """Base of every stage's settings: unknown keys, NaN and later changes are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def parse_config(model: type[ModelT], values: Mapping[str, Any], *, source: str) -> ModelT:
    """Build `model` from plain values.

    Args:
        model: the config class.
        values: nested mapping as read from YAML, JSON or the command line.
        source: where the values come from, for the message.

    Raises:
        ConfigError: one line that names every offending key, what it holds and what would do.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source}: {_describe(error, model)}") from None


def _describe(error: ValidationError, model: type[BaseModel]) -> str:
    parts = []
    for item in error.errors(include_url=False):
        where = ".".join(str(step) for step in item["loc"]) or model.__name__
        if item["type"] == "extra_forbidden":
            known = ", ".join(_fields_at(model, item["loc"][:-1])) or "none"
            parts.append(f"unknown key '{where}' (known here: {known})")
        elif item["type"] == "missing":
            parts.append(f"'{where}' is required")
        else:
            message = item["msg"].removeprefix("Value error, ")
            parts.append(f"'{where}' = {item['input']!r}: {message}")
    return "; ".join(parts)


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the nested model at `location`, [] where it is not a model."""
    current: Any = model
    for step in location:
        field = getattr(current, "model_fields", {}).get(step)
        if field is None:
            return []
        current = field.annotation
    return sorted(getattr(current, "model_fields", {}))
