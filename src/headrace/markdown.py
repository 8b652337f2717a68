"""Markdown whose data stays data: text of models, dumps and error messages is hostile."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from headrace.artifacts import Artifact
from headrace.figures import read_figures, read_samples

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:@/$^=])")
INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
MAX_TEXT_CHARACTERS = 4000
WIDTH = 90


def visible(text: str) -> str:
    """The text with control and direction characters replaced, and cut at 4,000 characters."""
    cut = text if len(text) <= MAX_TEXT_CHARACTERS else text[:MAX_TEXT_CHARACTERS] + " ..."
    return INVISIBLE.sub("\ufffd", cut.replace("\r\n", "\n"))


def escaped(text: str) -> str:
    """Text for within a line or a table cell: it shows as it is, and means nothing."""
    line = " ".join(visible(text).split())
    marked = SPECIAL.sub(r"\\\1", line.replace("&", "&amp;"))
    return marked.replace("<", "&lt;").replace(">", "&gt;")


def fenced(text: str) -> str:
    """Text as a block of its own, in a fence longer than any run of backticks in it."""
    shown = visible(text)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}\n"


def wrapped(text: str) -> str:
    """The text with long lines broken; blocks of text do not wrap in a browser."""
    lines = []
    for line in text.splitlines():
        lines += textwrap.wrap(
            line, WIDTH, replace_whitespace=False, drop_whitespace=False, expand_tabs=False
        ) or [""]
    return "\n".join(lines)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain texts."""
    lines = [header, ["---"] * len(header), *[[escaped(cell) for cell in row] for row in rows]]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def describe_figures(artifact: Artifact) -> str:
    """The figures and samples of an artifact as a page; "" where it holds none."""
    parts = []
    figures = read_figures(artifact)
    if figures:
        rows = [[figure.label, figure.value, figure.note] for figure in figures]
        parts.append(table(["figure", "value", "beside"], rows))
    for number, sample in enumerate(read_samples(artifact), 1):
        parts.append(
            f"**{number}. Prompt**\n\n{fenced(wrapped(sample.prompt))}\nsampled\n\n"
            f"{fenced(wrapped(sample.sampled))}\ngreedy\n\n{fenced(wrapped(sample.greedy))}"
        )
    return "\n".join(parts)
