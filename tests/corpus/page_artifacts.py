"""Artifacts of the pages and articles stages, made without a dump."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.artifacts import Artifact, Build, ShardOutcome, Stage, Store
from headrace.config import StageConfig
from headrace.corpus.pages import Page
from headrace.corpus.site import SITEINFO_NAME, Site
from headrace.corpus.tables import ARTICLES_SCHEMA, PAGES_SCHEMA, TEMPLATES_SCHEMA, write_rows

SITE = Site(
    lang="en", sitename="Wikipedia", base="https://en.example.org/wiki/Main_Page",
    namespaces={"0": "", "6": "File", "10": "Template", "14": "Category"},
)  # fmt: skip


class Given(StageConfig):
    shards: list[list[dict[str, Any]]]
    templates: list[dict[str, Any]]


def _write(*, config: Given, out: Build) -> None:
    for number, rows in enumerate(config.shards):
        name = f"pages-{number:05d}"

        def write(directory: Any, rows: Any = rows, name: str = name) -> ShardOutcome:
            write_rows(directory / f"{name}.parquet", rows, PAGES_SCHEMA)
            return ShardOutcome(rows=len(rows))

        out.publish(name, write)

    def write_templates(directory: Any) -> ShardOutcome:
        path = directory / "templates-00000.parquet"
        write_rows(path, config.templates, TEMPLATES_SCHEMA)
        return ShardOutcome(rows=0)

    out.publish("templates-00000", write_templates)
    out.write_index(SITEINFO_NAME, SITE.to_json())


PAGES_GIVEN = Stage(
    name="pages", version=1, format="headrace.pages/test", packages=(), write=_write
)


def template(title: str, text: str, redirect: str = "") -> dict[str, Any]:
    return {"title": title, "text": text, "redirect": redirect, "offset": 0}


def page(number: int, text: str, title: str | None = None) -> Page:
    name = title or f"Page {number}"
    return Page(id=number, revid=1000 + number, title=name, text=text, offset=100 * number)


def pages_artifact(
    store: Store, shards: Sequence[Sequence[Page]], templates: Sequence[dict[str, Any]] = ()
) -> Artifact:
    names = PAGES_SCHEMA.names
    rows = [[{name: getattr(page, name) for name in names} for page in shard] for shard in shards]
    config = Given(shards=rows, templates=list(templates))
    return store.open_or_build(PAGES_GIVEN, config, {}).artifact


class GivenArticles(StageConfig):
    shards: list[list[dict[str, Any]]]


def _write_articles(*, config: GivenArticles, out: Build) -> None:
    for number, rows in enumerate(config.shards):
        name = f"articles-{number:05d}-of-{len(config.shards):05d}"

        def write(directory: Any, rows: Any = rows, name: str = name) -> ShardOutcome:
            write_rows(directory / f"{name}.parquet", rows, ARTICLES_SCHEMA)
            return ShardOutcome(rows=len(rows))

        out.publish(name, write)
    out.write_index(SITEINFO_NAME, SITE.to_json())


ARTICLES_GIVEN = Stage(
    name="articles", version=1, format="headrace.articles/test", packages=(), write=_write_articles
)


def article(number: int, text: str, title: str | None = None) -> dict[str, Any]:
    name = title or f"Page {number}"
    url = SITE.article_url(number)
    return {"id": number, "revid": 1000 + number, "url": url, "title": name, "text": text}


def articles_artifact(store: Store, shards: Sequence[Sequence[dict[str, Any]]]) -> Artifact:
    config = GivenArticles(shards=[list(shard) for shard in shards])
    return store.open_or_build(ARTICLES_GIVEN, config, {}).artifact
