"""What a backend of the articles stage gives back, whichever it is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.corpus.pages import Page
from headrace.errors import TooManyDropsError

if TYPE_CHECKING:
    from headrace.corpus.wikitext.cleaner import Section

logger = logging.getLogger(__name__)


@dataclass
class Extraction:
    """What became of a batch of pages.

    Attributes:
        texts: page id -> text as the backend gave it; may be empty.
        sections: page id -> its sections; of the native backend only.
        failures: page id -> (reason, what is known of it in words, if anything).
    """

    texts: dict[int, str] = field(default_factory=dict)
    sections: dict[int, Sequence[Section]] = field(default_factory=dict)
    failures: dict[int, tuple[str, str]] = field(default_factory=dict)

    def fail(self, page: Page, reason: str, words: str, *, max_failures: int | None) -> None:
        """Note a bad page.

        Raises:
            TooManyDropsError: it is one more than `max_failures`.
        """
        self.failures[page.id] = (reason, words)
        told = f": {words}" if words else ""
        logger.warning("page %d (%s) is quarantined: %s%s", page.id, page.title, reason, told)
        if max_failures is not None and len(self.failures) > max_failures:
            raise TooManyDropsError(
                f"articles: at most {max_failures} pages may be bad; {len(self.failures)} of one "
                f"shard are already, the last one {page.title!r} (id {page.id}, {reason}{told}): "
                "raise max_quarantined_fraction, or look at what these pages have in common"
            )
