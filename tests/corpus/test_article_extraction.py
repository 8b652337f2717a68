"""Extraction: the supervised program, the search for bad pages, the articles stage."""

from __future__ import annotations

import bz2
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dump_building import ENGLISH_DUMP, dump_xml, page_xml

from headrace.artifacts import Artifact, Store
from headrace.artifacts.sources import open_source
from headrace.corpus.articles import ARTICLES, ArticlesConfig, extract_articles, tidy_text
from headrace.corpus.pages import PAGES, DumpReader, Page, PagesConfig
from headrace.corpus.site import Site
from headrace.corpus.wikiextractor import extract_texts
from headrace.errors import CorruptInputError, ProcessFailedError, TooManyDropsError

SITE = Site(lang="en", base="https://en.wikipedia.org/wiki/Main_Page")
WIKIEXTRACTOR = ArticlesConfig(backend="wikiextractor")
FAKE = Path(__file__).with_name("fake_extractor.py")


def fake(mode: str) -> tuple[str, ...]:
    return (sys.executable, "-S", str(FAKE), mode)


def pages_of(*texts: str) -> list[Page]:
    return [Page(id=10 + i, revid=1, title=f"T{i}", text=t, offset=i) for i, t in enumerate(texts)]


@pytest.mark.parametrize("mode", ["names", "silent"])
@pytest.mark.parametrize(
    ("ill", "reason"),
    [
        ("CRASH", "extractor_crashed"),
        ("DIE", "extractor_crashed"),
        ("LOSE", "extractor_crashed"),
        ("HANG", "extractor_timeout"),
    ],
)
def test_bad_page_is_found_and_all_others_come_out(
    mode: str, ill: str, reason: str, tmp_path: Path
) -> None:
    pages = pages_of("a", "b", f"c {ill}", "d", "e")
    found = extract_texts(pages, scratch=tmp_path, max_page_seconds=2.0, command=fake(mode))
    assert found.texts == {10: "A", 11: "B", 13: "D", 14: "E"}
    assert {page: why for page, (why, _) in found.failures.items()} == {12: reason}
    assert list(tmp_path.iterdir()) == []


def test_several_bad_pages_side_by_side_are_all_found(tmp_path: Path) -> None:
    texts = ["ok", "CRASH", "DIE", "ok", "LOSE", "CRASH", "ok", "CRASH"]
    found = extract_texts(
        pages_of(*texts), scratch=tmp_path, max_page_seconds=20, command=fake("silent")
    )
    assert sorted(found.texts) == [10, 13, 16]
    assert sorted(found.failures) == [11, 12, 14, 15, 17]


def test_what_the_program_said_is_kept(tmp_path: Path) -> None:
    found = extract_texts(
        pages_of("CRASH"), scratch=tmp_path, max_page_seconds=20, command=fake("names")
    )
    assert found.failures[10] == ("extractor_crashed", "RuntimeError: cannot cope")


def test_program_that_never_works_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailedError, match="No module named anything") as caught:
        extract_texts(
            pages_of(*"abcdefgh"), scratch=tmp_path, max_page_seconds=20, command=fake("broken")
        )
    assert "\n" not in str(caught.value)


def test_search_ends_when_too_many_pages_are_bad(tmp_path: Path) -> None:
    with pytest.raises(TooManyDropsError, match="T1"):
        extract_texts(
            pages_of("CRASH", "CRASH", "CRASH"),
            scratch=tmp_path,
            max_page_seconds=20,
            max_failures=1,
            command=fake("names"),
        )


def test_no_pages_start_no_program(tmp_path: Path) -> None:
    found = extract_texts([], scratch=tmp_path, max_page_seconds=1, command=("/nonexistent",))
    assert not found.texts


def test_quarantine_names_the_page(tmp_path: Path) -> None:
    extracted = extract_articles(
        pages_of("fine", "HANG"),
        ArticlesConfig(backend="wikiextractor", max_page_seconds=2.0),
        site=SITE,
        scratch=tmp_path,
        source="pages-00000.parquet",
        command=fake("names"),
    )
    assert [article.id for article in extracted.articles] == [10]
    (bad,) = extracted.quarantined
    assert (bad.source, bad.offset, bad.reason) == ("pages-00000.parquet", 1, "extractor_timeout")
    assert "'T1', id 11" in bad.excerpt


@pytest.mark.parametrize(
    ("raw", "tidy"),
    [
        ("a\n\n b \n\t\nc", "a\nb\nc"),
        ("a\r\nb", "a\nb"),
        ("x &amp; y &hellip; &#x41;&#66;", "x & y … AB"),
        ("&nosuch; AT&T a&copy=1", "&nosuch; AT&T a&copy=1"),
        ("a\x00b\x1fc\x7f\ud800d", "abc\ufffdd"),
        ("&#xD800; &#0; &#x110000;", "\ufffd \ufffd \ufffd"),
        ("e\u0301", "e\u0301"),
        (" \n \n", ""),
    ],
)
def test_tidy_text(raw: str, tidy: str) -> None:
    assert tidy_text(raw) == tidy


ODD = {
    "Template method pattern": "It is a ''pattern''.",
    "Template:Odd but main": "Colon.",
    "Kill Bill: Volume 1": "A film.",
    "File:Name": "Another.",
    'A "quoted" & <odd> title': "Text.",
    "日本": "日本は国である。[[ファイル:x.png|thumb|図]]",
    "Markup": "Uses &lt;ref&gt; and a < b & c > d; AT&T; &amp;nbsp;.",
    "Reference": "Broken &#xD800; reference.",
    "Line ends": "one\r\ntwo\rthree\x85four\u2028five",
    "Nested": "{{a|" * 3000 + "}}" * 3000 + "Tail.",
    "x 'PAGE_TIMING pid=1 ordinal=1 id=12": "Logged.",
    "Traceback (most recent call last)": "Told.",
    "One line": "word " * 20_000,
}


def test_real_program_loses_no_odd_page(tmp_path: Path) -> None:
    pages = [Page(i + 1, 1, t, x, i) for i, (t, x) in enumerate(ODD.items())]
    extracted = extract_articles(pages, WIKIEXTRACTOR, site=SITE, scratch=tmp_path)
    assert extracted.quarantined == []
    assert [article.title for article in extracted.articles] == list(ODD)
    texts = {article.title: article.text for article in extracted.articles}
    assert texts["Markup"].startswith("Uses <ref> and a < b & c > d; AT&T;")
    assert texts["Reference"] == "Broken \ufffd reference."
    assert texts["Nested"] == "Tail."
    assert "\r" not in texts["Line ends"]
    assert extracted.articles[0].url == "https://en.wikipedia.org/wiki?curid=1"


def test_real_program_page_without_prose_is_counted_as_empty(tmp_path: Path) -> None:
    pages = pages_of("{{Infobox|a=b}}", "Prose.", "{|\n| table\n|}")
    extracted = extract_articles(pages, WIKIEXTRACTOR, site=SITE, scratch=tmp_path)
    assert [article.id for article in extracted.articles] == [11]
    assert extracted.num_empty == 2


def test_text_is_what_the_program_gives_on_the_dump_itself(tmp_path: Path) -> None:
    """The dump written for the program loses nothing against the original."""
    xml = bz2.decompress(ENGLISH_DUMP.read_bytes()).decode()
    end = xml.index("</page>", 2_000_000) + len("</page>")
    path = tmp_path / "part.xml"
    path.write_text(xml[:end] + "\n</mediawiki>\n", encoding="utf-8")
    options = ["--json", "--no-templates", "--html-safe", "", "--processes", "1", "-o", "-", "-q"]
    program = [sys.executable, "-m", "wikiextractor.WikiExtractor", str(path), *options]
    direct = subprocess.run(program, capture_output=True, check=True, text=True).stdout
    expected = {}
    for line in direct.splitlines():
        article = json.loads(line)
        expected[int(article["id"])] = tidy_text(article["text"])
    pages = [item for item in DumpReader(path, PagesConfig()) if isinstance(item, Page)]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    extracted = extract_articles(pages, WIKIEXTRACTOR, site=SITE, scratch=scratch)
    assert len(extracted.articles) > 10
    assert {article.id: article.text for article in extracted.articles} == {
        page_id: text for page_id, text in expected.items() if text
    }


def written(store: Store, path: Path, shard_bytes: int) -> Artifact:
    source = open_source(store, path).artifact
    config = PagesConfig(shard_bytes=shard_bytes)
    pages = store.open_or_build(PAGES, config, {"source": source}).artifact
    return store.open_or_build(ARTICLES, WIKIEXTRACTOR, {"pages": pages}).artifact


def test_stage_gives_the_same_bytes_for_any_number_of_workers(
    make_store: Callable[..., Store], tmp_path: Path
) -> None:
    texts = [page_xml(n, f"Page {n}", f"Article {n}. It has text.", extra="") for n in range(1, 9)]
    path = tmp_path / "dump.xml"
    path.write_text(dump_xml(*texts, page_xml(9, "Empty", "{{x}}")), encoding="utf-8")
    one = written(make_store(1, "one"), path, 90)
    two = written(make_store(2, "two"), path, 90)
    assert one.digest == two.digest
    assert len(one.files("articles-*-of-00003.parquet")) == 3
    assert one.dropped == {"empty_article": 1}
    found = [row for file in one.files("*.parquet") for row in pq.read_table(file).to_pylist()]
    assert [row["id"] for row in found] == list(range(1, 9))
    assert found[0] == {
        "id": 1,
        "revid": 77,
        "url": "https://xx.example.org/wiki?curid=1",
        "title": "Page 1",
        "text": "Article 1. It has text.",
    }


def test_stage_without_any_text_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "dump.xml"
    path.write_text(dump_xml(page_xml(1, text="{{only|template}}")))
    with pytest.raises(CorruptInputError, match="1 pages"):
        written(store, path, 1000)
