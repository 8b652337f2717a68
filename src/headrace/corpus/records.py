r"""Records of JSON lines and Parquet files: where they lie, which columns they have, what is wrong.

The columns of JSON lines are taken from the first lines of every file; a record that does not fit
them later is rejected with a reason, since nothing may be changed or lost in silence. Parquet tells
its columns itself. Files are cut into parts by position alone: a compressed or Parquet file is one
part, a large plain one is cut at line borders.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from headrace.corpus.lines import iter_line_blocks, split_block, text_files
from headrace.errors import ConfigError, CorruptInputError

if TYPE_CHECKING:
    import pyarrow as pa

_JSON_NAMES = (".json", ".jsonl", ".ndjson")
JSON_SUFFIXES = tuple(
    name + packing for name in _JSON_NAMES for packing in ("", ".gz", ".zst", ".zstd")
)
PARQUET_SUFFIX = ".parquet"
PARQUET_MAGIC = b"PAR1"
TEXT_COLUMNS = ("content", "text")
SPLIT_FOLDERS = {"train": "train", "valid": "valid", "validation": "valid", "test": "test"}
NUM_SAMPLED_LINES = 64

Kind = Literal["string", "int64", "double", "bool", "json"]
MIN_INT64, MAX_INT64 = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True)
class Part:
    """A piece of the input that one job reads.

    Attributes:
        path: of the file.
        name: of the file relative to the source, as users know it.
        split: "train", "valid", "test", or "" where the source has no such folders.
        is_parquet: else JSON lines.
        start: byte of a plain file at which the part begins.
        end: byte before which its last line begins; None for the file's end.
    """

    path: Path
    name: str
    split: str = ""
    is_parquet: bool = False
    start: int = 0
    end: int | None = None


@dataclass(frozen=True)
class Column:
    """A column of JSON lines.

    Attributes:
        name: the key.
        kind: of its values; "json" keeps any value as JSON text.
        is_declared: by the user; then numbers in a "string" column become their JSON text.
    """

    name: str
    kind: Kind
    is_declared: bool = False


@dataclass(frozen=True)
class Rejected:
    """Why a record is not taken: a short reason, counted, and the details."""

    reason: str
    detail: str


def find_parts(path: Path, part_bytes: int, files: Sequence[Path] | None = None) -> list[Part]:
    """Cut a source into parts, in the order of its files' names.

    Args:
        path: a file, or a directory with folders at will. Folders at the top named train, valid (or
            validation) and test, or with such a name after "-" or "_", are splits.
        part_bytes: size of the parts of large plain files.
        files: the files to take; None for all below `path` with a fitting suffix.

    Raises:
        MissingInputError: there is no such file.
        ConfigError: some files are in splits and others are not.
    """
    found = text_files(path, (*JSON_SUFFIXES, PARQUET_SUFFIX)) if files is None else list(files)
    parts: list[Part] = []
    for file in found:
        name = file.name if file == path else file.relative_to(path).as_posix()
        split = _split_of(name)
        with file.open("rb") as opened:
            head = opened.read(4)
        if head == PARQUET_MAGIC or name.lower().endswith(PARQUET_SUFFIX):
            parts.append(Part(file, name, split, is_parquet=True))
        elif _is_plain(head) and file.stat().st_size > part_bytes:
            borders = [*range(0, file.stat().st_size, part_bytes), None]
            for start, end in pairwise(borders):
                parts.append(Part(file, name, split, start=start or 0, end=end))
        else:
            parts.append(Part(file, name, split))
    if len({bool(part.split) for part in parts}) > 1:
        outside = next(part.name for part in parts if not part.split)
        raise ConfigError(
            f"{path}: it has folders for splits and data files outside them ({outside}): move "
            "these into train/, valid/ or test/, or name one folder as the input"
        )
    return parts


def _is_plain(head: bytes) -> bool:
    from headrace.corpus.decompression import kind_of

    return kind_of(head) == "plain"


def _split_of(name: str) -> str:
    folders = PurePosixPath(name).parts[:-1]
    if not folders:
        return ""
    last_word = folders[0].lower().replace("_", "-").rpartition("-")[2]
    return SPLIT_FOLDERS.get(last_word, "")


def text_column_of(names: Sequence[str], wanted: str | None, where: str) -> str:
    """The column with the texts: the one wanted, else `content`, else `text`.

    Raises:
        ConfigError: there is none of this name.
    """
    for name in (wanted,) if wanted else TEXT_COLUMNS:
        if name in names:
            return name
    expected = f"'{wanted}'" if wanted else " or ".join(f"'{name}'" for name in TEXT_COLUMNS)
    raise ConfigError(
        f"{where}: a column {expected} with the texts was expected; there is "
        f"{', '.join(names) or 'none'}: set text_column"
    )


def parse_record(line: bytes) -> dict[str, Any] | Rejected:
    """Read one line of JSON.

    Returns:
        The object; or "invalid_utf8", "lone_surrogate" (an escape of half a character),
        "invalid_json" or "not_an_object".
    """
    import orjson

    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _rejected_json(line, str(error))
    if not isinstance(value, dict):
        return Rejected("not_an_object", f"an object was expected, not {_kind_name(value)}")
    return value


def _rejected_json(line: bytes, problem: str) -> Rejected:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return Rejected("invalid_utf8", f"byte {error.start} of the line: {error.reason}")
    try:
        json.dumps(json.loads(text), ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return Rejected("lone_surrogate", problem)
    except (ValueError, RecursionError):
        pass
    return Rejected("invalid_json", problem)


class RowReader:
    """Turns the objects of JSON lines into rows of the given columns.

    Args:
        columns: all columns of the output.
        text_column: the one that must hold a text.
    """

    def __init__(self, columns: Sequence[Column], text_column: str) -> None:
        self._columns = {column.name: column for column in columns}
        self._text_column = text_column

    def row(self, value: Mapping[str, Any]) -> dict[str, Any] | Rejected:
        """The row of one object.

        Returns:
            All columns, null where the object has none; or "missing_column", "null_text",
            "wrong_type" or "unknown_column".
        """
        text = value.get(self._text_column)
        if not isinstance(text, str):
            return self._without_text(value)
        unknown = value.keys() - self._columns.keys()
        if unknown:
            return Rejected(
                "unknown_column",
                f"{', '.join(sorted(unknown))}: not in the first lines of any file: declare it in "
                "`columns`",
            )
        row = {}
        for name, column in self._columns.items():
            given = value.get(name)
            taken = None if given is None else _fit(given, column)
            if taken is None and given is not None:
                return Rejected(
                    "wrong_type", f"'{name}': {column.kind} was expected, not {_kind_name(given)}"
                )
            row[name] = taken
        return row

    def _without_text(self, value: Mapping[str, Any]) -> Rejected:
        name = self._text_column
        if name not in value:
            found = ", ".join(list(value)[:12]) or "no key"
            return Rejected("missing_column", f"'{name}' was expected; there is {found}")
        if value[name] is None:
            return Rejected("null_text", f"'{name}' is null")
        return Rejected("wrong_type", f"'{name}': a text was expected, not {kind_of(value[name])}")


def _fit(value: Any, column: Column) -> Any:
    """The value as the column's kind has it; None if it is of another kind."""
    import orjson

    found = kind_of(value)
    if column.kind == "json":
        return orjson.dumps(value).decode()
    if found == column.kind:
        return value
    if column.kind == "double" and found == "int64":
        return float(value)
    if column.kind == "string" and column.is_declared and found != "json":
        return orjson.dumps(value).decode()
    return None


def kind_of(value: Any) -> Kind | None:
    """The kind of column that takes a value; None for null."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if MIN_INT64 <= value <= MAX_INT64 else "json"
    if isinstance(value, float):
        return "double"
    return "string" if isinstance(value, str) else "json"


def _kind_name(value: Any) -> str:
    return kind_of(value) or "null"


def infer_columns(parts: Sequence[Part], declared: Mapping[str, Kind]) -> list[Column]:
    """The columns of JSON lines, from the first lines of every file, in the order they appear.

    A column of nulls is "string"; whole numbers and fractions together are "double".

    Raises:
        ConfigError: two files or lines differ in the kind of a column that is not declared; or a
            file is one JSON array.
        CorruptInputError: no file begins with a record.
    """
    kinds: dict[str, Kind | None] = {}
    seen_at: dict[str, str] = {}
    first_problem, num_records = "", 0
    for part in parts:
        if part.start:
            continue
        for where, value in _first_records(part):
            if isinstance(value, Rejected):
                first_problem = first_problem or f"{where}: {value.reason}: {value.detail}"
                continue
            num_records += 1
            for name, item in value.items():
                if name not in declared:
                    _unify(kinds, seen_at, name, kind_of(item), where)
                else:
                    kinds[name] = declared[name]
    if not num_records:
        problem = first_problem or "the files are empty"
        raise CorruptInputError(
            f"{parts[0].path}: JSON lines were expected, one object a line; {problem}"
        )
    kinds |= {name: kind for name, kind in declared.items() if name not in kinds}
    return [Column(name, kind or "string", name in declared) for name, kind in kinds.items()]


def _first_records(part: Part) -> Iterator[tuple[str, dict[str, Any] | Rejected]]:
    num_lines = 0
    for block in iter_line_blocks(part.path, max_line_bytes=1 << 26):
        for line in split_block(block):
            if line.is_too_long or not line.data.strip():
                continue
            if not num_lines and line.data.lstrip().startswith(b"["):
                raise ConfigError(
                    f"{part.path}: JSON lines were expected, one object a line; it is a JSON "
                    "array: convert it first (jq -c '.[]' FILE)"
                )
            yield f"{part.name}, line {line.number}", parse_record(line.data)
            num_lines += 1
            if num_lines == NUM_SAMPLED_LINES:
                return


def _unify(
    kinds: dict[str, Kind | None],
    seen_at: dict[str, str],
    name: str,
    found: Kind | None,
    where: str,
) -> None:
    known = kinds.setdefault(name, found)
    if known is None or found is None or known == found:
        kinds[name] = known or found
        seen_at.setdefault(name, where)
    elif {known, found} == {"int64", "double"}:
        kinds[name] = "double"
    else:
        raise ConfigError(
            f"column '{name}' is {known} in {seen_at.get(name, where)} and {found} in {where}: one "
            f"kind was expected: declare it (columns.{name}=string or json), or mend the files"
        )


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of columns of JSON lines."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "json": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
    }
    return pa.schema([(column.name, types[column.kind]) for column in columns])
