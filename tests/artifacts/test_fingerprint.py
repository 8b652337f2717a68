from __future__ import annotations

import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.artifacts.fingerprint import canonical_json, package_versions, stage_key
from headrace.config import StageConfig
from headrace.errors import ConfigError


class Colour(Enum):
    RED = 1


class Inner(StageConfig):
    rate: float = 0.5
    names: tuple[str, ...] = ("a", "b")


class Outer(StageConfig):
    inner: Inner = Inner()
    flag: bool = True


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        ("é\n", '"é\\n"'),
        ({"b": 1, "a": [1, 2]}, '{"a":[1,2],"b":1}'),
        ((1, "x"), '[1,"x"]'),
        (Outer(), '{"flag":true,"inner":{"names":["a","b"],"rate":0.5}}'),
    ],
)
def test_canonical_json_of_plain_values(value: Any, expected: str) -> None:
    assert canonical_json(value) == expected


@pytest.mark.parametrize(
    "value",
    [{1, 2}, Path("x"), len, object(), Colour.RED, float("nan"), float("inf"), {1: "x"}, b"x"],
    ids=["set", "path", "callable", "object", "enum", "nan", "inf", "int-key", "bytes"],
)
def test_values_without_stable_form_are_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="deep"):
        canonical_json({"deep": [value]} if not isinstance(value, dict) else {"deep": value})


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.text(alphabet=st.characters(exclude_categories=["Cs"])), inner
    ),
    max_leaves=12,
)  # fmt: skip


@given(plain)
def test_order_of_keys_does_not_matter(value: Any) -> None:
    def reversed_keys(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: reversed_keys(item[key]) for key in reversed(item)}
        return [reversed_keys(x) for x in item] if isinstance(item, list) else item

    assert canonical_json(value) == canonical_json(reversed_keys(value))


def key(**changes: Any) -> str:
    parts: dict[str, Any] = {
        "name": "s", "version": 1, "config": Outer(), "inputs": {"a": "0" * 64},
        "packages": {"p": "1"},
    }  # fmt: skip
    return stage_key(**(parts | changes))


def test_each_part_of_identity_changes_the_key() -> None:
    changed = [
        key(),
        key(name="t"),
        key(version=2),
        key(config=Outer(flag=False)),
        key(config=Outer(inner=Inner(rate=0.25))),
        key(inputs={"a": "1" * 64}),
        key(inputs={"b": "0" * 64}),
        key(packages={"p": "2"}),
    ]
    assert len(set(changed)) == len(changed)


def test_key_is_the_same_in_another_process() -> None:
    code = (
        "from headrace.artifacts.fingerprint import stage_key;"
        "print(stage_key(name='s', version=1, config={'x': [1, 2.5, 'y']}, inputs={}, packages={}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True,
            text=True, check=True,
        ).stdout.strip()
        for seed in ("0", "1", "2")
    }  # fmt: skip
    here = stage_key(name="s", version=1, config={"x": [1, 2.5, "y"]}, inputs={}, packages={})
    assert outputs == {here}


def test_missing_package_is_told() -> None:
    with pytest.raises(ConfigError, match="no-such-package"):
        package_versions(["no-such-package"])
