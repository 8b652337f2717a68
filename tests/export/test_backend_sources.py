"""A repository carries the backend's sources, so changing them must change its stage's version."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from headrace.export.triton_repository import BACKEND_SOURCES, TRITON_REPOSITORY, backend_source

RECORD = Path(__file__).resolve().parents[1] / "data" / "backend_sources.json"


def test_changed_backend_raises_the_stage_version() -> None:
    digest = hashlib.sha256()
    for source in sorted(BACKEND_SOURCES.values()):
        digest.update(backend_source(source).read_bytes())
    found = {"version": TRITON_REPOSITORY.version, "sha256": digest.hexdigest()}
    assert json.loads(RECORD.read_text()) == found, (
        "the backend's sources changed: raise TRITON_REPOSITORY.version (once a landing is enough) "
        f"and write {found} to {RECORD.name}"
    )
