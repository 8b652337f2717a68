"""Articles as JSON lines, and as the tree that `wikiextractor --json` writes."""

from __future__ import annotations

import bz2
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from dump_building import ENGLISH_DUMP
from hypothesis import given
from hypothesis import strategies as st
from page_artifacts import article, articles_artifact, pages_artifact
from pydantic import ValidationError

from headrace.artifacts import Artifact, Store
from headrace.artifacts.sources import open_source
from headrace.corpus import article_files
from headrace.corpus.article_files import (
    ARTICLE_FILES,
    ArticleFilesConfig,
    folder_name,
    wikiextractor_line,
)
from headrace.corpus.articles import ARTICLES, ArticlesConfig
from headrace.corpus.pages import PAGES, PagesConfig
from headrace.errors import ConfigError, CorruptInputError

LEAST = 200 << 10


def export(store: Store, articles: Artifact, **settings: Any) -> Artifact:
    config = ArticleFilesConfig(**settings)
    return store.open_or_build(ARTICLE_FILES, config, {"articles": articles}).artifact


def tree_of(artifact: Artifact) -> dict[str, bytes]:
    found = {str(path.relative_to(artifact.path)): path for path in artifact.files("*/wiki_*")}
    return {name: path.read_bytes() for name, path in found.items()}


def lines_of(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


ROWS = [article(1, "é\n日本 \U0001f600"), article(2, 'a "quoted" \\ \t'), article(3, "x", "AT&T")]


def test_json_lines_are_the_rows(store: Store) -> None:
    artifact = export(store, articles_artifact(store, [ROWS[:2], [], ROWS[2:]]))
    paths = artifact.files("*.jsonl")
    assert [path.name for path in paths] == [f"articles-0000{n}-of-00003.jsonl" for n in range(3)]
    assert [row for path in paths for row in lines_of(path.read_bytes())] == ROWS
    assert "日本 \U0001f600" in paths[0].read_text("utf-8")
    assert artifact.counts["rows"] == artifact.counts["records_in"] == 3


def test_sections_go_into_json_lines(store: Store) -> None:
    from page_artifacts import page

    pages = pages_artifact(store, [[page(1, "Lead.\n== A ==\nText.")]])
    config = ArticlesConfig(sections=True)
    articles = store.open_or_build(ARTICLES, config, {"pages": pages}).artifact
    (row,) = lines_of(export(store, articles).files("*.jsonl")[0].read_bytes())
    assert row["sections"][-1]["title"] == "A"
    tree = export(store, articles, format="wikiextractor")
    (row,) = lines_of(tree_of(tree)["AA/wiki_00"])
    assert list(row) == ["id", "revid", "url", "title", "text"]


def test_tree_has_the_keys_and_the_ascii_of_the_program(store: Store) -> None:
    artifact = export(store, articles_artifact(store, [ROWS]), format="wikiextractor")
    (content,) = tree_of(artifact).values()
    assert content.isascii()
    assert content.endswith(b"\n")
    rows = lines_of(content)
    assert [list(row) for row in rows] == [["id", "revid", "url", "title", "text"]] * 3
    assert rows[0] == {
        "id": "1",
        "revid": "1001",
        "url": "https://en.example.org/wiki?curid=1",
        "title": "Page 1",
        "text": "é\n日本 \U0001f600",
    }
    assert rows[2]["title"] == "AT&T"


def sized(number: int, num_bytes: int) -> dict[str, Any]:
    """An article whose line has `num_bytes` bytes."""
    empty = len(wikiextractor_line(article(number, "")))
    return article(number, "w" * (num_bytes - empty))


@pytest.mark.parametrize(
    ("sizes", "cut"),
    [  # what wikiextractor 3.1.0 was seen to do with -b 200K
        ([LEAST // 2, LEAST // 2, 147], [[1, 2], [3]]),
        ([LEAST // 2, LEAST // 2 - 1, 147], [[1, 2], [3]]),
        ([LEAST // 2, LEAST // 2 + 1, 147], [[1], [2, 3]]),
        ([LEAST + 597, 147, LEAST + 597, LEAST + 597, 147], [[], [1], [2], [3], [4], [5]]),
        ([LEAST, LEAST], [[1], [2]]),
        ([150], [[1]]),
    ],
)
def test_files_are_cut_where_the_program_cuts(
    sizes: list[int], cut: list[list[int]], store: Store
) -> None:
    rows = [sized(number, size) for number, size in enumerate(sizes, 1)]
    shards = [rows[:2], rows[2:]]
    tree = tree_of(
        export(store, articles_artifact(store, shards), format="wikiextractor", file_bytes=LEAST)
    )
    assert list(tree) == [f"AA/wiki_{number:02d}" for number in range(len(cut))]
    found = [[int(row["id"]) for row in lines_of(content)] for content in tree.values()]
    assert found == cut


def test_one_article_a_file(store: Store) -> None:
    rows = [article(number, "text") for number in range(1, 251)]
    artifact = export(
        store,
        articles_artifact(store, [rows[:80], rows[80:]]),
        format="wikiextractor",
        file_bytes=0,
    )
    names = list(tree_of(artifact))
    assert names[0] == "AA/wiki_00"  # the program leaves the first one empty
    assert names[100] == "AB/wiki_00"
    assert names[-1] == "AC/wiki_50"
    ids = [row["id"] for content in tree_of(artifact).values() for row in lines_of(content)]
    assert ids == [str(number) for number in range(1, 251)]
    assert artifact.counts["rows"] == 250


def test_more_files_than_names_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article_files, "NUM_FOLDERS", 1)
    rows = [article(number, "text") for number in range(150)]
    with pytest.raises(ConfigError, match="file_bytes=0"):
        export(store, articles_artifact(store, [rows]), format="wikiextractor", file_bytes=0)


@pytest.mark.parametrize("value", [-1, 1, LEAST - 1])
def test_limits_that_the_program_does_not_take(value: int) -> None:
    with pytest.raises(ValidationError):
        ArticleFilesConfig(format="wikiextractor", file_bytes=value)


@given(number=st.integers(0, 675))
def test_folder_names_are_two_letters_in_order(number: int) -> None:
    name = folder_name(number)
    assert len(name) == 2
    assert number == 0 or folder_name(number - 1) < name
    assert (folder_name(0), folder_name(26), folder_name(675)) == ("AA", "BA", "ZZ")


def test_other_artifacts_are_refused(store: Store) -> None:
    pages = pages_artifact(store, [[]])
    with pytest.raises(CorruptInputError, match="'pages'"):
        export(store, pages)


@pytest.mark.parametrize("file_format", ["jsonl", "wikiextractor"])
def test_damaged_part_alone_is_written_again_with_the_same_bytes(
    file_format: str, make_store: Callable[..., Store]
) -> None:
    rows = [article(number, f"text {number}") for number in range(1, 331)]
    store = make_store(2)
    articles = articles_artifact(store, [rows[:100], rows[100:130], rows[130:]])
    settings = {
        "format": file_format,
        "file_bytes": 0 if file_format == "wikiextractor" else 1 << 20,
    }
    first = export(store, articles, **settings)
    names = [entry.name for entry in first.manifest.files]
    before = {name: (first.path / name).stat().st_mtime_ns for name in names}
    damaged = names[len(names) // 2]
    content = (first.path / damaged).read_bytes()
    (first.path / damaged).write_bytes(content[:-1])
    again = export(store, articles, **settings)
    assert again.digest == first.digest
    assert (first.path / damaged).read_bytes() == content
    after = {name: (first.path / name).stat().st_mtime_ns for name in names}
    part = damaged.partition("/")[0]
    assert {name for name in names if after[name] != before[name]} <= {
        name for name in names if name.partition("/")[0] == part
    }


def test_interrupted_tree_goes_on_at_the_next_folder(
    make_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [article(number, f"text {number}") for number in range(1, 331)]
    settings = {"format": "wikiextractor", "file_bytes": 0}
    whole, store = make_store(1, "whole"), make_store(1, "broken")
    expected = export(whole, articles_artifact(whole, [rows[:50], rows[50:]]), **settings)
    articles = articles_artifact(store, [rows[:50], rows[50:]])

    def failing(row: Any) -> str:
        if row["id"] == 250:
            raise KeyboardInterrupt
        return wikiextractor_line(row)

    with monkeypatch.context() as patch:
        patch.setattr(article_files, "wikiextractor_line", failing)
        with pytest.raises(KeyboardInterrupt):
            export(store, articles, **settings)
    artifact = export(store, articles, **settings)
    assert artifact.digest == expected.digest
    assert artifact.manifest.provenance["num_resumed_shards"] == 2


def run_program(dump: Path, out: Path, *options: str) -> dict[str, bytes]:
    command = [sys.executable, "-m", "wikiextractor.WikiExtractor", str(dump), "-o", str(out)]
    command += ["--json", "--processes", "1", "--no-templates", "-q", *options]
    subprocess.run(command, check=True, capture_output=True)
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("*/*"))}


@pytest.fixture(scope="module")
def english_tree(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the program makes of the shipped sample."""
    path = tmp_path_factory.mktemp("program")
    (path / "dump.xml").write_bytes(bz2.decompress(ENGLISH_DUMP.read_bytes()))
    return run_program(path / "dump.xml", path / "text", "-b", "200K")


def documents(tree: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    for content in tree.values():
        yield from lines_of(content)


def shown(rows: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [(row["id"], row["url"], row["title"]) for row in rows]


def ids_by_page(xml: str, what: str) -> dict[str, str]:
    """Page id -> the first id of that element (revision, contributor) in the page."""
    found = {}
    for page_xml in xml.split("</page>"):
        page_id = re.search(r"<id>(\d+)</id>", page_xml)
        element = page_xml.partition(f"<{what}>")[2].partition(f"</{what}>")[0]
        element_id = re.search(r"<id>(\d+)</id>", element)
        if page_id and element_id:
            found[page_id[1]] = element_id[1]
    return found


def test_tree_of_the_programs_own_texts_is_the_programs_to_the_byte(
    english_tree: dict[str, bytes], store: Store
) -> None:
    rows = [
        row | {"id": int(row["id"]), "revid": int(row["revid"])} for row in documents(english_tree)
    ]
    articles = articles_artifact(store, [rows[:40], rows[40:]])
    ours = tree_of(export(store, articles, format="wikiextractor", file_bytes=LEAST))
    assert len(ours) > 5
    assert ours == english_tree


def test_tree_of_the_native_texts_has_the_programs_documents(
    english_tree: dict[str, bytes], store: Store
) -> None:
    source = open_source(store, ENGLISH_DUMP).artifact
    pages = store.open_or_build(PAGES, PagesConfig(), {"source": source}).artifact
    articles = store.open_or_build(ARTICLES, ArticlesConfig(), {"pages": pages}).artifact
    ours = tree_of(export(store, articles, format="wikiextractor"))
    found, expected = list(documents(ours)), list(documents(english_tree))
    assert shown(found) == shown(expected)
    xml = bz2.decompress(ENGLISH_DUMP.read_bytes()).decode()
    revisions, contributors = ids_by_page(xml, "revision"), ids_by_page(xml, "contributor")
    assert [row["revid"] for row in found] == [revisions[row["id"]] for row in found]
    # wikiextractor 3.1.0 takes the contributor's id for the revision's wherever there is one.
    assert [row["revid"] for row in expected] == [
        contributors.get(row["id"], revisions[row["id"]]) for row in expected
    ]
    assert all(len(content) <= 1 << 20 for content in ours.values())
