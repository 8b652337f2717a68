from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.configuration import apply_settings, load_config, read_config_file
from flows.pipelines import PIPELINES, PretrainWikipediaConfig
from headrace.errors import ConfigError, MissingInputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], {"a": {"b": 1}}),
        (["a.b=2"], {"a": {"b": 2}}),
        (["a.c=x"], {"a": {"b": 1, "c": "x"}}),
        (["d.e.f=1.5"], {"a": {"b": 1}, "d": {"e": {"f": 1.5}}}),
        (["a.b=true"], {"a": {"b": True}}),
        (["a.b=[1, 2]"], {"a": {"b": [1, 2]}}),
        (["a.b="], {"a": {"b": None}}),
        (["a.b=x=y"], {"a": {"b": "x=y"}}),
        (["a.b=1", "a.b=2"], {"a": {"b": 2}}),
    ],
)
def test_settings_are_laid_over_the_file(settings: list[str], expected: dict[str, Any]) -> None:
    given = {"a": {"b": 1}}
    assert apply_settings(given, settings) == expected
    assert given == {"a": {"b": 1}}


@pytest.mark.parametrize("setting", ["a", "=1", "a.b.c=1"])
def test_bad_settings_are_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        apply_settings({"a": {"b": 1}}, [setting])


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("c.yaml", "a: [", ConfigError),
        ("c.yaml", "- 1", ConfigError),
        ("c.json", "{", ConfigError),
        ("c.yaml", b"\xff\xfe\x00", ConfigError),
        ("absent.yaml", None, MissingInputError),
    ],
)
def test_bad_files_are_one_error(
    tmp_path: Path, name: str, content: str | bytes | None, error: type[Exception]
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content)
    with pytest.raises(error) as caught:
        read_config_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.lerning_rate=1", ["training.lerning_rate", "learning_rate"]),
        ("trainig.seed=1", ["trainig", "training"]),
        ("training.learning_rate=-1", ["training.learning_rate", "-1"]),
        ("training.model.preset=huge", ["training.model.preset", "huge"]),
        ("blocks.seq_len=.nan", ["blocks.seq_len"]),
        ("splits.weights=a,b", ["splits.weights"]),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(setting: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(PretrainWikipediaConfig, None, ["dump=x", setting])
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_exponents_without_a_dot_are_numbers() -> None:
    config = load_config(PretrainWikipediaConfig, None, ["dump=x", "training.learning_rate=1e-3"])
    assert config.training.learning_rate == 1e-3


def test_the_dump_is_required_and_looked_for_at_once(tmp_path: Path) -> None:
    pipeline = PIPELINES["pretrain_wikipedia"]
    with pytest.raises(ConfigError, match="dump"):
        pipeline.load(None, [])
    with pytest.raises(MissingInputError, match=r"absent\.bz2"):
        pipeline.load(None, [f"dump={tmp_path}/absent.bz2"])


@pytest.mark.parametrize(
    "path", sorted((ROOT / "deployments" / "parameters").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_parameter_file_fits_its_pipeline(path: Path) -> None:
    pipeline = PIPELINES[path.name.partition(".")[0]]
    assert load_config(pipeline.config, path, ["dump=x"]).dump == "x"
