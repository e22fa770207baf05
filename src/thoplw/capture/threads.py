"""Follow the work that a forward gives to other threads.

A dispatch mode records one thread. So ``threading.Thread.start`` and ``ThreadPoolExecutor.submit`` are replaced while a
run lasts: called from a thread of the run, they do the work in a context that the run provides; called from any other
thread, they do what they always did. Work that reaches an existing thread in another way, such as through a queue, is
not followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from threading import Thread, get_ident
from typing import Any

from thoplw.capture.process import WhileAny

#: Called in the thread that gives work away; returns the context in which the other thread does the work.
HandOver = Callable[[], AbstractContextManager[Any]]

#: Identity of a thread -> its :data:`HandOver`.
_FOLLOWED: dict[int, HandOver] = {}


@contextmanager
def followed(hand_over: HandOver | None) -> Iterator[None]:
    """Run work that this thread hands to other threads in a context from ``hand_over``; ``None`` changes nothing."""
    me = get_ident()
    before = _FOLLOWED.pop(me, None)
    with _PATCHED:
        if hand_over is not None:
            _FOLLOWED[me] = hand_over
        try:
            yield
        finally:
            _FOLLOWED.pop(me, None)
            if before is not None:
                _FOLLOWED[me] = before


@contextmanager
def _patched() -> Iterator[None]:
    """Replace the two methods by which a forward gives work to a thread."""
    plain_start, plain_submit = Thread.start, ThreadPoolExecutor.submit

    def start(thread: Thread) -> None:
        hand_over = _FOLLOWED.get(get_ident())
        if hand_over is not None:
            work = _inside(hand_over(), thread.run)

            def run() -> None:
                vars(thread).pop("run", None)
                work()

            thread.run = run  # type: ignore[method-assign] # of this one, until it runs
        plain_start(thread)

    def submit(pool: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        hand_over = _FOLLOWED.get(get_ident())
        if hand_over is None:
            return plain_submit(pool, function, *args, **kwargs)
        with followed(None):  # submit() may start a thread of the pool, which outlives this work: do not follow it
            return plain_submit(pool, _inside(hand_over(), function), *args, **kwargs)

    methods: Any = {Thread: ("start", plain_start, start), ThreadPoolExecutor: ("submit", plain_submit, submit)}
    for cls, (name, _, ours) in methods.items():
        setattr(cls, name, ours)
    try:
        yield
    finally:
        for cls, (name, plain, ours) in methods.items():
            if getattr(cls, name) is ours:  # not if somebody has replaced it since
                setattr(cls, name, plain)


_PATCHED = WhileAny(_patched)


def _inside(context: AbstractContextManager[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def work(*args: Any, **kwargs: Any) -> Any:
        with context:
            return function(*args, **kwargs)

    return work
