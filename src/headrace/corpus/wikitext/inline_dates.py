"""Built-in templates of dates; an age is shown where both its dates are given, never "now"."""

from __future__ import annotations

import re
from datetime import date

from headrace.corpus.wikitext.calls import Call
from headrace.corpus.wikitext.dates import (
    age_in_years,
    month_name,
    month_number,
    parse_date,
    write_date,
    write_numbers,
)
from headrace.corpus.wikitext.inline_markup import Inline, wrapped

_YES = {"y", "yes", "true", "1", "on"}


def _is_day_first(call: Call, default: bool) -> bool:
    for name, yields in (("df", True), ("mf", False)):
        value = call.text(name).lower()
        if value:
            return yields if value in _YES else not yields
    return default


def _numbers(items: list[str]) -> list[int] | None:
    if not all(item.isdecimal() and len(item) < 5 for item in items) or not items:
        return None
    return [int(item) for item in items]


def full_date(call: Call, items: list[str], day_first: bool = False) -> str:
    """A date from year, month and day as separate arguments, or as it is written."""
    if not items:
        return ""
    if not items[0].lstrip("-").isdecimal():
        return items[0]
    year, month, day = [*items, "", ""][:3]
    return write_date(year, month, day, call.lang, not _is_day_first(call, day_first))


def one_date(call: Call) -> str:
    """`{{birth date|1932|4|4|df=y}}`, `{{start date|...}}`."""
    items = call.numbered()
    text = full_date(call, [item for item in items[:3] if item])
    times = [item for item in items[3:6] if item]
    return f"{':'.join(times)}, {text}" if len(times) > 1 and text else text


def death_and_age(call: Call) -> str:
    """`{{death date and age|1986|12|29|1932|4|4}}`: with the age, for both dates are given."""
    items = call.numbered()
    text = full_date(call, [item for item in items[:3] if item])
    numbers = _numbers([item for item in items[:6] if item])
    if numbers is None or len(numbers) < 6:
        return text
    age = age_in_years((numbers[3], numbers[4], numbers[5]), (numbers[0], numbers[1], numbers[2]))
    return f"{text} (aged {age})"


def age(call: Call) -> str:
    """`{{age|y|m|d|y|m|d}}` in years; nothing with one date only."""
    numbers = _numbers(call.items())
    if numbers is None or len(numbers) < 6:
        return ""
    return str(
        age_in_years((numbers[0], numbers[1], numbers[2]), (numbers[3], numbers[4], numbers[5]))
    )


def age_in_days(call: Call) -> str:
    """`{{age in days|y|m|d|y|m|d}}`."""
    numbers = _numbers(call.items())
    if numbers is None or len(numbers) < 6:
        return ""
    try:
        span = date(*numbers[3:6]) - date(*numbers[:3])
    except ValueError:
        return ""
    return f"{span.days:,}".replace("-", "−")


def table_date(call: Call) -> str:
    """`{{dts|1778|03|04}}`."""
    items = [item for item in call.numbered() if item]
    style = call.text("format")
    if not items:
        return ""
    if items[0].isdecimal() and len(items) > 1:
        year, month, day = [*items, "", ""][:3]
        return write_date(year, month, day, call.lang, style.startswith("md"))
    found = parse_date(items[0]) if re.fullmatch(r"\d{4}-\d\d-\d\d", items[0]) else None
    if found is None:
        return items[0]
    return write_numbers(found, call.lang, style.startswith("md"))


def plain_date(call: Call) -> str:
    """`{{date|2010-05-03|mdy}}`."""
    items = call.items()
    found = parse_date(items[0]) if items else None
    if found is None:
        return full_date(call, items, day_first=True) if items else ""
    style = items[1].lower() if len(items) > 1 else "dmy"
    if style == "iso" or style == "ymd":
        return f"{found[0]}-{found[1]:02d}-{found[2]:02d}"
    return write_numbers(found, call.lang, style == "mdy")


def film_date(call: Call) -> str:
    """`{{film date|1997|1|17|[[Spain]]|...}}`: a line for each date."""
    items = call.numbered()
    lines = []
    for start in range(0, len(items), 4):
        group = items[start : start + 4]
        text = full_date(call, [item for item in group[:3] if item])
        place = group[3] if len(group) > 3 else ""
        if text:
            lines.append(f"{text} ({place})" if place else text)
    return lines[0] if len(lines) == 1 else "\n" + "".join(f"* {line}\n" for line in lines)


def old_style_date(call: Call) -> str:
    """`{{OldStyleDate|February 2|1905|January 20}}`."""
    new, year, old = [*call.numbered(), "", "", ""][:3]
    return f"{new} [O.S. {old}] {year}".strip() if old else f"{new} {year}".strip()


def as_of(call: Call) -> str:
    """`{{as of|2009|5|12|lc=y}}`."""
    alternative = call.text("alt")
    if alternative:
        return alternative
    year, month, day = [*call.numbered(), "", "", ""][:3]
    text = write_date(year, month, day, "en", call.text("df").lower() in {"us", "mdy", "m"})
    text += call.text("post")
    if call.text("bare"):
        return text
    is_since = call.name == "since" or call.text("since").lower() in _YES
    word = "since" if is_since else "as of"
    is_lower = call.text("lc").lower() in _YES
    before = call.text("pre")
    return f"{word if is_lower else word.capitalize()} {before + ' ' if before else ''}{text}"


def circa(call: Call) -> str:
    """`{{circa|1900|1910}}`."""
    first, second = call.text("1"), call.text("2")
    if not first:
        return "c."
    return f"c. {first} – c. {second}" if second else f"c. {first}"


def _span(label: str) -> Inline:
    def function(call: Call) -> str:
        first, second = call.text("1"), call.text("2")
        text = f"{first}–{second}" if second else first
        return f"{label} {text}" if text else label

    return function


def month_in_words(call: Call) -> str:
    """`{{month|5}}`."""
    number = month_number(call.text("1"))
    return month_name(number, call.lang) if number else call.text("1")


def year_range(call: Call) -> str:
    """`{{start and end dates|...}}`."""
    items = call.numbered()
    first = full_date(call, [item for item in items[:3] if item])
    last = full_date(call, [item for item in items[3:6] if item])
    return f"{first} – {last}" if last else first


DATE_TEMPLATES: dict[str, Inline] = {
    **dict.fromkeys(
        ("birth date", "birth date and age", "bda", "birthdate", "birth-date",
            "birth-date and age", "dob",
         "birth date and age2", "birth date2", "birth year and age", "birth year", "death date",
         "death-date",
         "dod", "death year", "start date", "start date and age", "end date", "start-date",
         "start date and years ago", "end-date", "launch date", "initial release date",
         "release date",
         "bya", "date of birth", "start date text", "end date and age", "start date-and-age"),
             one_date),
    **dict.fromkeys(
        ("death date and age", "dda", "death-date and age", "deathdateandage", "death date & age",
         "death year and age", "death date and given age"), death_and_age),
    **dict.fromkeys(("age", "age in years", "age nts", "ageas", "age at"), age),
    **dict.fromkeys(("age in days", "age in days nts", "days since", "number of days"),
        age_in_days),
    **dict.fromkeys(("dts", "date table sorting", "dtsa", "sort date", "sdate"), table_date),
    **dict.fromkeys(("date", "format date", "fdate", "datetime"), plain_date),
    **dict.fromkeys(("film date", "filmdate", "releasedate", "video game release date"), film_date),
    **dict.fromkeys(
        ("oldstyledate", "old style date", "oldstyledatedy", "os date", "osdate"), old_style_date),
    **dict.fromkeys(("as of", "asof", "as-of", "since", "update after text"), as_of),
    **dict.fromkeys(("circa", "c.", "ca.", "ca", "c", "circ", "cir"), circa),
    **dict.fromkeys(("floruit", "fl.", "fl", "flourished"), _span("fl.")),
    **dict.fromkeys(("reign", "r.", "reigned", "ruled"), _span("r.")),
    **dict.fromkeys(("born", "b."), wrapped("b. ")),
    **dict.fromkeys(("died", "d."), wrapped("d. ")),
    **dict.fromkeys(("born-in", "birth-year", "born in"), wrapped("born ")),
    **dict.fromkeys(("died-in", "died in"), wrapped("died ")),
    **dict.fromkeys(("month", "monthname", "month name"), month_in_words),
    **dict.fromkeys(("start and end dates", "date range", "daterange"), year_range),
}  # fmt: skip
"""Built-in templates of every wiki by lower-case name."""
