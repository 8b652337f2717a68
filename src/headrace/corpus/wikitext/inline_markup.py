"""Built-in templates that dress their text: emphasis, quotations, lists, signs, table cells.

Each function gets the call and gives wikitext. Blocks stand on lines of their own; what is only
style is left out.
"""

from __future__ import annotations

from collections.abc import Callable

from headrace.corpus.wikitext.calls import Call

Inline = Callable[[Call], str]
# At the start of a line these would make a list, a heading or a table of plain text.
_BLOCK_SIGNS = ("*", "#", ":", ";", "=", "{|", " ")


def inline(text: str) -> str:
    """Text that must not start a block wherever it stands."""
    return f"<span>{text}</span>" if text.startswith(_BLOCK_SIGNS) else text


def argument(*names: str) -> Inline:
    """A template that shows its first non-blank argument of these."""

    def function(call: Call) -> str:
        return inline(call.text(*names))

    return function


def wrapped(before: str, after: str = "", name: str = "1") -> Inline:
    """A template that puts something around an argument; nothing around nothing."""

    def function(call: Call) -> str:
        text = call.text(name)
        return f"{before}{text}{after}" if text else ""

    return function


def constant(text: str) -> Inline:
    """A template that is a sign."""

    def function(call: Call) -> str:
        del call
        return text

    return function


def joined(separator: str, before: str = "", after: str = "") -> Inline:
    """A template that shows all its numbered arguments in a row."""

    def function(call: Call) -> str:
        items = call.items()
        return f"{before}{separator.join(items)}{after}" if items else ""

    return function


def word_or_argument(word: str) -> Inline:
    """A coloured table cell: its text, or the word it stands for."""

    def function(call: Call) -> str:
        return call.text("1") or word

    return function


def last_argument(call: Call) -> str:
    """A template of attributes whose text comes last, as `{{color|red|text}}`."""
    items = call.items()
    return inline(items[-1]) if items else call.text("text")


def second_or_first(call: Call) -> str:
    """A template whose second argument is the text where it is given."""
    return inline(call.text("text", "2") or call.text("1"))


def content(call: Call) -> str:
    """A container of blocks: its content, on its own lines."""
    text = call.raw("1") or call.raw("content") or call.raw("2")
    return f"\n{text.strip()}\n" if text.strip() else ""


def titled_content(call: Call) -> str:
    """A box that opens: its title and its content."""
    parts = [call.text("title", "header", "1"), call.text("content", "text", "2")]
    return "".join(f"\n\n{part}\n" for part in parts if part)


def columns(call: Call) -> str:
    """Columns of blocks: all contents in their order, without widths and counts."""
    parts = [text for text in call.items() if not _is_measure(text)]
    return "\n" + "\n".join(parts) + "\n" if parts else ""


def _is_measure(text: str) -> bool:
    number = text.removesuffix("em").removesuffix("px").removesuffix("%")
    return len(text) < 8 and number.replace(".", "", 1).isdigit()


def _marked_list(mark: str) -> Inline:
    def function(call: Call) -> str:
        items = call.items()
        return "\n" + "".join(f"{mark} {item}\n" for item in items) if items else ""

    return function


unordered_list = _marked_list("*")
ordered_list = _marked_list("#")


def row(call: Call) -> str:
    """A horizontal list: one line, or its own content where that is a list."""
    items = call.items()
    if len(items) == 1:
        return f"\n{items[0]}\n" if items[0].startswith(("*", "#")) else items[0]
    return " · ".join(items)


def comma_row(call: Call) -> str:
    """A list in running text."""
    return ", ".join(call.items())


_QUOTE_TEXT = ("text", "quote", "quotetext", "content", "1")
_QUOTE_AUTHOR = ("author", "by", "person", "sign", "speaker", "cite", "autor", "auteur", "автор")
_QUOTE_SOURCE = ("source", "title", "character", "quelle", "Quelle", "fonte", "fuente", "источник")


def block_quote(
    text: tuple[str, ...] = (), author: tuple[str, ...] = ("2",), source: tuple[str, ...] = ("3",)
) -> Inline:
    """A quotation on its own lines, its author and source behind a dash.

    Args:
        text: argument names of the text beside the common ones.
        author: of the author.
        source: of the source.
    """

    def function(call: Call) -> str:
        quoted = call.text(*text, *_QUOTE_TEXT)
        if not quoted:
            return ""
        by = [call.text(*_QUOTE_AUTHOR, *author), call.text(*_QUOTE_SOURCE, *source)]
        signature = ", ".join(name for name in by if name)
        if signature and not signature.startswith(("—", "–", "-")):
            signature = f"— {signature}"
        return f"\n\n{quoted}\n\n{signature}\n\n" if signature else f"\n\n{quoted}\n\n"

    return function


def inline_quote(before: str, after: str) -> Inline:
    """A quotation within the sentence, between the language's marks."""

    def function(call: Call) -> str:
        quoted = call.text(*_QUOTE_TEXT)
        return f"{before}{quoted}{after}" if quoted else ""

    return function


def spaces(call: Call) -> str:
    """`{{spaces|3}}`: that many hard spaces."""
    number = call.text("1")
    return "\u00a0" * min(int(number) if number.isdecimal() and len(number) < 4 else 1, 20)


def super_and_subscript(call: Call) -> str:
    """`{{su|p=above|b=below}}`."""
    above, below = call.text("p", "1"), call.text("b", "2")
    text = f"<sup>{above}</sup>" if above else ""
    return text + (f"<sub>{below}</sub>" if below else "")


def sort_name(call: Call) -> str:
    """`{{sortname|First|Last|target}}`."""
    name = " ".join(filter(None, (call.text("1", "first"), call.text("2", "last"))))
    if call.has("nolink"):
        return name
    target = call.text("3")
    return f"[[{target}|{name}]]" if target else f"[[{name}]]"


def labelled_percentage(call: Call) -> str:
    """`{{bar percent|label|colour|value}}`."""
    return f"\n{call.text('1')} {call.text('3')}%\n" if call.text("3") else ""


_SIGNS: dict[str, str] = {
    "'": "'", "'s": "'s", "' s": "' s", "`": "`", "-\"": '"', "' \"": "' \"", "\" '": "\" '",
    "'\"": "'\"", "\"'": "\"'", "-'": "'", "'-": "'", "' '": "' '", "spaced ndash": " – ",
    "snd": " – ", "spnd": " – ", "sndash": " – ", "spndash": " – ", "spaced en dash": " – ",
    "spaced en dash space": " – ", "spd": " – ", "ndash": "–", "en dash": "–", "endash": "–",
    "nsndns": " – ", "mdash": "—", "mdashb": "—", "ndashb": "–", "snds": " – ", "em dash": "—",
    "emdash": "—", "spaced mdash": " — ",
    "spaced em dash": " — ", "smd": " — ", "nbsp": "\u00a0", "nnbsp": "\u202f", "thinsp": "\u2009",
    "thin space": "\u2009", "hair space": "\u200a", "hsp": "\u200a", "zwj": "\u200d",
    "zwnj": "\u200c", "zwsp": "\u200b", "shy": "", "wbr": "", "dot": " · ", "middot": "·",
    "·": " · ",
    "•": " • ", "bull": " • ", "bullet": " • ", "*": " • ", "\\": " / ", "/": " / ", "times": "×",
    "minus": "−", "plus": "+", "pm": "±", "asterisk": "*", "hash": "#", "ordm": "º",
    "ordf": "ª", "okina": "ʻ", "hamza": "ʾ", "ayin": "ʿ", "asper": "ʽ", "prime": "′",
    "double prime": "″", "pi": "π", "phi": "φ", "euler": "e", "infin": "∞", "eqm": "⇌",
    "dagger": "†", "double-dagger": "‡", "double dagger": "‡", "ddagger": "‡", "tick": "✓",
    "check": "✓", "aye": "✓", "cross": "✗", "nay": "✗", "ya": "✓", "na": "✗", "!!": "!!",
    "?!": "?!",
    "sharp": "♯", "flat": "♭", "natural": "♮", "music natural": "♮", "ell": "ℓ", "plusminus": "±",
    "intmath": "∫", "hbar": "ħ", "h-bar": "ħ", "arrow": "→", "rarr": "→", "larr": "←",
    "lbracket": "[",
    "rbracket": "]", "lbrack": "[", "rbrack": "]", "bracket left": "[", "bracket right": "]",
    "male": "♂", "female": "♀", "spades": "♠", "hearts": "♥", "diamonds": "♦", "clubs": "♣",
    "indian rupee": "₹", "rupee": "₹", "euro sign": "€", "star": "★", "ditto": "″", "ell.": "…",
    "...": "…", "nbhyph": "‑", "nbhyphen": "‑", "pound": "£", "naira": "₦", "peso": "₱",
}  # fmt: skip
_CELLS = {
    "yes": "Yes", "no": "No", "n/a": "N/A", "partial": "Partial", "dunno": "?",
    "unknown": "Unknown",
    "tba": "TBA", "tbd": "TBD", "won": "Won", "nom": "Nominated", "nominated": "Nominated",
    "pending": "Pending", "good": "", "bad": "", "maybe": "Maybe", "included": "Included",
    "dropped": "Dropped", "yes2": "Yes", "no2": "No", "some": "Some", "any": "Any", "free": "Free",
    "nonfree": "Non-free", "depends": "Depends", "rarely": "Rarely", "sometimes": "Sometimes",
    "required": "Required", "optional": "Optional", "success": "Success", "failure": "Failure",
    "partial failure": "Partial failure", "none": "None", "planned": "Planned", "draw": "Draw",
    "win": "Win", "loss": "Loss", "active": "Active", "unreleased": "Unreleased",
}  # fmt: skip

_FIRST_NAMES = [
    "nowrap", "nobr", "nobreak", "nbr", "j", "nobold", "noitalic", "noitalics", "normal", "small",
    "smaller", "midsize", "big", "bigger", "large", "larger", "huge", "abbr", "abbrv",
    "abbreviation", "tooltip", "hover", "smallcaps", "small caps", "sc", "sc1", "scap",
    "smallcaps2", "smallcaps all", "sc2", "overline", "ovl", "underline", "u", "uline", "strike",
    "strikethrough", "s", "del", "inserted", "deleted", "vanchor", "visible anchor", "vanc",
    "longitem", "inline block", "inline-block", "unicode", "polytonic", "grapheme", "var", "mvar",
    "math", "bigmath", "mathcal", "serif", "sans-serif", "sans", "monospace", "mono", "code",
    "samp",
    "kbd", "tt", "bold", "italic", "italics", "em", "strong", "nastaliq", "hebrew", "arabic",
    "no break", "nowrap small", "small nowrap", "as written", "sic-text", "proper name",
    "not a typo",
    "typo", "chem name", "italic correction", "bold italic", "semi-bold", "cjk", "linktext",
    "nonbreaking", "dfn", "q", "wikicite", "text", "first word",
    "music", "smalldiv", "nowraplinks", "mathfrak", "avoid wrap", "nobreakspace", "hidden text",
    "screen reader", "double underline", "native",
]  # fmt: skip
_LAST_NAMES = [
    "color", "colour", "font color", "font colour", "fontcolor", "font", "background color",
    "background colour", "bgcolor", "highlight", "background", "legend", "legend0", "legend2",
    "legend inline", "fontsize", "font size", "resize", "script", "text color", "fgcolor",
    "color text",
    "sort", "sorta", "rotate", "style", "tone", "dynamic", "marked text", "legend-line",
]  # fmt: skip
_CONTENT_NAMES = [
    "plainlist", "plain list", "flatlist", "flat list", "startflatlist", "flowlist", "small div",
    "center", "centre", "right", "left", "align", "block indent", "indent text", "poem",
    "poemquote",
    "poem quote", "verse", "columns list", "div col content", "cot",
    "nowrap list",
    "stack", "float right", "float left", "table alignment", "blist", "aligned table content",
]  # fmt: skip


def _table() -> dict[str, Inline]:
    table: dict[str, Inline] = {}
    table.update({name: constant(sign) for name, sign in _SIGNS.items()})
    table.update({name: word_or_argument(word) for name, word in _CELLS.items()})
    table.update(dict.fromkeys(_FIRST_NAMES, argument("1", "text", "content")))
    table.update(dict.fromkeys(_LAST_NAMES, last_argument))
    table.update(dict.fromkeys(_CONTENT_NAMES, content))
    for names, function in _GROUPS:
        table.update(dict.fromkeys(names, function))
    return table


_GROUPS: list[tuple[tuple[str, ...], Inline]] = [
    (("sup", "superscript", "exp"), wrapped("<sup>", "</sup>")),
    (("sub", "subscript", "ind"), wrapped("<sub>", "</sub>")),
    (("su", "sup sub", "supsub", "subsup"), super_and_subscript),
    (('"', "quote inline", "inline quote", "qq", "''"), wrapped('"', '"')),
    (("'-text", "single quote"), wrapped("'", "'")),
    (("angbr", "angle bracket", "angle brackets", "vr", "angbr ipa", "langbr"),
     wrapped("⟨", "⟩")),
    (("bracket", "brackets"), wrapped("[", "]")),
    (("brace", "braces"), wrapped("{", "}")),
    (("paren", "parentheses"), wrapped("(", ")")),
    (("abs", "mabs"), wrapped("|", "|")),
    (("sqrt", "radic", "square root"), wrapped("√")),
    (("keypress", "key press", "key", "keys", "button", "kpress"), joined("+")),
    (("respell", "pronunciation respelling", "respelling"), joined("-")),
    (("gaps",), joined("")),
    (("spaces", "space", "nbsp2"), spaces),
    (("quote", "blockquote", "quotation", "bquote", "block quote", "quote block", "long quote",
      "quoteblock", "imagequote", "centered quote", "cite quote"), block_quote()),
    (("cquote", "pull quote", "pullquote", "rquote", "centered pull quote"),
     block_quote(author=("4", "2"), source=("5", "3"))),
    (("quote box", "quotebox", "quote box2", "rquote box"), block_quote(source=())),
    (("ubl", "unbulleted list", "ublist", "ubt", "unbulleted", "bulleted list", "ul",
      "unordered list", "bulletedlist", "vunblist", "cslist lines", "indented plainlist",
      "tree list"),
     unordered_list),
    (("ordered list", "numbered list", "ol", "olist"), ordered_list),
    (("hlist", "horizontal list", "bare anchored list", "flat", "hlist-comma", "cslist", "csl"),
        row),
    (("comma separated entries", "cse", "comma separated values", "enum", "comma-separated list"),
     comma_row),
    (("columns-list", "columns", "column list", "multi-column list", "div col", "col-list", "col",
      "colbegin", "col list", "columns start", "2col", "3col", "div-col", "multicol list",
      "no col break"), columns),
    (("hidden", "collapse", "collapsible text"), titled_content),
    (("sortname", "sort name"), sort_name),
    (("bar percent", "bar percent 2"), labelled_percentage),
]  # fmt: skip

MARKUP_TEMPLATES = _table()
"""Built-in templates of every wiki by lower-case name."""
