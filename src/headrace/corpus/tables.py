"""Parquet tables of the corpus: their schemas, and files whose bytes depend on their rows alone.

Row groups have a fixed number of rows, the compression level is fixed, and no dictionary is built
for text, so the same rows give the same bytes on any machine (for one version of pyarrow, which is
part of each stage's key). zstd level 3 brings wikitext to about a third at some 200 MB/s a core.
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
ARTICLES_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("revid", pa.int64()),
        ("url", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
    ]
)
DOCUMENTS_SCHEMA = ARTICLES_SCHEMA.append(pa.field("num_sentences", pa.int32()))


def write_rows(path: Path, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    """Write `rows` (one dict a row, keys as in `schema`) to one Parquet file."""
    write_table(path, pa.Table.from_pylist(list(rows), schema=schema))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table to one Parquet file, deterministically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        # One chunk: how the table was put together must not show in the pages written.
        table.combine_chunks(),
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=False,
        write_statistics=False,
    )


def iter_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Give the rows of one Parquet file as dicts, a row group in memory at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROW_GROUP_ROWS, columns=columns):
            yield from batch.to_pylist()


def num_rows(paths: Iterable[Path]) -> int:
    """Rows of several Parquet files, from their footers."""
    return sum(pq.read_metadata(path).num_rows for path in paths)
