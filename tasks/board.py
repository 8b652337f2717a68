"""Prefect artifacts that are made once and then changed in place, by one thread a process.

A newer content takes the place of one that was not sent yet, so a slow server gets less, not late.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

REQUEST_SECONDS = 10.0
RETRY_SECONDS = 2.0
TRY_AGAIN = (408, 429)
BEHIND_SECONDS = 0.2
"""What a stage still waits for a server that did not answer the last time."""

logger = logging.getLogger("headrace.tasks")


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What identifies an artifact: its key on the page of a flow run and, if any, a task run."""

    key: str
    flow_run_id: str
    task_run_id: str


@dataclass(frozen=True, kw_only=True)
class _Content:
    type: str
    data: str | float
    description: str


class Board:
    """Sends artifacts to one Prefect API."""

    def __init__(self) -> None:
        self._pending: dict[Slot, _Content] = {}
        self._ids: dict[Slot, UUID] = {}
        self._changed = threading.Condition()
        self._sending = False
        self._is_behind = False
        # A copy of the context: Prefect keeps its settings in one.
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(self._send_all,), name="prefect-artifacts", daemon=True
        ).start()

    def put(self, slot: Slot, kind: str, data: str | float, description: str) -> None:
        """Show `data` in a slot from soon on; returns at once."""
        with self._changed:
            self._pending[slot] = _Content(type=kind, data=data, description=description)
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until all was sent; False, and one warning, where that takes too long."""
        limit = BEHIND_SECONDS if self._is_behind else seconds
        with self._changed:
            sent = self._changed.wait_for(lambda: not self._pending and not self._sending, limit)
            if not sent and not self._is_behind:
                logger.warning(
                    "Prefect does not take the tables and plots (%d are waiting); the run goes on",
                    len(self._pending) or 1,
                )
            self._is_behind = not sent
        return sent

    def _send_all(self) -> None:
        # Ours is not the engine's client of the flow at hand, which is closed at that flow's end.
        settings = {"timeout": httpx.Timeout(REQUEST_SECONDS)}
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}):
            while True:
                try:
                    with get_client(httpx_settings=settings, sync_client=True) as client:
                        self._send_with(client)
                except Exception as error:  # noqa: BLE001 (watching must not break the work)
                    logger.debug("artifacts were not sent: %r", error)
                time.sleep(RETRY_SECONDS)

    def _send_with(self, client: SyncPrefectClient) -> None:
        """Send what there is and what comes; returns when the server does not answer."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._pending))
                slot = next(iter(self._pending))
                content = self._pending.pop(slot)
                self._sending = True
            is_done = False
            try:
                is_done = self._try(client, slot, content)
            finally:
                with self._changed:
                    self._sending = False
                    self._is_behind = self._is_behind and not is_done
                    if not is_done:
                        self._pending.setdefault(slot, content)
                    self._changed.notify_all()

    def _try(self, client: SyncPrefectClient, slot: Slot, content: _Content) -> bool:
        """Send one artifact; raises where another try may help."""
        try:
            self._send(client, slot, content)
        except ObjectNotFound:
            # Somebody deleted it: the next content makes it anew.
            self._ids.pop(slot, None)
        except httpx.HTTPStatusError as error:
            if error.response.status_code >= 500 or error.response.status_code in TRY_AGAIN:
                raise
            logger.warning("Prefect refused artifact %s: %s", slot.key, error)
        return True

    def _send(self, client: SyncPrefectClient, slot: Slot, content: _Content) -> None:
        known = self._ids.get(slot)
        if known is None:
            made = client.create_artifact(
                ArtifactCreate(
                    key=slot.key,
                    type=content.type,
                    description=content.description,
                    data=content.data,
                    flow_run_id=UUID(slot.flow_run_id) if slot.flow_run_id else None,
                    task_run_id=UUID(slot.task_run_id) if slot.task_run_id else None,
                )
            )
            self._ids[slot] = made.id
            return
        # Not `update_artifact`: it also writes the whole content into the table of events, which
        # would grow by a picture every 15 s of a training run.
        change = {"data": content.data, "description": content.description}
        client.request("PATCH", "/artifacts/{id}", json=change, path_params={"id": known})


_boards: dict[str, Board] = {}
_boards_lock = threading.Lock()


def known_board() -> Board | None:
    """The board of this process if it has shown anything yet."""
    with _boards_lock:
        return _boards.get(str(PREFECT_API_URL.value()))


def board() -> Board:
    """This process's board for the Prefect API that is set now."""
    url: Any = PREFECT_API_URL.value()
    with _boards_lock:
        if str(url) not in _boards:
            _boards[str(url)] = Board()
        return _boards[str(url)]
