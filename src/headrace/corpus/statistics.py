"""Statistics of a corpus: documents, characters, bytes, languages, lengths, what was left out.

A shard's function counts the texts it writes (`CorpusStatistics`) and merges the counts into its
own, so that they are summed over shards by the store, stand in the manifest, and belong to the
digest: whole numbers only, which no order and no number of workers changes. After all shards,
`write_statistics` lays `statistics.json`, the dataset card `README.md` and, where somebody looks
on, a picture beside the data, outside the digest.

What was dropped on purpose is only counted; `DropExamples` keeps a few of each reason, those that
come first in the input, and travels in `ShardOutcome.carry`:

    statistics, examples = CorpusStatistics(), DropExamples()
    ...
    examples.add("empty_article", title=page.title, id=page.id, offset=page.offset)
    statistics.add_column(table["text"], language)
    return ShardOutcome(
        rows=len(table),
        counts={"records_in": n, "records_out": len(table)} | statistics.counts(),
        dropped=dropped,
        carry=examples.to_carry(),          # or {"my_key": ..., **examples.to_carry()}
    )
    ...
    records = out.run_shards(jobs)
    write_statistics(out, records, wikipedia_card(site, "Articles as plain text."))

Cost: `add_column` 1-2 GB/s a core; `add` about 2 microseconds a text and 1 GB/s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.artifacts import Build, ShardRecord
from headrace.artifacts.files import json_bytes
from headrace.corpus.dataset_card import CARD_NAME, DatasetCard, render_card, wikipedia_card
from headrace.counts import (
    LANGUAGE,
    LENGTH,
    NUM_CHARACTERS,
    NUM_TEXT_BYTES,
    TextCounts,
    read_text_counts,
)
from headrace.plots import draw_histogram

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "CorpusStatistics",
    "DatasetCard",
    "DropExamples",
    "wikipedia_card",
    "write_statistics",
]

STATISTICS_NAME = "statistics.json"
PLOT_NAME = "lengths.png"
DROP_EXAMPLES = "drop_examples"
OTHER_LANGUAGES = "other"
MAX_LANGUAGES = 500
MAX_LANGUAGE_LETTERS = 40
MAX_EXAMPLES = 5
MAX_TITLE_LETTERS = 120


class CorpusStatistics:
    """Counts texts: how many, how long, in which languages."""

    def __init__(self) -> None:
        self._num_characters = self._num_bytes = 0
        self._languages: Counter[str] = Counter()
        self._lengths: Counter[int] = Counter()

    def add(self, text: str, language: str = "") -> None:
        """Count one text; "" for a language that nobody told."""
        num_bytes = len(text.encode("utf-8", errors="surrogatepass"))
        self._num_characters += len(text)
        self._num_bytes += num_bytes
        self._lengths[length_bound(num_bytes)] += 1
        self._add_languages({language: 1})

    def add_column(
        self, texts: pa.ChunkedArray | pa.Array, languages: pa.ChunkedArray | pa.Array | str = ""
    ) -> None:
        """Count a column of texts; nulls are no texts.

        Args:
            texts: of any string type, shape [n].
            languages: the code of all of them, or a column of codes, shape [n]; null or "" for one
                that nobody told.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        from headrace.corpus.columns import integer_values

        texts = texts.cast(pa.large_string())  # so lengths are int64
        lengths = integer_values(pc.binary_length(texts).drop_null())
        self._num_characters += int(pc.sum(pc.utf8_length(texts)).as_py() or 0)
        self._num_bytes += int(lengths.sum())
        bounds, numbers = np.unique(length_exponents(lengths), return_counts=True)
        for exponent, number in zip(bounds.tolist(), numbers.tolist(), strict=True):
            self._lengths[_bound(exponent)] += number
        if isinstance(languages, str):
            self._add_languages({languages: len(lengths)})
            return
        known = languages.cast(pa.large_string()).filter(pc.is_valid(texts)).drop_null()
        pairs = pc.value_counts(known).to_pylist()
        self._add_languages({pair["values"]: pair["counts"] for pair in pairs})

    def _add_languages(self, numbers: Mapping[str, int]) -> None:
        for code, number in numbers.items():
            is_code = len(code) <= MAX_LANGUAGE_LETTERS and code.isprintable()
            has_room = code in self._languages or len(self._languages) < MAX_LANGUAGES
            if code and number:
                self._languages[code if is_code and has_room else OTHER_LANGUAGES] += number

    def counts(self) -> dict[str, int]:
        """The counts, to be merged into those of a shard.

        Returns:
            `num_characters` (Unicode code points), `num_text_bytes` (UTF-8), `language.<code>`,
            and `length.<bound>` (see `length_bound`); of no texts `length.0` = 0 alone is there, so
            that it shows that they were counted.
        """
        lengths = self._lengths or {0: 0}
        return {
            NUM_CHARACTERS: self._num_characters,
            NUM_TEXT_BYTES: self._num_bytes,
            **{f"{LANGUAGE}{code}": num for code, num in sorted(self._languages.items())},
            **{f"{LENGTH}{bound}": num for bound, num in sorted(lengths.items())},
        }


def length_bound(num_bytes: int) -> int:
    """The smallest power of two that is not below `num_bytes`; 0 for 0."""
    return 1 << (num_bytes - 1).bit_length() if num_bytes else 0


def _bound(exponent: int) -> int:
    return 1 << exponent if exponent >= 0 else 0


def length_exponents(lengths: Any) -> Any:
    """The exponents of the bounds of lengths (int64, shape [n]) as int64, shape [n]; -1 for 0."""
    import numpy as np

    # Of a whole number below 2^53, frexp gives the exact number of bits.
    _, exponents = np.frexp((lengths - 1).astype(np.float64))
    return np.where(lengths > 0, exponents, -1).astype(np.int64)


class DropExamples:
    """A few of the records that were dropped on purpose, the first of each reason."""

    def __init__(self, max_examples: int = MAX_EXAMPLES) -> None:
        self._max_examples = max_examples
        self._found: dict[str, list[dict[str, Any]]] = {}

    def add(self, reason: str, *, title: str = "", id: int | str = "", offset: int = -1) -> None:
        """Keep a record as an example if there are too few of its reason.

        Args:
            reason: as it is counted.
            title: what a reader knows it by: title, path, or how it begins.
            id: its id, if it has one.
            offset: where it is in its source; -1 where that is not known.
        """
        found = self._found.setdefault(reason, [])
        if len(found) < self._max_examples:
            example: dict[str, Any] = {"title": title[:MAX_TITLE_LETTERS]}
            example |= {"id": id} if id != "" else {}
            example |= {"offset": offset} if offset >= 0 else {}
            found.append(example)

    def to_carry(self) -> dict[str, Any]:
        """What goes into `ShardOutcome.carry`; {} where there are none."""
        return {DROP_EXAMPLES: self._found} if self._found else {}


def merge_examples(records: Iterable[ShardRecord]) -> dict[str, list[dict[str, Any]]]:
    """The first examples of each reason over shards in their order."""
    merged: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        carry = record.carry if isinstance(record.carry, dict) else {}
        for reason, examples in carry.get(DROP_EXAMPLES, {}).items():
            found = merged.setdefault(reason, [])
            found += examples[: MAX_EXAMPLES - len(found)]
    return dict(sorted(merged.items()))


def write_statistics(
    out: Build,
    records: Sequence[ShardRecord],
    card: DatasetCard,
    *,
    drops: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> None:
    """Lay statistics, dataset card and picture of a corpus beside its data.

    Args:
        out: receives the extras `statistics.json`, `README.md` and, where somebody looks on (the
            drawing takes 0.7 s), `lengths.png`.
        records: all shards, in order; their counts hold those of `CorpusStatistics`.
        card: what is not counted.
        drops: examples of dropped records by reason; None takes those that the shards carry.
    """
    counts = _summed(record.counts for record in records)
    dropped = _summed(record.dropped for record in records)
    quarantined = _summed(record.quarantined for record in records)
    found = read_text_counts(counts) or TextCounts(num_documents=0, num_characters=0, num_bytes=0)
    examples = merge_examples(records) if drops is None else drops
    statistics = {
        "documents": found.num_documents,
        "characters": found.num_characters,
        "bytes": found.num_bytes,
        "languages": dict(found.languages),
        "length_bytes": [list(pair) for pair in found.lengths if pair[1]],
        "dropped": dropped,
        "quarantined": quarantined,
        DROP_EXAMPLES: {reason: [dict(item) for item in some] for reason, some in examples.items()},
    }
    out.write_extra(STATISTICS_NAME, json_bytes(statistics))
    file_names = [entry.name for record in records for entry in record.files]
    text = render_card(card, found, file_names, {**dropped, **quarantined})
    out.write_extra(CARD_NAME, text.encode())
    if out.runtime.on_plot is not None and found.num_documents:
        bins = [pair for pair in found.lengths if pair[1]]
        out.write_extra(PLOT_NAME, draw_histogram(bins, what="bytes of text", of="documents"))


def _summed(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))
