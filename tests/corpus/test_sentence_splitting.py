"""Sentences: losslessness, one a line, bounded time."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.artifacts import Artifact, ShardOutcome, Stage, Store
from headrace.artifacts.runtime import NoConfig
from headrace.artifacts.sources import open_source
from headrace.corpus import document_files, json_records
from headrace.corpus import sentences as module
from headrace.corpus.document_files import DocumentWriter
from headrace.corpus.languages import normalise_language
from headrace.corpus.punkt import sentence_tokenizer
from headrace.corpus.sentence_rules import moved_offsets, split_text
from headrace.corpus.sentences import (
    SENTENCES,
    SentencesConfig,
    length_report,
    split_document,
    split_paragraph,
    split_table,
)
from headrace.corpus.site import Site
from headrace.corpus.tables import ARTICLES_SCHEMA, write_rows
from headrace.errors import ConfigError, CorruptInputError, TooManyDropsError


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


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "He met J. Smith at 3 p.m. today. Good!", 2),
        ("en", 'He said "Stop. Now." and left. Then?', 2),
        ("ja", "彼は「はい。いいえ」と言った。次の文！終わり", 3),
        ("zh", "你好。你好吗？我很好！", 3),
        ("zh-Hant", "你好。你好嗎？", 2),
        ("de", "Das ist z. B. ein Satz vom 3. Oktober. Noch einer.", 2),
        ("de_AT", "Am 1. Mai kam er. Dann nicht.", 2),
        ("fr", "Il est né le 3 mai. Il part à 10 h.", 2),
        ("ru", "Это первое предложение. А это второе?", 2),
        ("bg", "Това е изречение. А това е второ!", 2),
        ("ar", "هذه جملة. هل هذا سؤال؟ نعم", 3),
        ("hi", "यह एक वाक्य है। यह दूसरा है।", 2),
        ("el", "Τι είναι αυτό; Δεν ξέρω.", 2),
        ("am", "ሰላም ነው። እንዴት ነህ።", 2),
        ("und", "One here. Two here!", 2),
        ("English", "One here. Two here!", 2),
    ],
)
def test_languages(language: str, text: str, expected: int) -> None:
    document = split_document(text, normalise_language(language), SentencesConfig())
    assert document.num_sentences == expected, document.text
    assert squeezed(document.text) == squeezed(text)


@pytest.mark.parametrize(
    "text",
    [
        "President George\xa0W. Bush left. He came back.",
        "George W\u2009. Bush. Then\u3000B. Next.",
        "مرحبا\xa0A. 日本\u202fB. שלום! 👩\u200d👩\u200d👧 done. End",
        "the end\xa0... of it. Next.",
        "\ufeffA. B\u200b. \u0301C.",
    ],
)
@pytest.mark.parametrize("splitter", ["sentencex", "punkt"])
def test_spaces_of_several_bytes(text: str, splitter: str) -> None:
    document = split_document(text, "en", SentencesConfig(splitter=splitter))
    assert squeezed(document.text) == squeezed(text)
    assert document.num_sentences >= 2


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet=st.sampled_from("aBzМ .!?。\"'()\n\n1-…\u3000\xa0é🙂"), max_size=60),
    st.sampled_from(["en", "de", "xx"]),
    st.sampled_from(["blank_line", "none"]),
)
def test_punkt_gives_what_nltk_gives_line_by_line(text: str, language: str, separator: str) -> None:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    document = split_text(text, language, splitter="punkt", separator=separator)
    tokenize = sentence_tokenizer("german" if language == "de" else "english")
    assert isinstance(tokenize.__self__, PunktSentenceTokenizer)
    lines = [found for line in text.split("\n") if (found := tokenize(line))]
    between = "\n\n" if separator == "blank_line" else "\n"
    assert document.text == between.join("\n".join(line) for line in lines)
    assert document.num_sentences == sum(map(len, lines))
    assert squeezed(document.text) == squeezed(text)


def test_lines_taken_together_are_split_as_they_are_one_by_one() -> None:
    lines = [f'Dr. No {n} said "yes. No" ({n}. 5) etc. Then\xa0... He left.' for n in range(900)]
    lines[5] = lines[700] = ""
    lines[400] = "A long one. " * 1000
    text = "\n".join(lines)
    one_by_one = [split_paragraph(line, "en") for line in lines if line]
    document = split_text(text, "en")
    assert document.text == "\n\n".join("\n".join(sentences) for sentences in one_by_one)
    assert document.num_sentences == sum(map(len, one_by_one))


def test_offsets_follow_their_characters() -> None:
    text = "Lead one. Lead two.\nHistory\nIt began. It went on."
    document = split_document(text, "en", SentencesConfig())
    starts = [0, text.index("History"), text.index("It went"), len(text)]
    moved = moved_offsets(text, document.text, starts)
    assert [document.text[start : start + 7] for start in moved] == [
        "Lead on",
        "History",
        "It went",
        "",
    ]


def test_sections_begin_where_their_titles_are_now() -> None:
    kind = pa.list_(
        pa.struct([("level", pa.int8()), ("title", pa.string()), ("start", pa.int32())])
    )
    texts = ["Lead. Two.\nHistory\nIt began.", "Nothing."]
    sections = [
        [{"level": 0, "title": "", "start": 0}, {"level": 2, "title": "History", "start": 11}],
        None,
    ]
    table = pa.table({"text": texts, "sections": pa.array(sections, kind)})
    split, num_sentences = split_table(table, "en", SentencesConfig())
    assert num_sentences == 5
    assert split["sections"].type == kind
    start = split["sections"].to_pylist()[0][1]["start"]
    assert split["text"].to_pylist()[0][start:].startswith("History\n")


def test_missing_nltk_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk.tokenize.punkt", None)
    sentence_tokenizer.cache_clear()
    with pytest.raises(ConfigError, match="pip install nltk"):
        split_document("One.", "en", SentencesConfig(splitter="punkt"))


def split_raw(store: Store, path: Path, **settings: object) -> Artifact:
    source = open_source(store, path).artifact
    return store.open_or_build(
        SENTENCES, SentencesConfig(**settings), {"articles": source}
    ).artifact


def rows(artifact: Artifact) -> list[dict[str, object]]:
    paths = artifact.files("documents-*.parquet")
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def test_a_documents_own_language_comes_first(store: Store, tmp_path: Path) -> None:
    texts = ["今日は晴れ。明日は雨だ。", "Am 3. Mai kam er. Gut.", "One. Two.", "Drei. Vier."]
    codes = ["ja", "de_AT", None, " "]
    (tmp_path / "in").mkdir()
    table = pa.table({"key": list("abcd"), "content": texts, "language": codes})
    pq.write_table(table, tmp_path / "in" / "x.parquet")
    artifact = split_raw(store, tmp_path / "in", text_column="content", language="en")
    found = rows(artifact)
    assert [row["num_sentences"] for row in found] == [2, 2, 2, 2]
    assert list(found[0]) == ["key", "text", "language", "num_sentences"]
    assert json.loads(artifact.file("siteinfo.json").read_bytes())["lang"] == "en"


def test_json_lines_become_typed_columns(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_records, "SHARD_BYTES", 60)
    values = [
        {"id": "12", "text": "One. Two.", "n": 1, "x": 1, "tags": ["a"], "mixed": 1},
        {"id": "9007199254740993", "text": " ", "n": None, "x": 0.5, "mixed": "b"},
        {"id": "7", "text": "Three \ud83d.", "n": 3, "late": True, "big": 10**30},
    ]
    for number, value in enumerate(values):
        path = tmp_path / "in" / f"A{number}" / "wiki_00"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value) + "\n")
    artifact = split_raw(store, tmp_path / "in")
    found = rows(artifact)
    assert found == [
        {
            "id": 12, "text": "One.\nTwo.", "n": 1, "x": 1.0, "tags": '["a"]', "mixed": "1",
            "late": None, "big": None, "num_sentences": 2,
        },
        {
            "id": 7, "text": "Three \ufffd.", "n": 3, "x": None, "tags": None, "mixed": None,
            "late": True, "big": str(10**30), "num_sentences": 1,
        },
    ]  # fmt: skip
    schemas = {pq.read_schema(path) for path in artifact.files("documents-*")}
    assert len(schemas) == 1
    assert artifact.dropped == {"empty_document": 1}
    assert artifact.counts["records_in"] == 3


def test_same_bytes_for_any_workers(make_store: object, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        table = pa.table({"id": [number], "text": ["One. Two."]})
        pq.write_table(table, tmp_path / "in" / f"{number}.parquet")
    one = split_raw(make_store(1, "one"), tmp_path / "in")
    two = split_raw(make_store(2, "two"), tmp_path / "in")
    assert one.digest == two.digest
    assert len(one.files("documents-*")) == 3


def test_bad_parquet_rows_and_columns(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    good = pa.array([b"One. Two.", None, b"caf\xe9", b"Three."], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 4, good.buffers(), good.null_count)
    pq.write_table(pa.table({"id": [1, 2, 3, 4], "text": text}), path)
    artifact = split_raw(store, path, max_quarantined_fraction=0.5)
    assert artifact.quarantined == {"null_text": 1, "invalid_utf8": 1}
    assert [row["id"] for row in rows(artifact)] == [1, 4]
    with pytest.raises(TooManyDropsError):
        split_raw(store, path, max_quarantined_fraction=0.4)
    pq.write_table(pa.table({"id": [1], "text": [5]}), path)
    with pytest.raises(CorruptInputError, match="int64"):
        split_raw(store, path)
    pq.write_table(pa.table({"text": ["a"], "content": ["b"]}), path)
    with pytest.raises(ConfigError, match="text_column"):
        split_raw(store, path, text_column="content")


def test_rows_are_grouped_the_same_however_they_came(tmp_path: Path) -> None:
    whole = pa.table({"id": range(2500), "text": [f"Text {n}" for n in range(2500)]})
    contents = set()
    for size in (7, 1024, 2500):
        with DocumentWriter(tmp_path / f"{size}.parquet") as writer:
            for start in range(0, 2500, size):
                writer.write(whole.slice(start, size))
        contents.add((tmp_path / f"{size}.parquet").read_bytes())
        file = pq.ParquetFile(tmp_path / f"{size}.parquet")
        assert [file.metadata.row_group(n).num_rows for n in range(3)] == [1024, 1024, 452]
    assert len(contents) == 1


def test_row_groups_of_long_texts_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_files, "ROW_GROUP_BYTES", 100)
    with DocumentWriter(tmp_path / "x.parquet") as writer:
        writer.write(pa.table({"text": ["a" * 60] * 5}))
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    assert [metadata.row_group(n).num_rows for n in range(3)] == [2, 2, 1]


def test_lengths_are_told_by_powers_of_two(tmp_path: Path) -> None:
    numbers = [1, 2, 3, 4, 5, 1024, 1025]
    path = tmp_path / "documents.parquet"
    pq.write_table(pa.table({"num_sentences": pa.array(numbers, pa.int32())}), path)
    expected = [[1, 1], [2, 1], [4, 2], [8, 1], [1024, 1], [2048, 1]]
    assert length_report([path]) == {"num_sentences": expected}
