"""The files that one dump consists of.

Wikimedia publishes a large wiki as several files, each with the range of its page ids in its name
(`enwiki-20261101-pages-articles1.xml-p1p41242.bz2`), and multistream dumps with an index beside
them (`...-pages-articles-multistream-index.txt.bz2`). Given a directory, those files are found by
their names and put in the order of their pages; what holds no dump is passed over.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from headrace.errors import ConfigError

logger = logging.getLogger(__name__)

_PACKED = r"(?:\.(?:bz2|gz|zst))?"
_DUMP_NAME = re.compile(
    r"(?P<dump>.*?)(?:(?<!\d)(?P<number>\d{1,3}))?\.xml"
    r"(?:-p(?P<first>\d+)p(?P<last>\d+)[^.]*|-\d+)?" + _PACKED,
    re.IGNORECASE,
)
_INDEX_NAME = re.compile(
    r"(?P<dump>.*?-multistream)-?index(?P<number>\d*)\.txt(?P<range>-p\d+p\d+)?" + _PACKED,
    re.IGNORECASE,
)
# Feeds and abstracts lie beside the dumps under names that end in .xml too.
_OTHER_XML = re.compile(r".*(?:-rss|-abstract\d*)\.xml.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DumpPart:
    """One file of a dump.

    Attributes:
        path: the file.
        first_page: smallest page id it may hold, by its name; 0 if it does not tell.
        last_page: largest page id; 0 if it does not tell.
        index: index of its streams; None if there is none.
    """

    path: Path
    first_page: int = 0
    last_page: int = 0
    index: Path | None = None


def find_dump_parts(path: Path) -> list[DumpPart]:
    """The files of the dump at `path`, in the order in which they are to be read.

    Args:
        path: a file, taken as it is, or a directory with one dump.

    Raises:
        ConfigError: the directory holds no dump, or more than one.
    """
    if not path.is_dir():
        return [DumpPart(path)]
    names = sorted(item.relative_to(path).as_posix() for item in path.rglob("*") if item.is_file())
    names = [name for name in names if not name.startswith(".")]
    dumps: dict[tuple[str, bool], list[DumpPart]] = {}
    for name in names:
        match = _DUMP_NAME.fullmatch(name)
        if match is not None and not _OTHER_XML.fullmatch(name):
            first, last = int(match["first"] or 0), int(match["last"] or 0)
            part = DumpPart(path=path / name, first_page=first, last_page=last)
            dumps.setdefault((match["dump"], bool(last)), []).append(part)
    if not dumps:
        found = ", ".join(names[:5]) or "nothing"
        raise ConfigError(
            f"{path}: a dump file, or a directory with the parts of one dump (*.xml, *.xml.bz2, "
            f"*.xml-p1p41242.bz2), was expected; the directory holds none ({found}): name a dump"
        )
    if len(dumps) > 1:
        found = ", ".join(sorted(parts[0].path.name for parts in dumps.values()))
        raise ConfigError(
            f"{path}: the parts of one dump were expected; the directory holds {len(dumps)} dumps "
            f"({found}): name a file in it, or leave one dump in the directory"
        )
    parts = sorted(next(iter(dumps.values())), key=_place)
    _tell_gaps(parts)
    return _with_indexes(parts, [path / name for name in names if _INDEX_NAME.fullmatch(name)])


def _with_indexes(parts: list[DumpPart], indexes: list[Path]) -> list[DumpPart]:
    """Give each part its index; a single index belongs to a single part, whatever its name."""
    if len(parts) == len(indexes) == 1:
        return [replace(parts[0], index=indexes[0])]
    by_name = {_bare_name(index): index for index in indexes}
    found = [replace(part, index=by_name.pop(_bare_name(part.path), None)) for part in parts]
    if by_name:
        stray = next(iter(by_name.values()))
        raise ConfigError(
            f"{stray}: the dump that it is the index of was expected beside it; there is none of "
            "its name: put the dump there, or take the index away"
        )
    return found


def _bare_name(path: Path) -> str:
    """What a dump and its index are both called, but for their endings."""
    stem = re.sub(r"\.(?:bz2|gz|zst)$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"-?index(\d*)\.txt", r"\1.xml", stem, flags=re.IGNORECASE)


def _place(part: DumpPart) -> tuple[int, list[tuple[int, str]]]:
    """By range of pages, else by name, numbers in it by their value."""
    pieces = re.findall(r"(\d+)|(\D+)", part.path.as_posix())
    return part.first_page, [(int(digits or -1), text) for digits, text in pieces]


def _tell_gaps(parts: list[DumpPart]) -> None:
    for before, after in pairwise(parts):
        if before.last_page and after.first_page > before.last_page + 1:
            logger.warning(
                "%s: no part holds the pages %d to %d; the dump is read without them",
                before.path.parent,
                before.last_page + 1,
                after.first_page - 1,
            )
