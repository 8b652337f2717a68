"""Stage "article_files": articles as files that other programs read.

"jsonl" writes a file of JSON lines in UTF-8 for each shard of articles. "wikiextractor" writes the
tree of `wikiextractor --json`: folders AA, AB, ... of 100 files wiki_00 ... wiki_99, an article a
line, its keys in that program's order, ids as text, all in ASCII, cut where the next article would
go beyond `file_bytes`. (Two things are right here that wikiextractor 3.1.0 has wrong: it leaves
"&amp;" in titles, and gives the contributor's id as `revid` where there is one.) Where a file
is cut depends on all articles before it, so the folders are written one after another; each
remembers where the next one begins, and an interrupted run goes on there.

Cost: 100-200 MB/s of JSON a core; one row group of articles in memory.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import orjson
from pydantic import Field, field_validator

from headrace.artifacts import Artifact, Build, ShardJob, ShardOutcome, Stage
from headrace.artifacts.measures import Measure
from headrace.config import StageConfig
from headrace.corpus.tables import iter_batches, num_rows
from headrace.errors import ConfigError, CorruptInputError

FILES_A_FOLDER = 100
NUM_FOLDERS = 26 * 26
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LEAST_FILE_BYTES = 200 << 10
_KEYS = ("id", "revid", "url", "title", "text")
_WRITE_BYTES = 1 << 20

Position = tuple[int, int]
"""Number of the shard of articles, and of the row in it."""


class ArticleFilesConfig(StageConfig):
    """Settings of writing articles for other programs."""

    format: Literal["jsonl", "wikiextractor"] = Field(
        default="jsonl",
        description="JSON lines in UTF-8, a file for each shard of articles; or the tree of "
        "`wikiextractor --json`",
    )
    file_bytes: int = Field(
        default=1 << 20,
        ge=0,
        le=1 << 40,
        description="bytes a file of the wikiextractor tree has at most, unless a single article "
        "is longer; 0 for one article a file; 1 MiB is that program's default, 200 KiB its least",
    )

    @field_validator("file_bytes")
    @classmethod
    def _is_possible(cls, value: int) -> int:
        if 0 < value < _LEAST_FILE_BYTES:
            raise ValueError(f"0 or at least {_LEAST_FILE_BYTES} is needed, as in wikiextractor")
        return value


def folder_name(number: int) -> str:
    """AA, AB, ... ZZ for 0, 1, ... 675."""
    first, second = divmod(number, len(_LETTERS))
    return _LETTERS[first] + _LETTERS[second]


def wikiextractor_line(row: Mapping[str, Any]) -> str:
    """An article as wikiextractor's `--json` writes it, with its line end."""
    return json.dumps({key: str(row[key]) for key in _KEYS}) + "\n"


def _write_lines(directory: Path, path: Path, name: str) -> ShardOutcome:
    num_articles = 0
    with (directory / f"{name}.jsonl").open("wb", buffering=_WRITE_BYTES) as file:
        for batch in iter_batches([path]):
            for row in batch.to_pylist():
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            num_articles += len(batch)
    return _outcome(num_articles)


def _outcome(num_articles: int, following: Position | None = None) -> ShardOutcome:
    return ShardOutcome(
        rows=num_articles,
        counts={"records_in": num_articles, "records_out": num_articles},
        carry=list(following) if following else None,
    )


def _rows_from(shards: Sequence[Path], start: Position) -> Iterator[tuple[Position, Any]]:
    """The articles from `start` on, each with its position."""
    for number in range(start[0], len(shards)):
        first = start[1] if number == start[0] else 0
        row = 0
        for batch in iter_batches([shards[number]], _KEYS):
            if row + len(batch) > first:
                begin = max(first - row, 0)
                for index, values in enumerate(batch.slice(begin).to_pylist(), row + begin):
                    yield (number, index), values
            row += len(batch)


class _Folder:
    """One folder of the tree, being written."""

    def __init__(self, path: Path, *, is_first: bool) -> None:
        self._path = path
        self._num_files = 0
        # The first file of a later folder takes the article that did not fit before.
        self._must_fit = is_first
        self._open()

    def _open(self) -> None:
        self._num_bytes = 0
        path = self._path / f"wiki_{self._num_files:02d}"
        self._file: IO[bytes] = path.open("wb", buffering=_WRITE_BYTES)
        self._num_files += 1

    def add(self, line: bytes, file_bytes: int) -> bool:
        """Write a line; False if it would begin another file and the folder is full.

        wikiextractor looks at the size before it writes, in an empty file too: where the very first
        article is too long, that file stays empty.
        """
        if self._must_fit and self._num_bytes + len(line) > file_bytes:
            if self._num_files == FILES_A_FOLDER:
                return False
            self._file.close()
            self._open()
        self._must_fit = True
        self._file.write(line)
        self._num_bytes += len(line)
        return True

    def close(self) -> None:
        self._file.close()


def _write_folder(
    directory: Path, name: str, shards: Sequence[Path], start: Position, file_bytes: int
) -> ShardOutcome:
    path = directory / name
    path.mkdir()
    folder = _Folder(path, is_first=start == (0, 0))
    num_articles = 0
    try:
        for position, row in _rows_from(shards, start):
            if not folder.add(wikiextractor_line(row).encode("ascii"), file_bytes):
                return _outcome(num_articles, following=position)
            num_articles += 1
    finally:
        folder.close()
    return _outcome(num_articles)


def _write_tree(shards: Sequence[Path], config: ArticleFilesConfig, out: Build) -> None:
    total, done = num_rows(shards), 0
    start: Position | None = (0, 0)
    for number in range(NUM_FOLDERS):
        if start is None:
            return
        name = folder_name(number)
        write = functools.partial(
            _write_folder, name=name, shards=shards, start=start, file_bytes=config.file_bytes
        )
        record = out.publish(name, write)
        start = (record.carry[0], record.carry[1]) if record.carry else None
        done += record.rows
        out.progress(done, total, "articles", f"{number + 1} folders")
    if start is not None:
        raise ConfigError(
            f"file_bytes={config.file_bytes}: {total} articles do not go into the "
            f"{NUM_FOLDERS * FILES_A_FOLDER} files that names from AA/wiki_00 to ZZ/wiki_99 allow: "
            "take larger files"
        )


def write_article_files(*, articles: Artifact, config: ArticleFilesConfig, out: Build) -> None:
    """Write articles as JSON.

    Args:
        articles: output of the articles stage.
        config: settings.
        out: receives `articles-00000-of-0000N.jsonl` or `AA/wiki_00` ...

    Raises:
        ConfigError: there are more files than the tree has names.
        CorruptInputError: there are no shards of articles.
    """
    shards = articles.files("articles-*.parquet")
    if not shards:
        raise CorruptInputError(
            f"{articles.path}: an artifact of the articles stage was expected, with files "
            f"articles-*.parquet; this one is of stage '{articles.stage}'"
        )
    if config.format == "wikiextractor":
        _write_tree(shards, config, out)
        return
    jobs = [
        ShardJob(name=path.stem, function=_write_lines, args=(path, path.stem)) for path in shards
    ]
    out.run_shards(jobs, unit="articles")


ARTICLE_FILES = Stage(
    name="article_files",
    version=1,
    format="headrace.article_files/1",
    packages=(),
    write=write_article_files,
    measure=Measure(start_seconds=0.3),
)
