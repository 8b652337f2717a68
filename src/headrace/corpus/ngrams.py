"""Which n-grams of some reference articles a text shares: exact but for 64-bit hashes.

Texts become sequences of units (words, or characters for languages without spaces) in lower case,
punctuation dropped, so that tokenised and plain text give the same. Each unit of the reference
gets an id; 0 is whatever the reference does not hold, and what breaks an n-gram there (`<unk>`).
An n-gram is hashed as the sum of its ids times fixed odd numbers modulo 2^64, all windows of many
texts at once; windows with a 0 cannot match. A table of bits turns away nearly all others before
the binary search in the sorted hashes.

Cost: 12-20 bytes an n-gram of the reference; some 20 MB of English text a CPU-second.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

Unit = Literal["words", "characters"]
Ids = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
MAX_NGRAM = 256
_SEED = 0x5EED
_BATCH_LETTERS = 1 << 20
_WORD = re.compile(r"[^\W_]+")
# Placeholders of the tokenised form; what stood there is not known.
_BREAK = re.compile(r"<(?:unk|formula)>")
# Languages of the corpus written without spaces between words, as Wikimedia codes.
_WITHOUT_SPACES = frozenset(
    ("ja", "zh", "wuu", "yue", "gan", "hak", "cdo", "nan", "lzh", "th", "lo", "km", "my", "bo",
     "dz", "shn", "mnw")
)  # fmt: skip


def unit_of_language(code: str) -> Unit:
    """What n-grams of a language are made of."""
    parts = code.lower().replace("_", "-").split("-")
    # "zh-classical", "zh-yue"; but "zh-min-nan" is written in Latin letters.
    return "characters" if parts[0] in _WITHOUT_SPACES and "min" not in parts else "words"


def split_units(text: str, unit: Unit) -> list[str]:
    """The words or characters of a text that are compared, in order."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    words = _WORD.findall(text.lower())
    return words if unit == "words" else list("".join(words))


@dataclass(frozen=True)
class Overlap:
    """What a text shares with the reference.

    Attributes:
        num_ngrams: n-grams of the text, repeated ones each time.
        num_shared: of these, those that the reference holds.
        by_reference: different n-grams shared with each reference article, by its index.
    """

    num_ngrams: int
    num_shared: int
    by_reference: Mapping[int, int]

    @property
    def share(self) -> float:
        """The share of the text's n-grams that the reference holds."""
        return self.num_shared / self.num_ngrams if self.num_ngrams else 0.0


class NgramIndex:
    """The n-grams of reference articles.

    Attributes:
        ngram: units of an n-gram.
        unit: what they are.
        num_ngrams: different n-grams of each reference article, shape [num_references].
    """

    def __init__(
        self,
        *,
        ngram: int,
        unit: Unit,
        vocabulary: Sequence[str],
        hashes: Hashes,
        owners: npt.NDArray[np.int32],
        num_ngrams: Ids,
    ) -> None:
        self.ngram = ngram
        self.unit: Unit = unit
        self.num_ngrams = num_ngrams
        self._vocabulary = vocabulary
        self._ids = {word: number for number, word in enumerate(vocabulary, 1)}
        self._hashes = hashes
        self._owners = owners
        self._multipliers = _multipliers(ngram)
        bits = min(26, max(16, int(len(hashes) * 8).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._present = np.zeros(1 << bits, dtype=np.bool_)
        self._present[(hashes >> self._shift).astype(np.int64)] = True

    @classmethod
    def build(cls, texts: Iterable[str], *, ngram: int, unit: Unit) -> NgramIndex:
        """The index of reference texts, given as they lie in the reference."""
        ids: dict[str, int] = {}
        multipliers = _multipliers(ngram)
        hashes: list[Hashes] = []
        for text in texts:
            numbers: list[int] = []
            for part in _BREAK.split(text):
                numbers += [ids.setdefault(one, len(ids) + 1) for one in split_units(part, unit)]
                numbers.append(0)
            found, is_whole = _hash_windows(np.array(numbers, dtype=np.int64), multipliers)
            hashes.append(np.unique(found[is_whole]))
        owners = np.repeat(np.arange(len(hashes), dtype=np.int32), [len(one) for one in hashes])
        together = np.concatenate([*hashes, np.empty(0, dtype=np.uint64)])
        order = np.argsort(together, kind="stable")
        return cls(
            ngram=ngram,
            unit=unit,
            vocabulary=list(ids),
            hashes=together[order],
            owners=owners[order],
            num_ngrams=np.array([len(one) for one in hashes], dtype=np.int64),
        )

    def save(self, path: Path) -> None:
        """Write the index, so that workers can load it."""
        words = np.frombuffer("\n".join(self._vocabulary).encode(), dtype=np.uint8)
        with path.open("wb") as file:
            np.savez(
                file,
                ngram=np.int64(self.ngram),
                is_words=np.bool_(self.unit == "words"),
                vocabulary=words,
                hashes=self._hashes,
                owners=self._owners,
                num_ngrams=self.num_ngrams,
            )

    @classmethod
    def load(cls, path: Path) -> NgramIndex:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            text = file["vocabulary"].tobytes().decode()
            return cls(
                ngram=int(file["ngram"]),
                unit="words" if file["is_words"] else "characters",
                vocabulary=text.split("\n") if text else [],
                hashes=file["hashes"],
                owners=file["owners"],
                num_ngrams=file["num_ngrams"],
            )

    def overlaps(self, texts: Iterable[str]) -> Iterator[Overlap]:
        """What each text shares with the reference, in order; about 1 MiB of text at a time."""
        parts: list[Ids] = []
        num_letters = 0
        for text in texts:
            parts.append(self._numbered(text))
            num_letters += len(text)
            if num_letters >= _BATCH_LETTERS:
                yield from self._overlaps(parts)
                parts, num_letters = [], 0
        yield from self._overlaps(parts)

    def _numbered(self, text: str) -> Ids:
        """The ids of a text's units and a 0 after them, shape [num_units + 1]."""
        units = split_units(text, self.unit)
        found = map(self._ids.get, units, itertools.repeat(0))
        numbers = np.fromiter(found, dtype=np.int64, count=len(units))
        return np.append(numbers, 0)

    def _overlaps(self, parts: Sequence[Ids]) -> Iterator[Overlap]:
        if not parts:
            return
        hashes, is_whole = _hash_windows(np.concatenate(parts), self._multipliers)
        starts = np.flatnonzero(is_whole)
        starts = starts[self._present[(hashes[starts] >> self._shift).astype(np.int64)]]
        starts = starts[self._is_known(hashes[starts])]
        ends = np.cumsum([len(part) for part in parts])
        borders = np.searchsorted(starts, ends)
        first = 0
        for part, last in zip(parts, borders.tolist(), strict=True):
            yield Overlap(
                num_ngrams=max(0, len(part) - self.ngram),
                num_shared=last - first,
                by_reference=self._count_owners(hashes[starts[first:last]]) if last > first else {},
            )
            first = last

    def _is_known(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        if not len(self._hashes):
            return np.zeros(len(hashes), dtype=np.bool_)
        at = np.searchsorted(self._hashes, hashes)
        known: npt.NDArray[np.bool_] = self._hashes[np.minimum(at, len(self._hashes) - 1)] == hashes
        return known

    def _count_owners(self, hashes: Hashes) -> dict[int, int]:
        """Different n-grams by reference article; one that several hold counts for each."""
        unique = np.unique(hashes)
        left = np.searchsorted(self._hashes, unique, side="left")
        right = np.searchsorted(self._hashes, unique, side="right")
        owners: Counter[int] = Counter()
        for start, end in zip(left.tolist(), right.tolist(), strict=True):
            owners.update(self._owners[start:end].tolist())
        return dict(sorted(owners.items()))


def _multipliers(ngram: int) -> Hashes:
    """Odd 64-bit numbers, the same on any machine (splitmix64, public domain)."""
    numbers, state, mask = [], _SEED, (1 << 64) - 1
    for _ in range(ngram):
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        numbers.append((mixed ^ (mixed >> 31)) | 1)
    return np.array(numbers, dtype=np.uint64)


def _hash_windows(ids: Ids, multipliers: Hashes) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """Hashes of all windows of ids, and whether a window is free of zeros.

    Args:
        ids: shape [n], int64.
        multipliers: shape [ngram], uint64.

    Returns:
        Two arrays of shape [max(0, n - ngram + 1)].
    """
    num = max(0, len(ids) - len(multipliers) + 1)
    values = ids.astype(np.uint64)
    hashes = np.zeros(num, dtype=np.uint64)
    for offset, multiplier in enumerate(multipliers):
        hashes += values[offset : offset + num] * multiplier
    zeros = np.concatenate([[0], np.cumsum(ids == 0)])
    is_whole = zeros[len(multipliers) : len(multipliers) + num] == zeros[:num]
    return hashes, is_whole
