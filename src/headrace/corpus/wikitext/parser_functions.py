"""Parser functions and magic words.

Branches are expanded only when they are taken. Nothing depends on the clock: words for the present
(`{{CURRENTYEAR}}`) give nothing, and `#time` speaks only of dates it is given.
Source of the semantics: MediaWiki's Help:Extension:ParserFunctions and Help:Magic words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

from headrace.corpus.wikitext import string_functions as strings
from headrace.corpus.wikitext.brace_parser import Nodes, split_name
from headrace.corpus.wikitext.calls import FunctionCall
from headrace.corpus.wikitext.dates import format_time
from headrace.corpus.wikitext.expressions import ExpressionError, evaluate
from headrace.corpus.wikitext.language_names import language_name
from headrace.corpus.wikitext.number_formats import format_number, parse_number

Function = Callable[[FunctionCall], str]

_ERROR_CLASS = re.compile(
    r'<(?:strong|span|p|div)\s[^<>]*\bclass="[^"<>]*\berror\b[^"<>]*"', re.IGNORECASE
)
_NUMERIC = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?")
_ESCAPED = re.compile(r"[{}\[\]|<>'=*#:;~_&]")


def _error(message: str) -> str:
    return f'<strong class="error">{message.replace("<", "&lt;")}</strong>'


def _equal(left: str, right: str) -> bool:
    """PHP's loose equality: as numbers where both are, else as strings."""
    if left == right:
        return True
    return bool(
        _NUMERIC.fullmatch(left) and _NUMERIC.fullmatch(right) and float(left) == float(right)
    )


def _if(call: FunctionCall) -> str:
    return call.text(1 if call.text(0) else 2)


def _if_equal(call: FunctionCall) -> str:
    return call.text(2 if _equal(call.text(0), call.text(1)) else 3)


def _if_error(call: FunctionCall) -> str:
    tested = call.text(0)
    if _ERROR_CLASS.search(tested):
        return call.text(1)
    return call.text(2) if len(call) > 2 else tested


def _if_expression(call: FunctionCall) -> str:
    try:
        value = evaluate(call.text(0))
    except ExpressionError as error:
        return _error(str(error))
    return call.text(2 if value in {"", "0", "-0"} else 1)


def _if_exist(call: FunctionCall) -> str:
    # Which pages exist is not known here; the branch for red links is the one that reads on.
    return call.text(2)


def _expression(call: FunctionCall) -> str:
    try:
        return evaluate(call.text(0))
    except ExpressionError as error:
        return _error(str(error))


def _switch(call: FunctionCall) -> str:
    subject = call.text(0)
    call.expansion.charge(len(call) >> 3)
    is_found = False
    default: Nodes | None = None
    last = len(call) - 1
    for index in range(1, len(call)):
        part = call.parts[index]
        named = split_name(part)
        if named is None:
            if index == last:
                return call.expand(part)
            case = call.expand(part)
            is_found = is_found or _equal(subject, case)
            is_default = case == "#default"
            if is_default and default is None:
                default = _next_value(call, index)
            continue
        case = call.expand(named[0])
        if is_found or _equal(subject, case):
            return call.expand(named[1])
        if case == "#default":
            default = named[1]
    return "" if default is None else call.expand(default)


def _next_value(call: FunctionCall, index: int) -> Nodes | None:
    """What a "#default" without a value falls through to."""
    for part in call.parts[index + 1 :]:
        named = split_name(part)
        if named is not None:
            return named[1]
    return None


def _tag(call: FunctionCall) -> str:
    name = call.text(0).lower()
    content = call.raw(1)
    if name == "nowiki":
        return _ESCAPED.sub(lambda found: f"&#{ord(found[0])};", content)
    if name not in _KEPT_TAGS:
        return ""
    attributes = " ".join(call.text(i) for i in range(2, len(call)) if "=" in call.text(i))
    return f"<{name}{' ' if attributes else ''}{attributes}>{content}</{name}>"


_KEPT_TAGS = {"math", "chem", "poem", "pre", "syntaxhighlight", "source", "code", "span", "sub",
    "sup", "div", "small", "big", "s", "del", "ins", "b", "i"}  # fmt: skip


def _time(call: FunctionCall) -> str:
    lang = call.text(2) or call.expansion.site.lang
    text = format_time(call.text(0), call.text(1), lang)
    return _error("Error: Invalid time.") if text is None else text


def _format_date(call: FunctionCall) -> str:
    pattern = {"dmy": "j F Y", "mdy": "F j, Y", "ymd": "Y F j", "ISO 8601": "Y-m-d"}
    style = pattern.get(call.text(1))
    written = call.text(0)
    text = format_time(style, written, call.expansion.site.lang) if style else None
    return text or written


def _format_number(call: FunctionCall) -> str:
    text, style = call.text(0), call.text(1).upper()
    lang = call.expansion.site.lang
    if style == "R":
        return parse_number(text, lang)
    return text if style == "NOSEP" else format_number(text, lang)


def _plural(call: FunctionCall) -> str:
    number_text = parse_number(call.text(0), call.expansion.site.lang)
    number = float(number_text) if _NUMERIC.fullmatch(number_text) else 0.0
    forms: list[str] = []
    for part in call.parts[1:]:
        named = split_name(part)
        if named is None:
            forms.append(call.expand(part))
        elif _equal(call.expand(named[0]), number_text):
            return call.expand(named[1])
    if not forms:
        return ""
    return forms[min(_plural_form(number, call.expansion.site.lang), len(forms) - 1)]


def _plural_form(number: float, lang: str) -> int:
    if lang in {"ja", "zh", "ko", "vi", "th", "id", "tr"}:
        return 0
    if lang in {"ru", "uk", "be", "sr", "hr", "pl", "cs", "sk"}:
        last, tens = number % 10, number % 100
        if (number if lang in {"pl", "cs", "sk"} else last) == 1 and tens != 11:
            return 0
        return 1 if last in {2, 3, 4} and tens not in {12, 13, 14} else 2
    return 0 if number == 1 or (lang in {"fr", "pt"} and number < 2) else 1


def _first(call: FunctionCall) -> str:
    return call.text(0)


def _second(call: FunctionCall) -> str:
    return call.text(1)


def _gender(call: FunctionCall) -> str:
    return call.text(3) if len(call) > 3 else call.text(1)


def _nothing(call: FunctionCall) -> str:
    del call
    return ""


def _namespace_name(call: FunctionCall) -> str:
    wanted = call.text(0)
    names = call.expansion.site.namespaces
    number = _NAMESPACE_NUMBERS.get(wanted.lower().replace("_", " "), wanted)
    return names.get(number) or _CANONICAL_NAMESPACES.get(number, "")


_CANONICAL_NAMESPACES = {
    "-2": "Media", "-1": "Special", "0": "", "1": "Talk", "2": "User", "3": "User talk",
    "4": "Project", "5": "Project talk", "6": "File", "7": "File talk", "8": "MediaWiki",
    "9": "MediaWiki talk", "10": "Template", "11": "Template talk", "12": "Help", "13": "Help talk",
    "14": "Category", "15": "Category talk", "100": "Portal", "828": "Module",
}  # fmt: skip
_NAMESPACE_NUMBERS = {name.lower(): number for number, name in _CANONICAL_NAMESPACES.items()}


def _full_url(call: FunctionCall) -> str:
    base = call.expansion.site.base.rpartition("/")[0]
    title = quote(call.text(0).replace(" ", "_"), safe="/:;@$!*(),")
    query = "?" + call.text(1) if call.text(1) else ""
    return f"{base}/{title}{query}"


def _language(call: FunctionCall) -> str:
    return language_name(call.text(0), call.text(1) or call.expansion.site.lang) or call.text(0)


def _of_title(choose: Callable[[str], str]) -> Function:
    """A magic word about the page's title, or about the one it is given."""

    def function(call: FunctionCall) -> str:
        return choose(call.text(0) or call.expansion.title)

    return function


def _without_namespace(title: str) -> str:
    before, colon, after = title.partition(":")
    return after if colon and before.lower() in _NAMESPACE_NUMBERS and after else title


def _namespace_of(title: str) -> str:
    before, colon, _ = title.partition(":")
    return before if colon and before.lower() in _NAMESPACE_NUMBERS else ""


def _base_name(title: str) -> str:
    title = _without_namespace(title)
    return title.rpartition("/")[0] or title


def _of_site(choose: Callable[[FunctionCall], str]) -> Function:
    return choose


def _constant(text: str) -> Function:
    def function(call: FunctionCall) -> str:
        del call
        return text

    return function


_TITLE_WORDS: dict[str, Callable[[str], str]] = {
    "PAGENAME": _without_namespace,
    "FULLPAGENAME": lambda title: title,
    "BASEPAGENAME": _base_name,
    "ROOTPAGENAME": lambda title: _without_namespace(title).partition("/")[0],
    "SUBPAGENAME": lambda title: _without_namespace(title).rpartition("/")[2],
    "SUBJECTPAGENAME": lambda title: title,
    "ARTICLEPAGENAME": lambda title: title,
    "TALKPAGENAME": lambda title: f"Talk:{title}",
    "NAMESPACE": _namespace_of,
    "SUBJECTSPACE": _namespace_of,
    "TALKSPACE": lambda title: "Talk",
    "PAGENAMEE": lambda title: quote(_without_namespace(title).replace(" ", "_")),
    "FULLPAGENAMEE": lambda title: quote(title.replace(" ", "_")),
}

VARIABLES: Mapping[str, Function] = {
    **{word: _of_title(choose) for word, choose in _TITLE_WORDS.items()},
    "NAMESPACENUMBER": _constant("0"),
    "SITENAME": _of_site(lambda call: call.expansion.site.sitename),
    "CONTENTLANG": _of_site(lambda call: call.expansion.site.lang),
    "CONTENTLANGUAGE": _of_site(lambda call: call.expansion.site.lang),
    "PAGELANGUAGE": _of_site(lambda call: call.expansion.site.lang),
    "SERVER": _constant(""),
    "!": _constant("|"),
    "=": _constant("="),
    "!!": _constant("||"),
    "(": _constant("{"),
    ")": _constant("}"),
    "(!": _constant("{|"),
    "!)": _constant("|}"),
    "!-": _constant("|-"),
    "!(": _constant("["),
    ")!": _constant("]"),
    "((": _constant(""),
    "))": _constant(""),
    "(((": _constant(""),
    ")))": _constant(""),
    "!((": _constant("[["),
    "))!": _constant("]]"),
    "pipe": _constant("|"),
    "colon": _constant(":"),
    "·": _constant(" · "),
    "•": _constant(" • "),
    "*": _constant(" • "),
}
"""Magic words without an argument, in their exact spelling."""

FUNCTIONS: Mapping[str, Function] = {
    "#if": _if, "#ifeq": _if_equal, "#iferror": _if_error, "#ifexpr": _if_expression,
    "#ifexist": _if_exist, "#switch": _switch, "#expr": _expression, "#time": _time,
    "#timel": _time, "#timef": _nothing, "#tag": _tag, "#invoke": strings.invoke,
    "#titleparts": strings.title_parts, "#formatdate": _format_date, "#dateformat": _format_date,
    "#len": strings.length, "#pos": strings.position, "#rpos": strings.last_position,
    "#sub": strings.substring, "#count": strings.count, "#replace": strings.replace,
    "#explode": strings.explode, "#urldecode": strings.url_decode, "#language": _language,
    "#rel2abs": _first, "#section": _nothing, "#lst": _nothing, "#lsth": _nothing,
    "#property": _nothing, "#statements": _nothing, "#coordinates": _nothing, "#babel": _nothing,
    "#related": _nothing, "#special": _nothing, "#seo": _nothing,
    "lc": strings.lower, "uc": strings.upper, "lcfirst": strings.lower_first,
    "ucfirst": strings.upper_first, "padleft": strings.pad_left, "padright": strings.pad_right,
    "formatnum": _format_number, "plural": _plural, "grammar": _second, "gender": _gender,
    "urlencode": strings.url_encode, "anchorencode": strings.anchor_encode, "ns": _namespace_name,
    "nse": _namespace_name, "fullurl": _full_url, "localurl": _full_url, "canonicalurl": _full_url,
    "filepath": _nothing, "int": _nothing, "noexternallanglinks": _nothing,
    "defaultsort": _nothing, "defaultsortkey": _nothing, "defaultcategorysort": _nothing,
    "displaytitle": _nothing, "デフォルトソート": _nothing, "sortierung": _nothing,
    "cledetri": _nothing, "clefdetri": _nothing, "ordenar": _nothing,
    "сортировкапоумолчанию": _nothing, "стандартнесортування": _nothing,
    "domyślniesortuj": _nothing,
    "standaardsortering": _nothing, "standardsortering": _nothing, "ordinamento": _nothing,
    "сортировка по умолчанию": _nothing, "сорткатпостандарт": _nothing, "默认排序": _nothing,
    "預設排序": _nothing, "기본정렬": _nothing, "seitentitel": _nothing, "afficher titre": _nothing,
    "pagesincategory": _nothing, "numberingroup": _nothing, "protectionlevel": _nothing,
    "#wenn": _if, "#wenneq": _if_equal, "#wenngleich": _if_equal, "#wennfehler": _if_error,
    "#wennausdruck": _if_expression, "#wennexist": _if_exist, "#wechsle": _switch,
    "#wechseln": _switch, "#ausdruck": _expression, "#zeit": _time,
    "#si": _if, "#sieq": _if_equal, "#si=": _if_equal, "#sierror": _if_error,
    "#siexiste": _if_exist, "#siexpr": _if_expression, "#se": _if, "#seerro": _if_error,
    "#seexiste": _if_exist, "#seigual": _if_equal, "#om": _if, "#omlika": _if_equal,
    "#als": _if, "#schakelen": _switch, "#если": _if, "#еслиравны": _if_equal,
    "#выбор": _switch,
    **{word.lower(): _of_title(choose) for word, choose in _TITLE_WORDS.items()},
}  # fmt: skip
"""Parser functions by their name before the colon, lower case."""
