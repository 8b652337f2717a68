"""Wiki tables: a row becomes a line of cells, or the whole table goes.

Input are lines in which templates, links and tags are resolved. Tables inside tables are found with
a stack; the rows of an inner one become text of the cell that holds it. A table without an end goes
as far as its lines are those of a table, so it never takes the rest of the page. Cost: one look a
line of the page; linear in the table's text (inner tables: times their depth, up to 8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from headrace.corpus.wikitext.markers import BREAK, CELL, ROW

_EDGE = re.compile(r"\n[ \t:]*(\{\||\|\}(?!\}))")
_NEXT_TABLE_LINE = re.compile(r"\s*(?=[|!]|\{\|)")
_ATTRIBUTES = re.compile(r"\s*!?\s*(?:\Z|nowrap\s*\Z|[\w:-]+\s*=)", re.IGNORECASE)
_PARAMETER = re.compile(r"\s*\|\s*[\w-]+(?: [\w-]+){0,5}\s*=")
_LIST_SIGN = re.compile(r"[*#:;]+[ \t]*")
_MAX_DEPTH = 8


def table_spans(text: str) -> list[tuple[int, int]]:
    """The outermost tables of `text`, as (start, end); `text` begins with a line end."""
    spans: list[tuple[int, int]] = []
    starts: list[int] = []
    for match in _EDGE.finditer(text):
        if match[1] == "{|":
            starts.append(match.start())
        elif starts:
            spans.append((starts.pop(), match.end()))
    if starts:
        spans += _unclosed_spans(text, starts, spans)
    return _outermost(spans)


def _outermost(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    spans.sort(key=lambda span: (span[0], -span[1]))
    kept: list[tuple[int, int]] = []
    for start, end in spans:
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
        elif end > kept[-1][1]:
            kept[-1] = (kept[-1][0], end)
    return kept


def _unclosed_spans(
    text: str, starts: Sequence[int], closed: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Spans of tables without end: up to the first paragraph or heading that is none of theirs."""
    inner_ends = {start: end for start, end in _outermost(list(closed))}
    spans: list[tuple[int, int]] = []
    done = -1
    for start in starts:
        if start < done:
            continue
        done = _unclosed_end(text, start, inner_ends)
        spans.append((start, done))
    return spans


def _unclosed_end(text: str, start: int, inner_ends: dict[int, int]) -> int:
    """Walk over the lines of a table that is never closed; `start` is before its first line."""
    position = text.find("\n", start + 1)
    while position >= 0:
        if position in inner_ends:
            position = text.find("\n", inner_ends[position])
            continue
        line_end = text.find("\n", position + 1)
        line = text[position + 1 : line_end if line_end >= 0 else len(text)]
        if line.startswith("="):
            return position
        if not line.strip():
            after = _NEXT_TABLE_LINE.match(text, position)
            if after is None:
                return position
            position = text.rfind("\n", position, after.end())
            continue
        position = line_end
    return len(text)


def is_table_debris(lines: Sequence[str]) -> bool:
    """Whether lines outside of any table are rows of one, or parameters of a template."""
    is_rows = any(
        line.lstrip().startswith(("|-", "|}", "|+")) or "||" in line or "!!" in line
        for line in lines
    )
    return is_rows or all(_PARAMETER.match(line) for line in lines)


def replace_tables(text: str, rows: Callable[[Sequence[str]], list[str]] | None) -> str:
    """`text` with each table replaced by its rows (lines that begin with ROW), or by nothing.

    Args:
        text: wikitext; for rows its links must be resolved.
        rows: `TableReader.rows`; None drops the tables.
    """
    if "{|" not in text:
        return text
    text = "\n" + text
    out: list[str] = []
    done = 0
    for start, end in table_spans(text):
        out.append(text[done:start])
        out.append("\n\n")
        if rows is not None:
            out.extend(f"{ROW}{row}\n" for row in rows(text[start + 1 : end].split("\n")))
            out.append("\n")
        done = end
    out.append(text[done:])
    return "".join(out)


class TableReader:
    """Makes rows of the lines of a table.

    Args:
        clean: turns the wikitext of a cell into text (quotes, magic words).
    """

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean

    def rows(self, lines: Sequence[str]) -> list[str]:
        """One string a row, its cells joined by CELL; a caption is a row of its own.

        Args:
            lines: the lines of one table, with or without its first and last.
        """
        tables = [_Table()]
        num_ignored = 0
        for number, line in enumerate(lines):
            stripped = line.lstrip(" \t:")
            if stripped.startswith("{|") and number > 0:
                if len(tables) < _MAX_DEPTH:
                    tables.append(_Table())
                else:
                    num_ignored += 1
            elif stripped.startswith("|}") and num_ignored:
                num_ignored -= 1
            elif stripped.startswith("|}") and len(tables) > 1:
                inner = tables.pop()
                tables[-1].append(_as_cell_text(inner.finish(self._clean)))
                tables[-1].append(stripped[2:])
            elif not stripped.startswith(("{|", "|}")):
                tables[-1].read(line, line.lstrip())
        while len(tables) > 1:
            inner = tables.pop()
            tables[-1].append(_as_cell_text(inner.finish(self._clean)))
        return tables[0].finish(self._clean)


def _as_cell_text(rows: Sequence[str]) -> str:
    return " ".join(row.replace(CELL, " ") for row in rows)


class _Table:
    """Rows of cells while they are read; a cell is a list of pieces of text."""

    def __init__(self) -> None:
        self._rows: list[list[list[str]]] = []
        self._row: list[list[str]] = []

    def read(self, line: str, stripped: str) -> None:
        """Take one line of wikitext."""
        sign = stripped[:1]
        if sign == "|":
            if stripped.startswith("|-"):
                self._end_row()
            elif stripped.startswith("|+"):
                self._end_row()
                self._row.append([_content(stripped[2:])])
                self._end_row()
                # What follows on further lines belongs to the caption.
            else:
                self._cells(stripped[1:].split("||"))
        elif sign == "!":
            self._cells(stripped[1:].replace("!!", "||").split("||"))
        else:
            self.append(_LIST_SIGN.sub("", line.strip(), count=1))

    def append(self, text: str) -> None:
        """Add text to the cell that is open."""
        if self._row:
            self._row[-1].append(text)
        elif self._rows:
            self._rows[-1][-1].append(text)
        elif text.strip():
            # Text before the first cell: MediaWiki shows it above the table.
            self._row.append([text])
            self._end_row()

    def _cells(self, contents: Sequence[str]) -> None:
        self._row += [[_content(content)] for content in contents]

    def _end_row(self) -> None:
        if self._row:
            self._rows.append(self._row)
            self._row = []

    def finish(self, clean: Callable[[str], str]) -> list[str]:
        """All rows as text; empty cells and rows are left out."""
        self._end_row()
        lines = []
        for row in self._rows:
            cells = [clean(_join(cell)) for cell in row]
            filled = [cell for cell in cells if cell]
            if filled:
                lines.append(CELL.join(filled))
        return lines


def _join(pieces: Sequence[str]) -> str:
    return " ".join(pieces).replace(BREAK, " ").replace(ROW, "").strip()


def _content(cell: str) -> str:
    """A cell without its attributes."""
    attributes, bar, content = cell.partition("|")
    if bar and _ATTRIBUTES.match(attributes):
        return content
    return cell.replace("|", " ") if bar and " | " in cell else cell
