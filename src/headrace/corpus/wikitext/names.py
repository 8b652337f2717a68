"""Which of the built-in templates, parser functions and dump's templates a name means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from headrace.corpus.wikitext.calls import Call, FunctionCall
from headrace.corpus.wikitext.inline_templates import find_inline_template, is_dropped
from headrace.corpus.wikitext.parser_functions import FUNCTIONS, VARIABLES

if TYPE_CHECKING:
    from headrace.corpus.site import Site
    from headrace.corpus.wikitext.templates import TemplateLibrary

_MODIFIER = re.compile(r"\s*(?:subst|safesubst|msg|msgnw|raw)\s*:", re.IGNORECASE)
_BLANKS = re.compile(r"[\s_\u00a0]+")
# Names of one or two letters mean other things on other wikis: there the dump knows better.
_SHORT_NAME = 2
_MAX_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class InlineTarget:
    """A built-in template under a normalised name."""

    function: Callable[[Call], str]
    name: str


@dataclass(frozen=True, slots=True)
class FunctionTarget:
    """A parser function or magic word; `offset`: where its first argument starts in the name."""

    function: Callable[[FunctionCall], str]
    offset: int = 0


@dataclass(frozen=True, slots=True)
class LibraryTarget:
    """A template of the dump."""

    title: str


@dataclass(frozen=True, slots=True)
class DropTarget:
    """A template that gives nothing to read: a reference, navigation, maintenance."""


Target: TypeAlias = InlineTarget | FunctionTarget | LibraryTarget | DropTarget | None
_DROP = DropTarget()


class NameTable:
    """Resolves names for one wiki; remembers what it found.

    Args:
        library: the dump's templates.
        site: the wiki; gives the language and the local name of the template namespace.
    """

    def __init__(self, library: TemplateLibrary, site: Site) -> None:
        self.library = library
        self.site = site
        self._prefixes = {"template", "t"}
        local = site.namespaces.get("10", "")
        if local:
            self._prefixes.add(_BLANKS.sub(" ", local).strip().casefold())
        self._known: dict[str, Target] = {}

    def resolve(self, raw: str) -> Target:
        """What the name of a call means; None where nothing is known of it.

        Args:
            raw: the text between "{{" and the first "|" or the end, expanded.
        """
        try:
            return self._known[raw]
        except KeyError:
            pass
        target = self._resolve(raw, 0)
        if len(raw) < 200:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[raw] = target
        return target

    def _resolve(self, raw: str, offset: int) -> Target:
        modifier = _MODIFIER.match(raw, offset)
        while modifier:
            offset = modifier.end()
            modifier = _MODIFIER.match(raw, offset)
        name = _BLANKS.sub(" ", raw[offset:]).strip()
        before, colon, after = name.partition(":")
        key = before.strip().casefold()
        if colon:
            if key in self._prefixes:
                return self._template(after.strip())
            function = FUNCTIONS.get(key)
            if function is not None:
                return FunctionTarget(function, raw.index(":", offset) + 1)
        else:
            variable = VARIABLES.get(before)
            if variable is not None:
                return FunctionTarget(variable, len(raw))
        return self._template(name)

    def _template(self, name: str) -> Target:
        key = name.casefold()
        title = self.library.resolve(name)
        if title is not None and len(key) <= _SHORT_NAME:
            return LibraryTarget(title)
        function = find_inline_template(key, self.site.lang)
        if function is not None:
            return InlineTarget(function, key)
        if is_dropped(key, self.site.lang):
            return _DROP
        return None if title is None else LibraryTarget(title)
