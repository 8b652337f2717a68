"""Stage "articles": wikitext to plain text, one job per shard of pages.

Two backends give an article's text behind one function: "native" is Headrace's own cleaner
(`corpus.wikitext`), "wikiextractor" runs that program as a supervised child. Every page that goes
in comes out, is dropped as "empty_article", or is quarantined with the reason, its title, its id
and its offset in the dump. Template pages of the dump are prepared once for all workers.

Cost beside the backend: about 5 ms per MB of wikitext, most of it compression.
"""

from __future__ import annotations

import functools
import html
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from headrace.artifacts import Artifact, Build, Quarantined, ShardJob, ShardOutcome, Stage
from headrace.artifacts.measures import Measure
from headrace.corpus.articles_config import ArticlesConfig
from headrace.corpus.columns import TextColumn, integer_column
from headrace.corpus.extraction import Extraction
from headrace.corpus.pages import Page, quarantine_limit
from headrace.corpus.site import SITEINFO_NAME, Site, load_site
from headrace.corpus.tables import (
    ARTICLES_SCHEMA,
    SECTIONS_FIELD,
    iter_tuples,
    num_rows,
    write_table,
)
from headrace.corpus.wikiextractor import WIKIEXTRACTOR_COMMAND, extract_texts, write_templates
from headrace.errors import CorruptInputError

if TYPE_CHECKING:
    from headrace.corpus.wikitext.cleaner import Section

__all__ = [
    "ARTICLES",
    "Article",
    "ArticlesConfig",
    "ExtractedPages",
    "extract_articles",
    "tidy_text",
    "write_articles",
]

# Level 1: 340 MB/s instead of 120, for files a tenth larger.
_ZSTD_LEVEL = 1
_PAGE_COLUMNS = ("id", "revid", "title", "text", "offset")
_TEMPLATES_PREFIX = "templates-"
# With the semicolon only: "AT&T" and "a&copy=1" are text, not entities.
_ENTITY = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});")
# "\t" is left to the line's inner spacing; lone surrogates come from references like "&#xD800;".
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Article:
    """An article's text.

    Attributes:
        id: page id.
        revid: revision id.
        url: address of the page by its id.
        title: without namespace.
        text: paragraphs and other blocks joined by single newlines; never blank.
        sections: where its sections begin; () of backend "wikiextractor".
    """

    id: int
    revid: int
    url: str
    title: str
    text: str
    sections: Sequence[Section] = ()


@dataclass(frozen=True)
class ExtractedPages:
    """What became of some pages, in their order.

    Attributes:
        articles: those with text.
        empty: pages of which no text is left.
        quarantined: pages that the backend could not cope with.
    """

    articles: list[Article]
    empty: list[Page]
    quarantined: list[Quarantined]

    @property
    def num_empty(self) -> int:
        """Pages of which no text is left."""
        return len(self.empty)


def tidy_text(text: str) -> str:
    """Bring wikiextractor's text to one form: a paragraph a line, no blank lines or stray entities.

    Entities that are left are decoded once, control characters removed, lone surrogates replaced
    by U+FFFD. Unicode is not normalised: MediaWiki stores NFC. (The native cleaner's text is in
    this form already.)
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
    templates: Path | None = None,
    source: str = "pages",
    max_failures: int | None = None,
    command: Sequence[str] = WIKIEXTRACTOR_COMMAND,
) -> ExtractedPages:
    """Extract the text of `pages`, in their order.

    Args:
        pages: with distinct ids.
        config: settings.
        site: gives the urls.
        scratch: an existing directory for the files of backend "wikiextractor" while it works.
        templates: what `prepare_templates` made of the dump's templates; None for none.
        source: what quarantine records name as the source of a bad page.
        max_failures: bad pages after which to give up; None for no limit.
        command: the program of backend "wikiextractor".

    Raises:
        ProcessFailedError: the backend does not work at all.
        TooManyDropsError: more than `max_failures` pages are bad.
    """
    if config.backend == "native":
        # Here: a run that finds everything in the store does not need the cleaner.
        from headrace.corpus.page_cleaning import clean_pages, open_cleaner

        extraction = clean_pages(
            pages,
            open_cleaner(site, config.cleaner_options(), templates),
            max_page_seconds=config.max_page_seconds,
            max_failures=max_failures,
        )
        return _sort_out(pages, extraction, site, source)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="extract-") as own:
        extraction = extract_texts(
            pages,
            scratch=Path(own),
            max_page_seconds=config.max_page_seconds,
            templates=templates,
            max_failures=max_failures,
            command=command,
        )
    texts = {page_id: tidy_text(text) for page_id, text in extraction.texts.items()}
    return _sort_out(pages, replace(extraction, texts=texts), site, source)


def _sort_out(
    pages: Sequence[Page], extraction: Extraction, site: Site, source: str
) -> ExtractedPages:
    found = ExtractedPages(articles=[], empty=[], quarantined=[])
    for page in pages:
        if page.id in extraction.failures:
            reason, words = extraction.failures[page.id]
            found.quarantined.append(_quarantine(page, reason, words, source))
            continue
        text = extraction.texts[page.id]
        if not text or text.isspace():
            found.empty.append(page)
            continue
        found.articles.append(
            Article(
                id=page.id,
                revid=page.revid,
                url=site.article_url(page.id),
                title=page.title,
                text=text,
                sections=extraction.sections.get(page.id, ()),
            )
        )
    return found


def _quarantine(page: Page, reason: str, words: str, source: str) -> Quarantined:
    why = f" ({words[:160]})" if words else ""
    excerpt = f"title {page.title!r}, id {page.id}{why}: {page.text[:500]}"
    return Quarantined(source=source, offset=page.offset, reason=reason, excerpt=excerpt)


def _articles_table(articles: Sequence[Article], *, with_sections: bool) -> pa.Table:
    schema = ARTICLES_SCHEMA
    columns = [
        integer_column(article.id for article in articles),
        integer_column(article.revid for article in articles),
        TextColumn.of(article.url for article in articles),
        TextColumn.of(article.title for article in articles),
        TextColumn.of(article.text for article in articles),
    ]
    if with_sections:
        schema = schema.append(SECTIONS_FIELD)
        columns.append(_sections_column([article.sections for article in articles]))
    return pa.table(columns, schema=schema)


def _sections_column(sections: Sequence[Sequence[Section]]) -> pa.Array:
    offsets = [0]
    for some in sections:
        offsets.append(offsets[-1] + len(some))
    flat = [section for some in sections for section in some]
    fields = list(SECTIONS_FIELD.type.value_type)
    values = [pa.array([getattr(item, one.name) for item in flat], one.type) for one in fields]
    structs = pa.StructArray.from_arrays(values, fields=fields)
    offsets_array = pa.array(offsets, pa.int32())
    return pa.ListArray.from_arrays(offsets_array, structs, type=SECTIONS_FIELD.type)


@dataclass(frozen=True)
class _Job:
    """Everything one shard's job needs, in any process."""

    pages_path: Path
    name: str
    site: Site
    config: ArticlesConfig
    workdir: Path
    templates: Path | None
    max_failures: int


def _write_shard(directory: Path, job: _Job) -> ShardOutcome:
    from headrace.corpus.statistics import CorpusStatistics, DropExamples

    pages = [Page(*values) for values in iter_tuples(job.pages_path, _PAGE_COLUMNS)]
    extracted = extract_articles(
        pages,
        job.config,
        site=job.site,
        scratch=job.workdir,
        templates=job.templates,
        source=job.pages_path.name,
        max_failures=job.max_failures,
    )
    table = _articles_table(extracted.articles, with_sections=job.config.sections)
    write_table(directory / f"{job.name}.parquet", table, compression_level=_ZSTD_LEVEL)
    statistics, examples = CorpusStatistics(), DropExamples()
    for article in extracted.articles:  # as a column they would cost the import of pyarrow.compute
        statistics.add(article.text, job.site.lang)
    for page in extracted.empty:
        examples.add("empty_article", title=page.title, id=page.id, offset=page.offset)
    return ShardOutcome(
        rows=len(table),
        counts={"records_in": len(pages), "records_out": len(table)} | statistics.counts(),
        dropped={"empty_article": extracted.num_empty} if extracted.empty else {},
        quarantined=extracted.quarantined,
        carry=examples.to_carry() or None,
    )


@contextmanager
def prepare_templates(
    shards: Sequence[Path], config: ArticlesConfig, workdir: Path
) -> Iterator[Path | None]:
    """Bring the dump's templates into the form that the backend reads; removed at the end.

    Args:
        shards: `templates-*.parquet`.
        config: says whether templates are wanted, and for which backend.
        workdir: an existing directory.

    Yields:
        A directory ("native") or file ("wikiextractor"); None where there are no templates.
    """
    for left_over in workdir.glob(f"{_TEMPLATES_PREFIX}*"):
        shutil.rmtree(left_over)
    if not config.expand_templates or not num_rows(shards):
        yield None
        return
    with tempfile.TemporaryDirectory(dir=workdir, prefix=_TEMPLATES_PREFIX) as name:
        directory = Path(name)
        if config.backend == "native":
            from headrace.corpus.page_cleaning import open_cleaner
            from headrace.corpus.template_store import write_template_store

            write_template_store(shards, directory)
            try:
                yield directory
            finally:
                # A cleaner of this very process would keep the files' space in use.
                open_cleaner.cache_clear()
        else:
            path = directory / "templates.xml"
            columns = ("title", "text", "redirect")
            write_templates(path, (row for shard in shards for row in iter_tuples(shard, columns)))
            yield path


def write_articles(*, pages: Artifact, config: ArticlesConfig, out: Build) -> None:
    """Write the text of each page.

    Args:
        pages: output of the pages stage.
        config: settings.
        out: receives `articles-00000-of-0000N.parquet` (id int64, revid int64, url, title, text:
            blocks joined by newlines; with `sections` also sections: list of level int8, title,
            start int32), one per shard of pages, and `siteinfo.json`; as extras statistics and a
            dataset card.

    Raises:
        ProcessFailedError: the program of backend "wikiextractor" does not work at all.
        TooManyDropsError: too many pages cannot be cleaned.
        CorruptInputError: no page has any text.
    """
    from headrace.corpus.statistics import wikipedia_card, write_statistics

    site = load_site(pages)
    shards = pages.files("pages-*.parquet")
    num_pages = num_rows(shards)
    limit = quarantine_limit(config.max_quarantined_fraction, num_pages)
    out.drop_limit(limit)
    names = [f"articles-{number:05d}-of-{len(shards):05d}" for number in range(len(shards))]
    is_needed = any(out.finished(name) is None for name in names)
    template_shards = pages.files("templates-*.parquet") if is_needed else []
    with prepare_templates(template_shards, config, out.workdir) as templates:
        make_job = functools.partial(
            _Job,
            site=site,
            config=config,
            workdir=out.workdir,
            templates=templates,
            # A thousandth: 49 times 1/49 is less than 1.
            max_failures=int(limit * num_pages + 1e-3),
        )
        jobs = [
            ShardJob(name=name, function=_write_shard, args=(make_job(path, name),))
            for path, name in zip(shards, names, strict=True)
        ]
        records = out.run_shards(jobs, unit="articles")
    if not any(record.rows for record in records):
        raise CorruptInputError(
            f"{pages.path}: at least one article with text was expected; none of {num_pages} pages "
            "has any: look at the dump"
        )
    out.write_index(SITEINFO_NAME, site.to_json())
    card = wikipedia_card(site, _DESCRIPTION.format(kept=config.describe_kept()))
    write_statistics(out, records, replace(card, source=_describe_source(card.source, pages)))


_DESCRIPTION = (
    "Articles as plain text, one a row: {kept}. Most text is also under the GNU Free Documentation "
    "License; a page's history says where it is not."
)


def _describe_source(name: str, pages: Artifact) -> str:
    """Names the dump by what its bytes give, since the same wiki has a dump every few weeks."""
    link = pages.manifest.inputs.get("source")
    return f"{name}, dump {link.stage}/{link.key[:12]}" if link else name


def _kind(config: ArticlesConfig) -> str:
    return config.backend


ARTICLES = Stage(
    name="articles",
    version=2,
    format="headrace.articles/1",
    packages=("pyarrow",),
    write=write_articles,
    measure=Measure(start_seconds=0.8, kind=_kind),
)
