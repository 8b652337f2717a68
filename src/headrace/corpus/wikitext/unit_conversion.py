"""`{{convert}}`: values, units and conversions as the English Wikipedia prints them.

Default precision, by the template's documentation: as many decimals as the input (trailing zeros of
a whole number count against it), shifted by the size of the factor, and at least two significant
digits; temperatures at least three in kelvins.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from headrace.corpus.wikitext.calls import Call
from headrace.corpus.wikitext.conversion_requests import (
    COMPOSITES,
    NUMBER,
    RANGES,
    SUBUNITS,
    Request,
    Value,
    grouped,
    parse_request,
)
from headrace.corpus.wikitext.number_formats import group_digits
from headrace.corpus.wikitext.units import Unit, find_unit
from headrace.corpus.wikitext.word_lists import words

_OUTPUT_RANGES = {"to(-)": "–", "and(-)": " and ", "to-": "–"}
_SPELLED = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty"
)
_AMERICAN = {"metre": "meter", "litre": "liter", "tonne": "metric ton", "ångström": "angstrom"}


def convert(call: Call) -> str:
    """`{{convert|5|km|mi}}` as "5 kilometres (3.1 mi)"; what cannot be converted stays as given."""
    positional = call.numbered()
    options = {name: call.text(name) for name in call.names() if not name.isdigit()}
    if call.name.startswith("cvt"):
        options.setdefault("abbr", "on")
    request = parse_request(positional, options)
    if request is None:
        return " ".join(positional[:2])
    return write(request)


def write(request: Request) -> str:
    """The text of a call."""
    options = request.options
    display = options.get("disp", "")
    abbreviation = options.get("abbr", "off" if display in {"or", "comma", "slash"} else "out")
    if options.get("order") == "out" or display == "out":
        display = "output only"
    is_flipped = "flip" in {options.get("order"), display, options.get("adj")}
    # What is shown first is spelled out, what is shown in brackets abbreviated.
    first = abbreviation in {"on", "in", "~", "values", "none"}
    second = abbreviation in {"on", "out", "~"}
    source = _input_text(request, is_symbol=second if is_flipped else first)
    if abbreviation in {"values", "none"}:
        source = _joined([value.text for value in request.values], request.separators)
    style = "symbol" if (first if is_flipped else second) else "name"
    if abbreviation in {"values", "none"} or display in {"number", "output number only"}:
        style = "number"
    targets = [
        text for text in (_output_text(request, code, style) for code in request.outputs) if text
    ]
    text = _displayed(source, targets, display, options)
    for sign, tag in _RAISED.items():
        text = text.replace(sign, tag)
    return text


_RAISED = {"²": "<sup>2</sup>", "³": "<sup>3</sup>", "⁴": "<sup>4</sup>"}


def _displayed(source: str, targets: list[str], display: str, options: dict[str, str]) -> str:
    if not targets:
        return source
    if "flip" in {options.get("order"), display, options.get("adj")}:
        source, targets[0] = targets[0], source
    target = "; ".join(targets)
    if display in {"output only", "output number only", "number"}:
        return target
    if display in {"input only", "unit"}:
        return source
    patterns = {
        "or": "{} or {}", "sqbr": "{} [{}]", "comma": "{}, {}", "slash": "{}/{}", "/": "{} / {}",
        "semicolon": "{}; {}", "br": "{}<br />{}", "br()": "{}<br />({})", "table": "{} || {}",
        "tablecen": "{} || {}",
    }  # fmt: skip
    if display.startswith("x|") or display in {"x", "preunit"}:
        return f"{source} ({target})"
    return patterns.get(display, "{} ({})").format(source, target)


def _input_text(request: Request, is_symbol: bool) -> str:
    options = request.options
    adjective = options.get("adj", "")
    texts = [value.text for value in request.values]
    if options.get("spell", "").lower() in {"in", "on"}:
        texts = [_spelled(value) for value in request.values]
    if request.subvalue is not None:
        return _subvalue_text(request, texts[0], is_symbol)
    is_adjective = adjective in {"on", "mid"} and not is_symbol
    unit = request.unit
    last = request.values[-1]
    is_single = _is_one(last) and len(request.values) == 1
    if is_symbol:
        word = _symbol(unit, is_single or adjective == "on")
    elif is_adjective or adjective == "1" or is_single:
        word = _spelling(unit.name, options)
    else:
        word = _spelling(unit.plural, options)
    glue = "-" if is_adjective else " "
    if is_symbol and word[0] in "°/′″" and unit.dimension != "temperature":
        glue = ""
    word = word.replace(" ", "-") if is_adjective and unit.dimension == "length" else word
    text = _with_unit(texts, request.separators, glue + word, is_adjective)
    if request.extras and adjective in {"mid", "on", "pre"}:
        extra = request.extras[0]
        text += extra if extra.startswith("-") else f" {extra}"
    return text


def _symbol(unit: Unit, is_single: bool) -> str:
    """The symbol; a unit without one ("acre") is spelled out, in its plural too."""
    is_spelled = unit.symbol == unit.name and unit.code != "bar"
    return unit.plural if is_spelled and not is_single else unit.symbol


def _spelled(value: Value) -> str:
    number = value.number
    return _SPELLED[int(number)] if number == int(number) and 0 <= number <= 20 else value.text


def _is_one(value: Value) -> bool:
    return abs(value.number) == 1 or (value.is_fraction and abs(value.number) <= 1)


def _spelling(name: str, options: dict[str, str]) -> str:
    if options.get("sp", "").lower() == "us":
        for british, american in _AMERICAN.items():
            name = name.replace(british, american)
    return name


def _with_unit(texts: list[str], separators: list[str], unit: str, is_adjective: bool) -> str:
    if separators and RANGES[separators[0]][1]:
        return RANGES[separators[0]][0].join(text + unit for text in texts)
    return _joined(texts, separators, is_adjective) + unit


def _joined(
    texts: list[str], separators: list[str], is_adjective: bool = False, is_output: bool = False
) -> str:
    out = texts[0]
    for separator, text in zip(separators, texts[1:], strict=False):
        between = RANGES[separator][0]
        if is_output:
            between = _OUTPUT_RANGES.get(separator, between)
        if is_adjective and between in {" to ", " by ", " and ", " or "}:
            between = between.replace(" ", "-")
        out += between + text
    return out


def _subvalue_text(request: Request, text: str, is_symbol: bool) -> str:
    assert request.subvalue is not None
    value, unit = request.subvalue
    pairs = [(request.values[0], text, request.unit), (value, value.text, unit)]
    is_adjective = request.options.get("adj") == "on" and not is_symbol
    words = []
    for part, shown, of in pairs:
        if is_symbol:
            words.append(f"{shown} {of.symbol}")
        elif is_adjective:
            words.append(f"{shown}-{_spelling(of.name, request.options)}")
        else:
            name = of.name if _is_one(part) else of.plural
            words.append(f"{shown} {_spelling(name, request.options)}")
    return ("-" if is_adjective else " ").join(words)


def _output_text(request: Request, code: str, style: str) -> str:
    pair = COMPOSITES.get(code)
    unit = find_unit(pair[1] if pair else code)
    if unit is None or unit.dimension != request.unit.dimension:
        return ""
    numbers = []
    for value in request.values:
        amount, precision = _converted(request, value, unit)
        numbers.append((amount, precision))
    if pair:
        texts = [_composite(amount, pair, style, request.options) for amount, _ in numbers]
        return _joined(texts, request.separators, is_output=True)
    comma = request.options.get("comma", "")
    texts = [format_rounded(amount, precision, comma) for amount, precision in numbers]
    if style == "number":
        return _joined(texts, request.separators, is_output=True)
    is_single = len(texts) == 1 and texts[0] in {"1", "−1"}
    if style == "symbol":
        word = _symbol(unit, is_single)
    else:
        word = _spelling(unit.name if is_single else unit.plural, request.options)
    glue = "" if word[0] in "°/′″" and unit.dimension != "temperature" else " "
    if request.separators and RANGES[request.separators[0]][1]:
        return _with_unit(texts, request.separators, glue + word, False)
    return _joined(texts, request.separators, is_output=True) + glue + word


def _converted(request: Request, value: Value, unit: Unit) -> tuple[float, int]:
    """The amount in the output unit and the decimals to print."""
    source = request.unit
    number, precision = value.number, value.precision
    if request.subvalue is not None:
        part, subunit = request.subvalue
        ratio = SUBUNITS[source.code, subunit.code]
        number = abs(number) * ratio + part.number
        number = -number if value.number < 0 else number
        precision = max(part.precision, 0)
        source = subunit
    amount = unit.from_base(source.to_base(number))
    if not math.isfinite(amount):
        return 0.0, 0
    options = request.options
    digits = options.get("sigfig", "")
    if digits.isdigit() and int(digits) > 0 and amount:
        return amount, int(digits[:2]) - 1 - _exponent(amount)
    step = NUMBER.fullmatch(options.get("round", ""))
    if step and float(step[2].replace(",", "")) > 0:
        size = float(step[2].replace(",", ""))
        return math.floor(amount / size + 0.5) * size, len(step[2].partition(".")[2])
    if request.precision is not None:
        return amount, request.precision
    if request.subvalue is not None and source.code == "in":
        return amount, _precision_of_inches(amount, unit)
    return amount, default_precision(number, precision, amount, source, unit)


def _precision_of_inches(amount: float, unit: Unit) -> int:
    """Feet with inches are taken as exact to the inch: two decimals of metres."""
    least = 1 - _exponent(amount) if amount else 0
    return max(math.floor(math.log10(2 * unit.factor) + 2), least)


def default_precision(
    number: float, precision: int, amount: float, source: Unit, target: Unit
) -> int:
    """Decimals of an output by the documented rule.

    Args:
        number: the input.
        precision: its decimals; negative: trailing zeros of a whole number.
        amount: the output, not rounded.
        source: unit of the input.
        target: unit of the output.
    """
    if source.dimension == "temperature":
        kelvins = abs(source.to_base(number))
        return max(precision, 2 if kelvins < 1e-8 else 2 - _exponent(kelvins))
    if number == 0 or amount == 0:
        return 0
    shift = math.log10(2 * abs(number / amount))
    return max(math.floor(precision + shift), 1 - _exponent(amount))


def _exponent(amount: float) -> int:
    return math.floor(math.log10(abs(amount)) + 1e-14)


def format_rounded(amount: float, precision: int, comma: str = "") -> str:
    """A number rounded half up to `precision` decimals, with a real minus and grouped digits."""
    precision = max(-30, min(30, precision))
    try:
        exact = Decimal(f"{amount:.12g}")
        step = Decimal(1).scaleb(-precision)
        rounded = (exact / step).to_integral_value(ROUND_HALF_UP) * step
    except InvalidOperation:
        return f"{amount:.6g}"
    if abs(rounded) >= Decimal(10) ** 15:
        mantissa, _, exponent = f"{amount:.2e}".partition("e")
        return f"{mantissa}×10{int(exponent)}".replace("-", "−")
    text = f"{abs(rounded):.{max(0, precision)}f}"
    whole, point, decimals = text.partition(".")
    return ("−" if rounded < 0 else "") + grouped(whole, comma) + point + decimals


def _composite(amount: float, pair: tuple[str, str], style: str, options: dict[str, str]) -> str:
    """Inches as feet and inches, and the like."""
    ratio = SUBUNITS[pair]
    total = math.floor(abs(amount) + 0.5)
    larger, smaller = divmod(total, ratio)
    words = []
    for number, code in ((larger, pair[0]), (smaller, pair[1])):
        unit = find_unit(code)
        assert unit is not None
        if number or code == pair[1]:
            name = unit.symbol if style == "symbol" else (unit.name if number == 1 else unit.plural)
            words.append(f"{group_digits(str(number), ',')} {_spelling(name, options)}")
    return ("−" if amount < 0 else "") + " ".join(words)
