"""The dump's templates on disk, for all workers to look up by title.

A large wiki has a million templates, 2 GB of text, of which one page needs a few dozen. They are
written once, uncompressed, beside the shards under work; each worker maps the files into memory, so
that the system holds one copy for all of them and only of what is in use. `texts.arrow` holds the
texts as they come, `titles.arrow` the titles, sorted, with the target of a redirect or the row of
the text. Looking up is a binary search: about 10 microseconds, and the names that pages use are
remembered by the cleaner. Memory: writing needs the titles (about 100 bytes each); reading none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from headrace.corpus.tables import TEMPLATES_SCHEMA, iter_batches
from headrace.corpus.wikitext.templates import TemplateLibrary, normalise_title

TEXTS_NAME = "texts.arrow"
TITLES_NAME = "titles.arrow"

_TEXTS_SCHEMA = pa.schema([("text", pa.large_string())])
_TITLES_SCHEMA = pa.schema(
    [("title", pa.large_string()), ("redirect", pa.large_string()), ("row", pa.int64())]
)


def write_template_store(shards: Sequence[Path], directory: Path) -> None:
    """Write the templates of `shards` (`templates-*.parquet`) to two files in `directory`.

    Of two templates whose titles mean the same the later one counts, as in `TemplateLibrary`.
    """
    found: dict[str, tuple[str, int]] = {}
    row = 0
    with pa.ipc.new_file(directory / TEXTS_NAME, _TEXTS_SCHEMA) as texts:
        for batch in iter_batches(shards, TEMPLATES_SCHEMA.names[:3]):
            texts.write_batch(
                pa.record_batch([batch["text"].cast(pa.large_string())], schema=_TEXTS_SCHEMA)
            )
            pairs = zip(batch["title"].to_pylist(), batch["redirect"].to_pylist(), strict=True)
            for title, redirect in pairs:
                found[normalise_title(title)] = (normalise_title(redirect or ""), row)
                row += 1
    titles = sorted(found)
    redirects, rows = zip(*(found[title] for title in titles), strict=True) if titles else ((), ())
    table = pa.table([titles, redirects, rows], schema=_TITLES_SCHEMA)
    with pa.ipc.new_file(directory / TITLES_NAME, _TITLES_SCHEMA) as index:
        index.write_table(table)


class TemplateStore:
    """The files of `write_template_store`, mapped into memory."""

    def __init__(self, directory: Path) -> None:
        self._texts = _open(directory / TEXTS_NAME)["text"]
        titles = _open(directory / TITLES_NAME)
        self._titles = _Titles(titles["title"])
        self._redirects = titles["redirect"]
        self._rows = titles["row"]

    def __len__(self) -> int:
        return len(self._titles)

    def find(self, title: str) -> tuple[str, int] | None:
        """The target of a redirect ("" for none) and the row of the text; None where it is not."""
        position = bisect_left(self._titles, title)
        if position == len(self._titles) or self._titles[position] != title:
            return None
        return self._redirects[position].as_py(), self._rows[position].as_py()

    def text(self, row: int) -> str:
        """The wikitext of one template."""
        text: str = self._texts[row].as_py()
        return text


def _open(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


class _Titles(Sequence[str]):
    """A column of text as the sequence that `bisect` takes."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, position: int) -> str:  # type: ignore[override]
        title: str = self._column[position].as_py()
        return title


class StoredTemplates(TemplateLibrary):
    """A library that looks its templates up on disk when they are asked for."""

    def __init__(self, store: TemplateStore) -> None:
        super().__init__()
        self._templates = _StoredTexts(store)
        self._redirects = _StoredRedirects(store)


class _Lookup(dict[str, str]):
    """Takes the place of a library's dict without holding anything itself."""

    def __init__(self, store: TemplateStore) -> None:
        super().__init__()
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[str]:
        raise TypeError("templates on disk are looked up, not walked through")

    def __contains__(self, title: object) -> bool:
        return isinstance(title, str) and self._has(self._store.find(title))

    def __missing__(self, title: str) -> str:
        found = self._store.find(title)
        if found is None or not self._has(found):
            raise KeyError(title)
        return self._value(found)

    def _has(self, found: tuple[str, int] | None) -> bool:
        raise NotImplementedError

    def _value(self, found: tuple[str, int]) -> str:
        raise NotImplementedError


class _StoredTexts(_Lookup):
    def _has(self, found: tuple[str, int] | None) -> bool:
        return found is not None and not found[0]

    def _value(self, found: tuple[str, int]) -> str:
        return self._store.text(found[1])


class _StoredRedirects(_Lookup):
    def _has(self, found: tuple[str, int] | None) -> bool:
        return found is not None and bool(found[0])

    def _value(self, found: tuple[str, int]) -> str:
        return found[0]
