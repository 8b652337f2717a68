"""Who listens on which port, as far as /proc tells it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.diagnosis.findings import Finding, one_line

DEFAULT_PORTS: Mapping[int, tuple[str, str]] = {
    4200: ("Prefect's server", "--port"),
    4280: ("reports", "--reports-port"),
    8000: ("Triton over HTTP", "--triton-port"),
    8001: ("Triton over gRPC", "--triton-port"),
    8002: ("Triton's metrics", "--triton-port"),
}
"""Port -> what `headrace up` listens there for, and its option; `headrace run` takes free ones."""

LISTENING = "0A"
MAX_COMMAND = 120


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A program that listens.

    Attributes:
        address: as text; "0.0.0.0" and "::" are every address of the machine.
        pid: of a process that holds the socket; None where other users' processes are hidden.
        command: its command line.
    """

    address: str
    pid: int | None
    command: str

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.address.startswith("127.") or self.address in ("::1", "::ffff:127.0.0.1")


def _address(text: str) -> str:
    """/proc's hexadecimal words in host order -> the usual text."""
    words = [text[i : i + 8] for i in range(0, len(text), 8)]
    packed = b"".join(bytes.fromhex(word)[::-1] for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed)


def find_listeners(port: int, proc: Path = Path("/proc")) -> list[Listener]:
    """The programs that listen on a TCP port of this machine."""
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue  # no IPv6, or not Linux
        for line in lines:
            fields = line.split()
            address, _, number = fields[1].rpartition(":")
            if fields[3] == LISTENING and int(number, 16) == port:
                pid = _holder(fields[9], proc)
                found.append(
                    Listener(address=_address(address), pid=pid, command=_command(pid, proc))
                )
    return found


def _holder(inode: str, proc: Path) -> int | None:
    for descriptor in proc.glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) == f"socket:[{inode}]":
                return int(descriptor.parts[-3])
    return None


def _command(pid: int | None, proc: Path) -> str:
    with contextlib.suppress(OSError):
        if pid is not None:
            raw = (proc / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ")
            return one_line(raw.decode(errors="replace"), MAX_COMMAND)
    return ""


def belongs_to(home: Path, pid: int | None, proc: Path = Path("/proc")) -> bool:
    """Whether a process works for this home, by what it was started with."""
    if pid is None:
        return False
    try:
        environment = (proc / str(pid) / "environ").read_bytes().split(b"\0")
        command = (proc / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
    ours = (f"HEADRACE_HOME={home}", f"PREFECT_HOME={home / 'prefect'}")
    return any(item.encode() in environment for item in ours) or f"{home}/".encode() in command


def check_port(port: int, purpose: str, option: str, home: Path) -> Iterator[Finding]:
    """Whether `headrace up` could listen on a port, or does.

    Args:
        port: on the loopback address.
        purpose: what listens there.
        option: of `headrace up`, to choose another.
        home: whose programs may hold it.
    """
    name = f"port {port}"
    listeners = find_listeners(port)
    if not listeners and _is_free(port):
        yield Finding(name=name, state="ok", what=f"free ({purpose})")
        return
    if any(belongs_to(home, listener.pid) for listener in listeners):
        yield Finding(name=name, state="ok", what=f"{purpose}, held by this home's own program")
        return
    holders = sorted({_holder_text(listener) for listener in listeners}) or ["another program"]
    yield Finding(
        name=name, state="warning",
        what=f"wanted by `headrace up` for {purpose}, held by {' and '.join(holders)}",
        fix=f"end that program, or choose another port: headrace up {option} N",
    )  # fmt: skip


def _holder_text(listener: Listener) -> str:
    if listener.pid is None:
        return "a program of another user"
    return f"process {listener.pid} ({listener.command})"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: an address whose last connection is still fading counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
