"""Notes say in a line each what figures leave out, and where."""

from __future__ import annotations

import pytest

from thoplw.report.notes import assumed, brief, notes, on_device
from thoplw.report.rows import Assumed, Gaps, Uncounted

ONCE = Uncounted(calls=1, modules=["fc"])
OFTEN = Uncounted(calls=8, modules=["", *(f"layer{index}" for index in range(7))])
KEPT = {"every candidate is kept": Assumed(operators=["aten.nonzero"], calls=2, modules=["", "fc"])}


@pytest.mark.parametrize(
    ("gaps", "line"),
    [
        (
            Gaps(uncounted={"lib.a": ONCE, "lib.b": OFTEN}),
            "Not counted: lib.a (1 call in fc), lib.b (8 calls in (model), layer0, layer1, layer2, layer3 and 3 more).",
        ),
        (Gaps(unseen={"aten.mm": ONCE}), "Nothing to fvcore: aten.mm (1 call in fc)."),
        (
            Gaps(assumptions=KEPT),
            "Assumed: every candidate is kept (aten.nonzero, 2 calls in (model), fc).",
        ),
        (
            Gaps(not_executed={"head": 650, "drop": 0, "act": 0, "tail": 1}),
            "Never ran: head (650 parameters), tail (1 parameter), 2 modules without parameters.",
        ),
        (Gaps(not_executed={"drop": 0}), "Never ran: 1 module without parameters."),
        (Gaps(unused=("Linear",)), "custom_ops: Linear never ran."),
        (
            Gaps(unread=("mask",)),
            "Never read: mask. The forward has no such input, and takes any in **kwargs.",
        ),
    ],
)
def test_each_gap_has_its_line(gaps: Gaps, line: str) -> None:
    assert notes(gaps, "fvcore") == (line,)


def test_no_gap_has_no_line_and_bytes_have_their_own() -> None:
    assert notes(Gaps(), "macs") == ()
    assert notes(Gaps(of_bytes=KEPT), "macs") == ()  # costs rest on none of it
    assert assumed("Bytes", KEPT) == ("Bytes: every candidate is kept (aten.nonzero, 2 calls in (model), fc).",)


def test_two_profiles_are_compared_without_places() -> None:
    gaps = Gaps(uncounted={"lib.a": ONCE, "lib.b": OFTEN}, assumptions=KEPT, not_executed={"head": 1})
    assert brief(gaps, " before") == (
        "Not counted before: lib.a, lib.b.",
        "Assumed before: every candidate is kept.",
    )
    assert brief(Gaps()) == ()


def test_times_are_said_of_a_device_alone() -> None:
    floors = {"forward": 2 * 10**9, "backward": 0, "update": 5 * 10**12}
    head, phases, estimate = on_device("a, at 2 TFLOP/s", floors, assumed=True)
    assert head == "On a, at 2 TFLOP/s."
    assert phases.startswith("Floors of phases by themselves: forward 2")
    assert "update 5" in phases
    assert "backward" not in phases
    assert "estimates" in estimate
    assert on_device("a", {}, assumed=False) == ("On a.",)
    assert on_device("", {}, assumed=True) == ()
