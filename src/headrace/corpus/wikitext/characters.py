"""Characters: entities decoded once, white space and invisible characters in order, NFC.

Cost: a few fixed-string searches a page, at the speed of memory; tables are used only where a
search found something.
"""

from __future__ import annotations

import re
import unicodedata
from html.entities import html5

from headrace.corpus.wikitext.markers import RESERVED

_REPLACEMENT = "\ufffd"
# U+E000 to U+EFFF begin with it in UTF-8.
_RESERVED_LEAD_BYTE = b"\xee"
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENTITY = re.compile(r"&(#[0-9]{1,10}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});")
# Two names that MediaWiki knows besides HTML's.
_EXTRA_ENTITIES = {"רלמ": "", "رلم": ""}
_EXTRA_ENTITY = re.compile("&(?:" + "|".join(_EXTRA_ENTITIES) + ");")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
# Characters that do not stay as they are.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    "\ufeff\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_PRINTABLE_ASCII = bytes([9, 10, *range(32, 127)])
_SPACES = frozenset("\x0b\x0c\r\x85\xa0\u1680\u2028\u2029\u202f\u205f") | {
    chr(code) for code in range(0x2000, 0x200B)
}
# Joiners and tags: part of the spelling of Persian, of Indic scripts and of emoji.
_SHAPING = frozenset("\u200c\u200d") | {chr(code) for code in range(0xE0020, 0xE0080)}
_WIDE_EDGES = re.compile("[ \u3000]*\n[ \u3000\n]*")


def prepare(text: str) -> str:
    """Wikitext with one kind of line end, without lone surrogates and the cleaner's own markers."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii():
        return text
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        text = _SURROGATE.sub(_REPLACEMENT, text)
        data = text.encode("utf-8")
    return RESERVED.sub(_REPLACEMENT, text) if _RESERVED_LEAD_BYTE in data else text


def decode_entities(text: str) -> str:
    """`text` with its entities decoded, once: `&amp;lt;` becomes `&lt;`."""
    if "&" not in text:
        return text
    text = _ENTITY.sub(_decode, text.replace("&nbsp;", " "))
    return text if text.isascii() else _EXTRA_ENTITY.sub("", text)


def _decode(match: re.Match[str]) -> str:
    name = match[1]
    if name[0] != "#":
        character = html5.get(f"{name};", match[0])
        return " " if character in "\n\t" else character
    code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF or code == 0:
        return _REPLACEMENT
    if RESERVED.match(chr(code)):
        return _REPLACEMENT
    return " " if code in (9, 10, 13) else chr(code)


def tidy_characters(text: str) -> str:
    """`text` without control and invisible characters, all blanks as spaces; lines stay."""
    if text.isascii():
        return _CONTROL.sub("", text)
    # What is left without the printable ASCII is short, and is looked through in no time.
    rest = text.encode("utf-8", "surrogatepass").translate(None, _PRINTABLE_ASCII)
    if not _ODD.search(rest.decode("utf-8", "surrogatepass")):
        return text
    text = text.replace("\xa0", " ")
    return _ODD.sub(_tidy, text)


def _tidy(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SPACES:
        return " "
    if character in _SHAPING:
        text, start = match.string, match.start()
        before, after = text[start - 1 : start], text[start + 1 : start + 2]
        # Between letters of ASCII, or with nothing to join, they are leftovers.
        is_meant = before > "\x7f" and before not in _SPACES and not before.isspace()
        if is_meant and (character != "\u200c" or after > "\x7f"):
            return character
    return ""


def tidy_blanks(text: str) -> str:
    """`text` with single blanks, none at the edges of lines, and no empty line."""
    text = text.replace("\t", " ")
    pieces = text.split("  ")
    if len(pieces) > 1:
        text = " ".join([stripped for piece in pieces if (stripped := piece.strip(" "))])
    if "\u3000" in text and ("\u3000\n" in text or "\n\u3000" in text or "\n \u3000" in text):
        text = _WIDE_EDGES.sub("\n", text)
    return drop_empty_lines(text.replace(" \n", "\n").replace("\n ", "\n"))


def drop_empty_lines(text: str) -> str:
    """`text` with single line ends."""
    while "\n\n" in text:
        text = text.replace("\n\n", "\n")
    return text


def to_nfc(text: str) -> str:
    """`text` in Unicode's normal form C."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", text)
