"""Settings of the stage "articles"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from headrace.artifacts.fingerprint import package_versions
from headrace.config import StageConfig

if TYPE_CHECKING:
    from headrace.corpus.wikitext.cleaner import CleanerOptions

WIKIEXTRACTOR = "wikiextractor"
DEFAULT_KEEP = ("paragraphs", "headings", "lists")
CONSTRUCTS = (*DEFAULT_KEEP, "tables", "captions", "code")
"""`wikitext.cleaner.KEEPABLE`, which is not imported here: its patterns take long to compile."""

Construct = Literal["paragraphs", "headings", "lists", "tables", "captions", "code"]


def _split_names(value: Any) -> Any:
    """Take "lists, tables" for ["lists", "tables"]; a name given twice counts once."""
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",") if name.strip()]
    if isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(name, str) for name in value
    ):
        known = [name for name in CONSTRUCTS if name in value]
        return [*known, *sorted(set(value) - set(CONSTRUCTS))]
    return value


Constructs = Annotated[tuple[Construct, ...], BeforeValidator(_split_names)]


class ArticlesConfig(StageConfig):
    """Settings of extraction."""

    backend: Literal["native", "wikiextractor"] = Field(
        default="native",
        description="what turns wikitext into text: Headrace's own cleaner, or the program "
        "wikiextractor, which keeps no lists, tables or inline templates",
    )
    wikiextractor_version: str | None = Field(
        default=None,
        min_length=1,
        description="release of the program that backend wikiextractor runs; filled in from what "
        "is installed, since its texts depend on it",
    )
    keep: Constructs = Field(
        default=(),
        description="what to keep beside paragraphs, headings and lists: tables, captions, code; a "
        "list, or names with commas between",
    )
    drop: Constructs = Field(
        default=(),
        description="which of paragraphs, headings and lists to leave out; a list, or names with "
        "commas between",
    )
    math: Literal["source", "placeholder", "drop"] = Field(
        default="source", description="formulas as their TeX source, as a placeholder, or left out"
    )
    sections: bool = Field(
        default=False,
        description="also write the column sections: level, title and first character of each",
    )
    keep_empty_sections: bool = Field(
        default=True, description="keep the heading of a section of which nothing else is left"
    )
    expand_templates: bool = Field(
        default=True,
        description="expand the templates that the dump defines; built-in ones (convert, lang, "
        "quote, ...) are expanded by the native backend in any case",
    )
    max_page_characters: int = Field(
        default=20_000_000,
        ge=1,
        le=1 << 30,
        description="characters a page may have after its templates are expanded; MediaWiki allows "
        "2 MiB ($wgMaxArticleSize), so ten times that is a template bomb",
    )
    max_expansions: int = Field(
        default=200_000,
        ge=1,
        description="templates and parser functions one page may call; MediaWiki stops at "
        "1,000,000 preprocessor nodes, a few for each call",
    )
    max_page_seconds: float = Field(
        default=60.0,
        gt=0,
        le=1e6,
        description="seconds after which a page is given up (native), or the program counts as "
        "hung (wikiextractor); ordinary pages take milliseconds",
    )
    max_quarantined_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the pages that the backend may fail on before the stage fails; a "
        "single one is always let pass unless this is 0",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_version(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("backend") == WIKIEXTRACTOR:
            asked = values.get("wikiextractor_version")
            installed = package_versions((WIKIEXTRACTOR,))[WIKIEXTRACTOR]
            if asked not in (None, installed):
                raise ValueError(
                    f"wikiextractor_version={asked} was asked for; {installed} is installed: "
                    "install that release, or leave the setting out"
                )
            return {**values, "wikiextractor_version": installed}
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        both = sorted(set(self.keep) & set(self.drop))
        if both:
            raise ValueError(f"{', '.join(both)}: both to be kept and to be dropped; choose one")
        if not self.kept():
            raise ValueError("nothing is kept; keep or do not drop one of " + ", ".join(CONSTRUCTS))
        if self.backend == WIKIEXTRACTOR:
            self._check_program_can()
        elif self.wikiextractor_version is not None:
            raise ValueError("wikiextractor_version goes with backend=wikiextractor only")
        return self

    def _check_program_can(self) -> None:
        asked = [
            f"{name}={_spell(getattr(self, name))}"
            for name in _NATIVE_ONLY
            if getattr(self, name) != type(self).model_fields[name].default
        ]
        if asked:
            raise ValueError(
                f"backend=wikiextractor cannot do {', '.join(asked)}: it keeps paragraphs and the "
                "headings of sections that have some, and nothing else; leave these out, or take "
                "backend=native"
            )

    def kept(self) -> frozenset[str]:
        """The constructs that are kept."""
        return frozenset(DEFAULT_KEEP).union(self.keep).difference(self.drop)

    def describe_kept(self) -> str:
        """The constructs that are kept, in words."""
        if self.backend == WIKIEXTRACTOR:
            return f"paragraphs and headings, by wikiextractor {self.wikiextractor_version}"
        return ", ".join(name for name in CONSTRUCTS if name in self.kept())

    def cleaner_options(self) -> CleanerOptions:
        """The part of the settings that the native cleaner takes."""
        from headrace.corpus.wikitext.cleaner import CleanerOptions

        return CleanerOptions(
            keep=self.kept(),
            math=self.math,
            keep_empty_sections=self.keep_empty_sections,
            max_page_characters=self.max_page_characters,
            max_expansions=self.max_expansions,
        )


_NATIVE_ONLY = (
    "keep", "drop", "math", "sections", "keep_empty_sections", "max_page_characters",
    "max_expansions",
)  # fmt: skip


def _spell(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value).lower()
