"""Dates as templates take and print them: `#time`, birth dates, ages, eras.

Only dates that are written out are known; "now" has no value here, for the same text must come out
in any year. Proleptic Gregorian, years 1 to 9999.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from headrace.corpus.wikitext.calendar_names import (
    ENGLISH_MONTHS,
    MONTHS,
    NOMINATIVE_MONTHS,
    WEEKDAYS,
)

_DAY_PATTERNS = {
    "en": "{d} {m} {y}", "de": "{d}. {m} {y}", "cs": "{d}. {m} {y}", "es": "{d} de {m} de {y}",
    "pt": "{d} de {m} de {y}", "ja": "{y}年{m}{d}日", "zh": "{y}年{m}{d}日",
    "ko": "{y}년 {m} {d}일",
    "bg": "{d} {m} {y} г.", "hu": "{y}. {m} {d}.",
}  # fmt: skip
_MONTH_PATTERNS = {
    "es": "{m} de {y}",
    "pt": "{m} de {y}",
    "ja": "{y}年{m}",
    "zh": "{y}年{m}",
    "ko": "{y}년 {m}",
}
_YEAR_PATTERNS = {"ja": "{y}年", "zh": "{y}年", "ko": "{y}년"}
_ERAS = [
    ((2019, 5, 1), "令和"), ((1989, 1, 8), "平成"), ((1926, 12, 25), "昭和"), ((1912, 7, 30),
        "大正"),
    ((1868, 1, 25), "明治"), ((1865, 5, 1), "慶応"), ((1864, 3, 27), "元治"), ((1861, 3, 29),
        "文久"),
    ((1860, 4, 8), "万延"), ((1855, 1, 15), "安政"), ((1848, 4, 1), "嘉永"), ((1845, 1, 9), "弘化"),
    ((1831, 1, 23), "天保"), ((1818, 5, 26), "文政"), ((1804, 3, 22), "文化"),
]  # fmt: skip

_NUMBERED_MONTHS: dict[str, int] = {}
for _names in [*MONTHS.values(), *NOMINATIVE_MONTHS.values()]:
    for _number, _name in enumerate(_names, 1):
        _NUMBERED_MONTHS.setdefault(_name.lower(), _number)
for _number, _name in enumerate(ENGLISH_MONTHS, 1):
    _NUMBERED_MONTHS[_name[:3].lower()] = _number
_NUMBERED_MONTHS |= {"sept": 9, "1er": 1}


def month_name(number: int, lang: str) -> str:
    """The month's name as a date has it."""
    return MONTHS.get(lang, ENGLISH_MONTHS)[number - 1]


def month_number(text: str) -> int | None:
    """1 to 12 from a number or a name (of any known language, or English abbreviated)."""
    text = text.strip().rstrip(".").lower()
    if text.isascii() and text.isdigit():
        return int(text) if len(text) <= 2 and 1 <= int(text) <= 12 else None
    return _NUMBERED_MONTHS.get(text)


def write_date(year: str, month: str, day: str, lang: str, month_first: bool = False) -> str:
    """A date in words from the parts that are given; unreadable parts stand as they are."""
    year, day = year.strip(), day.strip().lstrip("0")
    number = month_number(month)
    name = month.strip() if number is None else month_name(number, lang)
    if not name:
        return _YEAR_PATTERNS.get(lang, "{y}").format(y=year) if year else day
    if not day:
        pattern = _MONTH_PATTERNS.get(lang, "{m} {y}")
    elif month_first and lang == "en":
        pattern = "{m} {d}, {y}"
    else:
        pattern = _DAY_PATTERNS.get(lang, "{d} {m} {y}")
    if not year:
        pattern = re.sub(r"(?:年|년 | de)?(?:, )?\{y\}(?:年|년 | г\.)?", "", pattern)
    return pattern.format(y=year, m=name, d=day).strip()


def write_numbers(parts: tuple[int, int, int], lang: str, month_first: bool = False) -> str:
    """A date in words from year, month and day."""
    return write_date(str(parts[0]), str(parts[1]), str(parts[2]), lang, month_first)


def age_in_years(birth: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    """Full years between two dates (year, month, day)."""
    return other[0] - birth[0] - (other[1:] < birth[1:])


def japanese_era(year: int, month: int = 12, day: int = 31) -> str:
    """The year in Japanese eras ("平成20年"); the later era in a year of change; "" before 1804."""
    for start, name in _ERAS:
        if (year, month, day) >= start:
            number = year - start[0] + 1
            return f"{name}{'元' if number == 1 else number}年"
    return ""


_ISO = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d))?\b")
_SLASHED = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})|(\d{1,2})/(\d{1,2})/(\d{4})")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_DAY_FIRST = re.compile(r"(?:(\d{1,2})(?:st|nd|rd|th)?\.?\s+)?([^\W\d]+)\.?,?\s+(\d{3,4})")
_MONTH_FIRST = re.compile(r"([^\W\d]+)\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{3,4})")
_YEAR_FIRST = re.compile(r"(\d{3,4})\s+([^\W\d]+)\s+(\d{1,2})")
_CJK = re.compile(r"(\d{3,4})[年년]\s*(\d{1,2})[月월]\s*(?:(\d{1,2})[日일])?")
_CLOCK = re.compile(r"[T\s]*(\d{1,2}):(\d\d)(?::(\d\d))?(?:\.\d+)?\s*(?:Z|UTC|GMT|\+00:?00)?")
_SHIFT = re.compile(r"\s*([-+]?)\s*(\d{1,5})\s*(day|week|month|year|hour|minute|second)s?(\s+ago)?")


def _year_month_day(groups: tuple[str | None, ...]) -> tuple[str, str, str]:
    year, month, day = (group or "" for group in groups[:3])
    return year, month, day


def _slashed(groups: tuple[str | None, ...]) -> tuple[str, str, str]:
    if groups[0]:
        return _year_month_day(groups)
    return groups[5] or "", groups[3] or "", groups[4] or ""


_Order = Callable[[tuple[str | None, ...]], tuple[str, str, str]]
_WRITTEN: list[tuple[re.Pattern[str], _Order]] = [
    (_ISO, _year_month_day),
    (_COMPACT, _year_month_day),
    (_SLASHED, _slashed),
    (_DOTTED, lambda g: (g[2] or "", g[1] or "", g[0] or "")),
    (_MONTH_FIRST, lambda g: (g[2] or "", g[0] or "", g[1] or "")),
    (_DAY_FIRST, lambda g: (g[2] or "", g[1] or "", g[0] or "")),
    (_YEAR_FIRST, _year_month_day),
    (_CJK, _year_month_day),
]


def parse_date(text: str) -> tuple[int, int, int] | None:
    """Year, month and day (1 where it is not given) of a date written out."""
    found = _find_date(text.strip())
    return None if found is None else (found[0].year, found[0].month, found[0].day)


def _find_date(text: str) -> tuple[datetime, int] | None:
    for pattern, order in _WRITTEN:
        match = pattern.match(text)
        if match is None:
            continue
        year, month, day = order(match.groups())
        number = month_number(month)
        if number is None:
            continue
        try:
            return datetime(int(year), number, int(day or 1)), match.end()
        except ValueError:
            continue
    return None


def _moment(text: str) -> datetime | None:
    if text.startswith("@") and text[1:].isascii() and text[1:].isdigit() and len(text) < 12:
        return datetime(1970, 1, 1) + timedelta(seconds=int(text[1:]))
    found = _find_date(text)
    if found is None:
        return None
    moment, end = found
    clock = _CLOCK.match(text, end)
    if clock:
        end = clock.end()
        try:
            moment = moment.replace(
                hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0)
            )
        except ValueError:
            return None
    while end < len(text):
        shift = _SHIFT.match(text, end)
        if shift is None:
            return None if text[end:].strip() else moment
        moment_or_none = _shifted(moment, shift)
        if moment_or_none is None:
            return None
        moment, end = moment_or_none, shift.end()
    return moment


def _shifted(moment: datetime, shift: re.Match[str]) -> datetime | None:
    amount = int(shift[2]) * (-1 if (shift[1] == "-") != bool(shift[4]) else 1)
    try:
        if shift[3] in {"month", "year"}:
            months = (
                moment.year * 12 + moment.month - 1 + amount * (12 if shift[3] == "year" else 1)
            )
            start = moment.replace(year=months // 12, month=months % 12 + 1, day=1)
            return start + timedelta(days=moment.day - 1)
        return moment + timedelta(**{shift[3] + "s": amount})
    except (ValueError, OverflowError):
        return None


def format_time(pattern: str, text: str, lang: str) -> str | None:
    r"""What `{{#time:pattern|text}}` prints.

    Args:
        pattern: PHP's date letters; "" in `\x` and `"text"` literally.
        text: the date; nothing is printed for "" and "now", whose value is not known.
        lang: for names of months and days.

    Returns:
        None where the text is no date.
    """
    text = text.strip()
    if not text or re.match(r"(?:now|today|tomorrow|yesterday|[-+]\s*\d)", text, re.IGNORECASE):
        return ""
    moment = _moment(text)
    if moment is None:
        return None
    out: list[str] = []
    position = 0
    while position < len(pattern):
        letter = pattern[position]
        position += 1
        if letter == "\\":
            out.append(pattern[position : position + 1])
            position += 1
        elif letter == '"':
            end = pattern.find('"', position)
            end = len(pattern) if end < 0 else end
            out.append(pattern[position:end])
            position = end + 1
        elif letter == "x" and position < len(pattern):
            out.append(_extended(pattern[position], moment, lang))
            position += 1
        else:
            write = _LETTERS.get(letter)
            out.append(letter if write is None else write(moment, lang))
    return "".join(out)


def _extended(letter: str, moment: datetime, lang: str) -> str:
    """MediaWiki's own letters: "xg" is the month's name as in "of January"."""
    if letter == "g":
        return month_name(moment.month, lang)
    if letter == "t" and lang == "ja":
        return japanese_era(moment.year, moment.month, moment.day)
    return ""


def _month_title(moment: datetime, lang: str) -> str:
    return NOMINATIVE_MONTHS.get(lang, MONTHS.get(lang, ENGLISH_MONTHS))[moment.month - 1]


def _weekday(moment: datetime, lang: str) -> str:
    return WEEKDAYS.get(lang, WEEKDAYS["en"])[moment.weekday()]


def _days_in_month(moment: datetime) -> int:
    after = moment.replace(day=28) + timedelta(days=4)
    return (after - timedelta(days=after.day)).day


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


_LETTERS: dict[str, Callable[[datetime, str], str]] = {
    "Y": lambda t, _: str(t.year),
    "y": lambda t, _: f"{t.year % 100:02d}",
    "o": lambda t, _: str(t.isocalendar()[0]),
    "L": lambda t, _: str(int(_is_leap(t.year))),
    "n": lambda t, _: str(t.month),
    "m": lambda t, _: f"{t.month:02d}",
    "M": lambda t, lang: _month_title(t, lang)[: 3 if lang == "en" else None],
    "F": _month_title,
    "t": lambda t, _: str(_days_in_month(t)),
    "j": lambda t, _: str(t.day),
    "d": lambda t, _: f"{t.day:02d}",
    "z": lambda t, _: str(t.timetuple().tm_yday - 1),
    "W": lambda t, _: f"{t.isocalendar()[1]:02d}",
    "N": lambda t, _: str(t.isoweekday()),
    "w": lambda t, _: str(t.isoweekday() % 7),
    "D": lambda t, lang: _weekday(t, lang)[: 3 if lang == "en" else None],
    "l": _weekday,
    "a": lambda t, _: "am" if t.hour < 12 else "pm",
    "A": lambda t, _: "AM" if t.hour < 12 else "PM",
    "g": lambda t, _: str(t.hour % 12 or 12),
    "h": lambda t, _: f"{t.hour % 12 or 12:02d}",
    "G": lambda t, _: str(t.hour),
    "H": lambda t, _: f"{t.hour:02d}",
    "i": lambda t, _: f"{t.minute:02d}",
    "s": lambda t, _: f"{t.second:02d}",
    "U": lambda t, _: str(int((t - datetime(1970, 1, 1)).total_seconds())),
    "c": lambda t, _: f"{t.year:04d}-{t:%m-%dT%H:%M:%S}+00:00",
}
