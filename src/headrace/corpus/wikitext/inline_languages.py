"""Built-in templates of foreign words: `lang`, `lang-xx`, transliterations, IPA, nihongo, ill."""

from __future__ import annotations

import re

from headrace.corpus.wikitext.calls import Call
from headrace.corpus.wikitext.inline_markup import Inline, argument, inline
from headrace.corpus.wikitext.language_names import introduce, language_name

_CODE = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8})*")
_PREFIXED = re.compile(
    r"(lang|ipa|ipac|rtl-lang|rtl-para)-([a-z]{2,3}(?:-[a-z]{2,8})*?)(-short|2|3|4)?"
)
_ICON = re.compile(r"([a-z]{2,3}(?:-[a-z]{2,8})?) icon")
_SHORT_JAPANESE = {
    "en": "英", "fr": "仏", "de": "独", "it": "伊", "es": "西", "pt": "葡", "ru": "露", "la": "羅",
    "el": "希", "nl": "蘭", "ko": "朝", "zh": "中", "grc": "古希", "sa": "梵", "tr": "土",
    "pl": "波",
    "hu": "洪", "ar": "亜", "ja": "日",
}  # fmt: skip


def foreign_text(call: Call) -> str:
    """`{{lang|fr|texte}}`: the text."""
    return inline(call.text("2", "text") or ("" if call.has("2") else call.text("1")))


def introduced(code: str) -> Inline:
    """`{{lang-fr|texte|..}}`: "French: texte", romanization and translation behind it."""

    def function(call: Call) -> str:
        return _introduced(call, code, 1)

    return function


def introduced_by_argument(call: Call) -> str:
    """`{{langx|fr|texte}}`."""
    return _introduced(call, call.text("1"), 2)


def _introduced(call: Call, code: str, first: int) -> str:
    text = call.text(str(first), "text")
    if not text:
        return ""
    if call.lang not in {"en", "simple"}:
        return introduce(code, text, call.lang)
    label = call.text("label").lower()
    out = text if label == "none" else introduce(code, text, call.lang)
    if label and label != "none":
        out = f"{call.text('label')}: {text}"
    romanized = call.text("translit", "rom", str(first + 1))
    if romanized:
        out += f", romanized: {romanized}"
    literally = call.text("lit", "translation", str(first + 2))
    return f"{out}, lit. '{literally}'" if literally else out


def short_introduced(code: str) -> Inline:
    """`{{lang-en-short|text}}` of the Japanese wiki: "英: text"."""

    def function(call: Call) -> str:
        text = call.text("1")
        name = _SHORT_JAPANESE.get(code) if call.lang == "ja" else None
        return f"{name or language_name(code, call.lang)}: {text}" if text else ""

    return function


def ipa(call: Call) -> str:
    """`{{IPA|text}}`, and `{{IPA|fr|text}}` with the language's name."""
    items = call.items()
    if len(items) > 1 and _CODE.fullmatch(items[0].lower()) and language_name(items[0], "en"):
        return _pronunciation(call, items[0], items[1], items[2] if len(items) > 2 else "")
    return inline(items[0]) if items else ""


def ipa_of(code: str) -> Inline:
    """`{{IPA-fr|text|lang}}`."""

    def function(call: Call) -> str:
        items = call.numbered()
        if not items or not items[0]:
            return ""
        return _pronunciation(call, code, items[0], items[1] if len(items) > 1 else "pronunciation")

    return function


def _pronunciation(call: Call, code: str, text: str, style: str) -> str:
    shown = text if text.startswith(("[", "/")) else f"[{text}]"
    if call.lang not in {"en", "simple"}:
        return shown
    name = language_name(code, call.lang)
    labels = {
        "lang": f"{name}: ", "": f"{name}: " if call.name == "ipa" else "", "pron": "pronounced ",
        "pronunciation": f"{name} pronunciation: ", "local": "locally ", "-": "", "also": "also ",
        "label": f"{name}: ",
    }  # fmt: skip
    return labels.get(style.lower(), "") + shown


_IPAC_LABELS = {"pron": "pronounced ", "lang": "English: ", "also": "also ", "local": "locally ",
                "uk": "UK: ", "us": "US: ", "ca": "Canada: ", "au": "Australia: ",
                "nz": "New Zealand: ",
                "ipa": "IPA: ", "small": "", "icon": "", "uslang": "US: ", "uklang": "UK: ",
                "usalso": "US also ", "ukalso": "UK also ", "ie": "Ireland: ",
                "za": "South Africa: ",
                "gb": "UK: ", "ga": "", "wales": ""}  # fmt: skip
_IPAC_CODES = {"_": " ", "'": "ˈ", ",": "ˌ", ".": ".", "-": "-", "tS": "tʃ", "dZ": "dʒ", "T": "θ",
               "D": "ð", "S": "ʃ", "Z": "ʒ", "N": "ŋ", "j": "j", "hw": "hw", "y": "j"}  # fmt: skip


def english_ipa(call: Call) -> str:
    """`{{IPAc-en|ˈ|f|iː}}`: the sounds in one word between slashes, its labels before it."""
    labels: list[str] = []
    sounds: list[str] = []
    for item in call.items():
        if not sounds and item.lower() in _IPAC_LABELS and len(item) > 1:
            labels.append(_IPAC_LABELS[item.lower()])
        elif item.lower().endswith((".ogg", ".wav", ".oga", ".mp3")):
            continue
        else:
            sounds.append(_IPAC_CODES.get(item, item))
    text = "".join(sounds)
    return f"{''.join(labels)}/{text}/" if text else ""


def transliteration(call: Call) -> str:
    """`{{transl|ar|ALA|ā}}`: the last argument."""
    items = call.items()
    return inline(items[-1]) if items else ""


def nihongo(call: Call) -> str:
    """`{{nihongo|English|日本語|romaji|extra|extra2}}`."""
    english, kanji, romaji, extra, extra2 = [*call.numbered(), *[""] * 5][:5]
    return _with_details(english, [kanji, romaji, extra or call.text("extra")], extra2)


def nihongo3(call: Call) -> str:
    """The romaji comes first."""
    english, kanji, romaji, extra, extra2 = [*call.numbered(), *[""] * 5][:5]
    quoted = f'"{english}"' if english else ""
    if not romaji:
        return _with_details(english, [kanji, extra], extra2)
    return _with_details(romaji, [kanji, quoted, extra], extra2)


def nihongo4(call: Call) -> str:
    """The Japanese comes first in the brackets' place."""
    english, kanji, romaji, extra, extra2 = [*call.numbered(), *[""] * 5][:5]
    return _with_details(english or kanji, [kanji if english else "", romaji, extra], extra2)


def _with_details(head: str, details: list[str], tail: str) -> str:
    shown = [detail for detail in details if detail]
    if not head and shown:
        head, shown = shown[0], shown[1:]
    text = f"{head} ({', '.join(shown)})" if shown else head
    return f"{text} {tail}" if tail else text


_CHINESE_SCRIPTS = [
    ("s", "simplified Chinese"), ("t", "traditional Chinese"), ("c", "Chinese"), ("p", "pinyin"),
    ("w", "Wade–Giles"), ("j", "Jyutping"), ("cy", "Cantonese Yale"), ("poj", "Pe̍h-ōe-jī"),
    ("l", "lit."), ("hanja", "Hanja"), ("hangul", "Korean"), ("rr", "RR"), ("mr", "MR"),
]  # fmt: skip


def chinese(call: Call) -> str:
    """`{{zh|s=..|t=..|p=..}}`: each form behind its name."""
    parts = []
    for name, label in _CHINESE_SCRIPTS:
        text = call.text(name)
        if text:
            parts.append(f"lit. '{text}'" if name == "l" else f"{label}: {text}")
    return "; ".join(parts) or call.text("1")


def korean(call: Call) -> str:
    """`{{Korean|hangul=..|hanja=..|rr=..}}`."""
    hangul, hanja = call.text("hangul", "1"), call.text("hanja", "2")
    parts = [f"Korean: {hangul}" if hangul else "", f"Hanja: {hanja}" if hanja else ""]
    parts += [f"RR: {call.text('rr')}" if call.text("rr") else ""]
    return "; ".join(part for part in parts if part)


def interlanguage_link(call: Call) -> str:
    """`{{ill|title|lang|foreign|lt=label}}`: the label, or the title."""
    return inline(call.text("lt", "label", "text", "display", "texte", "tekst", "1", "fr"))


def native_name(call: Call) -> str:
    """`{{native name|pt|República}}`: with the language behind it."""
    text, name = call.text("2"), language_name(call.text("1"), call.lang)
    is_named = call.text("paren").lower() not in {"no", "omit", "off", "n"} and name
    return f"{text} ({name})" if is_named and text else text


def language_note(code: str) -> Inline:
    """`{{fr icon}}`: "(in French)"."""

    def function(call: Call) -> str:
        name = language_name(code, call.lang)
        if call.lang == "ja":
            return f"（{name}）"
        return f"(in {name})" if call.lang == "en" and name else ""

    return function


def find_language_template(key: str) -> Inline | None:
    """`lang-xx`, `IPA-xx`, `xx icon` of any language."""
    match = _PREFIXED.fullmatch(key)
    if match:
        kind, code, variant = match.groups()
        if kind in {"ipa", "ipac"}:
            return english_ipa if kind == "ipac" else ipa_of(code)
        if variant == "-short":
            return short_introduced(code)
        return argument("1") if variant else introduced(code)
    icon = _ICON.fullmatch(key)
    return language_note(icon[1]) if icon and language_name(icon[1], "en") else None


LANGUAGE_TEMPLATES: dict[str, Inline] = {
    **dict.fromkeys(("lang", "langue", "wikt-lang", "lang2", "tlang", "lang-text", "wtlang"),
        foreign_text),
    **dict.fromkeys(("langx", "llang", "language with name"), introduced_by_argument),
    **dict.fromkeys(
        ("transl", "transliteration", "translit", "xlit", "tlit", "script/latin", "rom"),
            transliteration),
    **dict.fromkeys(
        ("ipa", "ipa2", "ipa3", "ipablink", "ipaslink", "ipalink", "ipa link", "ipa-all", "api",
            "ipa text",
         "ipachar", "ipa soundbox", "phon", "ph", "pron", "pronunciation-ipa"), ipa),
    **dict.fromkeys(("ipac-en", "ipac-es", "ipac-cmn", "ipac-pl", "ipac-hu"), english_ipa),
    **dict.fromkeys(("nihongo", "nihongo core", "nihongo krt", "japonais", "japonés", "giapponese",
                     "nihongo2 full", "japanese"), nihongo),
    **dict.fromkeys(("nihongo2", "nihongo foot", "jp", "nihongo1"), argument("1", "2")),
    "nihongo3": nihongo3,
    "nihongo4": nihongo4,
    **dict.fromkeys(("zh", "lang-zh", "zh-cp", "zh-full", "zh-tsp", "zh-tp", "zh-sp", "zh-ts",
        "chinese",
                     "lang-zh-hk"), chinese),
    **dict.fromkeys(("korean", "ko-hhrm", "lang-ko-kr", "korean-auto"), korean),
    **dict.fromkeys(
        ("ill", "interlanguage link", "interlanguage link multi", "illm", "link-interwiki",
            "ill-wd",
         "link-wd", "iw", "iw2", "red link with example", "仮リンク", "임시링크", "임시 링크",
         "lien",
         "redwd", "ill2", "redlink translation", "interlanguage-link", "iwlink"),
             interlanguage_link),
    **dict.fromkeys(("native name", "native phrase", "nativename", "nativephrase"), native_name),
}  # fmt: skip
"""Built-in templates of every wiki by lower-case name."""
