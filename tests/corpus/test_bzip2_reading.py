"""bzip2 in several threads reads what the serial decoder reads, and refuses what it refuses."""

from __future__ import annotations

import bz2
import random
from pathlib import Path

import pytest

from headrace.corpus.dumps import bzip2
from headrace.corpus.dumps.bzip2 import Bzip2Stream, StreamStart
from headrace.corpus.dumps.serial_bzip2 import SerialBzip2
from headrace.errors import CorruptInputError

RANDOM = random.Random(4)
WORDS = [RANDOM.randbytes(RANDOM.randint(1, 9)).hex() for _ in range(300)]


def text(num_words: int) -> bytes:
    return " ".join(RANDOM.choices(WORDS, k=num_words)).encode()


EMPTY = bz2.compress(b"")
SMALL = bz2.compress(text(60), 1)
MULTI = b"".join(bz2.compress(text(40), 1) for _ in range(5))
BLOCKS = bz2.compress(text(25_000), 1)
SOUND = {
    "one": SMALL,
    "multi": MULTI,
    "blocks": BLOCKS,
    "both": BLOCKS + MULTI + BLOCKS,
    "empty streams": EMPTY * 2 + MULTI + EMPTY * 3 + BLOCKS + EMPTY,
    "only an empty stream": EMPTY,
    "runs": bz2.compress(b"a" * 9_000_000, 1),
    "runs in text": bz2.compress(text(5000) + b"a" * 9_000_000 + text(5000), 1),
}


@pytest.fixture(autouse=True)
def threads_for_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bzip2, "MIN_PARALLEL_BYTES", 0)


def outcome(chunks: object) -> tuple[str, bytes]:
    try:
        return "", b"".join(chunks)  # type: ignore[call-overload]
    except CorruptInputError as error:
        return str(error), b""


@pytest.mark.parametrize("num_threads", [1, 2, 4])
@pytest.mark.parametrize("kind", SOUND)
def test_sound_files_give_their_bytes(kind: str, num_threads: int, tmp_path: Path) -> None:
    path = tmp_path / "file.bz2"
    path.write_bytes(SOUND[kind])
    stream = Bzip2Stream(path, num_threads=num_threads)
    assert b"".join(stream) == bz2.decompress(SOUND[kind])
    assert stream.num_file_bytes_read == len(SOUND[kind])


def damaged() -> list[bytes]:
    """Flipped bits, cuts, holes, foreign bytes: in headers, blocks and footers."""
    cases = []
    for data, num_flips in ((SMALL, 150), (MULTI, 150), (BLOCKS, 40)):
        # Borders of streams lie at both ends; there every byte is tried.
        ends = [*range(40), *range(-24, 0)]
        for place in ends + RANDOM.sample(range(len(data)), num_flips):
            changed = bytearray(data)
            changed[place] ^= 1 << RANDOM.randrange(8)
            cases.append(bytes(changed))
        for _ in range(25):
            begin, length = RANDOM.randrange(len(data)), RANDOM.randrange(1, 200)
            cases.append(data[:begin])
            cases.append(data[:begin] + data[begin + length :])
            cases.append(data[:begin] + bytes(length) + data[begin + length :])
            cases.append(data[:begin] + RANDOM.randbytes(length) + data[begin:])
        cases += [data[:-cut] for cut in range(1, 16)]
        cases += [data + tail for tail in (b"B", b"BZ", b"BZh9", b"garbage", bytes(9), data[:9])]
    cases += [EMPTY[:9], EMPTY * 2 + EMPTY[:5], MULTI + b"BZh9" + EMPTY[4:13]]
    return cases


@pytest.mark.parametrize("num_threads", [1, 2])
def test_damage_is_told_in_the_words_of_the_serial_decoder(
    num_threads: int, tmp_path: Path
) -> None:
    path = tmp_path / "file.bz2"
    for number, data in enumerate(damaged()):
        path.write_bytes(data)
        expected = outcome(SerialBzip2(path))
        assert outcome(Bzip2Stream(path, num_threads=num_threads)) == expected, number
        # Some changes do no harm, such as a higher block size; the others are refused.
        assert not expected[0] or f"{path}, byte " in expected[0]


@pytest.mark.parametrize("num_threads", [1, 2])
def test_reading_begins_at_any_stream(num_threads: int, tmp_path: Path) -> None:
    path = tmp_path / "file.bz2"
    streams = [bz2.compress(text(9000), 1) for _ in range(4)]
    path.write_bytes(b"".join(streams))
    whole = b"".join(Bzip2Stream(path, num_threads=num_threads))
    offset = sum(len(bz2.decompress(stream)) for stream in streams[:2])
    start = StreamStart(len(streams[0]) + len(streams[1]), offset)
    stream = Bzip2Stream(path, num_threads=num_threads, start=start)
    assert b"".join(stream) == whole[offset:]
    assert stream.stream_before(offset - 1) == stream.stream_before(offset) == start
    last = stream.stream_before(len(whole) - 1)
    assert last == StreamStart(sum(map(len, streams[:3])), last.offset)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptInputError, match="truncated"):
        list(Bzip2Stream(path, num_threads=num_threads, start=start))


def test_missing_stream_is_noticed_where_the_text_breaks(tmp_path: Path) -> None:
    path = tmp_path / "file.bz2"
    data = bytearray(BLOCKS + MULTI + BLOCKS)
    data[len(BLOCKS) + 5] ^= 255  # the magic number of a block
    path.write_bytes(data)
    stream = Bzip2Stream(path, num_threads=2)
    chunks = iter(stream)
    next(chunks)
    with pytest.raises(CorruptInputError, match="bzip2"):
        stream.check()
    chunks.close()  # type: ignore[attr-defined]
