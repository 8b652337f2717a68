"""Shards of pages: the columns of one shard as they are filled, and its Parquet files.

Texts are gathered in the buffers that Arrow takes as they are, so no page is held as a Python
object and none is encoded twice. zstd level 1 writes wikitext at some 400 MB/s a core; level 3
would save a tenth of the bytes for half as much time again.
"""

from __future__ import annotations

from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.artifacts import Quarantined, ShardOutcome
from headrace.corpus.columns import TextColumn, integer_column
from headrace.corpus.dumps.dump_pages import Page, TemplatePage
from headrace.corpus.tables import PAGES_SCHEMA, TEMPLATES_SCHEMA, write_table

PAGES_ZSTD_LEVEL = 1


class PageShard:
    """One shard while it is being filled."""

    def __init__(self) -> None:
        self._ids = array("q")
        self._revids = array("q")
        self._titles = TextColumn()
        self._texts = TextColumn()
        self._offsets = array("q")
        self._template_titles = TextColumn()
        self._template_texts = TextColumn()
        self._template_redirects = TextColumn()
        self._template_offsets = array("q")
        self._dropped: Counter[str] = Counter()
        self._quarantined: list[Quarantined] = []

    @property
    def num_pages(self) -> int:
        """Articles in it."""
        return len(self._texts)

    def is_full(self, shard_bytes: int) -> bool:
        """Whether the texts of its articles, or of its templates, have that many UTF-8 bytes."""
        return max(self._texts.num_bytes, self._template_texts.num_bytes) >= shard_bytes

    def add_page(self, page: Page, utf8: bytes) -> None:
        """Add an article; `utf8` is its text."""
        self._ids.append(page.id)
        self._revids.append(page.revid)
        self._titles.append(page.title.encode())
        self._texts.append(utf8)
        self._offsets.append(page.offset)

    def add_template(self, template: TemplatePage, utf8: bytes) -> None:
        """Add a template; `utf8` is its text."""
        self._template_titles.append(template.title.encode())
        self._template_texts.append(utf8)
        self._template_redirects.append(template.redirect.encode())
        self._template_offsets.append(template.offset)

    def drop(self, reason: str) -> None:
        """Count a page that is left out on purpose."""
        self._dropped[reason] += 1

    def quarantine(self, record: Quarantined) -> None:
        """Put a bad page aside."""
        self._quarantined.append(record)

    def write(self, directory: Path, number: int, *, carry: Any = None) -> ShardOutcome:
        """Write its files.

        Args:
            directory: receives `pages-NNNNN.parquet` and, if it has templates or is the first
                shard, `templates-NNNNN.parquet`.
            number: of the shard.
            carry: what the next shard needs to be built alone.

        Returns:
            Rows (articles) and counts; what comes out are articles and templates.
        """
        _write(directory / f"pages-{number:05d}.parquet", self._pages_table())
        num_templates = len(self._template_texts)
        if num_templates or not number:
            _write(directory / f"templates-{number:05d}.parquet", self._templates_table())
        num_out = self.num_pages + num_templates
        num_left_out = sum(self._dropped.values()) + len(self._quarantined)
        return ShardOutcome(
            rows=self.num_pages,
            counts={
                "records_in": num_out + num_left_out,
                "records_out": num_out,
                "num_templates": num_templates,
                "num_text_bytes": self._texts.num_bytes,
                "num_template_bytes": self._template_texts.num_bytes,
            },
            dropped=dict(sorted(self._dropped.items())),
            quarantined=self._quarantined,
            carry=carry,
        )

    def _pages_table(self) -> pa.Table:
        columns = [
            integer_column(self._ids),
            integer_column(self._revids),
            self._titles.to_array(),
            self._texts.to_array(),
            integer_column(self._offsets),
        ]
        return pa.Table.from_arrays(columns, schema=PAGES_SCHEMA)

    def _templates_table(self) -> pa.Table:
        columns = [
            self._template_titles.to_array(),
            self._template_texts.to_array(),
            self._template_redirects.to_array(),
            integer_column(self._template_offsets),
        ]
        return pa.Table.from_arrays(columns, schema=TEMPLATES_SCHEMA)


def _write(path: Path, table: pa.Table) -> None:
    write_table(path, table, compression_level=PAGES_ZSTD_LEVEL)
