"""What a template or parser function sees of its call: arguments, expanded when first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.corpus.wikitext.brace_parser import Nodes, split_name

if TYPE_CHECKING:
    from headrace.corpus.wikitext.expansion import Expansion, Frame


class Arguments:
    """The arguments of one call by name ("1", "2", ... for those without).

    Values are expanded in the caller's frame, at most once; a named value is trimmed, a numbered
    one is not, and a later value of the same name wins, as in MediaWiki.
    """

    __slots__ = ("_expansion", "_frame", "_values")

    def __init__(self, expansion: Expansion, frame: Frame, parts: Sequence[Nodes]) -> None:
        self._expansion = expansion
        self._frame = frame
        self._values: dict[str, str | tuple[Nodes, bool]] = {}
        number = 0
        for part in parts:
            named = split_name(part)
            if named is None:
                number += 1
                self._values[str(number)] = part, False
            else:
                name = expansion.expand_nodes(named[0], frame).strip()
                self._values.pop(name, None)
                self._values[name] = named[1], True

    def get(self, name: str) -> str | None:
        """The value, or None where the call does not give it."""
        value = self._values.get(name)
        if value is None or isinstance(value, str):
            return value
        nodes, is_named = value
        text = self._expansion.expand_nodes(nodes, self._frame)
        if is_named:
            text = text.strip()
        self._values[name] = text
        return text

    def names(self) -> list[str]:
        """The names in the order of the call."""
        return list(self._values)


class Call:
    """The call of a built-in template.

    Attributes:
        name: lower case, single spaces, without namespace.
        lang: language of the wiki.
        title: the page's title.
        expansion: the page's expansion, for the few that look further.
    """

    __slots__ = ("_arguments", "expansion", "lang", "name", "title")

    def __init__(self, name: str, arguments: Arguments, expansion: Expansion) -> None:
        self.name = name
        self._arguments = arguments
        self.expansion = expansion
        self.lang = expansion.site.lang
        self.title = expansion.title

    def text(self, *names: str) -> str:
        """The first of these arguments that is not blank, trimmed; "" without one."""
        for name in names:
            value = self._arguments.get(name)
            if value:
                value = value.strip()
                if value:
                    return value
        return ""

    def raw(self, name: str) -> str:
        """An argument as it stands; "" where it is not given."""
        return self._arguments.get(name) or ""

    def has(self, name: str) -> bool:
        """Whether the call gives the argument, be it blank."""
        return self._arguments.get(name) is not None

    def numbered(self, first: int = 1) -> list[str]:
        """The arguments first, first + 1, ... trimmed, up to the last one given; gaps are ""."""
        numbers = [int(name) for name in self._arguments.names() if _is_number(name)]
        last = min(max(numbers, default=0), len(numbers) + 100)
        return [self.text(str(number)) for number in range(first, last + 1)]

    def items(self, first: int = 1) -> list[str]:
        """The numbered arguments that are not blank."""
        return [value for value in self.numbered(first) if value]

    def names(self) -> list[str]:
        """The argument names in the order of the call."""
        return self._arguments.names()


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and name[0] != "0" and len(name) < 6


class FunctionCall:
    """The call of a parser function: its arguments are expanded only where it asks for them.

    Attributes:
        expansion: the page's expansion.
        frame: whose arguments `{{{..}}}` means.
        parts: the arguments, the one after the colon first.
    """

    __slots__ = ("expansion", "frame", "parts")

    def __init__(self, expansion: Expansion, frame: Frame, parts: list[Nodes]) -> None:
        self.expansion = expansion
        self.frame = frame
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    def text(self, index: int) -> str:
        """An argument, expanded and trimmed; "" where the call has fewer."""
        return self.raw(index).strip()

    def raw(self, index: int) -> str:
        """An argument, expanded."""
        if index >= len(self.parts):
            return ""
        return self.expansion.expand_nodes(self.parts[index], self.frame)

    def expand(self, nodes: Nodes) -> str:
        """A part of an argument, expanded and trimmed."""
        return self.expansion.expand_nodes(nodes, self.frame).strip()
