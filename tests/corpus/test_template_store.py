"""Templates on disk behave as the same templates in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_artifacts import SITE, template

from headrace.corpus.tables import TEMPLATES_SCHEMA, write_rows
from headrace.corpus.template_store import StoredTemplates, TemplateStore, write_template_store
from headrace.corpus.wikitext.templates import Expander, TemplateLibrary, normalise_title

ROWS = [
    template("Greeting", "Hello {{{1|nobody}}}"),
    template("multi word name", "It is {{greeting|you}}!"),
    template("挨拶", "今日は"),
    template("Short", "", redirect="Greeting"),
    template("Longer", "", redirect="short"),
    template("Loop", "", redirect="Loop"),
    template("Astray", "", redirect="Nowhere"),
    template("Empty", ""),
    template("Emoji 😀", "smile"),
]

TITLES = st.lists(
    st.text("ab B_\U0001f600\uffff", min_size=1, max_size=6), max_size=30, unique_by=normalise_title
)


def stored(tmp_path: Path, *shards: list[dict[str, object]]) -> StoredTemplates:
    paths = []
    for number, rows in enumerate(shards):
        paths.append(tmp_path / f"templates-{number:05d}.parquet")
        write_rows(paths[-1], rows, TEMPLATES_SCHEMA)
    write_template_store(paths, tmp_path)
    return StoredTemplates(TemplateStore(tmp_path))


def expand(library: TemplateLibrary, text: str) -> str:
    return Expander(library, SITE, max_expansions=100, max_output_characters=1000).expand(text, "P")


def test_expands_as_a_library_in_memory_does(tmp_path: Path) -> None:
    on_disk = stored(tmp_path, ROWS[:3], [], ROWS[3:])
    in_memory = TemplateLibrary.from_rows(ROWS)
    calls = [
        "greeting|x", "Greeting", "multi_word_name", "Multi word  name", "挨拶", "short|y",
        "Longer|z", "Loop", "Astray", "Empty", "Emoji 😀", "Nothing such",
        "template:greeting|n", "zzz", "AAA",
    ]  # fmt: skip
    for call in calls:
        text = f"a {{{{{call}}}}} b"
        assert expand(on_disk, text) == expand(in_memory, text), call
    assert expand(on_disk, "{{Longer|z}}") == "Hello z"


def test_later_template_of_one_title_counts(tmp_path: Path) -> None:
    rows = [template("Twice", "old"), template("twice", "new")]
    assert expand(stored(tmp_path, rows), "{{twice}}") == "new"


def test_no_templates_at_all(tmp_path: Path) -> None:
    assert expand(stored(tmp_path, []), "a{{no such}}b") == "ab"


@settings(max_examples=30, deadline=None)
@given(titles=TITLES)
def test_every_title_is_found(titles: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = [template(title, f"text {number}") for number, title in enumerate(titles)]
    on_disk = stored(tmp_path_factory.mktemp("store"), rows)
    in_memory = TemplateLibrary.from_rows(rows)
    for title in [*titles, "zz", ""]:
        assert on_disk.resolve(title) == in_memory.resolve(title)
        resolved = on_disk.resolve(title)
        if resolved is not None:
            assert on_disk.body(resolved) == in_memory.body(resolved)
