"""HTML tags: lists and tables become wikitext, block tags line breaks, the others nothing.

Known tags go wherever they stand, closed or not; `<word>` of an unknown name is text, as MediaWiki
shows it. Cost: one pass over the page, with a dictionary look-up a tag; more only for pages that
hold HTML lists, headings, code or hidden spans.
"""

from __future__ import annotations

import re

from headrace.corpus.wikitext.markers import BREAK, CODE_CLOSE, CODE_OPEN

_BLOCK_TAGS = (
    "br", "p", "div", "center", "blockquote", "hr", "address", "article", "aside", "details",
    "dir", "fieldset", "figure", "figcaption", "footer", "form", "header", "main", "nav",
    "summary", "menu",
)  # fmt: skip
_INLINE_TAGS = (
    "abbr", "acronym", "a", "area", "b", "bdi", "bdo", "big", "body", "button", "cite",
    "colgroup", "col", "data", "del", "dfn", "em", "embed", "font", "frame", "frameset", "head",
    "html", "i", "iframe", "img", "input", "ins", "kbd", "label", "legend", "link", "mark",
    "meta", "noscript", "object", "option", "param", "q", "rb", "rbc", "rp", "rt", "rtc", "ruby",
    "s", "samp", "section", "select", "small", "span", "strike", "strong", "sub", "sup", "svg",
    "textarea", "time", "title", "track", "tt", "code", "u", "var", "video", "audio", "wbr",
    "basefont", "nobr",
)  # fmt: skip
_WIKI_TAGS = (
    "noinclude", "onlyinclude", "includeonly", "poem", "nowiki", "math", "chem", "ce", "pre",
    "syntaxhighlight", "source", "gallery", "imagemap", "timeline", "score", "hiero", "graph",
    "chart", "mapframe", "maplink", "templatedata", "templatestyles", "indicator", "categorytree",
    "inputbox", "dynamicpagelist", "ref", "references", "languages", "translate", "tvar",
    "phonos", "rss", "quiz", "charinsert", "listing", "youtube", "onlyinclude", "style", "script",
    "metadata", "noindex", "choose", "randomselection", "ask", "pages", "proofreadpage", "lst",
    "labeledsection",
)  # fmt: skip
_STRUCTURE = {
    "table": "\n{|\n",
    "/table": "\n|}\n",
    "tr": "\n|-\n",
    "/tr": "\n",
    # An empty list of attributes: the cell's own bars are text then.
    "td": "\n| |",
    "/td": "\n",
    "th": "\n! |",
    "/th": "\n",
    "caption": "\n|+ |",
    "/caption": "\n",
    "tbody": "", "/tbody": "", "thead": "", "/thead": "", "tfoot": "", "/tfoot": "",
}  # fmt: skip
_LIST_TAGS = ("ul", "ol", "li", "dl", "dt", "dd")

_REPLACEMENTS: dict[str, str] = {}
for _tag in (*_INLINE_TAGS, *_WIKI_TAGS):
    _REPLACEMENTS[_tag] = _REPLACEMENTS[f"/{_tag}"] = ""
for _tag in _BLOCK_TAGS:
    _REPLACEMENTS[_tag] = _REPLACEMENTS[f"/{_tag}"] = BREAK
_REPLACEMENTS |= _STRUCTURE

_ALL_TAGS = sorted(
    {*_BLOCK_TAGS, *_INLINE_TAGS, *_WIKI_TAGS, *_LIST_TAGS, *(f"h{n}" for n in range(1, 7))}
    | {tag for tag in _STRUCTURE if not tag.startswith("/")},
    key=len,
    reverse=True,
)
_TAG = re.compile(r"<(/?[a-z][a-z0-9]*)(?:[\s/][^<>]*)?>", re.IGNORECASE)
# Without ">": only names that no prose or formula has after "<", and what looks like attributes.
_UNFINISHED = re.compile(
    r"</?(?=[a-z])(?:" + "|".join(tag for tag in _ALL_TAGS if len(tag) > 1) + r")(?!\w|-\w)"
    r"(?:[ \t]+[\w:-]+[ \t]*=[ \t]*(?:\"[^\"<>\n]*\"?|'[^'<>\n]*'?|[^\s\"'<>]+))*[ \t]*/?>?",
    re.IGNORECASE,
)
_WRITTEN_BR = re.compile(r"<\s*[\\/]\s*br\s*/?\s*>|<br\\>|<br\s*[.,:;]+\s*/?>", re.IGNORECASE)
_HIDDEN = re.compile(
    r"<(span|div)\s[^<>]*display\s*:\s*none[^<>]*(?<!/)>[^<]*</\1\s*>", re.IGNORECASE
)
_HEADING = re.compile(r"<h([1-6])(?:\s[^<>]*)?>([^<]*(?:<(?!/?h[1-6]\b)[^<]*)*)</h\1\s*>", re.I)
_LIST = re.compile(r"<(/?)(ul|ol|li|dl|dt|dd)(?:[\s/][^<>]*)?>", re.IGNORECASE)
_POEM = re.compile(r"<poem(?:\s[^<>]*)?>([^<]*(?:<(?!/?poem\b)[^<]*)*)</poem\s*>", re.IGNORECASE)
_CODE = re.compile(
    r"<(code|tt|kbd|samp)(?:\s[^<>]*)?(?<!/)>([^<]*(?:<(?!/?\1\b)[^<]*)*)</\1\s*>", re.IGNORECASE
)
# "10<sup>5</sup>" must not become 105; units ("m<sup>2</sup>") and ordinals read well as they are.
_POWER = re.compile(r"<sup(?:\s[^<>]*)?>(?=\s*[−-]?\d)", re.IGNORECASE)
_READING = re.compile(r"<rt(?:\s[^<>]*)?>([^<]*)(?:</rt\s*>)?", re.IGNORECASE)
_MAX_LIST_DEPTH = 16


def replace_tags(text: str) -> str:
    """`text` without HTML and extension tags; literal ones and references are gone before."""
    if "<" not in text:
        return text
    present = {name.lower() for name in _TAG.findall(text)}
    if present:
        text = _rewrite_special(text, present)
        text = _TAG.sub(_replacement, text)
    if "<" in text:
        text = _UNFINISHED.sub("", _WRITTEN_BR.sub(BREAK, text))
    return text


def _replacement(match: re.Match[str]) -> str:
    return _REPLACEMENTS.get(match[1].lower(), match[0])


def _rewrite_special(text: str, present: set[str]) -> str:
    """The tags that need more than a replacement of their own."""
    if "none" in text and not present.isdisjoint(("span", "div")):
        text = _HIDDEN.sub("", text)
    if "poem" in present:
        text = _POEM.sub(lambda match: match[1].replace("\n", "\n\n"), text)
    if not present.isdisjoint(("h1", "h2", "h3", "h4", "h5", "h6")):
        text = _HEADING.sub(_heading, text)
    if not present.isdisjoint(("code", "tt", "kbd", "samp")):
        text = _CODE.sub(_code, text)
    if "sup" in present:
        text = _POWER.sub(_power, text)
    if "rt" in present and "rp" not in present:
        text = _READING.sub(r"(\1)", text)
    if not present.isdisjoint(_LIST_TAGS):
        text = _LIST.sub(_ListRewriter(), text)
    return text


def _power(match: re.Match[str]) -> str:
    # Looked at here: a pattern that begins with a look behind is tried at every character.
    return "^" if match.string[match.start() - 1 : match.start()].isdigit() else match[0]


def _heading(match: re.Match[str]) -> str:
    signs = "=" * int(match[1])
    title = " ".join(_TAG.sub("", match[2]).split())
    return f"\n{signs} {title} {signs}\n" if title else "\n\n"


def _code(match: re.Match[str]) -> str:
    content = match[2]
    # Code over several blocks cannot be held together.
    return content if "\n\n" in content else f"{CODE_OPEN}{content}{CODE_CLOSE}"


class _ListRewriter:
    """Turns the tags of HTML lists into line starts of wikitext, called for one after another."""

    def __init__(self) -> None:
        self._signs: list[str] = []
        self._num_ignored = 0

    def __call__(self, match: re.Match[str]) -> str:
        is_end, tag = bool(match[1]), match[2].lower()
        if tag in ("ul", "ol", "dl"):
            self._nest(tag, is_end)
            return "\n"
        if is_end:
            return "\n"
        prefix = "".join(self._signs)
        if tag == "li":
            return f"\n{prefix or '*'} "
        sign = ";" if tag == "dt" else ":"
        return f"\n{prefix[:-1]}{sign} "

    def _nest(self, tag: str, is_end: bool) -> None:
        if not is_end:
            if len(self._signs) < _MAX_LIST_DEPTH:
                self._signs.append({"ul": "*", "ol": "#", "dl": ":"}[tag])
            else:
                self._num_ignored += 1
        elif self._num_ignored:
            self._num_ignored -= 1
        elif self._signs:
            self._signs.pop()
