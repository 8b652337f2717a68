"""The one error of the wikitext cleaner; the articles stage turns it into a quarantined page."""

from __future__ import annotations


class PageError(Exception):
    """A page cannot be cleaned within its budgets.

    Attributes:
        reason: the counted reason, as "page_too_complex".
        detail: what was exceeded, with the limit.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[PageError], tuple[str, str]]:
        """An error crosses processes with both its fields."""
        return PageError, (self.reason, self.detail)
