from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from headrace.artifacts import Runtime, Store
from headrace.serving.installation import DIRECTORY, find_triton, install_triton
from tests.harness.killing import digests, headrace, states

ROOT = Path(__file__).resolve().parents[2]
SHRUNK = ROOT / "tests" / "data" / "shrunk.yaml"
SAMPLE = next((ROOT / "samples").glob("enwiki*.bz2"))
STAGES = (
    "source", "pages", "articles", "sentences", "splits", "tokenizer", "blocks", "model",
    "evaluation", "samples", "ft_export", "parity", "triton_repository", "answers",
)  # fmt: skip


@dataclass
class Pipeline:
    """The shrunk pipeline in one home, run through the real command.

    Attributes:
        home: its HEADRACE_HOME.
        output: what the last run printed.
        code: its exit code.
    """

    home: Path
    output: str = ""
    code: int = 0
    settings: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(Runtime(home=self.home))

    def command(self, *settings: str, workers: int = 2, dump: Path = SAMPLE) -> list[str]:
        command = headrace("run", "pretrain_wikipedia", "--config", str(SHRUNK))
        command += ["--workers", str(workers), "--set", f"dump={dump}"]
        for setting in settings:
            command += ["--set", setting]
        return command

    def run(self, *settings: str, workers: int = 2, dump: Path = SAMPLE) -> dict[str, str]:
        """Run to the end; returns each stage's state."""
        environment = os.environ | {"HEADRACE_HOME": str(self.home)}
        for name in ("PREFECT_API_URL", "PREFECT_HOME"):
            environment.pop(name, None)
        done = subprocess.run(
            self.command(*settings, workers=workers, dump=dump), cwd=ROOT, env=environment,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        self.output, self.code = done.stdout + done.stderr, done.returncode
        return states(done.stdout)

    def digests(self) -> dict[str, str]:
        return digests(self.home)


def lend_triton(home: Path) -> None:
    """Let a fresh home use the Triton server that is unpacked already."""
    given = os.environ.get("HEADRACE_TEST_HOME")
    source = Path(given) if given else ROOT / ".headrace"
    if find_triton(source) is None:
        install_triton(source)
    home.mkdir(parents=True, exist_ok=True)
    (home / DIRECTORY).symlink_to(source / DIRECTORY)


def lend_database(home: Path, finished: Pipeline) -> None:
    """Give a fresh home a Prefect database that exists already: making one takes seconds."""
    target = home / "prefect"
    target.mkdir(parents=True, exist_ok=True)
    for path in (finished.home / "prefect").glob("prefect.db*"):
        if not path.name.endswith("-shm"):  # an index of the -wal file, made again when opened
            shutil.copyfile(path, target / path.name)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A home in which the shrunk pipeline ran once, undisturbed. Do not change it: copy it."""
    pipeline = Pipeline(tmp_path_factory.mktemp("finished") / "home")
    lend_triton(pipeline.home)
    seen = pipeline.run()
    assert pipeline.code == 0, pipeline.output[-4000:]
    assert seen == dict.fromkeys(STAGES, "Completed"), pipeline.output[-4000:]
    return pipeline


@pytest.fixture
def pipeline(finished: Pipeline, tmp_path: Path) -> Pipeline:
    """A copy of the finished home for one test to damage."""
    home = tmp_path / "home"
    shutil.copytree(finished.home, home, symlinks=True)
    return Pipeline(home)
