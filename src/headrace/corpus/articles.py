"""Stage "articles": wikitext to plain text, one job per shard of pages.

Backend "wikiextractor" runs that program as a supervised child (`corpus.wikiextractor`). Whatever
the backend, an article's text is brought to one form by `tidy_text`, and every page that goes in
comes out, is dropped as "empty_article", or is quarantined with the reason.
"""

from __future__ import annotations

import html
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from headrace.artifacts import Artifact, Build, Quarantined, ShardJob, ShardOutcome, Stage
from headrace.artifacts.measures import Measure
from headrace.config import StageConfig
from headrace.corpus.pages import Page, quarantine_limit
from headrace.corpus.site import SITEINFO_NAME, Site, load_site
from headrace.corpus.tables import ARTICLES_SCHEMA, iter_rows, num_rows, write_rows
from headrace.corpus.wikiextractor import WIKIEXTRACTOR_COMMAND, extract_texts
from headrace.errors import CorruptInputError

# With the semicolon only: "AT&T" and "a&copy=1" are text, not entities.
_ENTITY = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});")
# "\t" is left to the line's inner spacing; lone surrogates come from references like "&#xD800;".
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class ArticlesConfig(StageConfig):
    """Settings of extraction."""

    backend: Literal["wikiextractor"] = Field(
        default="wikiextractor", description="what turns wikitext into text"
    )
    max_page_seconds: float = Field(
        default=60.0,
        gt=0,
        description="seconds without progress after which the page being worked on counts as "
        "hung; ordinary pages take milliseconds",
    )
    max_quarantined_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the pages that may crash or hang the extractor before the stage "
        "fails; a single one is always let pass unless this is 0",
    )


@dataclass(frozen=True, slots=True)
class Article:
    """An article's text.

    Attributes:
        id: page id.
        revid: revision id.
        url: address of the page by its id.
        title: without namespace.
        text: paragraphs joined by single newlines; never blank.
    """

    id: int
    revid: int
    url: str
    title: str
    text: str


@dataclass(frozen=True)
class ExtractedPages:
    """What became of some pages, in their order.

    Attributes:
        articles: those with text.
        num_empty: pages of which no text is left.
        quarantined: pages that the backend could not cope with.
    """

    articles: list[Article]
    num_empty: int
    quarantined: list[Quarantined]


def tidy_text(text: str) -> str:
    """Bring extracted text to one form: a paragraph a line, no blank lines, no stray entities.

    Entities that are left are decoded once, control characters removed, lone surrogates replaced
    by U+FFFD. Unicode is not normalised: MediaWiki stores NFC, and the byte-level tokenizers here
    take text as it is.
    """
    text = _ENTITY.sub(lambda match: html.unescape(match.group()), text)
    text = _CONTROL.sub("", _SURROGATE.sub("\ufffd", text))
    lines = (line.strip() for line in text.replace("\r\n", "\n").split("\n"))
    return "\n".join(line for line in lines if line)


def extract_articles(
    pages: Sequence[Page],
    config: ArticlesConfig,
    *,
    site: Site,
    scratch: Path,
    source: str = "pages",
    max_failures: int | None = None,
    command: Sequence[str] = WIKIEXTRACTOR_COMMAND,
) -> ExtractedPages:
    """Extract the text of `pages`, in their order.

    Args:
        pages: with distinct ids.
        config: settings.
        site: gives the urls.
        scratch: an existing, empty directory.
        source: what quarantine records name as the source of a bad page.
        max_failures: bad pages after which to give up; None for no limit.
        command: the program of the backend.

    Raises:
        ProcessFailedError: the backend does not work at all.
        TooManyDropsError: more than `max_failures` pages are bad.
    """
    extraction = extract_texts(
        pages,
        scratch=scratch,
        max_page_seconds=config.max_page_seconds,
        max_failures=max_failures,
        command=command,
    )
    articles: list[Article] = []
    quarantined: list[Quarantined] = []
    num_empty = 0
    for page in pages:
        if page.id in extraction.failures:
            quarantined.append(_quarantine(page, *extraction.failures[page.id], source))
            continue
        text = tidy_text(extraction.texts[page.id])
        if not text:
            num_empty += 1
            continue
        url = site.article_url(page.id)
        articles.append(Article(id=page.id, revid=page.revid, url=url, title=page.title, text=text))
    return ExtractedPages(articles=articles, num_empty=num_empty, quarantined=quarantined)


def _quarantine(page: Page, reason: str, last_words: str, source: str) -> Quarantined:
    why = f" ({last_words[:160]})" if last_words else ""
    excerpt = f"title {page.title!r}, id {page.id}{why}: {page.text}"
    return Quarantined(source=source, offset=page.offset, reason=reason, excerpt=excerpt)


@dataclass(frozen=True)
class _Job:
    """Everything one shard's job needs, in any process."""

    pages_path: str
    name: str
    site: Site
    config: ArticlesConfig
    workdir: str
    max_failures: int


def _write_shard(directory: Path, job: _Job) -> ShardOutcome:
    pages = [Page(**row) for row in iter_rows(Path(job.pages_path))]
    with tempfile.TemporaryDirectory(dir=job.workdir, prefix="extract-") as scratch:
        extracted = extract_articles(
            pages,
            job.config,
            site=job.site,
            scratch=Path(scratch),
            source=Path(job.pages_path).name,
            max_failures=job.max_failures,
        )
    rows = [asdict(article) for article in extracted.articles]
    write_rows(directory / f"{job.name}.parquet", rows, ARTICLES_SCHEMA)
    return ShardOutcome(
        rows=len(rows),
        counts={"records_in": len(pages), "records_out": len(rows)},
        dropped={"empty_article": extracted.num_empty} if extracted.num_empty else {},
        quarantined=extracted.quarantined,
    )


def write_articles(*, pages: Artifact, config: ArticlesConfig, out: Build) -> None:
    """Write the text of each page.

    Args:
        pages: output of the pages stage.
        config: settings.
        out: receives `articles-00000-of-0000N.parquet` (id int64, revid int64, url, title, text:
            paragraphs joined by newlines), one per shard of pages, and `siteinfo.json`.

    Raises:
        ProcessFailedError: the extractor does not work at all.
        TooManyDropsError: too many pages crash or hang it.
        CorruptInputError: no page has any text.
    """
    site = load_site(pages)
    shards = pages.files("pages-*.parquet")
    num_pages = num_rows(shards)
    limit = quarantine_limit(config.max_quarantined_fraction, num_pages)
    out.drop_limit(limit)
    jobs = []
    for number, path in enumerate(shards):
        name = f"articles-{number:05d}-of-{len(shards):05d}"
        job = _Job(
            pages_path=str(path),
            name=name,
            site=site,
            config=config,
            workdir=str(out.workdir),
            max_failures=int(limit * num_pages),
        )
        jobs.append(ShardJob(name=name, function=_write_shard, args=(job,)))
    records = out.run_shards(jobs, unit="articles")
    if not any(record.rows for record in records):
        raise CorruptInputError(
            f"{pages.path}: at least one article with text was expected; none of {num_pages} pages "
            "has any: look at the dump"
        )
    out.write_index(SITEINFO_NAME, site.to_json())


ARTICLES = Stage(
    name="articles",
    version=1,
    format="headrace.articles/1",
    packages=("wikiextractor", "pyarrow"),
    write=write_articles,
    measure=Measure(start_seconds=0.8),
)
