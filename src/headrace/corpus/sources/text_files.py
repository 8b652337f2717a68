"""Which files of an input hold texts, in which format, and how they are cut into shards.

auto takes what most tells: Parquet or JSON lines if files are named so, a CSV that stands alone at
the top of a directory and has the expected columns, else plain text. Files that are left out by it
are counted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.artifacts import Artifact, files
from headrace.artifacts.sources import SOURCE, SOURCE_NAME, source_path
from headrace.corpus.json_records import Segment, cut_into_shards
from headrace.corpus.sources.parquet_columns import parquet_errors
from headrace.corpus.sources.text_lists import CSV_END, ListedText, header_of, read_list
from headrace.corpus.sources.text_records import TextShard, is_wide
from headrace.corpus.sources.texts_config import TextsConfig
from headrace.errors import ConfigError, CorruptInputError, MissingInputError

logger = logging.getLogger(__name__)

TEXT_KEYS = ("text", "content")
_COMPRESSIONS = (".gz", ".zst", ".zstd")
_JSON_ENDS = (".jsonl", ".json", ".ndjson")
_PARQUET_END = ".parquet"
_BOOKKEEPING = frozenset({"manifest.json", "siteinfo.json"})


@dataclass(frozen=True, kw_only=True)
class FoundTexts:
    """The texts of an input.

    Attributes:
        where: the input as users know it.
        shards: what each shard reads.
        has_classes: whether documents have a class.
        num_left_out: files that are of another format, or whose names do not end as asked for.
    """

    where: str
    shards: tuple[TextShard, ...]
    has_classes: bool
    num_left_out: int


def find_shards(source: Artifact, config: TextsConfig) -> FoundTexts:
    """Find the texts of an input and deal them out to shards.

    Raises:
        MissingInputError: there is no file of the format, or one that a CSV lists is missing.
        CorruptInputError: a CSV is not what it should be, or no record has a text.
        ConfigError: the input holds several formats, or a CSV without its files.
    """
    root, names = _names_of(source)
    if config.suffixes:
        ends = tuple(end.lower() for end in config.suffixes)
        chosen = [name for name in names if name.lower().endswith(ends)] or names[:0]
    else:
        chosen = names
    kind = _format_of(root, chosen, config)
    if kind == "csv":
        return _csv_shards(root, names, config)
    chosen = [name for name in chosen if config.suffixes or _is_of(kind, root, name)]
    if not chosen:
        wanted = (
            f"files named *{', *'.join(config.suffixes)}" if config.suffixes else f"{kind} files"
        )
        raise MissingInputError(
            f"{root}: {wanted} were expected; there is none among {_named(names)}: set format or "
            "suffixes"
        )
    if len(chosen) < len(names):
        logger.info("%s: %d files are no %s and left out", root, len(names) - len(chosen), kind)
    paths = [_path_of(root, name) for name in chosen]
    return FoundTexts(
        where=str(root),
        shards=_cut(paths, root, kind, config),
        has_classes=bool(config.class_column),
        num_left_out=len(names) - len(chosen),
    )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


def _path_of(root: Path, name: str) -> Path:
    return root if root.is_file() else root / name


def _names_of(source: Artifact) -> tuple[Path, list[str]]:
    """The input's path, and the relative names of its files."""
    if source.stage != SOURCE.name:
        entries = [entry.name for entry in source.manifest.files]
        return source.path, [name for name in entries if name not in _BOOKKEEPING]
    root = source_path(source)
    if root.is_file():
        return root, [root.name]
    listed = files.read_json(source.path / SOURCE_NAME) or []
    return root, sorted(name for name, _, _ in listed)


def _bare(name: str) -> str:
    """A name in small letters, without what a compression puts behind it."""
    lower = name.lower()
    for end in _COMPRESSIONS:
        lower = lower.removesuffix(end)
    return lower


def _is_of(kind: str, root: Path, name: str) -> bool:
    if kind == "parquet":
        return name.lower().endswith(_PARQUET_END) or _is_parquet(_path_of(root, name))
    if kind == "jsonl":
        return root.is_file() or _bare(name).endswith(_JSON_ENDS)
    return True


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _format_of(root: Path, names: Sequence[str], config: TextsConfig) -> str:
    if config.format != "auto":
        return config.format
    if config.csv_name:
        return "csv"
    has_parquet = any(name.lower().endswith(_PARQUET_END) for name in names)
    has_json = any(_bare(name).endswith(_JSON_ENDS) for name in names)
    if root.is_file() and _is_parquet(root):
        return "parquet"
    if has_parquet and has_json:
        raise ConfigError(
            f"{root}: one format was expected; there are Parquet files and JSON lines: set format "
            "or suffixes"
        )
    if has_parquet or has_json:
        return "parquet" if has_parquet else "jsonl"
    tops = [name for name in names if name.lower().endswith(CSV_END) and "/" not in name]
    if len(tops) == 1 and config.file_column in header_of(_path_of(root, tops[0]), config):
        return "csv"
    return "text"


def _cut(
    paths: Sequence[Path], root: Path, kind: str, config: TextsConfig
) -> tuple[TextShard, ...]:
    if kind == "parquet":
        key = _parquet_key(paths[0], config)
        return _grouped(paths, root, config, kind="parquet", text_key=key)
    if kind == "jsonl":
        key = _json_key(paths, config)
        cuts = cut_into_shards(paths, root, config.shard_bytes)
        return tuple(TextShard(kind="jsonl", segments=cut, text_key=key) for cut in cuts)
    if config.document == "line" and not is_wide(config.encoding):
        cuts = cut_into_shards(paths, root, config.shard_bytes)
        return tuple(TextShard(kind="line", segments=cut) for cut in cuts)
    return _grouped(paths, root, config, kind=config.document)


def _grouped(
    paths: Sequence[Path],
    root: Path,
    config: TextsConfig,
    *,
    kind: str,
    text_key: str = "",
    listed: Sequence[ListedText] = (),
) -> tuple[TextShard, ...]:
    """Whole files, in their order, some `shard_bytes` a shard."""
    shards: list[TextShard] = []
    segments: list[Segment] = []
    classes: list[str] = []
    num_bytes = 0
    for number, path in enumerate(paths):
        name = listed[number].name if listed else _name(path, root)
        segments.append(Segment(path=str(path), name=name))
        classes += [listed[number].class_name] if listed else []
        num_bytes += path.stat().st_size
        if num_bytes >= config.shard_bytes or number + 1 == len(paths):
            shards.append(
                TextShard(
                    kind=kind,
                    segments=tuple(segments),
                    class_names=tuple(classes),
                    text_key=text_key,
                )
            )
            segments, classes, num_bytes = [], [], 0
    return tuple(shards)


def _name(path: Path, root: Path) -> str:
    return path.name if path == root else path.relative_to(root).as_posix()


def _parquet_key(path: Path, config: TextsConfig) -> str:
    import pyarrow.parquet as pq

    with parquet_errors(path):
        names = pq.read_schema(path).names
    if config.text_column:
        return config.text_column
    for key in TEXT_KEYS:
        if key in names:
            return key
    raise CorruptInputError(
        f"{path}: a column '{TEXT_KEYS[0]}' or '{TEXT_KEYS[1]}' was expected; it has "
        f"{', '.join(names)}: set text_column"
    )


def _json_key(paths: Sequence[Path], config: TextsConfig) -> str:
    """The text's field: as told, or as the first object that can be read has it."""
    import orjson

    from headrace.corpus.lines import iter_lines

    if config.text_column:
        return config.text_column
    for path in paths:
        for line in iter_lines(path, max_line_bytes=1 << 28):
            try:
                record = orjson.loads(line.data)
            except orjson.JSONDecodeError:
                continue
            if not isinstance(record, dict):
                continue
            for key in TEXT_KEYS:
                if key in record:
                    return key
            raise CorruptInputError(
                f"{path}, line {line.number}: a field '{TEXT_KEYS[0]}' or '{TEXT_KEYS[1]}' was "
                f"expected; the record has {', '.join(map(str, record)) or 'none'}: set text_column"
            )
    # No record can be read: all of them are put aside, for one reason or another.
    return TEXT_KEYS[0]


def _csv_shards(root: Path, names: Sequence[str], config: TextsConfig) -> FoundTexts:
    if root.is_file():
        raise ConfigError(
            f"{root}: the files that a CSV lists must be part of the input, so that a change of "
            "theirs is seen: give the directory that holds it all, or open it by open_text_input"
        )
    tops = [name for name in names if name.lower().endswith(CSV_END) and "/" not in name]
    name = config.csv_name or (tops[0] if len(tops) == 1 else "")
    if name not in names:
        found = f"there is no {name}" if name else f"there are {len(tops)}"
        raise MissingInputError(
            f"{root}: one CSV that lists files was expected; {found}: set csv_name"
        )
    listed = read_list(root / name, config)
    known = set(names)
    for item in listed:
        if item.name not in known:
            raise MissingInputError(
                f"{root / name}: it lists {item.name}; there is no such file in the input: put it "
                "there, or take the line out"
            )
    num_used = len({item.name for item in listed}) + 1
    return FoundTexts(
        where=str(root / name),
        shards=_grouped(
            [root / item.name for item in listed], root, config, kind=config.document, listed=listed
        ),
        has_classes=True,
        num_left_out=len(names) - num_used,
    )
