"""What an all-hit run costs beside a running server, over what importing costs.

python -m bench.all_hit HOME CONFIG [--runs N]

HOME is a home in which CONFIG's pipeline has run (`make demo` makes one); it is copied. In turn: a
bare import of Prefect and the flow, and `headrace run` of which every stage is a hit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flows.embedded_server import is_healthy
from headrace.processes import GuardedProcess, free_ports
from headrace.summary import table

ROOT = Path(__file__).resolve().parent.parent
IMPORTS = "import flows.commands, flows.running, flows.pretrain_wikipedia, prefect.main"
START_SECONDS = 120.0


def seconds_of(command: list[str], environment: dict[str, str]) -> float:
    """Wall time of a command that must succeed."""
    start = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    took = time.monotonic() - start
    if done.returncode:
        sys.exit(f"{command}: exit code {done.returncode}: {done.stderr[-800:]}")
    states = {
        line.split()[1]
        for line in done.stdout.splitlines()
        if line[:1].isalpha()
        and len(line.split()) > 5
        and line.split()[1] in ("Cached", "Completed", "Healed")
    }
    if "run" in command and states != {"Cached"}:
        sys.exit(f"not every stage was a hit: {states}")
    return took


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="an all-hit run over what importing costs")
    parser.add_argument("home", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="headrace-bench-hit-"))
    home = directory / "home"
    shutil.copytree(
        arguments.home, home, symlinks=True,
        ignore=shutil.ignore_patterns("prefect", "cache", "triton-server-*", "reports", "logs"),
    )  # fmt: skip
    for server in arguments.home.resolve().glob("triton-server-*"):
        (home / server.name).symlink_to(server)
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {
        "HEADRACE_HOME": str(home), "PREFECT_HOME": str(home / "prefect"), "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
    }  # fmt: skip
    serve = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    run = [sys.executable, "-m", "flows.commands", "run", "pretrain_wikipedia"]
    run += ["--config", str(arguments.config), "--quiet"]
    found: dict[str, list[float]] = {"imports": [], "all-hit run": [], "difference": []}
    try:
        with GuardedProcess(serve, env=environment, name="Prefect server"):
            deadline = time.monotonic() + START_SECONDS
            while not is_healthy(url) and time.monotonic() < deadline:
                time.sleep(0.2)
            seconds_of(run, environment)  # warm: file caches, the first connection
            for _ in range(arguments.runs):
                found["imports"].append(seconds_of([sys.executable, "-c", IMPORTS], environment))
                found["all-hit run"].append(seconds_of(run, environment))
                found["difference"].append(found["all-hit run"][-1] - found["imports"][-1])
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    rows = [[what, f"{min(some):.2f}", f"{statistics.median(some):.2f}", f"{max(some):.2f}"]
            for what, some in found.items()]  # fmt: skip
    sys.stdout.write(table(["seconds", "min", "median", "max"], rows, right="min median max"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
