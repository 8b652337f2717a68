"""Exclusion: held-out articles go, renamed and edited ones too; innocent ones stay."""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage, Store
from headrace.artifacts.sources import open_source
from headrace.config import StageConfig
from headrace.corpus.exclusion import EXCLUSION, Excluder, ExclusionConfig
from headrace.corpus.ngrams import NgramIndex, split_units, unit_of_language
from headrace.corpus.references import (
    ReferenceArticle,
    base_key,
    plain_title,
    read_references,
    reference_files,
    split_articles,
    title_key,
)
from headrace.corpus.site import Site
from headrace.corpus.tables import ARTICLES_SCHEMA, SECTIONS_FIELD, write_table
from headrace.errors import ConfigError, CorruptInputError

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprstvz" for b in "aeiou" for c in ("n", "r", "st", "lo")]


def prose(seed: int, num_words: int = 300) -> str:
    """Plain text as an encyclopedia has it, without meaning."""
    chance = random.Random(seed)
    words = [chance.choice(WORDS) for _ in range(num_words)]
    for at in range(9, num_words, 10):
        words[at] = chance.choice(
            ["2,345", "0.7", "low-pass", "Anna's", "(sic)", '"so"', "1798–99"]
        )
    lines = [" ".join(words[at : at + 60]) + "." for at in range(0, num_words, 60)]
    return "\n".join(line.capitalize() for line in lines)


def tokenised(text: str) -> str:
    """Text as WikiText has it."""
    text = re.sub(r"(?<=\w)([-,.])(?=\w)", r" @\1@ ", text)
    text = re.sub(r"(?<=\w)'s", " 's", text)
    return re.sub(r"([().,\"–])(?!@)", lambda m: f" {m[1]} ", text.replace("@.@", "@\0@")
                  .replace("@,@", "@\1@")).replace("\0", ".").replace("\1", ",")  # fmt: skip


def with_unknowns(text: str, every: int) -> str:
    words = text.split(" ")
    words[every - 1 :: every] = ["<unk>"] * len(words[every - 1 :: every])
    return " ".join(words)


def wikitext(*articles: tuple[str, str]) -> str:
    """A file of articles in WikiText's form."""
    parts = [f" \n = {title} = \n \n {text} \n" for title, text in articles]
    return "".join(parts)


def edited(text: str, share: float) -> str:
    """The text with so large a share of its words, anywhere, replaced."""
    chance = random.Random(5)
    return " ".join("changed" if chance.random() < share else word for word in text.split(" "))


@functools.cache
def excluder(language: str = "en", **config: Any) -> Excluder:
    references = [
        ReferenceArticle(f"Held {n}", f" = Held {n} = \n" + with_unknowns(tokenised(prose(n)), 40))
        for n in range(5)
    ]
    return Excluder.of_articles(references, ExclusionConfig(**config), language)


def reason_of(title: str, text: str, **config: Any) -> str | None:
    removal = excluder(**config).judge([title], [text])[0]
    return removal.reason if removal else None


OTHER = prose(1000, 900)
QUOTE = " ".join(prose(2).split()[20:42])


@pytest.mark.parametrize(
    ("title", "text", "reason"),
    [
        ("Held 2", OTHER, "title"),
        ("held_2", "", "title"),
        ("Held 2 (village)", OTHER, None),
        ("Held 2 (village)", prose(2), "title"),
        ("Held", prose(2), "overlap"),
        ("Another name", prose(2), "overlap"),
        ("Another name", prose(2).upper(), "overlap"),
        ("Another name", prose(2).replace(" ", "\n"), "overlap"),
        ("Rewritten", edited(prose(2), 0.1), "overlap"),
        ("Cut", prose(2)[: len(prose(2)) // 6], "overlap"),
        ("Grown", OTHER + prose(2) + prose(1001, 900), "overlap"),
        ("Two in one", prose(2) + prose(3), "overlap"),
        ("Unrelated", OTHER, None),
        ("A quotation", OTHER + QUOTE + OTHER, None),
        ("A short article with a quotation", prose(7, 40) + QUOTE + prose(8, 40), None),
        ("A refrain", " ".join([prose(9, 80), QUOTE] * 5), None),
        ("Nothing", "", None),
        ("Same words, other order", " ".join(sorted(prose(2).split())), None),
    ],
)
def test_what_goes_and_what_stays(title: str, text: str, reason: str | None) -> None:
    assert reason_of(title, text) == reason


def test_each_way_can_be_turned_off() -> None:
    assert reason_of("Held 2", prose(2), by_title=False) == "overlap"
    assert reason_of("Held 2", prose(2), by_overlap=False) == "title"
    assert reason_of("Other", prose(2), by_overlap=False) is None
    with pytest.raises(ValidationError):
        ExclusionConfig(by_title=False, by_overlap=False)


def test_shares_tell_how_much_is_the_same() -> None:
    removal = excluder().judge(["x"], [prose(2) + " " + OTHER])[0]
    assert removal is not None
    assert removal.reference == 2
    # <unk> and the title take some n-grams of the reference away, none of the rest.
    assert 0.85 < removal.reference_share <= 1
    assert 0.1 < removal.article_share < 0.25


def test_a_phrase_of_every_reference_removes_nothing() -> None:
    phrase = " ".join(prose(50).split()[:20])
    articles = [ReferenceArticle(f"R{n}", f"{prose(n)} {phrase}") for n in range(9)]
    judge = Excluder.of_articles(articles, ExclusionConfig(), "en").judge
    assert judge(["x"], [f"{OTHER} {phrase} {OTHER}"]) == [None]


def test_a_title_with_an_unknown_word_matches_no_title() -> None:
    articles = [ReferenceArticle("<unk>", prose(1)), ReferenceArticle("The <unk> ( film )", "x")]
    judge = Excluder.of_articles(articles, ExclusionConfig(), "en").judge
    assert judge(["<unk>", "The", "The (film)"], [OTHER] * 3) == [None] * 3


JAPANESE = (
    "東京都は日本の首都であり、関東地方に位置する。"
    "人口は約千四百万人で、世界最大級の都市圏を形成する。"
    "江戸時代から政治の中心であった。"
)


def test_languages_without_spaces_are_compared_by_characters() -> None:
    held_out = [ReferenceArticle("東京", JAPANESE)]
    judge = Excluder.of_articles(held_out, ExclusionConfig(), "ja").judge
    texts = ["前書き。" + JAPANESE.replace("、", ""), "日本の首都は東京である。" * 9]
    assert [r.reason if r else None for r in judge(["別名", "日本"], texts)] == ["overlap", None]


@pytest.mark.parametrize(
    ("code", "unit"),
    [("en", "words"), ("ja", "characters"), ("zh", "characters"), ("zh-yue", "characters"),
     ("zh-min-nan", "words"), ("th", "characters"), ("ko", "words"), ("simple", "words")],
)  # fmt: skip
def test_units_follow_the_language(code: str, unit: str) -> None:
    assert unit_of_language(code) == unit


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ("Come What ( ever ) May", "Come What(ever) May"),
        ("M @-@ 82 ( Michigan highway )", "M-82 (Michigan highway)"),
        ("2011 – 12 Michigan Wolverines men 's basketball team",
         "2011–12 Michigan Wolverines men's basketball team"),
        ("Temple Beth Israel ( Eugene , Oregon )", "Temple_Beth_Israel_(Eugene,_Oregon)"),
        ("... Thirteen Years Later", "...Thirteen Years Later"),
        ("U.S. Route 2 in Michigan", "U.S. Route 2 in Michigan"),
        ("Battle of Sullivan 's Island", "Battle of Sullivan’s Island"),
        ("Cafe\u0301", "Café"),
        ("STRASSE", "Straße"),
    ],
)  # fmt: skip
def test_a_tokenised_title_has_the_key_of_the_pages(given: str, title: str) -> None:
    assert title_key(given) == title_key(title)


@pytest.mark.parametrize(("one", "other"), [("C++", "C"), ("C#", "C"), ("Manila", "Manilas")])
def test_different_titles_have_different_keys(one: str, other: str) -> None:
    assert title_key(one) != title_key(other)


def test_a_disambiguator_is_the_last_parenthesis() -> None:
    assert base_key(title_key("Head VI (painting)")) == title_key("Head VI")
    assert base_key(title_key("(parenthesis)")) == title_key("(parenthesis)")
    assert plain_title("Temple ( Eugene , Oregon )") == "Temple (Eugene, Oregon)"


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "<unk>"]), max_size=60), st.data())
@settings(deadline=None)
def test_overlap_is_that_of_sets_of_tuples(reference: list[str], data: st.DataObject) -> None:
    text = data.draw(st.lists(st.sampled_from("abcde"), max_size=60))
    index = NgramIndex.build([" ".join(reference)], ngram=3, unit="words")
    (found,) = index.overlaps([" ".join(text)])
    known = {tuple(reference[i : i + 3]) for i in range(len(reference) - 2)}
    known = {ngram for ngram in known if "<unk>" not in ngram}
    mine = [tuple(text[i : i + 3]) for i in range(len(text) - 2)]
    assert index.num_ngrams.tolist() == [len(known)]
    assert found.num_ngrams == len(mine)
    assert found.num_shared == sum(ngram in known for ngram in mine)
    assert sum(found.by_reference.values()) == len(known & set(mine))


def test_an_index_is_the_same_after_saving_and_for_any_batching(tmp_path: Path) -> None:
    texts = [prose(n % 3, 2000) for n in range(120)]
    index = NgramIndex.build([prose(1, 2000), prose(2, 1000)], ngram=13, unit="words")
    index.save(tmp_path / "i.npz")
    loaded = NgramIndex.load(tmp_path / "i.npz")
    together = list(loaded.overlaps(texts))
    assert together == [next(iter(index.overlaps([text]))) for text in texts]
    assert together[1].by_reference == {0: index.num_ngrams[0]}


def test_no_reference_no_overlap() -> None:
    (found,) = NgramIndex.build([], ngram=13, unit="words").overlaps([prose(1)])
    assert (found.num_shared, found.by_reference) == (0, {})


@pytest.mark.parametrize(
    "text", ["Low @-@ pass 2 @,@ 345 Anna 's ( sic )", "low-pass 2,345 Anna's"]
)
def test_punctuation_and_case_do_not_count(text: str) -> None:
    assert split_units(text, "words")[:6] == ["low", "pass", "2", "345", "anna", "s"]


FORMULA = " = 1 <unk> / s and a nominal <unk> k = "


def test_articles_begin_with_titles_between_blank_lines() -> None:
    text = (
        "preface\n\n = One = \n \n text\n = = Section = = \n of\n" + FORMULA + "\n one\n \n \n"
        " = Two = \n\n = = = Deep = = = \n"
    )
    found = list(split_articles(text.split("\n")))
    assert [article.title for article in found] == ["", "One", "Two"]
    assert FORMULA in found[1].text


def test_titles_are_found_without_blank_lines_too() -> None:
    found = split_articles([" = One = ", " text", " = Two = ", " more"])
    assert [article.title for article in found] == ["One", "Two"]


@pytest.mark.parametrize("ends", ["", "\n"])
def test_tables_of_lines_give_what_the_text_gives(tmp_path: Path, ends: str) -> None:
    text = wikitext(("One", prose(1)), ("Two", prose(2)))
    (tmp_path / "test.txt").write_text(text)
    rows = [line + ends for line in text.split("\n")]
    pq.write_table(pa.table({"text": rows}), tmp_path / "test-00000-of-00001.parquet")
    files = reference_files(tmp_path)
    assert len(files) == 2
    assert read_references(files[0]) == read_references(files[1])


def test_a_table_may_hold_an_article_a_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"title": ["A", None], "text": ["x", "y"]}), tmp_path / "t.parquet")
    found = read_references(tmp_path / "t.parquet")
    assert found == [ReferenceArticle("A", "x"), ReferenceArticle("", "y")]


def test_training_files_of_a_directory_are_left_alone(tmp_path: Path) -> None:
    for name in ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens", "README.md"):
        (tmp_path / name).write_text(wikitext(("One", "x")))
    assert [path.name for path in reference_files(tmp_path)] == [
        "wiki.test.tokens", "wiki.valid.tokens"
    ]  # fmt: skip


def write_bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content", [b"text \xff\xfe\xfa", b"PAR1 and no more", b"PAR1" + bytes(100) + b"PAR1"]
)
def test_a_damaged_reference_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CorruptInputError, match="held-out"):
        read_references(write_bytes(tmp_path / "held-out.txt", content))


def test_a_table_without_texts_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"words": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(CorruptInputError, match="words"):
        read_references(tmp_path / "t.parquet")


# The stage.


class CorpusConfig(StageConfig):
    shards: tuple[tuple[tuple[str, str], ...], ...]
    has_sections: bool = False


def write_corpus(*, config: CorpusConfig, out: Build) -> None:
    schema = ARTICLES_SCHEMA.append(SECTIONS_FIELD) if config.has_sections else ARTICLES_SCHEMA
    first = 1
    for number, articles in enumerate(config.shards):
        name = f"articles-{number:05d}-of-{len(config.shards):05d}"
        rows = [
            {"id": first + i, "revid": 7, "url": "u", "title": title, "text": text,
             "sections": [{"level": 0, "title": "", "start": 0}]}
            for i, (title, text) in enumerate(articles)
        ]  # fmt: skip
        first += len(rows)
        table = pa.Table.from_pylist(rows, schema=schema)

        def write(directory: Path, name: str = name, table: pa.Table = table) -> ShardOutcome:
            write_table(directory / f"{name}.parquet", table)
            return ShardOutcome(rows=len(table))

        out.publish(name, write)
    out.write_index("siteinfo.json", Site(lang="en").to_json())


ARTICLES = Stage(name="articles", version=1, format="t", packages=(), write=write_corpus)
SHARDS = (
    (("Unrelated", OTHER), ("Held 1", "short"), ("Renamed", prose(2))),
    (("Other", prose(900)), ("Quoting", OTHER + QUOTE)),
    (("Held 3", prose(3)),),
)


@pytest.fixture
def exclude(tmp_path: Path, make_store: Callable[..., Store]) -> Callable[..., Artifact]:
    def run(
        shards: Sequence[Sequence[tuple[str, str]]] = SHARDS,
        *,
        reference: str | None = None,
        num_workers: int = 1,
        home: str = "home",
        has_sections: bool = False,
        has_notes: bool = False,
        **config: Any,
    ) -> Artifact:
        store = make_store(num_workers, home)
        given = CorpusConfig(shards=tuple(map(tuple, shards)), has_sections=has_sections)
        articles = store.open_or_build(ARTICLES, given, {}).artifact
        held_out = [(f"Held {n}", with_unknowns(tokenised(prose(n)), 40)) for n in range(5)]
        path = tmp_path / "held-out"
        path.mkdir(exist_ok=True)
        (path / "LICENSE.txt").write_text(OTHER if has_notes else "")
        (path / "test.txt").write_text(wikitext(*held_out) if reference is None else reference)
        inputs = {"articles": articles, "reference": open_source(store, path).artifact}
        return store.open_or_build(EXCLUSION, ExclusionConfig(**config), inputs).artifact

    return run


def lines_of(artifact: Artifact, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in artifact.file(name).read_text().splitlines()]


def titles_of(artifact: Artifact) -> list[str]:
    paths = artifact.files("articles-*.parquet")
    return [title for path in paths for title in pq.read_table(path)["title"].to_pylist()]


def test_the_stage_lists_what_it_removed(exclude: Callable[..., Artifact]) -> None:
    artifact = exclude()
    assert titles_of(artifact) == ["Unrelated", "Other", "Quoting"]
    removed = lines_of(artifact, "removed.jsonl")
    found = [(i["id"], i["title"], i["reason"], i["reference"]) for i in removed]
    assert found == [
        (2, "Held 1", "title", "Held 1"),
        (3, "Renamed", "overlap", "Held 2"),
        (6, "Held 3", "title", "Held 3"),
    ]
    assert [item["overlap"] > 0.5 for item in removed] == [False, True, True]
    references = lines_of(artifact, "references.jsonl")
    assert [item["num_removed"] for item in references] == [0, 1, 1, 1, 0]
    assert artifact.dropped == {"excluded_title": 2, "excluded_overlap": 1}
    counts = artifact.counts
    assert (counts["records_in"], counts["records_out"], counts["rows"]) == (6, 3, 3)
    assert (counts["num_references"], counts["num_references_found"]) == (5, 3)
    assert counts["language.en"] == 3
    assert {"README.md", "statistics.json"} <= {entry.name for entry in artifact.manifest.extras}
    assert artifact.file("siteinfo.json").is_file()


def test_notes_beside_the_reference_are_not_held_out(exclude: Callable[..., Artifact]) -> None:
    assert titles_of(exclude(has_notes=True)) == ["Unrelated", "Other", "Quoting"]


def test_workers_change_no_byte(exclude: Callable[..., Artifact]) -> None:
    assert exclude(num_workers=2, home="a").digest == exclude(home="b").digest


def test_columns_that_were_asked_for_stay(exclude: Callable[..., Artifact]) -> None:
    artifact = exclude(has_sections=True)
    for path in artifact.files("articles-*.parquet"):
        assert pq.read_schema(path).equals(ARTICLES_SCHEMA.append(SECTIONS_FIELD))


def test_nothing_found_is_told_and_is_no_error(
    exclude: Callable[..., Artifact], caplog: pytest.LogCaptureFixture
) -> None:
    artifact = exclude(reference=wikitext(("Elsewhere", prose(77)), ("<unk>", prose(78))))
    assert artifact.counts["num_references_found"] == 0
    assert artifact.counts["num_references_untitled"] == 1
    assert artifact.counts["rows"] == 6
    assert artifact.file("removed.jsonl").read_bytes() == b""
    assert any("none of the 2" in record.message for record in caplog.records)


def test_a_corpus_of_nothing_else_fails(exclude: Callable[..., Artifact]) -> None:
    with pytest.raises(CorruptInputError, match="none is left"):
        exclude([[("Held 1", prose(1))]])


@pytest.mark.parametrize("reference", ["", " \n \n"])
def test_an_empty_reference_fails(exclude: Callable[..., Artifact], reference: str) -> None:
    with pytest.raises((CorruptInputError, ConfigError)):
        exclude(reference=reference)


def test_the_same_articles_twice_count_once(exclude: Callable[..., Artifact]) -> None:
    text = wikitext(("Held 1", tokenised(prose(1))))
    assert exclude(reference=text + text).counts["num_references"] == 1


# WikiText itself.


def detokenised(text: str) -> str:
    """WikiText as a reader of Wikipedia sees it, by rule; unknown words become known ones."""
    text = re.sub(r" @([-,.])@ ", r"\1", text)
    text = re.sub(r"^ ?(= )+|( =)+ ?$", "", text, flags=re.MULTILINE)
    text = re.sub(r" ([.,;:)!?]|'s\b)", r"\1", text).replace("( ", "(")
    counter = iter(range(10**9))
    return re.sub("<unk>", lambda _: f"Name{next(counter) % 7919}", text)


@pytest.fixture(scope="module")
def held_out(shared: Path) -> list[ReferenceArticle]:
    folder = shared / "data" / "wikitext2"
    return [article for path in reference_files(folder) for article in read_references(path)]


@pytest.fixture(scope="module")
def wikitext_excluder(held_out: list[ReferenceArticle]) -> Excluder:
    return Excluder.of_articles(held_out, ExclusionConfig(), "en")


def test_wikitext_has_its_articles(held_out: list[ReferenceArticle]) -> None:
    titles = [plain_title(article.title) for article in held_out]
    assert len(titles) == 120
    assert {"Du Fu", "Manila", "M-82 (Michigan highway)", "Come What (ever) May"} <= set(titles)


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_wikitexts_articles_are_found_under_any_name(
    held_out: list[ReferenceArticle], wikitext_excluder: Excluder, share: float
) -> None:
    texts = [edited(detokenised(article.text), share) for article in held_out]
    found = wikitext_excluder.judge(["Renamed"] * len(texts), texts)
    assert [item.reference if item else None for item in found] == list(range(len(texts)))


def test_wikitexts_articles_do_not_exclude_each_other(held_out: list[ReferenceArticle]) -> None:
    half = len(held_out) // 2
    judge = Excluder.of_articles(held_out[:half], ExclusionConfig(), "en").judge
    assert (
        judge(["x"] * half, [detokenised(item.text) for item in held_out[half:]]) == [None] * half
    )
