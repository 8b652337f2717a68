"""Built-in templates of numbers: fractions, measured values, formulas, currencies, identifiers."""

from __future__ import annotations

import re

from headrace.corpus.wikitext.calls import Call
from headrace.corpus.wikitext.inline_markup import Inline, constant
from headrace.corpus.wikitext.number_formats import format_number, group_digits
from headrace.corpus.wikitext.unit_conversion import convert
from headrace.corpus.wikitext.word_lists import words

_PLAIN = re.compile(r"[-+−]?\d+(?:\.\d+)?")
_CHARGE = re.compile(r"\d*[-+−]")


def _minus(text: str) -> str:
    return "−" + text[1:] if text.startswith("-") else text


def fraction(call: Call) -> str:
    """`{{frac|1|2}}`: 1⁄2; `{{frac|3|1|2}}`: 3 1⁄2; `{{frac|2}}`: 1⁄2."""
    items = call.items()
    if not items:
        return "⁄"
    if len(items) == 1:
        return items[0] if "/" in items[0] or "⁄" in items[0] else f"1⁄{items[0]}"
    if len(items) == 2:
        return f"{items[0]}⁄{items[1]}"
    return f"{items[0]} {items[1]}⁄{items[2]}"


def stacked_fraction(call: Call) -> str:
    """`{{sfrac|1|2}}`: 1/2."""
    items = call.items()
    if len(items) == 1:
        return f"1/{items[0]}"
    return "/".join(items) if len(items) < 3 else f"{items[0]} {items[1]}/{items[2]}"


def measured_value(call: Call) -> str:
    """`{{val|1234.5|0.3|e=3|u=m}}`: (1234.5±0.3)×10³ m."""
    number, up, down = call.text("1"), call.text("2"), call.text("3")
    separator = "," if call.text("fmt") == "commas" else ""
    text = _minus(_regrouped(number, separator))
    if down:
        text += f"<sup>+{up.lstrip('+')}</sup><sub>−{down.lstrip('-−+')}</sub>"
    elif up:
        text += up if up.startswith("(") else f"±{up}"
    power = call.text("e")
    if power:
        text = f"({text})" if up and not down else text
        text = (text + "×" if text else "") + f"10<sup>{_minus(power)}</sup>"
    unit, per = call.text("u", "ul"), call.text("up", "upl")
    before, after = call.text("p"), call.text("s")
    if unit:
        text += ("" if unit in {"%", "°", "′", "″"} else " ") + _unit(unit)
    if per:
        text += f"/{_unit(per)}"
    return before + text + after


def _unit(text: str) -> str:
    return re.sub(r"(?<=[A-Za-z)])(-?\d+)", lambda m: f"<sup>{_minus(m[1])}</sup>", text)


def _regrouped(number: str, separator: str) -> str:
    if not separator or not _PLAIN.fullmatch(number):
        return number
    whole, point, decimals = number.partition(".")
    sign = whole[0] if whole[:1] in "-+−" else ""
    return sign + group_digits(whole[len(sign) :], separator) + point + decimals


def number_in_table(call: Call) -> str:
    """`{{nts|1234}}`: 1,234, as the wiki writes it."""
    text = call.text("1")
    plain = text.replace(",", "")
    shown = format_number(plain, call.lang) if _PLAIN.fullmatch(plain) else text
    return call.text("prefix") + _minus(shown) + call.text("suffix")


def power_of_ten(call: Call) -> str:
    """`{{e|6}}`: ×10⁶."""
    return f"×10<sup>{_minus(call.text('1'))}</sup>"


def ten_to(call: Call) -> str:
    """`{{10^|6}}`: 10⁶."""
    return f"10<sup>{_minus(call.text('1'))}</sup>"


def formula(call: Call) -> str:
    """`{{chem|SO|4|2-}}`: numbers below, charges above."""
    out = []
    previous = ""
    for text in call.numbered():
        if _CHARGE.fullmatch(text):
            out.append(f"<sup>{text.replace('-', '−')}</sup>")
        elif (text[:1].isdigit() and previous[-1:].isalnum()) or (
            text.isdigit() and previous[-1:] == ")"
        ):
            out.append(f"<sub>{text}</sub>")
        else:
            out.append(text)
        previous = text or previous
    return "".join(out)


_CHEM2_COUNT = re.compile(r"(?<=[A-Za-z)\]])(\d+)")
_CHEM2_CHARGE = re.compile(r"\((\d*[-+−•]+)\)")
_CHEM2_TRAILING = re.compile(r"(?<=[A-Za-z0-9)\]>])([-+]+)(?=\s|$)")


def linear_formula(call: Call) -> str:
    """`{{chem2|SO4(2-)}}`."""
    text = call.text("1").replace("->", "→").replace("<=>", "⇌").replace("*", "·")
    text = _CHEM2_CHARGE.sub(lambda m: f"<sup>{m[1].replace('-', '−')}</sup>", text)
    text = _CHEM2_COUNT.sub(r"<sub>\1</sub>", text)
    return _CHEM2_TRAILING.sub(lambda m: f"<sup>{m[1].replace('-', '−')}</sup>", text)


_ELEMENTS = words(
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga "
    "Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd "
    "Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra "
    "Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv "
    "Ts Og"
)
_ELEMENT_NAMES = words(
    "hydrogen helium lithium beryllium boron carbon nitrogen oxygen fluorine neon sodium "
    "magnesium aluminium silicon phosphorus sulfur chlorine argon potassium calcium "
    "scandium titanium vanadium chromium manganese iron cobalt nickel copper zinc gallium "
    "germanium arsenic selenium bromine krypton rubidium strontium yttrium zirconium "
    "niobium molybdenum technetium ruthenium rhodium palladium silver cadmium indium tin "
    "antimony tellurium iodine xenon caesium barium lanthanum cerium praseodymium "
    "neodymium promethium samarium europium gadolinium terbium dysprosium holmium erbium "
    "thulium ytterbium lutetium hafnium tantalum tungsten rhenium osmium iridium platinum "
    "gold mercury thallium lead bismuth polonium astatine radon francium radium actinium "
    "thorium protactinium uranium neptunium plutonium americium curium berkelium "
    "californium einsteinium fermium mendelevium nobelium lawrencium rutherfordium "
    "dubnium seaborgium bohrium hassium meitnerium darmstadtium roentgenium copernicium "
    "nihonium flerovium moscovium livermorium tennessine oganesson"
)
_SYMBOLS = dict(zip(_ELEMENT_NAMES, _ELEMENTS, strict=True))


def nuclide(call: Call) -> str:
    """`{{nuclide|potassium|40}}`: ⁴⁰K."""
    name, mass = call.text("1"), call.text("2")
    symbol = _SYMBOLS.get(name.lower(), name)
    return f"<sup>{mass}</sup>{symbol}" if mass else symbol


_CURRENCIES = {
    "us$": "US$", "usd": "US$", "us dollar": "US$", "a$": "A$", "aud": "A$", "au$": "A$",
    "c$": "C$",
    "cad": "C$", "ca$": "C$", "nz$": "NZ$", "nzd": "NZ$", "hk$": "HK$", "hkd": "HK$", "s$": "S$",
    "sgd": "S$", "nt$": "NT$", "twd": "NT$", "r$": "R$", "brl": "R$", "gbp": "£", "£": "£",
    "pound sterling": "£", "gb£": "£", "euro": "€", "eur": "€", "€": "€", "jpy": "¥", "yen": "¥",
    "¥": "¥", "jp¥": "¥", "cny": "CN¥", "rmb": "CN¥", "cn¥": "CN¥", "inr": "₹", "₹": "₹",
    "indian rupees": "₹", "krw": "₩", "₩": "₩", "won currency": "₩", "php": "₱", "₱": "₱",
    "phpeso": "₱", "rub": "₽", "₽": "₽", "ruble": "₽", "ils": "₪", "₪": "₪", "nis": "₪", "try": "₺",
    "thb": "฿", "uah": "₴", "ngn": "₦", "chf": "CHF ", "sek": "SEK ", "nok": "NOK ", "dkk": "DKK ",
    "zar": "R", "mxn": "MX$", "mex$": "MX$", "pkr": "Rs ", "myr": "RM", "idr": "Rp ", "vnd": "₫",
}  # fmt: skip


def money(call: Call) -> str:
    """`{{US$|5}}`, `{{INR|5}}`."""
    return _CURRENCIES[call.name] + call.text("1")


def currency(call: Call) -> str:
    """`{{currency|5|USD}}`."""
    code = call.text("2", "type", "first")
    return _CURRENCIES.get(code.lower(), code + " ") + call.text("1", "amount")


def price(call: Call) -> str:
    """`{{format price|1234}}`."""
    text = call.text("1")
    return format_number(text, call.lang) if _PLAIN.fullmatch(text) else text


_IDENTIFIERS = {
    "isbn": "ISBN", "isbnt": "", "isbn2": "ISBN", "issn": "ISSN", "issn link": "ISSN",
    "oclc": "OCLC",
    "doi": "doi:", "pmid": "PMID", "pmc": "PMC", "bibcode": "Bibcode:", "arxiv": "arXiv:",
    "lccn": "LCCN", "jstor": "JSTOR", "hdl": "hdl:", "asin": "ASIN", "zbl": "Zbl", "mr": "MR",
    "ssrn": "SSRN", "s2cid": "S2CID", "ol": "OL", "ismn": "ISMN", "naid": "NAID", "ncid": "NCID",
    "eissn": "eISSN", "urn": "urn:", "rfc": "RFC", "cas": "CAS",
}  # fmt: skip


def identifier(call: Call) -> str:
    """`{{ISBN|978-..}}`: the label and the number."""
    label = _IDENTIFIERS[call.name]
    items = call.items()
    if call.name in {"doi", "arxiv", "hdl"}:
        items = items[:1] or [call.text("id", "doi")]
    text = ", ".join(item for item in items if item)
    glue = "" if not label or label.endswith(":") else " "
    return f"{label}{glue}{text}" if text else ""


def right_ascension(call: Call) -> str:
    """`{{RA|12|30|49.4}}`."""
    return " ".join(f"{n}{u}" for n, u in zip(call.items(), ("h", "m", "s"), strict=False))


def declination(call: Call) -> str:
    """`{{DEC|+12|23|28}}`."""
    items = zip(call.items(), ("°", "′", "″"), strict=False)
    return " ".join(f"{_minus(n)}{u}" for n, u in items)


def _numero(call: Call) -> str:
    return "No. " + call.text("1") if call.text("1") else "No."


NUMBER_TEMPLATES: dict[str, Inline] = {
    **dict.fromkeys(("convert", "cvt", "converter", "conv", "convertir", "convertit",
        "convert/2"), convert),
    **dict.fromkeys(("frac", "fraction", "fract", "vfrac", "fracs", "ifrac", "fr-ac"), fraction),
    **dict.fromkeys(("sfrac", "tfrac", "sfract"), stacked_fraction),
    **dict.fromkeys(("val", "value", "ensuremath-val"), measured_value),
    **dict.fromkeys(("nts", "number table sorting", "num", "formatnum", "nbr-sort"),
        number_in_table),
    **dict.fromkeys(("e", "sup e", "×10^"), power_of_ten),
    **dict.fromkeys(("10^", "e10", "10e"), ten_to),
    **dict.fromkeys(("chem", "chem/atom", "chem name formula"), formula),
    **dict.fromkeys(("chem2", "chem3", "ce"), linear_formula),
    **dict.fromkeys(
        ("nuclide", "simplenuclide", "simplenuclide2", "nuclide2", "nuc", "nut", "simple nuclide",
         "physics particle nuclide", "isotope"), nuclide),
    **dict.fromkeys(_CURRENCIES, money),
    **dict.fromkeys(("currency",), currency),
    **dict.fromkeys(("format price", "formatprice"), price),
    **dict.fromkeys(_IDENTIFIERS, identifier),
    **dict.fromkeys(("ra",), right_ascension),
    **dict.fromkeys(("dec",), declination),
    **dict.fromkeys(("numero", "no.", "number sign"), _numero),
    "half": constant("1⁄2"),
}  # fmt: skip
"""Built-in templates of every wiki by lower-case name."""
