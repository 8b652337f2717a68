from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from headrace.errors import ProcessFailedError
from headrace.processes import GuardedProcess, hold_shared, start_shared

# A tree with a child, a grandchild in a session of its own, and one that ignores SIGTERM.
TREE = (
    "import os, signal, subprocess, sys, time\n"
    "me = sys.argv[1]\n"
    "subprocess.Popen(['setsid', 'sleep', me])\n"
    "subprocess.Popen([sys.executable, '-c', 'import signal, time;"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(' + me + ')'])\n"
    "print('up', flush=True)\n"
    "time.sleep(float(me))\n"
)


def running(marker: str) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if alive and any(marker in part for part in process.info["cmdline"] or []):
            found.append(process.pid)
    return found


def wait_until_gone(marker: str, seconds: float = 5.0) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := running(marker)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.fixture
def marker() -> str:
    return unused_seconds()


def unused_seconds() -> str:
    """A number of seconds that no other process on the machine sleeps."""
    return f"{300 + os.getpid() % 1000}.{time.monotonic_ns() % 10**9}"


def test_output_and_exit_code(tmp_path: Path) -> None:
    lines: list[str] = []
    code = (
        "import sys; print('one'); print('two', file=sys.stderr); print('50%\\r100%'); sys.exit(7)"
    )
    with GuardedProcess(
        [sys.executable, "-u", "-c", code], on_line=lines.append, log_path=tmp_path / "log"
    ) as child:
        assert child.wait(20) == 7
    assert lines == ["one", "two", "100%"]
    assert child.tail(2) == "two\n100%"
    assert (tmp_path / "log").read_text().startswith("one\n")


def test_a_signal_is_seen_in_the_exit_code() -> None:
    with GuardedProcess(["sleep", "100"]) as child:
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait(20) == 128 + 9


def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(ProcessFailedError, match="no-such-program"):
        GuardedProcess(["no-such-program"])


def test_wait_has_a_limit_and_stop_ends_the_whole_tree(marker: str) -> None:
    with GuardedProcess([sys.executable, "-c", TREE, marker], grace_seconds=0.5) as child:
        with pytest.raises(TimeoutError):
            child.wait(0.5)
        assert len(running(marker)) >= 3
    assert wait_until_gone(marker, 1.0) == []


def test_a_clean_end_takes_stragglers_along(marker: str) -> None:
    code = f"import subprocess; subprocess.Popen(['setsid', 'sleep', '{marker}'])"
    with GuardedProcess([sys.executable, "-c", code], grace_seconds=0.5) as child:
        assert child.wait(20) == 0
    assert wait_until_gone(marker, 1.0) == []


OWNER = """
import sys, time
from headrace.processes import GuardedProcess
child = GuardedProcess([sys.executable, "-c", sys.argv[1], sys.argv[2]], grace_seconds=2.0)
time.sleep(100)
"""


@pytest.mark.parametrize("how", ["process", "group"])
def test_a_killed_owner_leaves_nothing(marker: str, how: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, TREE, marker], start_new_session=True)
    while len(running(marker)) < 5:
        assert owner.poll() is None
        time.sleep(0.05)
    if how == "group":
        os.killpg(owner.pid, signal.SIGKILL)
    else:
        owner.kill()
    owner.wait()
    assert wait_until_gone(marker) == []


def test_a_shared_program_ends_with_its_last_user(tmp_path: Path, marker: str) -> None:
    lock = tmp_path / "users.lock"
    users = [hold_shared(lock), hold_shared(lock)]
    start_shared(["sleep", marker], users_lock=lock, log_path=tmp_path / "log", name="sleeper")
    os.close(users[0])
    time.sleep(0.8)
    assert running(marker)
    os.close(users[1])
    assert wait_until_gone(marker) == []


POOL = """
import sys, time
from headrace.artifacts.runtime import process_pool
from tests.test_processes import sleep_long
if __name__ == "__main__":
    with process_pool(2) as pool:
        futures = [pool.submit(sleep_long, sys.argv[1]) for _ in range(2)]
        print("up", flush=True)
        [future.result() for future in futures]
"""


def sleep_long(marker: str) -> None:
    subprocess.run(["sleep", "1"], check=True)
    time.sleep(100)


def test_pool_workers_end_with_a_killed_parent(tmp_path: Path, marker: str) -> None:
    script = tmp_path / f"pool-{marker}.py"
    script.write_text(POOL)
    root = Path(__file__).resolve().parent.parent
    parent = subprocess.Popen(
        [sys.executable, str(script), marker], stdout=subprocess.PIPE, cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert parent.stdout is not None
    parent.stdout.readline()
    below = psutil.Process(parent.pid).children(recursive=True)
    while len(below) < 3:  # two workers and the resource tracker
        time.sleep(0.05)
        below = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.communicate()
    _, alive = psutil.wait_procs(below, timeout=5)
    assert alive == []


CHAIN = """
if [ "$2" -eq 0 ]; then trap "" TERM; exec sleep "$1"; fi
trap 'exit 0' TERM
sh "$0" "$1" $(($2 - 1)) &
wait
"""


def test_a_chain_that_falls_apart_under_the_guardian_s_eyes(tmp_path: Path, marker: str) -> None:
    # Parents die one after the other and their children move up, while the guardian reads /proc.
    script = tmp_path / "chain.sh"
    script.write_text(CHAIN)
    for _ in range(3):
        process = GuardedProcess(["sh", str(script), marker, "12"])
        deadline = time.monotonic() + 10
        while len(running(marker)) < 14 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.stop(grace_seconds=0.6)
        assert running(marker) == []
