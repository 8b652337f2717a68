"""Lines: whatever the container, exact places, damage told, memory bounded."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.corpus import lines as module
from headrace.corpus.lines import count_lines, iter_line_blocks, iter_lines, text_files
from headrace.errors import CorruptInputError, MissingInputError


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "gzip of many members": lambda data: b"".join(
        gzip.compress(data[first : first + 1000], mtime=0)
        for first in range(0, max(len(data), 1), 1000)
    ),
    "gzip with padding": lambda data: gzip.compress(data, mtime=0) + b"\0" * 700,
    "zstd": zstd,
    "zstd of many frames": lambda data: b"".join(
        zstd(data[first : first + 1000]) for first in range(0, max(len(data), 1), 1000)
    ),
    "zstd with a skippable frame": lambda data: (
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstd(data)
    ),
}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def found(path: Path, **options: int) -> list[tuple[int, int, bytes]]:
    return [(line.number, line.offset, line.data) for line in iter_lines(path, **options)]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a", [(1, 0, b"a")]),
        (b"a\n", [(1, 0, b"a")]),
        (b"a\r\n\r\nb\n", [(1, 0, b"a"), (2, 3, b""), (3, 5, b"b")]),
        (b"\n\n", [(1, 0, b""), (2, 1, b"")]),
        (b"a\x00\xff\rb\nc", [(1, 0, b"a\x00\xff\rb"), (2, 6, b"c")]),
        (b"\xef\xbb\xbfa\nb", [(1, 3, b"a"), (2, 5, b"b")]),
        (b"\xef\xbb\xbf", []),
    ],
)
def test_lines_of_every_container(
    tmp_path: Path, packing: str, data: bytes, expected: list[tuple[int, int, bytes]]
) -> None:
    # The name says nothing: the first bytes decide.
    assert found(write(tmp_path / "file.txt", PACKINGS[packing](data))) == expected


@pytest.mark.parametrize("packing", PACKINGS)
def test_blocks_are_whole_lines_that_follow_one_another(tmp_path: Path, packing: str) -> None:
    data = b"".join(os.urandom(20).hex().encode() + b"\n" for _ in range(150_000)) + b"last"
    path = write(
        tmp_path / "file", PACKINGS[packing](data[-50_000:] if "many" in packing else data)
    )
    offset, number, parts = 0, 1, []
    for block in iter_line_blocks(path):
        assert (block.offset, block.first_line) == (offset, number)
        assert block.data.endswith((b"\n", b"last"))
        offset += block.num_bytes
        number += block.data.count(b"\n")
        parts.append(block.data)
    assert data.endswith(b"".join(parts))
    assert sum(map(len, parts)) in (50_000, len(data))


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60).map(lambda data: data.replace(b"\x00", b"\n")),
    st.integers(1, 12),
)
def test_a_limit_cuts_nothing_but_long_lines(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, limit: int
) -> None:
    data = b"x\n" + data  # no magic, no byte order mark
    path = write(tmp_path_factory.mktemp("lines") / "file", data)
    expected, offset = [], 0
    for number, line in enumerate(data.split(b"\n")[: -1 if data.endswith(b"\n") else None], 1):
        expected.append((number, offset, len(line) > limit))
        offset += len(line) + 1
    lines = list(iter_lines(path, max_line_bytes=limit))
    assert [(line.number, line.offset, line.is_too_long) for line in lines] == expected
    for line in lines:
        start = data[line.offset :]
        assert start.startswith(line.data)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, packing: str) -> None:
    packed = PACKINGS[packing](b"\0" * (256 << 20))
    path = write(tmp_path / "bomb", packed + PACKINGS[packing](b"\nnext\n"))
    tracemalloc.start()
    try:
        lines = list(iter_lines(path, max_line_bytes=1 << 20))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [(line.num_bytes > 200 << 20, line.is_too_long) for line in lines] == [
        (True, True),
        (False, False),
    ]
    assert lines[0].num_bytes >= 256 << 20
    assert lines[1].data == b"next"
    assert peak < 64 << 20


GZIP = gzip.compress(os.urandom(3000).hex().encode() + b"\n", mtime=0)
ZSTD = zstd(os.urandom(3000).hex().encode() + b"\n")


@pytest.mark.parametrize(
    ("name", "data", "offset"),
    [
        ("a.gz", b"", 0),
        ("a.zst", b"", 0),
        ("a.gz", b"\0\1\2\3" * 9, 0),
        ("a", GZIP[:-1], len(GZIP) - 1),
        ("a", GZIP[:100], 100),
        ("a", GZIP[:1000] + b"\xff\xff\xff\xff" + GZIP[1004:], None),
        ("a", GZIP[:-8] + b"\1\2\3\4" + GZIP[-4:], None),
        ("a", GZIP + b"foreign", len(GZIP)),
        ("a", GZIP + b"\0\0\0x", len(GZIP)),
        ("a", ZSTD[:-1], len(ZSTD) - 1),
        ("a", ZSTD[:1000] + b"\xff\xff\xff\xff" + ZSTD[1004:], None),
        ("a", ZSTD + b"foreign", len(ZSTD)),
        ("a", b"BZh91AY&SY", 0),
        ("a", b"\xfd7zXZ\x00\x00", 0),
        ("a", b"PK\x03\x04", 0),
        ("a", "text".encode("utf-16"), 0),
    ],
)
def test_damage_is_told_with_its_place(
    tmp_path: Path, name: str, data: bytes, offset: int | None
) -> None:
    path = write(tmp_path / name, data)
    with pytest.raises(CorruptInputError) as caught:
        list(iter_lines(path))
    assert str(path) in str(caught.value)
    assert f"byte {'' if offset is None else offset}" in str(caught.value)


def test_an_empty_plain_file_has_no_lines(tmp_path: Path) -> None:
    assert found(write(tmp_path / "a.jsonl", b"")) == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_parts_of_a_plain_file_have_each_line_once(tmp_path: Path, size: int) -> None:
    data = b"\xef\xbb\xbfone\n\ntwo two\r\nthree\n\n\nlast"
    path = write(tmp_path / "file", data)
    parts = []
    for start in range(0, len(data), size):
        end = start + size if start + size < len(data) else None
        for block in iter_line_blocks(path, start=start, end=end):
            first = count_lines(path, start) + 1 if start else 1
            for line in module.split_block(block):
                parts.append((first + line.number - 1, line.offset, line.data))
    assert parts == found(path)


def test_files_of_a_tree(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/x.JSONL.GZ", "a/y.txt", ".hidden/z.jsonl", "a/.w.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    suffixes = (".jsonl", ".jsonl.gz")
    names = [str(path.relative_to(tmp_path)) for path in text_files(tmp_path, suffixes)]
    assert names == ["a/x.JSONL.GZ", "b.jsonl"]
    assert text_files(tmp_path / "a/y.txt", suffixes) == [tmp_path / "a/y.txt"]
    for missing in (tmp_path / "none", tmp_path / "a/none"):
        with pytest.raises(MissingInputError):
            text_files(missing, suffixes)
    with pytest.raises(MissingInputError):
        text_files(tmp_path, (".csv",))
    with pytest.raises(MissingInputError):
        list(iter_lines(tmp_path / "none"))
