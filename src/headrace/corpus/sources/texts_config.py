"""Settings of the stage "texts"; nothing here is slow to import."""

from __future__ import annotations

import codecs
from typing import Literal

from pydantic import Field, field_validator

from headrace.config import StageConfig
from headrace.corpus.languages import UNKNOWN_LANGUAGE

OWN_COLUMNS = ("id", "revid", "url", "title", "text", "language", "class_name")
"""Columns that documents have or may have anyway."""


class TextsConfig(StageConfig):
    """Settings of reading texts."""

    format: Literal["auto", "text", "csv", "jsonl", "parquet"] = Field(
        default="auto",
        description="what the files are: plain text, a CSV that lists text files, JSON lines or "
        "Parquet; auto goes by their names and first bytes",
    )
    suffixes: tuple[str, ...] = Field(
        default=(),
        description="ends of the names of files to be read in a directory; none for all that are "
        "of the format",
    )
    document: Literal["file", "line", "paragraph"] = Field(
        default="file",
        description="what a document is in a plain text: the file, a line, or a run of lines "
        "between blank ones",
    )
    encoding: str = Field(
        default="utf-8",
        description="of plain text and CSV; a byte order mark in a file goes before it",
    )
    text_column: str = Field(
        default="", description="field or column with the text; '' takes 'text', else 'content'"
    )
    columns: tuple[str, ...] = Field(
        default=(),
        description="further fields or columns to keep; from JSON as strings (JSON text for what "
        "is none)",
    )
    class_column: str = Field(
        default="",
        description="field or column with the class of a document, kept as `class_name`; of a CSV "
        "'' takes the column 'fileid', as GPTSAN's lists have it",
    )
    file_column: str = Field(
        default="filename",
        min_length=1,
        description="column of a CSV with paths relative to it; default as in GPTSAN's lists",
    )
    csv_name: str = Field(
        default="",
        description="name of the CSV within its directory; '' takes the only one there",
    )
    language: str = Field(
        default=UNKNOWN_LANGUAGE,
        min_length=1,
        description="language code of all documents ('en', 'ja'); 'und' where it is not known",
    )
    language_column: str = Field(
        default="", description="field or column with a document's own language code; '' for none"
    )
    licence: str = Field(
        default="unknown", min_length=1, description="licence of the texts, for the dataset card"
    )
    shard_bytes: int = Field(
        default=64 << 20,
        ge=1,
        le=1 << 40,
        description="bytes of input in a shard, as they lie on disk; larger plain JSON lines and "
        "texts of lines are cut, other files are read whole",
    )
    max_document_bytes: int = Field(
        default=64 << 20,
        ge=1,
        le=1 << 30,
        description="longest text of a document in bytes; what is longer is put aside",
    )
    max_quarantined_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of all records that may be bad before the stage fails; a single one is "
        "always let pass unless this is 0",
    )

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, value: str) -> str:
        try:
            info = codecs.lookup(value)
            is_text = isinstance("".encode(info.name), bytes)
        except (LookupError, TypeError, ValueError):
            is_text = False
        if not is_text:
            raise ValueError("no encoding of text that Python knows (utf-8, shift_jis, latin-1)")
        return info.name

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        own = [name for name in value if name in OWN_COLUMNS]
        if own or len(set(value)) != len(value):
            raise ValueError(f"distinct names other than {', '.join(OWN_COLUMNS)} are needed")
        return value
