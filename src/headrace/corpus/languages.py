"""Language codes as the rules of sentences know them."""

from __future__ import annotations

UNKNOWN_LANGUAGE = "und"
"""ISO 639's code for a language that nothing tells."""


def normalise_language(value: str | None, default: str = UNKNOWN_LANGUAGE) -> str:
    """A language code in the form that rules are filed under: "de-at" for "de_AT".

    Args:
        value: as somebody wrote it; None or blank where nobody did.
        default: what it is then.
    """
    code = value.strip().lower().replace("_", "-") if value else ""
    return code or default
