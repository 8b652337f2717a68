"""A limit of wall time on one call, which ends it with `OvertimeError` from within.

In a process's main thread the system's interval timer raises the error; that interrupts a long
regular expression too, since `re` looks for signals. In any other thread, which signals do not
reach, a watching thread throws the error into it, which happens between two instructions of Python:
a single call into C that does not return is not interrupted there. Pool workers do their jobs in
their main thread, and so does a run without a pool.

The time taken bears on what is quarantined, so this is the last resort: limits that count
something give the same result on every machine and come first. Cost: 2 system calls a call.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Raised again so often, should the first be lost where Python swallows errors (in a finaliser).
_REPEAT_SECONDS = 0.5
_POLL_SECONDS = 0.05


class OvertimeError(BaseException):
    """A call took longer than it may; no `Exception`, so that no handler inside catches it."""


class PageWatch:
    """Limits calls to `max_seconds` each, in the thread that enters it.

    Usage:
        with PageWatch(60.0) as watch:
            text = watch.call(clean, page)
    """

    def __init__(self, max_seconds: float) -> None:
        self.max_seconds = max_seconds
        self._limit: _Timer | _Interrupter | None = None

    def __enter__(self) -> Self:
        in_main = threading.current_thread() is threading.main_thread()
        self._limit = _Timer() if in_main else _Interrupter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._limit is not None
        self._limit.close()
        self._limit = None

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function`.

        Raises:
            OvertimeError: it did not come back within `max_seconds`.
        """
        assert self._limit is not None
        try:
            self._limit.arm(self.max_seconds)
            try:
                return function(*args, **kwargs)
            finally:
                self._limit.disarm()
        except OvertimeError:
            # It may have come in the very moment of disarming.
            self._limit.disarm()
            raise


class _Timer:
    """The process's interval timer; whatever had set it before gets it back, its time run on."""

    def __init__(self) -> None:
        self._is_armed = False
        self._start = time.monotonic()
        self._left, self._interval = signal.getitimer(signal.ITIMER_REAL)
        self._handler: Any = signal.signal(signal.SIGALRM, self._ring)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_armed:
            raise OvertimeError

    def arm(self, seconds: float) -> None:
        self._is_armed = True
        signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT_SECONDS)

    def disarm(self) -> None:
        self._is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)

    def close(self) -> None:
        self.disarm()
        # None: it was set by C code, which Python cannot set again.
        signal.signal(signal.SIGALRM, signal.SIG_DFL if self._handler is None else self._handler)
        if self._left:
            left = self._left - (time.monotonic() - self._start)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-3), self._interval)


class _Interrupter:
    """A thread that throws `OvertimeError` into the thread that made it.

    The lock is a plain one, entered by `with` alone: no error can come between taking it and the
    block that gives it back.
    """

    def __init__(self) -> None:
        self._target = ctypes.c_ulong(threading.get_ident())
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="page-watch", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._closed.wait(_POLL_SECONDS):
            with self._lock:
                now = time.monotonic()
                if self._deadline is not None and now > self._deadline:
                    self._throw(ctypes.py_object(OvertimeError))
                    self._deadline = now + _REPEAT_SECONDS

    def _throw(self, error: Any) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(self._target, error)

    def arm(self, seconds: float) -> None:
        with self._lock:
            self._deadline = time.monotonic() + seconds

    def disarm(self) -> None:
        with self._lock:
            self._deadline = None
            # NULL takes back what was thrown and has not arrived.
            self._throw(None)

    def close(self) -> None:
        with contextlib.suppress(OvertimeError):
            self.disarm()
        self._closed.set()
        self._thread.join()
