"""Templates: every `{{...}}` of a page becomes what a reader sees of it, or nothing.

A page is scanned once for its outermost templates. One whose name means nothing is cut out without
a look inside; the others are parsed (`brace_parser`) and expanded (`expansion`): built-in inline
templates first, since on the wikis they wrap Lua modules that cannot run here, then magic words and
parser functions, then the templates the dump defines. Cost: linear in the page and in what its
templates give, both bounded. Nothing depends on the clock, the locale or the process.

Source of the semantics: MediaWiki's documentation (Help:Templates, Preprocessor ABNF).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.corpus.site import Site
from headrace.corpus.wikitext.brace_parser import Node, Nodes, Parser, top_level_spans
from headrace.corpus.wikitext.expansion import UNDEFINED, Expansion
from headrace.corpus.wikitext.names import DropTarget, NameTable

_MAX_TREES = 2000
_MAX_REDIRECTS = 5
# Deeper nodes of a page are expanded innermost first, which needs no recursion.
_MAX_LAZY_DEPTH = 24

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_PRIVATE_USE = re.compile("[\ue000-\ue0ff]")
# No content goes over the next opening of its kind: each character is looked at once.
_REFERENCE = re.compile(
    r"<(ref|references)\b[^<>]*?(?:/>|>(?:(?!<\1\b).)*?</\1\s*>)", re.DOTALL | re.IGNORECASE
)
_NOINCLUDE = re.compile(r"<noinclude\s*>.*?(?:</noinclude\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_ONLYINCLUDE = re.compile(
    r"<onlyinclude\s*>((?:(?!<onlyinclude).)*?)</onlyinclude\s*>", re.DOTALL | re.IGNORECASE
)
_INCLUDE_TAGS = re.compile(r"</?(?:includeonly|noinclude|onlyinclude)\s*/?>", re.IGNORECASE)
_LITERAL = re.compile(
    r"(<(nowiki|math|pre|syntaxhighlight|source)\b[^<>]*>)((?:(?!<\2\b).)*?)(</\2\s*>)",
    re.DOTALL | re.IGNORECASE,
)
_MARKUP = re.compile(r"[{}\[\]|<>'=*#:;~_&]")
_BRACES = re.compile(r"\{\{+|\}\}+")
_ERROR = re.compile(r'<strong class="error">[^<]*</strong>')


@dataclass(frozen=True, kw_only=True)
class PageNames:
    """Names of the page being expanded, as `{{PAGENAME}}` and the like give them.

    Attributes:
        title: with its namespace.
        namespace: "" for articles.
        site: the wiki.
    """

    title: str
    namespace: str = ""
    site: Site


class TemplateLibrary:
    """The templates a dump defines.

    Args:
        templates: wikitext by title without namespace.
        redirects: title of the target by title.
    """

    def __init__(
        self, templates: Mapping[str, str] | None = None, redirects: Mapping[str, str] | None = None
    ) -> None:
        self._templates = {normalise_title(k): v for k, v in (templates or {}).items()}
        self._redirects = {
            normalise_title(k): normalise_title(v) for k, v in (redirects or {}).items()
        }
        self._trees: dict[str, Nodes] = {}

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> TemplateLibrary:
        """The library of the rows (title, text, redirect) of `templates-*.parquet`."""
        templates: dict[str, str] = {}
        redirects: dict[str, str] = {}
        for row in rows:
            if row.get("redirect"):
                redirects[str(row["title"])] = str(row["redirect"])
            else:
                templates[str(row["title"])] = str(row["text"])
        return cls(templates, redirects)

    def __len__(self) -> int:
        return len(self._templates)

    def resolve(self, name: str) -> str | None:
        """The title a name leads to over redirects; None where the dump has none."""
        title = normalise_title(name)
        for _ in range(_MAX_REDIRECTS):
            if title in self._templates:
                return title
            if title not in self._redirects:
                return None
            title = self._redirects[title]
        return None

    def body(self, title: str) -> Nodes:
        """The tree of what a template gives when it is transcluded."""
        tree = self._trees.get(title)
        if tree is None:
            tree = Parser().parse(transcluded_text(self._templates[title]))
            if len(self._trees) >= _MAX_TREES:
                self._trees.clear()
            self._trees[title] = tree
        return tree


def normalise_title(name: str) -> str:
    """A title's one spelling: single spaces, upper-case first letter."""
    title = " ".join(name.replace("_", " ").split())
    return title[:1].upper() + title[1:]


def transcluded_text(text: str) -> str:
    """The part of a template's wikitext that its callers get, with nowiki's content escaped."""
    text = _REFERENCE.sub("", _COMMENT.sub("", _PRIVATE_USE.sub("", text)))
    if "<" not in text:
        return text
    text = _LITERAL.sub(_escape_literal, text)
    only = _ONLYINCLUDE.findall(text)
    text = "".join(only) if only else _NOINCLUDE.sub("", text)
    return _INCLUDE_TAGS.sub("", text)


def _escape_literal(match: re.Match[str]) -> str:
    opening, tag, content, closing = match.groups()
    escaped = _MARKUP.sub(lambda found: f"&#{ord(found[0])};", content)
    return escaped if tag.lower() == "nowiki" else f"{opening}{escaped}{closing}"


class Expander:
    """Replaces the templates of pages by what a reader sees of them.

    Args:
        library: the dump's templates.
        site: the wiki.
        max_expansions: calls a page may expand.
        max_output_characters: characters all calls of a page together may give, those that end
            inside another call counted too.
    """

    def __init__(
        self,
        library: TemplateLibrary,
        site: Site,
        *,
        max_expansions: int,
        max_output_characters: int,
    ) -> None:
        self._names = NameTable(library, site)
        self._max_expansions = max_expansions
        self._max_output_characters = max_output_characters

    def expand(self, text: str, title: str) -> str:
        """The text without `{{...}}` and `{{{...}}}`.

        Args:
            text: wikitext without comments and references; nowiki, math, pre and code are opaque
                placeholders: U+E000, decimal digits, U+E001.
            title: the page's title.

        Raises:
            PageError: "page_too_complex", a budget is spent.
        """
        if "{{" not in text:
            return text if "}}" not in text else remove_braces(text)
        page = Expansion(
            self._names,
            title,
            max_expansions=self._max_expansions,
            max_output_characters=self._max_output_characters,
        )
        parser = Parser(_MAX_LAZY_DEPTH, page.expand_in_root)
        out: list[str] = []
        done = 0
        for start, end in top_level_spans(text):
            out.append(text[done:start])
            done = end
            for node in self._parse(text, start, end, parser):
                out.append(page.expand_in_root(node) if isinstance(node, Node) else node)
        out.append(text[done:])
        return _finish("".join(out))

    def _parse(self, text: str, start: int, end: int, parser: Parser) -> Nodes:
        """The tree of a template of the page; empty where its name says that it gives nothing."""
        bar = text.find("|", start, end)
        name_end = end - 2 if bar < 0 else bar
        nested = text.find("{{", start + 2, end)
        at_line_start = start == 0 or text[start - 1] == "\n"
        if (nested < 0 or nested >= name_end) and text[start + 2] != "{":
            name = text[start + 2 : name_end]
            target = self._names.resolve(name)
            if isinstance(target, DropTarget):
                return []
            if target is None and "[" not in name and "{" not in name and "\ue000" not in name:
                return []
            if nested < 0 and text.find("[[", start, end) < 0:
                inner = text[start + 2 : end - 2]
                return [Node(False, [[part] for part in inner.split("|")], at_line_start)]
        nodes = parser.parse(text[start:end])
        if nodes and isinstance(nodes[0], Node):
            nodes[0].at_line_start = at_line_start
        return nodes


def _finish(text: str) -> str:
    if UNDEFINED in text:
        text = text.replace(UNDEFINED, "")
    if 'class="error"' in text:
        text = _ERROR.sub("", text)
    return remove_braces(text) if "{{" in text or "}}" in text else text


def remove_braces(text: str) -> str:
    """The text without doubled braces; what stands between them stays."""
    for _ in range(3):
        text = _BRACES.sub("", text)
        if "{{" not in text and "}}" not in text:
            return text
    # Soup like "{}{}}{}": removing pairs could go on for as many rounds as there are characters.
    return text.replace("{", "").replace("}", "")
