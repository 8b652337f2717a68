"""Text to sentences: sentencex by default, NLTK's Punkt as a choice, in the text's own language.

sentencex (Wikimedia, Rust, rules for about 300 languages) cuts at 0.8 to 1 million sentences/s when
it gets some 8000 characters in one call, a blank line between paragraphs. Its time grows with the
square of a paragraph's length where there are many quotes, so a longer paragraph is cut through a
moving window: all sentences of a window but the last are taken, the next window begins with the
last; where a window holds one sentence only it is doubled. That is linear for any text (10^6
characters without a single terminator, or of quotes only, take under 5 s).

Nothing but white space is lost: the sentences of a text, joined, hold all its other characters in
their order.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import sentencex

from headrace.corpus import punkt

SplitterName = Literal["sentencex", "punkt"]
SeparatorName = Literal["blank_line", "none"]

WINDOW_CHARACTERS = 8192
_BORDER = "\n\n"
_WORD = re.compile(r"\S+")
_MANY_BLANK_LINES = re.compile("\n{3,}")
# Everything but "\n" that str.splitlines takes for a line's end.
_OTHER_LINE_ENDS = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_OTHER_LINE_END = re.compile(f"[{_OTHER_LINE_ENDS}]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WIDE_SPACES = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000"
)
_WIDE_SPACE = re.compile(f"[{_WIDE_SPACES}]")
# "George\xa0W. Bush", "George W\xa0.": where a space of several bytes stands beside an initial,
# sentencex 1.0.32 dies.
_INITIAL = r"[^\W\d_a-z]"
_SPACE_BEFORE_PERIOD = re.compile(rf"[{_WIDE_SPACES}]({_INITIAL})?\.")
_ENDS_WITH_INITIAL = re.compile(rf"(?:^|[\W_]){_INITIAL}\s*$")
_CONTEXT_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Document:
    """A text unit of training.

    Attributes:
        text: one sentence a line.
        num_sentences: sentences in it; 0 if it has no text.
    """

    text: str
    num_sentences: int


def plain_line_ends(text: str) -> str:
    r"""`text` with a space for each run of line ends other than "\n" (NEL, U+2028, ...)."""
    if any(end in text for end in _OTHER_LINE_ENDS):
        return _OTHER_LINE_END.sub(" ", text)
    return text


def _segment_plain(text: str, language: str) -> list[str] | None:
    """Sentencex over `text` as it is; None where it cannot cope with it."""
    if not text.isascii() and _is_unsafe(text):
        return None
    try:
        pieces: list[str] = sentencex.segment(language, text)
    except UnicodeEncodeError:
        return None
    except BaseException as error:
        # Rust's panics come as a child of BaseException that cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        return None
    return pieces


def _is_unsafe(text: str) -> bool:
    # Looking for each character in turn is four times as fast as a pattern.
    if not any(space in text for space in _WIDE_SPACES):
        return False
    for found in _SPACE_BEFORE_PERIOD.finditer(text):
        before = text[max(found.start() - _CONTEXT_CHARACTERS, 0) : found.start()]
        if found[1] or _ENDS_WITH_INITIAL.search(before):
            return True
    return False


def _segment(line: str, language: str) -> list[str]:
    """Sentencex over a line; the pieces are slices of it that leave nothing out."""
    pieces = _segment_plain(line, language)
    if pieces is None:
        lengths = map(len, sentencex.segment(language, _make_safe(line)))
        ends = accumulate(lengths, initial=0)
        pieces = [line[start:end] for start, end in pairwise(ends)]
    return pieces


def _make_safe(text: str) -> str:
    """`text` with a substitute, one for one, for each character that sentencex cannot cope with."""
    return _WIDE_SPACE.sub(" ", _SURROGATE.sub("\ufffd", text))


def _windowed(line: str, language: str, window: int) -> Iterator[str]:
    """The pieces of one line of any length."""
    start, size = 0, window
    while start < len(line):
        pieces = _segment(line[start : start + size], language)
        if start + size >= len(line):
            yield from pieces
            return
        if len(pieces) < 2:
            size *= 2
            continue
        # The window's end may have cut the last one short: it opens the next window.
        yield from pieces[:-1]
        start += sum(map(len, pieces[:-1]))
        size = window


def split_line(line: str, language: str, window: int = WINDOW_CHARACTERS) -> list[str]:
    """Cut one line into sentences with sentencex.

    Args:
        line: any text without line ends.
        language: language code; unknown ones get the general rules.
        window: characters that are looked at together.

    Returns:
        Sentences without white space around them; none is empty.
    """
    return [piece for part in _windowed(line, language, window) if (piece := part.strip())]


def split_text(
    text: str,
    language: str,
    *,
    splitter: SplitterName = "sentencex",
    separator: SeparatorName = "blank_line",
    window: int = WINDOW_CHARACTERS,
) -> Document:
    r"""Cut a text, a paragraph a line, into sentences, one a line.

    Args:
        text: paragraphs that end at "\n" and nowhere else.
        language: language code; unknown ones get the splitter's general rules.
        splitter: whose rules.
        separator: what stands between paragraphs.
        window: characters that sentencex looks at together.

    Returns:
        The document. sentencex's sentences have no white space around them; Punkt's are NLTK's own,
        which keep what a paragraph begins with.
    """
    if splitter == "punkt":
        sentences = _split_by_punkt(text, language)
    else:
        sentences = _split_by_sentencex(text, language, window)
    num_borders = sentences.count("")
    if separator == "none":
        joined = "\n".join(filter(None, sentences))
    else:
        joined = "\n".join(sentences).strip("\n")
        if "\n\n\n" in joined:
            joined = _MANY_BLANK_LINES.sub(_BORDER, joined)
    return Document(text=joined, num_sentences=len(sentences) - num_borders)


def _split_by_punkt(text: str, language: str) -> list[str]:
    """The sentences of all lines, with "" after each line."""
    tokenize = punkt.sentence_tokenizer(punkt.model_name(language) or punkt.GENERAL_MODEL)
    sentences: list[str] = []
    for line in text.split("\n"):
        sentences += tokenize(line)
        sentences.append("")
    return sentences


def _split_by_sentencex(text: str, language: str, window: int) -> list[str]:
    """The sentences of all lines, with "" after each line."""
    sentences: list[str] = []
    start = 0
    while start < len(text):
        end = _group_end(text, start, window)
        group = text[start:end]
        found = _split_group(group, language) if len(group) <= window else None
        if found is not None:
            sentences += found
            sentences.append("")
        else:
            for line in group.split("\n"):
                sentences += split_line(line, language, window)
                sentences.append("")
        start = end + 1
    return sentences


def _group_end(text: str, start: int, window: int) -> int:
    """Where the lines from `start` end that fit into the window; the first one's end if none do."""
    if len(text) - start <= window:
        return len(text)
    end = text.rfind("\n", start, start + window + 1)
    if end < 0:
        end = text.find("\n", start)
    return end if end >= 0 else len(text)


def _split_group(lines: str, language: str) -> list[str] | None:
    """One call for several lines, with "" between them; None if they have to go one by one."""
    pieces = _segment_plain(lines.replace("\n", _BORDER), language)
    if pieces is None:
        return None
    sentences = list(map(str.strip, pieces))
    # A border comes back as a piece of its own, which is "" now. Any other blank piece would look
    # like it, and beyond some 10,000 characters sentencex leaves borders out.
    return sentences if sentences.count("") == lines.count("\n") else None


def moved_offsets(before: str, after: str, offsets: Sequence[int]) -> list[int]:
    """Where characters went when nothing but white space was changed.

    Args:
        before: a text.
        after: it, with other white space.
        offsets: characters in `before`.

    Returns:
        For each offset, that of the same character in `after`; of the next one that is no white
        space, where it points at white space.
    """
    runs = [(found.start(), found.end()) for found in _WORD.finditer(after)]
    # How many characters that are no white space stand before each run.
    counts = list(accumulate((end - start for start, end in runs), initial=0))
    moved = []
    for offset in offsets:
        count = sum(map(len, before[:offset].split()))
        run = bisect_right(counts, count) - 1
        moved.append(runs[run][0] + count - counts[run] if run < len(runs) else len(after))
    return moved
