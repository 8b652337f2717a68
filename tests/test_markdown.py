"""What models and dumps say shows as it is, and means nothing."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from headrace.markdown import escaped, fenced, table, visible

HOSTILE = [
    "<script>alert(1)</script>",
    "![x](javascript:alert(1))",
    "[click](http://example.org) <b>bold</b>",
    "```\nout of the fence\n```\n# heading",
    "````` five `````",
    "a | b | c\n---|---|---",
    "&lt;img src=x onerror=alert(1)&gt;",
    "\\\\[not a link](x)",
    "_a_ **b** ~~c~~ `d` <https://example.org>",
    "\x1b[31mred\x1b[0m \u202egnp.exe \x00",
]


def rendered(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def text_of(html: str) -> str:
    import html as entities

    return entities.unescape(html)


@pytest.mark.parametrize("text", HOSTILE)
def test_fenced_text_is_one_block_with_all_of_the_text(text: str) -> None:
    html = rendered(fenced(text))
    assert html.startswith("<pre>")
    assert html.count("<") == 4  # pre and code, opened and closed
    assert visible(text) in text_of(html)


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_in_a_cell_makes_no_markup(text: str) -> None:
    html = rendered(table(["figure", "value"], [["label", text], ["next", "row"]]))
    cells = [part.partition("</td>")[0] for part in html.split("<td>")[1:]]
    assert [text_of(cell) for cell in cells] == [
        "label",
        " ".join(visible(text).split()),
        "next",
        "row",
    ]
    assert all("<" not in cell for cell in cells)


def test_invisible_characters_are_seen() -> None:
    assert "\x1b" not in visible("\x1b[2J")
    assert "\u202e" not in escaped("\u202eabc")


def test_long_text_is_cut() -> None:
    assert len(visible("x" * 100_000)) < 5000
