"""A CSV that lists text files and their classes, as GPTSAN's `filename,fileid`.

Paths are relative to the CSV. The files are a part of the input's identity, so such a CSV is opened
together with them (`open_text_input`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.artifacts import Opened, Store, files
from headrace.artifacts.sources import open_source
from headrace.corpus.sources.inputs import local_path, open_input
from headrace.corpus.sources.resolution import is_remote
from headrace.corpus.sources.text_records import decode
from headrace.corpus.sources.texts_config import TextsConfig
from headrace.errors import CorruptInputError

CLASS_COLUMN = "fileid"
CSV_END = ".csv"


@dataclass(frozen=True, kw_only=True)
class ListedText:
    """A line of a CSV: which file, and of which class."""

    name: str
    class_name: str


def _csv_text(path: Path, config: TextsConfig) -> str:
    with files.explained_os_errors(path):
        data = path.read_bytes()
    try:
        return decode(data, config.encoding)
    except UnicodeDecodeError as error:
        raise CorruptInputError(
            f"{path}, byte {error.start}: {config.encoding} was expected ({error.reason}): set "
            "encoding"
        ) from None


def header_of(path: Path, config: TextsConfig) -> list[str]:
    """Columns of a CSV; [] where it is none."""
    try:
        rows = csv.reader(io.StringIO(_csv_text(path, config), newline=""), strict=True)
        return [cell.strip() for cell in next(rows, [])]
    except (csv.Error, CorruptInputError):
        return []


def read_list(path: Path, config: TextsConfig) -> list[ListedText]:
    """The files that a CSV lists, in its order.

    Raises:
        CorruptInputError: a column is missing, a row has too few or too many cells, the quoting is
            broken, a path is absolute or missing, or a class is no integer.
    """
    rows = csv.reader(io.StringIO(_csv_text(path, config), newline=""), strict=True)
    listed: list[ListedText] = []
    header: list[str] | None = None
    try:
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = [cell.strip() for cell in row]
                _check_header(path, header, config)
            else:
                listed.append(_listed(path, rows.line_num, header, row, config))
    except csv.Error as error:
        raise CorruptInputError(
            f"{path}, line {rows.line_num}: a row of a CSV was expected; {error}: mend its quotes"
        ) from None
    if not listed:
        raise CorruptInputError(
            f"{path}: a header and at least one row were expected; none is there"
        )
    return listed


def _class_column(config: TextsConfig) -> str:
    return config.class_column or CLASS_COLUMN


def _check_header(path: Path, header: Sequence[str], config: TextsConfig) -> None:
    for name in (config.file_column, _class_column(config)):
        if header.count(name) != 1:
            raise CorruptInputError(
                f"{path}, line 1: one column '{name}' was expected; it has {', '.join(header)}: "
                "set file_column and class_column"
            )


def _listed(
    path: Path, line: int, header: Sequence[str], row: Sequence[str], config: TextsConfig
) -> ListedText:
    where = f"{path}, line {line}"
    if len(row) != len(header):
        raise CorruptInputError(
            f"{where}: {len(header)} cells were expected, found {len(row)}: quote names with commas"
        )
    cells = dict(zip(header, row, strict=True))
    name, class_name = cells[config.file_column].strip(), cells[_class_column(config)].strip()
    if not name or Path(name).is_absolute():
        raise CorruptInputError(f"{where}: a relative path was expected, found '{name}'")
    digits = class_name.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        raise CorruptInputError(
            f"{where}: an integer was expected as '{_class_column(config)}', found '{class_name}'"
        )
    return ListedText(name=_normal(name), class_name=str(int(class_name)))


def _normal(name: str) -> str:
    """A path without "./" and "a/../", as files are listed."""
    parts: list[str] = []
    for part in name.replace("\\", "/").split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def open_text_input(store: Store, text: str, config: TextsConfig | None = None) -> Opened:
    """The source artifact of a corpus of texts; a local CSV brings the files that it lists.

    Args:
        store: where sources are kept.
        text: as for `open_input`.
        config: settings of the texts stage, by which a CSV is read.

    Raises:
        HeadraceError: as for `open_input` and `read_list`.
    """
    settings = config or TextsConfig()
    if not is_remote(text):
        path = local_path(text).expanduser()
        is_list = path.is_file() and path.name.lower().endswith(CSV_END)
        if is_list and settings.format in ("auto", "csv"):
            is_header = settings.file_column in header_of(path, settings)
            if is_header or settings.format == "csv":
                names = [item.name for item in read_list(path, settings)]
                return open_source(store, path.parent, members=[path.name, *names])
    return open_input(store, text)
