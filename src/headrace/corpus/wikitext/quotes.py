"""Bold and italics: runs of apostrophes, line by line, as MediaWiki pairs them.

Two, three and five apostrophes are mark-up. Of four the first is a letter, of more than five all
but five are; and in a line with an odd number of both bold and italic marks one bold mark is an
apostrophe and an italic mark, as in French `l'''x''`. Source: MediaWiki's documentation,
Help:Formatting. Cost: a look a line; more only for lines of that kind.
"""

from __future__ import annotations

import re

_RUN = re.compile(r"('{2,})")


def remove_quotes(line: str) -> str:
    """One line without its bold and italic marks."""
    if "''" not in line:
        return line
    if "'''" not in line:
        return line.replace("''", "")
    if "''''" not in line and line.count("'''") % 2 == 0:
        return line.replace("'''", "").replace("''", "")
    return _balance(line)


def _balance(line: str) -> str:
    pieces = _RUN.split(line)
    runs = [len(run) for run in pieces[1::2]]
    literals = [1 if n == 4 else max(0, n - 5) for n in runs]
    marks = [n - extra for n, extra in zip(runs, literals, strict=True)]
    num_bold = sum(n in (3, 5) for n in marks)
    num_italic = sum(n in (2, 5) for n in marks)
    if num_bold % 2 and num_italic % 2:
        chosen = _apostrophe(pieces, marks)
        if chosen is not None:
            literals[chosen] += 1
    out = [pieces[0]]
    for extra, text in zip(literals, pieces[2::2], strict=True):
        # Two literal apostrophes side by side would look like mark-up.
        out += ["'" if extra else "", text]
    return "".join(out)


def _apostrophe(pieces: list[str], marks: list[int]) -> int | None:
    """Which bold mark is an apostrophe and italics: best one after a word of one letter."""
    long_word = after_space = None
    for index, mark in enumerate(marks):
        if mark != 3:
            continue
        before = pieces[2 * index]
        last, second_last = before[-1:], before[-2:-1]
        if last in (" ", ""):
            after_space = index if after_space is None else after_space
        elif second_last in (" ", ""):
            return index
        elif long_word is None:
            long_word = index
    return after_space if long_word is None else long_word
