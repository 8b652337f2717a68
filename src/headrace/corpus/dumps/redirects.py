"""Redirects as they are written in wikitext: `#REDIRECT [[Title]]`, in any wiki's language.

Dumps of today mark redirects with an element of its own; exports before 0.4, and those of other
programs, only have the text.
"""

from __future__ import annotations

import re
from collections.abc import Collection

# MediaWiki's magic word "redirect" in its larger languages (languages/messages/Messages*.php); the
# English one works on every wiki.
_KEYWORDS = (
    "REDIRECT", "WEITERLEITUNG", "REDIRECTION", "REDIRECCIÓN", "REDIRECCION", "REDIRECCIÓ",
    "RINVIA", "RINVIO", "REDIRECIONAMENTO", "DOORVERWIJZING", "OMDIRIGERING", "OHJAUS",
    "UUDELLEENOHJAUS", "PATRZ", "PRZEKIERUJ", "TAM", "PŘESMĚRUJ", "PRESMERUJ",
    "ÁTIRÁNYÍTÁS", "REDIRECTEAZA", "PREUSMJERI", "PREUSMERITEV", "PREUSMERI", "ПРЕУСМЕРИ",
    "ПЕРЕНАПРАВЛЕНИЕ", "ПЕРЕНАПР", "ПЕРЕНАПРАВЛЕННЯ", "ПЕРАНАКІРАВАНЬНЕ", "ПЕРАНАКІРАВАННЕ",
    "ВИЖ", "ПРЕНАСОЧВАНЕ", "ПРЕНАСОЧУВАЊЕ", "АЙДАУ", "ÄÝDAW", "YÖNLENDİRME", "YÖNLENDIRME",
    "ISTIQAMƏTLƏNDIRMƏ", "ALIDIREKTI", "ALIDIREKTU", "SUUNA", "BIRZUZENDU", "ALIH",
    "LENCONGKAN", "ĐỔI", "PERADRESAVIMAS", "PĀRADRESĀCIJA", "TILVÍSUN", "ATHSHEOLADH",
    "AIL-CYFEIRIO", "ΑΝΑΚΑΤΕΥΘΥΝΣΗ", "ՎԵՐԱՀՂՈՒՄ", "გადამისამართება", "転送", "リダイレクト",
    "転送先", "重定向", "넘겨주기", "เปลี่ยนทาง", "تحويل", "تغییر_مسیر", "تغییرمسیر",
    "رجوع مکرر", "הפניה",
    "अनुप्रेषित", "पुनर्निर्देशित", "পুনর্নির্দেশ", "வழிமாற்று", "దారిమార్పు",
    "തിരിച്ചുവിടുക",
)  # fmt: skip
_REDIRECT = re.compile(
    rf"\s*[#＃]\s*(?:{'|'.join(map(re.escape, _KEYWORDS))})\s*[:：]?\s*"
    r"\[\[(?P<target>[^\[\]|\n]*)",
    re.IGNORECASE,
)


def redirect_target(wikitext: str) -> str | None:
    """The title that a page redirects to, as it is written; None if it is no redirect."""
    match = _REDIRECT.match(wikitext)
    return match["target"] if match else None


def bare_title(title: str, namespaces: Collection[str]) -> str:
    """A template's title as it is called by: no namespace, section, underscore or leading colon.

    Args:
        title: as pages and links write it ("Vorlage:Infobox Ort", ":template:foo_bar#Top").
        namespaces: names that the template namespace has, in lower case.
    """
    whole = title.partition("#")[0].replace("_", " ").strip(" :")
    prefix, colon, rest = whole.partition(":")
    return rest.strip() if colon and prefix.strip().lower() in namespaces else whole
