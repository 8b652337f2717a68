"""The checks of Triton with a real server, and the whole command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from headrace.diagnosis import triton as triton_checks
from headrace.diagnosis.findings import Finding
from headrace.diagnosis.triton import check_known_answer, check_triton
from headrace.serving.installation import DIRECTORY, MARKER, STUB, TritonInstallation, find_triton
from tests.flows.conftest import lend_triton

ROOT = Path(__file__).resolve().parents[2]
COMMAND = """
import argparse, sys
from flows import diagnosis
parser = argparse.ArgumentParser()
common = argparse.ArgumentParser(add_help=False)
common.add_argument("--home")
diagnosis.add_parser(parser.add_subparsers(), [common])
arguments = parser.parse_args()
code = arguments.function(arguments)
assert not {"prefect", "torch"} & set(sys.modules)
sys.exit(code)
"""


def examined(home: Path, *, with_start: bool = True) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_triton(home, with_start=with_start)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    lend_triton(tmp_path / "home")
    (tmp_path / "home").chmod(0o700)
    return tmp_path / "home"


@pytest.fixture
def damaged(tmp_path: Path, home: Path) -> TritonInstallation:
    """A copy of the installation to damage; big files are links."""
    source = find_triton(home)
    assert source is not None
    target = tmp_path / "damaged" / DIRECTORY
    shutil.copytree(source.path, target, symlinks=True, copy_function=os.link)
    return TritonInstallation(target)


def test_a_real_server_gives_the_known_answer(home: Path) -> None:
    found = examined(home)
    assert {finding.state for finding in found.values()} == {"ok"}
    assert set(found) == {"triton", "triton programs", "triton python", "triton answer"}


def test_numpy_2_in_tritons_python_is_found_by_its_answer(damaged: TritonInstallation) -> None:
    # The real trap: READY, no error, wrong numbers.
    shutil.rmtree(damaged.path / "python")
    venv.EnvBuilder(with_pip=False, symlinks=True).create(damaged.path / "python")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = damaged.path / "python" / "lib" / version / "site-packages"
    (packages / "main.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = examined(damaged.path.parent)
    assert found["triton python"].state == "problem"
    assert found["triton answer"].state == "problem"
    assert "wrong data" in found["triton answer"].what
    assert "headrace.serving.installation" in found["triton answer"].fix


def test_a_server_that_cannot_start(damaged: TritonInstallation) -> None:
    stub = damaged.backends / "python" / STUB
    stub.unlink()
    stub.write_text("#!/bin/sh\necho broken stub; exit 1\n")
    stub.chmod(0o755)
    (finding,) = check_known_answer(damaged, ready_seconds=10.0)
    assert finding.state == "problem"
    assert finding.fix


def test_missing_files_and_libraries(damaged: TritonInstallation) -> None:
    found = examined(damaged.path.parent, with_start=False)
    assert (found["triton programs"].state, found["triton answer"].state) == ("ok", "skipped")
    removed = next((damaged.path / "nvidia_pytriton.libs").iterdir())
    removed.unlink()
    programs = examined(damaged.path.parent, with_start=False)["triton programs"]
    assert programs.state == "problem"
    assert removed.name in programs.what
    damaged.server.unlink()
    assert examined(damaged.path.parent, with_start=False)["triton programs"].state == "problem"


def test_no_triton_and_one_of_another_python(
    tmp_path: Path, damaged: TritonInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finding,) = check_triton(tmp_path)
    assert (finding.state, "make setup" in finding.fix) == ("problem", True)
    marker = damaged.path / MARKER
    value = json.loads(marker.read_text())
    marker.unlink()
    marker.write_text(json.dumps(value | {"python": "3.8"}))
    (finding,) = check_triton(damaged.path.parent)
    assert (finding.state, "3.8" in finding.what) == ("problem", True)
    monkeypatch.setattr(triton_checks, "unsupported_reason", lambda: "this is an abacus")
    (finding,) = check_triton(tmp_path)
    assert (finding.state, finding.what) == ("skipped", "this is an abacus")


def run_doctor(
    home: Path, *options: str, cwd: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    foreign = ("PREFECT_", "HEADRACE_", "http_proxy", "HTTP_PROXY")
    values = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    values["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "doctor", "--home", str(home), *options],
        cwd=cwd, env=values | variables, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def test_the_command_on_a_healthy_home(home: Path, tmp_path: Path) -> None:
    done = run_doctor(home, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[-1].startswith("0 problems, ")
    assert [line.split()[0] for line in lines if " triton answer " in line] == ["ok"]
    assert not [line for line in lines if line.startswith("problem")]


def test_the_command_tells_every_problem_with_its_fix(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "triton").mkdir(parents=True)
    done = run_doctor(
        tmp_path / "home", "--json", cwd=here, HEADRACE_WORKERS="some",
        PREFECT_API_URL="http://127.0.0.1:9/api",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    value: dict[str, Any] = json.loads(done.stdout)
    problems = {item["name"] for item in value["findings"] if item["state"] == "problem"}
    assert {"imports", "HEADRACE_WORKERS", "server", "triton"} <= problems
    assert value["problems"] >= 4
    assert all(item["fix"] for item in value["findings"] if item["state"] == "problem")
