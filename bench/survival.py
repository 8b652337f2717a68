"""What of an article survives extraction: probes made from wikitext by rule; residues counted.

A probe is a run of words that a reader of the page sees, taken from the wikitext by construct:
plain paragraph, heading, list item, table cell, inline template. It survives if the extracted text
holds the same words in the same order without others between. The rules here know nothing of the
cleaner: they look for places that hold no mark-up at all, so there is nothing to disagree about.

    python -m bench.survival DUMP [--backend native|wikiextractor]
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PARAGRAPH, HEADING, LIST_ITEM, TABLE_CELL = "paragraph", "heading", "list item", "table cell"
TEMPLATES = ("convert", "lang", "quote", "nowrap")
CONSTRUCTS = (PARAGRAPH, HEADING, LIST_ITEM, TABLE_CELL, *TEMPLATES)
TARGETS = {PARAGRAPH: 0.98, HEADING: 0.99, LIST_ITEM: 0.97, TABLE_CELL: 0.95, "templates": 0.90}
MAX_RESIDUES = 20

_MARKUP = re.compile(r"[\[\]{}<>|&=~_#*]|''|https?:|__")
_WORDS = re.compile(r"\w+")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
# What a reader never sees, or sees elsewhere: nothing is probed inside.
_HIDDEN = re.compile(
    r"<!--.*?-->|<ref\b[^>]*/>|<(ref|math|gallery|timeline|imagemap|score|source|syntaxhighlight|pre|"
    r"nowiki|code|table|noinclude|includeonly|poem|hiero|ol|ul|dl|div|chem)\b[^>]*>.*?</\1\s*>|"
    r"\[\[(?:file|image|ファイル|画像|category|media)\s*:[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]",
    re.DOTALL | re.IGNORECASE,
)
_INNERMOST = re.compile(r"\{\{[^{}]*\}\}")
_LINK_TARGET = re.compile(r"\[\[[^\[\]|\n]*\|")
_HEADING = re.compile(r"(=+)\s*(.+?)\s*\1\s*$")
# With the word before: a bare number is found somewhere in any long text.
_CONVERT = re.compile(
    r"(\w+) \{\{\s*(?:convert|cvt)\s*\|\s*(\d[\d,.]*)\s*\|([^{}\[\]]*)\}\}",
    re.IGNORECASE,
)
_INLINE = {
    "lang": re.compile(r"\{\{\s*lang\s*\|[^|{}]*\|([^|{}=\[\]]+)\}\}", re.IGNORECASE),
    "quote": re.compile(r"\{\{\s*(?:quote|blockquote)\s*\|(?:1=)?([^|{}=]+)[|}]", re.IGNORECASE),
    "nowrap": re.compile(r"\{\{\s*nowrap\s*\|([^|{}=\[\]]+)\}\}", re.IGNORECASE),
}
_ATTRIBUTES = re.compile(r"\s*(?:[\w-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s|\"']+)\s*)+$")

_RESIDUES = {
    "links": re.compile(r"\[\[|\]\]"),
    "templates": re.compile(r"\{\{|\}\}|\{\|"),
    "quotes": re.compile(r"'''?(?!')"),
    "hollow punctuation": re.compile(
        r"[(（\[][ \t]*[,;:、，；]|[(（][ \t]*[)）]|[ \t][,;](?=[ \t])|[,;][ \t]*[)）]|,[ \t]*,"
    ),
    "image options": re.compile(r"\b(?:thumb|\d{2,4}px)\b"),
    "tags": re.compile(r"</?(?:[a-z]{1,12}\d?)(?:\s[^<>]*)?/?>", re.IGNORECASE),
    "entities": re.compile(r"&(?:[a-z]{2,10}|#\d+);", re.IGNORECASE),
    "placeholders": re.compile(r"\b(?:formula|codice)_\d+"),
    "magic words": re.compile(r"__[A-Z]{3,}__"),
}


def folded(text: str) -> str:
    """The words of a text alone, joined without white space: what probes are looked up in."""
    return "".join(_WORDS.findall(unicodedata.normalize("NFC", text))).casefold()


def _is_long_enough(text: str, num_words: int) -> bool:
    if _UNSPACED.search(text):
        return len(folded(text)) >= 2 * num_words
    return len(_WORDS.findall(text)) >= num_words


def _plain_runs(line: str, num_words: int) -> Iterable[str]:
    """Runs between mark-up; a word that touches mark-up is left out, since it may go on there."""
    for run in _MARKUP.split(line):
        words = run.split(" ")
        inner = " ".join(words[1:-1]) if len(words) > 2 else ""
        whole = run if run.strip() == line.strip() else inner
        if _is_long_enough(whole, num_words):
            yield whole


def _without_templates(text: str) -> str:
    """Every template is a border: what it shows is for its own probes."""
    num = 1
    while num:
        text, num = _INNERMOST.subn(" [ ", text)
    return _LINK_TARGET.sub(" [ ", text)


def probes_of(wikitext: str) -> dict[str, list[str]]:
    """Construct -> texts that must survive."""
    found: dict[str, list[str]] = defaultdict(list)
    text = _HIDDEN.sub(" [ ", wikitext)
    tables = 0
    for line in _without_templates(text).split("\n"):
        stripped = line.strip()
        if stripped.startswith("{|") or (tables and stripped.startswith("|}")):
            tables = max(0, tables + (1 if stripped.startswith("{|") else -1))
        elif tables:
            found[TABLE_CELL] += _cells(stripped)
        else:
            construct, probes = _line_probes(line)
            found[construct] += probes
    _add_inline(text, found)
    return found


def _line_probes(line: str) -> tuple[str, list[str]]:
    heading = _HEADING.match(line.strip())
    if heading:
        title = heading[2].replace("'''", "").replace("''", "")
        return HEADING, [] if _MARKUP.search(title) else [title]
    if line[:1] in "*#:;":
        return LIST_ITEM, list(_plain_runs(line.lstrip("*#:; "), 3))
    if not line.strip() or line[:1] in " |!{}":
        return PARAGRAPH, []
    return PARAGRAPH, list(_plain_runs(line, 5))


def _cells(line: str) -> list[str]:
    if line[:2] in ("|-", "|+", "|}") or not line.startswith(("|", "!")):
        return []
    cells = re.split(r"\|\||!!" if line[0] == "!" else r"\|\|", line[1:])
    texts = [cell.rpartition("|")[2] if _has_attributes(cell) else cell for cell in cells]
    return [text for text in texts if len(folded(text)) >= 3 and not _MARKUP.search(text)]


def _has_attributes(cell: str) -> bool:
    before, bar, _ = cell.rpartition("|")
    return bool(bar) and _ATTRIBUTES.match(before) is not None


def _add_inline(text: str, found: dict[str, list[str]]) -> None:
    for match in _CONVERT.finditer(_outside_boxes(text)):
        if not re.search(r"flip|out|input|\+|disp", match[3]):
            found["convert"].append(f"{match[1]} {match[2]}")
    for name, pattern in _INLINE.items():
        for match in pattern.finditer(_outside_boxes(text)):
            runs = [run for run in _MARKUP.split(match[1]) if folded(run)]
            found[name] += runs[:1] if len(runs) > 1 else runs


def _depth_change(line: str) -> int:
    return line.count("{{") - line.count("}}")


def _outside_boxes(text: str) -> str:
    """The lines of running text: boxes and tables are templates and tables over several lines."""
    kept, depth, tables = [], 0, 0
    for line in text.split("\n"):
        if line.strip().startswith("{|"):
            tables += 1
        if depth <= 0 and not tables and not line.startswith("|"):
            kept.append(line)
        if line.strip().startswith("|}") and tables:
            tables -= 1
        depth = max(0, depth + _depth_change(line))
    return "\n".join(kept)


def residues_of(text: str) -> Counter[str]:
    """Mark-up and damage left in an extracted text, counted by kind."""
    return Counter({name: len(pattern.findall(text)) for name, pattern in _RESIDUES.items()})


@dataclass
class Survival:
    """Sums over articles."""

    num_probes: Counter[str] = field(default_factory=Counter)
    num_found: Counter[str] = field(default_factory=Counter)
    residues: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, title: str, wikitext: str, text: str) -> None:
        """Count one article's probes and residues."""
        words = folded(text)
        for construct, probes in probes_of(wikitext).items():
            for probe in probes:
                self.num_probes[construct] += 1
                if folded(probe) in words:
                    self.num_found[construct] += 1
                else:
                    self.lost.append((construct, title, probe))
        self.residues += residues_of(text)

    def share(self, *constructs: str) -> float:
        """Share of the probes of some constructs that survived; 1.0 where there is none."""
        total = sum(self.num_probes[name] for name in constructs)
        return sum(self.num_found[name] for name in constructs) / total if total else 1.0

    @property
    def num_residues(self) -> int:
        """All residues."""
        return sum(self.residues.values())


def measure_texts(wikitexts: Mapping[int, tuple[str, str]], texts: Mapping[int, str]) -> Survival:
    """Compare (title, wikitext) by page id with extracted texts by page id."""
    survival = Survival()
    for page_id, (title, wikitext) in wikitexts.items():
        survival.add(title, wikitext, texts.get(page_id, ""))
    return survival


def survival_of(dump: Path, *, backend: str) -> Survival:
    """Extract a dump with a backend of ours, everything kept that it can keep, and measure."""
    import pyarrow.parquet as pq

    from headrace.artifacts import Runtime, Store
    from headrace.artifacts.sources import open_source
    from headrace.corpus.articles import ARTICLES, ArticlesConfig
    from headrace.corpus.pages import PAGES, PagesConfig

    with tempfile.TemporaryDirectory(prefix="headrace-survival-") as home:
        store = Store(Runtime(home=Path(home), num_workers=1))
        source = open_source(store, dump).artifact
        pages = store.open_or_build(PAGES, PagesConfig(), {"source": source}).artifact
        keep = {"keep": ("tables",)} if backend == "native" else {}
        config = ArticlesConfig.model_validate({"backend": backend, **keep})
        articles = store.open_or_build(ARTICLES, config, {"pages": pages}).artifact
        wikitexts = {
            row["id"]: (row["title"], row["text"])
            for path in pages.files("pages-*.parquet")
            for row in pq.read_table(path).to_pylist()
        }
        texts = {
            row["id"]: row["text"]
            for path in articles.files("articles-*.parquet")
            for row in pq.read_table(path).to_pylist()
        }
        return measure_texts(wikitexts, texts)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="what survives extraction, by construct")
    parser.add_argument("dump", type=Path)
    parser.add_argument("--backend", default="native")
    parser.add_argument("--lost", type=int, default=0, metavar="N", help="show N lost probes each")
    arguments = parser.parse_args()
    survival = survival_of(arguments.dump, backend=arguments.backend)
    for construct in CONSTRUCTS:
        share, total = survival.share(construct), survival.num_probes[construct]
        print(f"{construct:12} {share:8.2%} of {total}")
        for _, title, probe in [item for item in survival.lost if item[0] == construct][
            : arguments.lost
        ]:
            print(f"    lost: {title!r}: {probe[:100]!r}")
    print(f"templates    {survival.share(*TEMPLATES):8.2%}")
    print(f"residues     {survival.num_residues}: {dict(+survival.residues)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
