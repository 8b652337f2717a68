"""The expansion of one page: nodes to text, within budgets.

Arguments and branches are expanded only when something asks for them, so an `#if` costs what its
taken branch costs and a dropped template nothing. Every call is charged against two budgets that
depend on the input alone, so a page that is too complex is so in any process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from headrace.corpus.wikitext.brace_parser import Node, Nodes
from headrace.corpus.wikitext.calls import Arguments, Call, FunctionCall
from headrace.corpus.wikitext.errors import PageError
from headrace.corpus.wikitext.names import FunctionTarget, InlineTarget, LibraryTarget

if TYPE_CHECKING:
    from headrace.corpus.site import Site
    from headrace.corpus.wikitext.names import NameTable

# MediaWiki stops at 40 templates in each other; what lies deeper gives nothing.
MAX_TEMPLATE_DEPTH = 40
# Each level takes about eight of the interpreter's frames.
MAX_NODE_DEPTH = 64
# Stands for an argument nobody gave: MediaWiki prints `{{{name}}}`, which is true for `#if`.
UNDEFINED = "\ue0f2"
_NEEDS_NEW_LINE = re.compile(r"\{\||[:;#*]")
_NO_NAME = re.compile(r"[\[\]{}\ue000]")


class Frame:
    """Whose arguments `{{{..}}}` means: a page's (none) or a template call's."""

    __slots__ = ("arguments", "depth", "parent", "title")

    def __init__(
        self, arguments: Arguments | None = None, parent: Frame | None = None, title: str = ""
    ) -> None:
        self.arguments = arguments
        self.parent = parent
        self.title = title
        self.depth: int = 0 if parent is None else parent.depth + 1

    def is_inside(self, title: str) -> bool:
        """Whether this frame is that template's or one called by it."""
        frame: Frame | None = self
        while frame is not None:
            if frame.title == title:
                return True
            frame = frame.parent
        return False


class Expansion:
    """The state of one page.

    Args:
        names: what each template name means.
        title: the page's title.
        max_expansions: calls that may be expanded.
        max_output_characters: characters that all calls together may give.
    """

    def __init__(
        self, names: NameTable, title: str, *, max_expansions: int, max_output_characters: int
    ) -> None:
        self.names = names
        self.site: Site = names.site
        self.title = title
        self.root = Frame()
        self._max_expansions = max_expansions
        self._max_output_characters = max_output_characters
        self._num_expansions = 0
        self._num_characters = 0
        self._depth = 0

    def charge(self, num_expansions: int, num_characters: int = 0) -> None:
        """Count work.

        Raises:
            PageError: a budget is spent.
        """
        self._num_expansions += num_expansions
        self._num_characters += num_characters
        if self._num_expansions > self._max_expansions:
            raise PageError(
                "page_too_complex", f"more than {self._max_expansions} template expansions"
            )
        if self._num_characters > self._max_output_characters:
            raise PageError(
                "page_too_complex",
                f"its templates give more than {self._max_output_characters} characters",
            )

    def expand_nodes(self, nodes: Nodes, frame: Frame) -> str:
        """The text of a tree."""
        if len(nodes) == 1:
            only = nodes[0]
            return self.expand_node(only, frame) if isinstance(only, Node) else only
        return "".join(
            [self.expand_node(n, frame) if type(n) is Node else n for n in nodes]  # type: ignore[misc]
        )

    def expand_in_root(self, node: Node) -> str:
        """The text of a node of the page itself."""
        return self.expand_node(node, self.root)

    def expand_node(self, node: Node, frame: Frame) -> str:
        """The text of a call or argument.

        Raises:
            PageError: a budget is spent.
        """
        self.charge(1 + (len(node.parts) >> 6))
        if self._depth >= MAX_NODE_DEPTH:
            return ""
        self._depth += 1
        try:
            read = self._argument if node.is_argument else self._call
            text = read(node, frame)
        finally:
            self._depth -= 1
        self.charge(0, len(text))
        return text

    def _argument(self, node: Node, frame: Frame) -> str:
        if frame.arguments is not None:
            value = frame.arguments.get(self.expand_nodes(node.parts[0], frame).strip())
            if value is not None:
                return value
        return self.expand_nodes(node.parts[1], frame) if len(node.parts) > 1 else UNDEFINED

    def _call(self, node: Node, frame: Frame) -> str:
        head = node.parts[0]
        name = ""
        for index, item in enumerate(head):
            name += self.expand_node(item, frame) if isinstance(item, Node) else item
            # A function's first argument is behind the colon, and is not to be expanded yet.
            if ":" in name:
                target = self.names.resolve(name)
                if isinstance(target, FunctionTarget):
                    first: Nodes = [name[target.offset :], *head[index + 1 :]]
                    call = FunctionCall(self, frame, [first, *node.parts[1:]])
                    return _on_new_line(target.function(call), node)
        target = self.names.resolve(name)
        if isinstance(target, InlineTarget):
            arguments = Arguments(self, frame, node.parts[1:])
            return target.function(Call(target.name, arguments, self))
        if isinstance(target, FunctionTarget):
            return _on_new_line(target.function(FunctionCall(self, frame, node.parts[1:])), node)
        if isinstance(target, LibraryTarget):
            return _on_new_line(self._template(target.title, node, frame), node)
        if target is None and _NO_NAME.search(name):
            return "|".join([name, *(self.expand_nodes(part, frame) for part in node.parts[1:])])
        return ""

    def _template(self, title: str, node: Node, frame: Frame) -> str:
        if frame.depth >= MAX_TEMPLATE_DEPTH or frame.is_inside(title):
            return ""
        arguments = Arguments(self, frame, node.parts[1:])
        return self.expand_nodes(self.names.library.body(title), Frame(arguments, frame, title))


def _on_new_line(text: str, node: Node) -> str:
    """MediaWiki's rule: a list or table that a template gives starts its own line."""
    return "\n" + text if not node.at_line_start and _NEEDS_NEW_LINE.match(text) else text
