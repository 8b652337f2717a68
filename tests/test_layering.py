"""The arrows of the design: deployments -> flows -> tasks -> src/headrace -> third party."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "headrace"
LAYERS = ("src/headrace", "tasks", "flows", "deployments")
FORBIDDEN = {
    "src/headrace": {"prefect", "tasks", "flows", "deployments"},
    "tasks": {"flows", "deployments"},
    "flows": {"deployments"},
    "deployments": set(),
}
HEAVY = ("torch", "transformers", "datasets", "tritonclient", "matplotlib", "tensorboard")
BOTTOM = {"headrace.artifacts", "headrace.config", "headrace.errors", "headrace.processes"}
# Which areas of src may look into which others; everything may use what lies at the bottom.
AREAS = {
    "artifacts": set(),
    "corpus": set(),
    "encoding": {"corpus"},
    "models": set(),
    "training": {"encoding", "models"},
    "evaluation": {"encoding", "training", "models"},
    "export": {"encoding", "evaluation"},
    "serving": {"encoding", "export", "evaluation"},
    "reports": set(),
    "diagnosis": {"corpus", "serving"},
}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_FLOW_LINES = 40
MAX_TASK_LINES = 10


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_no_module_reaches_upward(layer: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files(layer)
        for name in imported_modules(path)
        if name.partition(".")[0] in FORBIDDEN[layer]
    ]
    assert wrong == []


@pytest.mark.parametrize("area", sorted(AREAS))
def test_areas_of_src_keep_to_themselves(area: str) -> None:
    allowed = AREAS[area] | {area}
    wrong = []
    for path in python_files(f"src/headrace/{area}"):
        for name in imported_modules(path):
            root, _, below = name.partition(".")
            other = below.partition(".")[0]
            if root == "headrace" and other in AREAS.keys() - allowed - {"artifacts"}:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_the_store_stands_on_little() -> None:
    names = {
        name.partition(".")[0]
        for path in python_files("src/headrace/artifacts")
        for name in imported_modules(path)
    }
    assert names - set(sys.stdlib_module_names) == {"headrace", "pydantic"}


def test_importing_flows_and_tasks_stays_quick() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for folder in ("flows", "tasks")
        for path in python_files(folder)
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_flow_files_shadow_nothing() -> None:
    # Prefect and `python flows/x.py` put flows/ first on sys.path.
    taken = set(sys.stdlib_module_names) | {"datasets", "tokenizers", "tfrecord", "triton"}
    assert [path.name for path in python_files("flows") if path.stem in taken] == []


def test_no_folder_is_called_triton() -> None:
    folders = [path for layer in LAYERS for path in (ROOT / layer).rglob("triton") if path.is_dir()]
    assert folders == []


@pytest.mark.parametrize("layer", LAYERS)
def test_files_and_functions_stay_short(layer: str) -> None:
    long_files, long_functions = [], []
    for path in python_files(layer):
        text = path.read_text()
        if len(text.splitlines()) > MAX_FILE_LINES:
            long_files.append(f"{path.relative_to(ROOT)}: {len(text.splitlines())}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    long_functions.append(f"{path.relative_to(ROOT)}:{node.name}: {length}")
    assert (long_files, long_functions) == ([], [])


def decorated(path: Path, name: str) -> list[ast.FunctionDef]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            for mark in node.decorator_list:
                target = mark.func if isinstance(mark, ast.Call) else mark
                if isinstance(target, ast.Name) and target.id == name:
                    found.append(node)
    return found


def body_lines(function: ast.FunctionDef) -> int:
    return (function.end_lineno or 0) - function.body[0].lineno + 1


def test_tasks_are_thin() -> None:
    thick, num_seen = [], 0
    for path in python_files("tasks"):
        for function in decorated(path, "stage_task"):
            num_seen += 1
            branching = [
                node for node in ast.walk(function)
                if isinstance(node, ast.For | ast.While | ast.If | ast.With | ast.Try)
            ]  # fmt: skip
            if branching or body_lines(function) > MAX_TASK_LINES:
                thick.append(f"{path.name}:{function.name}")
    assert thick == []
    assert num_seen >= 14


def test_flows_read_as_a_table_of_contents() -> None:
    found = []
    for path in python_files("flows"):
        for function in decorated(path, "flow"):
            found.append(function.name)
            assert body_lines(function) <= MAX_FLOW_LINES
            sums = [node for node in ast.walk(function) if isinstance(node, ast.BinOp | ast.For)]
            assert sums == [], f"{function.name} calculates or loops"
    assert found
