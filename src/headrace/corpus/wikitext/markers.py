"""The private-use characters the cleaner works with, and the store of text no pass may touch.

Private-use characters of that range in a page are replaced before anything else, so a marker is
always the cleaner's own. None is left in what it returns.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# A protected span in the text: OPEN, its number in decimal digits, CLOSE (the expander knows them).
OPEN = "\ue000"
CLOSE = "\ue001"
# A line break where a line of wikitext does not end: <br>, <div>, <p>.
BREAK = "\ue002"
# Starts the line of a heading; the digit of its level follows.
HEADING = "\ue003"
# Starts the line of a list item; "- " or "1. " follows.
ITEM = "\ue004"
# Stands between the cells of a row.
CELL = "\ue005"
# Starts the line of a table's row.
ROW = "\ue009"
# Takes the blank before it away.
GAP = "\ue00a"
# Nothing at all, but in the way of mark-up: <nowiki/>.
NOTHING = "\ue006"
# Wraps the text of <code>, so that its punctuation is left alone.
CODE_OPEN = "\ue007"
CODE_CLOSE = "\ue008"

RESERVED = re.compile("[\ue000-\ue0ff]")
PLACEHOLDER = re.compile(f"{OPEN}([0-9]+){CLOSE}")


class ProtectedText:
    """Spans of one page that are literal text: nowiki, formulas, code."""

    def __init__(self) -> None:
        self._spans: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._spans)

    def add(self, text: str) -> str:
        """Keep a span; returns what stands for it in the text."""
        self._spans.append(text)
        return f"{OPEN}{len(self._spans) - 1}{CLOSE}"

    def get(self, number: str) -> str:
        """The span of that number; "" if there is none (a number spelt by a hostile page)."""
        if len(number) > 9 or int(number) >= len(self._spans):
            return ""
        return self._spans[int(number)]

    def flatten(self, text: str) -> str:
        """`text` with spans of several lines replaced by the same on one line."""
        if OPEN not in text:
            return text

        def on_one_line(match: re.Match[str]) -> str:
            span = self.get(match[1])
            return self.add(" ".join(span.split())) if "\n" in span else match[0]

        return PLACEHOLDER.sub(on_one_line, text)

    def restore(self, text: str, clean: Callable[[str], str]) -> str:
        """Put every span back, each through `clean`."""
        # A span may hold placeholders itself (nowiki inside code): two levels, no more.
        for _ in range(2):
            if OPEN in text:
                text = PLACEHOLDER.sub(lambda match: clean(self.get(match[1])), text)
        return text.replace(OPEN, "").replace(CLOSE, "")
