"""Let the runs of one process take turns, and share the switches that hold for all threads.

For example, two threads profile at the same time. Each run would find the changes of the other, take them for the
user's and restore them: torch's fast path of attention would stay off for good. So runs that change a model take turns,
and a switch of the whole process is changed by the first run and put back by the last.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock, RLock, get_ident
from types import TracebackType

from thoplw.capture.torch_internals import attention_as_it_is, attention_unfused, mode_flags_kept, uncompiled

_TURN = RLock()

#: Identities of the threads that work for the run whose turn it is. They need not wait.
_GUESTS: set[int] = set()


@contextmanager
def turn() -> Iterator[None]:
    """Wait until no other thread runs a model. A run inside a run, or in a thread that it started, need not wait."""
    if get_ident() in _GUESTS:
        yield
    else:
        with _TURN:
            yield


@contextmanager
def guest() -> Iterator[None]:
    """Let this thread run models during the turn of another thread, for which it works."""
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
    """Raise the recursion limit, so that models can nest as deep as they can without a run.

    Torch takes three frames or more to call a module, and one more if there are hooks. The innermost operator takes
    some twenty frames to record.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before * 4 // 3 + 100)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def paths_kept() -> Iterator[None]:
    """Restore what :data:`ONE_PATH` restores, and change nothing: for a run that may take the fast paths of torch."""
    before = sys.getrecursionlimit()
    with attention_as_it_is():
        try:
            yield
        finally:
            sys.setrecursionlimit(before)


#: While any run lasts, switches off what would hide operators: the fused path of attention layers, and compilation.
ONE_PATH = WhileAny(_switched)
