"""Reference articles: what a held-out set consists of, in WikiText's form or as a table.

WikiText is tokenised: an article begins with a line ` = Title = ` between blank lines, sections are
` = = Title = = `, words and punctuation stand apart (` @-@ `, ` @,@ `, ` @.@ ` inside words and
numbers), rare words are `<unk>`. Published files are plain text (`wiki.test.tokens`, `test.txt`) or
Parquet with one line a row. A Parquet file with the columns title and text is one article a row.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace.artifacts.files import walk_files
from headrace.errors import CorruptInputError

UNKNOWN = "<unk>"
SUFFIXES = (".txt", ".tokens", ".raw", ".parquet")
MAX_BYTES = 1 << 28
"""Of all reference files: 100 times WikiText's test and valid sets."""
_PARQUET_MAGIC = b"PAR1"
# A line of one "=" on either side; formulas in the text may look so, hence the blank lines.
_TITLE = re.compile(r"\s*=\s+(?!=)(?P<title>\S.*?)(?<!=)\s+=\s*")
_JOINED = re.compile(r"\s*@([-,.])@\s*")
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_QUOTES = re.compile("[\u2018\u2019\u02bc`\u00b4]")
_DOUBLE_QUOTES = re.compile("[\u201c\u201d\u201e]|''|``")
_AROUND_PUNCTUATION = re.compile(r"\s*([^\w\s])\s*")
_DISAMBIGUATOR = re.compile(r"\([^()]*\)$")


@dataclass(frozen=True, slots=True)
class ReferenceArticle:
    """An article of a held-out set.

    Attributes:
        title: as the file has it; "" where it has none.
        text: as the file has it.
    """

    title: str
    text: str


def title_key(title: str) -> str:
    """What titles are compared by: the same for a page's title and for its tokenised form.

    NFC, case folded, underscores as spaces, no space around punctuation, one kind of dash and of
    quotation mark.
    """
    text = unicodedata.normalize("NFC", _JOINED.sub(r"\1", title)).casefold().replace("_", " ")
    text = _QUOTES.sub("'", _DOUBLE_QUOTES.sub('"', _DASHES.sub("-", text)))
    return " ".join(_AROUND_PUNCTUATION.sub(r"\1", text).split())


def base_key(key: str) -> str:
    """A title's key without what tells it apart from others of its name: "x(film)" -> "x"."""
    return _DISAMBIGUATOR.sub("", key).strip() or key


def plain_title(title: str) -> str:
    """A tokenised title as a reader would write it."""
    text = _JOINED.sub(r"\1", title)
    text = re.sub(r"\s+(['\u2019]\w|[),.:;!?])", r"\1", text)
    return " ".join(re.sub(r"\(\s+", "(", text).split())


def reference_files(path: Path) -> list[Path]:
    """The files of a held-out set.

    Args:
        path: one file, or a directory; of a directory those of a known suffix are taken, but not
            those whose name says that they are for training.

    Raises:
        CorruptInputError: a directory holds none, or there is more than any held-out set has.
    """
    found = [path]
    if path.is_dir():
        found = [
            item
            for item in walk_files(path)
            if item.suffix in SUFFIXES
            and not item.name.startswith(".")
            and "train" not in re.split("[^a-z]+", item.name.lower())
        ]
    if not found:
        raise CorruptInputError(
            f"{path}: a directory with test and valid files ({', '.join(SUFFIXES)}) was expected; "
            "it holds none: name WikiText's files"
        )
    num_bytes = sum(item.stat().st_size for item in found)
    if num_bytes > MAX_BYTES:
        raise CorruptInputError(
            f"{path}: at most {MAX_BYTES:,} bytes of reference articles were expected, since all "
            f"their n-grams are kept in memory; it has {num_bytes:,}: name the test and valid "
            "files alone"
        )
    return found


def read_references(path: Path) -> list[ReferenceArticle]:
    """The articles of one reference file, in order; [] where it has no text.

    Raises:
        CorruptInputError: it is neither UTF-8 text nor a Parquet file with a text column.
    """
    with path.open("rb") as file:
        is_table = file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
    if is_table:
        return _read_table(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptInputError(
            f"{path}: UTF-8 text was expected; the byte at offset {error.start} is none: name "
            "WikiText's test or valid file"
        ) from None
    return list(split_articles(text.split("\n")))


def _read_table(path: Path) -> list[ReferenceArticle]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        columns = [name for name in ("title", "text") if name in names]
        rows = pq.read_table(path, columns=columns).to_pylist() if "text" in names else None
    except (pa.ArrowException, OSError) as error:
        raise CorruptInputError(
            f"{path}: a Parquet file was expected; it cannot be read: {error}"
        ) from None
    if rows is None:
        raise CorruptInputError(
            f"{path}: a column 'text' was expected; its columns are {', '.join(names[:20])}"
        )
    texts = [str(row["text"] or "") for row in rows]
    if "title" in columns:
        titles = [str(row["title"] or "") for row in rows]
        return [ReferenceArticle(*pair) for pair in zip(titles, texts, strict=True)]
    # Rows are lines, with or without their ends.
    return list(split_articles("\n".join(text.removesuffix("\n") for text in texts).split("\n")))


def split_articles(lines: Iterable[str]) -> Iterator[ReferenceArticle]:
    """Cut WikiText's lines into articles; text before the first title has the title ""."""
    given = list(lines)
    starts = [number for number in range(len(given)) if _is_title(given, number)]
    if not starts:
        # Written without its blank lines, as tables of lines sometimes are.
        starts = [number for number, line in enumerate(given) if _TITLE.fullmatch(line)]
    borders = [*starts, len(given)]
    head = "\n".join(given[: borders[0]])
    if head.strip():
        yield ReferenceArticle("", head)
    for start, end in itertools.pairwise(borders):
        match = _TITLE.fullmatch(given[start])
        assert match is not None
        yield ReferenceArticle(match["title"], "\n".join(given[start:end]).strip())


def _is_title(lines: list[str], number: int) -> bool:
    if _TITLE.fullmatch(lines[number]) is None:
        return False
    before = lines[number - 1] if number else ""
    after = lines[number + 1] if number + 1 < len(lines) else ""
    return not before.strip() and not after.strip()
