"""String functions: case, padding, `#len` and its kin, URL and anchor encodings, Module:String.

Source of the semantics: MediaWiki's Help:Magic words and Help:Extension:StringFunctions.
"""

from __future__ import annotations

from urllib.parse import quote, quote_plus, unquote_plus

from headrace.corpus.wikitext.calls import FunctionCall

# MediaWiki's own limits.
_MAX_PADDING = 500
_MAX_STRING = 1000


def _integer(text: str, default: int = 0) -> int:
    text = text.strip().replace("−", "-")
    digits = text[1:] if text[:1] in "+-" else text
    if not (digits.isascii() and digits.isdigit()):
        return default
    return int(text[:12])


def lower(call: FunctionCall) -> str:
    """`{{lc:}}`."""
    return call.text(0).lower()


def upper(call: FunctionCall) -> str:
    """`{{uc:}}`."""
    return call.text(0).upper()


def lower_first(call: FunctionCall) -> str:
    """`{{lcfirst:}}`."""
    text = call.text(0)
    return text[:1].lower() + text[1:]


def upper_first(call: FunctionCall) -> str:
    """`{{ucfirst:}}`."""
    text = call.text(0)
    return text[:1].upper() + text[1:]


def _padding(call: FunctionCall, text: str) -> str:
    missing = min(_integer(call.text(1)), _MAX_PADDING) - len(text)
    filling = (call.text(2) if len(call) > 2 else "0")[:_MAX_PADDING]
    if missing <= 0 or not filling:
        return ""
    return (filling * (missing // len(filling) + 1))[:missing]


def pad_left(call: FunctionCall) -> str:
    """`{{padleft:}}`."""
    text = call.text(0)
    return _padding(call, text) + text


def pad_right(call: FunctionCall) -> str:
    """`{{padright:}}`."""
    text = call.text(0)
    return text + _padding(call, text)


def length(call: FunctionCall) -> str:
    """`{{#len:}}`."""
    return str(len(call.text(0)))


def position(call: FunctionCall) -> str:
    """`{{#pos:}}`: "" where it is not found."""
    found = call.text(0).find(call.raw(1) or " ", max(0, _integer(call.text(2))))
    return "" if found < 0 else str(found)


def last_position(call: FunctionCall) -> str:
    """`{{#rpos:}}`: -1 where it is not found."""
    return str(call.text(0).rfind(call.raw(1) or " "))


def substring(call: FunctionCall) -> str:
    """`{{#sub:string|start|length}}`: negative start counts from the end, as may the length."""
    text = call.text(0)
    start, size = _integer(call.text(1)), _integer(call.text(2))
    start = max(0, len(text) + start) if start < 0 else start
    if size == 0:
        return text[start:]
    return text[start : start + size] if size > 0 else text[start:size]


def count(call: FunctionCall) -> str:
    """`{{#count:}}`."""
    return str(call.text(0).count(call.raw(1) or " "))


def replace(call: FunctionCall) -> str:
    """`{{#replace:}}`."""
    old, new = (call.raw(1) or " ")[:_MAX_STRING], call.raw(2)[:_MAX_STRING]
    return call.text(0).replace(old, new)


def explode(call: FunctionCall) -> str:
    """`{{#explode:string|delimiter|position|limit}}`."""
    delimiter, place, limit = call.raw(1) or " ", _integer(call.text(2)), _integer(call.text(3))
    pieces = call.text(0).split(delimiter, limit - 1 if limit > 0 else -1)
    return pieces[place] if -len(pieces) <= place < len(pieces) else ""


def url_decode(call: FunctionCall) -> str:
    """`{{#urldecode:}}`."""
    return unquote_plus(call.text(0))


def url_encode(call: FunctionCall) -> str:
    """`{{urlencode:}}`."""
    text, style = call.text(0), call.text(1).upper()
    if style == "PATH":
        return quote(text, safe="-._~")
    if style == "WIKI":
        return quote(text.replace(" ", "_"), safe="-._~/:;@$!*(),")
    return quote_plus(text, safe="-._~")


def anchor_encode(call: FunctionCall) -> str:
    """`{{anchorencode:}}`."""
    return "_".join(call.text(0).split())


def title_parts(call: FunctionCall) -> str:
    """`{{#titleparts:title|number|first}}`."""
    pieces = call.text(0).split("/", 24)
    number, first = _integer(call.text(1)), _integer(call.text(2))
    begin = first - 1 if first > 0 else (len(pieces) + first if first < 0 else 0)
    chosen = pieces[max(0, begin) :]
    if number:
        chosen = chosen[:number]
    return "/".join(chosen)


def invoke(call: FunctionCall) -> str:
    """`{{#invoke:}}`: the plain functions of Module:String; other modules cannot run: nothing."""
    if call.text(0).casefold() != "string":
        return ""
    named: dict[str, str] = {}
    numbered: list[str] = []
    for index in range(2, len(call)):
        name, equals, value = call.raw(index).partition("=")
        if equals:
            named[name.strip()] = value.strip()
        else:
            numbered.append(name.strip())
    function = _STRING_MODULE.get(call.text(1))
    return "" if function is None else function(named, numbered)


def _take(named: dict[str, str], numbered: list[str], *names: str) -> list[str]:
    rest = iter(numbered)
    return [named[name] if name in named else next(rest, "") for name in names]


def _module_length(named: dict[str, str], numbered: list[str]) -> str:
    return str(len(_take(named, numbered, "s")[0]))


def _module_sub(named: dict[str, str], numbered: list[str]) -> str:
    text, i, j = _take(named, numbered, "s", "i", "j")
    first, last = _integer(i, 1), _integer(j, -1)
    first = len(text) + first + 1 if first < 0 else first
    last = len(text) + last + 1 if last < 0 else last
    return text[max(0, first - 1) : max(0, last)]


def _module_replace(named: dict[str, str], numbered: list[str]) -> str:
    text, old, new, times, plain = _take(
        named, numbered, "source", "pattern", "replace", "count", "plain"
    )
    if not old or (plain.lower() in {"false", "no", "0"} and any(c in "^$()%.[]*+-?" for c in old)):
        return text
    return text.replace(old[:_MAX_STRING], new[:_MAX_STRING], _integer(times, -1))


def _module_find(named: dict[str, str], numbered: list[str]) -> str:
    text, wanted = _take(named, numbered, "source", "target")
    return str(text.find(wanted) + 1 or -1)


def _module_repeat(named: dict[str, str], numbered: list[str]) -> str:
    text, times = _take(named, numbered, "source", "count")
    return text * max(0, min(_integer(times), _MAX_PADDING))


def _module_position(named: dict[str, str], numbered: list[str]) -> str:
    text, place = _take(named, numbered, "target", "pos")
    index = _integer(place)
    index = len(text) + index if index < 0 else index - 1
    return text[index] if 0 <= index < len(text) else ""


_STRING_MODULE = {
    "len": _module_length,
    "sub": _module_sub,
    "replace": _module_replace,
    "find": _module_find,
    "str_find": _module_find,
    "rep": _module_repeat,
    "pos": _module_position,
}
