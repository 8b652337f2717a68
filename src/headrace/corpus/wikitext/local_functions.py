"""What the inline templates of the wikis that are not in English print, one function each.

Source: the templates' documentation on each wiki.
"""

from __future__ import annotations

import re

from headrace.corpus.wikitext.calls import Call
from headrace.corpus.wikitext.dates import (
    age_in_years,
    japanese_era,
    parse_date,
    write_date,
    write_numbers,
)
from headrace.corpus.wikitext.inline_languages import introduced_by_argument
from headrace.corpus.wikitext.inline_markup import Inline, constant, inline
from headrace.corpus.wikitext.number_formats import format_number


def reading(call: Call) -> str:
    """読み仮名: 漢字（かな、...）."""
    head, *rest = [*call.numbered(), ""][: max(2, len(call.numbered()))]
    shown = [text for text in rest if text]
    return f"{head}（{'、'.join(shown)}）" if shown else head


def ruby(call: Call) -> str:
    """A base text with its gloss in brackets."""
    base, gloss = call.text("1"), call.text("2")
    return f"{base}（{gloss}）" if gloss else base


def _day(items: list[str], lang: str) -> str:
    year, month, day = [*items, "", "", ""][:3]
    return write_date(year, month, day, lang)


def first_date(call: Call) -> str:
    """A date given as year, month, day, or as it is written."""
    items = call.items()
    if items and not items[0].isdecimal():
        return items[0]
    return _day(items, call.lang)


def japanese_death(call: Call) -> str:
    """Birth and death: the date of death and the age."""
    items = call.items()
    if len(items) < 6 or not all(item.isdecimal() for item in items[:6]):
        return _day(items[3:6] or items[:3], "ja")
    numbers = [int(item) for item in items[:6]]
    years = age_in_years((numbers[0], numbers[1], numbers[2]), (numbers[3], numbers[4], numbers[5]))
    return f"{_day(items[3:6], 'ja')}（{years}歳没）"


def japanese_age(call: Call) -> str:
    """The age between two dates."""
    items = [int(item) for item in call.items() if item.isdecimal() and len(item) < 5]
    if len(items) < 6:
        return ""
    years = age_in_years((items[0], items[1], items[2]), (items[3], items[4], items[5]))
    return f"{years}歳没" if call.name != "年齢" else str(years)


def era(call: Call) -> str:
    """和暦: the year in Japanese eras."""
    items = [int(item) for item in call.items() if item.isdecimal() and len(item) < 5]
    return japanese_era(*items[:3]) if items else ""


def named_language(call: Call) -> str:
    """{{LangWithName|code|name|text}}."""
    name, text = call.text("2"), call.text("3")
    return f"{name}: {text}" if text else name


def french_century(call: Call) -> str:
    """{{s|XIX}}: XIXe siècle."""
    items = call.items()
    if not items:
        return ""
    numeral = items[0].upper()
    suffix = "er" if numeral == "I" else "e"
    era = " av. J.-C." if call.name.startswith("-") or call.text("2") in {"-", "av. J.-C."} else ""
    return f"{numeral}{suffix} siècle{era}"


def french_centuries(call: Call) -> str:
    """{{sp-|XVIII|e|au|XIX|e}}."""
    items = [item for item in call.items() if item not in {"e", "er", "s", "-"}]
    if len(items) < 3:
        return french_century(call)
    return f"{items[0]}e {items[1]} {items[2]}e siècle"


_CENTURY_NAME = re.compile(r"(-?)([ivx]+)(?:e|er) siècle")
_ORDINAL = re.compile(r"(\d+|[ivxlc]+)(er|re|ère|e|ème|es|nd|nde)")


def french_number(call: Call) -> str:
    """{{unité|1234,5|km|2}}: 1 234,5 km2."""
    items = call.items()
    if not items:
        return ""
    out = format_number(items[0].replace(",", ".").replace(" ", ""), "fr")
    for item in items[1:]:
        is_power = item.lstrip("-").isdigit()
        out += f"<sup>{item.replace('-', '−')}</sup>" if is_power else f" {item}"
    return out.replace("\u202f", "\u00a0")


def french_date(call: Call) -> str:
    """{{date|14|juillet|1789|en France}}."""
    items = call.items()
    if not items:
        return ""
    if len(items) >= 3 and items[2].isdecimal():
        day = "1er" if items[0] in {"1", "1er"} else items[0]
        month = write_date("", items[1], "", "fr") if items[1].isdecimal() else items[1]
        return f"{day} {month} {items[2]}"
    found = parse_date(items[0]) if items[0][:4].isdecimal() else None
    return (
        write_numbers(found, "fr")
        if found
        else " ".join(items[:2] if len(items) < 3 else items[:3])
    )


def french_time(call: Call) -> str:
    """{{heure|12|30}}."""
    return " ".join(f"{n} {u}" for n, u in zip(call.items(), ("h", "min", "s"), strict=False))


def grouped(call: Call) -> str:
    """A number with its groups, and what follows it."""
    items = call.items()
    number = format_number(items[0].replace(",", "."), call.lang) if items else ""
    return " ".join([number, *items[1:]])


def german_date(call: Call) -> str:
    """{{Datum|3|10|1990}}."""
    return _day(call.items()[::-1], "de") if len(call.items()) == 3 else " ".join(call.items())


def spanish_date(call: Call) -> str:
    """{{fecha|3|10|1990}}."""
    items = call.items()
    if len(items) == 3 and items[2].isdecimal():
        return _day(items[::-1] if len(items[0]) < 3 else items, "es")
    return " ".join(items)


def red_link(call: Call) -> str:
    """не переведено: title, text, language, foreign title."""
    return inline(call.text("2", "текст", "text") or call.text("1", "треба", "надо"))


def chinese_link(call: Call) -> str:
    """{{tsl|en|foreign|中文|label}}."""
    return inline(call.text("4", "d") or call.text("3", "2"))


def green_link(call: Call) -> str:
    """{{link-en|中文|foreign|label}}."""
    return inline(call.text("3", "d") or call.text("1"))


def second(call: Call) -> str:
    """The second argument."""
    return inline(call.text("2"))


def bulgarian_language(call: Call) -> str:
    """{{lang|en|text}}: "на английски: text"."""
    text = call.text("2")
    return introduced_by_argument(call) if text else ""


def hanja(call: Call) -> str:
    """{{한자|漢字}}: in brackets."""
    return f"({call.text('1')})" if call.text("1") else ""


def old_style(call: Call) -> str:
    """СС2: 22 января [3 февраля] 1900."""
    return (
        " ".join(call.items()) if len(call.items()) < 3 else "{} [{}] {}".format(*call.items()[:3])
    )


def first_date_reversed(call: Call) -> str:
    """A date given as day, month, year."""
    items = call.items()
    if len(items) >= 3 and len(items[0]) < 3:
        return _day(items[2::-1], call.lang)
    return first_date(call)


def birth_and_death(call: Call) -> str:
    """{{bd|1879年|3月14日|1955年|4月18日}}: 1879年3月14日－1955年4月18日."""
    born, day, died, last = [*call.numbered(), *[""] * 4][:4]
    return f"{born}{day}－{died}{last}"


def french_pattern(key: str) -> Inline | None:
    """Centuries and ordinals by name: {{XIXe siècle}}, {{2e}}."""
    century = _CENTURY_NAME.fullmatch(key)
    if century:
        numeral = century[2].upper()
        era = " av. J.-C." if century[1] else ""
        return constant(f"{numeral}{'er' if numeral == 'I' else 'e'} siècle{era}")
    ordinal = _ORDINAL.fullmatch(key)
    return constant(ordinal[1].upper() + ordinal[2]) if ordinal else None
