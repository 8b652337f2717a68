"""Files and folders whose names hide the modules that programs started beside them need."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from headrace.diagnosis.findings import Finding

PACKAGES = frozenset({
    "accelerate", "datasets", "fastapi", "headrace", "matplotlib", "numpy", "packaging", "pandas",
    "prefect", "pyarrow", "pydantic", "safetensors", "sentencex", "tensorboard", "tokenizers",
    "torch", "transformers", "triton", "tritonclient", "wikiextractor", "yaml",
})  # fmt: skip
# Modules of Python that nothing of ours or below it imports.
UNUSED = frozenset({"antigravity", "idlelib", "lib2to3", "test", "this", "turtle", "turtledemo"})


def _is_installed(name: str, search_path: Sequence[str], without: Path) -> bool:
    """Whether a regular package or module of that name lies elsewhere on the path."""
    elsewhere = [entry for entry in search_path if Path(entry or ".").resolve() != without]
    found = PathFinder.find_spec(name, elsewhere)
    return found is not None and found.origin is not None


def _hidden_by(entry: Path, search_path: Sequence[str]) -> str | None:
    """The name of the module that a directory entry hides from programs started there."""
    name = entry.stem if entry.suffix == ".py" else entry.name
    if entry.is_dir():
        if name not in PACKAGES | sys.stdlib_module_names:
            return None
        if (entry / "__init__.py").exists():
            return name
        # A folder without __init__.py counts only where no regular package has its name. With
        # torch for CPU there is no `triton`, and torch takes such a folder for it.
        is_bare = name == "triton" and not _is_installed(name, search_path, entry.parent.resolve())
        return name if is_bare else None
    hides = entry.suffix == ".py" and name in PACKAGES | sys.stdlib_module_names
    return name if hides else None


def check_shadowing(
    directories: Iterable[Path], search_path: Sequence[str] | None = None
) -> Iterator[Finding]:
    """Look for names that break imports.

    Python puts the current directory (`python -m`, `python -c`, Prefect's workers) or the folder
    of the started file first on its path.

    Args:
        directories: where programs are started.
        search_path: where packages are looked for; default `sys.path`.
    """
    path = sys.path if search_path is None else search_path
    looked_at = sorted({directory.resolve() for directory in directories if directory.is_dir()})
    num_found = 0
    for directory in looked_at:
        # The source tree itself holds headrace.
        for entry in sorted(directory.iterdir()):
            name = _hidden_by(entry, path)
            if name is None or name in UNUSED or (name == "headrace" and entry.is_dir()):
                continue
            num_found += 1
            yield _shadow(entry, name)
    if not num_found:
        what = f"nothing hides a module in {', '.join(map(str, looked_at))}"
        yield Finding(name="imports", state="ok", what=what)


def _shadow(entry: Path, name: str) -> Finding:
    what = f"{entry} hides the module {name!r} from programs started in {entry.parent}"
    if name == "triton":
        what += ": torch then fails with \"module 'triton' has no attribute 'language'\""
    return Finding(name="imports", state="problem", what=what, fix=f"rename {entry}")
