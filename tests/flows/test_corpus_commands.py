"""Commands of the corpus from raw inputs to outputs that others open, as users type them."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.commands import main
from flows.pipelines import PIPELINES
from headrace.artifacts import Artifact, Store, open_artifact
from headrace.errors import MissingInputError

DUMP = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="en">
<siteinfo><sitename>Wikipedia</sitename><dbname>enwiki</dbname>
<base>https://en.wikipedia.org/wiki/Main_Page</base>
<namespaces><namespace key="10">Template</namespace></namespaces></siteinfo>
<page><title>Template:Tall</title><ns>10</ns><id>9</id><revision><id>90</id>
<text>{{#if:{{{1|}}}|{{{1}}} metres tall|of unknown height}}</text></revision></page>
<page><title>Tower</title><ns>0</ns><id>1</id><revision><id>10</id><text>'''Tower''' is \
{{tall|93}}, or {{convert|93|m|ft}}.&lt;ref&gt;A book.&lt;/ref&gt;

== Parts ==
* the [[base (building)|base]]
* the top
{| class="wikitable"
! Part !! Height
|-
| Base || 10
|}
</text></revision></page>
<page><title>Bridge</title><ns>0</ns><id>2</id><revision><id>20</id><text>A bridge is {{tall}}. \
It spans a river near the old town and was built by many hands.</text></revision></page>
</mediawiki>
"""
TOWER = "Tower is 93 metres tall, or 93 metres (310 ft)."


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "given" / "dump.xml"
    path.parent.mkdir()
    path.write_text(DUMP)
    return path


@pytest.fixture
def server(dump: Path) -> Iterator[str]:
    handler = partial(_QuietHandler, directory=str(dump.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _home(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(store.runtime.home))


def run(*arguments: object) -> None:
    assert main([*(str(argument) for argument in arguments), "--quiet"]) == 0


def texts(artifact: Artifact, column: str = "text") -> list[str]:
    paths = artifact.files("*.parquet")
    return [text for path in paths for text in pq.read_table(path)[column].to_pylist()]


def test_extract_keeps_what_is_asked_for(dump: Path, tmp_path: Path) -> None:
    run("extract", dump, tmp_path / "plain")
    tower, bridge = texts(open_artifact(tmp_path / "plain"))
    assert tower.split("\n") == [TOWER, "Parts", "- the base", "- the top"]
    assert bridge.startswith("A bridge is of unknown height. It spans")
    run("extract", dump, tmp_path / "more", "--keep", "tables", "--drop", "headings,lists")
    assert texts(open_artifact(tmp_path / "more"))[0].split("\n") == [
        TOWER, "Part\tHeight", "Base\t10",
    ]  # fmt: skip
    run("extract", dump, tmp_path / "other", "--backend", "wikiextractor")
    assert "metres tall" in texts(open_artifact(tmp_path / "other"))[0]


def test_extract_writes_files_for_other_programs(dump: Path, tmp_path: Path) -> None:
    run("extract", dump, tmp_path / "tree", "--format", "wikiextractor")
    lines = (tmp_path / "tree" / "AA" / "wiki_00").read_text("ascii").splitlines()
    tower, _ = map(json.loads, lines)
    assert list(tower) == ["id", "revid", "url", "title", "text"]
    assert (tower["id"], tower["revid"], tower["title"]) == ("1", "10", "Tower")
    assert tower["url"] == "https://en.wikipedia.org/wiki?curid=1"
    run("extract", dump, tmp_path / "lines", "--format", "jsonl")
    (path,) = (tmp_path / "lines").glob("articles-*.jsonl")
    assert json.loads(path.read_text().splitlines()[0])["text"].startswith(TOWER)


def test_a_tree_of_directories_becomes_one_presplit_file(tmp_path: Path, shared: Path) -> None:
    golden = shared / "golden" / "megatron" / "presplit"
    lines = (golden / "in.json").read_bytes().splitlines(keepends=True)
    for number, folder in enumerate(("AA", "AB", "AC")):
        (tmp_path / "text" / folder).mkdir(parents=True)
        part = b"".join(lines[10 * number : 10 * number + 10])
        (tmp_path / "text" / folder / "wiki_00").write_bytes(part)
    flags = ("--format", "presplit", "--splitter", "punkt", "--language", "en")
    run("split-sentences", tmp_path / "text", tmp_path / "out", *flags)
    expected = (golden / "expected_nltk_punkt_tab_english.json").read_bytes()
    assert (tmp_path / "out" / "documents.json").read_bytes() == expected


def test_filter_and_both_deduplications(tmp_path: Path) -> None:
    body = "\n".join(f"value_{n} = compute({n})" for n in range(60))
    contents = [
        f"import pandas\n{body}",
        f"import pandas\nimport sklearn\n{body}\n# one more line",
        f"import pandas\n{body}",
        "import os\n",
    ]
    keys = ("repo_name", "path", "copies", "size", "license")
    rows = [{"content": text} | dict.fromkeys(keys, "x") for text in contents]
    source = tmp_path / "code.json.gz"
    source.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    run("filter", source, tmp_path / "any", "--keyword", "pandas", "--keyword", "sklearn")
    found = open_artifact(tmp_path / "any")
    assert texts(found, "content") == contents[:3]
    assert found.dropped == {"no_keyword": 1}
    assert set(pq.read_schema(found.files("*.parquet")[0]).names) == {"content", *keys}
    run("filter", source, tmp_path / "all", "--keyword", "pandas", "--keyword", "sklearn", "--all")
    assert texts(open_artifact(tmp_path / "all"), "content") == [contents[1]]
    run("deduplicate", tmp_path / "any", tmp_path / "exact")
    assert texts(open_artifact(tmp_path / "exact"), "content") == contents[:2]
    run("deduplicate-near", tmp_path / "any", tmp_path / "near")
    assert texts(open_artifact(tmp_path / "near"), "content") == contents[:1]


def test_exclude_takes_a_held_out_article_away(dump: Path, tmp_path: Path) -> None:
    held_out = tmp_path / "wiki.test.tokens"
    held_out.write_text(
        " \n = Bridge = \n \n A bridge is of unknown height . It spans a river near the old town "
        "and was built by many hands . \n \n"
    )
    run("extract", dump, tmp_path / "articles")
    run("exclude", tmp_path / "articles", held_out, tmp_path / "out")
    assert [text[:5] for text in texts(open_artifact(tmp_path / "out"))] == ["Tower"]
    (removed,) = map(json.loads, (tmp_path / "out" / "removed.jsonl").read_text().splitlines())
    assert (removed["title"], removed["reference"]) == ("Bridge", "Bridge")


def test_texts_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.txt").write_text(f"text of {name}\n")
    run("read-texts", tmp_path / "in", tmp_path / "out", "--set", "language=en")
    assert [text.strip() for text in texts(open_artifact(tmp_path / "out"))] == [
        "text of a", "text of b",
    ]  # fmt: skip


def test_a_url_and_its_download_are_one_input(server: str, dump: Path, tmp_path: Path) -> None:
    run("extract", f"{server}/dump.xml", tmp_path / "remote")
    run("download", f"{server}/dump.xml", tmp_path / "fetched")
    assert (tmp_path / "fetched" / "dump.xml").read_bytes() == dump.read_bytes()
    run("extract", tmp_path / "fetched", tmp_path / "downloaded")
    run("extract", dump, tmp_path / "local")
    made = [open_artifact(tmp_path / name) for name in ("remote", "downloaded", "local")]
    assert len({artifact.key for artifact in made}) == 1
    assert len({artifact.digest for artifact in made}) == 1


def test_a_pipeline_takes_urls_and_misses_paths() -> None:
    pipeline = PIPELINES["pretrain_wikipedia"]
    for dump in ("https://example.org/dump.xml.bz2", "s3://bucket/dump.xml.bz2", "jawiki:20261101"):
        assert pipeline.load(None, [f"dump={dump}"]).dump == dump
    with pytest.raises(MissingInputError, match="no_such_file"):
        pipeline.load(None, ["dump=no_such_file.xml.bz2"])
