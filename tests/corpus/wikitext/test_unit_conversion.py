"""`{{convert}}`: printed forms by the template's documentation, factors by their definitions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from template_building import expand

from headrace.corpus.wikitext.unit_conversion import format_rounded
from headrace.corpus.wikitext.units import find_unit

FORMS = [
    ("5|km|mi", "5 kilometres (3.1 mi)"),
    ("5|km", "5 kilometres (3.1 mi)"),
    ("1|mi", "1 mile (1.6 km)"),
    ("100|km|mi", "100 kilometres (62 mi)"),
    ("1234.5|m|ft", "1,234.5 metres (4,050 ft)"),
    ("30|cm|in", "30 centimetres (12 in)"),
    ("5|to|10|km|mi", "5 to 10 kilometres (3.1 to 6.2 mi)"),
    ("5|-|10|km|mi", "5–10 kilometres (3.1–6.2 mi)"),
    ("5|and|10|km|mi", "5 and 10 kilometres (3.1 and 6.2 mi)"),
    ("3|x|5|m|ft", "3 metres × 5 metres (9.8 ft × 16 ft)"),
    ("5|by|7|in|cm", "5 by 7 inches (13 by 18 cm)"),
    ("5|ft|6|in|m", "5 feet 6 inches (1.68 m)"),
    ("5|ft|6|in|cm|abbr=on", "5 ft 6 in (168 cm)"),
    ("11|st|6|lb|kg", "11 stone 6 pounds (73 kg)"),
    ("1.8|m|ftin", "1.8 metres (5 ft 11 in)"),
    ("5|km|mi|abbr=on", "5 km (3.1 mi)"),
    ("5|km|mi|abbr=off", "5 kilometres (3.1 miles)"),
    ("5|km|mi|abbr=in", "5 km (3.1 miles)"),
    ("5|km|mi|adj=on", "5-kilometre (3.1 mi)"),
    ("10|mi|km|adj=on|sp=us", "10-mile (16 km)"),
    ("5|km|mi|sp=us", "5 kilometers (3.1 mi)"),
    ("100|km|mi|disp=or", "100 kilometres or 62 miles"),
    ("100|km|mi|disp=sqbr", "100 kilometres [62 mi]"),
    ("100|km|mi|disp=number", "62"),
    ("100|km|mi|disp=output only", "62 mi"),
    ("100|km|mi|order=flip", "62 miles (100 km)"),
    ("3000|m|ft yd", "3,000 metres (9,800 ft; 3,300 yd)"),
    ("100|lb|kg|1", "100 pounds (45.4 kg)"),
    ("14.7|psi|kPa|sigfig=3", "14.7 pounds per square inch (101 kPa)"),
    ("100|kg|lb|round=5", "100 kilograms (220 lb)"),
    ("1+1/2|in|mm", "1 1⁄2 inches (38 mm)"),
    ("1/2|mi|km", "1⁄2 mile (0.80 km)"),
    ("-40|C|F", "−40 degrees Celsius (−40 °F)"),
    ("100|C", "100 degrees Celsius (212 °F)"),
    ("98.6|F", "98.6 degrees Fahrenheit (37.0 °C)"),
    ("300|K|abbr=on", "300 K (27 °C; 80 °F)"),
    ("2500|sqmi|km2", "2,500 square miles (6,500 km<sup>2</sup>)"),
    ("12|acre", "12 acres (4.9 ha)"),
    ("5|ha|acre", "5 hectares (12 acres)"),
    ("20|kn|km/h mph", "20 knots (37 km/h; 23 mph)"),
    ("60|mph|km/h|abbr=on", "60 mph (97 km/h)"),
    ("1000|hp|kW PS|abbr=on", "1,000 hp (750 kW; 1,000 PS)"),
    ("25|mpgus", "25 miles per US gallon (9.4 L/100 km; 30 mpg‑imp)"),
    ("5|USgal", "5 US gallons (19 L; 4.2 imp gal)"),
    ("2|L|USgal", "2 litres (0.53 US gal)"),
    ("10|oz|g", "10 ounces (280 g)"),
    ("10|t|LT ST", "10 tonnes (9.8 long tons; 11 short tons)"),
    ("300|PD/km2", "300 inhabitants per square kilometre (780/sq mi)"),
    ("5|kWh|MJ", "5 kilowatt-hours (18 MJ)"),
    ("1|g/cm3|lb/cuin|3", "1 gram per cubic centimetre (0.036 lb/cu in)"),
    ("5|no such unit", "5 no such unit"),
    ("many|km", "many km"),
]


@pytest.mark.parametrize(("arguments", "expected"), FORMS)
def test_forms(arguments: str, expected: str) -> None:
    assert expand(f"{{{{convert|{arguments}}}}}") == expected


def test_cvt_abbreviates() -> None:
    assert (
        expand("{{cvt|5|km|mi}} {{Cvt|1|to|2|ft|m}}") == "5 km (3.1 mi) 1 to 2 ft (0.30 to 0.61 m)"
    )


# Two definitions of one quantity each, written down apart from the table.
EQUALITIES = [
    (1, "mi", 1.609344, "km"),
    (1, "nmi", 1852, "m"),
    (3, "ft", 1, "yd"),
    (12, "in", 1, "ft"),
    (1, "in", 2.54, "cm"),
    (640, "acre", 1, "sqmi"),
    (100, "ha", 1, "km2"),
    (9, "sqft", 1, "sqyd"),
    (1, "USgal", 231, "cuin"),
    (1, "impgal", 4.54609, "L"),
    (42, "USgal", 1, "oilbbl"),
    (4, "USqt", 1, "USgal"),
    (8, "USpt", 1, "USgal"),
    (128, "USoz", 1, "USgal"),
    (160, "impoz", 1, "impgal"),
    (1, "m3", 1000, "L"),
    (1, "cc", 1, "ml"),
    (27, "cuft", 1, "cuyd"),
    (16, "oz", 1, "lb"),
    (14, "lb", 1, "st"),
    (2240, "lb", 1, "LT"),
    (2000, "lb", 1, "ST"),
    (7000, "gr", 1, "lb"),
    (480, "gr", 1, "ozt"),
    (1000, "kg", 1, "t"),
    (5, "carat", 1, "g"),
    (3.6, "km/h", 1, "m/s"),
    (1, "kn", 1.852, "km/h"),
    (1, "mph", 1.609344, "km/h"),
    (88, "ft/s", 60, "mph"),
    (760, "Torr", 1, "atm"),
    (1, "bar", 100, "kPa"),
    (1, "psi", 6.894757293168361, "kPa"),
    (1, "kWh", 3.6, "MJ"),
    (1, "kcal", 4.184, "kJ"),
    (1, "hp", 550 * 0.3048 * 0.45359237 * 9.80665, "W"),
    (1, "PS", 75 * 9.80665, "W"),
    (1, "lbft", 0.3048 * 0.45359237 * 9.80665, "Nm"),
    (1, "lbf", 0.45359237 * 9.80665, "N"),
    (0, "C", 32, "F"),
    (100, "C", 212, "F"),
    (0, "K", -273.15, "C"),
    (491.67, "R", 32, "F"),
    (1, "/sqmi", 1 / 2.589988110336, "/km2"),
    (1, "g/cm3", 1000, "kg/m3"),
    (60, "min", 1, "h"),
    (1, "mpgus", 235.2145833333333, "L/100km"),
    (1, "mpgimp", 282.4809363318, "L/100km"),
    (1, "ly", 9.4607304725808e12, "km"),
    (1, "AU", 149597870.7, "km"),
    (1, "pc", 3.2615637769, "ly"),
    (1, "cuft/s", 0.028316846592, "m3/s"),
    (20, "chain", 2, "furlong"),
    (6, "ft", 1, "fathom"),
    (1, "m2", 10000, "cm2"),
    (1, "μm", 1000, "nm"),
    (1, "lb/ft3", 16.018463373960142, "kg/m3"),
]


@pytest.mark.parametrize(("left", "left_code", "right", "right_code"), EQUALITIES)
def test_factors(left: float, left_code: str, right: float, right_code: str) -> None:
    one, other = find_unit(left_code), find_unit(right_code)
    assert one is not None
    assert other is not None
    converted = one.to_base(left)
    assert math.isclose(converted, other.to_base(right), rel_tol=1e-9, abs_tol=1e-9)


@settings(max_examples=300, deadline=None)
@given(st.floats(-1e9, 1e9).filter(lambda v: abs(v) > 1e-9), st.integers(-6, 8))
def test_rounded_numbers_lie_within_half_a_step(amount: float, precision: int) -> None:
    text = format_rounded(amount, precision).replace("−", "-").replace(",", "")
    assert abs(float(text) - amount) <= 0.5 * 10.0**-precision * (1 + 1e-6) + abs(amount) * 1e-11


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "5",
                "-3",
                "1/2",
                "1e3",
                "0",
                "km",
                "mi",
                "ft",
                "in",
                "C",
                "F",
                "to",
                "x",
                "-",
                "",
                "abbr=on",
                "adj=on",
                "disp=or",
                "sigfig=2",
                "round=5",
                "order=flip",
                "junk",
                "lb",
                "st",
                "99999999999",
            ]
        ),
        max_size=9,
    )
)
def test_any_call_gives_text(arguments: list[str]) -> None:
    assert isinstance(expand("{{convert|" + "|".join(arguments) + "}}"), str)
