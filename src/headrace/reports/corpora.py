"""The sections on corpora: how much text, which languages, how long; what was excluded from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headrace.counts import TextCounts, main_languages, read_text_counts
from headrace.reports.charts import histogram
from headrace.reports.contents import Contents, Step, read_lines
from headrace.reports.markup import Child, Html, details, pairs, table, tag
from headrace.reports.stages import share_bars
from headrace.reports.wording import count, data, is_number, plural, size

REMOVED, REFERENCES = "removed.jsonl", "references.jsonl"
MAX_BINS = 40
MAX_REMOVED = 500
NUM_SHOWN = 20
MAX_TITLE = 300


def corpora(contents: Contents) -> Html | None:
    """Documents, characters, bytes, languages and lengths of each corpus of the run."""
    parts = []
    for step in contents.done:
        found = read_text_counts(step.artifact.counts) if step.artifact else None
        if found is not None and found.num_documents:
            parts.append(tag("div", tag("h3", step.name), _facts(found), _drawings(step, found)))
    return tag("div", parts) if parts else None


def _facts(found: TextCounts) -> Html:
    num, characters = found.num_documents, found.num_characters
    mean = found.num_bytes / num
    return pairs(
        [
            ("documents", data(num, count(num))),
            ("characters", data(characters, count(characters))),
            ("text", data(found.num_bytes, size(found.num_bytes))),
            ("a document, mean", data(mean, size(mean))),
        ]
    )


def _drawings(step: Step, found: TextCounts) -> Html:
    drawing = histogram(_bins(found), title=f"{step.name}: lengths", what="bytes", of="documents")
    cards = [tag("figure", tag("figcaption", "Bytes a document"), drawing, class_="card")]
    if found.languages:
        lines = [(code, num, "completed") for code, num in main_languages(found)]
        shown = share_bars(lines, of=found.num_documents)
        cards.append(
            tag("figure", tag("figcaption", "Documents by language"), shown, class_="card")
        )
    return tag("div", cards, class_="charts")


def _bins(found: TextCounts) -> list[tuple[float, float]]:
    """The histogram's bins, with empty ones between those that hold something."""
    present = {bound: num for bound, num in found.lengths if num}
    highest = max(present)
    bound = min(present)
    while bound < highest and len(present) < MAX_BINS:
        bound = max(1, 2 * bound)
        if bound < highest:
            present.setdefault(bound, 0)
    return [(float(bound), float(present[bound])) for bound in sorted(present)[:MAX_BINS]]


def exclusion(contents: Contents) -> Html | None:
    """What was taken out of a corpus because it belongs to a held-out set."""
    parts = [tag("div", _exclusion_of(step), class_="card") for step in contents.holding(REMOVED)]
    return tag("div", parts) if parts else None


def _exclusion_of(step: Step) -> Iterator[Child]:
    assert step.artifact is not None
    counts = step.artifact.counts
    num_references = counts.get("num_references", 0)
    yield tag("h3", step.name)
    yield tag(
        "p", data(counts.get("num_references_found", 0)), " of ", data(num_references),
        " held-out articles were found; ", data(sum(step.artifact.dropped.values())),
        " articles were removed.",
    )  # fmt: skip
    rows = [_removed_row(item) for item in read_lines(step.artifact.path / REMOVED, MAX_REMOVED)]
    head = ("removed", "id", "because of its", "held-out article", "overlap", "shared n-grams")
    if rows:
        yield table(head, rows[:NUM_SHOWN], right=(1, 4, 5), of="removed articles")
    if len(rows) > NUM_SHOWN:
        more = table(head, rows[NUM_SHOWN:], right=(1, 4, 5), of="further removed articles")
        yield details(plural(len(rows) - NUM_SHOWN, "further article"), more)
    references = read_lines(step.artifact.path / REFERENCES, MAX_REMOVED)
    absent = [item for item in references if item.get("num_removed") == 0]
    if absent:
        titles = [tag("li", _text(item.get("title")), dir="auto") for item in absent]
        title = f"{plural(len(absent), 'held-out article')} not found in the corpus"
        yield details(title, tag("ul", titles))


def _removed_row(item: Mapping[str, Any]) -> list[Child]:
    overlap, shared = item.get("overlap"), item.get("num_ngrams")
    return [
        tag("td", _text(item.get("title")), dir="auto"),
        _text(item.get("id")),
        _text(item.get("reason")),
        tag("td", _text(item.get("reference")), dir="auto"),
        data(overlap, f"{overlap:.1%}") if is_number(overlap) else "",
        data(shared) if is_number(shared) else "",
    ]


def _text(value: object) -> str:
    return "" if value is None else str(value)[:MAX_TITLE]
