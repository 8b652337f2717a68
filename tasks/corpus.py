"""From a raw dump to documents in splits."""

from __future__ import annotations

from typing import Any

from headrace.artifacts import InputLink
from headrace.corpus.articles import ARTICLES, ArticlesConfig
from headrace.corpus.exclusion import EXCLUSION, ExclusionConfig
from headrace.corpus.pages import PAGES, PagesConfig
from headrace.corpus.sentences import SENTENCES, SentencesConfig
from headrace.corpus.splits import SPLITS, SplitsConfig
from tasks.planning import stage_task
from tasks.stage import run_source, run_stage


@stage_task
def source(path: str) -> Any:
    """Take a raw input (a path, a URL, a wiki's dump) in by the sha256 of its bytes."""
    return run_source(path)


@stage_task
def held_out_source(path: str) -> Any:
    """Take in the texts whose articles are to be left out."""
    return run_source(path, step="held_out_source")


@stage_task
def pages(source: InputLink, config: PagesConfig) -> Any:
    """Read the pages of a Wikimedia dump."""
    return run_stage(PAGES, config, {"source": source})


@stage_task
def articles(pages: InputLink, config: ArticlesConfig) -> Any:
    """Turn wikitext into the text that a reader sees."""
    return run_stage(ARTICLES, config, {"pages": pages})


@stage_task
def exclusion(articles: InputLink, reference: InputLink, config: ExclusionConfig) -> Any:
    """Take the articles of a held-out set out of the corpus."""
    return run_stage(EXCLUSION, config, {"articles": articles, "reference": reference})


@stage_task
def sentences(articles: InputLink, config: SentencesConfig) -> Any:
    """Split paragraphs into sentences, one a line."""
    return run_stage(SENTENCES, config, {"articles": articles})


@stage_task
def splits(sentences: InputLink, config: SplitsConfig) -> Any:
    """Deal the documents out to train, valid and test."""
    return run_stage(SPLITS, config, {"sentences": sentences})
