"""All checks of `headrace doctor`, in the order in which they are told."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from headrace.diagnosis import environment as variables
from headrace.diagnosis import imports, machine, packages, ports, prefect_server
from headrace.diagnosis.findings import Check, Finding

TRITON_SECONDS = 180.0


def all_checks(
    home: Path,
    environment: Mapping[str, str],
    *,
    directories: Sequence[Path],
    with_start: bool = True,
) -> list[Check]:
    """The checks for one home.

    Args:
        home: absolute; nothing in it is changed.
        environment: variables as the command got them.
        directories: where programs are started, for names that break imports.
        with_start: start Triton and ask it.
    """
    of = functools.partial
    address = prefect_server.find_server(home, environment)
    auth = environment.get(prefect_server.AUTH_VARIABLE)
    client = packages.installed_version("prefect")
    return [
        Check(name="python", examine=packages.check_machine_python),
        Check(name="packages", examine=packages.check_installation),
        Check(
            name="torch", seconds=packages.TORCH_SECONDS + 10,
            examine=lambda: packages.check_torch(packages.probe_torch, packages.has_gpu_driver()),
        ),
        Check(name="imports", examine=of(imports.check_shadowing, directories)),
        Check(name="wikiextractor", examine=_check_wikiextractor),
        Check(name="git", examine=lambda: packages.check_git(packages.find_git())),
        Check(name="home", examine=of(machine.check_home, home, os.getuid())),
        Check(name="permissions", examine=of(machine.check_privacy, home)),
        Check(name="file system", examine=of(machine.check_file_system, home)),
        Check(
            name="disk", examine=lambda: machine.check_disk(home, machine.measure_space(home))
        ),
        Check(name="memory", examine=lambda: machine.check_memory(machine.available_memory())),
        Check(name="shared memory", examine=machine.check_shared_memory),
        Check(name="HEADRACE_*", examine=of(variables.check_headrace_variables, environment)),
        Check(name="PREFECT_*", examine=of(variables.check_prefect_variables, environment, home)),
        Check(
            name="server", examine=of(prefect_server.check_server, address, client, auth),
        ),
        Check(name="database", examine=of(prefect_server.check_database, home, environment)),
        *[
            Check(name=f"port {port}", examine=of(ports.check_port, port, *wanted, home))
            for port, wanted in ports.DEFAULT_PORTS.items()
        ],
        Check(
            name="triton", seconds=TRITON_SECONDS,
            examine=of(_check_triton, home, with_start=with_start),
        ),
    ]  # fmt: skip


# What these need may be the very thing that is broken: their imports must not end the others.


def _check_wikiextractor() -> Iterator[Finding]:
    from headrace.corpus.wikiextractor import WIKIEXTRACTOR_COMMAND

    yield from packages.check_wikiextractor(WIKIEXTRACTOR_COMMAND)


def _check_triton(home: Path, *, with_start: bool) -> Iterator[Finding]:
    from headrace.diagnosis import triton

    yield from triton.check_triton(home, with_start=with_start)
