"""The one cache rule: the store decides, Prefect shows.

Every task calls `run_stage`, which opens or builds one artifact and returns a completed state that
is *named* Cached, Healed or Completed. Prefect's own caching is off: its policies cannot see what
lies below a thin task or behind a path. What travels between tasks is a link (stage, key, digest).
"""

from __future__ import annotations

import base64
import contextvars
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect import runtime as prefect_runtime
from prefect.artifacts import (
    create_image_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from headrace.artifacts import (
    Artifact,
    InputLink,
    Opened,
    Outcome,
    ProgressEvent,
    Runtime,
    Stage,
    Store,
    resolve_home,
)
from headrace.artifacts.lineage import find_link
from headrace.artifacts.runs import RunRecord, load_run
from headrace.artifacts.runtime import RUN_VARIABLE, WORKERS_VARIABLE, available_cores
from headrace.artifacts.sources import open_source
from headrace.config import StageConfig
from headrace.errors import MissingInputError, is_retryable
from headrace.plots import draw_drops

PROGRESS_SECONDS = 2.0
MAX_IMAGE_BYTES = 200_000

logger = logging.getLogger("headrace.tasks")


def _worth_retrying(_task: Any, _run: Any, state: State[Any]) -> bool:
    error = state.data if isinstance(state.data, BaseException) else None
    if error is None:
        error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and is_retryable(error)


STAGE_TASK: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retries": 2,
    "retry_delay_seconds": exponential_backoff(backoff_factor=5),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": _worth_retrying,
}
"""Options of every stage's task."""


class ProgressReporter:
    """Sends the newest progress event to Prefect every two seconds, from a thread of its own.

    A stage that ends sooner leaves no progress artifact. Prefect being slow or away never holds a
    stage up and never fails it.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._newest: ProgressEvent | None = None
        self._artifact: UUID | None = None
        self._done = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._send_all,), name=f"{key}-progress", daemon=True
        )

    def __enter__(self) -> ProgressReporter:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._done.set()
        self._thread.join(timeout=10.0)

    def __call__(self, event: ProgressEvent) -> None:
        """Take a stage's newest event."""
        self._newest = event

    def _send_all(self) -> None:
        sent: ProgressEvent | None = None
        while not self._done.wait(PROGRESS_SECONDS) or (
            self._artifact and sent is not self._newest
        ):
            event = self._newest
            if event is None or event is sent:
                continue
            sent = event
            try:
                self._send(event)
            except Exception as error:  # noqa: BLE001 (watching must not break the work)
                logger.debug("progress of %s was not sent: %r", self._key, error)
                return

    def _send(self, event: ProgressEvent) -> None:
        percent = 100.0 * event.done / event.total if event.total else 0.0
        if self._artifact is None:
            made = create_progress_artifact(
                percent, key=f"{self._key}-progress", description=str(event)
            )
            # Prefect types every call as perhaps asynchronous; from a plain thread it is not.
            self._artifact = cast("UUID", made)
        else:
            update_progress_artifact(self._artifact, percent, description=str(event))


def open_store(reporter: ProgressReporter | None = None) -> Store:
    """The store of this process's HEADRACE_HOME."""
    num_workers = int(os.environ.get(WORKERS_VARIABLE) or available_cores())
    return Store(Runtime(home=resolve_home(), num_workers=num_workers, on_progress=reporter))


def run_name() -> str:
    """The name under which this run is kept from garbage collection."""
    flow_name = prefect_runtime.flow_run.flow_name
    return os.environ.get(RUN_VARIABLE) or str(flow_name or "unnamed").replace("-", "_")


def _resolve(store: Store, link: InputLink) -> Artifact:
    artifact = find_link(store, link)
    if artifact is None:
        raise MissingInputError(
            f"{link.stage} {link.key[:12]} is not in the store {store.root}: it was removed while "
            "the run went on, or this worker uses another HEADRACE_HOME"
        )
    return artifact


def run_stage(
    stage: Stage, config: StageConfig, inputs: Mapping[str, InputLink], *, step: str | None = None
) -> State[InputLink]:
    """Open or build the artifact of a stage, and show it in Prefect.

    Args:
        stage: which stage.
        config: its frozen settings.
        inputs: links to its named inputs.
        step: the step's name in the run, where one stage serves two steps.

    Returns:
        A completed state named Cached, Healed or Completed; its data is the artifact's link.
    """
    name = step or stage.name
    with ProgressReporter(name.replace("_", "-")) as reporter:
        store = open_store(reporter)
        artifacts = {key: _resolve(store, link) for key, link in inputs.items()}
        opened = store.open_or_build(stage, config, artifacts)
    return finish(store, name, opened)


def run_source(path: str, *, step: str = "source") -> State[InputLink]:
    """Take a raw file or directory into the store; see `run_stage`."""
    store = open_store()
    return finish(store, step, open_source(store, Path(path)))


def finish(store: Store, step: str, opened: Opened) -> State[InputLink]:
    """Note an opened artifact in the run's record and in Prefect; returns the named state."""
    record = load_run(store.runtime.home, run_name())
    if record is None:
        pipeline = str(prefect_runtime.flow_run.flow_name or "")
        record = RunRecord(home=store.runtime.home, name=run_name(), pipeline=pipeline, config={})
    record.note(step, opened)
    artifact = opened.artifact
    message = (
        f"{artifact.stage} {artifact.key[:12]}: {artifact.counts.get('rows', 0):,} rows, "
        f"{artifact.num_bytes:,} bytes in {opened.seconds:.1f} s"
    )
    logger.info(
        "%-9s %s%s", opened.outcome.value, message, f" ({opened.reason})" if opened.reason else ""
    )
    try:
        _show(step, opened)
    except Exception as error:  # noqa: BLE001 (watching must not break the work)
        logger.warning("%s: its tables and plots could not be sent to Prefect: %r", step, error)
    return Completed(name=opened.outcome.value, message=message, data=artifact.link())


def _show(step: str, opened: Opened) -> None:
    """Publish counts, drops and plots of an artifact as Prefect artifacts."""
    artifact, key = opened.artifact, step.replace("_", "-")
    rows = [{"what": name, "count": count} for name, count in artifact.counts.items()]
    rows.append({"what": "bytes", "count": artifact.num_bytes})
    create_table_artifact(
        rows,
        key=f"{key}-counts",
        description=f"{opened.outcome.value}; digest {artifact.digest[:16]}; {opened.reason}",
    )
    for entry in artifact.manifest.extras:
        if entry.name.endswith(".png") and entry.bytes <= MAX_IMAGE_BYTES:
            plot = entry.name.removesuffix(".png").replace("/", "-").replace("_", "-")
            _show_image(f"{key}-{plot}", (artifact.path / entry.name).read_bytes())
    reasons = {**artifact.dropped, **artifact.quarantined}
    # A hit has shown its picture already, and should not wait for one to be drawn.
    if reasons and opened.outcome is not Outcome.HIT:
        kept = artifact.counts.get("records_out", artifact.counts.get("rows", 0))
        _show_image(f"{key}-drops", draw_drops(kept, reasons))


def _show_image(key: str, png: bytes) -> None:
    content = base64.b64encode(png).decode()
    create_image_artifact(f"data:image/png;base64,{content}", key=key)
