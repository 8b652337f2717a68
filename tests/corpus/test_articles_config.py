"""Settings of extraction: what is kept, and what each backend can do."""

from __future__ import annotations

import pytest

from headrace.artifacts.fingerprint import package_versions
from headrace.config import parse_config
from headrace.corpus.articles_config import CONSTRUCTS, DEFAULT_KEEP, ArticlesConfig
from headrace.corpus.wikitext import cleaner
from headrace.errors import ConfigError


def parse(**values: object) -> ArticlesConfig:
    return parse_config(ArticlesConfig, values, source="test")


def test_names_and_defaults_are_those_of_the_cleaner() -> None:
    assert CONSTRUCTS == cleaner.KEEPABLE
    assert frozenset(DEFAULT_KEEP) == cleaner.DEFAULT_KEEP
    assert ArticlesConfig().cleaner_options() == cleaner.CleanerOptions()


@pytest.mark.parametrize(
    ("keep", "drop", "kept"),
    [
        ([], [], {"paragraphs", "headings", "lists"}),
        ("lists,tables", [], {"paragraphs", "headings", "lists", "tables"}),
        (" tables , captions ,", "", {"paragraphs", "headings", "lists", "tables", "captions"}),
        (["code"], "lists,headings", {"paragraphs", "code"}),
        ({"tables"}, {"paragraphs", "headings", "lists"}, {"tables"}),
        ("", "headings", {"paragraphs", "lists"}),
    ],
)
def test_kept_constructs(keep: object, drop: object, kept: set[str]) -> None:
    config = parse(keep=keep, drop=drop)
    assert config.kept() == kept
    assert config.cleaner_options().keep == kept


def test_order_and_spelling_of_names_are_no_part_of_identity() -> None:
    found = [parse(keep=keep) for keep in ("tables,code", "code,tables,code", ["code", "tables"])]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"keep": "tabels"}, "tabels"),
        ({"keep": ["tables", "infobox"]}, "infobox"),
        ({"keep": 3}, "keep"),
        ({"keep": "tables", "drop": "tables"}, "tables"),
        ({"drop": "paragraphs,headings,lists"}, "nothing is kept"),
        ({"math": "mathml"}, "math"),
        ({"max_page_seconds": 0}, "max_page_seconds"),
        ({"max_expansions": 0}, "max_expansions"),
        ({"wikiextractor_version": "3.1.0"}, "backend=wikiextractor"),
        ({"backend": "wikiextractor", "wikiextractor_version": "0.1"}, "0.1"),
        ({"backend": "wikiextractor", "keep": "lists"}, "keep=lists"),
        ({"backend": "wikiextractor", "drop": "headings"}, "drop=headings"),
        ({"backend": "wikiextractor", "sections": True}, "sections=true"),
        ({"backend": "wikiextractor", "math": "drop"}, "math=drop"),
        ({"backend": "wikiextractor", "keep_empty_sections": False}, "keep_empty_sections"),
        ({"backend": "wikiextractor", "max_expansions": 7}, "max_expansions=7"),
    ],
)
def test_what_cannot_be_is_refused_in_words(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse(**values)
    assert "\n" not in str(caught.value)


def test_version_of_the_program_is_identity_of_its_backend_alone() -> None:
    config = parse(backend="wikiextractor", expand_templates=False, max_page_seconds=5)
    installed = package_versions(("wikiextractor",))["wikiextractor"]
    assert config.wikiextractor_version == installed
    assert ArticlesConfig().wikiextractor_version is None
    for again in (config, ArticlesConfig(keep=("tables",))):
        assert ArticlesConfig(**again.model_dump(mode="json")) == again


def test_program_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_names: object) -> None:
        raise ConfigError("package 'wikiextractor' is not installed")

    monkeypatch.setattr("headrace.corpus.articles_config.package_versions", missing)
    assert parse().backend == "native"
    with pytest.raises(ConfigError, match="not installed"):
        parse(backend="wikiextractor")
