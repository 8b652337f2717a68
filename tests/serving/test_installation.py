from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from headrace.errors import ServingError
from headrace.serving import installation
from headrace.serving.installation import (
    DIRECTORY,
    TritonInstallation,
    find_triton,
    install_triton,
    require_triton,
    server_environment,
    unpack_wheel,
)


def test_a_second_installation_only_looks(triton: TritonInstallation) -> None:
    home = triton.path.parent
    before = triton.server.stat().st_mtime_ns
    assert install_triton(home, Path("no-such-wheel")) == triton
    assert triton.server.stat().st_mtime_ns == before


def test_the_stubs_python_has_numpy_1_and_our_torch(triton: TritonInstallation) -> None:
    code = "import numpy, torch; print(numpy.__version__.split('.')[0], torch.__version__[:4])"
    done = subprocess.run(
        ["python3", "-c", code], env=server_environment(triton), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["1", "2.13"]


def test_what_is_missing_is_told_with_the_next_move(tmp_path: Path) -> None:
    assert find_triton(tmp_path) is None
    with pytest.raises(ServingError, match="make setup"):
        require_triton(tmp_path)


def test_a_half_made_installation_does_not_count(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY / "pytriton").mkdir(parents=True)
    assert find_triton(tmp_path) is None


def test_other_platforms_get_a_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation.platform, "machine", lambda: "aarch64")
    with pytest.raises(ServingError, match="aarch64"):
        install_triton(tmp_path)
    with pytest.raises(ServingError, match="serve=false"):
        require_triton(tmp_path)


def make_wheel(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return path


@pytest.mark.parametrize(
    "names",
    [["other/file"], ["pytriton/tritonserver/../../../../escaped"]],
    ids=["foreign", "path-outside"],
)
def test_a_wheel_of_another_kind_is_refused(tmp_path: Path, names: list[str]) -> None:
    wheel = make_wheel(tmp_path / "w.whl", names)
    with pytest.raises(ServingError):
        unpack_wheel(wheel, tmp_path / "target")
    assert not (tmp_path / "escaped").exists()


def test_a_damaged_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.whl").write_bytes(b"no zip")
    with pytest.raises(ServingError, match="download it again"):
        unpack_wheel(tmp_path / "w.whl", tmp_path / "target")
