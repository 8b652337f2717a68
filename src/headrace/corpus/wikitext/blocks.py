"""Lines of wikitext to blocks: paragraphs, headings, list items, rules, rows left over.

One loop over the lines; a line whose first character is a letter costs two comparisons. What comes
out is one block a line, with markers at the start of headings and list items, for the passes that
work on the whole page at once. Source of the semantics: MediaWiki's documentation, Help:Formatting
and Help:Lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from headrace.corpus.wikitext.markers import BREAK, HEADING, ITEM, NOTHING, ROW
from headrace.corpus.wikitext.quotes import remove_quotes
from headrace.corpus.wikitext.table_rows import is_table_debris

_LIST_SIGNS = "*#:;"
_LIST_SIGN_SET = frozenset(_LIST_SIGNS)
_SPECIAL = frozenset("*#:;=|!{- \t\u3000" + BREAK + NOTHING + ROW)
_TRAILED_HEADING = re.compile(r"(={2,6})([^=].*?[^=]|[^=])\1(?!=)(.*)\Z", re.DOTALL)
_RULE = re.compile(r"-{4,}[ \t]*")
# The colon between a term and its definition: of no address, time or ratio.
_DEFINITION = re.compile(r":(?!//)(?!(?<=[0-9]:)[0-9])")
# Between two of these a line of the source ends without a space in the text.
_WIDE = "\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
_JOINT = re.compile(f"[{_WIDE}]{{2}}")
_MAX_LIST_SIGNS = 40


class BlockReader:
    """Turns lines into blocks.

    Args:
        keep: the kinds of blocks to keep (`CleanerOptions.keep`).
        rows: makes rows of lines of a table; None drops them.
    """

    def __init__(
        self, keep: frozenset[str], rows: Callable[[Sequence[str]], list[str]] | None
    ) -> None:
        self._keeps_paragraphs = "paragraphs" in keep
        self._keeps_headings = "headings" in keep
        self._keeps_lists = "lists" in keep
        self._rows = rows

    def read(self, text: str) -> str:
        """One block a line; no blocks of kinds that are not kept, except headings (by level)."""
        return _Page(
            text, self._keeps_paragraphs, self._keeps_headings, self._keeps_lists, self._rows
        ).blocks()


class _Page:
    """The blocks of one page while its lines are read."""

    def __init__(
        self,
        text: str,
        keeps_paragraphs: bool,
        keeps_headings: bool,
        keeps_lists: bool,
        rows: Callable[[Sequence[str]], list[str]] | None,
    ) -> None:
        self._lines = text.split("\n")
        self._next = 0
        self._out: list[str] = []
        self._keeps_paragraphs = keeps_paragraphs
        self._keeps_headings = keeps_headings
        self._keeps_lists = keeps_lists
        self._rows = rows
        # Lines of the paragraph that is open.
        self._open: list[str] = []
        self._signs = ""
        self._numbers: list[int] = []
        self._defines = False

    def blocks(self) -> str:
        """All blocks, one a line."""
        lines = self._lines
        while self._next < len(lines):
            line = lines[self._next]
            self._next += 1
            if not line:
                if self._open:
                    self._close_paragraph()
                self._signs = ""
            elif line[0] not in _SPECIAL:
                self._open.append(line)
                self._signs = ""
            else:
                self._read_special(line)
        self._close_paragraph()
        return "\n".join(self._out)

    def _close_paragraph(self) -> None:
        lines, self._open = self._open, []
        if not lines or not self._keeps_paragraphs:
            return
        if len(lines) == 1:
            line = lines[0]
            self._out.append(remove_quotes(line) if "''" in line else line)
            return
        text = remove_quotes(lines[0]).rstrip()
        parts = [text]
        for line in lines[1:]:
            line = remove_quotes(line).strip()
            before = parts[-1][-1:]
            if not _JOINT.match(before + line[:1]):
                parts.append(" ")
            parts.append(line)
        self._out.append("".join(parts))

    def _read_special(self, line: str) -> None:
        first = line[0]
        if first == ROW:
            self._close_paragraph()
            self._out.append(remove_quotes(line[1:]))
        elif first in _LIST_SIGNS:
            self._close_paragraph()
            self._read_item(line)
        elif first == "=":
            self._read_heading(line)
        elif first == "-":
            self._read_rule(line)
        elif first in "|!{":
            self._read_debris(line)
        else:
            self._read_indented(line)

    def _read_indented(self, line: str) -> None:
        """A line that begins with space (preformatted) or with a break."""
        stripped = line.strip(" \t\u3000" + BREAK + NOTHING)
        if not stripped:
            self._close_paragraph()
            return
        self._signs = ""
        if line[0] == NOTHING or line[0] == "\u3000":
            self._open.append(line)
            return
        if stripped.startswith(("|", "{|", "!")):
            self._read_debris(stripped)
            return
        self._close_paragraph()
        if stripped[0] == "=" and line[0] == BREAK:
            self._read_heading(stripped)
        elif self._keeps_paragraphs:
            self._open.append(stripped)
            if line[0] in " \t":
                self._close_paragraph()

    def _read_rule(self, line: str) -> None:
        match = _RULE.match(line)
        if match is None:
            self._open.append(line)
            return
        self._close_paragraph()
        rest = line[match.end() :]
        if rest:
            self._open.append(rest)

    # ---- headings -------------------------------------------------------------------------------

    def _read_heading(self, line: str) -> None:
        """`== title ==`; text after it becomes a paragraph, signs without partner go."""
        self._close_paragraph()
        self._signs = ""
        heading = _parse_heading(line)
        if heading is not None:
            self._add_heading(*heading)
            return
        trailed = _TRAILED_HEADING.match(line)
        if trailed is not None:
            self._add_heading(len(trailed[1]), trailed[2])
            self._open.append(trailed[3].strip(" \t" + BREAK))
            return
        if line.startswith("=="):
            line = line.strip("= \t")
        if line:
            self._open.append(line)

    def _add_heading(self, level: int, title: str) -> None:
        title = remove_quotes(title.replace(BREAK, " ")).strip()
        if title.strip("="):
            self._out.append(f"{HEADING}{level}{title}")

    # ---- lists ----------------------------------------------------------------------------------

    def _read_item(self, line: str) -> None:
        if line[0] == "*" and line[1:2] not in _LIST_SIGN_SET:
            # Nearly all items are of this kind.
            self._signs = "*"
            self._numbers.clear()
            self._defines = False
            text = line[1:].strip()
            if self._keeps_lists and text:
                self._out.append(f"{ITEM}- {_plain(text)}")
            return
        text = line.lstrip(_LIST_SIGNS)
        signs = line[: len(line) - len(text)][:_MAX_LIST_SIGNS]
        number = self._count(signs)
        if signs[-1] != ":":
            self._defines = signs[-1] == ";"
        is_indented = not signs.strip(":") and not self._defines
        text = _plain(text).strip()
        if text and (self._keeps_lists or (is_indented and self._keeps_paragraphs)):
            self._add_item(signs[-1], number, text)

    def _add_item(self, sign: str, number: int, text: str) -> None:
        if sign == "*":
            self._out.append(f"{ITEM}- {text}")
        elif sign == "#":
            self._out.append(f"{ITEM}{number}. {text}")
        elif sign == ";":
            self._add_definition(text)
        else:
            self._out.append(text)

    def _count(self, signs: str) -> int:
        """The number of this item among its brothers; lists that ended start anew."""
        before, self._signs = self._signs, signs
        if not before:
            self._numbers = []
            self._defines = False
        common = 0
        for old, new in zip(before, signs, strict=False):
            if old != new and {old, new} != {":", ";"}:
                break
            common += 1
        del self._numbers[common:]
        while len(self._numbers) < len(signs):
            self._numbers.append(0)
        self._numbers[-1] += 1
        return self._numbers[-1]

    def _add_definition(self, text: str) -> None:
        match = _DEFINITION.search(text)
        parts = [text] if match is None else [text[: match.start()], text[match.end() :]]
        self._out += [part.strip() for part in parts if part.strip()]

    # ---- rows without a table -------------------------------------------------------------------

    def _read_debris(self, line: str) -> None:
        """Rows of a table that a template begins, or parameters of a template without end."""
        start = self._next - 1
        end = self._next
        while end < len(self._lines) and self._lines[end].lstrip(" \t")[:1] in ("|", "!"):
            end += 1
        run = [line, *self._lines[start + 1 : end]]
        self._next = end
        if not is_table_debris(run):
            self._open += run
            return
        self._close_paragraph()
        if self._rows is not None:
            self._out += self._rows(run)


def _plain(text: str) -> str:
    return remove_quotes(text.replace(BREAK, " ")) if "''" in text or BREAK in text else text


def _parse_heading(line: str) -> tuple[int, str] | None:
    """Level and title of `== title ==`; None if the line does not end with its sign.

    Signs without partner belong to the title, as MediaWiki has it.
    """
    line = line.rstrip(" \t")
    inner = line.lstrip("=")
    num_before = len(line) - len(inner)
    title = inner.rstrip("=")
    num_after = len(inner) - len(title)
    if not title:
        level = min((num_before - 1) // 2, 6)
        return (level, "=" * (num_before - 2 * level)) if level > 0 else None
    level = min(num_before, num_after, 6)
    if level == 0:
        return None
    return level, "=" * (num_before - level) + title + "=" * (num_after - level)
