"""Each check of packages, names, the machine, variables and ports, with bad inputs."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.diagnosis import environment, imports, machine, packages, ports
from headrace.diagnosis.findings import Check, Finding, run_check, run_checks
from headrace.diagnosis.machine import GIB, Space

GOOD = {"fastapi": "0.150.0", "prefect": "3.8.8", "torch": "2.13.0+cpu", "numpy": "2.4.6"}
REQUIREMENTS = (
    "fastapi<0.151,>=0.139", "prefect<4,>=3.8.8", "torch==2.13.0", "numpy<3,>=2",
    "pytest>=99; extra == 'dev'",
)  # fmt: skip


def states(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    """What is not in order; each says what to do."""
    found = [finding for finding in findings if finding.state in ("warning", "problem")]
    assert all(finding.what and finding.fix for finding in found)
    return found


# --- how checks are run


def test_a_check_that_breaks_or_hangs_is_a_finding_and_the_next_one_is_run() -> None:
    def breaks() -> Iterator[Finding]:
        yield Finding(name="breaks", state="ok", what="so far")
        raise RuntimeError("two\nlines")

    def hangs() -> Iterator[Finding]:
        time.sleep(20)
        yield Finding(name="late", state="ok", what="too late")

    def works() -> list[Finding]:
        return [Finding(name="works", state="ok", what="well")]

    start = time.monotonic()
    found = list(
        run_checks([
            Check(name="breaks", examine=breaks), Check(name="hangs", examine=hangs, seconds=0.2),
            Check(name="works", examine=works),
        ])
    )  # fmt: skip
    assert time.monotonic() - start < 15
    assert [(item.name, item.state) for item in found] == [
        ("breaks", "ok"), ("breaks", "problem"), ("hangs", "problem"), ("works", "ok"),
    ]  # fmt: skip
    assert "RuntimeError: two lines" in found[1].what


def test_a_finding_is_told_before_its_check_has_ended() -> None:
    def slow() -> Iterator[Finding]:
        yield Finding(name="first", state="ok", what="at once")
        time.sleep(20)

    start = time.monotonic()
    assert next(run_check(Check(name="slow", examine=slow))).name == "first"
    assert time.monotonic() - start < 15


# --- packages


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("fastapi", "0.165.0"), ("fastapi", "0.120.0"), ("fastapi", None), ("prefect", "3.4.0"),
        ("prefect", "4.0.0"), ("numpy", "1.26.4"), ("torch", "2.15.0"), ("torch", "no version"),
    ],
)  # fmt: skip
def test_a_wrong_package_is_named_with_the_command(name: str, version: str | None) -> None:
    installed = GOOD | {name: version}
    (finding,) = wrong(packages.check_requirements(REQUIREMENTS, installed.get))
    assert finding.state == "problem"
    assert finding.name == f"package {name}"
    assert (version or "not installed") in finding.what
    assert f"{sys.executable} -m pip install" in finding.fix
    line = next(line for line in REQUIREMENTS if line.startswith(name))
    assert set(line.removeprefix(name).split(",")) <= set(
        finding.fix.split("'")[1].removeprefix(name).split(",")
        if "'" in finding.fix
        else finding.fix.split()[4].removeprefix(name).split(",")
    )


def test_fastapis_trap_is_explained() -> None:
    (finding,) = wrong(
        packages.check_requirements(REQUIREMENTS, (GOOD | {"fastapi": "0.165.0"}).get)
    )
    assert "pip check" in finding.what
    assert "min_items" in finding.what


def test_right_packages_and_what_is_installed_here() -> None:
    assert states(packages.check_requirements(REQUIREMENTS, GOOD.get)) == {"packages": "ok"}
    assert states(packages.check_installation()) == {"packages": "ok"}


def test_python_and_platform() -> None:
    assert states(packages.check_python("3.10.2", ">=3.11")) == {"python": "problem"}
    assert states(packages.check_python("3.13.0rc1", ">=3.11")) == {"python": "ok"}
    assert states(packages.check_platform("Darwin", "arm64")) == {"platform": "problem"}


@pytest.mark.parametrize(
    ("cuda", "num_gpus", "has_driver", "state"),
    [
        (None, 0, False, "ok"), (None, 0, True, "warning"), ("12.8", 0, True, "problem"),
        ("12.8", 2, True, "ok"), ("12.8", 0, False, "ok"),
    ],
)  # fmt: skip
def test_torchs_build_against_the_machine(
    cuda: str | None, num_gpus: int, has_driver: bool, state: str
) -> None:
    def probe() -> dict[str, Any]:
        return {"version": "2.13.0", "cuda": cuda, "num_gpus": num_gpus}

    assert states(packages.check_torch(probe, has_driver)) == {"torch": state}


def test_a_torch_that_does_not_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libgomp is not there')\n")
    monkeypatch.chdir(tmp_path)
    (finding,) = wrong(packages.check_torch(packages.probe_torch, has_driver=False))
    assert "libgomp is not there" in finding.what


def test_programs(tmp_path: Path) -> None:
    assert states(packages.check_git(None)) == {"git": "warning"}
    for command in ([sys.executable, "-c", "raise SystemExit(3)"], [str(tmp_path / "none")]):
        assert states(packages.check_wikiextractor(command)) == {"wikiextractor": "problem"}


# --- names that hide modules


@pytest.mark.parametrize(
    ("name", "hides"),
    [
        ("triton/model/config.pbtxt", True), ("datasets.py", True), ("tokenize.py", True),
        ("types.py", True), ("io.py", True), ("numpy/__init__.py", True),
        ("datasets/readme.txt", False), ("serving/model.txt", False), ("my_types.py", False),
        ("types.txt", False), ("test/__init__.py", False),
    ],
)  # fmt: skip
def test_names_that_hide_modules(tmp_path: Path, name: str, hides: bool) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    found = wrong(imports.check_shadowing([tmp_path], [str(tmp_path)]))
    assert [finding.state for finding in found] == ["problem"] * hides
    assert all(str(tmp_path / Path(name).parts[0]) in finding.fix for finding in found)


def test_a_folder_is_harmless_where_the_package_is_installed(tmp_path: Path) -> None:
    (tmp_path / "here" / "triton").mkdir(parents=True)
    package = tmp_path / "site-packages" / "triton"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    path = [str(tmp_path / "here"), str(package.parent)]
    assert wrong(imports.check_shadowing([tmp_path / "here"], path)) == []


# --- the machine


def test_homes(tmp_path: Path) -> None:
    user = os.getuid()
    (tmp_path / "file").touch()
    home = tmp_path / "home"
    assert states(machine.check_home(home, user)) == {"home": "ok"}
    assert states(machine.check_home(tmp_path / "file", user)) == {"home": "problem"}
    assert states(machine.check_home(tmp_path / "file" / "below", user)) == {"home": "problem"}
    home.mkdir()
    assert states(machine.check_home(home, user)) == {"home": "ok"}
    assert states(machine.check_home(home, user + 1)) == {"home": "warning"}


def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "access", lambda *_: False)  # root may write anywhere
    assert states(machine.check_home(tmp_path / "home", os.getuid())) == {"home": "problem"}


@pytest.mark.parametrize(
    ("home_mode", "prefect_mode", "state"),
    [
        (0o755, 0o700, "ok"), (0o700, 0o755, "ok"), (0o755, 0o755, "warning"),
        (0o755, 0o707, "problem"), (0o777, 0o700, "problem"),
    ],
)  # fmt: skip
def test_what_other_users_may_do(
    tmp_path: Path, home_mode: int, prefect_mode: int, state: str
) -> None:
    prefect = tmp_path / "home" / "prefect"
    prefect.mkdir(parents=True)
    prefect.chmod(prefect_mode)
    prefect.parent.chmod(home_mode)
    found = list(machine.check_privacy(prefect.parent))
    assert found[0].state == state
    assert {item.state for item in found} <= {state, "warning"}


def test_a_file_system_that_works_and_one_that_does_not(tmp_path: Path) -> None:
    assert states(machine.check_file_system(tmp_path)) == {"file system": "ok"}
    assert list(tmp_path.iterdir()) == []
    assert states(machine.check_file_system(Path("/proc/none"))) == {"file system": "problem"}


def test_a_file_system_whose_locks_do_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.fcntl, "flock", lambda *_: None)
    (finding,) = wrong(machine.check_file_system(tmp_path))
    assert "lock" in finding.what


@pytest.mark.parametrize(
    ("gib", "num_files", "expected"),
    [
        (0.5, None, {"disk": "problem"}), (5, None, {"disk": "warning"}),
        (50, None, {"disk": "ok"}), (50, 10, {"disk": "ok", "inodes": "problem"}),
        (50, 9_000, {"disk": "ok", "inodes": "warning"}), (50, 10**6, {"disk": "ok"}),
    ],
)  # fmt: skip
def test_disks(gib: float, num_files: int | None, expected: dict[str, str]) -> None:
    space = Space(free_bytes=int(gib * GIB), num_files=num_files)
    assert states(machine.check_disk(Path("/home"), space)) == expected


def test_memory_of_the_machine_and_of_the_container(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:   16777216 kB\n")
    assert machine.available_memory(meminfo, tmp_path) == 16 * GIB
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text(f"{2 * GIB}\n")
    assert machine.available_memory(meminfo, tmp_path) == 16 * GIB
    (tmp_path / "memory.max").write_text(f"{5 * GIB}\n")
    assert machine.available_memory(meminfo, tmp_path) == 3 * GIB
    for available, state in ((None, "skipped"), (0, "problem"), (3, "warning"), (8, "ok")):
        found = machine.check_memory(None if available is None else available * GIB)
        assert states(found) == {"memory": state}
    assert states(machine.check_shared_memory(tmp_path / "none")) == {"shared memory": "warning"}


# --- variables


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"HEADRACE_HOME": "relative/home"}, "warning"), ({"HEADRACE_HOEM": "/x"}, "warning"),
        ({"HEADRACE_WORKERS": "many"}, "problem"), ({"HEADRACE_WORKERS": "0"}, "problem"),
        ({"HEADRACE_MAX_RUN_HOURS": "-1"}, "problem"),
        ({"HEADRACE_FAILURE_WEBHOOK": "s3cr3t"}, "problem"),
        ({"HEADRACE_HOME": "/abs", "HEADRACE_WORKERS": "2", "HEADRACE_TEST_HOME": "/x"}, "ok"),
        ({}, "ok"),
    ],
)  # fmt: skip
def test_headraces_variables(values: dict[str, str], state: str) -> None:
    (finding,) = environment.check_headrace_variables(values)
    assert finding.state == state
    assert "s3cr3t" not in finding.what + finding.fix


URL = "http://127.0.0.1:14200/api"


@pytest.mark.parametrize(
    ("values", "name", "state"),
    [
        ({"PREFECT_API_URL": "127.0.0.1:4200"}, "PREFECT_API_URL", "problem"),
        ({"PREFECT_API_URL": "http://127.0.0.1:4200"}, "PREFECT_API_URL", "problem"),
        ({"PREFECT_API_URL": "http://[::1"}, "PREFECT_API_URL", "problem"),
        ({"PREFECT_API_URL": URL, "PREFECT_SERVER_UI_API_URL": "http://127.0.0.1:4200/api"},
         "PREFECT_SERVER_UI_API_URL", "warning"),
        ({"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "5"}, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY",
         "problem"),
        ({"PREFECT_PROFILE": "gone"}, "PREFECT_PROFILE", "problem"),
        ({"http_proxy": "http://proxy:3128"}, "proxy", "problem"),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "localhost, 127.0.0.1"}, "PREFECT_*",
         "ok"),
        ({"PREFECT_API_URL": URL, "PREFECT_SERVER_UI_API_URL": "http://localhost:14200/api/"},
         "PREFECT_*", "ok"),
    ],
)  # fmt: skip
def test_prefects_variables(values: dict[str, str], name: str, state: str, tmp_path: Path) -> None:
    assert states(environment.check_prefect_variables(values, tmp_path)) == {name: state}


def test_a_profile_that_leads_elsewhere_or_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "prefect" / "profiles.toml"
    path.parent.mkdir()
    path.write_text(f'active = "far"\n[profiles.far]\nPREFECT_API_URL = "{URL}"\n')
    assert states(environment.check_prefect_variables({}, tmp_path)) == {"profile": "warning"}
    chosen = {"PREFECT_API_URL": URL}
    assert states(environment.check_prefect_variables(chosen, tmp_path)) == {"PREFECT_*": "ok"}
    path.write_text("active = \n")
    assert states(environment.check_prefect_variables({}, tmp_path)) == {"profile": "problem"}


# --- ports


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_who_holds_a_port(family: socket.AddressFamily, address: str, tmp_path: Path) -> None:
    try:
        holder = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with holder:
        port = holder.getsockname()[1]
        (finding,) = ports.check_port(port, "reports", "--reports-port", tmp_path)
        assert finding.state == "warning"
        assert str(os.getpid()) in finding.what
        (listener,) = ports.find_listeners(port)
        assert (listener.address, listener.is_loopback) == (address, True)
    assert states(ports.check_port(port, "reports", "--reports-port", tmp_path)) == {
        f"port {port}": "ok"
    }


def test_a_port_held_by_the_homes_own_program_is_fine(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"HEADRACE_HOME": str(tmp_path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    port = int(child.stdout.readline())
    (own,) = ports.check_port(port, "reports", "--reports-port", tmp_path)
    (foreign,) = ports.check_port(port, "reports", "--reports-port", tmp_path / "other")
    child.communicate()
    assert (own.state, foreign.state) == ("ok", "warning")
