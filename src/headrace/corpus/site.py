"""`siteinfo.json`: what is known of the wiki, handed from stage to stage beside the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from headrace.artifacts import Artifact
from headrace.errors import CorruptInputError

SITEINFO_NAME = "siteinfo.json"


@dataclass(frozen=True, kw_only=True)
class Site:
    """The wiki a dump comes from; "" where the dump does not say.

    Attributes:
        lang: language code ("en", "ja"); never "".
        dbname: as "enwiki".
        sitename: as "Wikipedia".
        base: URL of the main page.
        namespaces: number, as text, -> local name ({"6": "ファイル"}), as siteinfo lists them; the
            main namespace is "0": "".
    """

    lang: str
    dbname: str = ""
    sitename: str = ""
    base: str = ""
    # A dict has no hash; the other fields tell sites apart well enough for one.
    namespaces: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_json(self) -> bytes:
        """The content of `siteinfo.json`."""
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True)
        return (text + "\n").encode("utf-8")

    def article_url(self, page_id: int) -> str:
        """The address of a page by its id, which outlives renaming; relative without a base."""
        return f"{self.base.rpartition('/')[0]}?curid={page_id}"


def load_site(artifact: Artifact) -> Site:
    """Read the `siteinfo.json` of a pages, articles, sentences or splits artifact.

    Raises:
        CorruptInputError: it is not what `Site.to_json` writes.
    """
    path = artifact.file(SITEINFO_NAME)
    try:
        site = Site(**json.loads(path.read_bytes()))
        names = dict(site.namespaces)
        is_text = all(isinstance(text, str) for text in (*names, *names.values()))
    except (ValueError, TypeError) as error:
        raise CorruptInputError(f"{path}: a site description was expected; {error}") from None
    if not is_text:
        raise CorruptInputError(
            f"{path}: a site description was expected; its namespaces are not numbers and names"
        )
    return site
