"""Ctrl-C is heard while a model runs, and waits while it is put back."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest

from thoplw.capture.ledger import Block, Ledger
from thoplw.capture.restore.interrupts import Interrupts


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_what_comes_meanwhile_is_delivered_at_the_end() -> None:
    done: list[str] = []

    def run() -> None:
        with Interrupts():
            interrupt()
            done.append("put back")
        done.append("not reached")

    usual = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["put back"]
    assert signal.getsignal(signal.SIGINT) is usual


def test_what_comes_as_memory_goes_is_delivered_once_it_is_gone() -> None:
    """Python ignores what is raised in ``__del__``: Ctrl-C was lost, and the ledger kept what was freed."""
    gone: list[int] = []

    class Interrupted(Ledger):
        def gone(self, index: int) -> None:
            interrupt()
            gone.append(index)

    def run() -> None:
        with Interrupts() as interrupts, interrupts.let_through():
            Block(Interrupted([]), 3)
            for _ in range(10_000):
                time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        run()
    assert gone == [3]


def test_what_comes_in_the_forward_is_delivered_there() -> None:
    done: list[str] = []

    def run() -> None:
        with Interrupts() as interrupts:
            try:
                with interrupts.let_through():
                    interrupt()
                    done.append("not reached")
            finally:
                interrupt()  # a second one waits
                done.append("put back")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["put back"]


def test_a_handler_that_does_not_raise_is_called_once() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGALRM)
            assert seen == []
            with interrupts.let_through():
                assert seen == [signal.SIGALRM]
        assert seen == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_other_threads_have_nothing_to_hold() -> None:
    found: list[Any] = []
    usual = signal.getsignal(signal.SIGINT)

    def run() -> None:
        with Interrupts():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [usual]
