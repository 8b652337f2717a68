"""What a Prefect server does by itself about runs that crash, fail or go on too long.

    PREFECT_API_URL=http://127.0.0.1:4200/api python deployments/automations.py

A self-hosted server comes without any automation: a run whose process dies with its worker stays
`Running` for ever. This makes ours, or brings them up to date, and prints a line for each. Only
the automations named here are touched. One that a user disabled stays disabled; other changes made
by hand are undone, since the code below is where they belong.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, CallWebhook, ChangeFlowRunState, DoNothing
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.types import SecretDict
from pydantic import SecretStr

from headrace.errors import ConfigError, HeadraceError

PREFIX = "headrace:"
CRASH_DETECTION = f"{PREFIX} crashed runs"
FAILURE_NOTICE = f"{PREFIX} failed runs"
LENGTH_NOTICE = f"{PREFIX} long runs"

WEBHOOK_VARIABLE = "HEADRACE_FAILURE_WEBHOOK"
MAX_HOURS_VARIABLE = "HEADRACE_MAX_RUN_HOURS"
MAX_RUN_HOURS = 24.0
WEBHOOK_BLOCK = "headrace-failure-webhook"
WEBHOOK_BLOCK_TYPE = "webhook"

HEARTBEATS_IN_WINDOW = 3
"""Two heartbeats may be lost. Prefect's own example waits 90 s for heartbeats 180 s apart."""
MIN_WINDOW_SECONDS = 10.0
"""Prefect refuses a shorter window for a trigger that waits for what does not come."""
MAX_MESSAGE_CHARACTERS = 1000

_RUN = "prefect.flow-run."
HEARTBEAT = f"{_RUN}heartbeat"
RUNNING_EVENTS = frozenset({f"{_RUN}Running", f"{_RUN}Retrying"})
# Events carry a state's name, not its type. `Suspended`, `AwaitingRetry` and the names of a
# rescheduled run end a process in good order: no heartbeat follows until the run is Running again.
AT_REST_EVENTS = frozenset(
    _RUN + name
    for name in (
        "Completed", "Failed", "TimedOut", "Crashed", "Cancelled", "Paused", "Suspended",
        "Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Resuming",
    )
)  # fmt: skip
FLOW_RUNS: dict[str, str | list[str]] = {"prefect.resource.id": f"{_RUN}*"}


@dataclass(frozen=True, kw_only=True)
class AutomationOptions:
    """What the automations depend on.

    Attributes:
        window_seconds: silence after which a run counts as crashed; None: heartbeats are off.
        max_run_hours: how long a run may be `Running` before it is told.
        webhook_url: where failures are told; a secret. None: nowhere.
    """

    window_seconds: float | None
    max_run_hours: float = MAX_RUN_HOURS
    webhook_url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        window = self.window_seconds
        if window is not None and not MIN_WINDOW_SECONDS <= window < math.inf:
            raise ConfigError(
                f"window_seconds = {window}: at least {MIN_WINDOW_SECONDS:.0f} s are needed"
            )
        if not MIN_WINDOW_SECONDS <= self.max_run_hours * 3600 < math.inf:
            raise ConfigError(
                f"{MAX_HOURS_VARIABLE} = {self.max_run_hours}: a number of hours above 0 is needed"
            )
        parts = urlsplit(self.webhook_url or "https://none")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            # The address itself is a secret: it stays out of the message.
            raise ConfigError(f"{WEBHOOK_VARIABLE}: an http:// or https:// address is needed")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What became of one automation.

    Attributes:
        name: the automation's.
        outcome: "created", "updated", "unchanged", "removed" or "not made".
        detail: what it does, or why it is not there.
    """

    name: str
    outcome: str
    detail: str

    def __str__(self) -> str:
        return f"{self.outcome:<9}  {self.name}: {self.detail}"


def read_options(environment: Mapping[str, str] | None = None) -> AutomationOptions:
    """The options from the environment and Prefect's settings of this process.

    Raises:
        ConfigError: a variable holds what cannot be used.
    """
    values = os.environ if environment is None else environment
    text = values.get(MAX_HOURS_VARIABLE) or str(MAX_RUN_HOURS)
    try:
        hours = float(text)
    except ValueError:
        raise ConfigError(f"{MAX_HOURS_VARIABLE} = {text!r}: a number of hours is needed") from None
    interval = get_current_settings().flows.heartbeat_frequency
    return AutomationOptions(
        window_seconds=None if interval is None else float(HEARTBEATS_IN_WINDOW * interval),
        max_run_hours=hours,
        webhook_url=values.get(WEBHOOK_VARIABLE) or None,
    )


def _crash_detection(window_seconds: float) -> AutomationCore:
    """After a heartbeat, another one or an end in good order must come within the window.

    An end in a state of another name does no harm: Prefect crashes no run that has ended.
    """
    return AutomationCore(
        name=CRASH_DETECTION,
        description=f"A run that gave no sign of life for {window_seconds:g} s is Crashed.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT} | AT_REST_EVENTS,
            match=FLOW_RUNS,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=window_seconds),
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed",
                state=StateType.CRASHED,
                force=False,
                message=f"no heartbeat for {window_seconds:g} s: its process, its machine or the "
                "network between died; retry it to go on where it was",
            )
        ],
    )


def _failure_notice(action: ActionTypes) -> AutomationCore:
    """Every state of the types FAILED and CRASHED, whatever its name (`TimedOut` is one)."""
    return AutomationCore(
        name=FAILURE_NOTICE,
        description="A run that failed or crashed is told to the webhook.",
        trigger=EventTrigger(
            expect={f"{_RUN}*"},
            match=FLOW_RUNS | {"prefect.state-type": ["FAILED", "CRASHED"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[action],
    )


def _length_notice(max_run_hours: float, action: ActionTypes) -> AutomationCore:
    """After Running, an end or a pause must come in time; Running again starts the clock anew."""
    return AutomationCore(
        name=LENGTH_NOTICE,
        description=f"A run that has been Running for {max_run_hours:g} hours is told.",
        trigger=EventTrigger(
            after=set(RUNNING_EVENTS),
            # `Running` is expected too: a trigger begins a new count for a run only if the event
            # that meets it can also start it, so a retried run would not be watched otherwise.
            expect=set(RUNNING_EVENTS | AT_REST_EVENTS),
            match=FLOW_RUNS,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(hours=max_run_hours),
        ),
        actions=[action],
    )


def _payload(about: str) -> str:
    """A template that gives JSON whatever stands in names and messages.

    `text` is what chat services show (Slack, Mattermost, Teams through a relay).
    """
    ui_url = (get_current_settings().ui_url or "").rstrip("/")
    message = f'(flow_run.state.message or "")[:{MAX_MESSAGE_CHARACTERS}]'
    link = json.dumps(f"{ui_url}/runs/flow-run/") + " ~ flow_run.id"
    text = f'"Headrace: run " ~ flow_run.name ~ " {about}: " ~ {message} ~ " " ~ {link}'
    values = {
        "text": text,
        "automation": "automation.name",
        "flow": "flow.name",
        "flow_run_name": "flow_run.name",
        "flow_run_id": "flow_run.id ~ ''",
        "state": "flow_run.state.name",
        "message": message,
        "url": link,
    }
    lines = [f" {json.dumps(name)}: {{{{ ({value}) | tojson }}}}" for name, value in values.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def _call_webhook(block_id: Any, about: str) -> CallWebhook:
    return CallWebhook(block_document_id=block_id, payload=_payload(about))


def _save_webhook(url: str) -> Any:
    """Keep the address in a block, whose id is returned; it is the same at every call."""
    block = Webhook(
        method="POST",
        url=SecretStr(url),
        headers=SecretDict({"Content-Type": "application/json"}),
        # An address in the own network is no attack here: the server's operator chose it.
        allow_private_urls=True,
    )
    return block.save(WEBHOOK_BLOCK, overwrite=True)


def _remove_webhook(client: SyncPrefectClient) -> None:
    with contextlib.suppress(ObjectNotFound):
        found = client.read_block_document_by_name(WEBHOOK_BLOCK, WEBHOOK_BLOCK_TYPE)
        client.delete_block_document(found.id)


def _plain(automation: AutomationCore) -> dict[str, Any]:
    """What makes two automations the same; the trigger's own id and `enabled` do not."""
    fields = set(AutomationCore.model_fields) - {"enabled", "owner_resource"}
    return automation.model_dump(include=fields)


def _apply(client: SyncPrefectClient, wanted: AutomationCore) -> Change:
    def told(outcome: str) -> Change:
        return Change(name=wanted.name, outcome=outcome, detail=wanted.description)

    found = client.read_automations_by_name(wanted.name)
    for double in found[1:]:
        client.delete_automation(double.id)
    if not found:
        client.create_automation(wanted)
        return told("created")
    if _plain(found[0]) == _plain(wanted):
        # An update, even to the same, would make the server forget which runs it watches.
        return told("unchanged")
    keep = wanted.model_copy(update={"enabled": found[0].enabled})
    client.update_automation(found[0].id, keep)
    return told("updated")


def _remove(client: SyncPrefectClient, name: str, reason: str) -> Change:
    found = client.read_automations_by_name(name)
    for automation in found:
        client.delete_automation(automation.id)
    return Change(name=name, outcome="removed" if found else "not made", detail=reason)


def apply_automations(options: AutomationOptions | None = None) -> list[Change]:
    """Make or update our automations on the server at PREFECT_API_URL; a second call changes none.

    Args:
        options: what they depend on; by default read from the environment.

    Raises:
        ConfigError: PREFECT_API_URL is not set, or an option cannot be used.
        httpx.HTTPError: the server does not answer, or refuses.
    """
    if not get_current_settings().api.url:
        raise ConfigError("PREFECT_API_URL: the address of a running Prefect server is needed")
    options = options or read_options()
    with get_client(sync_client=True) as client:
        crash = (
            _remove(client, CRASH_DETECTION, "Prefect's heartbeats are switched off")
            if options.window_seconds is None
            else _apply(client, _crash_detection(options.window_seconds))
        )
        return [crash, *_apply_notices(client, options)]


def _apply_notices(client: SyncPrefectClient, options: AutomationOptions) -> list[Change]:
    hours = options.max_run_hours
    if options.webhook_url is None:
        failure = _remove(client, FAILURE_NOTICE, f"{WEBHOOK_VARIABLE} is not set")
        length = _apply(client, _length_notice(hours, DoNothing()))
        # Last, when nothing calls it any more.
        _remove_webhook(client)
        return [failure, length]
    block_id = _save_webhook(options.webhook_url)
    return [
        _apply(client, _failure_notice(_call_webhook(block_id, "is in trouble"))),
        _apply(client, _length_notice(hours, _call_webhook(block_id, f"runs for {hours:g} hours"))),
    ]


def main() -> int:
    """Apply, and print a line for each automation."""
    try:
        for change in apply_automations():
            sys.stdout.write(f"{change}\n")
    except HeadraceError as error:
        sys.stderr.write(f"automations: {type(error).__name__}: {error}\n")
        return 1
    except httpx.HTTPError as error:
        url = get_current_settings().api.url
        sys.stderr.write(f"automations: PREFECT_API_URL = {url}: {str(error).splitlines()[0]}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
