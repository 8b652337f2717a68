"""Backend "native": wikitext to text by Headrace's own cleaner, page by page, in this process.

A page that exceeds a budget of the cleaner, takes too long, or meets a defect of it is put aside
with the reason; the pages after it go on. The cleaner and the dump's templates are opened once a
process, not once a shard. Cost beside the cleaner itself: a few microseconds a page.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from headrace.corpus.extraction import Extraction
from headrace.corpus.page_watch import OvertimeError, PageWatch
from headrace.corpus.pages import Page
from headrace.corpus.site import Site
from headrace.corpus.template_store import StoredTemplates, TemplateStore
from headrace.corpus.wikitext.cleaner import CleanedPage, Cleaner, CleanerOptions
from headrace.corpus.wikitext.errors import PageError
from headrace.corpus.wikitext.templates import TemplateLibrary

ERROR = "cleaner_error"
TIMEOUT = "cleaner_timeout"


class PageCleaner(Protocol):
    """What `clean_pages` asks of a cleaner; see `wikitext.cleaner.Cleaner`."""

    def clean(self, title: str, wikitext: str) -> CleanedPage:
        """The page's text; PageError where a budget is exceeded."""


@functools.lru_cache(maxsize=1)
def open_cleaner(site: Site, options: CleanerOptions, templates: Path | None) -> Cleaner:
    """This process's cleaner.

    Args:
        site: the wiki.
        options: what to keep, and budgets.
        templates: directory of a `template_store`; None for a dump without any.
    """
    library = TemplateLibrary() if templates is None else StoredTemplates(TemplateStore(templates))
    return Cleaner(site, options, library)


def clean_pages(
    pages: Iterable[Page],
    cleaner: PageCleaner,
    *,
    max_page_seconds: float,
    max_failures: int | None = None,
) -> Extraction:
    """Clean `pages`; each of them ends in `texts` or in `failures`.

    Args:
        pages: with distinct ids.
        cleaner: does the work.
        max_page_seconds: wall time after which a page is given up.
        max_failures: give up beyond this many bad pages; None for no limit.

    Returns:
        Failures are the cleaner's own reasons ("page_too_complex"), "cleaner_error" for any other
        exception, which is a defect of it, and "cleaner_timeout".

    Raises:
        TooManyDropsError: more than `max_failures` pages are bad.
    """
    result = Extraction()
    with PageWatch(max_page_seconds) as watch:
        for page in pages:
            try:
                cleaned = watch.call(cleaner.clean, page.title, page.text)
                # A lone surrogate could not be written, and would take its whole shard along.
                cleaned.text.encode()
            except PageError as error:
                reason, words = error.reason, error.detail
            except OvertimeError:
                reason, words = TIMEOUT, f"more than {max_page_seconds:g} s"
            except Exception as error:  # noqa: BLE001 - a defect met by one page is no one else's loss
                reason, words = ERROR, _describe(error)
            else:
                result.texts[page.id] = cleaned.text
                result.sections[page.id] = cleaned.sections
                continue
            result.fail(page, reason, words, max_failures=max_failures)
    return result


def _describe(error: Exception) -> str:
    """The exception's name, message and place; the place is what its mending begins with."""
    message = " ".join(str(error).split())[:160]
    last = traceback.extract_tb(error.__traceback__)[-1]
    said = f": {message}" if message else ""
    return f"{type(error).__name__}{said} (at {Path(last.filename).name}:{last.lineno})"
