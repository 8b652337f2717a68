"""The Triton server binary, unpacked into the project's home.

    python -m headrace.serving.installation --home DIR

The binary comes out of the nvidia-pytriton wheel (55 MB, 150 MB unpacked): the server, its Python
backend and the libraries both were linked with. Nothing of pytriton's own code is used. Beside it
lies a small environment for the backend's Python: numpy 1.26, because with numpy 2 the backend
hands over wrong data without an error, and a `.pth` file that lends it torch from the environment
that runs this. Everything appears at once under its final name; a second call only looks.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

from headrace.artifacts import files, locks, resolve_home
from headrace.errors import HeadraceError, ServingError

WHEEL = "nvidia-pytriton==0.7.0"
TRITON_VERSION = "2.51.0"
STUB_NUMPY = "numpy==1.26.4"
DIRECTORY = f"triton-server-{TRITON_VERSION}"
MARKER = "installation.json"
LAYOUT = 2
"""Raised when what is unpacked, or how, changes."""
WANTED = ("pytriton/tritonserver/", "nvidia_pytriton.libs/")
STUB = "triton_python_backend_stub"
MAX_UNPACKED_BYTES = 1 << 30

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TritonInstallation:
    """An unpacked server.

    Attributes:
        path: directory of the installation.
    """

    path: Path

    @property
    def root(self) -> Path:
        """Triton's own tree."""
        return self.path / "pytriton" / "tritonserver"

    @property
    def server(self) -> Path:
        """The server's program."""
        return self.root / "bin" / "tritonserver"

    @property
    def backends(self) -> Path:
        """Directory of backends."""
        return self.root / "backends"

    @property
    def python_bin(self) -> Path:
        """Directory that must come first on PATH: the backend takes its Python from there."""
        return self.path / "python" / "bin"


def unsupported_reason() -> str | None:
    """Why no Triton binary exists for this machine, in words; None where one does."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        return f"the Triton binary is for Linux on x86_64; this is {system} on {machine}"
    if not 8 <= sys.version_info.minor <= 13:
        return f"Triton's Python backend has no stub for Python {platform.python_version()}"
    return None


def find_triton(home: Path) -> TritonInstallation | None:
    """The installation in `home`, or None where it is missing, half-made or of another Python."""
    path = home / DIRECTORY
    marker = files.read_json(path / MARKER)
    return TritonInstallation(path) if marker == _expected_marker() else None


def require_triton(home: Path) -> TritonInstallation:
    """The installation in `home`.

    Raises:
        ServingError: there is none; the message says how to get it, or that it cannot be had.
    """
    found = find_triton(home)
    if found is not None:
        return found
    reason = unsupported_reason()
    if reason:
        raise ServingError(f"{reason}: run the pipeline with --set serve=false")
    raise ServingError(
        f"{home / DIRECTORY}: the Triton server is not installed there: run `make setup`, or "
        f"`python -m headrace.serving.installation --home {home}`"
    )


def _expected_marker() -> dict[str, object]:
    return {
        "layout": LAYOUT,
        "wheel": WHEEL,
        "numpy": STUB_NUMPY,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "site_packages": sysconfig.get_path("purelib"),
    }


def install_triton(home: Path, wheel: Path | None = None) -> TritonInstallation:
    """Unpack the server into `home` unless it is there.

    Args:
        home: the project's home.
        wheel: the wheel as a file; None downloads it with pip.

    Raises:
        ServingError: no binary exists for this machine, or it cannot be downloaded.
    """
    reason = unsupported_reason()
    if reason:
        raise ServingError(reason)
    found = find_triton(home)
    if found is not None:
        return found
    home.mkdir(parents=True, exist_ok=True)
    with locks.exclusive(home / f".{DIRECTORY}.lock", what="unpacking Triton"):
        found = find_triton(home)
        if found is not None:
            return found
        with tempfile.TemporaryDirectory(dir=home, prefix=".triton-") as scratch:
            staged = Path(scratch) / DIRECTORY
            staged.mkdir()
            unpack_wheel(wheel or _download(Path(scratch)), staged)
            _prepare_stub(TritonInstallation(staged))
            _make_python(staged / "python")
            files.write_json(staged / MARKER, _expected_marker())
            files.remove_tree(home / DIRECTORY)
            staged.rename(home / DIRECTORY)
    logger.info("Triton %s is unpacked in %s", TRITON_VERSION, home / DIRECTORY)
    return TritonInstallation(home / DIRECTORY)


def _run_pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ServingError(f"pip {arguments[0]} failed: {last}: check the package index")


def _download(directory: Path) -> Path:
    logger.info("downloading %s", WHEEL)
    _run_pip("download", "--quiet", "--no-deps", "--dest", str(directory), WHEEL)
    found = list(directory.glob("nvidia_pytriton-*.whl"))
    if len(found) != 1:
        raise ServingError(f"pip download {WHEEL}: one wheel was expected, found {len(found)}")
    return found[0]


def unpack_wheel(wheel: Path, target: Path) -> None:
    """Unpack the server and its libraries out of a wheel.

    Raises:
        ServingError: it is no zip file, names a path outside, or unpacks to more than 1 GiB.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            wanted = [item for item in archive.infolist() if item.filename.startswith(WANTED)]
            if not wanted or sum(item.file_size for item in wanted) > MAX_UNPACKED_BYTES:
                raise ServingError(f"{wheel}: it does not hold a Triton server of the usual size")
            for item in wanted:
                inside = (target / item.filename).resolve().is_relative_to(target.resolve())
                if not inside:
                    raise ServingError(f"{wheel}: {item.filename} would lie outside the target")
                archive.extract(item, target)
    except zipfile.BadZipFile as error:
        raise ServingError(f"{wheel}: a wheel was expected: {error}: download it again") from None


def _prepare_stub(staged: TritonInstallation) -> None:
    """Put this Python's stub where the backend looks for it, and make the programs executable."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = staged.root / "python_backend_stubs" / version / STUB
    target = staged.backends / "python" / STUB
    target.write_bytes(stub.read_bytes())
    for program in (staged.server, target):
        program.chmod(0o755)


def _make_python(directory: Path) -> None:
    """An environment with numpy 1.26 first and everything else from ours."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(directory)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = directory / "lib" / version / "site-packages"
    _run_pip("install", "--quiet", "--no-deps", "--target", str(packages), STUB_NUMPY)
    # A model's folder is part of an artifact, where compiled files do not belong. The stub takes no
    # settings from its environment, but it runs the lines of a .pth file.
    lines = ["import sys; sys.dont_write_bytecode = True", sysconfig.get_path("purelib")]
    (packages / "headrace.pth").write_text("\n".join(lines) + "\n")


def library_path() -> str:
    """Directory of libpython for LD_LIBRARY_PATH: the stub is linked with it."""
    return str(sysconfig.get_config_var("LIBDIR") or "")


def server_environment(installation: TritonInstallation) -> dict[str, str]:
    """The environment in which the server runs.

    The stub ignores PYTHONPATH and PYTHONHOME; its Python is the first `python3` on PATH.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    environment["PATH"] = f"{installation.python_bin}:{environment.get('PATH', '')}"
    paths = [library_path(), environment.get("LD_LIBRARY_PATH", "")]
    environment["LD_LIBRARY_PATH"] = ":".join(path for path in paths if path)
    environment.pop("VIRTUAL_ENV", None)
    return environment


def main() -> int:
    """Install into a home; where no binary exists, say so and succeed: serving is optional."""
    parser = argparse.ArgumentParser(description="unpack the Triton server into the home")
    parser.add_argument("--home", type=Path, help="default $HEADRACE_HOME or ./.headrace")
    parser.add_argument("--wheel", type=Path, help="the wheel, if it is at hand")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    reason = unsupported_reason()
    if reason:
        logger.warning("%s; pipelines end at the parity gate", reason)
        return 0
    try:
        install_triton(resolve_home(arguments.home), arguments.wheel)
    except HeadraceError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
