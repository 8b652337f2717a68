from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.artifacts import Artifact, Outcome, Runtime, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.site import load_site
from headrace.corpus.sources.text_lists import open_text_input
from headrace.corpus.sources.texts import TEXTS, TextsConfig
from headrace.corpus.tables import ARTICLES_SCHEMA, iter_rows
from headrace.errors import (
    ConfigError,
    CorruptInputError,
    HeadraceError,
    MissingInputError,
    TooManyDropsError,
)


@pytest.fixture
def build(store: Store) -> Callable[..., Artifact]:
    """Builds the texts of a path, or of a directory of files given by name and content."""

    def make(given: Path, *, at: Store = store, **config: Any) -> Artifact:
        parsed = TextsConfig(**config)
        source = open_text_input(at, str(given), parsed).artifact
        return at.open_or_build(TEXTS, parsed, {"source": source}).artifact

    return make


def write_files(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def rows_of(artifact: Artifact) -> list[dict[str, Any]]:
    shards = artifact.files("documents-*.parquet")
    return [row for path in shards for row in iter_rows(path)]


def texts_of(artifact: Artifact) -> list[str]:
    return [row["text"] for row in rows_of(artifact)]


def jsonl(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_a_directory_of_text_files(build: Callable[..., Artifact], tmp_path: Path) -> None:
    folder = write_files(
        tmp_path / "in",
        {"b.txt": "two\r\nlines\r\n", "a/x.md": "\ufefföne", "c": "", ".hidden": "no",
         "d.txt.gz": gzip.compress(b"packed")},
    )  # fmt: skip
    artifact = build(folder, language="de")
    assert [(row["id"], row["url"], row["title"], row["text"]) for row in rows_of(artifact)] == [
        (0, "a/x.md", "x", "öne"),
        (1, "b.txt", "b", "two\nlines\n"),
        (3, "d.txt.gz", "d", "packed"),
    ]
    assert {row["language"] for row in rows_of(artifact)} == {"de"}
    assert artifact.dropped == {"empty_text": 1}
    assert artifact.counts["records_in"] == 4
    assert load_site(artifact).lang == "de"
    schema = pq.read_schema(artifact.files("documents-*")[0])
    assert schema.names == [*ARTICLES_SCHEMA.names, "language"]
    assert artifact.files("documents-*")[0].name == "documents-00000-of-00001.parquet"
    assert artifact.extra("statistics.json").is_file()
    assert artifact.extra("README.md").is_file()


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [("utf-8-sig", "utf-8"), ("utf-16", "utf-8"), ("utf-16", "shift_jis"), ("utf-32", "utf-8"),
     ("shift_jis", "shift_jis"), ("euc-jp", "EUC_JP"), ("latin-1", "latin-1"),
     ("utf-16-le", "utf-16-le")],
)  # fmt: skip
@pytest.mark.parametrize("document", ["file", "line", "paragraph"])
def test_encodings(
    build: Callable[..., Artifact], tmp_path: Path, encoding: str, declared: str, document: str
) -> None:
    if (encoding, declared) == ("utf-16", "shift_jis") or (
        document == "line" and (encoding, declared) in {("utf-16", "utf-8"), ("utf-32", "utf-8")}
    ):
        return
    text = "été" if encoding == "latin-1" else "日本語。\u3000文"
    (tmp_path / "in.txt").write_bytes(text.encode(encoding))
    assert texts_of(build(tmp_path / "in.txt", encoding=declared, document=document)) == [text]


def test_lines_and_paragraphs(build: Callable[..., Artifact], tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one\ntwo\n\n  \nthree\n\n\n")
    by_line = rows_of(build(path, document="line"))
    assert [(row["id"], row["text"], row["url"]) for row in by_line] == [
        (0, "one", "in.txt#0"), (1, "two", "in.txt#4"), (2, "three", "in.txt#12")
    ]  # fmt: skip
    by_paragraph = rows_of(build(path, document="paragraph"))
    assert [(row["id"], row["text"]) for row in by_paragraph] == [(0, "one\ntwo"), (1, "three")]


def test_text_that_is_not_in_its_encoding(build: Callable[..., Artifact], tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", {f"{n}.txt": "good" for n in range(9)})
    (folder / "bad.txt").write_bytes(b"abc\xff\xfedef")
    (folder / "large.txt").write_bytes(b"x" * 5000)
    (folder / "cut.gz").write_bytes(gzip.compress(b"x" * 100)[:-6])
    artifact = build(folder, max_document_bytes=4000, max_quarantined_fraction=0.5)
    assert artifact.quarantined == {"invalid_utf8": 1, "document_too_large": 1, "damaged_file": 1}
    (path,) = artifact.path.glob("quarantine/*.jsonl")
    told = {item["source"]: item for item in map(json.loads, path.read_text().splitlines())}
    assert told["bad.txt"]["offset"] == 3
    with pytest.raises(TooManyDropsError):
        build(folder, max_document_bytes=4000)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_json_lines(build: Callable[..., Artifact], tmp_path: Path, pack: Any) -> None:
    content = jsonl(
        {"text": "a", "title": "T", "url": "http://x", "size": 3, "path": None, "tags": ["x"]},
        {"text": "b\ud83d\r\nc", "size": "4"},
    )
    (tmp_path / "in.jsonl").write_bytes(pack(content + b"\n  \n"))
    artifact = build(tmp_path / "in.jsonl", format="jsonl", columns=["size", "path", "tags"])
    found = [{k: row[k] for k in ("id", "title", "url", "text", "size", "path", "tags")}
             for row in rows_of(artifact)]  # fmt: skip
    assert found == [
        {"id": 0, "title": "T", "url": "http://x", "text": "a", "size": "3", "path": None,
         "tags": '["x"]'},
        {"id": 1, "title": "", "url": f"in.jsonl#{content.index(b'{', 5)}", "text": "b\ufffd\nc",
         "size": "4", "path": None, "tags": None},
    ]  # fmt: skip


def test_codeparrots_columns(build: Callable[..., Artifact], tmp_path: Path) -> None:
    record = {"repo_name": "r", "path": "p", "copies": "1", "size": "9", "content": "import os",
              "license": "mit"}  # fmt: skip
    packed = gzip.compress(jsonl(record))
    folder = write_files(tmp_path / "in", {"file-000.json.gz": packed, "file-001.json.gz": packed})
    artifact = build(folder, columns=["repo_name", "path", "license"])
    assert [(row["id"], row["text"], row["license"]) for row in rows_of(artifact)] == [
        (0, "import os", "mit"), (1, "import os", "mit")
    ]  # fmt: skip


def test_bad_json_lines(build: Callable[..., Artifact], tmp_path: Path) -> None:
    lines = [b'{"text": "good"}'] * 20 + [
        b'{"text": "\xff"}', b"{", b"[1]", b'"text"', b"{}", b'{"text": null}', b'{"text": 3}',
        b'{"text": ""}', b'{"text": " \\n"}', b"\x00", b'{"text": "' + b"x" * 5000 + b'"}',
    ]  # fmt: skip
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    artifact = build(tmp_path / "in.jsonl", max_document_bytes=4000, max_quarantined_fraction=0.5)
    assert artifact.quarantined == {
        "invalid_utf8": 1, "invalid_json": 2, "not_an_object": 2, "missing_text": 1,
        "null_text": 1, "text_not_a_string": 1, "document_too_large": 1,
    }  # fmt: skip
    assert artifact.dropped == {"empty_text": 2}
    assert artifact.counts["records_in"] == 31
    assert artifact.counts["rows"] == 20


@pytest.mark.parametrize("key", ["content", "body"])
def test_parquet(build: Callable[..., Artifact], tmp_path: Path, key: str) -> None:
    table = pa.table({key: ["a", None, "", "d"], "n": [1, 2, 3, 4], "lang": ["en", "", "", "ja"]})
    folder = write_files(tmp_path / "in", {})
    folder.mkdir()
    pq.write_table(table, folder / "b.parquet")
    pq.write_table(table.slice(0, 1), folder / "a.parquet")
    artifact = build(
        folder, text_column=key if key == "body" else "", columns=["n"], language_column="lang",
        class_column="n", max_quarantined_fraction=0.5,
    )  # fmt: skip
    found = [(row["id"], row["text"], row["n"], row["language"], row["class_name"])
             for row in rows_of(artifact)]  # fmt: skip
    assert found == [(0, "a", "1", "en", "1"), (1, "a", "1", "en", "1"), (4, "d", "4", "ja", "4")]
    assert artifact.quarantined == {"null_text": 1}
    assert artifact.dropped == {"empty_text": 1}


def test_columns_that_are_not_there(build: Callable[..., Artifact], tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x"], "b": [1]}), tmp_path / "in.parquet")
    (tmp_path / "in.jsonl").write_bytes(jsonl({"a": "x", "b": 1}))
    for name, config in (
        ("in.parquet", {}), ("in.parquet", {"text_column": "c"}), ("in.jsonl", {}),
        ("in.parquet", {"text_column": "a", "columns": ["d"]}),
    ):  # fmt: skip
        with pytest.raises(CorruptInputError, match="a, b"):
            build(tmp_path / name, **config)
    with pytest.raises(CorruptInputError, match="strings"):
        build(tmp_path / "in.parquet", text_column="b")


def csv_folder(tmp_path: Path, content: str | bytes, name: str = "list.csv") -> Path:
    return write_files(tmp_path, {name: content, "x/a,b.txt": "A", "b.txt": "B"}) / name


def test_a_csv_of_files_and_classes(build: Callable[..., Artifact], tmp_path: Path) -> None:
    path = csv_folder(tmp_path, '\ufefffilename,fileid\r\n"x/a,b.txt",12\r\n./b.txt,3\r\n\r\n')
    (tmp_path / "other.bin").write_bytes(b"\x00")
    artifact = build(path)
    found = [(row["id"], row["url"], row["text"], row["class_name"]) for row in rows_of(artifact)]
    assert found == [(0, "x/a,b.txt", "A", "12"), (1, "b.txt", "B", "3")]
    # The files it lists are a part of what it is.
    (tmp_path / "b.txt").write_text("changed")
    assert texts_of(build(path)) == ["A", "changed"]
    (tmp_path / "other.bin").write_bytes(b"\x01")
    store = Store(Runtime(home=artifact.path.parents[2]))
    assert open_text_input(store, str(path)).outcome is Outcome.HIT


def test_a_directory_with_a_csv(build: Callable[..., Artifact], tmp_path: Path) -> None:
    csv_folder(tmp_path / "in", "fileid,filename\n1,b.txt\n2,x/a,b.txt\n", "l.csv")
    with pytest.raises(CorruptInputError, match="cells"):
        build(tmp_path / "in")
    csv_folder(tmp_path / "in", "klass;x,datei\n1,b.txt\n", "l.csv")
    artifact = build(
        tmp_path / "in", format="csv", class_column="klass;x", file_column="datei", document="line"
    )
    assert [(row["text"], row["class_name"]) for row in rows_of(artifact)] == [("B", "1")]
    assert artifact.counts["num_files_left_out"] == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("filename,fileid\nabsent.txt,1\n", "absent.txt"),
        ("filename,fileid\nb.txt,one\n", "line 2.*integer"),
        ("filename,fileid\nb.txt,1.0\n", "integer"),
        ("filename,fileid\nb.txt,\n", "integer"),
        ("filename,fileid\nb.txt\n", "cells"),
        ('filename,fileid\n"b.txt,1\n', "quotes"),
        ('filename,fileid\n"b"x.txt,1\n', "quotes"),
        ("filename,fileid\n/etc/hostname,1\n", "relative"),
        ("filename,fileid\n", "at least one row"),
        ("filename,id\nb.txt,1\n", "fileid"),
        ("file,fileid\nb.txt,1\n", "filename"),
        ("", "header"),
        (b"filename,fileid\n\xff.txt,1\n", "encoding|expected"),
    ],
)
def test_bad_csvs(
    build: Callable[..., Artifact], tmp_path: Path, content: str | bytes, words: str
) -> None:
    path = csv_folder(tmp_path, content)
    with pytest.raises(HeadraceError, match=words) as caught:
        build(path, format="csv")
    assert "\n" not in str(caught.value)


def test_a_csv_alone_is_refused(store: Store, tmp_path: Path) -> None:
    source = open_source(store, csv_folder(tmp_path, "filename,fileid\nb.txt,1\n")).artifact
    with pytest.raises(ConfigError, match="part of the input"):
        store.open_or_build(TEXTS, TextsConfig(format="csv"), {"source": source})


def test_formats_that_do_not_go_together(build: Callable[..., Artifact], tmp_path: Path) -> None:
    folder = write_files(tmp_path / "in", {"a.jsonl": jsonl({"text": "x"}), "readme.txt": "r"})
    assert build(folder).counts["num_files_left_out"] == 1
    assert texts_of(build(folder, suffixes=[".TXT"])) == ["r"]
    pq.write_table(pa.table({"text": ["p"]}), folder / "b.parquet")
    with pytest.raises(ConfigError, match="format or suffixes"):
        build(folder)
    assert texts_of(build(folder, format="parquet")) == ["p"]
    with pytest.raises(MissingInputError, match="suffixes"):
        build(folder, suffixes=[".none"])


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.parquet", "a.jsonl.gz", "a.json"])
def test_nothing_in_it(build: Callable[..., Artifact], tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CorruptInputError):
        build(tmp_path / name)


def test_damaged_files_end_the_stage(build: Callable[..., Artifact], tmp_path: Path) -> None:
    packed = gzip.compress(jsonl(*[{"text": str(n)} for n in range(5000)]))
    for number, damaged in enumerate((packed[:-20], packed + b"garbage", packed[:50])):
        (tmp_path / f"{number}.jsonl.gz").write_bytes(damaged)
        with pytest.raises(CorruptInputError):
            build(tmp_path / f"{number}.jsonl.gz")
    pq.write_table(pa.table({"text": ["a"] * 1000}), tmp_path / "in.parquet")
    whole = (tmp_path / "in.parquet").read_bytes()
    (tmp_path / "in.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptInputError, match="Parquet"):
        build(tmp_path / "in.parquet")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_shards_and_ids_do_not_depend_on_workers(
    build: Callable[..., Artifact], tmp_path: Path, num_workers: int
) -> None:
    records = [{"text": f"text {n} " + "x" * (n % 50)} for n in range(300)]
    records[5]["text"] = ""
    write_files(
        tmp_path / "in",
        {
            "a.jsonl": jsonl(*records[:200]) + b"\n",
            "b.jsonl.gz": gzip.compress(jsonl(*records[200:])),
        },
    )
    store = Store(Runtime(home=tmp_path / f"home{num_workers}", num_workers=num_workers))
    artifact = build(tmp_path / "in", at=store, shard_bytes=4000)
    rows = rows_of(artifact)
    assert [row["id"] for row in rows] == [n for n in range(300) if n != 5]
    assert [row["text"] for row in rows] == [r["text"] for r in records if r["text"]]
    names = [path.name for path in artifact.files("documents-*")]
    assert len(names) > 2
    assert names[-1] == f"documents-{len(names) - 1:05d}-of-{len(names):05d}.parquet"
    whole = build(tmp_path / "in", at=Store(Runtime(home=tmp_path / "one")), shard_bytes=4000)
    assert artifact.digest == whole.digest


def test_a_shard_is_healed_alone(build: Callable[..., Artifact], tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"line {number}\n" for number in range(500)))
    before = build(path, document="line", shard_bytes=1000)
    victim = before.files("documents-*")[2]
    victim.unlink()
    assert build(path, document="line", shard_bytes=1000).digest == before.digest
    assert victim.is_file()


@given(
    lines=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"))),
    shard_bytes=st.integers(20, 200),
)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_line_is_lost(
    build: Callable[..., Artifact], tmp_path: Path, lines: list[str], shard_bytes: int
) -> None:
    lines = ["first", *lines]
    path = tmp_path / "in.txt"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    artifact = build(path, document="line", shard_bytes=shard_bytes, max_quarantined_fraction=1)
    assert texts_of(artifact) == [line for line in lines if line.strip()]


@pytest.mark.parametrize(
    "values",
    [{"encoding": "klingon"}, {"encoding": "base64"}, {"columns": ["text"]},
     {"columns": ["a", "a"]}, {"language": ""}, {"document": "page"}],
)  # fmt: skip
def test_bad_settings(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        TextsConfig(**values)
