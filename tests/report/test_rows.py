"""A row gives its figures by name and by attribute, and says what it would need for those that it lacks."""

from __future__ import annotations

from typing import Any

import pytest

from thoplw.errors import InputError
from thoplw.report.rows import Row

FIGURES: dict[str, Any] = {
    "macs": 2**70,
    "flops": 600,
    "params": 20,
    "trainable": 5,
    "bytes": {"float32": 60, "int8": 5},
    "calls": 3,
    "moved": 200,
    "compulsory": 100,
}
TIMES: dict[str, Any] = {
    "units": {"matrix": 4, "vector": 9, "memory": 7},
    "floor": 9_000_000_000_000,
    "eager": 500_000_000_000,
    "phase_floors": {"forward": 1_000_000_000_000, "update": 0},
    "phases": {"forward": 2**69, "backward": 2**69},
}


def row(**more: Any) -> Row:
    return Row(name="fc", cls="Linear", depth=1, figures={**FIGURES, **more})


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_goes_by_name_and_by_attribute(name: str) -> None:
    assert row()[name] == getattr(row(), name) == FIGURES[name]


def test_intensity_is_operations_by_bytes() -> None:
    assert row().intensity == 600 / 200


def test_times_are_in_seconds_and_the_longest_unit_bounds() -> None:
    timed = row(**TIMES)
    assert (timed.floor, timed.eager) == (9.0, 0.5)
    assert timed.floor_by_phase() == {"forward": 1.0, "update": 0.0}
    assert timed.bound == "vector"
    assert sum(timed.phases.values()) == timed.macs
    assert row(**{**TIMES, "units": {"matrix": 0, "memory": 0}}).bound == ""


@pytest.mark.parametrize("name", ["floor", "eager"])
def test_a_row_without_a_device_has_no_times(name: str) -> None:
    with pytest.raises(InputError, match=rf"{name} needs a device: layers\.on\('h100-sxm'\)\.{name}"):
        getattr(row(), name)
    with pytest.raises(InputError, match="floor needs a device"):
        row().floor_by_phase()
