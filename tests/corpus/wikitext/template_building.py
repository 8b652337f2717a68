"""Expanders for the tests of templates."""

from __future__ import annotations

from headrace.corpus.site import Site
from headrace.corpus.wikitext.templates import Expander, TemplateLibrary


def expand(
    text: str,
    lang: str = "en",
    templates: dict[str, str] | None = None,
    *,
    redirects: dict[str, str] | None = None,
    namespaces: dict[str, str] | None = None,
    title: str = "Some page",
    max_expansions: int = 20_000,
    max_output_characters: int = 20_000_000,
) -> str:
    """What the expander makes of a text."""
    expander = Expander(
        TemplateLibrary(templates, redirects),
        Site(lang=lang, sitename="Wikipedia", namespaces=namespaces or {}),
        max_expansions=max_expansions,
        max_output_characters=max_output_characters,
    )
    return expander.expand(text, title)
