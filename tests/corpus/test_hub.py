from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.artifacts import Artifact, Store
from headrace.corpus.sources import hub
from headrace.corpus.sources.hub import HUB_TEXTS, HubTextsConfig, resolve_hub
from headrace.corpus.sources.texts_config import TextsConfig
from headrace.corpus.tables import iter_rows
from headrace.errors import ConfigError, CorruptInputError, HeadraceError, MissingInputError
from tests.corpus.hub_server import COMMIT, hub_server

CHILD = """
import json, sys
from pathlib import Path
from headrace.artifacts import Runtime, Store
from headrace.corpus.sources.hub import HubTextsConfig, open_hub
from headrace.errors import HeadraceError
home, *texts = sys.argv[1:]
settings = {"columns": ["size"], "shard_bytes": 200, "language": "en",
            "max_quarantined_fraction": 0.1}
config = HubTextsConfig.model_validate({"dataset": "a/b", "texts": settings})
for text in texts:
    try:
        opened = open_hub(Store(Runtime(home=Path(home))), text, config)
        print(json.dumps([opened.outcome.value, str(opened.artifact.path)]))
    except HeadraceError as error:
        print(json.dumps([type(error).__name__, str(error)]))
"""


def run_child(tmp_path: Path, url: str, *texts: str, **environment: str) -> list[list[str]]:
    """What `open_hub` gives, in a process of its own: the hub's address is read at import."""
    settings = {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    settings |= {"HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "home"), *texts],
        env=os.environ | settings | environment, capture_output=True, text=True, check=True,
        timeout=120,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_data_set_is_streamed_at_a_commit(tmp_path: Path) -> None:
    records = [{"text": f"text {n}", "size": n} for n in range(100)]
    records[3]["text"], records[5]["text"] = None, ""
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    with hub_server({"train.jsonl": lines}) as (url, _):
        pinned = f"hf://owner/name@{COMMIT}"
        found = run_child(tmp_path, url, "hf://owner/name", pinned, "hf://owner/other")
    assert [item[0] for item in found] == ["Completed", "Cached", "MissingInputError"]
    artifact = open_at(found[0][1])
    assert artifact.manifest.config["revision"] == COMMIT
    rows = [row for path in artifact.files("documents-*") for row in iter_rows(path)]
    assert [row["id"] for row in rows] == [n for n in range(100) if n not in (3, 5)]
    assert rows[-1]["text"] == "text 99"
    assert rows[-1]["size"] == "99"
    assert len(artifact.files("documents-*")) > 2
    assert artifact.dropped == {"empty_text": 1}
    assert artifact.quarantined == {"null_text": 1}


def open_at(path: str) -> Artifact:
    from headrace.artifacts import open_artifact

    return open_artifact(Path(path))


def test_a_hub_that_is_away_or_switched_off(tmp_path: Path) -> None:
    (found,) = run_child(tmp_path, "http://127.0.0.1:9", "hf://owner/name")
    assert found[0] == "ServerUnavailableError"
    (found,) = run_child(tmp_path, "http://127.0.0.1:9", "hf://owner/name", HF_HUB_OFFLINE="1")
    assert found[0] == "ServerUnavailableError"
    assert "HF_HUB_OFFLINE" in found[1]


@pytest.mark.parametrize("text", ["hf://", "hf://name", "hf://a/b/c", "hf://a b/c", "hf://a/b@"])
def test_texts_that_name_no_data_set(text: str) -> None:
    with pytest.raises(ConfigError, match="owner/name"):
        resolve_hub(text)


def test_names_revisions_and_configurations() -> None:
    found = resolve_hub(f"hf://owner/name@{COMMIT}#part")
    assert (found.dataset, found.revision, found.name) == ("owner/name", COMMIT, "part")


def test_an_interrupted_stream_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    config = HubTextsConfig(
        dataset="owner/name", revision=COMMIT, texts=TextsConfig(shard_bytes=50)
    )
    rows = [{"content": f"text {n}"} for n in range(30)]

    def broken(_: HubTextsConfig):  # type: ignore[no-untyped-def]
        yield from rows[:20]
        raise ConnectionError("gone")

    monkeypatch.setattr(hub, "_stream", broken)
    with pytest.raises(HeadraceError, match="reached"):
        store.open_or_build(HUB_TEXTS, config, {})
    monkeypatch.setattr(hub, "_stream", lambda _: iter(rows))
    artifact = store.open_or_build(HUB_TEXTS, config, {}).artifact
    assert artifact.manifest.provenance["num_resumed_shards"] >= 1
    found = [row for path in artifact.files("documents-*") for row in iter_rows(path)]
    assert [(row["id"], row["text"]) for row in found] == [(n, f"text {n}") for n in range(30)]


@pytest.mark.parametrize("rows", [[], [{"body": "x"}], [{"text": ""}]])
def test_no_text(store: Store, monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, str]]) -> None:
    monkeypatch.setattr(hub, "_stream", lambda _: iter(rows))
    with pytest.raises(CorruptInputError):
        store.open_or_build(HUB_TEXTS, HubTextsConfig(dataset="a/b", revision=COMMIT), {})


def test_datasets_is_not_installed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"headrace\[hub\]"):
        store.open_or_build(HUB_TEXTS, HubTextsConfig(dataset="a/b", revision=COMMIT), {})


def test_a_local_directory_is_not_taken_for_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, MissingInputError), match="directory"):
        store.open_or_build(HUB_TEXTS, HubTextsConfig(dataset="a/b", revision=COMMIT), {})
