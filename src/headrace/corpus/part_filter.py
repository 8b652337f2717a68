r"""One part of a code corpus through the keyword filter: lines or rows in, Parquet out.

JSON lines: blocks of 2 MiB become an Arrow column of lines without a copy; Arrow checks their
UTF-8 (25 GB/s), polars finds the lines with a keyword, and only these are parsed. So are lines
that do not begin with "{" or end with "}", and those without a text in the text column: they are
told apart by cheap tests, so that damage is seen although most lines are never parsed. A line
without any keyword that is broken in its middle goes unnoticed unless `validate` asks for parsing
them all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.artifacts import Quarantined, ShardOutcome
from headrace.corpus.document_files import DocumentWriter, conformed
from headrace.corpus.keywords import KeywordScanner
from headrace.corpus.lines import LineBlock, count_lines, iter_line_blocks
from headrace.corpus.records import (
    Column,
    Part,
    Rejected,
    RowReader,
    arrow_schema,
    parse_record,
)
from headrace.corpus.statistics import MAX_EXAMPLES, CorpusStatistics, DropExamples
from headrace.errors import CorruptInputError

NO_KEYWORD = "no_keyword"
POSITION_COLUMN = "__position__"
PARQUET_BATCH_ROWS = 256
MAX_WAITING_ROWS = 256
MAX_WAITING_BYTES = 8 << 20
_NEWLINE, _RETURN, _BRACE, _CLOSING_BRACE = b"\n\r{}"
_NUM_EXCERPT_BYTES = 400
_POLARS_TYPES = {
    pa.string(): pl.String,
    pa.int64(): pl.Int64,
    pa.float64(): pl.Float64,
    pa.bool_(): pl.Boolean,
}

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class PartJob:
    """Everything that filtering one part needs, in any process.

    Attributes:
        part: what to read.
        name: of the output, relative and without suffix.
        columns: of JSON lines; empty for Parquet.
        schema: of the output, without positions.
        text_column: the column searched.
        scanner: what is searched.
        language_column: gives a record's language, if set.
        path_column: gives a record's file suffix, where suffixes stand among the languages.
        max_document_bytes: longest line or text.
        validate: parse every line.
        with_positions: write a column `POSITION_COLUMN` too: byte offset or row number.
    """

    part: Part
    name: str
    columns: tuple[Column, ...]
    schema: pa.Schema
    text_column: str
    scanner: KeywordScanner
    language_column: str | None
    path_column: str
    max_document_bytes: int
    validate: bool
    with_positions: bool


def filter_part(directory: Path, job: PartJob) -> ShardOutcome:
    """Write the documents of one part that have the keywords; a shard's function."""
    schema = job.schema
    if job.with_positions:
        schema = schema.append(pa.field(POSITION_COLUMN, pa.int64()))
    with DocumentWriter(
        directory / f"{job.name}.parquet", schema, text_column=job.text_column
    ) as writer:
        work = _PartFilter(job, schema, writer)
        if job.part.is_parquet:
            work.read_parquet()
        else:
            work.read_lines()
    return work.outcome()


def count_texts(
    statistics: CorpusStatistics, table: pa.Table, text_column: str, language_column: str | None
) -> None:
    """Add the texts of a table to statistics, with their languages if a column tells them."""
    texts = table[text_column].to_pylist()
    languages = table[language_column].to_pylist() if language_column else [""] * len(texts)
    for text, language in zip(texts, languages, strict=True):
        statistics.add(text, language or "")


class _PartFilter:
    def __init__(self, job: PartJob, schema: pa.Schema, writer: DocumentWriter) -> None:
        self._job = job
        self._schema = schema
        self._writer = writer
        self._reader = RowReader(job.columns, job.text_column)
        self._statistics = CorpusStatistics()
        self._examples = DropExamples()
        self._num_examples = 0
        self._quarantined: list[Quarantined] = []
        self._num_in = self._num_source_bytes = 0
        self._rows: list[dict[str, Any]] = []
        self._positions: list[int] = []
        self._num_waiting_bytes = 0
        # What a record must have to be dropped unread: a text in its column. Inside a string the
        # quotes would be escaped, so this is found at the top (or in a nested object) only.
        key = json.dumps(job.text_column, ensure_ascii=False)
        self._has_text = "".join(f"\\x{{{ord(char):x}}}" for char in key) + r'\s*:\s*"'

    def outcome(self) -> ShardOutcome:
        """Rows, counts and drops of the part."""
        num_out = self._writer.num_rows
        num_dropped = self._num_in - num_out - len(self._quarantined)
        return ShardOutcome(
            rows=num_out,
            counts={
                "records_in": self._num_in,
                "records_out": num_out,
                "num_matches": num_out,
                "num_files": int(self._job.part.start == 0),
                "num_source_bytes": self._num_source_bytes,
                **self._statistics.counts(),
            },
            dropped={NO_KEYWORD: num_dropped} if num_dropped else {},
            quarantined=self._located(),
            carry=self._examples.to_carry() or None,
        )

    def _located(self) -> list[Quarantined]:
        """The quarantined records; those of a part's lines with their numbers in the whole file."""
        part = self._job.part
        if part.is_parquet or not part.start or not self._quarantined:
            return self._quarantined
        before = count_lines(part.path, part.start)
        return [
            Quarantined(
                source=bad.source,
                offset=bad.offset,
                reason=bad.reason,
                excerpt=_renumbered(bad.excerpt, before),
            )
            for bad in self._quarantined
        ]

    def read_lines(self) -> None:
        """Filter JSON lines."""
        part = self._job.part
        blocks = iter_line_blocks(
            part.path, max_line_bytes=self._job.max_document_bytes, start=part.start, end=part.end
        )
        for block in blocks:
            self._num_source_bytes += block.num_bytes
            if block.is_too_long:
                self._num_in += 1
                problem = Rejected("document_too_large", f"a line of {block.num_bytes} bytes")
                self._reject_line(problem, block.first_line, block.offset, block.data)
            else:
                self._take_block(block)
        self._keep_rows()

    def _take_block(self, block: LineBlock) -> None:
        data, borders = block.data, block.borders
        lines, bad = self._checked_lines(block)
        wanted = self._wanted(lines, block) & ~bad
        self._num_in += len(wanted)
        for index in np.flatnonzero(wanted).tolist():
            line = data[borders[index] : borders[index + 1]]
            value: Any = parse_record(line) if line.strip() else None
            if value is None:
                self._num_in -= 1  # an empty line is no record
                continue
            row = value if isinstance(value, Rejected) else self._reader.row(value)
            position = block.offset + int(borders[index])
            if isinstance(row, Rejected):
                self._reject_line(row, block.first_line + index, position, line)
            else:
                self._rows.append(row)
                self._positions.append(position)
                self._num_waiting_bytes += len(line)
        if len(self._rows) >= MAX_WAITING_ROWS or self._num_waiting_bytes >= MAX_WAITING_BYTES:
            self._keep_rows()
        if self._num_examples < MAX_EXAMPLES:
            self._add_examples(block, np.flatnonzero(~wanted & ~bad)[:MAX_EXAMPLES])

    def _checked_lines(self, block: LineBlock) -> tuple[pl.Series, Mask]:
        """The lines as a column, and which of them are not UTF-8 (there the column has "")."""
        borders = block.borders
        num_lines = len(borders) - 1
        bad = np.zeros(num_lines, bool)
        buffers = [None, pa.py_buffer(borders), pa.py_buffer(block.data)]
        lines = pa.Array.from_buffers(pa.large_string(), num_lines, buffers)
        if not _is_utf8(lines):
            texts = []
            for index in range(num_lines):
                line = block.data[borders[index] : borders[index + 1]]
                problem = _utf8_problem(line)
                texts.append("" if problem else line.decode())
                if problem:
                    bad[index] = True
                    position = block.offset + int(borders[index])
                    self._reject_line(problem, block.first_line + index, position, line)
            return pl.Series(texts, dtype=pl.String), bad
        return pl.Series(lines), bad

    def _wanted(self, lines: pl.Series, block: LineBlock) -> Mask:
        """Lines to be parsed: those that may have a keyword, and those that look odd."""
        found = None if self._job.validate else self._job.scanner.json_candidates(lines)
        if found is None:
            return np.ones(len(lines), bool)
        wanted: Mask = found.to_numpy() | ~lines.str.contains(self._has_text).to_numpy()
        view, borders = np.frombuffer(block.data, np.uint8), block.borders
        last = borders[1:] - 1
        last = np.maximum(last - (view[last] == _NEWLINE), 0)
        last = np.maximum(last - (view[last] == _RETURN), 0)
        wanted |= (view[borders[:-1]] != _BRACE) | (view[last] != _CLOSING_BRACE)
        return wanted

    def _reject_line(self, problem: Rejected, number: int, position: int, line: bytes) -> None:
        text = line[:_NUM_EXCERPT_BYTES].decode("utf-8", errors="backslashreplace").strip()
        self._reject(problem, position, f"line {number}: {problem.detail}: {text}")

    def _reject(self, problem: Rejected, position: int, excerpt: str) -> None:
        self._quarantined.append(
            Quarantined(
                source=self._job.part.name,
                offset=position,
                reason=problem.reason,
                excerpt=excerpt,
            )
        )

    def _add_examples(self, block: LineBlock, indexes: npt.NDArray[np.int64]) -> None:
        borders = block.borders
        for index in indexes.tolist():
            begin = int(borders[index])
            title = block.data[begin : min(begin + 200, int(borders[index + 1]))]
            text = title.decode("utf-8", errors="replace").strip()
            self._examples.add(NO_KEYWORD, title=text, offset=block.offset + begin)
            self._num_examples += 1

    def _keep_rows(self) -> None:
        """Write those of the parsed rows that the definition keeps."""
        if not self._rows:
            return
        schema = arrow_schema(self._job.columns)
        arrays = [_arrow([row[field.name] for row in self._rows], field.type) for field in schema]
        schema = schema.append(pa.field(POSITION_COLUMN, pa.int64()))
        arrays.append(_arrow(self._positions, pa.int64()))
        self._keep(conformed(pa.Table.from_arrays(arrays, schema=schema), self._schema))
        self._rows, self._positions, self._num_waiting_bytes = [], [], 0

    def _keep(self, table: pa.Table) -> None:
        """Write those rows of a table that the definition keeps."""
        job = self._job
        found = job.scanner.candidates(pl.Series(table[job.text_column].combine_chunks()))
        mask = found.to_numpy(writable=True)
        if not job.scanner.is_exact:
            indexes = np.flatnonzero(mask)
            for index, row in zip(indexes.tolist(), self._compared(table, indexes), strict=True):
                mask[index] = job.scanner.matches(row[job.text_column], self._languages(row))
        kept = table.filter(_arrow(mask, pa.bool_()))
        count_texts(self._statistics, kept, job.text_column, job.language_column)
        self._writer.write(kept)

    def _compared(
        self, table: pa.Table, indexes: npt.NDArray[np.int64]
    ) -> Iterator[Mapping[str, Any]]:
        names = {self._job.text_column, self._job.language_column, self._job.path_column}
        columns = [name for name in table.column_names if name in names]
        yield from table.select(columns).take(_arrow(indexes, pa.int64())).to_pylist()

    def _languages(self, row: Mapping[str, Any]) -> list[str]:
        language, path = row.get(self._job.language_column or ""), row.get(self._job.path_column)
        names = [language.casefold()] if isinstance(language, str) else []
        if isinstance(path, str):
            names.append(PurePosixPath(path).suffix.casefold())
        return names

    def read_parquet(self) -> None:
        """Filter the rows of a Parquet file."""
        part, num_rows = self._job.part, 0
        self._num_source_bytes = part.path.stat().st_size
        try:
            with pq.ParquetFile(part.path) as file:
                for batch in file.iter_batches(batch_size=PARQUET_BATCH_ROWS):
                    self._take_batch(pa.Table.from_batches([batch]), num_rows)
                    num_rows += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise CorruptInputError(
                f"{part.path}, row {num_rows}: a sound Parquet file was expected; {error}: get or "
                "write the file again"
            ) from None

    def _take_batch(self, table: pa.Table, first_row: int) -> None:
        self._num_in += table.num_rows
        positions = np.arange(first_row, first_row + table.num_rows)
        problems = self._row_problems(table[self._job.text_column].cast(pa.large_string()))
        for index, problem in sorted(problems.items()):
            row = first_row + index
            self._reject(problem, row, f"row {row}: {problem.detail}")
        good = np.ones(table.num_rows, bool)
        good[list(problems)] = False
        if self._job.with_positions:
            table = table.append_column(POSITION_COLUMN, _arrow(positions, pa.int64()))
        self._keep(conformed(table.filter(_arrow(good, pa.bool_())), self._schema))

    def _row_problems(self, column: pa.ChunkedArray) -> dict[int, Rejected]:
        import pyarrow.compute as pc  # 0.05 s that JSON lines do not need

        texts = column.combine_chunks()
        problems = {
            index: Rejected("null_text", f"'{self._job.text_column}' is null")
            for index in np.flatnonzero(_numpy(texts.is_null())).tolist()
        }
        sizes = _numpy(pc.binary_length(texts).fill_null(0))
        for index in np.flatnonzero(sizes > self._job.max_document_bytes).tolist():
            problems[index] = Rejected("document_too_large", f"a text of {sizes[index]} bytes")
        if not _is_utf8(texts):
            for index, text in enumerate(texts.cast(pa.large_binary()).to_pylist()):
                problem = _utf8_problem(text or b"")
                if problem:
                    problems[index] = problem
        return problems


def _arrow(values: Any, kind: pa.DataType) -> pa.Array:
    """A column of plain values. `pa.array` would import pandas where it is there (0.4 s)."""
    return pl.Series(values, dtype=_POLARS_TYPES[kind]).to_arrow().cast(kind)


def _numpy(values: pa.Array) -> npt.NDArray[Any]:
    """A column without nulls. `Array.to_numpy` would import pandas too."""
    return pl.Series(values).to_numpy()


def _is_utf8(texts: pa.Array) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _utf8_problem(data: bytes) -> Rejected | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return Rejected("invalid_utf8", f"byte {error.start} of it: {error.reason}")
    return None


def _renumbered(excerpt: str, num_lines_before: int) -> str:
    number, colon, rest = excerpt.removeprefix("line ").partition(":")
    return f"line {int(number) + num_lines_before}{colon}{rest}"
