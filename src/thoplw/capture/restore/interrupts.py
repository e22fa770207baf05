"""Hold interrupts while a model is being changed or restored: Ctrl-C may come at any time."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # of Python, and nowhere described
import _thread
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

#: Signals that programs handle. Some handlers raise exceptions, such as those of Ctrl-C and of a user's timer.
_SIGNALS = tuple(
    int(getattr(signal, name))
    for name in "SIGINT SIGALRM SIGTERM SIGUSR1 SIGUSR2 SIGHUP SIGQUIT SIGPIPE SIGCHLD SIGWINCH".split()
    if hasattr(signal, name)
)

#: Functions of thoplw that Python calls when an object goes: methods, and what :mod:`weakref` is given.
_FINALIZERS = ("__del__", "_forget")

#: Seconds after which a signal comes again that came in a finalizer.
_SOON = 0.001

#: ``signal.getsignal`` without its search for a name, which takes ten times as long.
_handler_of: Callable[[int], Any] = _signal.getsignal


class Interrupts:
    """A context in which handlers of signals run only inside :meth:`let_through`; those that were held run at the end.

    In any thread but the main one this does nothing: Python runs handlers in the main thread only.
    """

    def __init__(self) -> None:
        self._hold = True
        self._before: list[tuple[int, Callable[..., Any]]] = []
        self._others: list[tuple[int, Any]] = []
        self._late: list[int] = []

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self
        try:
            for number in _SIGNALS:
                handler = _handler_of(number)
                if callable(handler):
                    self._before.append((number, handler))
                    signal.signal(number, self._handle)
                elif handler is not None:  # SIG_DFL or SIG_IGN: no Python code runs
                    self._others.append((number, handler))
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        self._deliver()

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Let handlers run while user code does."""
        try:
            self._hold = False
            self._deliver()
            yield
        finally:
            self._hold = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._hold:
            self._late.append(number)
        elif _is_in_finalizer(frame):
            _thread.start_new_thread(_again, (number,))
        else:
            dict(self._before)[number](number, frame)

    def _restore(self) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)
        for number, handler in self._others:
            if _handler_of(number) != handler:
                signal.signal(number, handler)

    def _deliver(self) -> None:
        while self._late:
            number = self._late.pop()
            dict(self._before)[number](number, None)


def _is_in_finalizer(frame: FrameType | None) -> bool:
    """Whether a finalizer of thoplw runs: Python ignores what a handler raises there, and the rest of it is missing."""
    while frame is not None:
        if frame.f_code.co_name in _FINALIZERS and str(frame.f_globals.get("__name__")).startswith("thoplw."):
            return True
        frame = frame.f_back
    return False


def _again(number: int) -> None:
    """Have a signal come again, from a thread that is none of the model's."""
    time.sleep(_SOON)
    _thread.interrupt_main(signal.Signals(number))
