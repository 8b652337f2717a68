"""Braces, arguments, the dump's own templates, budgets; any input comes out without braces."""

from __future__ import annotations

import pickle
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from template_building import expand

from headrace.corpus.wikitext.brace_parser import top_level_spans
from headrace.corpus.wikitext.errors import PageError
from headrace.corpus.wikitext.templates import TemplateLibrary


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no templates", "no templates"),
        ("a {{Unheard of|x|{{y}}}} b", "a  b"),
        ("{{nowrap|x}}", "x"),
        ("{{ Nowrap | x }}", "x"),
        ("{{Template:nowrap|x}}", "x"),
        ("{{template:Nowrap|x}}", "x"),
        ("{{subst:nowrap|x}} {{safesubst:nowrap|y}} {{msg:nowrap|z}}", "x y z"),
        ("{{nowrap|1=a=b}}", "a=b"),
        ("{{nowrap|[[a|b=c]]}}", "[[a|b=c]]"),
        ("{{nowrap|[[a|{{nowrap|b}}]] c}}", "[[a|b]] c"),
        ("{{nowrap|a{{!}}b}}", "a|b"),
        ("{{nowrap|a{{=}}b}}", "a=b"),
        ("{{{!}} class=x", "{| class=x"),
        ("x {{(}}y{{)}}", "x {y}"),
        ("{{{1|default}}} {{{nothing}}}|", "default |"),
        ("{{#if:{{{nothing}}}|set|unset}}", "set"),
        ("{{#if:{{{nothing|}}}|set|unset}}", "unset"),
        ("left {{open and [[link]] right", "left open and [[link]] right"),
        ("left }} right {{nowrap|x}}", "left  right x"),
        ("{{nowrap|x}} {{ {{nowrap|y}}", "x  y"),
        ("sets {{a},{b}} here", "sets a},{b here"),
        ("{{nowrap|[[a}} b", "[[a b"),
        ("{{{{nowrap|nowrap}}|x}}", "x"),
        ("{{{{{|safesubst:}}}#if:x|y}}", "y"),
        ("\ue00012\ue001{{nowrap|\ue0003\ue001}}", "\ue00012\ue001\ue0003\ue001"),
    ],
)
def test_calls_and_braces(text: str, expected: str) -> None:
    assert expand(text) == expected


BODIES = {
    "Hello": "Hello, {{{1|you}}}{{{mark|!}}}",
    "Args": "1=<{{{1}}}> x=<{{{x|}}}>",
    "Inner": "<noinclude>doc</noinclude><includeonly>in</includeonly><!-- c -->",
    "Only": "a<onlyinclude>b</onlyinclude>c<onlyinclude>d</onlyinclude>",
    "Loop": "a{{Loop 2}}b",
    "Loop 2": "c{{loop}}d",
    "Literal": "<nowiki>{{Hello}}</nowiki><ref>gone</ref>",
    "List": "* a\n* b",
    "Forward": "{{Args|{{{1}}}|x={{{x|none}}}}}",
    "Choose": "{{{{{1}}}|z}}",
    "Nested default": "{{{a|{{{b|c}}}}}}",
    "Quote": "the dump's own quote",
    "R": "the dump's R",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{Hello}}", "Hello, you!"),
        ("{{hello|Ann|mark=?}}", "Hello, Ann?"),
        ("{{Hello|1=Ann}}", "Hello, Ann!"),
        ("{{Hello|Ann|1=Bob}}", "Hello, Bob!"),
        ("{{Hello|}}", "Hello, !"),
        ("{{Args| a | x = b }}", "1=< a > x=<b>"),
        ("{{Inner}}", "in"),
        ("{{Only}}", "bd"),
        ("{{Loop}}", "acdb"),
        ("{{Literal}}", "&#123;&#123;Hello&#125;&#125;"),
        ("{{List}}", "* a\n* b"),
        ("x {{List}}", "x \n* a\n* b"),
        ("{{Forward|q}}", "1=<q> x=<none>"),
        ("{{Choose|Hello}}", "Hello, z!"),
        ("{{Nested default}}{{Nested default|b=1}}{{Nested default|a=2}}", "c12"),
        ("{{Old name}} {{vorlage:hello}}", "Hello, you! Hello, you!"),
        ("{{Quote|built-in}}", "\n\nbuilt-in\n\n"),
        ("{{r}}", "the dump's R"),
    ],
)
def test_templates_of_the_dump(text: str, expected: str) -> None:
    redirects = {"old_name": "Older name", "Older name": "hello"}
    assert expand(text, "en", BODIES, redirects=redirects, namespaces={"10": "Vorlage"}) == expected


def test_library_from_rows_follows_redirects_but_no_circles() -> None:
    rows = [
        {"title": "A", "text": "body", "redirect": "", "offset": 0},
        {"title": "b", "text": "", "redirect": "a", "offset": 1},
        {"title": "C", "text": "", "redirect": "D", "offset": 2},
        {"title": "D", "text": "", "redirect": "C", "offset": 3},
    ]
    library = TemplateLibrary.from_rows(rows)
    assert [library.resolve(name) for name in ("B", "c", "none")] == ["A", None, None]
    assert pickle.loads(pickle.dumps(library)).resolve("b") == "A"


def test_chain_longer_than_the_limit_gives_nothing() -> None:
    chain = {f"T{n}": f"{{{{T{n + 1}}}}}" for n in range(5000)} | {"T5000": "end"}
    assert expand("a{{T0}}b", templates=chain) == "ab"
    assert expand("{{T4990}}", templates=chain) == "end"


LAUGHS = {"L0": "ha", **{f"L{n}": f"{{{{L{n - 1}}}}}" * 10 for n in range(1, 12)}}
DOUBLES = {"L0": "ha" * 500, **{f"L{n}": f"{{{{L{n - 1}}}}}" * 2 for n in range(1, 31)}}


@pytest.mark.parametrize("templates", [LAUGHS, DOUBLES])
def test_exponential_templates_are_stopped_at_once_and_always_alike(
    templates: dict[str, str],
) -> None:
    text = "{{L11}}"
    started = time.process_time()
    details = set()
    for _ in range(2):
        with pytest.raises(PageError) as caught:
            expand(text, templates=templates, max_output_characters=1_000_000)
        details.add((caught.value.reason, caught.value.detail))
    assert time.process_time() - started < 5
    assert len(details) == 1
    assert details.pop()[0] == "page_too_complex"


def test_page_error_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(PageError("page_too_complex", "why")))
    assert (error.reason, error.detail) == ("page_too_complex", "why")


DEPTH = 10_000


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("{{nowrap|" * DEPTH + "x" + "}}" * DEPTH, "x"),
        ("{{#if:y|" * DEPTH + "x" + "}}" * DEPTH, "x"),
        ("{{unheard|" * DEPTH + "x" + "}}" * DEPTH + "y", "y"),
        ("{{{a|" * DEPTH + "x" + "}}}" * DEPTH, "x"),
        ("{{" * 500_000 + "x", "x"),
        ("x" + "}}" * 500_000, "x"),
        ("{{nowrap|" + "{{" * 300_000 + "}} x", "x"),
        ("{{{" * 300_000 + "x", "x"),
        ("{}}{" * 100_000 + "x", "x"),
        ("{{#expr:" + "(" * 9000 + "1" + ")" * 9000 + "}}", "1"),
        ("{{#expr:" + "-" * 15000 + "1}}", "1"),
    ],
)
def test_deep_and_huge_inputs_are_fast(text: str, kept: str) -> None:
    started = time.process_time()
    assert kept in expand(text)
    assert time.process_time() - started < 5


def test_unclosed_tags_of_a_template_are_read_in_linear_time() -> None:
    body = "<ref>" * 50_000 + "<nowiki>" * 50_000 + "<onlyinclude>" * 20_000 + "<noinclude>" * 9
    started = time.process_time()
    expand("{{Broken}}", templates={"Broken": body})
    assert time.process_time() - started < 5


PIECES = [
    "{{",
    "}}",
    "{",
    "}",
    "{{{",
    "}}}",
    "|",
    "=",
    "[[",
    "]]",
    "a",
    " ",
    "\n",
    "*",
    "nowrap",
    "lang",
    "#if:",
    "#switch:",
    "#expr:1/",
    "convert|5|km",
    "1",
    "x",
    "{{!}}",
    "<nowiki>",
    "#time:Y|",
    "frac|",
    "T",
    ":",
    "\ue0005\ue001",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_soup_comes_out_without_braces_and_always_the_same(text: str) -> None:
    templates = {"T": "<{{{1|}}}{{{x|{{T}}}}}"}
    out = expand(text, templates=templates)
    assert "{{" not in out
    assert "}}" not in out
    assert "\ue0f2" not in out
    assert 'class="error"' not in out
    assert out == expand(text, templates=templates)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="{}a|", max_size=30))
def test_spans_are_disjoint_in_order_and_balanced(text: str) -> None:
    end = 0
    for start, stop in top_level_spans(text):
        assert end <= start < stop
        assert text[start : start + 2] == "{{"
        assert text[stop - 2 : stop] == "}}"
        end = stop
