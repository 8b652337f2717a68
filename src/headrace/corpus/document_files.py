"""Parquet files of documents, written a batch at a time in bounded memory.

The same rows give the same bytes, however they were cut into tables.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.corpus.tables import ROW_GROUP_ROWS
from headrace.errors import CorruptInputError

ROW_GROUP_BYTES = 16 << 20
# 340 MB/s of text instead of 120 at level 3, for files a tenth larger.
DOCUMENTS_ZSTD_LEVEL = 1


class DocumentWriter:
    """Writes tables of one schema to a Parquet file whose bytes do not show how they were cut.

    A row group ends after `ROW_GROUP_ROWS` rows, or where its texts reach `ROW_GROUP_BYTES`. As in
    `tables`, texts get no dictionary and the level of compression is fixed. For a `with` block.

    Args:
        path: of the file.
        schema: of all tables; None takes that of the first, without which there is no file.
        text_column: whose texts count for the size of a row group.

    Attributes:
        num_rows: rows added so far.
    """

    def __init__(
        self, path: Path, schema: pa.Schema | None = None, *, text_column: str = "text"
    ) -> None:
        self._path = path
        self._schema = schema
        self._text_column = text_column
        self._tables: list[pa.Table] = []
        self._num_waiting = 0
        self._num_bytes = 0
        self._writer: pq.ParquetWriter | None = None
        self.num_rows = 0

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._schema is not None:
            self._open(self._schema)
            if self._num_waiting:
                self._flush()
        if self._writer is not None:
            self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Add rows; a table without any gives the file its columns."""
        self._schema = self._schema or table.schema
        self.num_rows += len(table)
        start = 0
        for row, size in enumerate(pc.binary_length(table[self._text_column]).to_pylist(), 1):
            self._num_waiting += 1
            self._num_bytes += size or 0
            if self._num_waiting == ROW_GROUP_ROWS or self._num_bytes >= ROW_GROUP_BYTES:
                self._tables.append(table.slice(start, row - start))
                self._flush()
                start = row
        if start < len(table):
            self._tables.append(table.slice(start))

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._path,
                schema,
                compression="zstd",
                compression_level=DOCUMENTS_ZSTD_LEVEL,
                use_dictionary=False,
                write_statistics=False,
            )
        return self._writer

    def _flush(self) -> None:
        # One chunk: how the rows came in must not show in the pages written.
        group = pa.concat_tables(self._tables).combine_chunks()
        self._open(group.schema).write_table(group, row_group_size=self._num_waiting)
        self._tables, self._num_waiting, self._num_bytes = [], 0, 0


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of `schema`: in its order and types, null where there are none."""
    columns: list[Any] = []
    for column in schema:
        if column.name in table.column_names:
            columns.append(table[column.name].cast(column.type))
        else:
            columns.append(pa.nulls(table.num_rows, column.type))
    return pa.table(columns, schema=schema)


def read_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet file; every kind of string is "string".

    Raises:
        CorruptInputError: it is damaged, or no Parquet file.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise CorruptInputError(
            f"{path}: a sound Parquet file was expected; {error}: get or write the file again"
        ) from None
    fields = [field.with_type(pa.string()) if _is_text(field.type) else field for field in schema]
    return pa.schema(fields)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        test(kind) for test in (pa.types.is_string, pa.types.is_large_string,
                                pa.types.is_string_view)
    )  # fmt: skip
