"""Parquet tables of the corpus: their schemas, and files whose bytes depend on their rows alone.

Row groups have a fixed number of rows, the compression level is the writer's own, and no dictionary
is built for text, so the same rows give the same bytes on any machine (for one version of pyarrow,
part of each stage's key). zstd level 3 brings wikitext to about a third at 120 MB/s a core,
level 1 to a little more at 340 MB/s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 1024
ZSTD_LEVEL = 3

PAGES_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("revid", pa.int64()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("offset", pa.int64()),
    ]
)
TEMPLATES_SCHEMA = pa.schema(
    [
        ("title", pa.string()),
        ("text", pa.string()),
        ("redirect", pa.string()),
        ("offset", pa.int64()),
    ]
)
ARTICLES_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("revid", pa.int64()),
        ("url", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
    ]
)
SECTIONS_FIELD = pa.field(
    "sections",
    pa.list_(pa.struct([("level", pa.int8()), ("title", pa.string()), ("start", pa.int32())])),
)
DOCUMENTS_SCHEMA = ARTICLES_SCHEMA.append(pa.field("num_sentences", pa.int32()))


def write_rows(path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Write `rows` (one dict a row, keys as in `schema`) to one Parquet file."""
    write_table(path, pa.Table.from_pylist(list(rows), schema=schema))


def write_table(path: Path, table: pa.Table, *, compression_level: int = ZSTD_LEVEL) -> None:
    """Write a table to one Parquet file, deterministically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        # One chunk: how the table was put together must not show in the pages written.
        table.combine_chunks(),
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=compression_level,
        use_dictionary=False,
        write_statistics=False,
    )


def iter_batches(
    paths: Iterable[Path], columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Give the rows of Parquet files, one after another, a row group in memory at a time."""
    for path in paths:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=ROW_GROUP_ROWS, columns=columns)


def iter_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Give the rows of one Parquet file as dicts, a row group in memory at a time."""
    for batch in iter_batches([path], columns):
        yield from batch.to_pylist()


def iter_tuples(path: Path, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Give the rows of one Parquet file as tuples of `columns`; a third of the cost of dicts."""
    for batch in iter_batches([path], columns):
        yield from zip(*(batch[name].to_pylist() for name in columns), strict=True)


def num_rows(paths: Iterable[Path]) -> int:
    """Rows of several Parquet files, from their footers."""
    return sum(pq.read_metadata(path).num_rows for path in paths)
