"""What stages hand each other: a directory with data files and, written last, `manifest.json`.

The manifest is the commit: while it is missing the artifact is unfinished. Its digest covers the
format, the data files and the counts; provenance, reports and quarantine stay outside, so a second
run elsewhere gives the same digest.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headrace.artifacts.files import read_json
from headrace.artifacts.fingerprint import content_digest, stage_key
from headrace.artifacts.measures import Measure, Size
from headrace.errors import IncompleteArtifactError, MissingInputError

MANIFEST_NAME = "manifest.json"
MANIFEST_VERSION = 1
DROPPED = "dropped."
QUARANTINED = "quarantined."


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage's fixed part; one constant beside each writer.

    Attributes:
        name: part of the key and the directory below the store.
        version: raised in the commit that changes what the stage writes.
        format: name of what it writes, part of the digest; `docs/formats.md` describes it.
        packages: distributions whose version determines the bytes.
        write: called as `write(config=..., out=Build, **inputs)`.
        measure: how its work and output are measured, for plans; no part of its identity.
    """

    name: str
    version: int
    format: str
    packages: tuple[str, ...]
    write: Callable[..., None]
    measure: Measure = field(default_factory=Measure)


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file: name relative to the artifact (posix), size in bytes, hex sha256."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class InputLink:
    """Which artifact an input was: stage, key and content digest."""

    stage: str
    key: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of `manifest.json`; see docs/formats.md for each key."""

    stage: str
    version: int
    format: str
    key: str
    digest: str
    config: Mapping[str, Any]
    packages: Mapping[str, str]
    inputs: Mapping[str, InputLink]
    counts: Mapping[str, int]
    files: tuple[FileEntry, ...]
    extras: tuple[FileEntry, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `write_json`."""
        return {"headrace_manifest": MANIFEST_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, value: Any, *, path: Path) -> Manifest:
        """Read plain values back.

        Raises:
            IncompleteArtifactError: a key is missing, or the digest or the stage's key does not
                follow from the rest.
        """
        try:
            fields = {key: value[key] for key in cls.__dataclass_fields__}
            fields["inputs"] = {key: InputLink(**link) for key, link in fields["inputs"].items()}
            fields["files"] = tuple(FileEntry(**entry) for entry in fields["files"])
            fields["extras"] = tuple(FileEntry(**entry) for entry in fields["extras"])
            manifest = cls(**fields)
            expected = manifest.content_digest()
            expected_key = manifest.expected_key()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise IncompleteArtifactError(
                f"{path}: this is no Headrace manifest ({error!r}): run the pipeline again"
            ) from None
        if manifest.digest != expected:
            raise IncompleteArtifactError(
                f"{path}: its digest {manifest.digest[:12]} does not follow from its entries "
                f"({expected[:12]}): the manifest was changed; run the pipeline again"
            )
        if manifest.key != expected_key:
            raise IncompleteArtifactError(
                f"{path}: its key {manifest.key[:12]} does not follow from its stage, config, "
                f"inputs and packages ({expected_key[:12]}): the manifest was changed; run the "
                "pipeline again"
            )
        return manifest

    def expected_key(self) -> str:
        """The key that follows from stage, version, config, inputs and packages."""
        return stage_key(
            name=self.stage,
            version=self.version,
            config=self.config,
            inputs={name: link.digest for name, link in self.inputs.items()},
            packages=self.packages,
        )

    def content_digest(self) -> str:
        """The digest that follows from format, files and counts."""
        files = [(entry.name, entry.bytes, entry.sha256) for entry in self.files]
        return content_digest(format_name=self.format, files=files, counts=self.counts)


def _counts_below(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in counts.items()
        if name.startswith(prefix)
    }


@dataclass(frozen=True)
class Artifact:
    """A finished artifact on disk. `open_artifact` makes one from a directory."""

    path: Path
    manifest: Manifest

    @property
    def stage(self) -> str:
        """Name of the stage that wrote it."""
        return self.manifest.stage

    @property
    def key(self) -> str:
        """Key of the run that wrote it."""
        return self.manifest.key

    @property
    def digest(self) -> str:
        """Hex sha256 of its content."""
        return self.manifest.digest

    @property
    def format(self) -> str:
        """Name of its format."""
        return self.manifest.format

    @property
    def counts(self) -> Mapping[str, int]:
        """All counts, `dropped.<reason>` and `quarantined.<reason>` among them."""
        return self.manifest.counts

    @property
    def dropped(self) -> dict[str, int]:
        """Number of records left out on purpose, by reason."""
        return _counts_below(self.counts, DROPPED)

    @property
    def quarantined(self) -> dict[str, int]:
        """Number of bad records put aside, by reason."""
        return _counts_below(self.counts, QUARANTINED)

    @property
    def num_bytes(self) -> int:
        """Size of all data files in bytes."""
        return sum(entry.bytes for entry in self.manifest.files)

    @property
    def size(self) -> Size:
        """Bytes and counts, as plans take them."""
        return Size(num_bytes=self.num_bytes, counts=self.counts)

    def link(self) -> InputLink:
        """How another manifest names this artifact."""
        return InputLink(stage=self.stage, key=self.key, digest=self.digest)

    def file(self, name: str) -> Path:
        """Path of one data file.

        Raises:
            MissingInputError: the manifest lists no such file; the message lists what there is.
        """
        if all(entry.name != name for entry in self.manifest.files):
            known = ", ".join(entry.name for entry in self.manifest.files[:12])
            raise MissingInputError(
                f"{self.path}: a '{self.stage}' artifact with a file {name} was expected; "
                f"it holds {known or 'no file'}"
            )
        return self.path / name

    def files(self, pattern: str = "*") -> list[Path]:
        """Paths of the data files whose relative name matches `pattern` (fnmatch), sorted."""
        names = sorted(entry.name for entry in self.manifest.files)
        return [self.path / name for name in names if fnmatch.fnmatchcase(name, pattern)]

    def extra(self, name: str) -> Path:
        """Path of a report or plot beside the data; it may be missing."""
        return self.path / name


def open_artifact(path: Path) -> Artifact:
    """Open a directory that holds a finished artifact; its bytes are not checked here.

    Raises:
        MissingInputError: there is no such directory.
        IncompleteArtifactError: it has no manifest, or one that does not hold.
    """
    if not path.is_dir():
        raise MissingInputError(f"{path}: an artifact directory was expected; there is none")
    value = read_json(path / MANIFEST_NAME)
    if value is None:
        raise IncompleteArtifactError(
            f"{path}: no readable {MANIFEST_NAME}, so this is not a finished artifact: run the "
            "command that writes it again"
        )
    return Artifact(path, Manifest.from_json(value, path=path / MANIFEST_NAME))
