"""Clocks say what lies between two stamps, less what the stamps take themselves."""

from __future__ import annotations

import itertools

import pytest
import torch

from thoplw.capture.timing import clocks
from thoplw.capture.timing.clocks import Processor, clock_for, place
from thoplw.errors import InputError, UnknownNameError

CPU, META = torch.device("cpu"), torch.device("meta")


def test_a_clock_leaves_out_what_its_stamps_take(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count(0, 3 * 10**9)  # a look takes three seconds
    monkeypatch.setattr(clocks, "CLOCKS", {"wall": lambda: next(looks)})
    clock = Processor()
    assert clock.cost == 3
    assert clock.of(lambda: None) == 0
    assert clock.of(lambda: [clock.stamp() for _ in range(4)]) == 4 * 3
    assert clock.seconds(clock.stamp(), clock.stamp()) == 3


@pytest.mark.parametrize("name", ["wall", "process"])
def test_a_processor_has_both_clocks(name: str) -> None:
    clock = clock_for(CPU, name)
    assert isinstance(clock, Processor)
    assert clock.stamp is clocks.CLOCKS[name]
    assert str(torch.get_num_threads()) in clock.hardware


def test_a_clock_that_there_is_not_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown clock 'proces'\. Did you mean 'process'"):
        clock_for(CPU, "proces")
    with pytest.raises(InputError, match="clocks for cpu and cuda, and none for meta"):
        clock_for(META)
    with pytest.raises(InputError, match="a clock of the CPU, and the model is on cuda:1: leave clock= out"):
        clock_for(torch.device("cuda:1"), "process")


def test_a_place_has_a_clock_and_is_there() -> None:
    assert place("cpu") == CPU
    for name in ("meta", "mps:0", "", "cpus"):
        with pytest.raises(InputError, match=f"cpu, cuda or cuda:1, and not on '{name}'"):
            place(name)


@pytest.mark.skipif(torch.cuda.device_count() > 99, reason="there is such a device")
def test_a_device_that_is_not_on_this_machine_is_said_on_one_line() -> None:
    with pytest.raises(InputError, match=r"^there is no device 'cuda:99' on this machine: [^\n]+$"):
        place("cuda:99")
