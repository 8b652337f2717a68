"""What holds for any input: no residue, no harm to plain text, linear time."""

from __future__ import annotations

import random
import re
import time
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.corpus.site import Site
from headrace.corpus.wikitext.cleaner import KEEPABLE, Cleaner, CleanerOptions
from headrace.corpus.wikitext.templates import TemplateLibrary

MEGABYTE = 1_000_000
PIECES = [
    "[[", "]]", "{{", "}}", "{|", "|}", "\n{|", "\n|}", "\n|-", "\n|", "||", "\n!", "!!", "|",
    "''", "'''", "''''", "'''''", "<ref>", "</ref>", "<ref name=a/>", "<ref name=b>", "<div>",
    "</div>", "<div", "<nowiki/>", "<!--", "-->", "<br>", "<span class='x'>", "</span", "<ul>",
    "<li>", "</ol>", "<table>", "<td>", "</tr>", "<math", "</math>", "<gallery>", "<pre",
    "</code>", "<poem>", "<h3>", "</h3>", "\n==", "==", "=", "\n", "\n\n", "\n*", "\n#",
    "\n:", "\n;", " ", "File:", "Category:", "[[File:a.jpg|thumb|", "[http://x.org a]", "[//x.org]",
    "(", ")", ",", ";", "__NOTOC__", "__TOC__", "{{{", "}}}", "-{", "}-", "word", "Wort", "語",
    "、", "（", "）", "\ue000", "\ud800", "&amp;", "&nbsp;", "~~~~", "\t",
    "<references>", "<includeonly>", "</noinclude>",
]  # fmt: skip
RESIDUE = re.compile(
    r"\[\[|\]\]|\{\{|\{\||\|\}|''|^==+ \w.*==+$|__[A-Z]+__"
    r"|</?(?:ref|div|span|br|ul|ol|li|table|tr|td|math|gallery|pre|code|poem|h3|nowiki)(?![\w-])"
    r"|[\ue000-\ue0ff\x00\ud800-\udfff]|thumb\||[0-9]px\||&nbsp;"
    r"|\( ?[,;]| ,|,,|（、|  | $|^ |\n\n",
    re.MULTILINE,
)


def cleaner(lang: str = "en") -> Cleaner:
    options = CleanerOptions(keep=frozenset(KEEPABLE))
    return Cleaner(Site(lang=lang), options, TemplateLibrary())


ENGLISH = cleaner()


@settings(
    max_examples=400, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_mark_up_soup_leaves_no_residue(pieces: list[str]) -> None:
    text = ENGLISH.clean("T", "".join(pieces)).text
    assert not RESIDUE.search(text), (text, RESIDUE.search(text))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(
        st.from_regex(r"[^\W_]{1,8}(?:['’\-/.][^\W_]{1,4})?[,;.:!?%]?", fullmatch=True).filter(
            lambda word: max(word) < "\ue000"
        ),
        min_size=1,
        max_size=20,
    )
)
def test_plain_text_stays_as_it_is(words: list[str]) -> None:
    text = unicodedata.normalize("NFC", " ".join(words))
    cleaned = ENGLISH.clean("T", text).text
    assert cleaned == text
    assert ENGLISH.clean("T", cleaned).text == cleaned


def test_any_characters_give_clean_lines() -> None:
    chance = random.Random(4)
    for _ in range(300):
        codes = [
            chance.choice((chance.randrange(0x250), chance.randrange(0x110000))) for _ in range(40)
        ]
        text = ENGLISH.clean("T", "".join(map(chr, codes))).text
        text.encode("utf-8")
        assert unicodedata.is_normalized("NFC", text)
        assert text == "\n".join(line for line in text.split("\n") if line.strip())


REPEATED = [
    "[[", "]]", "{{", "{|", "\n{|", "''", "'''", "<ref>", "<ref name=a>", "<div>", "<div", "(",
    ")", "()", "( ", ":", "\n:", "[http://", "[http://a ", "[http://a [x] ", "<!--", "<!-- a -->",
    "[[a|b", "[[File:a|thumb|", "<nowiki>", "<math>", "<gallery>", "<pre>", "<ul><li>", "=",
    "\n==a", "\n|", "\n|-", "<table><tr><td>", "<poem>", "<h2>", " ", "\n", "、", "。",
    "<", "&", "__A", "-{", "<section begin=x>", "<rt>", "<includeonly>", "\n;a:b:c", "|x\n",
    "a\n", " ,", "\u3000", "\n <!-- a -->",
]  # fmt: skip


@pytest.mark.parametrize("piece", REPEATED)
def test_a_megabyte_of_anything_is_cleaned_in_linear_time(piece: str) -> None:
    page = piece * (MEGABYTE // len(piece) // 4)
    start = time.process_time()
    ENGLISH.clean("T", page)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "page",
    [
        "[[" * 10_000 + "x" + "]]" * 10_000,
        "[[File:a|thumb|b" * 10_000 + "]]" * 10_000,
        "{{a|" * 10_000 + "}}" * 10_000,
        "{|\n|a\n" * 10_000 + "|}\n" * 10_000,
        "<ref>a" * 10_000 + "</ref>" * 10_000,
        "<ul><li>a" * 10_000 + "</ul>" * 10_000,
        "(" * 200_000 + ")" * 200_000,
        "=" * 200_000 + "a" + "=" * 199_999 + "b",
        "[http://" + "a" * MEGABYTE,
        "[[" + " " * MEGABYTE + "|]]",
        "[[a " + " (" * 200_000 + "|]]",
        "<code><nowiki>a</nowiki>" * 20_000,
    ],
    ids=range(12),
)
def test_deep_nesting_and_long_tokens_are_cleaned_in_linear_time(page: str) -> None:
    start = time.process_time()
    assert not RESIDUE.search(ENGLISH.clean("T", page).text)
    assert time.process_time() - start < 5


def test_what_follows_a_table_without_end_survives() -> None:
    page = "{|\n| a\n" * 50 + "\n== Head ==\nText after."
    site = Site(lang="en")
    text = Cleaner(site, CleanerOptions(), TemplateLibrary()).clean("T", page).text
    assert text == "Head\nText after."
