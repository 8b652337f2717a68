"""Sentences: losslessness, one a line, bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.artifacts import ShardOutcome, Stage, Store
from headrace.artifacts.runtime import NoConfig
from headrace.corpus import sentences as module
from headrace.corpus.sentences import SENTENCES, SentencesConfig, split_document, split_paragraph
from headrace.corpus.site import Site
from headrace.corpus.tables import ARTICLES_SCHEMA, write_rows
from headrace.errors import CorruptInputError


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("language", "paragraph", "expected"),
    [
        ("en", "Dr. Smith left. He was late!  Why?", ["Dr. Smith left.", "He was late!", "Why?"]),
        ("en", "no terminator at all", ["no terminator at all"]),
        ("ja", "今日は晴れ。明日は雨だ。", ["今日は晴れ。", "明日は雨だ。"]),
        ("ja", "彼は「はい。」", ["彼は「はい。」"]),
        ("de", "Am 3. Mai kam er. Dann ging er.", ["Am 3. Mai kam er.", "Dann ging er."]),
        ("xx-unknown", "One here. Two here.", ["One here.", "Two here."]),
        ("en", "", []),
        ("en", " \u3000 ", []),
    ],
)
def test_paragraphs(language: str, paragraph: str, expected: list[str]) -> None:
    assert split_paragraph(paragraph, language) == expected


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet=st.sampled_from("aB .!?。「」\"'()\n\r\x85\u2028日é👩\u200d1,"), max_size=80),
    st.sampled_from(["en", "ja", "ar"]),
    st.integers(2, 20),
)
def test_nothing_but_space_is_lost_and_a_sentence_is_a_line(
    text: str, language: str, window: int
) -> None:
    whole = module.WINDOW_CHARACTERS
    try:
        module.WINDOW_CHARACTERS = window
        document = split_document(text, language, SentencesConfig())
    finally:
        module.WINDOW_CHARACTERS = whole
    assert squeezed(document.text) == squeezed(text)
    lines = [line for line in document.text.splitlines() if line]
    assert len(lines) == document.num_sentences
    assert all(line == line.strip() for line in lines)


def test_window_does_not_change_ordinary_text() -> None:
    text = " ".join(f"This is sentence {number} of a long paragraph." for number in range(2000))
    assert len(split_paragraph(text, "en")) == 2000


@pytest.mark.parametrize(
    "text", ["a" * 10**6, "日本" * 500_000, "「あ。」" * 250_000, '"' * 10**6, "Mr. " * 250_000]
)
def test_million_characters_in_one_paragraph_take_seconds(text: str) -> None:
    start = time.process_time()
    sentences = split_paragraph(text, "ja")
    assert time.process_time() - start < 20
    assert squeezed("".join(sentences)) == squeezed(text)


def test_separators() -> None:
    text = "One. Two.\nThree."
    blank = split_document(text, "en", SentencesConfig())
    assert blank.text == "One.\nTwo.\n\nThree."
    assert blank.num_sentences == 3
    dense = split_document(text, "en", SentencesConfig(paragraph_separator="none"))
    assert dense.text == "One.\nTwo.\nThree."


def write_articles(*, config: NoConfig, out: object) -> None:
    def write(directory: Path) -> ShardOutcome:
        texts = ["First. Second.\nThird.", " \n\u2028", "Last"]
        row = {"revid": 1, "url": "u", "title": "t"}
        rows = [row | {"id": number, "text": text} for number, text in enumerate(texts)]
        write_rows(directory / "articles-00000-of-00001.parquet", rows, ARTICLES_SCHEMA)
        return ShardOutcome(rows=3)

    out.publish("articles", write)
    out.write_index("siteinfo.json", Site(lang="en").to_json())


def write_blank(*, config: NoConfig, out: object) -> None:
    def write(directory: Path) -> ShardOutcome:
        rows = [{"id": 1, "revid": 1, "url": "u", "title": "t", "text": " "}]
        write_rows(directory / "articles-00000-of-00001.parquet", rows, ARTICLES_SCHEMA)
        return ShardOutcome(rows=1)

    out.publish("articles", write)
    out.write_index("siteinfo.json", Site(lang="en").to_json())


def test_stage_keeps_columns_and_counts_empty_documents(store: Store) -> None:
    stage = Stage(name="articles", version=1, format="t", packages=(), write=write_articles)
    articles = store.open_or_build(stage, NoConfig(), {}).artifact
    artifact = store.open_or_build(SENTENCES, SentencesConfig(), {"articles": articles}).artifact
    table = pq.read_table(artifact.file("documents-00000-of-00001.parquet"))
    assert table.schema.field("num_sentences").type == pa.int32()
    assert table["text"].to_pylist() == ["First.\nSecond.\n\nThird.", "Last"]
    assert table["num_sentences"].to_pylist() == [3, 1]
    assert artifact.dropped == {"empty_document": 1}
    assert artifact.counts["num_sentences"] == 4
    assert artifact.file("siteinfo.json").read_bytes() == Site(lang="en").to_json()


def test_stage_without_any_text_is_refused(store: Store) -> None:
    stage = Stage(name="articles", version=1, format="t", packages=(), write=write_blank)
    articles = store.open_or_build(stage, NoConfig(), {}).artifact
    with pytest.raises(CorruptInputError):
        store.open_or_build(SENTENCES, SentencesConfig(), {"articles": articles})
