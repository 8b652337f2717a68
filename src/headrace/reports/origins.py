"""The sections on where it all comes from: lineage down to the raw bytes, settings, versions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.artifacts import Artifact
from headrace.artifacts.lineage import LineageNode, raw_inputs, trace
from headrace.reports.contents import Contents
from headrace.reports.markup import Child, Html, details, table, tag
from headrace.reports.wording import duration, is_number, plural, short, size

MAX_RAW_INPUTS = 50
MAX_CONFIG_CHARACTERS = 100_000


def lineage(contents: Contents) -> Html | None:
    """From what nothing else of this run was made from, back to the bytes of the raw input."""
    artifacts = list(contents.artifacts())
    used = {(link.stage, link.key) for item in artifacts for link in item.manifest.inputs.values()}
    ends = [item for item in artifacts if (item.stage, item.key) not in used]
    shown: set[str] = set()
    trees = [_branch(trace(contents.store, item), shown) for item in reversed(ends)]
    return tag("div", tag("ul", trees, class_="tree"), class_="card") if trees else None


def _branch(node: LineageNode, shown: set[str]) -> Html:
    """An artifact and what is below it; the second time it is only named."""
    link = node.link
    role = (
        tag("span", f"{node.role}: ", class_="muted") if node.role not in ("", link.stage) else ""
    )
    words: list[Child] = [role, tag("b", link.stage), " ", short(link.digest)]
    if node.artifact is None:
        note = tag("span", " no longer in the store", class_="bad")
        return tag("li", words, note)
    if link.digest in shown:
        return tag("li", words, tag("span", " as above", class_="muted"))
    shown.add(link.digest)
    words.append(tag("span", f" key {link.key[:12]}", class_="muted key"))
    below = [_raw(raw) for raw in raw_inputs(node.artifact)[:MAX_RAW_INPUTS]]
    more = len(raw_inputs(node.artifact)) - MAX_RAW_INPUTS if node.artifact else 0
    below += [tag("li", f"and {plural(more, 'further file')}")] if more > 0 else []
    below += [_branch(item, shown) for item in node.inputs]
    return tag("li", words, tag("ul", below) if below else None)


def _raw(raw: Mapping[str, Any]) -> Html:
    path, name, num_bytes = raw["path"], raw["name"], raw["bytes"]
    where = f"{path}" if name == "content" else f"{path}/{name}"
    length = size(num_bytes) if is_number(num_bytes) else "?"
    digest = tag("code", f"sha256 {raw['sha256']}")
    return tag("li", tag("span", where, class_="path"), f" ({length}) ", digest, class_="raw")


def settings(contents: Contents) -> Html | None:
    """The whole configuration, folded."""
    if not contents.record.config:
        return None
    text = json.dumps(contents.record.config, indent=1, ensure_ascii=False, default=str)
    return details("The pipeline's whole configuration", tag("pre", text[:MAX_CONFIG_CHARACTERS]))


def provenance_of(artifacts: Iterable[Artifact], name: str) -> list[str]:
    """What the artifacts' provenance says under a name, each value once, the newest first."""
    found = sorted(
        ((str(item.manifest.provenance.get("finished", "")), item) for item in artifacts),
        key=lambda pair: pair[0],
        reverse=True,
    )
    values = [item.manifest.provenance.get(name) for _, item in found]
    return list(dict.fromkeys(str(value) for value in values if value))


def makers(contents: Contents) -> Html | None:
    """Where, when and by what each artifact was made; the versions of all packages."""
    artifacts = list(contents.artifacts())
    if not artifacts:
        return None
    rows: list[list[Child]] = []
    versions: dict[str, dict[str, None]] = {}
    for item in artifacts:
        made = item.manifest.provenance
        seconds = made.get("seconds")
        rows.append(
            [
                tag("th", item.stage, scope="row"),
                tag("td", str(made.get("finished", ""))[:19].replace("T", " "), class_="nowrap"),
                duration(seconds) if is_number(seconds) else "",
                made.get("num_workers"), made.get("num_resumed_shards"), made.get("host"),
                _commit(str(made.get("git_commit") or "")),
            ]
        )  # fmt: skip
        given = made.get("versions")
        own = {name: str(given[name]) for name in given} if isinstance(given, Mapping) else {}
        for name, version in {**item.manifest.packages, **own}.items():
            versions.setdefault(str(name), {})[str(version)] = None
    header = ("stage", "made (UTC)", "in", "workers", "shards resumed", "host", "git commit")
    packages = [
        [tag("th", name, scope="row"), ", ".join(found)] for name, found in sorted(versions.items())
    ]
    return tag(
        "div",
        details(
            "Where and when each artifact was made",
            table(header, rows, right=(2, 3, 4), of="where and when"),
        ),
        details("Package versions", table(("package", "version"), packages, of="package versions")),
    )  # fmt: skip


def _commit(text: str) -> Html:
    commit, dash, dirty = text.partition("-")
    return tag("code", commit[:10] + dash + dirty, title=text)
