"""Runs take turns, and what holds for the process is changed by the first and put back by the last."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from checks.releases import has_fast_path

from thoplw.capture.process import ONE_PATH, WhileAny, guest, turn


def test_a_turn_keeps_other_threads_waiting_but_not_its_guests() -> None:
    order: list[str] = []

    def other(name: str, ready: Event) -> None:
        ready.set()
        with turn():
            order.append(name)

    def invited() -> None:
        with guest(), guest(), turn():
            order.append("guest")

    ready = Event()
    waits = Thread(target=other, args=("other", ready))
    with turn(), turn():
        waits.start()
        ready.wait(10)
        friend = Thread(target=invited)
        friend.start()
        friend.join(10)
        order.append("mine")
    waits.join(10)
    assert order == ["guest", "mine", "other"]


def test_a_change_lasts_as_long_as_anybody_needs_it() -> None:
    seen: list[str] = []

    @contextmanager
    def change() -> Iterator[None]:
        seen.append("on")
        yield
        seen.append("off")

    switch = WhileAny(change)
    for _ in range(2):
        switch.__enter__()
        switch.__enter__()
        switch.__exit__(None, None, None)
        seen.append("still on")
        switch.__exit__(None, None, None)
    assert seen == ["on", "still on", "off"] * 2


def test_nothing_of_one_path_is_left_when_two_overlap() -> None:
    limit = sys.getrecursionlimit()
    entered, leave = Event(), Event()

    def other() -> None:
        with ONE_PATH:
            entered.set()
            leave.wait(10)

    thread = Thread(target=other)
    with ONE_PATH:
        thread.start()
        entered.wait(10)
        assert sys.getrecursionlimit() > limit
    assert not has_fast_path()
    leave.set()
    thread.join(10)
    assert has_fast_path()
    assert sys.getrecursionlimit() == limit
