"""A real Triton server: batches, sampling, refusals, starts that must fail, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from headrace.artifacts import Artifact, Runtime, Store
from headrace.artifacts.verification import find_strays
from headrace.errors import ConfigError, ServerUnavailableError, ServingError
from headrace.serving.client import TritonClient
from headrace.serving.installation import TritonInstallation
from headrace.serving.server import KNOWN_ANSWER_NAME, TritonServer
from tests.export.models import hf_logits, raw_artifact, save_model
from tests.serving.test_answers import build_repository, greedy

MODEL = "neox-sequential-rotary-1.0"
PROMPTS = [[5, 6, 7, 30, 22], [90, 3], [17, 18, 17, 18, 40, 41, 42, 43, 44]]


@pytest.fixture(scope="module")
def hf_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(MODEL, tmp_path_factory.mktemp("hf") / "model")


@pytest.fixture(scope="module")
def repository(hf_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    store = Store(Runtime(home=tmp_path_factory.mktemp("home")))
    return build_repository(store, raw_artifact(store, hf_dir))


@pytest.fixture(scope="module")
def server(triton: TritonInstallation, repository: Artifact) -> Iterator[TritonServer]:
    with TritonServer(triton, repository.path / "models") as running:
        running.prove(repository.file(KNOWN_ANSWER_NAME))
        yield running


def test_ragged_batch_in_one_request(server: TritonServer, hf_dir: Path) -> None:
    given = server.client.generate(PROMPTS, num_tokens=8).tokens
    assert given == [greedy(hf_dir, prompt, 8) for prompt in PROMPTS]


def test_sampling_by_seed(server: TritonServer) -> None:
    def sample(seed: int) -> list[list[int]]:
        options = {"runtime_top_p": 0.95, "temperature": 2.0, "random_seed": seed}
        return server.client.generate(PROMPTS, num_tokens=10, **options).tokens

    assert sample(7) == sample(7)
    assert any(sample(seed) != sample(7) for seed in range(3))


def test_log_probs_come_when_asked_for(server: TritonServer, hf_dir: Path) -> None:
    plain = server.client.generate(PROMPTS[:1], num_tokens=3)
    assert plain.cum_log_probs is None
    given = server.client.generate(PROMPTS[:1], num_tokens=3, is_return_log_probs=True)
    ids = np.array([PROMPTS[0] + given.tokens[0]])
    logits = hf_logits(hf_dir, ids)[0].astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    at = np.arange(4, 4 + len(given.tokens[0]))
    expected = log_probs[at, ids[0, at + 1]]
    assert given.output_log_probs is not None
    assert given.output_log_probs.reshape(-1)[: len(at)] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("prompts", "options", "word"),
    [
        ([[5, 6]], {"beam_width": 4}, "beam_width"),
        ([[5, 6]], {"prompt_learning_task_name_ids": 1}, "prompt_learning_task_name_ids"),
        ([[5, 6]], {"temperature": 0.0}, "temperature"),
        ([[97]], {}, "97"),
        ([[5], []], {}, "input_lengths"),
    ],
)
def test_refusals_reach_the_client_and_the_server_lives_on(
    server: TritonServer, prompts: list[list[int]], options: dict[str, Any], word: str
) -> None:
    with pytest.raises(ServingError, match=word):
        server.client.generate(prompts, num_tokens=2, **options)
    assert server.client.generate([[5, 6]], num_tokens=1).tokens


def test_the_client_checks_its_own_options(server: TritonServer) -> None:
    with pytest.raises(ConfigError, match="topk"):
        server.client.generate([[5]], num_tokens=1, topk=3)
    with pytest.raises(ConfigError, match="temperature"):
        server.client.generate([[5], [6], [7]], num_tokens=1, temperature=[1.0, 2.0])


def test_a_server_that_is_not_there() -> None:
    client = TritonClient("127.0.0.1:9")
    assert not client.is_ready()
    with pytest.raises(ServerUnavailableError):
        client.generate([[1]], num_tokens=1)
    client.close()


def test_it_listens_on_the_loopback_address_only(server: TritonServer) -> None:
    below = psutil.Process().children(recursive=True)
    tritons = [process for process in below if process.name() == "tritonserver"]
    assert tritons
    for process in tritons:
        for connection in process.net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip.removeprefix("::ffff:") == "127.0.0.1"


def test_a_model_that_cannot_be_loaded_is_told_at_once(
    triton: TritonInstallation, repository: Artifact, tmp_path: Path
) -> None:
    import shutil

    models = tmp_path / "models"
    shutil.copytree(repository.path / "models", models)
    next(models.rglob("*query_key_value.weight.0.bin")).unlink()
    start = time.monotonic()
    with pytest.raises(ServingError, match="query_key_value"), TritonServer(triton, models):
        pass
    assert time.monotonic() - start < 60


def test_serving_leaves_nothing_in_the_artifact(server: TritonServer, repository: Artifact) -> None:
    assert find_strays(repository) == []


def test_an_empty_repository_is_refused(triton: TritonInstallation, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="no model"), TritonServer(triton, tmp_path):
        pass


OWNER = """
import sys, time
from pathlib import Path
from headrace.serving.installation import TritonInstallation
from headrace.serving.server import TritonServer
with TritonServer(TritonInstallation(Path(sys.argv[1])), Path(sys.argv[2])):
    print("ready", flush=True)
    time.sleep(100)
"""


def test_a_killed_owner_leaves_no_server_and_no_stub(
    triton: TritonInstallation, repository: Artifact
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(triton.path), str(repository.path / "models")],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert owner.stdout is not None
    assert owner.stdout.readline() == "ready\n"
    below = psutil.Process(owner.pid).children(recursive=True)
    assert {"tritonserver", "triton_python_backend_stub"} <= {process.name() for process in below}
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    _, alive = psutil.wait_procs(below, timeout=5)
    assert alive == []
