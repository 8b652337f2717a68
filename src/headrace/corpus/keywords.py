r"""Which texts hold which keywords: the definition in plain Python, and the same at memory's speed.

The definition is `KeywordRule.matches`: a loop of `keyword in text`. `KeywordScanner` gives exactly
its answers for whole columns: polars finds the candidates with Rust's regex engine, which searches
an alternation of literals with SIMD (5-10 GB/s for a few, 0.8 GB/s for 100: the alternatives are
sorted and taken 25 at a time, which fits its Teddy matcher; measured). Where Rust's rules differ
from Python's (case folding, word borders) the candidates are a superset, and the definition decides
on them.

`json_candidates` does the same on raw lines of JSON, before anything is parsed. There a keyword's
characters may stand escaped, so each is searched in every form that JSON allows: `"` as `\"`, "é"
as itself or `\u00e9`, "/" as itself or `\/`. Printable ASCII may be escaped too, as `<` often is:
such lines are candidates always.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import polars as pl

GROUP_SIZE = 25
# An escape of printable ASCII. What is found too much (an escaped backslash before) only costs.
_ASCII_ESCAPE = r"\\u00[2-7]"
_SHORT_ESCAPES = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
# All characters that fold to several, or to ASCII, lie in the first plane (CaseFolding.txt).
_FIRST_PLANE = range(0x80, 0x10000)


@dataclass(frozen=True)
class KeywordRule:
    r"""When a text is kept.

    Attributes:
        keywords: at least one; none is blank.
        match: "any" of them, or "all".
        case_sensitive: False compares `str.casefold` of keyword and text ("STRASSE" is "straße").
        whole_word: an end of the keyword that is a word character (`\w` of `re` on str) must not
            touch another one, as `\b` demands; an end that is none ("C++", "#include") may touch
            anything.
    """

    keywords: tuple[str, ...]
    match: Literal["any", "all"] = "any"
    case_sensitive: bool = True
    whole_word: bool = False

    def matches(self, text: str) -> bool:
        """Whether a text is kept. This is the definition; all else is speed."""
        if not self.case_sensitive:
            text = text.casefold()
        decide = any if self.match == "any" else all
        return bool(self.keywords) and decide(test(text) for test in _tests(self))


@lru_cache(maxsize=1024)
def _tests(rule: KeywordRule) -> list[Any]:
    keywords = [k if rule.case_sensitive else k.casefold() for k in rule.keywords]
    if rule.whole_word:
        return [re.compile(_bordered(keyword)).search for keyword in keywords]
    return [_Contains(keyword) for keyword in keywords]


class _Contains:
    def __init__(self, keyword: str) -> None:
        self._keyword = keyword

    def __call__(self, text: str) -> bool:
        return self._keyword in text


def _bordered(keyword: str) -> str:
    before = r"(?<!\w)" if re.match(r"\w", keyword[0]) else ""
    after = r"(?!\w)" if re.match(r"\w", keyword[-1]) else ""
    return before + re.escape(keyword) + after


@dataclass(frozen=True)
class KeywordScanner:
    """Finds the texts that rules keep, a column at a time.

    Attributes:
        common: what holds for every text; its keywords may be empty if `by_language` has some.
        by_language: further keywords for texts of one language alone; the others are not looked
            for there. A text to which no keyword applies is not kept.
    """

    common: KeywordRule
    by_language: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def matches(self, text: str, languages: Iterable[str] = ()) -> bool:
        """Whether a text of these languages is kept."""
        return self.rule_for(languages).matches(text)

    def rule_for(self, languages: Iterable[str]) -> KeywordRule:
        """The rule for texts that go by these languages (as written in `by_language`)."""
        more = [word for name in languages for word in self.by_language.get(name, ())]
        if not more:
            return self.common
        words = tuple(dict.fromkeys([*self.common.keywords, *more]))
        common = self.common
        return KeywordRule(words, common.match, common.case_sensitive, common.whole_word)

    @property
    def is_exact(self) -> bool:
        """Whether the candidates among texts are those that are kept, no more."""
        common = self.common
        return common.case_sensitive and not common.whole_word and not self.by_language

    def candidates(self, texts: pl.Series) -> pl.Series:
        """A mask (no nulls) with all texts that are kept, and maybe others (see `is_exact`)."""
        return _mask(texts, self._text_groups)

    def json_candidates(self, lines: pl.Series) -> pl.Series | None:
        """A mask with all lines of JSON that hold, in any string, a text that is kept.

        Returns:
            None where lines cannot be told apart before they are parsed (keywords that are not
            ASCII, compared without regard to case).
        """
        return _mask(lines, self._json_groups) if self._json_groups else None

    @cached_property
    def _text_groups(self) -> list[list[str]]:
        return [_grouped(_flat(self._text_pattern, words)) for words in self._needed()]

    @cached_property
    def _json_groups(self) -> list[list[str]]:
        """The same for JSON, each with what always makes a candidate; [] where none helps."""
        needed = self._needed()
        words = [word for group in needed for word in group]
        always = [_ASCII_ESCAPE]
        if not self.common.case_sensitive:
            if not all(word.casefold().isascii() for word in words):
                return []
            always += [_escaped_char(char) for char in _folding_to("".join(words))]
        return [_grouped([*_flat(self._json_pattern, words), *always]) for words in needed]

    def _needed(self) -> list[tuple[str, ...]]:
        """Groups of keywords of which a kept text holds one each."""
        common = self.common.keywords
        if self.common.match == "all" and common:
            return [(keyword,) for keyword in common]
        more = [word for words in self.by_language.values() for word in words]
        return [tuple(dict.fromkeys([*common, *more]))]

    def _text_pattern(self, keyword: str) -> list[str]:
        if not self.common.case_sensitive:
            folded = keyword.casefold()
            specials = [_literal(char) for char in _folding_to(folded)]
            return [f"(?i:{_literal(folded)})", *specials]
        return [_ascii_bordered(keyword) if self.common.whole_word else _literal(keyword)]

    def _json_pattern(self, keyword: str) -> list[str]:
        if self.common.case_sensitive:
            return ["".join(map(_json_char, keyword))]
        folded = keyword.casefold()
        specials = [_literal(char) for char in _folding_to(folded)]
        return [f"(?i:{''.join(map(_json_char, folded))})", *specials]


def _flat(function: Callable[[str], list[str]], values: Iterable[str]) -> list[str]:
    return [result for value in values for result in function(value)]


def _grouped(patterns: Iterable[str]) -> list[str]:
    """Alternations of `GROUP_SIZE` patterns; together they match what one of the patterns does."""
    ordered = sorted(set(patterns))
    return [
        "|".join(ordered[first : first + GROUP_SIZE])
        for first in range(0, len(ordered), GROUP_SIZE)
    ]


def _mask(values: pl.Series, needed: Sequence[Sequence[str]]) -> pl.Series:
    """Values in which, of each list of patterns, one is found."""
    import polars as pl

    column = pl.col("values").str
    found = [pl.any_horizontal([column.contains(one) for one in group]) for group in needed]
    # One query for all: each costs some 0.1 ms to start.
    frame = values.alias("values").to_frame()
    return frame.select(pl.all_horizontal(found).alias("found"))["found"]


def _literal(text: str) -> str:
    """A regex (of Rust) for exactly this text."""
    return "".join(
        char if char.isalnum() or ord(char) >= 0x80 else f"\\x{{{ord(char):x}}}" for char in text
    )


def _ascii_bordered(keyword: str) -> str:
    r"""Borders that Rust and Python agree on: where ASCII meets ASCII.

    `\b` without Unicode takes any other character for no word's, so it finds all that Python's `\w`
    would, and more.
    """
    border = r"(?-u:\b)"
    before = border if _is_ascii_word(keyword[0]) else ""
    after = border if _is_ascii_word(keyword[-1]) else ""
    return before + _literal(keyword) + after


def _is_ascii_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")


def _json_char(char: str) -> str:
    r"""A regex for one character of a JSON string, escaped or not.

    `\u0020` to `\u007f` are left to `_ASCII_ESCAPE`.
    """
    if char in '"\\':
        return _literal("\\" + char)
    if char == "/":
        return r"(?:/|\\/)"
    if char < " ":
        short = _SHORT_ESCAPES.get(char)
        return f"(?:{_escaped_char(char)}" + (f"|\\\\{short})" if short else ")")
    if char.isascii():
        return _literal(char)
    return f"(?:{char}|{_escaped_char(char)})"


def _escaped_char(char: str) -> str:
    r"""A regex for `\uXXXX`, in digits of either case; two of them beyond the first plane."""
    units = char.encode("utf-16-be")
    pairs = [units[first : first + 2].hex() for first in range(0, len(units), 2)]
    return "".join(rf"\\u(?i:{digits})" for digits in pairs)


@lru_cache(maxsize=1024)
def _folding_to(text: str) -> list[str]:
    """Characters beyond ASCII that fold to several, or to ASCII, with one of those in `text`.

    Rust's `(?i)` folds each character to one, Python's casefold to up to three.
    """
    wanted = set(text.casefold())
    return [char for char, folded in _special_folds() if wanted.intersection(folded)]


@lru_cache(maxsize=1)
def _special_folds() -> list[tuple[str, str]]:
    pairs = [(chr(code), chr(code).casefold()) for code in _FIRST_PLANE]
    return [(c, folded) for c, folded in pairs if len(folded) > 1 or folded.isascii()]
