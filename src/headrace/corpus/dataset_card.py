"""A dataset card: the README.md beside a corpus, as the Hugging Face hub reads it.

Front matter in YAML (licence, languages, size, which files hold the data), then what it is, where
it comes from, what may be done with it, how much there is and how to load it. Titles and sources
come from dumps and users: in the front matter they are quoted by a YAML writer, below it escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from headrace import markdown
from headrace.corpus.site import Site
from headrace.counts import TextCounts, main_languages

CARD_NAME = "README.md"
WIKIPEDIA_LICENCE = "cc-by-sa-4.0"
WIKIPEDIA_LICENCE_URL = "https://creativecommons.org/licenses/by-sa/4.0/"
KNOWN_LICENCES = frozenset(
    ("apache-2.0", "mit", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
     "cc-by-nc-4.0", "gfdl", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "bsd-2-clause",
     "bsd-3-clause", "mpl-2.0", "odc-by", "odbl", "pddl", "unlicense", "unknown", "other")
)  # fmt: skip
"""Those of the hub's identifiers that corpora have; all others go under "other" with their name."""
SIZES = (
    (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"),
    (10**11, "10B<n<100B"), (10**12, "100B<n<1T"),
)  # fmt: skip
LARGEST_SIZE = "n>1T"
_SHARD_NUMBERS = re.compile(r"\d{5}(-of-\d{5})?(?=\.)")
# What YAML cannot hold as it is, beside what no reader can see.
_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """What a card says beside what is counted.

    Attributes:
        title: name of the corpus, any text.
        licence: the hub's identifier ("cc-by-sa-4.0", "mit", "unknown"), or any other name.
        licence_url: where its text is.
        languages: codes; empty to take those that were counted.
        source: where the texts come from: a name, a URL or both.
        description: what the corpus is, a few sentences.
        attribution: who is to be named, and how.
    """

    title: str
    licence: str
    licence_url: str = ""
    languages: Sequence[str] = ()
    source: str
    description: str
    attribution: str = ""


def wikipedia_card(site: Site, description: str) -> DatasetCard:
    """The card of a corpus made from a wiki of the Wikimedia foundation."""
    name = site.sitename or site.dbname or "Wikipedia"
    return DatasetCard(
        title=f"{name} ({site.lang})",
        licence=WIKIPEDIA_LICENCE,
        licence_url=WIKIPEDIA_LICENCE_URL,
        languages=(site.lang,),
        source=" ".join(part for part in (name, site.base) if part),
        description=description,
        attribution=f"Text by the authors of {name}; each document's url leads to its page, whose "
        "history names them. Texts made from it must be shared alike.",
    )


def render_card(
    card: DatasetCard,
    found: TextCounts,
    file_names: Iterable[str],
    left_out: Mapping[str, int] | None = None,
) -> str:
    """The README.md of a corpus.

    Args:
        card: what is not counted.
        found: what is.
        file_names: names of the data files, relative to the card.
        left_out: number of records that are not in the corpus, by reason.

    Returns:
        Markdown with YAML front matter.
    """
    import yaml

    card = _printable(card)
    patterns = data_patterns(file_names)
    # `width`: folded lines are valid too, but some readers of front matter go line by line.
    front = yaml.safe_dump(
        _front_matter(card, found, patterns), allow_unicode=True, sort_keys=False, width=10_000
    )
    return f"---\n{front}---\n\n{_body(card, found, patterns, left_out or {})}"


def _printable(card: DatasetCard) -> DatasetCard:
    texts = {key: value for key, value in vars(card).items() if isinstance(value, str)}
    return replace(
        card,
        **{
            key: " ".join(_UNPRINTABLE.sub("\ufffd", markdown.visible(text)).split())
            for key, text in texts.items()
        },
    )


def data_patterns(file_names: Iterable[str]) -> dict[str, str]:
    """Globs of the data files by split, of one format alone: Parquet, else JSON lines, else text.

    Files in a folder of the name of a split are that split; all others are "train", as the hub has
    it. {} where no file's name tells its format.
    """
    names = list(file_names)
    for suffixes in ((".parquet",), (".jsonl", ".json"), (".txt",)):
        globs: dict[str, str] = {}
        for name in names:
            path = PurePosixPath(name)
            if any(suffix in path.suffixes[-2:] for suffix in suffixes):
                folder = path.parts[0] if len(path.parts) > 1 else ""
                split = folder if folder in ("train", "valid", "test") else "train"
                glob = _SHARD_NUMBERS.sub("*", name)
                # Some shards and a single file beside them: the shards are the data.
                if split not in globs or ("*" in glob and "*" not in globs[split]):
                    globs[split] = glob
        if globs:
            return globs
    return {}


def _front_matter(
    card: DatasetCard, found: TextCounts, patterns: Mapping[str, str]
) -> dict[str, Any]:
    codes = list(card.languages) or list(found.languages)
    plain = [code for code in codes if re.fullmatch("[a-z]{2,3}|code", code)]
    tagged = [code for code in codes if re.fullmatch("[a-z]{2,3}(-[A-Za-z0-9]{2,8})+", code)]
    size = next((name for most, name in SIZES if found.num_documents < most), LARGEST_SIZE)
    known = card.licence.lower() in KNOWN_LICENCES
    front: dict[str, Any] = {"license": card.licence.lower() if known else "other"}
    if not known:
        front["license_name"] = re.sub("[^a-z0-9.]+", "-", card.licence.lower()).strip("-") or "-"
        front |= {"license_link": card.licence_url} if card.licence_url else {}
    front |= {"language": sorted(set(plain))} if plain else {}
    front |= {"language_bcp47": sorted(set(tagged))} if tagged else {}
    front |= {
        "pretty_name": card.title,
        "size_categories": [size],
        "task_categories": ["text-generation"],
    }
    if patterns:
        files = [
            {"split": "validation" if split == "valid" else split, "path": glob}
            for split, glob in patterns.items()
        ]
        front["configs"] = [{"config_name": "default", "data_files": files}]
    return front


def _body(
    card: DatasetCard,
    found: TextCounts,
    patterns: Mapping[str, str],
    left_out: Mapping[str, int],
) -> str:
    licence = [card.licence, card.licence_url]
    parts = [
        f"# {markdown.escaped(card.title)}\n",
        f"{markdown.escaped(card.description)}\n",
        "## Source and licence\n",
        f"Source: {_linked(card.source)}\n",
        f"Licence: {_linked(' '.join(text for text in licence if text))}\n",
        f"{_linked(card.attribution)}\n" if card.attribution else "",
        "## Contents\n",
        markdown.table(("what", "number"), _totals(found)),
        "Lengths in bytes of UTF-8:\n" if found.lengths else "",
        markdown.table(("at most", "documents"), _lengths(found)) if found.lengths else "",
        "Records of the source that are not in it, by reason:\n" if left_out else "",
        markdown.table(("reason", "records"), _pairs(left_out.items())) if left_out else "",
        _how_to_load(patterns),
        "`manifest.json` tells what it was made from and with which settings.\n",
    ]
    return "\n".join(part for part in parts if part)


def _totals(found: TextCounts) -> list[list[str]]:
    totals = {
        "documents": found.num_documents,
        "characters": found.num_characters,
        "bytes of text": found.num_bytes,
    }
    languages = [(f"documents, language {code}", num) for code, num in main_languages(found)]
    return _pairs([*totals.items(), *languages])


def _lengths(found: TextCounts) -> list[list[str]]:
    return [[f"{bound:,}", f"{num:,}"] for bound, num in found.lengths]


def _pairs(items: Iterable[tuple[str, int]]) -> list[list[str]]:
    return [[name, f"{num:,}"] for name, num in items]


def _linked(text: str) -> str:
    """Text with its web addresses as links; all else means nothing."""
    words = [
        f"<{word}>" if re.fullmatch(r"https?://[^\s<>]+", word) else markdown.escaped(word)
        for word in text.split()
    ]
    return " ".join(words)


def _how_to_load(patterns: Mapping[str, str]) -> str:
    if not patterns:
        return ""
    return (
        "## How to load it\n\n```python\nfrom datasets import load_dataset\n\n"
        'data = load_dataset("PATH_OF_THIS_FOLDER")\n'
        "```\n"
    )
