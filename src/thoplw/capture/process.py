"""What the runs of one process share: turns, and switches that hold for all threads.

For example two threads profile at the same time. Each run would find the other's changes, take them for the user's, and
put those back: torch's fast path of attention stays off for good, a layer keeps the other's cache. So runs that change
a model take turns, and what holds for the whole process is changed by the first run and put back by the last.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock, RLock, get_ident
from types import TracebackType

from thoplw.capture.torch_internals import attention_unfused, mode_flags_kept, uncompiled

_TURN = RLock()

#: Threads that work for the run whose turn it is: they need not wait for it.
_GUESTS: set[int] = set()


@contextmanager
def turn() -> Iterator[None]:
    """Wait until no other thread runs a model; a run inside a run, or in a thread that it started, need not wait."""
    if get_ident() in _GUESTS:
        yield
    else:
        with _TURN:
            yield


@contextmanager
def guest() -> Iterator[None]:
    """Let this thread run models during the turn of another thread that waits for it."""
    me = get_ident()
    if me in _GUESTS:
        yield
        return
    _GUESTS.add(me)
    try:
        yield
    finally:
        _GUESTS.discard(me)


class WhileAny:
    """A context that the first thread enters and the last one leaves."""

    def __init__(self, change: Callable[[], AbstractContextManager[None]]) -> None:
        self._change = change
        self._lock = Lock()
        self._users = 0
        self._undo = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._users:
                self._undo.enter_context(self._change())
            self._users += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._undo.close()


@contextmanager
def _switched() -> Iterator[None]:
    with mode_flags_kept(), attention_unfused(), uncompiled(), _deeper():
        yield


@contextmanager
def _deeper() -> Iterator[None]:
    """Raise the recursion limit, so that models nest as deep as without hooks.

    A call of a module takes torch three frames or more, and one more where there are hooks; to record an operator
    takes some twenty, at the innermost.
    """
    before = sys.getrecursionlimit()
    deeper = before * 4 // 3 + 100
    sys.setrecursionlimit(deeper)
    try:
        yield
    finally:
        if sys.getrecursionlimit() == deeper:  # or the forward has set another
            sys.setrecursionlimit(before)


#: Off is what would hide operators, the fused path of attention layers and compilation, while any run goes on.
ONE_PATH = WhileAny(_switched)
