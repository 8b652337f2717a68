"""What a reader sees of each construct of wikitext; unknown templates give nothing."""

from __future__ import annotations

import pickle

import pytest

from headrace.corpus.site import Site
from headrace.corpus.wikitext.cleaner import (
    DEFAULT_KEEP,
    KEEPABLE,
    CleanedPage,
    Cleaner,
    CleanerOptions,
    Section,
)
from headrace.corpus.wikitext.errors import PageError
from headrace.corpus.wikitext.templates import TemplateLibrary

ALL = frozenset(KEEPABLE)


def clean_page(
    wikitext: str,
    *,
    lang: str = "en",
    namespaces: dict[str, str] | None = None,
    options: CleanerOptions | None = None,
) -> CleanedPage:
    site = Site(lang=lang, namespaces=namespaces or {})
    return Cleaner(site, options or CleanerOptions(), TemplateLibrary()).clean("Title", wikitext)


def clean(wikitext: str, *keep: str, lang: str = "en", math: str = "source") -> str:
    options = CleanerOptions(
        keep=DEFAULT_KEEP | set(keep),
        math=math,  # type: ignore[arg-type]
    )
    return clean_page(wikitext, lang=lang, options=options).text


PARAGRAPHS = [
    ("plain", "plain"),
    ("one\ntwo\n\nthree", "one two\nthree"),
    ("日本語\n文章", "日本語文章"),
    ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
    ("* a<br>b", "- a b"),
    ("a\n----\nb", "a\nb"),
    ("-5 degrees", "-5 degrees"),
    (" preformatted\n  line", "preformatted\nline"),
    ("<div class=x>one</div><p>two</p>", "one\ntwo"),
    ("<blockquote>\nquoted\n</blockquote>\nafter", "quoted\nafter"),
    ("<center>middle</center>", "middle"),
    ("a <span style='color:red'>b</span> <small>c</small> <big>d</big>", "a b c d"),
    ("CO<sub>2</sub> and x<sup>th</sup>", "CO2 and xth"),
    ("<poem>\nRoses are red\nViolets are blue\n</poem>", "Roses are red\nViolets are blue"),
    ("<ruby>漢<rt>かん</rt></ruby>字", "漢(かん)字"),
    ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp></ruby>字", "漢(かん)字"),
    ('a<span style="display:none">sortkey</span>b', "ab"),
    ("if 3 <5 and a <b then", "if 3 <5 and a <b then"),
    ("the grapheme <sh> is", "the grapheme <sh> is"),
    ("|x| is absolute", "|x| is absolute"),
    ("wink ;) smile :-) (: and f() here", "wink ;) smile :-) (: and f() here"),
    ("1,000.5; 3:1, 12:30", "1,000.5; 3:1, 12:30"),
    ("ISBN 0-306-40615-2 and RFC 1149", "ISBN 0-306-40615-2 and RFC 1149"),
]
COMMENTS_AND_REFERENCES = [
    ("a<!-- x -->b", "ab"),
    ("a\n<!-- x -->\nb", "a b"),
    ("* a\n<!-- x -->\n* b", "- a\n- b"),
    ("a<!-- never closed", "a"),
    ("a<ref>x</ref>b", "ab"),
    ("a<ref name=n/>b<ref name='m' />c", "abc"),
    ("a<REF Name=x>y</REF>b", "ab"),
    ("a<ref>x [[File:y.jpg|z]] {{cite|a=<ref>n</ref>}}</ref>b", "ab"),
    ("a<ref>unclosed\n\nnext", "a\nnext"),
    ('a<ref name="x">\n\nb<ref>y</ref>c', "a\nbc"),
    ("a<ref>one\n== H ==\ntext<ref>y</ref> z</ref>", "a\nH\ntext z"),
    ("a</ref>b", "ab"),
    ("a\n<references>\n<ref>x</ref>\n</references>", "a"),
    ("a<references/>", "a"),
    ("{{zzx|<ref>a}}</ref>}}b", "b"),
]
LITERALS = [
    ("<nowiki>[[a]] ''b'' {{c}} <ref></nowiki>", "[[a]] ''b'' {{c}} <ref>"),
    ("<nowiki/>* no list", "* no list"),
    ("<nowiki>&amp;lt;</nowiki>", "&lt;"),
    ("<code>f( a , b )</code> <tt>x</tt> <kbd>Ctrl</kbd>", "f( a , b ) x Ctrl"),
    ("<code>[[a|b]] ''c''</code>", "b c"),
    ("a<pre>x = 1</pre>b", "a\nb"),
    ("a<syntaxhighlight lang=c inline>int x;</syntaxhighlight>b", "aint x;b"),
    ("a<math>E=mc^2</math>b", "aE=mc^2b"),
    ("<math>a &lt; b</math>", "a < b"),
    ("a<gallery>\nFile:x.jpg|caption\n</gallery>b", "ab"),
    ("a<timeline>\nx\n</timeline>b<score>y</score>", "ab"),
    ("a<gallery>\nFile:x.jpg|c\n\nb", "a\nb"),
    ("<noinclude>a</noinclude><includeonly>b</includeonly><onlyinclude>c</onlyinclude>", "ac"),
    ("__NOTOC__a__TOC__ __目次__b", "a b"),
    ("__init__ and __FILE__", "__init__ and __FILE__"),
]
LINKS = [
    ("[[cat]]s and [[cat|dog]]s", "cats and dogs"),
    ("[[a (b)|]] [[a, b|]] [[Help:x|]]", "a a x"),
    ("[[:Category:X]] [[:File:x.jpg|y]]", "Category:X y"),
    ("a[[Category:X|*]]b[[category:y]]", "ab"),
    ("a[[de:Artikel]]b[[zh-min-nan:x]]", "ab"),
    ("[[:en:Foo|bar]] [[wikt:foo]] [[s:X|text]]", "bar foo text"),
    ("[[Star Wars: Episode]] [[2001: A|film]]", "Star Wars: Episode film"),
    ("[[File:a.jpg|thumb|left|200px|a [[b|c]] [http://x y]]]text", "text"),
    ("[[Image:a.jpg|thumb|[[a|[[b]]]]]]text", "text"),
    ("[[File:a.jpg|thumb|unclosed\ntext", "text"),
    ("[http://x.org label here] [//x.org two]", "label here two"),
    ("a [http://x.org] b", "a b"),
    ("see http://x.org/a?b=c now", "see http://x.org/a?b=c now"),
    ("[http://x.org a [b] c] [mailto:a@b.c mail]", "a [b] c mail"),
    ("[[unclosed and ]] stray", "unclosed and stray"),
    ("[[a\nb]]", "a b"),
    ("a[b[0]] [1] [sic]", "a[b[0]] [1] [sic]"),
    ("[[a|b\nc]]", "b c"),
    ("[[a|'''b''']]", "b"),
]
QUOTES = [
    ("'''b''' ''i'' '''''x'''''", "b i x"),
    ("l'''amour'' is", "l'amour is"),
    ("''''x''''", "'x'"),
    ("'''unclosed", "unclosed"),
    ("it's ''o'clock''", "it's o'clock"),
    ("'''''a''' b''", "a b"),
]
HEADINGS = [
    ("= one =\n== two ==\n====== six ======", "one\ntwo\nsix"),
    ("==a== <!-- c -->\ntext", "a\ntext"),
    ("== a ==<ref>x</ref>", "a"),
    ("== a == trailing", "a\ntrailing"),
    ("=== a ==", "= a"),
    ("== ''[[a|b]]'' ==", "b"),
    ("== unclosed", "unclosed"),
    ("a == b", "a == b"),
    ("<h2>a</h2>b", "a\nb"),
    ("text\n==\n==  ==\nmore", "text\nmore"),
]
LISTS = [
    ("* a\n* b\n** c\n*# d\n*# e", "- a\n- b\n- c\n1. d\n2. e"),
    ("# a\n# b\n## c\n# d\n\n# e", "1. a\n2. b\n1. c\n3. d\n1. e"),
    ("; term : definition\n: more", "term\ndefinition\nmore"),
    (";a:b\n;c\n:d", "a\nb\nc\nd"),
    ("; http://x.org y", "http://x.org y"),
    (": indented\n:: twice", "indented\ntwice"),
    ("#a\n#: note\n# b", "1. a\nnote\n2. b"),
    ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
    ("<ol><li>a<li>b</ol>c", "1. a\n2. b\nc"),
    ("<dl><dt>t</dt><dd>d</dd></dl>", "t\nd"),
    ("* {{zzx}}\n* b", "- b"),
]
TABLES_DROPPED = [
    ("a\n{|\n| b\n|}\nc", "a\nc"),
    ("a\n{| class=x\n|-\n| b\n{|\n| c\n|}\n|}\nd", "a\nd"),
    ("a\n{|\n| b\n| c\n\nd", "a\nd"),
    ("a\n{|\n| b\n\n| c\n== h ==\nd", "a\nh\nd"),
    ("a\n:{|\n| b\n|}\nc", "a\nc"),
    ("a<table><tr><td>b</td></tr></table>c", "a\nc"),
    ("{{zzstart}}\n|-\n| a || b\n|}\nc", "c"),
    ("{|\n| a\n|} after", "after"),
]
HOLLOW = [
    ("Andorra ({{zza}}; {{zzb}}, ), officially", "Andorra, officially"),
    ("A ({{zza}}, born 1950) b", "A (born 1950) b"),
    ("A (x, {{zza}}) b", "A (x) b"),
    ("a {{zzx}}, b {{zzy}}.", "a, b."),
    ("a,{{zzx}}, b", "a, b"),
    ("日本（{{zza}}、{{zzb}}）は", "日本は"),
    ("日本（{{zza}}、にほん）は", "日本（にほん）は"),
    ("文{{zzx}}、、文", "文、文"),
    ("نص ({{zzx}}، {{zzy}}) نص", "نص نص"),
    ("{{zzx}}, a", "a"),
    ("(({{zzx}})) a", "a"),
    ("say “{{zzx}}” now", "say now"),
    ("mot ; mot : mot !", "mot ; mot : mot !"),
    ("wait . . . done", "wait . . . done"),
]
CHARACTERS = [
    ("a&nbsp;b&ndash;c&#65;&#x42;", "a b–cAB"),
    ("&amp;lt; &lt;b&gt; &unknown; &copy", "&lt; <b> &unknown; &copy"),
    ("e\u0301", "é"),
    ("a\u00adb\u200bc\ufeff\u200ed", "abcd"),
    ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "می\u200cخواهم"),
    ("a\ud800b\x00c\ue000d", "a\ufffdbc\ufffdd"),
    ("a\u00a0\u2009b\tc\r\nd", "a b c d"),
    ("&#xD800;&#x110000;&#0;", "\ufffd\ufffd\ufffd"),
]


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        *PARAGRAPHS,
        *COMMENTS_AND_REFERENCES,
        *LITERALS,
        *LINKS,
        *QUOTES,
        *HEADINGS,
        *LISTS,
        *TABLES_DROPPED,
        *HOLLOW,
        *CHARACTERS,
    ],
)
def test_a_reader_sees(wikitext: str, expected: str) -> None:
    assert clean(wikitext) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("{|\n! a !! b\n|-\n| c || d\n|}", "a\tb\nc\td"),
        ('{| class="x"\n|+ style="y" | Caption\n|-\n| colspan=2 | c\n|}', "Caption\nc"),
        ('{|\n| rowspan="2" style="a:b" | x || [[y|z]]\n|\n|}', "x\tz"),
        ("{|\n| P(A|B) || ||x\n|}", "P(A|B)\tx"),
        ("{|\n|\n* one\n* two\n| three\n|}", "one two\tthree"),
        ("{|\n| a\n{|\n| b\n| c\n|}\nd\n| e\n|}", "a b c d\te"),
        ("{|\n| a<br>b\n! ''c''\n|}", "a b\tc"),
        ("<table><tr><th>a</th><td>b|c</td></tr><tr><td>d</td></tr></table>", "a\tb|c\nd"),
        ("{{zzstart}}\n! a !! b\n|-\n| c || d\n{{zzend}}", "a\tb\nc\td"),
        ("{|\n| a\n\nText", "a\nText"),
        ("{|\n| {{zzx}} || a\n|-\n| ({{zzy}})\n|}", "a"),
        ("{|\n|<syntaxhighlight>x\ny</syntaxhighlight>\n|b\n|}", "b"),
    ],
)
def test_rows_of_tables_are_lines_of_cells(wikitext: str, expected: str) -> None:
    assert clean(wikitext, "tables") == expected


def test_kinds_of_blocks_are_selectable() -> None:
    page = "para\n== head ==\n* item\n: indent\n;t\n:d\n{|\n| cell\n|}"

    def kept(*keep: str) -> str:
        return clean_page(page, options=CleanerOptions(keep=frozenset(keep))).text

    assert kept("paragraphs") == "para\nindent"
    assert kept("headings") == "head"
    assert kept("lists") == "- item\nindent\nt\nd"
    assert kept("tables") == "cell"
    assert kept() == ""


def test_captions_and_code_stay_on_request() -> None:
    picture = "[[File:a.jpg|thumb|200px|alt=b|A [[cat]].]]'''C''' d"
    assert clean(picture) == "C d"
    assert clean(picture, "captions") == "A cat.\nC d"
    assert clean("[[File:flag.svg|20px|Tip]] x", "captions") == "x"
    assert clean("<gallery>\nFile:a.jpg|One\n</gallery>", "captions") == "One"
    assert clean("a<pre>\n  x = 1\n\n    y\n</pre>b", "code") == "a\n  x = 1\n    y\nb"


def test_formulas_by_choice() -> None:
    assert clean("a <math>x</math> b") == "a x b"
    assert clean("<math>\\frac{a_{i}}{b}\\,</math>, b") == "\\frac{a_{i} }{b}, b"
    assert clean("a <math>x</math> b", math="placeholder") == "a [formula] b"
    assert clean("a (<math>x</math>) b", math="drop") == "a b"


@pytest.mark.parametrize(
    ("lang", "wikitext", "expected"),
    [
        ("de", "[[Datei:x.jpg|mini|y]]a[[Kategorie:Z]][[en:B]]", "a"),
        ("ja", "[[ファイル:x.jpg|thumb|y]]あ[[Category:Z]]", "あ"),
        ("ru", "[[Файл:x.jpg|y]]а[[Категория:Z]]", "а"),
        ("fr", "[[Fichier:x.jpg|y]]a[[Catégorie:Z]] [[Image:x]]", "a"),
        ("zh", "-{zh-hans:计算机;zh-hant:電腦}-与-{A}-", "计算机与A"),
        ("ar", "[[ملف:x.jpg|y]]ا[[تصنيف:ب]]", "ا"),
        ("xx", "[[Datei:x.jpg]]a[[カテゴリ:y]]", "a"),
        ("en", "-{x}-", "-{x}-"),
    ],
)
def test_names_of_other_languages(lang: str, wikitext: str, expected: str) -> None:
    assert clean(wikitext, lang=lang) == expected


def test_names_of_the_dump_win() -> None:
    names = {"0": "", "6": "Bildo", "14": "Katego"}
    assert clean_page("[[Bildo:x]]a[[katego:y]]", lang="qq", namespaces=names).text == "a"


def test_sections_tell_where_they_start() -> None:
    page = clean_page("lead\n== a ==\ntext\n=== b ===\n== c ==\nend")
    assert page.text == "lead\na\ntext\nb\nc\nend"
    assert page.sections == (
        Section(0, "", 0),
        Section(2, "a", 5),
        Section(3, "b", 12),
        Section(2, "c", 14),
    )
    for section in page.sections[1:]:
        assert page.text[section.start :].startswith(section.title)


def test_empty_sections_go_on_request() -> None:
    wikitext = "== a ==\n=== b ===\nx\n== c ==\n{{zzy}}\n=== d ===\n== e ==\nz"
    options = CleanerOptions(keep_empty_sections=False)
    assert clean_page(wikitext, options=options).text == "a\nb\nx\ne\nz"


def test_an_empty_page_is_empty() -> None:
    assert clean_page("") == CleanedPage("", (Section(0, "", 0),))
    assert clean_page("{{zzx}}\n[[Category:Y]]").text == ""


def test_a_page_beyond_the_budget_is_refused() -> None:
    with pytest.raises(PageError) as raised:
        clean_page("a" * 101, options=CleanerOptions(max_page_characters=100))
    assert raised.value.reason == "page_too_complex"


def test_unknown_kinds_are_refused_and_options_travel() -> None:
    with pytest.raises(ValueError, match="keep"):
        CleanerOptions(keep=frozenset({"pictures"}))
    options = CleanerOptions(keep=ALL)
    assert pickle.loads(pickle.dumps(options)) == options
    assert hash(options) == hash(CleanerOptions(keep=ALL))
