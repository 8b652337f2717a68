"""HTML and SVG as values: whatever is not markup already is escaped when it is put in.

Text comes from dumps and from models, so it may hold anything: tags, quotes, NUL, half of a
surrogate pair. What neither HTML nor XML may hold becomes U+FFFD, so that an inline SVG is XML too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
VOID = {"br", "hr", "img", "link", "meta"}
ENTITIES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\r": "\n"}
)


class Html(str):
    """A piece of a page that is markup already."""

    __slots__ = ()


Child = Any
"""What an element may hold: Html, text, a number, None (nothing), or a list of these."""


def escape(value: object) -> Html:
    """Any value as text of a page or as an attribute's value."""
    text = str(value).replace("\r\n", "\n")
    return Html(FORBIDDEN.sub("\ufffd", text).translate(ENTITIES))


def join(children: Iterable[Child]) -> Html:
    """Children one after the other."""
    return Html("".join(_pieces(children)))


def _pieces(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Html):
            yield child
        elif isinstance(child, str):
            yield escape(child)
        elif isinstance(child, Iterable):
            yield from _pieces(child)
        elif child is not None:
            yield escape(child)


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """An element.

    Args:
        name: its name.
        children: what it holds; see `Child`.
        attributes: by name, with `_` for `-` and one at the end dropped (`class_`); None leaves
            an attribute out, True gives it no value.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is not None and value is not False:
            text = "" if value is True else escape(value)
            parts.append(f' {key.removesuffix("_").replace("_", "-")}="{text}"')
    parts.append(">")
    if name in VOID:
        return Html("".join(parts))
    return Html(f"{''.join(parts)}{join(children)}</{name}>")


def table(
    header: Iterable[Child], rows: Iterable[Iterable[Child]], *, right: Iterable[int] = (), of: str
) -> Html:
    """A table in a box of its own, which scrolls where the screen is narrower.

    Args:
        header: what stands at the top of each column.
        rows: cells; one that is a `<td>` or `<th>` already is taken as it is.
        right: columns of numbers.
        of: what the table is of, for who cannot see it.
    """
    to_right = set(right)

    def cell(kind: str, column: int, child: Child) -> Html:
        if isinstance(child, Html) and child.startswith(("<td", "<th")):
            return child
        return tag(kind, child, class_="right" if column in to_right else None)

    head = tag("tr", [cell("th", column, child) for column, child in enumerate(header)])
    body = [tag("tr", [cell("td", i, child) for i, child in enumerate(row)]) for row in rows]
    inner = tag("table", tag("thead", head), tag("tbody", body))
    return tag("div", inner, class_="scroll", role="region", tabindex="0", aria_label=of)


def details(title: Child, *children: Child) -> Html:
    """A part that is folded until the reader opens it."""
    return tag("details", tag("summary", title), *children)


def pairs(items: Iterable[tuple[Child, Child]], class_: str = "facts") -> Html:
    """Names and what they stand for; those that stand for nothing are left out."""
    shown = [
        tag("div", tag("dt", name), tag("dd", value))
        for name, value in items
        if value not in (None, "")
    ]
    return tag("dl", shown, class_=class_)
