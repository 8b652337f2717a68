"""Parquet files of documents, written a batch at a time in bounded memory.

Row groups end after 1,024 rows or 16 MiB, at the borders of what is added, so the same batches give
the same bytes. As in `tables`, texts get no dictionary and the level of compression is fixed.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.corpus.tables import ROW_GROUP_ROWS, ZSTD_LEVEL
from headrace.errors import CorruptInputError

ROW_GROUP_BYTES = 16 << 20


class DocumentWriter:
    """Writes one Parquet file; use it in a `with` block.

    Args:
        path: of the file.
        schema: of all tables added.

    Attributes:
        num_rows: rows added so far.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.num_rows = 0
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._num_waiting_rows = self._num_waiting_bytes = 0
        self._writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            use_dictionary=False,
            write_statistics=False,
        )

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, table: pa.Table) -> None:
        """Add rows; columns as in the schema."""
        if not table.num_rows:
            return
        self._waiting.append(table)
        self.num_rows += table.num_rows
        self._num_waiting_rows += table.num_rows
        self._num_waiting_bytes += table.nbytes
        if self._num_waiting_rows >= ROW_GROUP_ROWS or self._num_waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            # One chunk: how the table was put together must not show in the pages written.
            table = pa.concat_tables(self._waiting).combine_chunks()
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._waiting, self._num_waiting_rows, self._num_waiting_bytes = [], 0, 0


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
