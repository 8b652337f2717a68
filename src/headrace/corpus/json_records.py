"""JSON lines as input: a tree of files cut into shards of about equal size, and their records.

A shard is a run of files in the order of their names, or a range of one large plain file: a line
belongs to the range in which it begins. Compressed files are read whole. Which bytes a shard has
follows from the files' sizes alone. Cost: a shard's memory is its longest line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from headrace.artifacts import Quarantined
from headrace.corpus.decompression import kind_of
from headrace.corpus.lines import Line, iter_line_blocks, split_block

SHARD_BYTES = 64 << 20
MAX_LINE_BYTES = 1 << 28
_COMPRESSED_SUFFIXES = (".gz", ".zst")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of an input file.

    Attributes:
        path: of the file.
        name: of the file as users know it, for messages.
        start: byte offset of the part.
        end: offset beyond it; None for a file that is read whole.
    """

    path: str
    name: str
    start: int = 0
    end: int | None = None


def cut_into_shards(
    paths: Sequence[Path], root: Path, shard_bytes: int = SHARD_BYTES
) -> list[tuple[Segment, ...]]:
    """Deal files out to shards of about `shard_bytes`, in their order.

    Args:
        paths: the files.
        root: what their names in messages are relative to.
        shard_bytes: size of a shard; of the compressed bytes, where a file is.
    """
    shards: list[tuple[Segment, ...]] = []
    open_shard: list[Segment] = []
    num_bytes = 0
    for path in paths:
        name = relative_name(path, root)
        size = path.stat().st_size
        if size > shard_bytes and _is_plain(path):
            if open_shard:
                shards.append(tuple(open_shard))
                open_shard, num_bytes = [], 0
            for start in range(0, size, shard_bytes):
                end = min(start + shard_bytes, size)
                shards.append((Segment(path=str(path), name=name, start=start, end=end),))
            continue
        open_shard.append(Segment(path=str(path), name=name))
        num_bytes += size
        if num_bytes >= shard_bytes:
            shards.append(tuple(open_shard))
            open_shard, num_bytes = [], 0
    if open_shard:
        shards.append(tuple(open_shard))
    return shards


def relative_name(path: Path, root: Path) -> str:
    """A file's name as users know it: below the directory that they gave, or its own."""
    return path.name if path == root else path.relative_to(root).as_posix()


def _is_plain(path: Path) -> bool:
    with path.open("rb") as file:
        return kind_of(file.read(4)) == "plain" and not path.name.endswith(_COMPRESSED_SUFFIXES)


def _iter_segment(segment: Segment) -> Iterator[Line]:
    blocks = iter_line_blocks(
        Path(segment.path), max_line_bytes=MAX_LINE_BYTES, start=segment.start, end=segment.end
    )
    for block in blocks:
        yield from split_block(block)


@dataclass
class JsonRecords:
    """The records of a shard. Iterating gives each good one with its text, in order.

    Attributes:
        segments: what to read.
        text_key: which key holds the text.
        is_exact: parse as Python's json does (any number, any key order, lone surrogates), rather
            than fast.
        num_in: records read so far; blank lines are none.
        quarantined: the bad ones so far.
    """

    segments: Sequence[Segment]
    text_key: str
    is_exact: bool = False
    num_in: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], str]]:
        for segment in self.segments:
            for line in _iter_segment(segment):
                if not line.data.strip():
                    continue
                self.num_in += 1
                record, reason = self._parse(line)
                if reason:
                    self._reject(segment, line, reason)
                else:
                    yield record, record[self.text_key]

    def _parse(self, line: Line) -> tuple[dict[str, Any], str]:
        """The record, and why it is bad or ""."""
        if line.is_too_long:
            return {}, "line_too_long"
        try:
            record = self._load(line.data)
        except UnicodeDecodeError:
            return {}, "invalid_utf8"
        except (ValueError, RecursionError):
            return {}, "invalid_json"
        if not isinstance(record, dict):
            return {}, "not_an_object"
        if self.text_key not in record:
            return {}, "missing_text"
        text = record[self.text_key]
        if not isinstance(text, str):
            return {}, "null_text" if text is None else "text_not_a_string"
        return record, ""

    def _load(self, data: bytes) -> Any:
        if not self.is_exact:
            try:
                return orjson.loads(data)
            except orjson.JSONDecodeError:
                # Python's parser takes more (NaN, long numbers, lone surrogates), and says why not.
                pass
        return json.loads(data.decode("utf-8"))

    def _reject(self, segment: Segment, line: Line, reason: str) -> None:
        where = f"line {line.number}"
        if segment.start:
            where += f" after byte {segment.start}"
        excerpt = f"{where}: {line.data[:500].decode('utf-8', 'backslashreplace')}"
        self.quarantined.append(
            Quarantined(source=segment.name, offset=line.offset, reason=reason, excerpt=excerpt)
        )
