"""Language variants, `-{zh-hans:计算机;zh-hant:電腦}-`: one of them stays.

Chinese, Serbian and a few other wikis write a word in several variants; a reader sees one. The
first variant that is listed is taken. Source: MediaWiki's documentation, Writing systems/Syntax.
Cost: nothing on pages without "-{"; linear, innermost markup first, a bounded number of passes.
"""

from __future__ import annotations

import re

_INNERMOST = re.compile(r"-\{((?:(?!-\{|\}-)[^\n]){0,2000})\}-")
_FLAGS = re.compile(r"\s*([A-Za-z;\s-]{0,40})\|")
_VARIANT = re.compile(r"(?:[^:;]*=>)?\s*([a-z]{2,3}(?:-[a-z]{2,4})?)\s*:\s*([^;]*)")
_HIDDEN_FLAGS = frozenset("HT-")
_LANGUAGE_CODES = """
    zh zh-yue gan wuu sr sh kk ku iu shi tg uz crh ban tly bs hr
"""
_LANGUAGES = frozenset(_LANGUAGE_CODES.split())
_NUM_PASSES = 5


def choose_variants(text: str, language: str) -> str:
    """`text` with one variant of each word; as it is for languages without variants."""
    if language not in _LANGUAGES or "-{" not in text:
        return text
    for _ in range(_NUM_PASSES):
        text, num_found = _INNERMOST.subn(_choose, text)
        if not num_found:
            break
    return text.replace("-{", "").replace("}-", "")


def _choose(match: re.Match[str]) -> str:
    body = match[1]
    flags = _FLAGS.match(body)
    if flags is not None:
        names = {flag.strip().upper() for flag in flags[1].split(";")}
        if names & _HIDDEN_FLAGS:
            return ""
        body = body[flags.end() :]
    variants = _VARIANT.match(body)
    return body if variants is None else variants[2].strip()
