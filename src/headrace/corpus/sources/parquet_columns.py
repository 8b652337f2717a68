"""Parquet files of the user's: their errors in words, and the columns that are wanted of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headrace.corpus.sources.texts_config import TextsConfig
from headrace.errors import CorruptInputError


def parquet_columns(path: Path, schema: Any, text_key: str, config: TextsConfig) -> list[str]:
    """The columns to be read of a Parquet file.

    Raises:
        CorruptInputError: one that was asked for is missing, or the text's holds no strings.
    """
    import pyarrow as pa

    asked = [text_key, *config.columns, config.class_column, config.language_column]
    asked = [name for name in dict.fromkeys(asked) if name]
    missing = [name for name in asked if name not in schema.names]
    if missing:
        raise CorruptInputError(
            f"{path}: a column '{missing[0]}' was expected; it has {', '.join(schema.names)}: set "
            "text_column, columns, class_column or language_column"
        )
    kind = schema.field(text_key).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        raise CorruptInputError(
            f"{path}: strings were expected in column '{text_key}'; it has {kind}: set text_column"
        )
    return [
        *asked,
        *(name for name in ("title", "url") if name in schema.names and name not in asked),
    ]


@contextlib.contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Say of which file it was that it is no Parquet file, or a damaged one."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise CorruptInputError(
            f"{path}: a sound Parquet file was expected; {str(error).splitlines()[0]}: make or "
            "fetch it again"
        ) from None


def num_parquet_rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer.

    Raises:
        CorruptInputError: it is none.
    """
    import pyarrow.parquet as pq

    with parquet_errors(path):
        return int(pq.read_metadata(path).num_rows)
