"""Braces of wikitext: which spans are templates, and the tree of a template's insides.

MediaWiki's rules: a run of n "{" meets a run of m "}"; three of each make an argument
`{{{name|default}}}`, two a template, and what is left of a run goes on. "[[" .. "]]" shields "|"
and "=". One pass with a stack that lies in a list, so neither depth nor size of the input is
bounded by the interpreter's recursion. An opening without an end is text, and so is its inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

_RUNS = re.compile(r"\{\{+|\}\}+")
_TOKENS = re.compile(r"\{\{+|\}\}+|\[\[|\]\]|\|")


class Shielded(str):
    """Text between "[[" and "]]": an "=" in it separates no name from a value."""

    __slots__ = ()


class Node:
    """A template call or an argument reference.

    Attributes:
        is_argument: `{{{..}}}` rather than `{{..}}`.
        parts: what stands between the top-level "|"; the first is the name.
        at_line_start: nothing stands before it in its line.
    """

    __slots__ = ("at_line_start", "is_argument", "parts")

    def __init__(self, is_argument: bool, parts: list[Nodes], at_line_start: bool) -> None:
        self.is_argument = is_argument
        self.parts = parts
        self.at_line_start = at_line_start


Nodes: TypeAlias = list["str | Node"]


class _Open:
    """An opening whose end was not met yet."""

    __slots__ = ("at_line_start", "num_braces", "parts")

    def __init__(self, num_braces: int, at_line_start: bool = False) -> None:
        self.num_braces = num_braces  # 0: "[["
        self.parts: list[Nodes] = [[]]
        self.at_line_start = at_line_start


def top_level_spans(text: str) -> list[tuple[int, int]]:
    """Where the outermost templates and arguments of a page lie, as (start, end).

    Args:
        text: wikitext.
    """
    if "{{{" in text:
        return _spans_of_runs(text)
    # `str.split` is several times as fast as any regular expression.
    pieces = text.split("{{")
    position = len(pieces[0])
    spans: list[tuple[int, int]] = []
    opened: list[int] = []
    for piece in pieces[1:]:
        opened.append(position)
        position += 2
        end = piece.find("}}")
        while end >= 0 and opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, position + end + 2))
            end = piece.find("}}", end + 2)
        position += len(piece)
    return spans


def _spans_of_runs(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    opened: list[list[int]] = []  # start, number of braces
    for token in _RUNS.finditer(text):
        start, end = token.span()
        if text[start] == "{":
            opened.append([start, end - start])
            continue
        while end - start >= 2 and opened:
            top = opened[-1]
            width = 3 if top[1] >= 3 and end - start >= 3 else 2
            top[1] -= width
            start += width
            inner = top[0] + top[1]
            while spans and spans[-1][0] > inner:
                spans.pop()
            spans.append((inner, start))
            if top[1] < 2:
                opened.pop()
    return spans


class Parser:
    """Turns text into a tree.

    Args:
        max_depth: nodes nested deeper are handed to `resolve` as soon as they end.
        resolve: gives the text of such a node; None: they stay nodes.
    """

    def __init__(self, max_depth: int = 0, resolve: Callable[[Node], str] | None = None) -> None:
        self._max_depth = max_depth
        self._resolve = resolve

    def parse(self, text: str) -> Nodes:
        """The tree of a text: strings and nodes in their order."""
        root = _Open(0)
        stack = [root]
        current = root.parts[-1]
        done = 0
        for token in _TOKENS.finditer(text):
            start, end = token.span()
            if start > done:
                current.append(text[done:start])
            done = end
            kind = text[start]
            if kind == "|":
                if stack[-1].num_braces:
                    stack[-1].parts.append([])
                else:
                    current.append("|")
            elif kind == "{":
                stack.append(_Open(end - start, start == 0 or text[start - 1] == "\n"))
            elif kind == "[":
                stack.append(_Open(0))
            elif kind == "]":
                _close_link(stack)
            else:
                self._close_braces(stack, end - start)
            current = stack[-1].parts[-1]
        if done < len(text):
            current.append(text[done:])
        _merge_unclosed(stack, 0)
        return root.parts[0]

    def _close_braces(self, stack: list[_Open], num_braces: int) -> None:
        while num_braces >= 2:
            index = len(stack) - 1
            while index and not stack[index].num_braces:
                index -= 1
            if not index:
                break
            _merge_unclosed(stack, index)
            opening = stack.pop()
            width = 3 if opening.num_braces >= 3 and num_braces >= 3 else 2
            num_braces -= width
            left = opening.num_braces - width
            node: str | Node = Node(width == 3, opening.parts, opening.at_line_start and not left)
            if self._resolve is not None and len(stack) > self._max_depth:
                node = self._resolve(node)  # type: ignore[arg-type]
            if left >= 2:
                stack.append(_Open(left, opening.at_line_start))
            elif left:
                stack[-1].parts[-1].append("{")
            stack[-1].parts[-1].append(node)
        if num_braces:
            stack[-1].parts[-1].append("}" * num_braces)


def _close_link(stack: list[_Open]) -> None:
    if len(stack) == 1 or stack[-1].num_braces:
        stack[-1].parts[-1].append("]]")
        return
    link = stack.pop()
    target = stack[-1].parts[-1]
    target.append(Shielded("[["))
    target.extend(item if type(item) is Node else Shielded(item) for item in link.parts[0])
    target.append(Shielded("]]"))


def _merge_unclosed(stack: list[_Open], index: int) -> None:
    """Make what was opened above stack[index] part of it, as text; linear in what is merged."""
    target = stack[index].parts[-1]
    for opening in stack[index + 1 :]:
        # Braces without an end are no text a reader should get; a link's are the cleaner's.
        target.append("" if opening.num_braces else "[[")
        for number, part in enumerate(opening.parts):
            if number:
                target.append("|")
            target.extend(part)
    del stack[index + 1 :]


def split_name(nodes: Sequence[str | Node]) -> tuple[Nodes, Nodes] | None:
    """The name and the value of an argument part; None where it has no "="."""
    for index, item in enumerate(nodes):
        if type(item) is str and "=" in item:
            before, _, after = item.partition("=")
            name = [*nodes[:index], before]
            return name, [after, *nodes[index + 1 :]]
    return None
