"""Statistics and dataset cards: counts that add up however made, cards that others can read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.artifacts import Artifact, Build, NoConfig, Runtime, ShardOutcome, Stage, Store
from headrace.artifacts.files import read_json
from headrace.corpus.dataset_card import data_patterns, render_card
from headrace.corpus.site import Site
from headrace.corpus.statistics import (
    CorpusStatistics,
    DatasetCard,
    DropExamples,
    length_bound,
    wikipedia_card,
    write_statistics,
)
from headrace.corpus.tables import ARTICLES_SCHEMA, write_rows
from headrace.counts import (
    TextCounts,
    describe_texts,
    plain_counts,
    read_text_counts,
    summary_rows,
)

CODES = st.sampled_from(["", "en", "ja", "zh-yue", "x" * 60, "a\nb"])
TEXTS = st.lists(st.tuples(st.text(max_size=40), CODES))


def add_counts(*parts: dict[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, num in part.items():
            total[name] = total.get(name, 0) + num
    return {name: num for name, num in total.items() if num}


@settings(deadline=None)  # the first import of pyarrow takes its time
@given(TEXTS, st.integers(0, 40))
def test_counts_are_the_same_one_by_one_as_a_column_and_in_parts(
    documents: list[tuple[str, str]], cut: int
) -> None:
    texts, codes = [text for text, _ in documents], [code for _, code in documents]
    one_by_one, column = CorpusStatistics(), CorpusStatistics()
    for text, code in documents:
        one_by_one.add(text, code)
    column.add_column(pa.array(texts, pa.string()), pa.array(codes, pa.string()))
    parts = []
    for some in (documents[:cut], documents[cut:]):
        part = CorpusStatistics()
        for text, code in some:
            part.add(text, code)
        parts.append(part.counts())
    expected = add_counts(one_by_one.counts())
    assert add_counts(column.counts()) == expected
    assert add_counts(*parts) == expected
    assert one_by_one.counts()["num_text_bytes"] == sum(len(text.encode()) for text in texts)
    assert one_by_one.counts()["num_characters"] == sum(map(len, texts))


@pytest.mark.parametrize(
    ("num_bytes", "bound"),
    [(0, 0), (1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (1024, 1024), (1025, 2048),
     ((1 << 40) + 1, 1 << 41)],
)  # fmt: skip
def test_bounds_are_powers_of_two(num_bytes: int, bound: int) -> None:
    assert length_bound(num_bytes) == bound


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_a_column_may_have_any_string_type_chunks_and_nulls(kind: pa.DataType) -> None:
    statistics = CorpusStatistics()
    chunks = [pa.array(["é", None], kind), pa.array([], kind), pa.array(["", "abc"], kind)]
    statistics.add_column(pa.chunked_array(chunks), pa.array(["fr", "fr", None, "en"], kind))
    assert statistics.counts() == {
        "num_characters": 4, "num_text_bytes": 5, "language.en": 1, "language.fr": 1,
        "length.0": 1, "length.2": 1, "length.4": 1,
    }  # fmt: skip


def test_languages_are_bounded() -> None:
    statistics = CorpusStatistics()
    for number in range(2000):
        statistics.add("x", f"l{number}")
    counts = statistics.counts()
    assert len(counts) < 600
    assert sum(num for name, num in counts.items() if name.startswith("language.")) == 2000


def test_a_lone_surrogate_is_counted_too() -> None:
    statistics = CorpusStatistics()
    statistics.add("\ud800")
    assert statistics.counts()["num_text_bytes"] == 3


def test_an_empty_shard_says_that_it_was_counted() -> None:
    found = read_text_counts(CorpusStatistics().counts())
    assert found is not None
    assert found.num_documents == 0
    assert summary_rows(CorpusStatistics().counts())


COUNTS = {
    "rows": 6, "records_in": 9, "dropped.empty": 3, "num_characters": 600, "num_text_bytes": 900,
    "language.de": 2, "language.en": 3, "length.128": 4, "length.1024": 2, "length.x": 1,
    "length." + "9" * 5000: 1,
}  # fmt: skip


def test_readers_get_statistics_apart_from_plain_counts() -> None:
    assert set(plain_counts(COUNTS)) == {
        "rows", "records_in", "dropped.empty", "num_characters", "num_text_bytes"
    }  # fmt: skip
    found = read_text_counts(COUNTS)
    assert found is not None
    assert (found.num_documents, found.num_unknown) == (6, 1)
    assert found.lengths == ((128, 4), (1024, 2))
    assert list(found.languages) == ["en", "de"]
    rows = {row["what"]: row for row in summary_rows(COUNTS)}
    assert rows["documents"]["number"] == "6"
    assert rows["language en"]["share"] == "50.0%"
    assert rows["language unknown"]["number"] == "1"
    assert len(rows["up to 128 bytes"]["bar"]) > len(rows["up to 1,024 bytes"]["bar"]) > 0
    words = dict(describe_texts(found))
    assert "128" in words["lengths"]
    assert "1,024" in words["lengths"]
    assert "en 3" in words["languages"]


def test_many_languages_become_a_line_of_others() -> None:
    counts = {f"language.l{n}": 1 for n in range(40)} | {"length.8": 40}
    rows = [row for row in summary_rows(counts) if row["what"].startswith("language")]
    assert len(rows) < 15
    assert sum(int(row["number"]) for row in rows) == 40


def test_counts_without_statistics_have_none() -> None:
    assert read_text_counts({"rows": 3}) is None
    assert summary_rows({"rows": 3}) == []


FOUND = TextCounts(
    num_documents=1500, num_characters=10, num_bytes=12, languages={"en": 3, "zh-yue": 1},
    lengths=((8, 1500),),
)  # fmt: skip


def front_of(text: str) -> dict[str, object]:
    front = text.removeprefix("---\n").partition("\n---\n")[0]
    value = yaml.safe_load(front)
    assert isinstance(value, dict)
    return value


def make_card(title: str = "T", licence: str = "mit") -> DatasetCard:
    return DatasetCard(title=title, licence=licence, source="dump", description=f"About {title}")


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=60))
@pytest.mark.parametrize("licence", ["mit", "odd"])
def test_any_title_gives_valid_front_matter(licence: str, title: str) -> None:
    text = render_card(make_card(title, licence), FOUND, ["a-00000.parquet"])
    front = front_of(text.encode().decode())
    assert isinstance(front["pretty_name"], str)
    assert front["size_categories"] == ["1K<n<10K"]


@pytest.mark.parametrize(
    "title",
    [
        "a: b",
        "- x",
        "---",
        "\"q\" 'r'",
        "{{x}}",
        "no",
        "1e3",
        "a ---",
        "日本語 \U0001f600",
        "#x",
        "|",
    ],
)
def test_titles_come_back_as_they_were(title: str) -> None:
    assert front_of(render_card(make_card(title), FOUND, []))["pretty_name"] == title


def test_front_matter_names_licence_languages_and_files() -> None:
    files = ["articles-00000-of-00002.parquet", "articles-00001-of-00002.parquet", "x.jsonl"]
    front = front_of(render_card(make_card(licence="CC-BY-SA-4.0"), FOUND, files))
    assert front["license"] == "cc-by-sa-4.0"
    assert front["language"] == ["en"]
    assert front["language_bcp47"] == ["zh-yue"]
    assert front["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "articles-*.parquet"}]}
    ]


def test_a_licence_unknown_to_the_hub_is_named_as_other() -> None:
    card = DatasetCard(
        title="t", licence="My Own: licence!", licence_url="https://x.y/z", source="s",
        description="d",
    )  # fmt: skip
    front = front_of(render_card(card, FOUND, []))
    assert front["license"] == "other"
    assert front["license_name"] == "my-own-licence"
    assert front["license_link"] == "https://x.y/z"
    assert "configs" not in front


@pytest.mark.parametrize(
    ("names", "globs"),
    [
        ([], {}),
        (["AA/wiki_00"], {}),
        (["code-00000-of-00001.json.gz"], {"train": "code-*.json.gz"}),
        (["lines.json"], {"train": "lines.json"}),
        (["a-00000.parquet", "a-00001.parquet", "list.jsonl"], {"train": "a-*.parquet"}),
        (
            ["test/d-00000-of-00001.parquet", "train/d-00000-of-00002.parquet",
             "valid/d-00000-of-00001.parquet"],
            {name: f"{name}/d-*.parquet" for name in ("test", "train", "valid")},
        ),
    ],
)  # fmt: skip
def test_data_files_are_found_by_their_names(names: list[str], globs: dict[str, str]) -> None:
    assert data_patterns(names) == globs


def write_corpus(*, config: NoConfig, out: Build) -> None:
    def write_shard(directory: Path, number: int) -> ShardOutcome:
        statistics, examples = CorpusStatistics(), DropExamples()
        rows = []
        for i in range(number * 10, number * 10 + 10):
            if i % 2:
                examples.add("odd", title=f"title {i}", id=i, offset=100 * i)
                continue
            rows.append({"id": i, "revid": 1, "url": "u", "title": "t", "text": "x" * (i + 1)})
            statistics.add("x" * (i + 1), "en")
        write_rows(directory / f"articles-{number:05d}-of-00003.parquet", rows, ARTICLES_SCHEMA)
        return ShardOutcome(
            rows=5,
            counts={"records_in": 10, "records_out": 5} | statistics.counts(),
            dropped={"odd": 5},
            carry=examples.to_carry(),
        )

    records = [
        out.publish(f"s{n}", lambda directory, n=n: write_shard(directory, n)) for n in range(3)
    ]
    write_statistics(out, records, wikipedia_card(Site(lang="en", sitename="Wikipedia"), "Texts."))


CORPUS = Stage(name="corpus", version=1, format="t", packages=(), write=write_corpus)


def build(home: Path, **runtime: object) -> Artifact:
    store = Store(Runtime(home=home, num_workers=1, **runtime))  # type: ignore[arg-type]
    return store.open_or_build(CORPUS, NoConfig(), {}).artifact


def test_statistics_lie_beside_the_data_and_add_up(tmp_path: Path) -> None:
    artifact = build(tmp_path)
    value = read_json(artifact.path / "statistics.json")
    assert value["documents"] == artifact.counts["rows"] == 15
    assert value["characters"] == value["bytes"] == sum(range(1, 31, 2))
    assert value["languages"] == {"en": 15}
    assert sum(num for _, num in value["length_bytes"]) == 15
    assert value["dropped"] == {"odd": 15}
    titles = [item["title"] for item in value["drop_examples"]["odd"]]
    assert titles == [f"title {i}" for i in (1, 3, 5, 7, 9)]
    assert {entry.name for entry in artifact.manifest.extras} == {"README.md", "statistics.json"}


def test_the_picture_is_drawn_for_who_looks_on(tmp_path: Path) -> None:
    seen = build(tmp_path / "a", on_plot=lambda _name, _draw: None)
    assert (seen.path / "lengths.png").read_bytes().startswith(b"\x89PNG")
    assert seen.digest == build(tmp_path / "b").digest


def test_the_hub_library_loads_the_folder_by_its_card(tmp_path: Path) -> None:
    from datasets import load_dataset

    artifact = build(tmp_path / "home")
    loaded = load_dataset(str(artifact.path), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["id"][:] == list(range(0, 30, 2))
