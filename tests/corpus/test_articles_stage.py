"""Stage "articles" with the native cleaner: bad pages, workers, kills, templates, real dumps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from dump_building import ENGLISH_DUMP, dump_xml, page_xml
from page_artifacts import page, pages_artifact, template

from headrace.artifacts import Artifact, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.articles import ARTICLES, ArticlesConfig
from headrace.corpus.pages import PAGES, Page, PagesConfig
from headrace.corpus.tables import num_rows
from headrace.corpus.wikitext.cleaner import CleanedPage, Cleaner
from headrace.errors import CorruptInputError, TooManyDropsError

BOMB = [
    template(f"Bomb{level}", f"{{{{Bomb{level + 1}}}}}" * 10 if level < 9 else "x" * 100)
    for level in range(10)
]
TEXTS = [f"Article ''{number}'' has [[link|a label]]." for number in range(12)]


def extract(store: Store, pages: Artifact, **settings: Any) -> Artifact:
    return store.open_or_build(ARTICLES, ArticlesConfig(**settings), {"pages": pages}).artifact


def rows_of(artifact: Artifact) -> list[dict[str, Any]]:
    paths = artifact.files("articles-*.parquet")
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def quarantine_of(artifact: Artifact) -> list[dict[str, Any]]:
    paths = sorted((artifact.path / "quarantine").glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]


def check_counts(artifact: Artifact) -> None:
    counts = artifact.counts
    lost = sum(artifact.dropped.values()) + sum(artifact.quarantined.values())
    assert counts["records_in"] == counts["records_out"] + lost
    assert counts["rows"] == counts["records_out"] == len(rows_of(artifact))


def in_shards(texts: list[str], size: int) -> list[list[Page]]:
    pages = [page(number, text) for number, text in enumerate(texts, 1)]
    return [pages[start : start + size] for start in range(0, len(pages), size)]


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cleaner that crashes and hangs on demand."""
    clean = Cleaner.clean

    def moody_clean(self: Cleaner, title: str, wikitext: str) -> CleanedPage:
        if "CRASH" in wikitext:
            raise LookupError("no such thing")
        while "HANG" in wikitext:
            pass
        return clean(self, title, wikitext)

    monkeypatch.setattr(Cleaner, "clean", moody_clean)


@pytest.mark.usefixtures("moody")
def test_bad_pages_are_put_aside_with_title_id_and_offset(store: Store) -> None:
    texts = [*TEXTS, "{{Bomb0}}", "CRASH", "HANG", "{{no such template}}"]
    pages = pages_artifact(store, in_shards(texts, 6), BOMB)
    artifact = extract(
        store, pages, max_page_seconds=0.5, max_quarantined_fraction=0.5, max_expansions=1000
    )
    check_counts(artifact)
    assert artifact.quarantined == {
        "page_too_complex": 1, "cleaner_error": 1, "cleaner_timeout": 1
    }  # fmt: skip
    assert artifact.dropped == {"empty_article": 1}
    assert [row["id"] for row in rows_of(artifact)] == list(range(1, 13))
    found = {item["reason"]: item for item in quarantine_of(artifact)}
    for reason, number in [
        ("page_too_complex", 13),
        ("cleaner_error", 14),
        ("cleaner_timeout", 15),
    ]:
        assert found[reason]["offset"] == 100 * number
        assert found[reason]["source"] == "pages-00002.parquet"
        assert f"title 'Page {number}', id {number}" in found[reason]["excerpt"]
    assert "LookupError" in found["cleaner_error"]["excerpt"]


@pytest.mark.usefixtures("moody")
def test_too_many_bad_pages_fail_the_stage(store: Store) -> None:
    pages = pages_artifact(store, in_shards([*TEXTS, "CRASH", "CRASH", "CRASH"], 5))
    with pytest.raises(TooManyDropsError):
        extract(store, pages, max_quarantined_fraction=0.1)
    artifact = extract(store, pages, max_quarantined_fraction=0.2)
    assert artifact.quarantined == {"cleaner_error": 3}


@pytest.mark.usefixtures("moody")
def test_one_bad_page_of_few_is_let_pass_unless_none_may(store: Store) -> None:
    pages = pages_artifact(store, in_shards([*TEXTS, "CRASH"], 20))
    assert extract(store, pages).quarantined == {"cleaner_error": 1}
    with pytest.raises(TooManyDropsError):
        extract(store, pages, max_quarantined_fraction=0)


def test_page_over_a_budget_is_the_same_on_any_machine(store: Store) -> None:
    pages = pages_artifact(store, in_shards(["w " * 60_000, *TEXTS], 20))
    artifact = extract(store, pages, max_page_characters=100_000)
    assert artifact.quarantined == {"page_too_complex": 1}


def test_templates_of_the_dump_are_expanded_unless_told_otherwise(store: Store) -> None:
    templates = [
        template("Motto", "Its motto is ''{{{1|unknown}}}''."),
        template("Slogan", "", redirect="Motto"),
    ]
    pages = pages_artifact(store, [[page(1, "A town. {{slogan|Go}}")]], templates)
    (row,) = rows_of(extract(store, pages))
    assert row["text"] == "A town. Its motto is Go."
    (plain,) = rows_of(extract(store, pages, expand_templates=False))
    assert "motto" not in plain["text"]
    artifact = extract(store, pages, backend="wikiextractor")
    assert "motto is" in rows_of(artifact)[0]["text"]
    assert "Go" in rows_of(artifact)[0]["text"]
    without = extract(store, pages, backend="wikiextractor", expand_templates=False)
    assert "motto" not in rows_of(without)[0]["text"]


@pytest.mark.parametrize(
    "text",
    [
        "{{a|" * 10_000 + "}}" * 10_000 + " Tail.",
        "{{{a|" * 10_000 + "}}}" * 10_000 + " Tail.",
        "{{#if:1|" * 10_000 + "x" + "}}" * 10_000 + " Tail.",
        "{{Wrap|" * 10_000 + "x" + "}}" * 10_000 + " Tail.",
    ],
)
def test_templates_nested_ten_thousand_deep(store: Store, text: str) -> None:
    pages = pages_artifact(
        store, [[page(1, text), page(2, "Other.")]], [template("Wrap", "{{{1}}}")]
    )
    artifact = extract(store, pages, max_page_seconds=20)
    check_counts(artifact)
    rows = rows_of(artifact)
    assert rows[-1]["text"] == "Other."
    assert len(rows) == 2 or artifact.quarantined == {"page_too_complex": 1}


def test_sections_are_a_column_on_request(store: Store) -> None:
    text = "Lead text.\n\n== History ==\nOld.\n\n=== Early ===\nOlder.\n"
    pages = pages_artifact(store, [[page(1, text), page(2, "No heading.")]])
    plain, with_sections = extract(store, pages), extract(store, pages, sections=True)
    assert "sections" not in rows_of(plain)[0]
    first, second = rows_of(with_sections)
    assert [(item["level"], item["title"]) for item in first["sections"]] == [
        (0, ""), (2, "History"), (3, "Early")
    ]  # fmt: skip
    for item in first["sections"]:
        assert first["text"][item["start"] :].startswith(item["title"])
    assert [item["start"] for item in second["sections"]] == [0]
    schema = pq.read_schema(with_sections.files("articles-*.parquet")[0])
    assert str(schema.field("sections").type.value_type.field("level").type) == "int8"


def test_same_bytes_for_any_number_of_workers(make_store: Callable[..., Store]) -> None:
    texts = [*TEXTS, "{{Motto}}", "{{nothing}}", "Last."]
    found = []
    for workers in (1, 2, 3):
        store = make_store(workers, f"home{workers}")
        pages = pages_artifact(store, in_shards(texts, 4), [template("Motto", "Forward!")])
        found.append(extract(store, pages, sections=True))
    assert found[0].digest == found[1].digest == found[2].digest
    assert len(found[0].files("articles-*-of-00004.parquet")) == 4
    assert [row["id"] for row in rows_of(found[2])] == [*range(1, 14), 15]
    row = rows_of(found[0])[0]
    assert {key: row[key] for key in ("id", "revid", "url", "title", "text")} == {
        "id": 1,
        "revid": 1001,
        "url": "https://en.example.org/wiki?curid=1",
        "title": "Page 1",
        "text": "Article 0 has a label.",
    }


KILLED = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from headrace.artifacts import Runtime, Store
from headrace.artifacts.manifest import open_artifact
from headrace.corpus.articles import ARTICLES, ArticlesConfig
from headrace.corpus.wikitext.cleaner import Cleaner
clean = Cleaner.clean
def stopping(self, title, text):
    if title == sys.argv[4]:
        print("here", flush=True)
        sys.stdin.read()
    return clean(self, title, text)
Cleaner.clean = stopping
store = Store(Runtime(home=Path(sys.argv[2])))
store.open_or_build(ARTICLES, ArticlesConfig(), {"pages": open_artifact(Path(sys.argv[3]))})
"""


def test_kill_in_the_middle_does_only_what_is_missing_again(
    make_store: Callable[..., Store], tmp_path: Path
) -> None:
    whole, store = make_store(1, "whole"), make_store(1, "killed")
    shards, templates = in_shards(TEXTS, 3), [template("Motto", "Forward!")]
    expected = extract(whole, pages_artifact(whole, shards, templates))
    pages = pages_artifact(store, shards, templates)
    arguments = [str(Path(__file__).parent), str(store.runtime.home), str(pages.path), "Page 8"]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        os.kill(process.pid, signal.SIGKILL)
    path = store.path_of("articles", expected.key)
    before = {item.name: item.stat().st_mtime_ns for item in path.glob("articles-*.parquet")}
    assert sorted(before) == [f"articles-0000{n}-of-00004.parquet" for n in (0, 1)]
    artifact = extract(store, pages)
    assert artifact.digest == expected.digest
    assert artifact.manifest.provenance["num_resumed_shards"] == 2
    assert {name: (path / name).stat().st_mtime_ns for name in before} == before
    assert not (path / ".work").exists()


def test_pages_of_templates_only_are_counted_and_shown(store: Store) -> None:
    pages = pages_artifact(store, [[page(1, "{{Infobox|a=b}}", "Bare"), page(2, "Prose.")]])
    artifact = extract(store, pages)
    assert artifact.dropped == {"empty_article": 1}
    statistics = json.loads(artifact.extra("statistics.json").read_bytes())
    assert statistics["drop_examples"]["empty_article"][0]["title"] == "Bare"
    assert statistics["documents"] == 1
    assert artifact.counts["num_characters"] == len("Prose.")
    assert artifact.counts["language.en"] == 1
    card = artifact.extra("README.md").read_text("utf-8")
    assert "cc-by-sa-4.0" in card
    assert "GNU Free Documentation License" in card


def test_wiki_without_any_text_is_refused(store: Store) -> None:
    pages = pages_artifact(store, [[page(1, "{{only|template}}")]])
    with pytest.raises(CorruptInputError, match="1 pages"):
        extract(store, pages)


def real_pages(store: Store, path: Path) -> Artifact:
    source = open_source(store, path).artifact
    return store.open_or_build(PAGES, PagesConfig(), {"source": source}).artifact


def test_templates_go_from_the_dump_into_the_text(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "dump.xml"
    path.write_text(
        dump_xml(
            page_xml(1, "Ort", "Ein Ort. {{wahlspruch|Vorwärts}} {{vorlage:Spruch|Los}}"),
            page_xml(2, "Vorlage:Wahlspruch", "Sein Wahlspruch ist {{{1}}}.", ns=10),
            page_xml(
                3, "Vorlage:Spruch", "#WEITERLEITUNG [[Vorlage:Wahlspruch]]", ns=10,
                extra='<redirect title="Vorlage:Wahlspruch" />',
            ),
        ),
        encoding="utf-8",
    )  # fmt: skip
    (row,) = rows_of(extract(store, real_pages(store, path)))
    assert row["text"] == "Ein Ort. Sein Wahlspruch ist Vorwärts. Sein Wahlspruch ist Los."


@pytest.mark.parametrize("name", ["enwiki", "jawiki", "bgwiki"])
def test_real_dumps_give_text_and_their_counts_add_up(
    name: str, store: Store, request: pytest.FixtureRequest
) -> None:
    if name == "enwiki":
        dump = ENGLISH_DUMP
    else:
        dump = next((request.getfixturevalue("shared") / "data" / "dumps").glob(f"{name}*"))
    pages = real_pages(store, dump)
    artifact = extract(store, pages)
    check_counts(artifact)
    num_pages = num_rows(pages.files("pages-*.parquet"))
    assert artifact.counts["records_in"] == num_pages
    assert not artifact.quarantined
    rows = rows_of(artifact)
    assert len(rows) > 0.9 * num_pages
    for row in rows:
        text = row["text"]
        assert text == "\n".join(line.strip() for line in text.split("\n") if line.strip())
