"""Documents as Arrow tables: Parquet and JSON lines in, Parquet out, a few hundred rows in memory.

JSON has no schema, so the keys of all records and the types of their values are gathered in a first
pass (`scan_json`): a key whose values are all of one simple type becomes a column of that type,
any other one a column of JSON text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.artifacts import Quarantined
from headrace.corpus.json_records import JsonRecords, Segment
from headrace.errors import ConfigError, CorruptInputError

BATCH_ROWS = 128
"""Rows in memory at once; few, so that the allocator gives the same pages again and again."""
BATCH_CHARACTERS = 1 << 24
"""Characters of JSON texts after which a batch ends before it has its rows."""
TEXT = "text"
_IDS = frozenset({"id", "revid"})
_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,17}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ARROW_TYPES = {
    "bool": pa.bool_(), "integer": pa.int64(), "float": pa.float64(), "string": pa.string(),
    "json": pa.string(),
}  # fmt: skip

Kinds = dict[str, list[str]]
"""Key of a record -> kinds of the values met under it; in the order of their first appearance."""


@dataclass
class ParquetDocuments:
    """The documents of one Parquet file. Iterating gives tables of those that have a text.

    The first one has no rows: it tells the columns.

    Attributes:
        segment: the file.
        text_column: name of the column with the text, which is "text" in what comes out.
        num_in: rows read so far.
        quarantined: rows whose text is null or no UTF-8, so far.
    """

    segment: Segment
    text_column: str
    num_in: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    def __iter__(self) -> Iterator[pa.Table]:
        try:
            with pq.ParquetFile(self.segment.path, pre_buffer=False) as file:
                self._check(file.schema_arrow)
                # So that a file without rows has columns too.
                yield self._checked(pa.Table.from_batches([], file.schema_arrow.remove_metadata()))
                for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
                    table = self._checked(pa.Table.from_batches([batch]).replace_schema_metadata())
                    self.num_in += batch.num_rows
                    yield table
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise CorruptInputError(
                f"{self.segment.path}: a Parquet file was expected; after row {self.num_in}: "
                f"{str(error).splitlines()[0]}: make or fetch it again"
            ) from None

    def _check(self, schema: pa.Schema) -> None:
        names = schema.names
        if self.text_column not in names:
            raise CorruptInputError(
                f"{self.segment.path}: a column '{self.text_column}' was expected; it has "
                f"{', '.join(names)}: set text_column"
            )
        if self.text_column != TEXT and TEXT in names:
            raise ConfigError(
                f"{self.segment.path}: it has a column '{TEXT}' besides '{self.text_column}', and "
                f"'{TEXT}' is what the sentences will be called: take text_column={TEXT}, or "
                "rename one"
            )
        found = schema.field(self.text_column).type
        value = found.value_type if pa.types.is_dictionary(found) else found
        is_text = (pa.types.is_string(value) or pa.types.is_large_string(value)
                   or pa.types.is_string_view(value) or pa.types.is_null(value))  # fmt: skip
        if not is_text:
            raise CorruptInputError(
                f"{self.segment.path}: strings were expected in column '{self.text_column}'; it "
                f"has {found}: set text_column"
            )

    def _checked(self, table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index(self.text_column)
        texts = table.column(index).cast(pa.string())
        reasons: dict[int, str] = {}
        if texts.null_count:
            nulls = texts.is_null().to_pylist()
            reasons = {row: "null_text" for row, is_null in enumerate(nulls) if is_null}
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            reasons |= _bad_encodings(texts)
        table = table.set_column(index, TEXT, texts)
        if not reasons:
            return table
        for row, reason in sorted(reasons.items()):
            self._reject(table, row, reason)
        return table.filter(pa.array([row not in reasons for row in range(len(table))]))

    def _reject(self, table: pa.Table, row: int, reason: str) -> None:
        number = self.num_in + row
        others = table.drop_columns([TEXT]).slice(row, 1).to_pylist()[0]
        excerpt = f"row {number}: {others}"
        self.quarantined.append(
            Quarantined(source=self.segment.name, offset=number, reason=reason, excerpt=excerpt)
        )


def _bad_encodings(texts: pa.ChunkedArray) -> dict[int, str]:
    """Rows whose bytes are no UTF-8."""
    found = {}
    for row, data in enumerate(texts.cast(pa.binary()).to_pylist()):
        try:
            (data or b"").decode()
        except UnicodeDecodeError:
            found[row] = "invalid_utf8"
    return found


def scan_json(records: Iterable[tuple[dict[str, Any], str]]) -> Kinds:
    """Which keys records have, and of what kinds their values are."""
    found: dict[str, dict[str, None]] = {}
    for record, _ in records:
        for key, value in record.items():
            found.setdefault(_clean(key), {})[_kind_of(key, value)] = None
    return {key: list(kinds) for key, kinds in found.items()}


def merge_kinds(parts: Iterable[Mapping[str, Sequence[str]]]) -> dict[str, str]:
    """One kind ("bool", "integer", "float", "string", "json") for each key of all parts."""
    merged: dict[str, set[str]] = {}
    for part in parts:
        for key, kinds in part.items():
            merged.setdefault(key, set()).update(kinds)
    return {key: _common_kind(kinds - {"null"}) for key, kinds in merged.items()}


def _common_kind(kinds: set[str]) -> str:
    if kinds <= {"string", "decimal"} and kinds != {"decimal"}:
        return "string"
    if kinds <= {"integer", "large", "decimal"}:
        return "integer"
    if kinds <= {"integer", "float"}:
        return "float"
    return "bool" if kinds == {"bool"} else "json"


def _kind_of(key: str, value: object) -> str:
    if isinstance(value, str):
        # wikiextractor writes ids as text.
        return "decimal" if key in _IDS and _DECIMAL.fullmatch(value) else "string"
    if value is None or isinstance(value, bool):
        return "null" if value is None else "bool"
    if isinstance(value, int):
        # Beyond 2^53 a float would not hold it.
        return "integer" if abs(value) < 1 << 53 else "large" if abs(value) < 1 << 63 else "json"
    return "float" if isinstance(value, float) else "json"


def _clean(text: str) -> str:
    """`text` with U+FFFD for each lone surrogate, which no UTF-8 can hold."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def iter_json_tables(
    records: JsonRecords, kinds: Mapping[str, str], text_key: str
) -> Iterator[pa.Table]:
    """The records of a shard as tables; a column for each key of `kinds`, the text's called "text".

    The first one has no rows: it tells the columns.

    Args:
        records: of one shard.
        kinds: as from `merge_kinds`.
        text_key: the key of the text.
    """
    rows: list[dict[str, Any]] = []
    yield _to_table(rows, kinds, text_key)
    num_characters = 0
    for record, text in records:
        # The names of columns are clean.
        is_clean = all(map(str.isascii, record))
        rows.append(record if is_clean else {_clean(key): record[key] for key in record})
        num_characters += len(text)
        if len(rows) == BATCH_ROWS or num_characters >= BATCH_CHARACTERS:
            yield _to_table(rows, kinds, text_key)
            rows, num_characters = [], 0
    if rows:
        yield _to_table(rows, kinds, text_key)


def _to_table(rows: Sequence[dict[str, Any]], kinds: Mapping[str, str], text_key: str) -> pa.Table:
    names = [TEXT if key == text_key else key for key in kinds]
    arrays = [_to_array([row.get(key) for row in rows], kind) for key, kind in kinds.items()]
    return pa.Table.from_arrays(arrays, names=names)


def _to_array(values: list[Any], kind: str) -> pa.Array:
    if kind == "json":
        values = [None if value is None else json.dumps(value) for value in values]
    elif kind == "integer":
        values = [None if value is None else int(value) for value in values]
    elif kind == "string":
        values = [None if value is None else _clean(value) for value in values]
    return pa.array(values, type=_ARROW_TYPES[kind])
