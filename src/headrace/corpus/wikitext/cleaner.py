"""Wikitext of one page to the text a reader sees.

The passes, in MediaWiki's own order where it matters: literal spans and comments out, references
out, templates expanded, tags replaced, tables to rows, links to labels, lines to blocks; then, on
the whole text at once, entities, blanks and punctuation, and the literal spans come back. Each pass
works at the speed of the regular expression engine or of string replacement, behind a search that
tells whether there is anything to do. Nothing recurses and no pattern can take more than linear
time, whatever the input. About 30 MB of wikitext per CPU-second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from headrace.corpus.site import Site
from headrace.corpus.wikitext.blocks import BlockReader
from headrace.corpus.wikitext.characters import (
    decode_entities,
    drop_empty_lines,
    prepare,
    tidy_blanks,
    tidy_characters,
    to_nfc,
)
from headrace.corpus.wikitext.errors import PageError
from headrace.corpus.wikitext.leftovers import remove_residue, remove_switches
from headrace.corpus.wikitext.links import LinkResolver
from headrace.corpus.wikitext.literals import LiteralScanner
from headrace.corpus.wikitext.markers import (
    BREAK,
    CELL,
    CODE_CLOSE,
    CODE_OPEN,
    GAP,
    HEADING,
    ITEM,
    NOTHING,
    ROW,
    ProtectedText,
)
from headrace.corpus.wikitext.namespaces import Prefixes
from headrace.corpus.wikitext.punctuation import remove_hollow
from headrace.corpus.wikitext.quotes import remove_quotes
from headrace.corpus.wikitext.references import remove_references
from headrace.corpus.wikitext.table_rows import TableReader, replace_tables
from headrace.corpus.wikitext.tags import replace_tags
from headrace.corpus.wikitext.templates import Expander, TemplateLibrary
from headrace.corpus.wikitext.variants import choose_variants

KEEPABLE = ("paragraphs", "headings", "lists", "tables", "captions", "code")
DEFAULT_KEEP = frozenset({"paragraphs", "headings", "lists"})

_CODE_SPAN = re.compile(f"{CODE_OPEN}([^{CODE_OPEN}{CODE_CLOSE}]*){CODE_CLOSE}")
_EMPTY_ITEM = re.compile(f"\n{ITEM}(?:-|[0-9]+\\.) *(?=\n|\\Z)")
_EMPTY_CELLS = re.compile(f"[ ]*{CELL}[ {CELL}]*")
_EDGE_CELLS = re.compile(f"\n{CELL}|{CELL}(?=\n|\\Z)")
_NO_WORDS = re.compile(r"\n(?:=+|[-.,;:!?()\[\]{}|*#=_~/–—·•。、，]{1,3})(?=\n|\Z)")
_MARKERS = re.compile(f"[{BREAK}-{GAP}]")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True)
class CleanerOptions:
    """What stays of a page, and how much work it may cost.

    Attributes:
        keep: some of KEEPABLE.
        math: what stands for a formula: its TeX source, "[formula]", or nothing.
        keep_empty_sections: whether a heading stays that no text follows before the next heading of
            its level or above.
        max_page_characters: length of a page, and of what its templates expand to.
        max_expansions: template calls a page may expand.
    """

    keep: frozenset[str] = DEFAULT_KEEP
    math: Literal["source", "placeholder", "drop"] = "source"
    keep_empty_sections: bool = True
    max_page_characters: int = 20_000_000
    max_expansions: int = 200_000

    def __post_init__(self) -> None:
        unknown = self.keep.difference(KEEPABLE)
        if unknown:
            raise ValueError(f"keep: some of {', '.join(KEEPABLE)} were expected, not {unknown}")


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a page's text from one heading to the next.

    Attributes:
        level: 2 for `== title ==`; 0 for what comes before the first heading.
        title: plain text; "" for the lead.
        start: offset in characters of the section (its heading, if headings are kept).
    """

    level: int
    title: str
    start: int


@dataclass(frozen=True, slots=True)
class CleanedPage:
    """A page as text, one block a line, with its sections in order; the lead is always there."""

    text: str
    sections: tuple[Section, ...]


class Cleaner:
    """Cleans the pages of one wiki; holds no state of a page between calls.

    Args:
        site: the wiki, for the names of namespaces and languages.
        options: what to keep.
        templates: the templates the dump defines.
    """

    def __init__(self, site: Site, options: CleanerOptions, templates: TemplateLibrary) -> None:
        keep = options.keep
        self._options = options
        self._language = site.lang.lower()
        self._expander = Expander(
            templates,
            site,
            max_expansions=options.max_expansions,
            max_output_characters=options.max_page_characters,
        )
        self._literals = LiteralScanner(
            math=options.math, keeps_code="code" in keep, keeps_captions="captions" in keep
        )
        self._links = LinkResolver(Prefixes(site), keeps_captions="captions" in keep)

    def clean(self, title: str, wikitext: str) -> CleanedPage:
        """The text of one page.

        Args:
            title: of the page, for magic words like {{PAGENAME}}.
            wikitext: its source.

        Raises:
            PageError: "page_too_complex", a budget of the options is spent.
        """
        limit = self._options.max_page_characters
        if len(wikitext) > limit:
            raise PageError(
                "page_too_complex", f"{len(wikitext)} characters; at most {limit} are allowed"
            )
        source = prepare(wikitext)
        protected = ProtectedText()
        text = self._expand(title, source, protected)
        text = self._resolve(text, protected)
        text = self._finish(text, source, protected)
        return self._split_sections(text)

    def _expand(self, title: str, source: str, protected: ProtectedText) -> str:
        """Comments, literal spans, references and templates, which may bring some of them back."""
        text = remove_references(self._literals.scan(source, protected))
        expanded = self._expander.expand(text, title)
        if expanded is not text and "<" in expanded:
            expanded = remove_references(self._literals.scan(expanded, protected))
        return expanded

    def _resolve(self, text: str, protected: ProtectedText) -> str:
        """Mark-up to blocks, one a line."""
        text = choose_variants(replace_tags(remove_switches(text)), self._language)
        rows = None
        if "tables" in self._options.keep:
            rows = TableReader(lambda cell: remove_quotes(protected.flatten(cell)).strip()).rows
            text = replace_tables(self._links.resolve(text), rows)
        else:
            text = self._links.resolve(replace_tables(text, None))
        # What was cut out may leave the halves of a tag or a switch side by side.
        text = replace_tags(remove_switches(text))
        if CODE_OPEN in text:
            text = _CODE_SPAN.sub(lambda match: _protect_code(match[1], protected), text)
            text = text.replace(CODE_OPEN, "").replace(CODE_CLOSE, "")
        return BlockReader(self._options.keep, rows).read(text)

    def _finish(self, text: str, source: str, protected: ProtectedText) -> str:
        """The passes over the whole text; gives lines that still begin with markers."""
        text = f"\n{text}".replace(BREAK, "\n").replace(NOTHING, "").replace(ROW, "")
        text = remove_residue(text)
        text = tidy_blanks(tidy_characters(decode_entities(text)))
        text = remove_hollow(text, source)
        if "''" in text:
            text = text.replace("''", "'")
        if CELL in text:
            text = _EDGE_CELLS.sub(lambda m: m[0].replace(CELL, ""), _EMPTY_CELLS.sub(CELL, text))
        text = _NO_WORDS.sub("", drop_empty_lines(_EMPTY_ITEM.sub("", text)))
        text = text.replace(CELL, "\t").replace(ITEM, "")
        if protected:
            text = _tidy_lines(protected.restore(text, _clean_span))
        return to_nfc(text).strip("\n ")

    def _split_sections(self, text: str) -> CleanedPage:
        """Take the headings' markers out, and with them the offsets of the sections."""
        lead, *rest = text.split(HEADING)
        headed: list[tuple[int, str, str]] = []
        for piece in rest:
            title, _, body = piece.partition("\n")
            headed.append((int(title[0]), title[1:].strip(), body.rstrip("\n")))
        if not self._options.keep_empty_sections:
            headed = _filled(headed)
        keeps_headings = "headings" in self._options.keep
        lead = lead.rstrip("\n")
        parts = [lead] if lead else []
        length = len(lead) + 1 if lead else 0
        sections = [Section(0, "", 0)]
        for level, title, body in headed:
            sections.append(Section(level, title, length))
            for part in (title if keeps_headings else "", body):
                if part:
                    parts.append(part)
                    length += len(part) + 1
        text = "\n".join(parts)
        end = len(text)
        return CleanedPage(
            text, tuple(Section(s.level, s.title, min(s.start, end)) for s in sections)
        )


def _filled(headed: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """The sections that hold text, themselves or in a section below them."""
    is_filled = [False] * len(headed)
    ancestors: list[int] = []
    for index, (level, _, body) in enumerate(headed):
        while ancestors and headed[ancestors[-1]][0] >= level:
            ancestors.pop()
        ancestors.append(index)
        if body:
            for ancestor in ancestors:
                is_filled[ancestor] = True
    return [section for section, keeps in zip(headed, is_filled, strict=True) if keeps]


def _protect_code(content: str, protected: ProtectedText) -> str:
    """Inline code, its wikitext resolved already but for bold and italics, out of harm's way."""
    code = remove_quotes(_SPACES.sub(" ", _MARKERS.sub("", content.replace(BREAK, " "))))
    return protected.add(code) if code.strip() else " " * bool(code)


def _tidy_lines(text: str) -> str:
    """No blanks at line ends and no empty lines, after literal spans came back."""
    while " \n" in text or "\n\n" in text:
        text = text.replace(" \n", "\n").replace("\n\n", "\n")
    return text


def _clean_span(span: str) -> str:
    return tidy_characters(decode_entities(span))
