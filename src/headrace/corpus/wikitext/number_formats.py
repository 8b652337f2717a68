"""Numbers as the readers of each language see them."""

from __future__ import annotations

import re

# Group and decimal separators; MediaWiki's. The third: digits below which nothing is grouped.
_COMMA, _DOT, _SPACE = (",", ".", 4), (".", ",", 4), ("\u00a0", ",", 4)
_SEPARATORS: dict[str, tuple[str, str, int]] = {
    "de": _DOT, "nl": _DOT, "it": _DOT, "da": _DOT, "tr": _DOT, "id": _DOT, "el": _DOT, "vi": _DOT,
    "ro": _DOT, "hr": _DOT, "sl": _DOT, "sr": _DOT, "ca": _DOT, "gl": _DOT, "is": _DOT,
    "fr": ("\u202f", ",", 4), "ru": _SPACE, "uk": _SPACE, "be": _SPACE, "sv": _SPACE,
    "no": _SPACE, "nb": _SPACE, "nn": _SPACE, "fi": _SPACE, "cs": _SPACE, "sk": _SPACE,
    "hu": ("\u00a0", ",", 5), "pl": ("\u00a0", ",", 5), "es": ("\u00a0", ",", 5),
    "pt": ("\u00a0", ",", 5), "bg": ("\u00a0", ",", 5), "et": ("\u00a0", ",", 5),
    "lv": ("\u00a0", ",", 5), "lt": _SPACE, "eo": _SPACE,
}  # fmt: skip
_NUMBER = re.compile(r"[-−+]?(\d+)(?:\.(\d*))?")


def group_digits(digits: str, separator: str, min_digits: int = 4) -> str:
    """Whole digits in groups of three from the right, where there are at least `min_digits`."""
    if len(digits) < min_digits:
        return digits
    head = len(digits) % 3
    groups = [digits[:head]] if head else []
    groups += [digits[i : i + 3] for i in range(head, len(digits), 3)]
    return separator.join(groups)


def format_number(text: str, lang: str) -> str:
    """Every number "1234.5" inside a text as `{{formatnum:}}` prints it in a language."""
    group, decimal, min_digits = _SEPARATORS.get(lang, _COMMA)

    def localise(match: re.Match[str]) -> str:
        whole, fraction = match.groups()
        sign = match[0][0] if match[0][0] in "-−+" else ""
        grouped = group_digits(whole, group, min_digits)
        return sign + grouped + ("" if fraction is None else decimal + fraction)

    return _NUMBER.sub(localise, text)


def parse_number(text: str, lang: str) -> str:
    """The inverse (`{{formatnum:..|R}}`): plain digits with a point."""
    group, decimal, _ = _SEPARATORS.get(lang, _COMMA)
    text = text.replace(group, "").replace("−", "-")
    if group != ",":
        text = text.replace("\u202f", "").replace("\u00a0", "")
    return text.replace(decimal, ".")
