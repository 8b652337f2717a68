"""Units of measurement by the codes of `{{convert}}`.

A table holds what stands alone; SI prefixes, "square"/"cubic" powers and quotients ("kg/m3") are
derived. Factors are the exact definitions (international yard and pound, 1959; US and imperial
gallon; thermochemical calorie; CODATA for the rest).
Source: documentation of Template:Convert and of its unit list.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

from headrace.corpus.wikitext.unit_table import UNIT_TABLE
from headrace.corpus.wikitext.word_lists import words

_INVERSE = {"L/100km", "L/km"}

_PREFIXES = {
    "": ("", 1.0), "Q": ("quetta", 1e30), "Y": ("yotta", 1e24), "Z": ("zetta", 1e21),
    "E": ("exa", 1e18), "P": ("peta", 1e15), "T": ("tera", 1e12), "G": ("giga", 1e9),
    "M": ("mega", 1e6), "k": ("kilo", 1e3), "h": ("hecto", 1e2), "da": ("deca", 1e1),
    "d": ("deci", 1e-1), "c": ("centi", 1e-2), "m": ("milli", 1e-3), "u": ("micro", 1e-6),
    "µ": ("micro", 1e-6), "μ": ("micro", 1e-6), "n": ("nano", 1e-9), "p": ("pico", 1e-12),
    "f": ("femto", 1e-15), "a": ("atto", 1e-18),
}  # fmt: skip
_PREFIXED = words("m g L l W J Pa Hz N eV cal bar s t Wh BTU W.h")
_DEFAULTS = {
    "km": "mi", "cm": "in", "mm": "in", "nm": "in", "μm": "in", "um": "in", "dm": "in", "kg": "lb",
    "mg": "gr", "μg": "gr", "km2": "sqmi", "cm2": "sqin", "mm2": "sqin", "km3": "cumi",
    "cm3": "cuin", "mm3": "cuin", "dm3": "cuin", "ml": "impoz USoz", "mL": "impoz USoz",
    "cl": "impoz USoz", "cL": "impoz USoz", "hl": "impgal USgal", "hL": "impgal USgal",
    "dl": "impoz USoz", "kW": "hp", "MW": "hp", "GW": "hp", "kJ": "kcal", "MJ": "kWh", "GJ": "kWh",
    "TJ": "GWh", "kPa": "psi", "hPa": "inHg", "MPa": "psi", "GPa": "psi", "kN": "lbf", "MN": "lbf",
    "Mm": "mi", "Gm": "mi", "kHz": "m", "MHz": "m", "GHz": "in", "m4": "ft4",
}  # fmt: skip
_POWER = re.compile(r"(.+?)(?:\^?([234])|[²³])$")
_WORDS = {2: "square", 3: "cubic", 4: "quartic"}
_SUPERSCRIPTS = {2: "²", 3: "³", 4: "⁴"}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measurement.

    Attributes:
        code: as `{{convert}}` names it.
        dimension: what it measures; only units of one dimension convert into each other.
        symbol: as "km".
        name: singular, British spelling.
        plural: of the name.
        factor: how many base units of the dimension it is.
        default: codes it converts into where none is asked for, separated by blanks.
        offset: of its zero, in its own degrees (temperature).
        is_inverse: the value falls when the quantity grows (litres per 100 km).
    """

    code: str
    dimension: str
    symbol: str
    name: str
    plural: str
    factor: float
    default: str
    offset: float = 0.0
    is_inverse: bool = False

    def to_base(self, value: float) -> float:
        """The value in the dimension's base unit."""
        if self.is_inverse:
            return self.factor / value if value else float("inf")
        return (value - self.offset) * self.factor

    def from_base(self, value: float) -> float:
        """The value in this unit of a quantity in the base unit."""
        if self.is_inverse:
            return self.factor / value if value else float("inf")
        return value / self.factor + self.offset


_TEMPERATURES = [
    ("C;°C;degC;celsius;Celsius", "°C", "degree Celsius", "degrees Celsius", 1.0, -273.15, "F"),
    ("F;°F;degF;fahrenheit;Fahrenheit", "°F", "degree Fahrenheit", "degrees Fahrenheit", 5 / 9,
     -459.67, "C"),
    ("K;°K;kelvin", "K", "kelvin", "kelvins", 1.0, 0.0, "C F"),
    ("R;°R", "°R", "degree Rankine", "degrees Rankine", 5 / 9, 0.0, "K"),
]  # fmt: skip


@functools.cache
def _table() -> dict[str, Unit]:
    table: dict[str, Unit] = {}
    for dimension, lines in UNIT_TABLE.items():
        for line in lines.strip().splitlines():
            codes, symbol, name, plural, factor, default = line.split("|")
            code, *aliases = codes.split(";")
            unit = Unit(
                code, dimension, symbol, name, plural or name + "s", float(factor), default,
                is_inverse=code in _INVERSE,
            )  # fmt: skip
            for alias in (code, *aliases):
                table.setdefault(alias, unit)
    for codes, symbol, name, plural, degrees, offset, default in _TEMPERATURES:
        code, *aliases = codes.split(";")
        unit = Unit(code, "temperature", symbol, name, plural, degrees, default, offset)
        for alias in (code, *aliases):
            table.setdefault(alias, unit)
    for base in _PREFIXED:
        for prefix in _PREFIXES:
            if prefix and base in table:
                table.setdefault(prefix + base, _prefixed(prefix, table[base]))
    return table


def _prefixed(prefix: str, unit: Unit) -> Unit:
    word, factor = _PREFIXES[prefix]
    sign = "μ" if word == "micro" else prefix
    code = prefix + unit.code
    return replace(
        unit, code=code, symbol=sign + unit.symbol, name=word + unit.name,
        plural=word + unit.plural, factor=unit.factor * factor,
        default=_DEFAULTS.get(code, unit.default),
    )  # fmt: skip


@functools.lru_cache(maxsize=4096)
def find_unit(code: str) -> Unit | None:
    """The unit of a code: listed, or a power or quotient of listed ones; None for want of it."""
    code = code.strip().replace("&nbsp;", " ")
    unit = _table().get(code)
    if unit is None:
        unit = _power(code)
    if unit is None and "/" in code:
        unit = _quotient(code)
    return unit


def _power(code: str) -> Unit | None:
    match = _POWER.match(code)
    if match is None:
        return None
    base = _table().get(match[1])
    if base is None or base.dimension != "length":
        return None
    power = int(match[2]) if match[2] else {"²": 2, "³": 3}[code[-1]]
    word = _WORDS[power]
    return Unit(
        code=code,
        dimension={2: "area", 3: "volume"}.get(power, "length4"),
        symbol=base.symbol + _SUPERSCRIPTS[power],
        name=f"{word} {base.name}",
        plural=f"{word} {base.plural}",
        factor=base.factor**power,
        default=_DEFAULTS.get(code, {2: "sqft", 3: "cuft"}.get(power, "")),
    )


def _quotient(code: str) -> Unit | None:
    above_code, _, below_code = code.partition("/")
    currency = above_code if above_code in {"$", "£", "€", "¥"} else ""
    below = find_unit(below_code) if "/" not in below_code else None
    above = None if currency else find_unit(above_code)
    if below is None or (above is None and not currency) or below.offset:
        return None
    symbol = currency if above is None else above.symbol
    return Unit(
        code=code,
        dimension=f"{currency or (above and above.dimension)}/{below.dimension}",
        symbol=f"{symbol}/{below.symbol}",
        name=f"{currency if above is None else above.name} per {below.name}",
        plural=f"{currency if above is None else above.plural} per {below.name}",
        factor=(1.0 if above is None else above.factor) / below.factor,
        default="",
    )
