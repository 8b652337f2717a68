"""The Triton server of a home: its files, its libraries, its Python, and a question it must answer.

READY proves nothing: with numpy 2 in its Python the backend hands over wrong data and no error.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from headrace.artifacts import files
from headrace.diagnosis.findings import Finding, one_line
from headrace.errors import ServingError
from headrace.serving.installation import (
    DIRECTORY,
    MARKER,
    STUB,
    TritonInstallation,
    find_triton,
    server_environment,
    unsupported_reason,
)
from headrace.serving.server import TritonServer

MODEL = "probe"
MODEL_SOURCE = Path(__file__).with_name("probe_model.py")
PROGRAM_SECONDS = 20.0
READY_SECONDS = 60.0
ANSWER_SECONDS = 20.0


TENSORS = {"INTEGERS": "INT32", "FLOATS": "FP32", "TEXT": "BYTES"}
QUESTION: dict[str, np.ndarray] = {
    "INTEGERS": np.array([1, 2, 3], np.int32),
    "FLOATS": np.array([0.5, -2.25, 1e6], np.float32),
    "TEXT": np.array([b"head", b"", "Mühlgraben".encode()], np.object_),
}
ANSWER: dict[str, list[Any]] = {
    "INTEGERS_PLUS_ONE": [2, 3, 4],
    "FLOATS_PLUS_ONE": [1.5, -1.25, 1000001.0],
    "TEXT_AGAIN": [b"head", b"", "Mühlgraben".encode()],
}


def _install_command(home: Path) -> str:
    return f"{shlex.quote(sys.executable)} -m headrace.serving.installation --home {home}"


def _again(installation: TritonInstallation) -> str:
    home = installation.path.parent
    return f"rm -r {installation.path} && {_install_command(home)}"


def check_triton(home: Path, *, with_start: bool = True) -> Iterator[Finding]:
    """All about the home's Triton.

    Args:
        home: absolute.
        with_start: start it and ask a question.
    """
    reason = unsupported_reason()
    if reason:
        fix = "run pipelines with --set serve=false"
        yield Finding(name="triton", state="skipped", what=reason, fix=fix)
        return
    installation = find_triton(home)
    if installation is None:
        yield _missing(home)
        return
    yield Finding(name="triton", state="ok", what=str(installation.path))
    yield from check_libraries(installation)
    yield from check_stub_python(installation)
    if with_start:
        yield from check_known_answer(installation)
    else:
        what = "not started (--no-start): only an answer proves that it works"
        yield Finding(name="triton answer", state="skipped", what=what)


def _missing(home: Path) -> Finding:
    path = home / DIRECTORY
    marker = files.read_json(path / MARKER)
    what = f"no Triton server is unpacked in {home}: a pipeline's last stage needs one"
    fix = f"make setup, or {_install_command(home)}; or run pipelines with --set serve=false"
    if isinstance(marker, dict):
        made_by = f"Python {marker.get('python')} at {marker.get('site_packages')}"
        what = f"{path} was unpacked for {made_by}, or by another version of Headrace"
    elif path.exists():
        what = f"{path} is not whole"
    return Finding(name="triton", state="problem", what=what, fix=fix)


def check_libraries(installation: TritonInstallation) -> Iterator[Finding]:
    """Whether the programs are there and their libraries are found, libpython among them."""
    name = "triton programs"
    stub = installation.backends / "python" / STUB
    for program in (installation.server, stub):
        if not program.is_file() or not os.access(program, os.X_OK):
            what = f"{program} is missing or not executable"
            yield Finding(name=name, state="problem", what=what, fix=_again(installation))
            return
        missing = missing_libraries(program, server_environment(installation))
        if missing:
            is_python = any(item.startswith("libpython") for item in missing)
            yield Finding(
                name=name, state="problem",
                what=f"{program.name} does not find {', '.join(missing)}",
                fix="use a Python built with --enable-shared, or install the system's libpython "
                f"{sys.version_info.major}.{sys.version_info.minor}"
                if is_python
                else _again(installation),
            )  # fmt: skip
            return
    yield Finding(name=name, state="ok", what="the server, its Python stub and their libraries")


def missing_libraries(program: Path, environment: dict[str, str]) -> list[str]:
    """Libraries that the loader does not find for a program, which is not run."""
    done = subprocess.run(
        [str(program)], env=environment | {"LD_TRACE_LOADED_OBJECTS": "1"}, capture_output=True,
        text=True, timeout=PROGRAM_SECONDS, check=False,
    )  # fmt: skip
    lines = (done.stdout + done.stderr).splitlines()
    return [line.split("=>")[0].strip() for line in lines if "not found" in line]


def check_stub_python(installation: TritonInstallation) -> Iterator[Finding]:
    """Whether the first `python3` of the server's PATH has numpy 1."""
    name = "triton python"
    try:
        done = subprocess.run(
            ["python3", "-c", "import numpy; print(numpy.__version__)"],
            env=server_environment(installation), capture_output=True, text=True,
            timeout=PROGRAM_SECONDS, check=False,
        )  # fmt: skip
        version, error = done.stdout.strip(), one_line(done.stderr.strip()[-200:])
    except (OSError, subprocess.TimeoutExpired) as failure:
        version, error = "", one_line(failure)
    if version.startswith("1."):
        yield Finding(name=name, state="ok", what=f"numpy {version}")
        return
    what = f"its Python has numpy {version}" if version else f"its Python has no numpy: {error}"
    if version:
        what += "; below 2 is needed: with numpy 2 Triton gives wrong data and no error"
    yield Finding(name=name, state="problem", what=what, fix=_again(installation))


def write_probe(models: Path) -> None:
    """Write a model repository with the one probe model."""
    folder = models / MODEL / "1"
    folder.mkdir(parents=True)
    (folder / "model.py").write_bytes(MODEL_SOURCE.read_bytes())
    outputs = dict(zip(ANSWER, TENSORS.values(), strict=True))
    lines = [f'name: "{MODEL}"', 'backend: "python"']
    for kind, tensors in (("input", TENSORS), ("output", outputs)):
        for name, triton_type in tensors.items():
            config_type = "TYPE_STRING" if triton_type == "BYTES" else f"TYPE_{triton_type}"
            lines.append(f'{kind} [{{ name: "{name}" data_type: {config_type} dims: [ -1 ] }}]')
    (models / MODEL / "config.pbtxt").write_text("\n".join(lines) + "\n")


def check_known_answer(
    installation: TritonInstallation, ready_seconds: float = READY_SECONDS
) -> Iterator[Finding]:
    """Start the server, ask, and hold its answer against what must come."""
    name = "triton answer"
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="headrace-doctor-") as scratch:
            write_probe(Path(scratch))
            with TritonServer(installation, Path(scratch), ready_seconds=ready_seconds) as server:
                given = ask(server.grpc_url)
    except ServingError as error:
        what = f"it does not start: {one_line(error, 600)}"
        yield Finding(name=name, state="problem", what=what, fix=_again(installation))
        return
    if given == ANSWER:
        seconds = time.monotonic() - start
        what = f"started, asked and ended in {seconds:.1f} s; numbers and text came back right"
        yield Finding(name=name, state="ok", what=what)
        return
    wrong = {key: given.get(key) for key in ANSWER if given.get(key) != ANSWER[key]}
    expected = one_line({key: ANSWER[key] for key in wrong})
    yield Finding(
        name=name, state="problem",
        what=f"it is ready but gives wrong data: {expected} was expected, not {one_line(wrong)}",
        fix=_again(installation),
    )  # fmt: skip


def ask(grpc_url: str) -> dict[str, Any]:
    """The server's answer to `QUESTION`; an error of a tensor stands in its place."""
    from tritonclient import grpc

    inputs = []
    for name, value in QUESTION.items():
        tensor = grpc.InferInput(name, list(value.shape), TENSORS[name])
        tensor.set_data_from_numpy(value)
        inputs.append(tensor)
    client = grpc.InferenceServerClient(grpc_url)
    try:
        answer = client.infer(MODEL, inputs, client_timeout=ANSWER_SECONDS)
        return {name: _values(answer, name) for name in ANSWER}
    except grpc.InferenceServerException as error:
        return {name: one_line(error.message()) for name in ANSWER}
    finally:
        client.close()


def _values(answer: Any, name: str) -> Any:
    try:
        return answer.as_numpy(name).tolist()
    except (ValueError, AttributeError) as error:
        return one_line(error)
