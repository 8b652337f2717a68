"""What the sentence stages take as input, and how it is cut into shards.

Three kinds: Parquet files of an articles or documents artifact (or of a directory of the user's),
JSON lines of an artifact that holds such files, and JSON lines of the user's: one file, or every
file below a directory (a `wikiextractor --json` tree).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.artifacts import Artifact
from headrace.artifacts.sources import SOURCE, source_path
from headrace.corpus import json_records, punkt
from headrace.corpus.json_records import Segment, relative_name
from headrace.corpus.languages import UNKNOWN_LANGUAGE, normalise_language
from headrace.corpus.lines import text_files
from headrace.corpus.records import PARQUET_MAGIC, PARQUET_SUFFIX
from headrace.corpus.sentence_rules import SplitterName
from headrace.corpus.site import SITEINFO_NAME, Site, load_site
from headrace.errors import CorruptInputError, MissingInputError

_PARQUET_PATTERNS = ("articles-*.parquet", "documents-*.parquet")
_JSON_PATTERNS = ("*/wiki_*", "*.jsonl", "*.jsonl.*", "*.json")
_INDEX_NAMES = frozenset({SITEINFO_NAME, "manifest.json"})


@dataclass(frozen=True, kw_only=True)
class DocumentInput:
    """An input of documents.

    Attributes:
        where: the input as users know it, for messages.
        is_parquet: whether its shards are Parquet files, rather than JSON lines.
        shards: what each shard reads; of Parquet, one whole file each.
        site: the wiki it comes from; its language is "und" where nothing says it.
    """

    where: str
    is_parquet: bool
    shards: tuple[tuple[Segment, ...], ...]
    site: Site

    def language(self, chosen: str | None, splitter: SplitterName) -> str:
        """The language of documents that do not name their own: the chosen one, else the site's.

        Raises:
            ConfigError: the splitter has no rules for it.
        """
        language = normalise_language(chosen or self.site.lang)
        if splitter == "punkt":
            source = "the language" if chosen else f"the language of {self.where}"
            punkt.check_language(language, source=source)
        return language


def site_of(artifact: Artifact) -> Site:
    """The wiki that an artifact comes from; one of unknown language where it does not say."""
    if artifact.files(SITEINFO_NAME):
        return load_site(artifact)
    return Site(lang=UNKNOWN_LANGUAGE)


def open_documents(artifact: Artifact, *, shard_bytes: int | None = None) -> DocumentInput:
    """Find the documents in an artifact or in a raw input.

    Args:
        artifact: articles, documents, exported article files, or a source.
        shard_bytes: about how many bytes of JSON lines make a shard; None for the default.

    Raises:
        MissingInputError: there is no file of documents.
        CorruptInputError: a raw directory holds Parquet files and others.
    """
    size = shard_bytes or json_records.SHARD_BYTES
    if artifact.stage == SOURCE.name:
        root = source_path(artifact)
        return _from_files(text_files(root, ("",)), root, Site(lang=UNKNOWN_LANGUAGE), size)
    site = site_of(artifact)
    for pattern in (*_PARQUET_PATTERNS, *_JSON_PATTERNS):
        paths = [path for path in artifact.files(pattern) if path.name not in _INDEX_NAMES]
        if paths:
            return _from_files(paths, artifact.path, site, size)
    known = ", ".join(entry.name for entry in artifact.manifest.files[:9])
    raise MissingInputError(
        f"{artifact.path}: {' or '.join(_PARQUET_PATTERNS)} or JSON lines were expected; this "
        f"'{artifact.stage}' artifact holds {known}: give the output of extract, or raw files"
    )


def _from_files(paths: Sequence[Path], root: Path, site: Site, size: int) -> DocumentInput:
    if not paths:
        raise MissingInputError(f"{root}: files of documents were expected; there is none")
    are_parquet = [path.name.endswith(PARQUET_SUFFIX) or _is_parquet(path) for path in paths]
    if any(are_parquet) and not all(are_parquet):
        other = paths[are_parquet.index(False)]
        raise CorruptInputError(
            f"{root}: Parquet files or JSON lines were expected; there are both ({other.name} is "
            "not Parquet): move one kind elsewhere"
        )
    shards: list[tuple[Segment, ...]]
    if all(are_parquet):
        shards = [(Segment(path=str(path), name=relative_name(path, root)),) for path in paths]
    else:
        shards = json_records.cut_into_shards(paths, root, size)
    return DocumentInput(
        where=str(root), is_parquet=all(are_parquet), shards=tuple(shards), site=site
    )


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == PARQUET_MAGIC
