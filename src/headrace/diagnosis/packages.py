"""Python, the platform, and whether the installed packages are those that Headrace needs."""

from __future__ import annotations

import contextlib
import json
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from headrace.diagnosis.findings import Finding, one_line

DISTRIBUTION = "headrace"
TORCH_SECONDS = 90.0
PROGRAM_SECONDS = 20.0
DRIVER_MARKS = ("/proc/driver/nvidia/version", "/dev/nvidiactl")

# Why a requirement is there, where a broken one does not show what is wrong.
REASONS = {
    "fastapi": "Prefect's server dies at its start with fastapi 0.155 and newer (`Body() got an "
    "unexpected keyword argument 'min_items'`), and `pip check` does not notice",
    "sqlalchemy": "with SQLAlchemy 2.1 the scheduler of Prefect's server fails at each look, which "
    "only the server's log tells: no schedule ever fires",
    "prefect": "the stages are tested with Prefect 3.8",
    "numpy": "stages are tested with numpy 2; numpy 1 belongs to Triton's own environment only",
    "torch": "training's bits depend on the version of torch",
    "wikiextractor": "older releases do not start on Python 3.11",
}
TORCH_PROBE = """
import json, torch
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda,
                  "num_gpus": torch.cuda.device_count() if torch.cuda.is_available() else 0}))
"""


def check_python(version: str, requires: str) -> Iterator[Finding]:
    """Whether Python is new enough."""
    if SpecifierSet(requires).contains(version, prereleases=True):
        yield Finding(name="python", state="ok", what=f"{version} at {sys.executable}")
    else:
        yield Finding(
            name="python", state="problem", what=f"{version}; {requires} is needed",
            fix="rm -r .venv && make setup PYTHON=/path/to/a/newer/python3",
        )  # fmt: skip


def check_platform(system: str, machine: str) -> Iterator[Finding]:
    """Whether this is Linux; locks and the supervision of processes need it."""
    if system == "Linux":
        yield Finding(name="platform", state="ok", what=f"{system} on {machine}")
    else:
        yield Finding(
            name="platform", state="problem",
            what=f"{system} on {machine}; Headrace watches its processes with Linux's means",
            fix="use a Linux machine, a container or WSL 2",
        )  # fmt: skip


def installed_requirements() -> list[str]:
    """What the installed `headrace` distribution asks for. Raises PackageNotFoundError."""
    return metadata.requires(DISTRIBUTION) or []


def installed_version(name: str) -> str | None:
    """The version of an installed distribution; None where it is missing or half-removed."""
    try:
        return metadata.version(name) or None
    except (metadata.PackageNotFoundError, KeyError, TypeError):
        return None


def check_requirements(
    requirements: Sequence[str], version_of: Callable[[str], str | None]
) -> Iterator[Finding]:
    """Hold every requirement against what is installed.

    Args:
        requirements: lines as in the distribution's metadata.
        version_of: gives a distribution's installed version, None where there is none.
    """
    num_good = 0
    for line in requirements:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        what = _fault(requirement, version_of(requirement.name))
        if what is None:
            num_good += 1
            continue
        name = canonicalize_name(requirement.name)
        reason = REASONS.get(name)
        wanted = shlex.quote(f"{requirement.name}{_extras(requirement)}{requirement.specifier}")
        fix = f"{shlex.quote(sys.executable)} -m pip install {wanted}"
        yield Finding(
            name=f"package {name}", state="problem",
            what=f"{what}: {reason}" if reason else what,
            fix=fix + (TORCH_NOTE if name == "torch" else ""),
        )  # fmt: skip
    if num_good:
        what = f"{num_good} of the required packages have the right version"
        yield Finding(name="packages", state="ok", what=what)


TORCH_NOTE = " (for a GPU: with the --index-url of your CUDA version, see pytorch.org)"


def _extras(requirement: Requirement) -> str:
    return f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""


def _fault(requirement: Requirement, found: str | None) -> str | None:
    needed = str(requirement.specifier) or "any version"
    if found is None:
        return f"{requirement.name} is not installed; {needed} is needed"
    try:
        fits = requirement.specifier.contains(found, prereleases=True)
    except InvalidVersion:
        fits = False
    return None if fits else f"{requirement.name} {found} is installed; {needed} is needed"


def check_installation() -> Iterator[Finding]:
    """`check_requirements` of what is really installed."""
    try:
        requirements = installed_requirements()
    except metadata.PackageNotFoundError:
        yield Finding(
            name="packages", state="problem",
            what="headrace itself is not installed in this Python, so nothing says what it needs",
            fix=f"{shlex.quote(sys.executable)} -m pip install -c constraints.txt -e .",
        )  # fmt: skip
        return
    yield from check_requirements(requirements, installed_version)


def probe_torch(python: str = sys.executable, seconds: float = TORCH_SECONDS) -> dict[str, Any]:
    """What torch says of itself in another process.

    Raises:
        RuntimeError: it cannot be imported; the message is its last line.
        subprocess.TimeoutExpired: it takes too long.
    """
    done = subprocess.run(
        [python, "-c", TORCH_PROBE], capture_output=True, text=True, timeout=seconds, check=False
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1])
    value: dict[str, Any] = json.loads(lines[-1])
    return value


def has_gpu_driver() -> bool:
    """Whether an NVIDIA driver is loaded."""
    return any(Path(path).exists() for path in DRIVER_MARKS)


def check_torch(probe: Callable[[], dict[str, Any]], has_driver: bool) -> Iterator[Finding]:
    """Whether torch can be imported, and whether its build fits the machine.

    Args:
        probe: gives version, cuda and num_gpus of torch.
        has_driver: whether an NVIDIA driver is there.
    """
    try:
        torch = probe()
    except (RuntimeError, ValueError, OSError, subprocess.TimeoutExpired) as error:
        fix = f"{shlex.quote(sys.executable)} -c 'import torch' shows the whole error"
        yield Finding(
            name="torch", state="problem", what=f"it does not import: {one_line(error)}", fix=fix
        )
        return
    build = f"CUDA {torch['cuda']}" if torch["cuda"] else "CPU"
    what = f"{torch['version']}, built for {build}, {torch['num_gpus']} GPUs in use"
    if has_driver and not torch["cuda"]:
        yield Finding(
            name="torch", state="warning",
            what=f"{what}; an NVIDIA driver is there, which this build does not use",
            fix="install the CUDA build of this version into .venv (pytorch.org lists the "
            "--index-url), then set training.backend=cuda",
        )  # fmt: skip
    elif has_driver and not torch["num_gpus"]:
        yield Finding(
            name="torch", state="problem",
            what=f"{what}; an NVIDIA driver is there, but torch cannot use it",
            fix="look at `nvidia-smi`: the driver is older than this CUDA, or the GPU is not "
            "visible here (CUDA_VISIBLE_DEVICES, container options)",
        )  # fmt: skip
    else:
        yield Finding(name="torch", state="ok", what=what)


def check_git(path: str | None) -> Iterator[Finding]:
    """Whether git is there: manifests name the commit."""
    if path:
        yield Finding(name="git", state="ok", what=path)
    else:
        yield Finding(
            name="git", state="warning",
            what="not on PATH: manifests will not name the commit that made them",
            fix="install git",
        )  # fmt: skip


def check_wikiextractor(command: Sequence[str]) -> Iterator[Finding]:
    """Whether the extractor starts as a program."""
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=PROGRAM_SECONDS,
            check=False,
        )  # fmt: skip
        code, output = done.returncode, (done.stdout + done.stderr).strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        code, output = 1, str(error)
    last = one_line((output.splitlines() or ["no output"])[-1])
    if code == 0:
        yield Finding(name="wikiextractor", state="ok", what=f"starts: {last}")
        return
    yield Finding(
        name="wikiextractor", state="problem", what=f"the program does not start: {last}",
        fix=f"{shlex.quote(sys.executable)} -m pip install 'wikiextractor>=3.1,<4'",
    )  # fmt: skip


def check_machine_python() -> Iterator[Finding]:
    """Python and platform of this process."""
    requires = ">=3.11"
    # Where headrace is not installed, `check_installation` tells it.
    with contextlib.suppress(metadata.PackageNotFoundError):
        requires = metadata.metadata(DISTRIBUTION)["Requires-Python"] or requires
    yield from check_python(platform.python_version(), requires)
    yield from check_platform(platform.system(), platform.machine())


def find_git() -> str | None:
    """Where the program `git` is on PATH."""
    return shutil.which("git")
