"""Variables of the environment, and Prefect's profile, that lead a run astray."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from headrace.diagnosis.findings import Finding, State, one_line

KNOWN = (
    "HEADRACE_HOME", "HEADRACE_RUN", "HEADRACE_WORKERS", "HEADRACE_FAILURE_WEBHOOK",
    "HEADRACE_MAX_RUN_HOURS", "HEADRACE_REPORTS_URL", "HEADRACE_PROJECT",
)  # fmt: skip
TESTS_PREFIX = "HEADRACE_TEST_"
SECRET_VARIABLES = ("HEADRACE_FAILURE_WEBHOOK",)
UI_VARIABLES = ("PREFECT_SERVER_UI_API_URL", "PREFECT_UI_API_URL")
HEARTBEAT_VARIABLE = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"
MIN_HEARTBEAT_SECONDS = 30
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


def check_headrace_variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether each HEADRACE_* variable is known and holds what can be used."""
    found = {name: value for name, value in environment.items() if name.startswith("HEADRACE_")}
    faults = []
    for name, value in sorted(found.items()):
        if name.startswith(TESTS_PREFIX):
            continue
        fault = _headrace_fault(name, value)
        if fault:
            faults.append(Finding(name=name, state=fault[0], what=fault[1], fix=fault[2]))
    yield from faults
    if not faults:
        names = ", ".join(sorted(found)) or "none is set"
        yield Finding(name="HEADRACE_*", state="ok", what=names)


def _is_number(value: str, *, above: float) -> bool:
    try:
        return above < float(value) < float("inf")
    except ValueError:
        return False


def _headrace_fault(name: str, value: str) -> tuple[State, str, str] | None:
    shown = "..." if name in SECRET_VARIABLES else repr(one_line(value, 80))
    if name not in KNOWN:
        near = difflib.get_close_matches(name, KNOWN, n=1)
        fix = f"meant is perhaps {near[0]}" if near else f"unset {name}"
        return "warning", f"{name} is no variable of Headrace: it has no effect", fix
    if name == "HEADRACE_HOME" and value and not Path(value).expanduser().is_absolute():
        what = f"{shown} is relative: each current directory has a home of its own"
        return "warning", what, f"export HEADRACE_HOME={Path(value).resolve()}"
    if name == "HEADRACE_WORKERS" and not (value.isdigit() and int(value) >= 1):
        return "problem", f"{shown}; a whole number from 1 is needed", f"unset {name}"
    if name == "HEADRACE_MAX_RUN_HOURS" and not _is_number(value, above=0):
        return "problem", f"{shown}; a number of hours above 0 is needed", f"unset {name}"
    if name in ("HEADRACE_FAILURE_WEBHOOK", "HEADRACE_REPORTS_URL") and not _is_url(value):
        what = f"{shown}; an http:// or https:// address is needed"
        return "problem", what, f"export {name}=https://..."
    return None


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def same_address(one: str, other: str) -> bool:
    """Whether two URLs name the same API; all names of the loopback address are one."""

    def plain(url: str) -> tuple[str, str, int | None, str]:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        return parts.scheme, LOOPBACK_NAMES[0] if host in LOOPBACK_NAMES else host, port, parts.path

    try:
        return plain(one.rstrip("/")) == plain(other.rstrip("/"))
    except ValueError:
        return False


def check_prefect_variables(environment: Mapping[str, str], home: Path) -> Iterator[Finding]:
    """Whether PREFECT_* variables and the active profile fit this home."""
    findings = [
        *_api_url(environment), *_ui_url(environment), *_heartbeats(environment),
        *_profile(environment, home), *_proxy(environment),
    ]  # fmt: skip
    yield from findings
    if not findings:
        names = sorted(name for name in environment if name.startswith("PREFECT_"))
        yield Finding(name="PREFECT_*", state="ok", what=", ".join(names) or "none is set")


def _api_url(environment: Mapping[str, str]) -> Iterator[Finding]:
    url = environment.get("PREFECT_API_URL")
    if not url:
        return
    if not _is_url(url):
        yield Finding(
            name="PREFECT_API_URL", state="problem",
            what=f"{one_line(url, 80)!r}; an http:// or https:// address is needed",
            fix="unset PREFECT_API_URL, or export PREFECT_API_URL=http://127.0.0.1:4200/api",
        )  # fmt: skip
    elif urlsplit(url).path.rstrip("/") == "":
        yield Finding(
            name="PREFECT_API_URL", state="problem",
            what=f"{url} is the address of the UI; the API lies below it",
            fix=f"export PREFECT_API_URL={url.rstrip('/')}/api",
        )  # fmt: skip


def _ui_url(environment: Mapping[str, str]) -> Iterator[Finding]:
    url = environment.get("PREFECT_API_URL")
    for name in UI_VARIABLES:
        shown = environment.get(name)
        if url and shown and not same_address(url, shown):
            yield Finding(
                name=name, state="warning",
                what=f"{shown}, while PREFECT_API_URL is {url}: a server started here would show "
                "the pages of another, or none",
                fix=f"export {name}={url}",
            )  # fmt: skip


def _heartbeats(environment: Mapping[str, str]) -> Iterator[Finding]:
    text = environment.get(HEARTBEAT_VARIABLE)
    if text and not _is_number(text, above=MIN_HEARTBEAT_SECONDS - 1):
        yield Finding(
            name=HEARTBEAT_VARIABLE, state="problem",
            what=f"{one_line(text, 80)!r}; seconds from {MIN_HEARTBEAT_SECONDS} are needed, "
            "Prefect does not start with less",
            fix=f"unset {HEARTBEAT_VARIABLE}",
        )  # fmt: skip


def _proxy(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Programs ask a proxy even for this machine's own servers, unless they are told not to."""
    values = {name.lower(): value for name, value in environment.items()}
    without = [item.strip() for item in values.get("no_proxy", "").split(",")]
    if values.get("http_proxy") and not {"127.0.0.1", "*"} & set(without):
        yield Finding(
            name="proxy", state="problem",
            what="http_proxy is set without an exception for 127.0.0.1: Prefect's own server "
            "would be asked for through the proxy",
            fix="export no_proxy=127.0.0.1,localhost NO_PROXY=127.0.0.1,localhost",
        )  # fmt: skip


def _profile(environment: Mapping[str, str], home: Path) -> Iterator[Finding]:
    directory = Path(environment.get("PREFECT_HOME") or home / "prefect").expanduser()
    path = directory / "profiles.toml"
    chosen = environment.get("PREFECT_PROFILE")
    try:
        value = tomllib.loads(path.read_text()) if path.exists() else {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        what = f"{path}: {one_line(error)}"
        yield Finding(name="profile", state="problem", what=what, fix=f"mend or remove {path}")
        return
    profiles = value.get("profiles", {})
    if chosen and chosen not in profiles and chosen not in ("ephemeral", "local", "cloud", "test"):
        yield Finding(
            name="PREFECT_PROFILE", state="problem",
            what=f"{chosen!r} is no profile of {path}: Prefect's programs end at once",
            fix="unset PREFECT_PROFILE",
        )  # fmt: skip
        return
    active = chosen or value.get("active")
    url = profiles.get(active, {}).get("PREFECT_API_URL")
    if url and not environment.get("PREFECT_API_URL"):
        yield Finding(
            name="profile", state="warning",
            what=f"profile {active!r} of {path} names the server {url}; `headrace run` looks at "
            "the variable only and starts its own, `prefect` goes to the profile's",
            fix=f"export PREFECT_API_URL={url}, or prefect config unset PREFECT_API_URL",
        )  # fmt: skip
