"""The keyword filter as a stage: the plain loop's result, whatever the files and workers."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pydantic import ValidationError

from headrace.artifacts import Artifact, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.keyword_filter import KEYWORD_FILTER, KeywordFilterConfig
from headrace.errors import ConfigError, CorruptInputError, MissingInputError, TooManyDropsError

COLUMNS = ["repo_name", "path", "copies", "size", "content", "license"]
MakeStore = Callable[..., Store]


def make_rows(num_rows: int, first: int = 0) -> list[dict[str, Any]]:
    """Every third row has a keyword; texts have all that JSON escapes."""
    rows = []
    for number in range(first, first + num_rows):
        text = f'# {number}\nx = "é日😀\\n"\t/* a/b */\n' + "y = 1\n" * (number % 7)
        if number % 3 == 0:
            text += ("import pandas\n", "from sklearn import svm\n")[number % 2]
        rows.append(
            {
                "repo_name": f"owner/repo{number % 5}",
                "path": f"src/pandas_{number}.py",
                "copies": str(number % 4 + 1),
                "size": str(len(text)),
                "content": text,
                "license": "mit",
            }
        )
    return rows


def to_lines(rows: Sequence[Any], *, ascii_only: bool = True) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=ascii_only).encode() + b"\n" for row in rows)


def write_as(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    elif path.suffix == ".zst":
        data = zstandard.ZstdCompressor().compress(data)
    path.write_bytes(data)
    return path


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def run(store: Store, path: Path, **settings: Any) -> Artifact:
    settings = {"keywords": ("pandas", "sklearn")} | settings
    source = open_source(store, path).artifact
    config = KeywordFilterConfig(**settings)
    return store.open_or_build(KEYWORD_FILTER, config, {"source": source}).artifact


def rows_of(artifact: Artifact, pattern: str = "*.parquet") -> list[dict[str, Any]]:
    return [row for path in artifact.files(pattern) for row in pq.read_table(path).to_pylist()]


def kept(rows: Sequence[dict[str, Any]], *keywords: str) -> list[dict[str, Any]]:
    words = keywords or ("pandas", "sklearn")
    return [row for row in rows if any(word in row["content"] for word in words)]


def quarantine_of(artifact: Artifact) -> list[dict[str, Any]]:
    files = sorted((artifact.path / "quarantine").rglob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json.gz", "a.jsonl.zst", "a.parquet", "a.data"])
@pytest.mark.parametrize("validate", [False, True])
def test_result_is_that_of_the_plain_loop(
    store: Store, tmp_path: Path, name: str, validate: bool
) -> None:
    rows = make_rows(200)
    path = tmp_path / name
    if name.endswith("parquet"):
        write_parquet(path, rows)
    else:
        write_as(path, to_lines(rows, ascii_only=validate))
    artifact = run(store, path, validate_lines=validate)
    assert rows_of(artifact) == kept(rows)
    table = pq.read_table(artifact.file("documents-00000-of-00001.parquet"))
    assert table.schema == pa.schema([(column, pa.string()) for column in COLUMNS])
    counts = artifact.counts
    assert (counts["records_in"], counts["records_out"]) == (200, 67)
    assert artifact.dropped == {"no_keyword": 133}
    assert counts["num_files"] == 1
    assert counts["num_text_bytes"] == sum(len(row["content"].encode()) for row in kept(rows))
    card = artifact.extra("README.md").read_text()
    assert "column license" in card


def test_pass_rate_is_told_as_the_course_does(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="headrace"):
        run(store, write_as(tmp_path / "a.jsonl", to_lines(make_rows(200))))
    assert "33.50% of data after filtering" in caplog.text


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"keywords": ("Pandas",)}, []),
        ({"keywords": ("Pandas",), "case_sensitive": False}, ["p", "g"]),
        ({"keywords": ("pandas",), "whole_word": True}, ["p"]),
        ({"keywords": ("pandas", "torch"), "match": "all"}, ["p"]),
        ({"keywords": ('"quoted"',)}, ["q"]),
        ({"keywords": ("a/b",)}, ["q"]),
        ({"keywords": ("日本",)}, ["j"]),
        ({"keywords": ("ÉCOLE",), "case_sensitive": False}, ["f"]),
        ({"keywords": ("\\d",)}, ["q"]),
        ({"keywords_by_language": {".PY": ("torch",)}}, ["p"]),
        ({"keywords_by_language": {"Java": ("torch",)}, "language_column": "lang"}, ["t"]),
        ({"keywords": ("日本",), "keywords_by_language": {".c": ("torch",)}}, ["t", "j"]),
    ],
)
@pytest.mark.parametrize("form", ["ascii", "raw", "parquet"])
def test_options(
    store: Store, tmp_path: Path, settings: dict[str, Any], expected: list[str], form: str
) -> None:
    texts = {
        "p": ("import pandas, torch", "p.py", "python"),
        "g": ("import geopandas", "g.py", "python"),
        "t": ("torch", "t.c", "java"),
        "q": ('say "quoted" a/b \\d', "q", "python"),
        "j": ("日本語", "j.py", "japanese"),
        "f": ("école", "f", None),
        "n": ("nothing of all this", "pandas 日本 torch.py", "pandas"),
    }
    rows = [
        {"id": name, "content": text, "path": path, "lang": language}
        for name, (text, path, language) in texts.items()
    ]
    if form == "parquet":
        path = write_parquet(tmp_path / "a.parquet", rows)
    else:
        path = write_as(tmp_path / "a.jsonl.gz", to_lines(rows, ascii_only=form == "ascii"))
    if not expected:
        with pytest.raises(ConfigError):
            run(store, path, **settings)
        return
    artifact = run(store, path, **({"keywords": ()} | settings))
    assert [row["id"] for row in rows_of(artifact)] == expected


BAD_LINES = {
    "invalid_utf8": b'{"content": "\xff\xfe", "n": 1}',
    "invalid_json": b'{"content": "cut off',
    "not_an_object": b'["content"]',
    "missing_column": b'{"text": "x", "n": 1}',
    "null_text": b'{"content": null, "n": 1}',
    "wrong_type": b'{"content": 7, "n": 1}',
    "lone_surrogate": b'{"content": "pandas \\ud800", "n": 1}',
    "unknown_column": b'{"content": "pandas", "n": 1, "new": 2}',
    "document_too_large": b'{"content": "' + b"x" * 5000 + b'", "n": 1}',
}


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_bad_lines_are_put_aside_with_their_places(
    store: Store, tmp_path: Path, ending: bytes
) -> None:
    good = [b'{"content": "pandas %d", "n": %d}' % (n, n) for n in range(70)]
    good += [b'{"content": "other\\u0000", "n": 1}', b"", b'  {"content":"pandas", "n":null}  ']
    bad = {
        **BAD_LINES,
        "wrong_type 2": b'{"content": "pandas", "n": "one"}',
        "invalid_json 2": b"not JSON \x00",
        "invalid_json 3": b'{"content": "pandas", "n": NaN}',
        "invalid_json 4": b'{"content": "pandas \x00", "n": 1}',
        "invalid_json 5": b"[" * 100_000 + b"]",
        "invalid_json 6": b"{" * 2000,
    }
    bad.pop("invalid_json 5")
    lines = good + list(bad.values())
    data = ending.join(lines)
    artifact = run(
        store,
        write_as(tmp_path / "a.jsonl.gz", data),
        max_quarantined_fraction=0.5,
        max_document_bytes=4000,
    )
    counts = artifact.counts
    assert counts["records_in"] == len(lines) - 1  # an empty line is no record
    assert counts["records_out"] == 71
    assert artifact.dropped == {"no_keyword": 1}
    found = quarantine_of(artifact)
    assert sorted(item["reason"] for item in found) == sorted(name.split()[0] for name in bad)
    for item in found:
        number = int(item["excerpt"].removeprefix("line ").partition(":")[0])
        assert lines[number - 1] in bad.values()
        assert data[item["offset"] :].startswith(lines[number - 1])
        assert item["source"] == "a.jsonl.gz"


def test_damage_between_is_found_on_request(store: Store, tmp_path: Path) -> None:
    data = to_lines(make_rows(9)) + b'{"content": "no keyword", "path": oops}\n'
    path = write_as(tmp_path / "a.jsonl", data)
    assert run(store, path).quarantined == {}
    assert run(store, path, validate_lines=True).quarantined == {"invalid_json": 1}


def test_too_many_bad_lines_fail_the_run(store: Store, tmp_path: Path) -> None:
    data = to_lines(make_rows(50)) + BAD_LINES["null_text"] + b"\n"
    run(store, write_as(tmp_path / "a.jsonl", data))
    more = data + BAD_LINES["missing_column"] + b"\n"
    with pytest.raises(TooManyDropsError):
        run(store, write_as(tmp_path / "b.jsonl", more))
    with pytest.raises(TooManyDropsError):
        run(store, write_as(tmp_path / "a.jsonl", data), max_quarantined_fraction=0)


def test_bad_rows_of_parquet(store: Store, tmp_path: Path) -> None:
    texts = [b"pandas", None, b"bad \xff pandas", b"x" * 5000, b"none"]
    contents = pa.array(texts, pa.binary()).view(pa.string())
    table = pa.table({"content": contents, "n": pa.array(range(5), pa.int8())})
    pq.write_table(table, tmp_path / "a.parquet")
    artifact = run(
        store, tmp_path / "a.parquet", max_document_bytes=1000, max_quarantined_fraction=1
    )
    assert rows_of(artifact) == [{"content": "pandas", "n": 0}]
    assert artifact.quarantined == {"null_text": 1, "invalid_utf8": 1, "document_too_large": 1}
    assert [item["offset"] for item in quarantine_of(artifact)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("a.gz", b"", CorruptInputError),
        ("a.jsonl", b"", CorruptInputError),
        ("a.jsonl", b"\n\n", CorruptInputError),
        ("a.jsonl", b"no JSON\n", CorruptInputError),
        ("a.jsonl", b'[{"content": "x"},\n', ConfigError),
        ("a.jsonl", b'{"body": "pandas"}\n', ConfigError),
        ("a.jsonl", b'{"content": 7}\n', ConfigError),
        ("a.jsonl", b'{"content": "x"}\n', ConfigError),
        ("a.jsonl", b'{"content": "pandas", "n": 1}\n{"content": "x", "n": "1"}\n', ConfigError),
        ("a.jsonl.gz", gzip.compress(to_lines(make_rows(5000)))[:9000], CorruptInputError),
        ("a.jsonl.gz", gzip.compress(to_lines(make_rows(9))) + b"tail", CorruptInputError),
        ("a.parquet", b"", CorruptInputError),
        ("a.parquet", b"PAR1 and no more PAR1", CorruptInputError),
    ],
)
def test_what_cannot_work_is_told(
    store: Store, tmp_path: Path, name: str, data: bytes, error: type[Exception]
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error, match=r"a\.|column"):
        run(store, tmp_path / name)


def test_damaged_parquet_pages_are_told(store: Store, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", make_rows(500))
    data = bytearray(path.read_bytes())
    data[100:3000] = b"\xff" * 2900
    path.write_bytes(data)
    with pytest.raises(CorruptInputError, match=r"a\.parquet"):
        run(store, path)


def test_a_directory_without_data_is_told(store: Store, tmp_path: Path) -> None:
    write_as(tmp_path / "in" / "readme.txt", b"x")
    with pytest.raises(MissingInputError):
        run(store, tmp_path / "in")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"keywords": ()},
        {"keywords": ("pandas", "")},
        {"keywords": (" \t",)},
        {"keywords": ("\ud800",)},
        {"keywords_by_language": {"python": ()}},
        {"keywords_by_language": {"python": ("x",)}},
        {"keywords": ("x",), "max_documents": 0},
        {"keywords": ("x",), "max_documents": {"train": -1}},
        {"keywords": ("x",), "match": "some"},
        {"keywords": ("x",), "columns": {"a": "float"}},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KeywordFilterConfig(**settings)


def test_columns_of_several_files_are_joined(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "in"
    write_as(source / "a.jsonl", to_lines([{"content": "pandas", "n": 1, "tags": ["x", {"y": 1}]}]))
    write_as(source / "b.jsonl.gz", to_lines([{"n": 1.5, "content": "pandas", "ok": True}]))
    write_parquet(source / "c" / "c.parquet", [{"content": "pandas", "extra": "e"}])
    artifact = run(store, source)
    empty = {"tags": None, "ok": None, "extra": None, "n": None, "content": "pandas"}
    assert rows_of(artifact) == [
        empty | {"n": 1.0, "tags": '["x",{"y":1}]'},
        empty | {"n": 1.5, "ok": True},
        empty | {"extra": "e"},
    ]


def test_columns_can_be_declared(store: Store, tmp_path: Path) -> None:
    rows = [{"content": "pandas", "n": 1}, {"content": "pandas", "n": "one"}]
    path = write_as(tmp_path / "a.jsonl", to_lines(rows))
    artifact = run(store, path, columns={"n": "string", "late": "int64"})
    assert [row["n"] for row in rows_of(artifact)] == ["1", "one"]
    assert [row["late"] for row in rows_of(artifact)] == [None, None]
    artifact = run(store, path, columns={"n": "json"})
    assert [row["n"] for row in rows_of(artifact)] == ["1", '"one"']


def test_text_column_by_name(store: Store, tmp_path: Path) -> None:
    rows = [{"text": "pandas", "body": "no"}, {"text": "no", "body": "pandas"}]
    path = write_as(tmp_path / "a.jsonl", to_lines(rows))
    assert rows_of(run(store, path)) == rows[:1]
    assert rows_of(run(store, path, text_column="body")) == rows[1:]
    with pytest.raises(ConfigError):
        run(store, path, text_column="content")


def make_source(folder: Path) -> list[dict[str, Any]]:
    rows = make_rows(900)
    write_as(folder / "one.jsonl.gz", to_lines(rows[:300]))
    write_as(folder / "three.jsonl", to_lines(rows[300:600]))
    write_parquet(folder / "two.parquet", rows[600:])
    return rows


def test_bytes_do_not_depend_on_workers(make_store: MakeStore, tmp_path: Path) -> None:
    rows = make_source(tmp_path / "in")
    settings = {"part_bytes": 20_000, "max_documents": 290}
    one = run(make_store(1, "one"), tmp_path / "in", **settings)
    two = run(make_store(2, "two"), tmp_path / "in", **settings)
    assert one.digest == two.digest
    whole = run(make_store(1, "one"), tmp_path / "in", part_bytes=20_000)
    assert rows_of(whole) == kept(rows)
    assert len(whole.files("*.parquet")) > 4


def test_an_interrupted_run_goes_on(
    make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_source(tmp_path / "in")
    for settings in ({}, {"max_documents": 40}):
        whole = run(make_store(home="whole"), tmp_path / "in", **settings)
        store = make_store(home=f"broken{len(settings)}")
        from headrace.corpus import part_filter

        work = part_filter._PartFilter.read_parquet

        def fail(self: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(part_filter._PartFilter, "read_parquet", fail)
        with pytest.raises(KeyboardInterrupt):
            run(store, tmp_path / "in", **settings)
        monkeypatch.setattr(part_filter._PartFilter, "read_parquet", work)
        begun: list[str] = []
        monkeypatch.setattr(
            part_filter._PartFilter, "read_lines", lambda self, begun=begun: begun.append("again")
        )
        artifact = run(store, tmp_path / "in", **settings)
        assert begun == []
        assert artifact.digest == whole.digest
        monkeypatch.undo()


def test_rehearsal_is_a_seeded_choice_in_order(make_store: MakeStore, tmp_path: Path) -> None:
    rows = make_source(tmp_path / "in")
    store = make_store()
    artifact = run(store, tmp_path / "in", max_documents=50)
    chosen = rows_of(artifact)
    matches = kept(rows)
    assert len(chosen) == 50
    positions = [matches.index(row) for row in chosen]
    assert positions == sorted(positions)
    assert artifact.dropped == {"no_keyword": 600, "not_sampled": 250}
    assert artifact.counts["num_matches"] == 300
    # Neither the cut into parts nor what is asked for changes who comes first.
    assert rows_of(run(store, tmp_path / "in", max_documents=50, part_bytes=7000)) == chosen
    fewer = rows_of(run(store, tmp_path / "in", max_documents=20))
    assert all(row in chosen for row in fewer)
    assert rows_of(run(store, tmp_path / "in", max_documents=50, seed=1)) != chosen
    assert rows_of(run(store, tmp_path / "in", max_documents=999)) == matches


def test_quarantine_survives_the_choice(store: Store, tmp_path: Path) -> None:
    data = to_lines(make_rows(200)) + BAD_LINES["null_text"]
    path = write_as(tmp_path / "a.jsonl", data)
    artifact = run(store, path, max_documents=5)
    assert artifact.quarantined == {"null_text": 1}
    assert quarantine_of(artifact) == quarantine_of(run(store, path))
    assert not (artifact.path / ".work").exists()


def test_splits_by_folder(store: Store, tmp_path: Path) -> None:
    rows = make_rows(120)
    source = tmp_path / "in"
    write_as(source / "codeparrot-train" / "a.json.gz", to_lines(rows[:60]))
    write_as(source / "codeparrot-train" / "b.json.gz", to_lines(rows[60:90]))
    write_as(source / "validation" / "a.json.gz", to_lines(rows[90:]))
    artifact = run(store, source)
    assert rows_of(artifact, "train/*") == kept(rows[:90])
    assert rows_of(artifact, "valid/*") == kept(rows[90:])
    names = [path.relative_to(artifact.path).as_posix() for path in artifact.files("*.parquet")]
    assert names == [
        "train/documents-00000-of-00002.parquet",
        "train/documents-00001-of-00002.parquet",
        "valid/documents-00000-of-00001.parquet",
    ]
    chosen = run(store, source, max_documents={"train": 7})
    assert len(rows_of(chosen, "train/*")) == 7
    assert rows_of(chosen, "valid/*") == kept(rows[90:])
    assert len(rows_of(run(store, source, max_documents=3))) == 6
    with pytest.raises(ConfigError, match="test"):
        run(store, source, max_documents={"test": 7})
    write_as(source / "more.jsonl", to_lines(rows))
    with pytest.raises(ConfigError, match=r"more\.jsonl"):
        run(store, source)


def test_line_numbers_of_a_part_are_those_of_the_file(store: Store, tmp_path: Path) -> None:
    lines = to_lines(make_rows(100)).splitlines()
    lines[80] = BAD_LINES["null_text"]
    path = write_as(tmp_path / "a.jsonl", b"\n".join(lines))
    artifact = run(store, path, part_bytes=3000)
    assert quarantine_of(artifact)[0]["excerpt"].startswith("line 81:")


def test_an_artifact_of_documents_is_filtered_too(store: Store, tmp_path: Path) -> None:
    rows = make_rows(100)
    first = run(store, write_as(tmp_path / "a.jsonl", to_lines(rows)))
    config = KeywordFilterConfig(keywords=("pandas",))
    artifact = store.open_or_build(KEYWORD_FILTER, config, {"source": first}).artifact
    assert rows_of(artifact) == kept(rows, "pandas")
    assert artifact.dropped == {"no_keyword": len(kept(rows)) - len(kept(rows, "pandas"))}
