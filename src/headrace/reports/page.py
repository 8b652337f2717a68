"""One HTML file that tells all of a run, and loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from headrace import __version__
from headrace.artifacts import Store
from headrace.artifacts.runs import RunRecord
from headrace.reports import corpora, header, origins, results, stages, training
from headrace.reports.contents import Contents, gather
from headrace.reports.markup import Html, tag
from headrace.reports.wording import moment

STYLE = Path(__file__).with_name("style.css")
SECTIONS: tuple[tuple[str, str, str, Callable[[Contents], Html | None]], ...] = (
    ("stages", "Stages", "Stages", stages.stage_table),
    ("times", "Times", "When each ran", stages.stage_times),
    ("drops", "Drops", "Dropped records", stages.drops),
    ("lengths", "Lengths", "Lengths", stages.pictures),
    ("corpus", "Corpus", "What the corpora hold", corpora.corpora),
    ("exclusion", "Exclusion", "Held-out articles taken out", corpora.exclusion),
    ("training", "Training", "Training", training.training),
    ("evaluation", "Perplexity", "Held-out perplexity", results.evaluation),
    ("samples", "Samples", "Samples", results.samples),
    ("parity", "Parity", "Parity of the export", results.parity),
    ("answers", "Triton", "Triton's answers", results.answers),
    ("lineage", "Lineage", "Lineage", origins.lineage),
    ("settings", "Settings", "Settings", origins.settings),
    ("makers", "Origin", "Origin", origins.makers),
)
"""Id, name in the list, title and maker of each section. A maker looks for the files that it can
show in whatever artifacts the run has, and gives None where there are none: it knows no pipeline.
"""

logger = logging.getLogger(__name__)


def render_report(store: Store, record: RunRecord) -> str:
    """The page on a run's newest attempt.

    A part that cannot be shown says so; nothing that lies in an artifact makes this fail. Takes
    some 50 ms, and 3 s for each million lines of a training log.
    """
    contents = gather(store, record)
    top = [
        _guarded("the header", header.header, contents),
        _guarded("the failure", header.failure, contents),
        _guarded("the figures", header.headline, contents),
    ]
    sections = []
    links = []
    for name, short_title, title, make in SECTIONS:
        inner = _guarded(title, make, contents)
        if inner:
            links.append(tag("a", short_title, href=f"#{name}"))
            sections.append(tag("section", tag("h2", title), inner, id=name))
    nav = tag("nav", links, aria_label="sections") if links else None
    body = tag(
        "body",
        tag("main", top, nav, sections),
        tag("footer", f"Written by headrace {__version__} on {moment(time.time())}."),
    )
    return f"<!doctype html>\n{tag('html', _head(header.title_of(contents)), body, lang='en')}\n"


def _guarded(
    title: str, make: Callable[[Contents], Html | None], contents: Contents
) -> Html | None:
    try:
        return make(contents)
    except Exception as error:  # noqa: BLE001 (a damaged file must not cost the whole report)
        logger.warning("report of %s: %s: %r", contents.record.name, title, error)
        words = f"{title}: this cannot be shown: {type(error).__name__}: {error}"[:400]
        return tag("p", words, class_="muted")


def _head(title: str) -> Html:
    style = STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
