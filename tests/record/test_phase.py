"""Phases of a training step, in the order in which a step has them."""

from __future__ import annotations

from thoplw.record import Phase


def test_a_phase_fits_into_a_byte_and_goes_by_its_name() -> None:
    assert [phase.label for phase in sorted(Phase)] == ["forward", "recomputation", "backward", "update"]
    assert [Phase(each) for each in bytes(sorted(Phase))] == sorted(Phase)
