"""Presplit: the script's bytes, from every kind of input, whatever is wrong with it."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.artifacts import Artifact, ShardOutcome, Stage, Store
from headrace.artifacts.runtime import NoConfig
from headrace.artifacts.sources import open_source
from headrace.corpus import json_records
from headrace.corpus.presplit import PRESPLIT, PresplitConfig
from headrace.corpus.site import Site
from headrace.corpus.tables import ARTICLES_SCHEMA, write_rows
from headrace.errors import (
    ConfigError,
    CorruptInputError,
    HeadraceError,
    MissingInputError,
    TooManyDropsError,
)

GOLDEN = "golden/megatron/presplit"
EXPECTED = "expected_nltk_punkt_tab_english.json"


@pytest.fixture
def presplit(make_store: Callable[..., Store]) -> Callable[..., Artifact]:
    def run(path: Path, *, num_workers: int = 1, home: str = "home", **config: Any) -> Artifact:
        store = make_store(num_workers, home)
        source = open_source(store, path).artifact
        return store.open_or_build(
            PRESPLIT, PresplitConfig(**config), {"articles": source}
        ).artifact

    return run


def content(artifact: Artifact) -> bytes:
    return artifact.file("documents.json").read_bytes()


def records(artifact: Artifact) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content(artifact).splitlines()]


def write_lines(path: Path, *values: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def write_tree(root: Path, lines: list[bytes], *, per_file: int = 4) -> Path:
    """A wikiextractor tree of two files a directory."""
    for number in range(0, len(lines), per_file):
        index = number // per_file
        path = root / f"A{chr(65 + index // 2)}" / f"wiki_{index % 2:02d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(lines[number : number + per_file]))
    return root


def test_golden_bytes_of_one_file(shared: Path, presplit: Callable[..., Artifact]) -> None:
    artifact = presplit(shared / GOLDEN / "in.json", splitter="punkt", language="en")
    assert content(artifact) == (shared / GOLDEN / EXPECTED).read_bytes()


def test_golden_bytes_of_every_directory_for_any_workers_and_cut(
    shared: Path, tmp_path: Path, presplit: Callable[..., Artifact], monkeypatch: Any
) -> None:
    lines = (shared / GOLDEN / "in.json").read_bytes().splitlines(keepends=True)
    tree = write_tree(tmp_path / "text", lines)
    assert len(list(tree.iterdir())) > 2
    expected = (shared / GOLDEN / EXPECTED).read_bytes()
    # Nothing says the language: the script's own is English.
    assert content(presplit(tree, splitter="punkt")) == expected
    monkeypatch.setattr(json_records, "SHARD_BYTES", 50_000)
    cut = presplit(tree, splitter="punkt", num_workers=2, home="cut")
    assert content(cut) == expected
    assert cut.counts["records_in"] == cut.counts["records_out"] == cut.counts["rows"] == 30
    assert [entry.name for entry in cut.manifest.files] == ["documents.json"]


def test_one_large_file_is_cut_at_lines(
    tmp_path: Path, presplit: Callable[..., Artifact], monkeypatch: Any
) -> None:
    dice = random.Random(1)
    values = [{"n": n, "text": "One here. " * dice.randrange(9)} for n in range(400)]
    path = write_lines(tmp_path / "in.jsonl", *values)
    whole = content(presplit(path))
    for size in (97, 101, 1000):
        monkeypatch.setattr(json_records, "SHARD_BYTES", size)
        assert content(presplit(path, home=f"home-{size}")) == whole


def test_sentencex_has_the_same_format(tmp_path: Path, presplit: Callable[..., Artifact]) -> None:
    text = "Dr. Smith came. Who?\n\nNext line, J. Doe’s. Then this."
    path = write_lines(tmp_path / "in.json", {"id": "1", "text": text, "é": [1.50, None]})
    assert content(presplit(path, language="en")) == (
        b'{"id": "1", "text": "Dr. Smith came.\\nWho?\\nNext line, J. Doe\\u2019s.\\nThen this.", '
        b'"\\u00e9": [1.5, null]}\n'
    )
    kept = presplit(path, language="en", paragraph_separator="blank_line")
    assert "Who?\n\nNext" in records(kept)[0]["text"]


@pytest.mark.parametrize("splitter", ["sentencex", "punkt"])
def test_keys_stay_and_empty_documents_too(
    splitter: str, tmp_path: Path, presplit: Callable[..., Artifact]
) -> None:
    values = [
        {"z": 10**30, "text": "", "a": {"deep": [True]}},
        {"text": " \n\n ", "x": float("nan")},
        {"text": "A lone \ud83d surrogate. Next.", "x": "\udc00"},
    ]
    path = write_lines(tmp_path / "in.json", *values)
    lines = content(presplit(path, splitter=splitter)).decode().splitlines()
    assert lines[0] == '{"z": ' + str(10**30) + ', "text": "", "a": {"deep": [true]}}'
    assert lines[1] == '{"text": "", "x": NaN}'
    assert json.loads(lines[2])["text"] == "A lone \ud83d surrogate.\nNext."


@pytest.mark.parametrize("kind", ["gz", "zst", "plain"])
def test_compressed_lines(kind: str, tmp_path: Path, presplit: Callable[..., Artifact]) -> None:
    data = b"\xef\xbb\xbf" + json.dumps({"text": "One. Two."}).encode() + b"\r\n\r\n"
    if kind == "zst":
        import zstandard

        data = zstandard.ZstdCompressor().compress(data)
    elif kind == "gz":
        data = gzip.compress(data)
    (tmp_path / "wiki_00").write_bytes(data)
    artifact = presplit(tmp_path / "wiki_00")
    assert records(artifact) == [{"text": "One.\nTwo."}]
    assert artifact.counts["records_in"] == 1


def test_bad_lines_are_quarantined_with_their_place(
    tmp_path: Path, presplit: Callable[..., Artifact]
) -> None:
    good = b'{"text": "Good one."}\n'
    bad = {
        b'{"text": "caf\xe9"}': "invalid_utf8",
        b'{"text": "cut': "invalid_json",
        b"[1, 2]": "not_an_object",
        b'{"title": "x"}': "missing_text",
        b'{"text": null}': "null_text",
        b'{"text": 5}': "text_not_a_string",
        b"[" * 100_000: "invalid_json",
    }
    (tmp_path / "in").mkdir()
    lines = [part for line in bad for part in (good, line + b"\n")]
    (tmp_path / "in" / "part").write_bytes(b"".join(lines))
    artifact = presplit(tmp_path / "in", max_quarantined_fraction=0.6)
    assert records(artifact) == [{"text": "Good one."}] * len(bad)
    assert artifact.counts["records_in"] == 2 * len(bad)
    assert artifact.quarantined["invalid_json"] == 2
    assert sum(artifact.quarantined.values()) == len(bad)
    told = (artifact.path / "quarantine" / "documents.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in told]
    assert [item["reason"] for item in found] == list(bad.values())
    assert found[1]["source"] == "part"
    assert found[1]["offset"] == len(good) * 2 + len(b'{"text": "caf\xe9"}\n')
    assert "line 4" in found[1]["excerpt"]
    with pytest.raises(TooManyDropsError):
        presplit(tmp_path / "in", max_quarantined_fraction=0.3)


def test_only_bad_lines(tmp_path: Path, presplit: Callable[..., Artifact]) -> None:
    (tmp_path / "notes.txt").write_text("no json at all\n" * 9)
    with pytest.raises(TooManyDropsError):
        presplit(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.jsonl.gz", gzip.compress(b'{"text": "One."}\n' * 999)[:-9]),
        ("empty.jsonl.gz", b""),
        ("empty.jsonl", b""),
        ("cut.parquet", b"PAR1 and no more"),
    ],
)
def test_damaged_files_are_refused_by_name(
    name: str, data: bytes, tmp_path: Path, presplit: Callable[..., Artifact]
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CorruptInputError, match=name.partition(".")[0]) as caught:
        presplit(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_mixed_directory_is_refused(tmp_path: Path, presplit: Callable[..., Artifact]) -> None:
    write_lines(tmp_path / "in" / "a.jsonl", {"text": "a"})
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "in" / "b.parquet")
    with pytest.raises(CorruptInputError, match=r"a\.jsonl"):
        presplit(tmp_path / "in")


def test_parquet_directory(tmp_path: Path, presplit: Callable[..., Artifact]) -> None:
    (tmp_path / "in").mkdir()
    tables = [
        pa.table({"id": [1, 2], "content": ["One. Two.", ""], "n": [0.5, None]}),
        pa.table({"id": [3], "content": ["Three."], "n": [1.0]}),
    ]
    for number, table in enumerate(tables):
        pq.write_table(table, tmp_path / "in" / f"{number}.parquet")
    artifact = presplit(tmp_path / "in", text_column="content")
    assert content(artifact) == (
        b'{"id": "1", "content": "One.\\nTwo.", "n": 0.5}\n'
        b'{"id": "2", "content": "", "n": null}\n'
        b'{"id": "3", "content": "Three.", "n": 1.0}\n'
    )
    with pytest.raises(CorruptInputError, match="id, content, n"):
        presplit(tmp_path / "in")


def write_articles(*, config: NoConfig, out: Any) -> None:
    def write(directory: Path) -> ShardOutcome:
        row = {"id": 7, "revid": 8, "url": "u?curid=7", "title": "T", "text": "Ça va. Oui.\nFin"}
        write_rows(directory / "articles-00000-of-00001.parquet", [row], ARTICLES_SCHEMA)
        return ShardOutcome(rows=1)

    out.publish("articles", write)
    out.write_index("siteinfo.json", Site(lang="fr").to_json())


ARTICLES = Stage(name="articles", version=1, format="t", packages=(), write=write_articles)


def test_articles_come_out_as_wikiextractor_writes_them(store: Store) -> None:
    articles = store.open_or_build(ARTICLES, NoConfig(), {}).artifact
    config = PresplitConfig(splitter="punkt")
    artifact = store.open_or_build(PRESPLIT, config, {"articles": articles}).artifact
    assert content(artifact) == (
        b'{"id": "7", "revid": "8", "url": "u?curid=7", "title": "T", '
        b'"text": "\\u00c7a va.\\nOui.\\nFin"}\n'
    )


def test_an_artifact_without_documents_is_refused(store: Store, tmp_path: Path) -> None:
    def write(*, config: NoConfig, out: Any) -> None:
        out.write_index("pages.bin", b"")

    stage = Stage(name="pages", version=1, format="t", packages=(), write=write)
    pages = store.open_or_build(stage, NoConfig(), {}).artifact
    with pytest.raises(MissingInputError, match=r"pages\.bin"):
        store.open_or_build(PRESPLIT, PresplitConfig(), {"articles": pages})


def test_language_without_a_punkt_model(tmp_path: Path, presplit: Callable[..., Artifact]) -> None:
    path = write_lines(
        tmp_path / "in.json",
        {"text": "Das ist z.B. so. Ja.", "language": "de"},
        {"text": "One. Two.", "language": "zh"},
        {"text": "Er kam am 3. Mai. Gut.", "language": None},
    )
    artifact = presplit(path, splitter="punkt", language="de_AT")
    texts = [record["text"] for record in records(artifact)]
    assert texts == ["Das ist z.B. so.\nJa.", "One.\nTwo.", "Er kam am 3. Mai.\nGut."]
    with pytest.raises(ConfigError, match="zh") as caught:
        presplit(path, splitter="punkt", language="zh")
    assert "\n" not in str(caught.value)


def test_interrupted_build_takes_up_its_parts(
    tmp_path: Path, presplit: Callable[..., Artifact], monkeypatch: Any
) -> None:
    for number in range(4):
        write_lines(tmp_path / "in" / f"{number}.jsonl", {"text": f"One. Two {number}."})
    # Each file is a shard of its own.
    size = (tmp_path / "in" / "0.jsonl").stat().st_size
    monkeypatch.setattr(json_records, "SHARD_BYTES", size)
    expected = presplit(tmp_path / "in", home="other")
    calls: list[str] = []
    real = json_records.JsonRecords.__iter__

    def failing(self: json_records.JsonRecords) -> Any:
        calls.append(self.segments[0].name)
        if len(calls) == 4:
            raise HeadraceError("killed")
        return real(self)

    monkeypatch.setattr(json_records.JsonRecords, "__iter__", failing)
    with pytest.raises(HeadraceError, match="killed"):
        presplit(tmp_path / "in")
    again = presplit(tmp_path / "in")
    assert calls == ["0.jsonl", "1.jsonl", "2.jsonl", "3.jsonl", "3.jsonl"]
    assert again.digest == expected.digest
    assert not (again.path / ".work").exists()
