"""A manifest's counts for readers: which ones are statistics of a corpus, and tables of them.

Statistics are counts like all others (summed over shards, part of the digest), under names with a
prefix: `language.<code>` documents of a language, `length.<bound>` documents of at most that many
bytes and more than half of it. There may be a hundred of them, so that readers get them as a table
of their own, and the plain counts without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LANGUAGE, LENGTH = "language.", "length."
NUM_CHARACTERS, NUM_TEXT_BYTES = "num_characters", "num_text_bytes"
MAX_LANGUAGES = 12
MAX_BOUND_DIGITS = 18
BAR_LETTERS = 20


@dataclass(frozen=True, kw_only=True)
class TextCounts:
    """What counts tell of a corpus' texts.

    Attributes:
        num_documents: texts that were counted.
        num_characters: Unicode code points in all.
        num_bytes: bytes of UTF-8 in all.
        languages: documents by language code, most first; without those of unknown language.
        lengths: (most bytes, documents of at most that many and more than half of it), rising.
    """

    num_documents: int
    num_characters: int
    num_bytes: int
    languages: Mapping[str, int] = field(default_factory=dict)
    lengths: tuple[tuple[int, int], ...] = ()

    @property
    def num_unknown(self) -> int:
        """Documents whose language nobody told."""
        return max(0, self.num_documents - sum(self.languages.values()))


def is_statistic(name: str) -> bool:
    """Whether a count is one of many that make up a distribution."""
    return name.startswith((LANGUAGE, LENGTH))


def plain_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts without those of distributions."""
    return {name: num for name, num in counts.items() if not is_statistic(name)}


def read_text_counts(counts: Mapping[str, int]) -> TextCounts | None:
    """The statistics among an artifact's counts; None where there are none."""
    lengths = []
    for name, num in counts.items():
        bound = name.removeprefix(LENGTH)
        is_bound = bound.isascii() and bound.isdigit() and len(bound) <= MAX_BOUND_DIGITS
        if name.startswith(LENGTH) and is_bound:
            lengths.append((int(bound), num))
    if not lengths:
        return None
    languages = {
        name.removeprefix(LANGUAGE): num
        for name, num in counts.items()
        if name.startswith(LANGUAGE)
    }
    ordered = dict(sorted(languages.items(), key=lambda item: (-item[1], item[0])))
    return TextCounts(
        num_documents=sum(num for _, num in lengths),
        num_characters=counts.get(NUM_CHARACTERS, 0),
        num_bytes=counts.get(NUM_TEXT_BYTES, 0),
        languages=ordered,
        lengths=tuple(sorted(lengths)),
    )


def main_languages(found: TextCounts) -> list[tuple[str, int]]:
    """The languages with the most documents, and the rest as "others" and "unknown"."""
    items = list(found.languages.items())
    shown, rest = items[:MAX_LANGUAGES], items[MAX_LANGUAGES:]
    if rest:
        shown.append((f"{len(rest)} others", sum(num for _, num in rest)))
    if found.num_unknown and items:
        shown.append(("unknown", found.num_unknown))
    return shown


def summary_rows(counts: Mapping[str, int]) -> list[dict[str, str]]:
    """The statistics of a corpus as rows of a table: totals, languages, lengths.

    Returns:
        Rows with the columns "what", "number", "share" and "bar" (block letters), all texts; []
        where the counts hold no statistics.
    """
    found = read_text_counts(counts)
    if found is None:
        return []
    num = found.num_documents
    totals = {"documents": num, "characters": found.num_characters, "bytes": found.num_bytes}
    rows = [_row(what, value) for what, value in totals.items()]
    if num:
        rows.append(_row("bytes a document, mean", round(found.num_bytes / num)))
    rows += [_row(f"language {code}", part, num) for code, part in main_languages(found)]
    rows += [_row(f"up to {bound:,} bytes", part, num) for bound, part in found.lengths]
    return rows


def _row(what: str, number: int, of: int = 0) -> dict[str, str]:
    share = number / of if of else 0.0
    letters = max(1, round(share * BAR_LETTERS)) if share else 0
    return {
        "what": what,
        "number": f"{number:,}",
        "share": f"{share:.1%}" if of else "",
        "bar": "\N{FULL BLOCK}" * letters,
    }


def describe_texts(found: TextCounts) -> list[tuple[str, str]]:
    """The languages and the lengths of a corpus in a line each, by name."""
    lines = []
    if found.languages:
        parts = [f"{code} {num:,}" for code, num in main_languages(found)]
        lines.append(("languages", ", ".join(parts)))
    present = [(bound, num) for bound, num in found.lengths if num]
    if present:
        half, seen = present[-1][0], 0
        for bound, num in present:
            seen += num
            if 2 * seen >= found.num_documents:
                half = bound
                break
        text = f"half of the documents at most {half:,} bytes, all at most {present[-1][0]:,}"
        lines.append(("lengths", text))
    return lines
