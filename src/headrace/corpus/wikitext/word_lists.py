"""Tables of words, written as running text."""

from __future__ import annotations


def words(text: str) -> list[str]:
    """The words of a text; tables read better without a hundred quotation marks."""
    return text.split()
