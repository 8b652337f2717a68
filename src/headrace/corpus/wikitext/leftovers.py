"""Behaviour switches (`__NOTOC__`) and what unbalanced mark-up leaves.

Cost: a search of a fixed string each; more only where it is found.
"""

from __future__ import annotations

import re

_SWITCH = re.compile(r"__([^\W\d_](?:\w{0,40}?[^\W_])?)__")
# Words between underscores that programs have: text, not switches.
_MACRO_WORDS = """
    FILE LINE DATE TIME FUNCTION FUNC DIR CLASS METHOD NAMESPACE TRAIT PACKAGE SUB DATA END
    COUNTER BASE_FILE STDC VA_ARGS VA_OPT
"""
_MACROS = frozenset(_MACRO_WORDS.split())
_SWITCH_WORDS = """
    toc notoc forcetoc noeditsection newsectionlink nonewsectionlink nogallery hiddencat
    expectunusedcategory nocontentconvert nocc notitleconvert notc index noindex staticredirect
    disambig noglobal start end archivedtalk notalk expectunusedtemplate expectwithoutscans
    expected_unconnected_page
"""
_NAMES = frozenset(_SWITCH_WORDS.split())


def remove_switches(text: str) -> str:
    """`text` without behaviour switches, English or of any language, and without signatures."""
    if "__" in text:
        text = _SWITCH.sub(_switch, text)
    return text


def _switch(match: re.Match[str]) -> str:
    word = match[1]
    if word.lower() in _NAMES:
        return ""
    follower = match.string[match.end() : match.end() + 1]
    if word in _MACROS or (word.isascii() and (follower.isalnum() or not word.isupper())):
        return match[0]
    return ""


def remove_residue(text: str) -> str:
    """`text` without brackets and braces of links, templates and tables that lack their partner."""
    if "[" in text or "]" in text:
        text = _drop_unpaired(text.replace("[[", ""), "[", "]")
    if "{" in text or "}" in text:
        text = _drop_unpaired(text.replace("{{", ""), "{", "}")
        text = text.replace("{|", "").replace("|}", "")
    return text


def _drop_unpaired(text: str, opening: str, closing: str) -> str:
    """`text` without doubled closing signs that close nothing."""
    double = closing * 2
    if double not in text:
        return text
    return "\n".join(
        # Signs that close what this line opens one by one are text: a[b[0]], {a, {b}}
        line if _is_balanced(line, opening, closing) else line.replace(double, "")
        for line in text.split("\n")
    )


def _is_balanced(line: str, opening: str, closing: str) -> bool:
    if line.count(opening) != line.count(closing):
        return False
    depth = 0
    for sign in line:
        depth += (sign == opening) - (sign == closing)
        if depth < 0:
            return False
    return True
