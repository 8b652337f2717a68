"""Records of one shard of texts, whatever it is written in: plain text, JSON lines, Parquet.

Good and bad records are numbered, so that a document's id is its place in the whole input.
Memory: one document, one block of lines or one batch of rows.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.artifacts import Quarantined
from headrace.corpus.decompression import DecompressedFile
from headrace.corpus.json_records import MAX_LINE_BYTES, JsonRecords, Segment
from headrace.corpus.lines import Line, LineBlock, iter_line_blocks, split_block
from headrace.corpus.sources.parquet_columns import (
    num_parquet_rows,
    parquet_columns,
    parquet_errors,
)
from headrace.corpus.sources.texts_config import TextsConfig
from headrace.errors import CorruptInputError

BATCH_ROWS = 256
MAX_TEXT_BYTES = 1 << 30
"""Largest plain text of several documents that is read whole (utf-16, paragraphs)."""
TOO_LARGE = "document_too_large"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
# Of these a line's end is more than the byte "\n", or that byte is a part of other characters.
_WIDE = re.compile(r"utf-?(16|32|7)|iso2022|hz|idna|punycode", re.IGNORECASE)
_LINE_END = re.compile(r"\n")
_PARAGRAPH_END = re.compile(r"\n(?:[^\S\n]*\n)+")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class TextRecord:
    """A good record.

    Attributes:
        source: name of its file.
        offset: byte, character or row at which it begins there.
        text: not tidied.
        title: "" where there is none.
        url: where it comes from.
        class_name: None where there are no classes.
        language: "" where the record does not tell.
        columns: further values.
    """

    source: str
    offset: int
    text: str
    title: str
    url: str
    class_name: str | None = None
    language: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


Numbered = tuple[int, TextRecord | Quarantined]


@dataclass(frozen=True, kw_only=True)
class TextShard:
    """What one shard reads.

    Attributes:
        kind: "file", "line", "paragraph", "jsonl" or "parquet".
        segments: files or parts of files.
        class_names: of each segment; empty where there are none.
        text_key: field or column of the text.
    """

    kind: str
    segments: tuple[Segment, ...]
    class_names: tuple[str, ...] = ()
    text_key: str = ""

    def class_of(self, number: int) -> str | None:
        """The class of a segment."""
        return self.class_names[number] if self.class_names else None


def is_wide(encoding: str) -> bool:
    """Whether an encoding's lines cannot be told by the byte of the line feed."""
    return _WIDE.match(encoding.replace("_", "")) is not None


def read_records(shard: TextShard, config: TextsConfig) -> Iterator[Numbered]:
    """Give each record of a shard; a good one with its number from 0, for which bad ones count.

    Raises:
        CorruptInputError: a compressed or Parquet file is damaged, or a column is missing.
    """
    if shard.kind == "jsonl":
        yield from _json_records(shard, config)
    elif shard.kind == "parquet":
        yield from _parquet_records(shard, config)
    else:
        yield from enumerate(_plain_records(shard, config))


def count_records(shard: TextShard, config: TextsConfig) -> int:
    """How many records `read_records` gives, at the speed of decompression where that is enough.

    Raises:
        CorruptInputError: as for `read_records`.
    """
    if shard.kind == "file":
        return len(shard.segments)
    if shard.kind == "parquet":
        return sum(num_parquet_rows(Path(segment.path)) for segment in shard.segments)
    if shard.kind == "paragraph" or (shard.kind == "line" and is_wide(config.encoding)):
        return sum(1 for _ in _plain_records(shard, config))
    return sum(
        1 if block.is_too_long else sum(1 for line in block.data.split(b"\n") if line.strip())
        for segment in shard.segments
        for block in _blocks(segment)
    )


def _blocks(segment: Segment) -> Iterator[LineBlock]:
    return iter_line_blocks(
        Path(segment.path),
        max_line_bytes=MAX_LINE_BYTES,
        start=segment.start,
        end=segment.end,
    )


def _bad(source: str, offset: int, reason: str, excerpt: str) -> Quarantined:
    return Quarantined(source=source, offset=offset, reason=reason, excerpt=excerpt)


def clean(text: str) -> str:
    """`text` with plain line ends, and U+FFFD for lone surrogates, which no UTF-8 can hold."""
    text = text if text.isascii() else _SURROGATE.sub("\ufffd", text)
    return text.replace("\r\n", "\n") if "\r" in text else text


def decode(data: bytes, encoding: str) -> str:
    """Text from bytes; a byte order mark goes before the declared encoding and is taken off.

    Raises:
        UnicodeDecodeError: they are not in that encoding.
    """
    for mark, name in _MARKS:
        if data.startswith(mark) and (name == "utf-8" or encoding.startswith("utf")):
            return data.decode(name).removeprefix("\ufeff")
    return data.decode(encoding)


def _plain_records(shard: TextShard, config: TextsConfig) -> Iterator[TextRecord | Quarantined]:
    by_block = shard.kind == "line" and not is_wide(config.encoding)
    for number, segment in enumerate(shard.segments):
        class_name = shard.class_of(number)
        if by_block:
            yield from _line_records(segment, config, class_name)
            continue
        text = _read_whole(segment, config, is_document=shard.kind == "file")
        if isinstance(text, Quarantined):
            yield text
        elif shard.kind == "file":
            yield TextRecord(
                source=segment.name,
                offset=0,
                text=text,
                title=_stem(segment.name),
                url=segment.name,
                class_name=class_name,
            )
        else:
            pattern = _PARAGRAPH_END if shard.kind == "paragraph" else _LINE_END
            for offset, piece in _pieces(text, pattern):
                yield _piece_record(segment, offset, piece, class_name)


def _stem(name: str) -> str:
    base = name.rpartition("/")[2]
    for suffix in (".gz", ".zst"):
        base = base.removesuffix(suffix)
    stem, dot, _ = base.rpartition(".")
    return stem if dot and stem else base


def _piece_record(segment: Segment, offset: int, text: str, class_name: str | None) -> TextRecord:
    return TextRecord(
        source=segment.name,
        offset=offset,
        text=text,
        title="",
        url=f"{segment.name}#{offset}",
        class_name=class_name,
    )


def _pieces(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """What stands between matches, with its place; blank pieces are none."""
    begin = 0
    for match in pattern.finditer(text):
        if text[begin : match.start()].strip():
            yield begin, text[begin : match.start()]
        begin = match.end()
    if text[begin:].strip():
        yield begin, text[begin:]


def _line_records(
    segment: Segment, config: TextsConfig, class_name: str | None
) -> Iterator[TextRecord | Quarantined]:
    for block in _blocks(segment):
        for line in split_block(block):
            if not line.data.strip():
                continue
            if line.is_too_long or line.num_bytes > config.max_document_bytes:
                yield _bad(segment.name, line.offset, TOO_LARGE, _excerpt(line.data))
                continue
            try:
                text = line.data.decode(config.encoding)
            except UnicodeDecodeError:
                reason = _encoding_reason(config.encoding)
                yield _bad(segment.name, line.offset, reason, _excerpt(line.data))
                continue
            yield _piece_record(segment, line.offset, text, class_name)


def _encoding_reason(encoding: str) -> str:
    return "invalid_utf8" if encoding == "utf-8" else "invalid_encoding"


def _excerpt(data: bytes) -> str:
    return data[:500].decode("utf-8", "backslashreplace")


def _read_whole(segment: Segment, config: TextsConfig, *, is_document: bool) -> str | Quarantined:
    """A file's text; where it is one document, what is wrong with it is that document's fault.

    Raises:
        CorruptInputError: it is damaged, and holds more than one document.
    """
    limit = config.max_document_bytes if is_document else MAX_TEXT_BYTES
    data = bytearray()
    try:
        for chunk in DecompressedFile(Path(segment.path)):
            data += chunk
            if len(data) > limit:
                words = f"more than {limit} bytes: {_excerpt(bytes(data[:500]))}"
                return _bad(segment.name, 0, TOO_LARGE, words)
    except CorruptInputError as error:
        if not is_document:
            raise
        return _bad(segment.name, 0, "damaged_file", str(error))
    try:
        return decode(bytes(data), config.encoding).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        part = bytes(data[max(0, error.start - 50) : error.start + 50])
        words = f"byte {error.start}: {error.reason}: {_excerpt(part)}"
        return _bad(segment.name, error.start, _encoding_reason(config.encoding), words)


@dataclass
class _LocatedRecords(JsonRecords):
    """JSON records that tell where the last one begins."""

    offset: int = 0

    def _parse(self, line: Line) -> tuple[dict[str, Any], str]:
        self.offset = line.offset
        return super()._parse(line)


def _json_records(shard: TextShard, config: TextsConfig) -> Iterator[Numbered]:
    first = 0
    for segment in shard.segments:
        records = _LocatedRecords(segments=(segment,), text_key=shard.text_key)
        for values, text in records:
            record = make_record(
                values, text, source=segment.name, offset=records.offset, config=config
            )
            yield first + records.num_in - 1, record
        first += records.num_in
        yield from ((-1, bad) for bad in records.quarantined)


def make_record(
    values: Mapping[str, Any], text: str, *, source: str, offset: int, config: TextsConfig
) -> TextRecord:
    """A record from its fields; those that are asked for become strings."""
    return TextRecord(
        source=source,
        offset=offset,
        text=clean(text),
        title=_as_text(values.get("title")) or "",
        url=_as_text(values.get("url")) or f"{source}#{offset}",
        class_name=_as_text(values.get(config.class_column)) if config.class_column else None,
        language=_language(values, config),
        columns={name: _as_text(values.get(name)) for name in config.columns},
    )


def _language(values: Mapping[str, Any], config: TextsConfig) -> str:
    value = values.get(config.language_column) if config.language_column else None
    return value.strip() if isinstance(value, str) else ""


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value if value is None or value.isascii() else _SURROGATE.sub("\ufffd", value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _parquet_records(shard: TextShard, config: TextsConfig) -> Iterator[Numbered]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = 0
    for segment in shard.segments:
        path = Path(segment.path)
        with parquet_errors(path), pq.ParquetFile(path, pre_buffer=False) as file:
            wanted = parquet_columns(path, file.schema_arrow, shard.text_key, config)
            batches = file.iter_batches(batch_size=BATCH_ROWS, columns=wanted, use_threads=False)
            number = 0
            for batch in batches:
                texts = batch[shard.text_key].cast(pa.large_binary()).to_pylist()
                others = batch.drop_columns([shard.text_key]).to_pylist()
                for data, values in zip(texts, others, strict=True):
                    yield first + number, _row_record(segment.name, number, data, values, config)
                    number += 1
            first += number


def _row_record(
    source: str, number: int, data: bytes | None, values: Mapping[str, Any], config: TextsConfig
) -> TextRecord | Quarantined:
    if data is None:
        return _bad(source, number, "null_text", f"row {number}: {values}")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _bad(source, number, "invalid_utf8", f"row {number}: {_excerpt(data)}")
    return make_record(values, text, source=source, offset=number, config=config)
