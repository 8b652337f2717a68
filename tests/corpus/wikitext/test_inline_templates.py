"""What a reader sees of the built-in templates, by family and by wiki."""

from __future__ import annotations

import pytest
from template_building import expand

ENGLISH = [
    ("{{lang|fr|bonjour}} {{Lang|grc|ἡγέτης}}", "bonjour ἡγέτης"),
    ("{{lang-sq|bashki}}", "Albanian: bashki"),
    ("{{lang-ru|Москва|Moskva|lit=Moscow}}", "Russian: Москва, romanized: Moskva, lit. 'Moscow'"),
    ("{{lang-de|Haus|label=none}} {{langx|de|Haus}}", "Haus German: Haus"),
    ("{{transl|ar|ALA|ā}} {{transliteration|el|x}}", "ā x"),
    ("{{IPA|ä}} {{IPA-fr|alɛ̃|lang}} {{IPA-el|a|pron}}", "ä French: [alɛ̃] pronounced [a]"),
    ("{{IPAc-en|ˈ|f|iː|t}} {{IPAc-en|UK|audio=x.ogg|a|_|b}}", "/ˈfiːt/ UK: /a b/"),
    ("{{respell|EP|i|KEWR}}", "EP-i-KEWR"),
    ("{{nihongo|English|日本語|romaji|extra}}", "English (日本語, romaji, extra)"),
    (
        "{{nihongo|'''E'''|日}} {{nihongo||日|ro}} {{nihongo3|E|日|ro}}",
        "'''E''' (日) 日 (ro) ro (日, \"E\")",
    ),
    ("{{nowrap|a b}} {{nobr|c}} {{small|(d)}} {{smaller|e}} {{big|f}}", "a b c (d) e f"),
    ("{{sup|2}} {{sub|3}} {{su|p=+|b=1}}", "<sup>2</sup> <sub>3</sub> <sup>+</sup><sub>1</sub>"),
    ("{{small|* x}}", "<span>* x</span>"),
    ("{{frac|1|2}} {{frac|3|1|2}} {{frac|4}} {{sfrac|2|3}}", "1⁄2 3 1⁄2 1⁄4 2/3"),
    ("{{abbr|3rd|third}} {{tooltip|a|b}} {{color|red|text}} {{strike|x}}", "3rd a text x"),
    ("{{as of|2009|lc=y}} {{As of|2010|5}}", "as of 2009 As of May 2010"),
    ("{{as of|2010|5|12}} {{as of|2010|5|12|df=US|lc=y}}", "As of 12 May 2010 as of May 12, 2010"),
    ("{{as of|2009|alt=by 2009}} {{since|2009|lc=y}}", "by 2009 since 2009"),
    ("{{quote|Words|Ann|Book}}", "\n\nWords\n\n— Ann, Book\n\n"),
    ("{{Blockquote|text=Words|author=Ann}}", "\n\nWords\n\n— Ann\n\n"),
    ("{{cquote|Words}}", "\n\nWords\n\n"),
    ("{{quote box|quote=Words|source=Ann|width=30%}}", "\n\nWords\n\n— Ann\n\n"),
    ("a{{'}}b{{'s}}{{snd}}c{{ndash}}d{{mdash}}e{{nbsp}}f{{·}}g", "a'b's – c–d—e\u00a0f · g"),
    (
        "{{birth date|1932|4|4}} {{birth date and age|1932|4|4|df=yes}}",
        "April 4, 1932 4 April 1932",
    ),
    ("{{death date and age|1986|12|29|1932|4|4}}", "December 29, 1986 (aged 54)"),
    (
        "{{start date|2001|5}} {{end date|2002}} {{film date|1997|1|17|Spain}}",
        "May 2001 2002 January 17, 1997 (Spain)",
    ),
    ("{{dts|1778|03|04}} {{dts|July 1, 1867}}", "4 March 1778 July 1, 1867"),
    ("{{age|1900|1|2|1950|1|1}}{{age|1900|1|2}}", "49"),
    ("{{OldStyleDate|February 2|1905|January 20}}", "February 2 [O.S. January 20] 1905"),
    (
        "{{circa|1900}} {{c.|1900|1910}} {{fl.|1066}} {{reign|800|814}}",
        "c. 1900 c. 1900 – c. 1910 fl. 1066 r. 800–814",
    ),
    ("{{val|30000|u=C}} {{val|1.2|0.3|e=5|u=m}}", "30000 C (1.2±0.3)×10<sup>5</sup> m"),
    (
        "{{e|6}} {{10^|-3}} {{gaps|1|234}} {{nts|1234}}",
        "×10<sup>6</sup> 10<sup>−3</sup> 1234 1,234",
    ),
    ("{{chem|SO|4|2-}} {{chem|H|2|O}}", "SO<sub>4</sub><sup>2−</sup> H<sub>2</sub>O"),
    ("{{chem2|H2O}} {{chem2|SO4(2-)}}", "H<sub>2</sub>O SO<sub>4</sub><sup>2−</sup>"),
    ("{{math|''x'' {{=}} 1}} {{mvar|y}} {{overline|AB}}", "''x'' = 1 y AB"),
    (
        "{{ISBN|978-3-16}} {{ISSN|0002}} {{OCLC|12}} {{doi|10.1/x}}",
        "ISBN 978-3-16 ISSN 0002 OCLC 12 doi:10.1/x",
    ),
    ("{{ill|Foo|de|Bar}} {{ill|Foo|de|Bar|lt=Baz}}", "Foo Baz"),
    ("{{US$|5}} {{INR|7}} {{£|3}} {{currency|4|EUR}}", "US$5 ₹7 £3 €4"),
    (
        "{{flag|Turkey}} {{flagicon|Kuwait}}{{flagcountry|Spain}} {{USA}}",
        "Turkey Spain United States",
    ),
    ("{{angbr|{{IPA|ä}}}} {{keypress|Ctrl|^}} {{vanchor|9|el9}}", "⟨ä⟩ Ctrl+^ 9"),
    ("{{hlist|a|[[b|c]]|d}}", "a · [[b|c]] · d"),
    ("{{ubl|a|b}}x{{plainlist|\n* c\n* d\n}}", "\n* a\n* b\nx\n* c\n* d\n"),
    ("{{ordered list|a|b}}", "\n# a\n# b\n"),
    ("{{nuclide|potassium|40}} {{simpleNuclide|uranium}}", "<sup>40</sup>K U"),
    ("{{RailGauge|1435mm}} {{HMS|Ajax|22}}", "1,435 mm (4 ft 8 1⁄2 in) HMS Ajax"),
    (
        "{{yes}} {{no|never}} {{sort|1|first}} {{sortname|Ann|Lee|nolink=1}}",
        "Yes never first Ann Lee",
    ),
]
DROPPED = [
    "citation needed|date=May 2010",
    "cite book|title=x",
    "sfn|A|2010",
    "rp|12",
    "r|x",
    "efn|note",
    "reflist",
    "main|Foo",
    "See also|Foo",
    "about|x",
    "Infobox person|name=x",
    "navbox|list1=x",
    "coord|1|2|N",
    "clarify",
    "when",
    "Use dmy dates",
    "commons category|x",
    "portal|x",
    "time ago|2010",
    "flagicon|USA",
    "DEFAULTSORT:x",
    "Anchor|x",
    "tl|x",
    "Clear",
    "Good article",
    "France-geo-stub",
]


@pytest.mark.parametrize(("text", "expected"), ENGLISH)
def test_english(text: str, expected: str) -> None:
    assert expand(text) == expected


@pytest.mark.parametrize("call", DROPPED)
def test_notes_and_navigation_give_nothing_even_where_the_dump_defines_them(call: str) -> None:
    name = call.partition("|")[0]
    templates = {name: "shown"} if len(name) > 2 else {}
    assert expand(f"a{{{{{call}}}}}b", templates=templates) == "ab"


LOCAL = [
    ("ja", "{{読み仮名|'''香川県'''|かがわけん|x}}", "'''香川県'''（かがわけん、x）"),
    (
        "ja",
        "{{ルビ|漢字|かんじ}} {{仮リンク|題|en|Title}} {{仮リンク|題|en|T|label=札}}",
        "漢字（かんじ） 題 札",
    ),
    ("ja", "{{要出典|date=2018年2月}}{{要出典範囲|本文|date=2020年}}", "本文"),
    ("ja", "{{lang-en|x}} {{lang-en-short|x}} {{lang|en|y}} {{en|z}}", "英語: x 英: x y z"),
    ("ja", "{{和暦|2008}} {{生年月日と年齢|1971|3|10}}", "平成20年 1971年3月10日"),
    ("ja", "{{死亡年月日と没年齢|1950|4|19|2011|7|5}}", "2011年7月5日（61歳没）"),
    (
        "ja",
        "{{JPN}}・{{flag|山梨県}} {{LangWithName|gn|グアラニー語|Tetã}}",
        "日本・山梨県 グアラニー語: Tetã",
    ),
    (
        "ja",
        "{{補助漢字フォント|﨑}} {{ISBN2|978}} {{Display none|x}}{{en icon}}",
        "﨑 ISBN 978 （英語）",
    ),
    ("de", "{{EnS|house}} {{lang|en|x}} {{lang-fr|y}}", "englisch house x französisch y"),
    ("de", "{{Zitat|Worte|Autor}}", "\n\nWorte\n\n— Autor\n\n"),
    ("de", '{{Hauptartikel|X}}{{"|Worte}}', "„Worte“"),
    ("fr", "{{unité|1234,5|km}} {{nb|12345}}", "1\u00a0234,5 km 12\u00a0345"),
    (
        "fr",
        "{{s-|XIX}} {{XIXe siècle}} {{-s|III}} {{Ier siècle}}",
        "XIXe siècle XIXe siècle IIIe siècle av. J.-C. Ier siècle",
    ),
    ("fr", "{{date|14|juillet|1789|en France}} {{date-|1 mai 2000}}", "14 juillet 1789 1 mai 2000"),
    (
        "fr",
        "{{citation|mots}} {{langue|en|x}} {{1er}} {{2e}} {{nobr|a b}}",
        "«\u00a0mots\u00a0» x 1er 2e a b",
    ),
    (
        "es",
        "{{cita|Palabras|Autor}}{{unidad|12345|km}} {{esd|a b}}",
        "\n\nPalabras\n\n— Autor\n\n12\u00a0345 km a b",
    ),
    ("es", "{{cita requerida}}{{lang-en|x}}", "en inglés: x"),
    ("it", "{{citazione|Parole|Autore}}{{M|1234,5|km}}", "\n\nParole\n\n— Autore\n\n1.234,5 km"),
    (
        "pt",
        "{{convert|5|km|mi}} {{lang|en|x}} {{lang-en|y}}",
        "5 kilometres (3.1 mi) x em inglês: y",
    ),
    ("ru", "{{lang-en|x}} {{нп5|Статья|текст|en|A}} {{s|a b}}{{нет АИ}}", "англ. x текст a b"),
    (
        "ru",
        "{{начало цитаты}}Слова{{конец цитаты}} {{цитата|Слова|автор=Я}}",
        "Слова \n\nСлова\n\n— Я\n\n",
    ),
    ("uk", "{{lang-en|x}} {{не перекладено|Назва|текст|en|A}}", "англ. x текст"),
    ("pl", "{{Cytat|Słowa|Autor}}{{j|en|x}}{{fakt}}", "\n\nSłowa\n\n— Autor\n\nx"),
    ("nl", "{{Citaat|Woorden}}{{lang-en|x}}{{bron?}}", "\n\nWoorden\n\nEngels: x"),
    ("sv", "{{citat|Ord}}{{lang-en|x}}{{källa behövs}}", "\n\nOrd\n\nengelska: x"),
    (
        "zh",
        "{{tsl|en|Title|中文}} {{link-en|本地|Foreign}} {{le|本地|F|显示}} {{lang-en|x}}",
        "中文 本地 显示 英语：x",
    ),
    ("ko", "{{llang|en|x}} {{lang|en|y}} {{임시링크|가|en|A}}{{출처}}", "영어: x y 가"),
    ("bg", "{{lang|en|x}} {{lang-la|1=y}}{{източник}}", "на английски: x на латински: y"),
]


@pytest.mark.parametrize(("lang", "text", "expected"), LOCAL)
def test_other_languages(lang: str, text: str, expected: str) -> None:
    assert expand(text, lang) == expected


def test_a_template_within_a_dropped_one_is_not_even_read() -> None:
    bomb = {"L0": "x", **{f"L{n}": f"{{{{L{n - 1}}}}}" * 10 for n in range(1, 12)}}
    assert expand("{{Infobox|a={{L11}}}}b{{unheard of|{{L11}}}}", templates=bomb) == "b"
