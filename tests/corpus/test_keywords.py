"""Keywords: the definition by examples, and the fast search against it."""

from __future__ import annotations

import json
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.corpus.keywords import GROUP_SIZE, KeywordRule, KeywordScanner


@pytest.mark.parametrize(
    ("text", "keywords", "options", "expected"),
    [
        ("import pandas as pd", ("pandas", "sklearn"), {}, True),
        ("import pandas as pd", ("pandas", "sklearn"), {"match": "all"}, False),
        ("pandas sklearn", ("sklearn", "pandas"), {"match": "all"}, True),
        ("Pandas", ("pandas",), {}, False),
        ("PANDAS", ("Pandas",), {"case_sensitive": False}, True),
        ("STRASSE", ("straße",), {"case_sensitive": False}, True),
        ("Σίσυφος", ("ΣΊΣΥΦΟΣ",), {"case_sensitive": False}, True),
        ("\u212aelvin", ("kelvin",), {"case_sensitive": False}, True),
        ("geopandas", ("pandas",), {}, True),
        ("geopandas", ("pandas",), {"whole_word": True}, False),
        ("pandas_gbq", ("pandas",), {"whole_word": True}, False),
        ("épandas", ("pandas",), {"whole_word": True}, False),
        ("pandas.io", ("pandas",), {"whole_word": True}, True),
        ("geopandas pandas", ("pandas",), {"whole_word": True}, True),
        ("a C++ file", ("C++",), {"whole_word": True}, True),
        ("C++17", ("C++",), {"whole_word": True}, True),
        ("ANSIC++", ("C++",), {"whole_word": True}, False),
        ("x\n#include", ("#include",), {"whole_word": True}, True),
        ("東京都に行く", ("京都",), {}, True),
        ("東京都に行く", ("京都",), {"whole_word": True}, False),
        ('df["a"]', ('["a"]',), {}, True),
        ("", ("a",), {}, False),
    ],
)
def test_definition(
    text: str, keywords: tuple[str, ...], options: dict[str, Any], expected: bool
) -> None:
    rule = KeywordRule(keywords, **options)
    scanner = KeywordScanner(rule)
    assert rule.matches(text) is expected
    assert scanner.matches(text) is expected
    if scanner.is_exact or expected:
        assert scanner.candidates(pl.Series([text])).to_list() == [expected]


TEXTS = st.text(
    alphabet=st.sampled_from(list('abkKsSßſ\u212aﬁfiIİı"\\/\n\t\x01 #+_.-é\u0301ÉΣσς日😀<\x7f1٣')),
    max_size=12,
)
KEYWORDS = st.lists(TEXTS.map(lambda text: text[:3]).filter(str.strip), min_size=1, max_size=4).map(
    tuple
)
MATCH = st.sampled_from(["any", "all"])


def as_json(text: str, style: str) -> str:
    line = json.dumps({"content": text}, ensure_ascii=style != "raw")
    if style == "odd":
        line = line.replace("/", "\\/").replace("<", "\\u003C").replace("a", "\\u0061")
    return line


@settings(max_examples=600, deadline=None)
@given(
    KEYWORDS,
    st.lists(TEXTS, min_size=1, max_size=6),
    MATCH,
    st.booleans(),
    st.booleans(),
    st.sampled_from(["raw", "escaped", "odd"]),
)
def test_fast_search_misses_nothing(
    keywords: tuple[str, ...],
    texts: list[str],
    match: Literal["any", "all"],
    case_sensitive: bool,
    whole_word: bool,
    style: str,
) -> None:
    rule = KeywordRule(keywords, match, case_sensitive, whole_word)
    scanner = KeywordScanner(rule)
    expected = [rule.matches(text) for text in texts]
    masks = [scanner.candidates(pl.Series(texts, dtype=pl.String))]
    if scanner.is_exact:
        assert masks[0].to_list() == expected
    lines = scanner.json_candidates(pl.Series([as_json(text, style) for text in texts]))
    if lines is not None:
        masks.append(lines)
    for mask in masks:
        found = mask.to_list()
        assert all(candidate for candidate, kept in zip(found, expected, strict=True) if kept)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8), st.data())
def test_many_keywords_are_the_plain_loop(texts: list[str], data: st.DataObject) -> None:
    word = st.text(alphabet="abksé日", min_size=2, max_size=5)
    keywords = data.draw(st.lists(word, min_size=GROUP_SIZE, max_size=3 * GROUP_SIZE, unique=True))
    scanner = KeywordScanner(KeywordRule(tuple(keywords)))
    expected = [any(keyword in text for keyword in keywords) for text in texts]
    assert scanner.candidates(pl.Series(texts, dtype=pl.String)).to_list() == expected


def test_lines_without_a_keyword_are_no_candidates() -> None:
    scanner = KeywordScanner(KeywordRule(("pandas", 'df["a"]', "日本", "a/b")))
    lines = [{"content": text} for text in ("numpy", "df[a]", "日", "a b", "\n\t\\")]
    mask = scanner.json_candidates(pl.Series([json.dumps(line) for line in lines]))
    assert mask is not None
    assert not mask.any()


@pytest.mark.parametrize(
    ("text", "languages", "match", "expected"),
    [
        ("common", [], "any", True),
        ("import x", ["python"], "any", True),
        ("import x", ["java"], "any", False),
        ("import x", [], "any", False),
        ("common", ["python"], "all", False),
        ("common import", ["python"], "all", True),
        ("common", ["java"], "all", True),
        ("const common", ["java", ".js"], "all", True),
        ("common", ["java", ".js"], "all", False),
    ],
)
def test_keywords_by_language(
    text: str, languages: list[str], match: Literal["any", "all"], expected: bool
) -> None:
    by_language = {"python": ("import",), ".js": ("const",)}
    scanner = KeywordScanner(KeywordRule(("common",), match), by_language)
    assert scanner.matches(text, languages) is expected
    if expected:
        assert scanner.candidates(pl.Series([text])).all()
    alone = KeywordScanner(KeywordRule((), match), by_language)
    assert alone.matches("import", ["python"])
    assert not alone.matches("import", ["java"])
    assert alone.candidates(pl.Series(["import", "x"])).to_list() == [True, False]
