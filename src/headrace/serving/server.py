"""A real Triton server as a child of this process, on loopback ports, proved before it is used.

    with TritonServer(find_triton(home), models, log_path=log) as server:
        server.client.generate([[1, 2, 3]], num_tokens=8)

READY proves nothing here: with a wrong numpy the Python backend answers READY and returns wrong
data. So every start ends with a question whose answer is known. Start: 2 s, 6 s with torch.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.artifacts.files import read_json
from headrace.errors import ServerUnavailableError, ServingError
from headrace.processes import GuardedProcess, free_ports
from headrace.serving.client import TritonClient
from headrace.serving.installation import TritonInstallation, server_environment

KNOWN_ANSWER_NAME = "known_answer.json"
READY_SECONDS = 120.0
STOP_SECONDS = 10.0
NUM_PORT_TRIES = 3
TAIL_LINES = 40
_PORT_IN_USE = "already in use"

logger = logging.getLogger(__name__)


class TritonServer:
    """A Triton server that serves every model of one repository while in the block.

    Args:
        installation: the unpacked server.
        models: directory of a model repository: one folder a model.
        log_path: the server's log, appended to.
        ready_seconds: how long loading may take.
        ports: HTTP, gRPC and metrics port; free ones by default.
        allow_empty: start with no model too; it then only tells that it is ready.

    Attributes:
        client: asks it over gRPC.
        grpc_url: `127.0.0.1:port`.
        http_url: `127.0.0.1:port`.

    Raises:
        ServingError: it does not start or a model does not load; the message ends with its log.
        ServerUnavailableError: it is not ready in time.
    """

    def __init__(
        self,
        installation: TritonInstallation,
        models: Path,
        *,
        log_path: Path | None = None,
        ready_seconds: float = READY_SECONDS,
        ports: tuple[int, int, int] | None = None,
        allow_empty: bool = False,
    ) -> None:
        self._installation = installation
        self._models = models
        self._log_path = log_path
        self._ready_seconds = ready_seconds
        self._ports = ports
        self._allow_empty = allow_empty
        self._process: GuardedProcess | None = None

    def __enter__(self) -> Self:
        names = sorted(path.name for path in self._models.iterdir() if path.is_dir())
        if not names and not self._allow_empty:
            raise ServingError(
                f"{self._models}: a model repository was expected; it holds no model"
            )
        for number in range(NUM_PORT_TRIES if self._ports is None else 1):
            self._start()
            try:
                self._wait_until_ready(names)
                return self
            except ServingError:
                tail = self._tail()
                self.stop()
                others_left = self._ports is None and number < NUM_PORT_TRIES - 1
                if _PORT_IN_USE not in tail.lower() or not others_left:
                    raise
                logger.info("another program took one of Triton's ports; trying others")
            except BaseException:
                self.stop()
                raise
        raise ServerUnavailableError("Triton: no free ports were found")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self) -> None:
        http, grpc, metrics = self._ports or free_ports(3)
        self.http_url, self.grpc_url = f"127.0.0.1:{http}", f"127.0.0.1:{grpc}"
        command = [
            str(self._installation.server),
            f"--model-repository={self._models}",
            f"--backend-directory={self._installation.backends}",
            "--model-control-mode=explicit", "--load-model=*", "--exit-on-error=false",
            "--http-address=127.0.0.1", f"--http-port={http}",
            "--grpc-address=127.0.0.1", f"--grpc-port={grpc}",
            "--metrics-address=127.0.0.1", f"--metrics-port={metrics}",
            "--allow-gpu-metrics=false", "--pinned-memory-pool-byte-size=0",
            "--exit-timeout-secs=5", "--disable-auto-complete-config",
        ]  # fmt: skip
        self._process = GuardedProcess(
            command,
            env=server_environment(self._installation) | {"OMP_NUM_THREADS": _num_threads()},
            log_path=self._log_path,
            grace_seconds=3.5,
            name="tritonserver",
        )
        self.client = TritonClient(self.grpc_url)

    def _wait_until_ready(self, names: Sequence[str]) -> None:
        start = time.monotonic()
        while time.monotonic() - start < self._ready_seconds:
            # Another thread may stop it meanwhile.
            process = self._process
            if process is None:
                raise ServingError("Triton was stopped while it was starting")
            if process.poll() is not None:
                raise ServingError(f"Triton ended at its start: {self._tail()}")
            states = self.client.model_states()
            failed = {name: why for name, (state, why) in states.items() if state == "UNAVAILABLE"}
            if failed:
                why = "; ".join(f"{name}: {text}" for name, text in sorted(failed.items()))
                raise ServingError(f"Triton could not load {why or 'a model'}: {self._tail()}")
            ready = {name for name, (state, _) in states.items() if state == "READY"}
            if ready >= set(names) and self.client.is_ready():
                logger.info("Triton is ready after %.1f s", time.monotonic() - start)
                return
            time.sleep(0.1)
        raise ServerUnavailableError(
            f"Triton was not ready after {self._ready_seconds:.0f} s: {self._tail()}"
        )

    def _tail(self) -> str:
        text = self._process.tail(TAIL_LINES) if self._process else ""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        wrong = [line for line in lines if line.startswith("E") or "rror" in line]
        return " | ".join((wrong or lines)[-6:])[-1500:]

    def prove(self, known_answer: Path) -> None:
        """Ask the question of `known_answer.json` and insist on its answer.

        The file holds `input_ids` (lists of ids) and `output_ids` (for each, the greedy ids that
        follow), made without Triton.

        Raises:
            ServingError: the answer is another: the server's Python, numpy or weights are wrong.
        """
        value = read_json(known_answer)
        if not isinstance(value, dict) or not value.get("input_ids"):
            raise ServingError(f"{known_answer}: a known answer was expected; there is none")
        expected = value["output_ids"]
        given = self.client.generate(value["input_ids"], num_tokens=len(expected[0])).tokens
        if given != expected:
            raise ServingError(
                f"Triton is ready but gives wrong data: {expected} was expected for "
                f"{value['input_ids']}, it gave {given}: its Python environment or the model's "
                "files are damaged; run `headrace verify --full`, or remove the installation and "
                "run `make setup`"
            )

    @property
    def pid(self) -> int | None:
        """The server's process; None while it does not run."""
        return self._process.pid if self._process is not None else None

    def exit_code(self) -> int | None:
        """How the server ended by itself; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def stop(self) -> None:
        """End the server and everything below it."""
        if self._process is not None:
            self.client.close()
            # Triton unloads its models on SIGTERM; its stubs end with it.
            self._process.stop(grace_seconds=STOP_SECONDS)
            self._process = None


def _num_threads() -> str:
    return os.environ.get("OMP_NUM_THREADS") or str(len(os.sched_getaffinity(0)))
