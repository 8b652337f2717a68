"""Tags whose content is no wikitext, and comments: found left to right as MediaWiki does.

nowiki, formulas and code become placeholders, which no later pass looks into; galleries, maps and
the like go with what they hold. A tag whose end is missing never takes the rest of the page, except
a comment, which a reader does not see to its end either.

Cost: one pass of a regular expression over the page; each search for an end starts where the last
one stopped, and a missing end is searched for once.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from headrace.corpus.wikitext.markers import BREAK, NOTHING, ROW, ProtectedText

_CODE_TAGS = ("pre", "syntaxhighlight", "source")
_MATH_TAGS = ("math", "chem", "ce")
_DROPPED_TAGS = (
    "gallery", "imagemap", "timeline", "score", "hiero", "graph", "chart", "mapframe", "maplink",
    "templatedata", "indicator", "categorytree", "inputbox", "dynamicpagelist", "rss", "quiz",
    "templatestyles", "section", "languages", "charinsert", "phonos", "img", "style", "script",
    "metadata", "includeonly", "choose", "randomselection", "ask", "proofreadpage", "pages",
)  # fmt: skip
_STARTS = re.compile(
    r"<(?:!--|("
    + "|".join(("nowiki", *_CODE_TAGS, *_MATH_TAGS, *_DROPPED_TAGS))
    + r")(?=[\s/>])([^<>]*)(>))",
    re.IGNORECASE,
)
_END_TAGS = {
    tag: re.compile(rf"</{tag}\s*>", re.IGNORECASE)
    for tag in ("nowiki", *_CODE_TAGS, *_MATH_TAGS, *_DROPPED_TAGS)
}
_BLANK_LINE = re.compile(r"\n[ \t]*\n|\n=")
# Their content, cut loose from the tag, would be read as prose.
_UNREADABLE_TAGS = frozenset(
    {"includeonly", "style", "script", "gallery", "imagemap", "timeline", "score", "graph"}
)
_INLINE = re.compile(r"\binline\b|\bdisplay\s*=\s*[\"']?inline", re.IGNORECASE)
_MATH_BLOCK = re.compile(r"\bdisplay\s*=\s*[\"']?block", re.IGNORECASE)
_GALLERY_CAPTION = re.compile(r"^[^|\n]*:[^|\n]*\|(.+)$", re.MULTILINE)
_GALLERY_OPTION = re.compile(r"^\s*(?:alt|link|page|lang|class)\s*=", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_THIN_SPACES = ("\\,", "\\!", "\\;", "\\:")
_FORMULA = "[formula]"


def caption_lines(content: str) -> str:
    """The captions of a gallery's content, each on a line of its own."""
    lines = []
    for match in _GALLERY_CAPTION.finditer(content):
        parts = [part for part in match[1].split("|") if not _GALLERY_OPTION.match(part)]
        if parts:
            lines.append(parts[-1].strip())
    return "".join(f"\n\n{ROW}{line}\n\n" for line in lines)


class LiteralScanner:
    """Takes comments and literal tags out of wikitext.

    Args:
        math: "source", "placeholder" or "drop".
        keeps_code: whether blocks of code stay.
        keeps_captions: whether the captions of galleries stay.
    """

    def __init__(self, *, math: str, keeps_code: bool, keeps_captions: bool) -> None:
        self._math = math
        self._keeps_code = keeps_code
        self._keeps_captions = keeps_captions
        handlers: dict[str, Callable[[str, str, ProtectedText], str]] = {"nowiki": self._nowiki}
        handlers |= dict.fromkeys(_CODE_TAGS, self._code)
        handlers |= dict.fromkeys(_MATH_TAGS, self._formula)
        handlers["gallery"] = self._gallery
        self._handlers = handlers

    def scan(self, text: str, protected: ProtectedText) -> str:
        """`text` without comments, literal spans moved to `protected`."""
        match = _STARTS.search(text)
        if match is None:
            return text
        out: list[str] = []
        done = 0
        unclosed: set[str] = set()
        while match is not None:
            start = match.start()
            if match[1] is None:
                out_end, done_next = _comment_span(text, start, done)
                out.append(text[done:out_end])
            else:
                out.append(text[done:start])
                done_next = self._take(text, match, unclosed, protected, out)
            done = done_next
            match = _STARTS.search(text, done)
        out.append(text[done:])
        return "".join(out)

    def _take(
        self,
        text: str,
        match: re.Match[str],
        unclosed: set[str],
        protected: ProtectedText,
        out: list[str],
    ) -> int:
        """Deal with one tag; returns where to read on."""
        tag, attributes, end = match[1].lower(), match[2], match.end()
        if attributes.endswith("/"):
            if tag == "nowiki":
                out.append(NOTHING)
            return end
        closing = None if tag in unclosed else _END_TAGS[tag].search(text, end)
        if closing is None:
            unclosed.add(tag)
            return _skip_unclosed(text, tag, end)
        content = text[end : closing.start()]
        handler = self._handlers.get(tag)
        if handler is not None:
            out.append(handler(content, attributes, protected))
        return closing.end()

    def _nowiki(self, content: str, _attributes: str, protected: ProtectedText) -> str:
        return protected.add(_SPACES.sub(" ", content)) if content else NOTHING

    def _formula(self, content: str, attributes: str, protected: ProtectedText) -> str:
        if self._math == "drop" or not content.strip():
            return ""
        formula = protected.add(_tex(content) if self._math == "source" else _FORMULA)
        return f"{BREAK}{formula}{BREAK}" if _MATH_BLOCK.search(attributes) else formula

    def _code(self, content: str, attributes: str, protected: ProtectedText) -> str:
        if _INLINE.search(attributes):
            return protected.add(" ".join(content.split()))
        if not self._keeps_code:
            return BREAK
        lines = [line.rstrip() for line in content.split("\n")]
        code = "\n".join(line for line in lines if line)
        return f"{BREAK}{protected.add(code)}{BREAK}" if code else BREAK

    def _gallery(self, content: str, _attributes: str, _protected: ProtectedText) -> str:
        return caption_lines(content) if self._keeps_captions else ""


def _tex(content: str) -> str:
    """A formula's source on one line, without thin blanks at its end.

    Doubled braces get a blank, which TeX does not see, so that no later search for left-over
    templates takes them for mark-up.
    """
    source = " ".join(content.split())
    end = len(source)
    while source.endswith(_THIN_SPACES, 0, end):
        end -= 2
    if not source.endswith("\\", 0, end):
        source = source[:end].rstrip(" ")
    while "}}" in source or "{{" in source:
        source = source.replace("}}", "} }").replace("{{", "{ {")
    return source


def _comment_span(text: str, start: int, floor: int) -> tuple[int, int]:
    """Where to cut for a comment: a line that holds nothing else goes whole.

    Args:
        text: the wikitext.
        start: position of "<!--".
        floor: nothing before this may be cut again.
    """
    closing = text.find("-->", start + 4)
    if closing < 0:
        return start, len(text)
    end = closing + 3
    line_start = start
    while line_start > floor and text[line_start - 1] in " \t":
        line_start -= 1
    if line_start == 0 or text[line_start - 1] == "\n":
        line_end = end
        while text[line_end : line_end + 1] in (" ", "\t"):
            line_end += 1
        if text[line_end : line_end + 1] == "\n":
            return line_start, line_end + 1
    return start, end


def _skip_unclosed(text: str, tag: str, end: int) -> int:
    """Where to read on after a tag without end: what no reader should see goes to a blank line."""
    if tag not in _UNREADABLE_TAGS:
        return end
    blank = _BLANK_LINE.search(text, end)
    return len(text) if blank is None else blank.start()
