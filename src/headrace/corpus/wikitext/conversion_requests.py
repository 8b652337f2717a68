"""What a call of `{{convert}}` asks for: its numbers, units, ranges and options."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from headrace.corpus.wikitext.number_formats import group_digits
from headrace.corpus.wikitext.units import Unit, find_unit

NUMBER = re.compile(r"([-+]?)(\d[\d,]*\.?\d*|\.\d+)(?:[eE]([-+]?\d{1,3}))?")
_FRACTION = re.compile(r"([-+]?)(?:(\d[\d,]*)\s*[+ ]\s*)?(\d+)\s*(?:/|//|⁄)\s*(\d+)")
# Word of the call -> (between values in text, repeats the unit).
RANGES: dict[str, tuple[str, bool]] = {
    "to": (" to ", False), "-": ("–", False), "–": ("–", False), "&ndash;": ("–", False),
    "and": (" and ", False), "or": (" or ", False), "by": (" by ", False), "x": (" × ", True),
    "×": (" × ", True), "xx": (" × ", False), "*": (" × ", True), "+": (" + ", False),
    "+/-": (" ± ", False), "±": (" ± ", False), "to(-)": (" to ", False),
    "and(-)": (" and ", False), "to about": (" to about ", False), "/": ("/", False),
    "-to-": ("-to-", False), "to-": (" to ", False), "through": (" through ", False),
    "versus": (" versus ", False), "vs.": (" vs. ", False), "from": (" from ", False),
    ",": (", ", False),
    ", and": (", and ", False), ", or": (", or ", False), "and then": (" and then ", False),
}  # fmt: skip
COMPOSITES = {
    "ftin": ("ft", "in"), "ftin2": ("ft", "in"), "stlb": ("st", "lb"),
    "lboz": ("lb", "oz"), "ydft": ("yd", "ft"),
    "mift": ("mi", "ft"), "michain": ("mi", "chain"), "miyd": ("mi", "yd"), "footin": ("ft", "in"),
    "handin": ("hand", "in"), "LTcwt": ("LT", "cwt"),
}  # fmt: skip
SUBUNITS = {
    ("ft", "in"): 12, ("st", "lb"): 14, ("lb", "oz"): 16, ("yd", "ft"): 3, ("mi", "ft"): 5280,
    ("mi", "chain"): 80, ("mi", "yd"): 1760, ("hand", "in"): 4, ("LT", "cwt"): 20,
    ("mi", "furlong"): 8, ("yd", "in"): 36, ("chain", "yd"): 22,
}  # fmt: skip
_MAX_VALUES = 12


@dataclass(frozen=True, slots=True)
class Value:
    """A number of the call.

    Attributes:
        number: its value.
        text: as a reader sees it.
        precision: decimals, negative for trailing zeros of a whole number.
        is_fraction: written with a fraction bar.
    """

    number: float
    text: str
    precision: int
    is_fraction: bool = False


@dataclass(slots=True)
class Request:
    """A parsed call.

    Attributes:
        values: one, or those of a range.
        separators: the range's words.
        unit: of the input.
        subvalue: the second number of "5 ft 6 in", with its unit.
        outputs: codes; several at once where they are to be shown together.
        precision: decimals asked for.
        extras: other positional arguments, for `adj=mid` and the like.
        options: named arguments.
    """

    values: list[Value]
    separators: list[str]
    unit: Unit
    subvalue: tuple[Value, Unit] | None = None
    outputs: list[str] = field(default_factory=list)
    precision: int | None = None
    extras: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)


def parse_value(text: str, comma: str = "") -> Value | None:
    """The number in "1,234.5", "-3", "1.2e6", "5+1/2"; None where there is none."""
    text = text.strip().replace("−", "-").replace("&minus;", "-")
    fraction = _FRACTION.fullmatch(text)
    if fraction:
        sign, whole, above, below = fraction.groups()
        if int(below) == 0:
            return None
        number = int((whole or "0").replace(",", "")) + int(above) / int(below)
        shown = f"{whole} {above}⁄{below}" if whole else f"{above}⁄{below}"
        number = -number if sign == "-" else number
        precision = max(1, math.floor(math.log10(int(below)))) if int(below) > 1 else 1
        return Value(number, ("−" if sign == "-" else "") + shown, precision, True)
    match = NUMBER.fullmatch(text)
    if match is None or len(text) > 60:
        return None
    sign, digits, exponent = match.groups()
    digits = digits.replace(",", "")
    whole, point, decimals = digits.partition(".")
    precision = len(decimals) if point else -(len(whole) - len(whole.rstrip("0")))
    if not point and not whole.strip("0"):
        precision = 0
    number = float(f"{sign}{digits}e{exponent or 0}")
    shown = grouped(whole or "0", comma) + (point + decimals if decimals else "")
    if exponent:
        shown += f"×10{int(exponent)}".replace("-", "−")
        precision -= int(exponent)
    sign = {"-": "−", "+": "+"}.get(sign, "")
    return Value(number, sign + shown, precision) if math.isfinite(number) else None


def grouped(digits: str, comma: str) -> str:
    """Whole digits as the option `comma` wants them."""
    if comma == "off":
        return digits
    return group_digits(digits, " " if comma == "gaps" else ",", 5 if comma == "5" else 4)


def parse_request(positional: list[str], options: dict[str, str]) -> Request | None:
    """What a call asks for; None where it has no value or no known unit."""
    comma = options.get("comma", "")
    values: list[Value] = []
    separators: list[str] = []
    index = 0
    while index < len(positional) and len(values) < _MAX_VALUES:
        value = parse_value(positional[index], comma)
        if value is None:
            return None
        values.append(value)
        index += 1
        following = positional[index] if index < len(positional) else ""
        if following not in RANGES or index + 1 >= len(positional):
            break
        separators.append(following)
        index += 1
    unit = find_unit(positional[index]) if values and index < len(positional) else None
    if unit is None:
        return _composite_input(values, positional, index, options)
    request = Request(values, separators, unit, options=options)
    index += 1
    if not separators and index + 1 < len(positional):
        index = _subvalue(request, positional, index, comma)
    _outputs(request, positional[index:])
    return request


def _composite_input(
    values: list[Value], positional: list[str], index: int, options: dict[str, str]
) -> Request | None:
    """An input like |5|ftin|: it stands in the larger unit."""
    pair = COMPOSITES.get(positional[index]) if values and index < len(positional) else None
    unit = find_unit(pair[0]) if pair else None
    if unit is None:
        return None
    request = Request(values[:1], [], unit, options=options)
    _outputs(request, positional[index + 1 :])
    return request


def _subvalue(request: Request, positional: list[str], index: int, comma: str) -> int:
    value = parse_value(positional[index], comma)
    unit = find_unit(positional[index + 1])
    if value is None or unit is None or (request.unit.code, unit.code) not in SUBUNITS:
        return index
    request.subvalue = value, unit
    return index + 2


def _outputs(request: Request, rest: list[str]) -> None:
    if rest and (not rest[0] or _split_codes(rest[0], request.unit.dimension)):
        request.outputs = _split_codes(rest[0], request.unit.dimension)
        rest = rest[1:]
    elif rest and not re.fullmatch(r"[-+]?\d+", rest[0]):
        rest = rest[1:]
    if not request.outputs:
        default = request.unit.default
        if request.unit.code == "m" and request.values[0].number < 3:
            default = "ftin"
        request.outputs = _split_codes(default, request.unit.dimension)
    for text in rest:
        if request.precision is None and re.fullmatch(r"[-+−]?\d{1,3}", text):
            request.precision = int(text.replace("−", "-"))
        elif text:
            request.extras.append(text)


def _split_codes(text: str, dimension: str) -> list[str]:
    """Codes of outputs: "km", "ft in" (one composite), "ft m", "kg+lb"; unknown ones left out."""
    if _is_code(text, dimension):
        return [text]
    codes: list[str] = []
    words = text.replace("+", " ").split()
    while words:
        size = next((n for n in (3, 2, 1) if _is_code(" ".join(words[:n]), dimension)), 0)
        if size:
            codes.append(" ".join(words[:size]))
        words = words[max(1, size) :]
    return codes


def _is_code(code: str, dimension: str) -> bool:
    pair = COMPOSITES.get(code)
    unit = find_unit(pair[0] if pair else code)
    return unit is not None and unit.dimension == dimension
