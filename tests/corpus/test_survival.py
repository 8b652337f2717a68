"""What a reader of a page sees is in the extracted text: probes made by rule, not by the cleaner.

The English sample and the Japanese dump are real; pages in more languages are put together from
words and mark-up, so that what must come out is known from how they were made.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from dump_building import ENGLISH_DUMP

from bench.survival import (
    HEADING,
    LIST_ITEM,
    MAX_RESIDUES,
    PARAGRAPH,
    TABLE_CELL,
    TARGETS,
    TEMPLATES,
    Survival,
    folded,
    residues_of,
    survival_of,
)
from headrace.corpus.site import Site
from headrace.corpus.wikitext.cleaner import KEEPABLE, Cleaner, CleanerOptions
from headrace.corpus.wikitext.templates import TemplateLibrary

WORDS = {
    "de": "Der Fluß entspringt über dem Gebirge und mündet später größtenteils in Österreich",
    "ru": "Город расположен на берегу реки и известен своей древней крепостью ещё с прошлого века",
    "bg": "Градът се намира в подножието на планината и има дълга история още от древността",
    "ar": "تقع المدينة على ضفاف النهر وهي معروفة بقلعتها القديمة منذ القرن الماضي",
    "hi": "यह नगर नदी के किनारे बसा हुआ है और अपने पुराने किले के लिए प्रसिद्ध है",
    "el": "Η πόλη βρίσκεται στις όχθες του ποταμού και είναι γνωστή για το αρχαίο κάστρο",
    "fr": "La rivière naît près du château où l’été dernier plusieurs œuvres furent présentées",
    "tr": "İlçe nehrin kıyısında yer alır ve eski kalesiyle çok uzun süredir ünlüdür",
    "vi": "Thành phố nằm bên bờ sông và nổi tiếng với pháo đài cổ từ thế kỷ trước",
    "ko": "도시는 강가에 자리 잡고 있으며 지난 세기부터 오래된 성으로 널리 알려져 있다",
    "zh": "城市 位于 河流 岸边 以其 古老 城堡 闻名 自 上 世纪 以来 人口 众多",
    "ja": "都市 は 川 の 岸辺 に 位置 し 古い 城 で 知ら れ て いる",
}
NAMESPACES = {"de": "Datei", "ru": "Файл", "bg": "Файл", "fr": "Fichier", "ja": "ファイル"}
UNSPACED = {"zh", "ja"}


def _page(lang: str, seed: int) -> tuple[str, dict[str, list[str]]]:
    """Wikitext of a made-up page, and what must survive by construct."""
    chance = random.Random(f"{lang}-{seed}")
    words = WORDS[lang].split()
    join = "" if lang in UNSPACED else " "

    def some(low: int, high: int) -> str:
        return join.join(chance.choice(words) for _ in range(chance.randint(low, high)))

    expected: dict[str, list[str]] = {
        name: [] for name in (PARAGRAPH, HEADING, LIST_ITEM, TABLE_CELL, "lang", "nowrap")
    }

    def keep(construct: str, text: str) -> str:
        expected[construct].append(text)
        return text

    def inline() -> str:
        label, target = some(1, 3), some(1, 2)
        image = f"[[{NAMESPACES.get(lang, 'File')}:{target}.jpg|thumb|220px|[[{target}]]]]"
        construct, before, after = chance.choice(
            [
                (PARAGRAPH, f"[[{target}|", "]]"),
                (PARAGRAPH, "'''", "'''"),
                (PARAGRAPH, "<small>", "</small>"),
                (PARAGRAPH, "[https://example.org/a ", "]"),
                ("lang", "{{lang|en|", "}}"),
                ("nowrap", "{{nowrap|", "}}"),
                ("", f"<ref name=x>{target}</ref>", ""),
                ("", f"<!-- {target} -->", ""),
                ("", f"{{{{{target}|{target}}}}}", ""),
                ("", image, ""),
            ]
        )
        return before + keep(construct, label) + after if construct else before

    def paragraph() -> str:
        parts = [part for _ in range(3) for part in (keep(PARAGRAPH, some(3, 8)), inline())]
        return " ".join(parts) + "."

    def table() -> Iterator[str]:
        yield '{| class="wikitable"'
        for _ in range(3):
            yield "|- style='color:red'"
            yield f"! scope=row | {keep(TABLE_CELL, some(1, 2))}"
            yield f"| {keep(TABLE_CELL, some(1, 2))} || [[X|{keep(TABLE_CELL, some(1, 2))}]]"
        yield "|}"

    lines = [paragraph(), ""]
    for level in (2, 3, 2):
        bar = "=" * level
        lines += [f"{bar} {keep(HEADING, some(1, 4))} {bar}", paragraph(), ""]
        lines += [f"{chance.choice('*#')} {keep(LIST_ITEM, some(2, 6))}" for _ in range(4)]
        lines += [f"** {keep(LIST_ITEM, some(2, 4))} {inline()}", "", *table(), paragraph()]
    lines.append(f"[[Category:{some(1, 2)}]]")
    return "\n".join(lines), expected


@pytest.mark.parametrize("lang", sorted(WORDS))
def test_all_of_a_made_up_page_survives(lang: str) -> None:
    namespaces = {"6": NAMESPACES.get(lang, "File")}
    options = CleanerOptions(keep=frozenset(KEEPABLE) - {"captions"})
    cleaner = Cleaner(Site(lang=lang, namespaces=namespaces), options, TemplateLibrary())
    for seed in range(5):
        wikitext, expected = _page(lang, seed)
        text = cleaner.clean("Title", wikitext).text
        words = folded(text)
        lost = {
            construct: [probe for probe in probes if folded(probe) not in words]
            for construct, probes in expected.items()
        }
        assert not any(lost.values()), (lost, text)
        assert not +residues_of(text), text


def _check(survival: Survival, max_residues: int) -> None:
    reached = {
        name: survival.share(*(TEMPLATES if name == "templates" else (name,))) for name in TARGETS
    }
    assert all(reached[name] >= TARGETS[name] for name in TARGETS), reached
    assert survival.num_residues <= max_residues, survival.residues


def test_the_english_sample_survives() -> None:
    survival = survival_of(ENGLISH_DUMP, backend="native")
    assert survival.num_probes[PARAGRAPH] > 10_000
    _check(survival, MAX_RESIDUES)


def test_the_japanese_dump_survives(shared: Path) -> None:
    dump = shared / "data/dumps/jawiki_wp2txt_testdata.xml.bz2"
    survival = survival_of(dump, backend="native")
    assert survival.num_probes[LIST_ITEM] > 5_000
    _check(survival, MAX_RESIDUES)
