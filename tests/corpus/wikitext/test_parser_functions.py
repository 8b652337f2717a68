"""Parser functions, the language of #expr, dates, string functions, magic words."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from template_building import expand

from headrace.corpus.wikitext.dates import age_in_years, format_time, japanese_era, parse_date
from headrace.corpus.wikitext.expressions import ExpressionError, evaluate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{#if: x | yes | no }}", "yes"),
        ("{{#if: | yes | no }}", "no"),
        ("{{#if:x}}{{#if:|y}}", ""),
        ("{{#ifeq:01|1|same|other}}{{#ifeq:a|A|same|other}}", "sameother"),
        ("{{#ifeq:1e3|1000.0|same|other}}", "same"),
        ("{{#ifexpr:1>2|a|b}}{{#ifexpr:|a|b}}{{#ifexpr:1+1|a}}", "bba"),
        ("{{#iferror:{{#expr:1/0}}|bad|good}}", "bad"),
        ("{{#iferror:{{#expr:1/2}}|bad}}", "0.5"),
        ("{{#iferror:{{#ifexpr:foo|a}}|bad}}", "bad"),
        ("{{#iferror:fine|bad|good}}", "good"),
        ("[{{#expr:1 +}}]", "[]"),
        ("{{#ifexist:Main Page|yes|no}}", "no"),
        ("{{#switch:b|a=1|b=2|c=3}}", "2"),
        ("{{#switch:a|a|b|c=fall|d=no}}", "fall"),
        ("{{#switch:z|a=1|#default=other|b=2}}", "other"),
        ("{{#switch:z|a=1|last}}", "last"),
        ("{{#switch:3.0|3=number}}", "number"),
        ("{{#switch:x|x={{{a|{{#if:1|deep}}}}}|y=no}}", "deep"),
        ("{{#switch:|=empty|x=no}}", "empty"),
        ("{{#switch: a | a = [[x|y=z]] }}", "[[x|y=z]]"),
        ("{{lc:ÄB}} {{uc:äb}} {{lcfirst:ABC}} {{ucfirst:abc}}", "äb ÄB aBC Abc"),
        (
            "{{padleft:7|3}} {{padright:7|3|x}} {{padleft:xyz|2}} {{padleft:1|4|ab}}",
            "007 7xx xyz aba1",
        ),
        (
            "{{formatnum:1234567.891}} {{formatnum:1,234.5|R}} {{formatnum:-1234}}",
            "1,234,567.891 1234.5 -1,234",
        ),
        ("{{plural:1|one|many}} {{plural:2|one|many}}", "one many"),
        (
            "{{#len:äb c}} {{#pos:abcb|b}} {{#rpos:abcb|b}} [{{#pos:a|z}}] {{#rpos:a|z}}",
            "4 1 3 [] -1",
        ),
        (
            "{{#sub:abcdef|2}} {{#sub:abcdef|-2}} {{#sub:abcdef|1|3}} {{#sub:abcdef|1|-2}}",
            "cdef ef bcd bcd",
        ),
        (
            "{{#replace:a-b-c|-|+}} {{#count:banana|an}} {{#explode:a,b,c|,|1}}",
            "a+b+c 2 b",
        ),
        ("{{urlencode:a b/c}} {{#urldecode:a%20b+c}} {{anchorencode:a b}}", "a+b%2Fc a b c a_b"),
        ("{{#titleparts:A/B/C|1}} {{#titleparts:A/B/C|1|2}} {{#titleparts:A/B/C|-1}}", "A B A/B"),
        ("{{#tag:ref|x}}{{#tag:sub|y}}{{#tag:nowiki|[[z]]}}", "<sub>y</sub>&#91;&#91;z&#93;&#93;"),
        (
            "{{#invoke:String|len|abc}} {{#invoke:String|sub|abcdef|2|4}} {{#invoke:Other|x}}|",
            "3 bcd |",
        ),
        ("{{#invoke:String|replace|a.b|.|-}} {{#invoke:String|rep|ab|3}}", "a-b ababab"),
        ("{{PAGENAME}}/{{SITENAME}}/{{CONTENTLANG}}/{{NAMESPACE}}", "Some page/Wikipedia/en/"),
        ("{{CURRENTYEAR}}{{DEFAULTSORT:x}}{{DISPLAYTITLE:y}}{{NUMBEROFARTICLES}}{{int:x}}", ""),
        ("{{ns:6}} {{ns:Template}}", "File Template"),
        ("{{#time:j F Y|2010-05-03}} {{#time:Y}}{{#time:Y|now}}", "3 May 2010 "),
        ("{{#iferror:{{#time:Y|no date at all}}|bad}}", "bad"),
        ("{{gender:x|he|she|they}} {{grammar:genitive|word}}", "they word"),
        ("{{#formatdate:2009-12-25|mdy}}", "December 25, 2009"),
    ],
)
def test_functions(text: str, expected: str) -> None:
    assert expand(text) == expected


def test_functions_of_other_languages() -> None:
    assert expand("{{#wenn:x|ja|nein}}", "de") == "ja"
    assert expand("{{formatnum:1234567.5}}", "de") == "1.234.567,5"
    assert expand("{{formatnum:1234.5}}", "ru") == "1\u00a0234,5"
    assert expand("{{formatnum:1234}} {{formatnum:12345}}", "es") == "1234 12\u00a0345"
    assert expand("{{#time:j xg Y|2010-05-03}}", "ru") == "3 мая 2010"
    assert expand("{{plural:5|год|года|лет}}", "ru") == "лет"
    assert expand("{{ns:10}}", "de", namespaces={"10": "Vorlage"}) == "Vorlage"


def test_an_untaken_branch_costs_nothing() -> None:
    bomb = {"L0": "x", **{f"L{n}": f"{{{{L{n - 1}}}}}" * 10 for n in range(1, 12)}}
    assert expand("{{#if:|{{L11}}|calm}}{{#switch:a|b={{L11}}|a=1}}", templates=bomb) == "calm1"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", ""),
        ("1+2*3", "7"),
        ("(1+2)*3", "9"),
        ("2^3^2", "64"),
        ("-2^2", "4"),
        ("2^-1", "0.5"),
        ("7 mod 3", "1"),
        ("-7 mod 3", "-1"),
        ("7.9 mod 3", "1"),
        ("7.5 fmod 2", "1.5"),
        ("10 div 4", "2.5"),
        ("1/3", "0.33333333333333"),
        ("2/3", "0.66666666666667"),
        ("100000*10000000", "1000000000000"),
        ("10^15", "1.0E+15"),
        ("1.5e3", "1500"),
        ("1e-7", "1.0E-7"),
        ("0.1+0.2", "0.3"),
        ("pi", "3.1415926535898"),
        ("e", "2.718281828459"),
        ("1.005 round 2", "1.01"),
        ("2.5 round 0", "3"),
        ("-2.5 round 0", "-3"),
        ("1234 round -2", "1200"),
        ("floor 2.7", "2"),
        ("ceil 2.1", "3"),
        ("trunc -2.7", "-2"),
        ("abs -3", "3"),
        ("not 0", "1"),
        ("not 5", "0"),
        ("1 and 0", "0"),
        ("1 or 0", "1"),
        ("1 = 1.0", "1"),
        ("1 != 2", "1"),
        ("1 <> 1", "0"),
        ("2 >= 2", "1"),
        ("3 < 2", "0"),
        ("1 &lt; 2", "1"),
        ("5 − 3", "2"),
        ("exp 0", "1"),
        ("ln e", "1"),
        ("sqrt 9", "3"),
        ("sin 0", "0"),
        ("cos pi", "-1"),
        ("acos 1", "0"),
        ("1 + 2 round 0", "3"),
        ("5 / 2 round 0", "3"),
        ("1 = 2 or 3 = 3", "1"),
        ("--1", "1"),
        (".5 + 1.", "1.5"),
    ],
)
def test_expressions(expression: str, expected: str) -> None:
    assert evaluate(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "1/0",
        "1 mod 0",
        "1 +",
        "(1",
        "1)",
        "foo",
        "1 2",
        "* 1",
        "ln 0",
        "asin 2",
        "1;2",
        "()",
        "1 (2)",
        "3 abs",
    ],
)
def test_wrong_expressions_are_told(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression)


NUMBERS = st.one_of(
    st.integers(0, 999).map(str), st.floats(0.01, 999, allow_nan=False).map(lambda v: f"{v:.2f}")
)


@st.composite
def arithmetic(draw: st.DrawFn, depth: int = 4) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(NUMBERS)
    left, right = draw(arithmetic(depth=depth - 1)), draw(arithmetic(depth=depth - 1))
    sign = draw(st.sampled_from(["+", "-", "*", "/"]))
    return f"({left}{sign}{right})" if draw(st.booleans()) else f"({left} {sign} (-{right}))"


@settings(max_examples=300, deadline=None)
@given(arithmetic())
def test_arithmetic_agrees_with_python(expression: str) -> None:
    def python_form(text: str) -> str:
        out, number = "", ""
        for sign in text + " ":
            if sign.isdigit() or sign == ".":
                number += sign
            else:
                out += (f"float({number})" if number else "") + sign
                number = ""
        return out

    try:
        expected = float(eval(python_form(expression)))
    except ZeroDivisionError:
        with pytest.raises(ExpressionError):
            evaluate(expression)
        return
    assume(abs(expected) > 1e-9)
    assert math.isclose(float(evaluate(expression)), expected, rel_tol=1e-9)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789.+-*/^()<>= emodpirundast", max_size=30))
def test_any_expression_gives_a_value_or_an_error(expression: str) -> None:
    with contextlib.suppress(ExpressionError):
        assert isinstance(evaluate(expression), str)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("Y-m-d", "3 May 2010", "2010-05-03"),
        ("Y-m-d", "May 3, 2010", "2010-05-03"),
        ("j F Y", "May 2010", "1 May 2010"),
        ("D l N w", "2024-02-29", "Thu Thursday 4 4"),
        ("L t z W", "2024-12-31", "1 31 365 01"),
        ("H:i:s g A", "2010-05-03 15:04:05", "15:04:05 3 PM"),
        ("Y-m-d", "2010-01-31 +1 month", "2010-03-03"),
        ("Y-m-d", "2010-01-01 -1 day", "2009-12-31"),
        ('"Y" \\Y y', "2010-05-03", "Y Y 10"),
        ("U", "@86400", "86400"),
        ("Y", "", ""),
        ("Y", "+1 day", ""),
        ("Y", "nonsense", None),
        ("Y", "2010-13-45", None),
        ("Y-m-d", "20100503", "2010-05-03"),
    ],
)
def test_time_formats(pattern: str, text: str, expected: str | None) -> None:
    assert format_time(pattern, text, "en") == expected


def test_ages_and_eras() -> None:
    assert age_in_years((1932, 4, 4), (1986, 12, 29)) == 54
    assert age_in_years((1932, 4, 4), (1986, 4, 3)) == 53
    assert japanese_era(2008) == "平成20年"
    assert japanese_era(2019, 5, 1) == "令和元年"
    assert japanese_era(2019, 4, 30) == "平成31年"
    assert parse_date("2010年5月3日") == (2010, 5, 3)
