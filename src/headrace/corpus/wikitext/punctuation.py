"""No hollow punctuation: what removed templates and references leave in the text.

"Andorra (;,), officially" -> "Andorra, officially"; "（、）" -> ""; "word ," -> "word,". Works on
text after all mark-up is gone and before literal spans (code, formulas) come back, so those are
safe. What an author wrote himself, as "f()", "(1,)" or ";)", is found in the source and stays.

Cost: one pass of a regular expression, which looks only at brackets and separators; the runs of
them that may be hollow go through a stack, each character once.
"""

from __future__ import annotations

import re

from headrace.corpus.wikitext.markers import GAP, HEADING, ITEM

# Need something on both sides. The colon is none of them: "(:" may be a face.
_ASCII_SEPARATORS = ",;"
_SEPARATORS = ",;、，；،؛፣፤፥᠂꓾"
_PAIRS = {"(": ")", "[": "]", "（": "）", "［": "］", "【": "】", "〔": "〕"}
_QUOTES = ("「」", "『』", "《》", "〈〉", "“”", "«»", "„“", "‹›")
_OPENING_QUOTES = "".join(pair[0] for pair in _QUOTES)
_CLOSING_QUOTES = "".join(pair[1] for pair in _QUOTES)
_STOPS = ".。．।"
_MAX_CHECKS = 200


def _pattern(separators: str, pairs: dict[str, str]) -> re.Pattern[str]:
    opening, closing = re.escape("".join(pairs)), re.escape("".join(pairs.values()))
    run = separators + opening + closing
    # French sets a space before its semicolons.
    unspaced = separators.replace(";", "") + closing
    # One class of characters first: the engine searches for it without trying anything else. Then
    # what nearly all of them are, a sign in its place before a word, is told from the rest at once.
    return re.compile(
        rf"[{run}{_OPENING_QUOTES}](?:(?! ?[A-Za-z0-9])|(?<=[ \t].)|(?<=[{opening}])(?=[ \t]))"
        rf"(?:(?<=[{run}])(?:[ \t]*+[{run}])++[ \t]*+"
        rf"|(?<=[{opening}])[ \t]++"
        rf"|(?<=[ \t][{unspaced}])"
        rf"|(?<=[{separators}])(?=[ \t]*+[{_STOPS}](?:\s|\Z))"
        rf"|(?<=[{_OPENING_QUOTES}])[{_CLOSING_QUOTES}][ \t]*+)"
    )


_ASCII_HOLLOW = _pattern(_ASCII_SEPARATORS, {"(": ")", "[": "]"})
_HOLLOW = _pattern(_SEPARATORS, _PAIRS)
_OPENERS = {closing: opening for opening, closing in _PAIRS.items()}
_BEGINS_HOLLOW = frozenset(_SEPARATORS + "".join(_OPENERS))
_ENDS_SEPARATED = frozenset(_SEPARATORS)
_HARMLESS = frozenset({"),", ");", "), (", ") (", "),(", ")(", "](", "],", "）、", "）（", ", ("})
_STOP_AHEAD = re.compile(rf"[ \t]*+[{_STOPS}](?:\s|\Z)")
_SURELY_HOLLOW = re.compile(rf"[{re.escape(''.join(_PAIRS))}{_SEPARATORS}][ \t]*[{_SEPARATORS}]")
_LINE_START = re.compile(
    rf"(\n(?:{ITEM}(?:-|[0-9]{{1,9}}\.) |{HEADING}[0-9])?)[{_SEPARATORS}][ \t{_SEPARATORS}]*+"
)
# What an item lost before its dash takes the dash along.
_ITEM_DASH = re.compile(rf"(\n{ITEM}(?:-|[0-9]{{1,9}}\.) )(?:[-–—] )+")


def remove_hollow(text: str, source: str) -> str:
    """`text` without punctuation that lost what it was about.

    Args:
        text: blocks, one a line, each begun by a line end; white space in single blanks.
        source: the page's wikitext.
    """
    is_ascii = text.isascii()
    text = (_ASCII_HOLLOW if is_ascii else _HOLLOW).sub(_Mender(source), text)
    if GAP in text:
        text = text.replace(f" {GAP}", "").replace(GAP, "")
    if " ." in text:
        text = _close_stops(text)
    text = _LINE_START.sub(r"\1", text)
    return _ITEM_DASH.sub(r"\1", text) if ITEM in text else text


def _close_stops(text: str) -> str:
    """A stop that lost the word before it joins the one before that; ". . ." stays."""
    before, *others = text.split(" .")
    out = [before]
    for piece in others:
        is_loose = before[-1:] != "." and (piece[:1] in ("", "\n") or piece[:1] == " ")
        is_ellipsis = is_loose and not piece.strip(" ") and piece is not others[-1]
        out.append("." if is_loose and not is_ellipsis else " .")
        out.append(piece)
        before = piece or "."
    return "".join(out)


class _Mender:
    """Mends one run of brackets and separators after another.

    Args:
        source: the page's wikitext.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._written: dict[str, bool] = {}

    def __call__(self, match: re.Match[str]) -> str:
        run, text, start, end = match[0], match.string, match.start(), match.end()
        body = run.rstrip(" \t")
        after = text[end : end + 1]
        if body in _HARMLESS and after not in _STOPS:
            return run
        before = text[start - 1 : start]
        if len(body) > 1 and self._is_written(before, body):
            return run
        mended = "" if body[0] in _OPENING_QUOTES else _mend(body)
        if mended != body:
            # Brackets that only now stand side by side must not look like those of a link.
            mended = mended.replace("[[", "[").replace("]]", "]")
        if mended[-1:] in _ENDS_SEPARATED and _STOP_AHEAD.match(text, start + len(body)):
            mended = mended[:-1]
        trailing = run[len(body) :]
        if mended and mended[-1] in _PAIRS:
            trailing = ""
        if not mended:
            # Of the blanks around it one stays, if words meet there.
            if before not in (" ", "\t"):
                return "" if before == "\n" else trailing
            return f"{GAP}{trailing}" if trailing or not after.isalnum() else ""
        if mended[0] in _BEGINS_HOLLOW and (mended != body or mended[0] != ";"):
            return f"{GAP}{mended}{trailing}"
        return mended + trailing

    def _is_written(self, before: str, body: str) -> bool:
        """Whether an author wrote this run, as "f()", "(1,)", ";)": none of it was emptied."""
        if body[0] in _OPENING_QUOTES:
            before = ""
        elif " " in body or _SURELY_HOLLOW.search(body) or (before.isspace() and body[0] in _PAIRS):
            return False
        written = self._written.get(before + body)
        if written is None:
            written = len(self._written) < _MAX_CHECKS and before + body in self._source
            self._written[before + body] = written
        return written


def _mend(body: str) -> str:
    """A run without empty pairs, and without separators that begin, end or repeat for nothing."""
    out: list[str] = []
    is_spaced = False
    for sign in body:
        if sign in " \t":
            is_spaced = True
            continue
        last = out[-1][-1] if out else ""
        if sign in _OPENERS:
            while out and out[-1] in _SEPARATORS:
                out.pop()
            if out and out[-1][-1] == _OPENERS[sign]:
                out.pop()
            else:
                out.append(sign)
        elif sign in _SEPARATORS:
            if not (last and (last in _PAIRS or last in _SEPARATORS)):
                out.append(sign)
        else:
            out.append(f" {sign}" if is_spaced and out and last not in _PAIRS else sign)
        is_spaced = False
    return "".join(out)
