"""Numbers with units."""

from __future__ import annotations

import pytest

from thoplw import clever_format
from thoplw.render.units import UNITS


def test_a_list_as_the_readme_shows() -> None:
    assert clever_format([1824010216, 11699112], "%.3f") == ["1.824 G", "11.699 M"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "  0.00  "),
        (1, "  1.00  "),
        (512, "512.00  "),
        (999.99, "999.99  "),
        (999.999, "  1.00 K"),
        (1000, "  1.00 K"),
        (1024, "  1.02 K"),
        (999_994, "999.99 K"),
        (999_999, "  1.00 M"),
        (999_999_999, "  1.00 G"),
        (1824010216, "  1.82 G"),
        (0.001, "  0.00  "),
        (-512, "-512.00  "),
        (-1500, " -1.50 K"),
        (-999_999, " -1.00 M"),
    ],
)
def test_one_number(value: float, expected: str) -> None:
    assert clever_format(value) == expected


def test_what_is_carried_depends_on_the_digits_shown() -> None:
    assert clever_format(999_999, "%.3f") == "999.999 K"
    assert clever_format(999_600, "%.0f") == "1 M"


@pytest.mark.parametrize(("power", "unit"), list(enumerate(" KMGTPEZYRQ")))
def test_every_unit(power: int, unit: str) -> None:
    assert clever_format(2 * 1000**power, "%.1f") == f"2.0 {unit}"
    assert UNITS[power] == unit


def test_beyond_the_last_unit_the_number_grows() -> None:
    assert clever_format(10**40, "%.0f") == "10000000000 Q"


def test_any_iterable_gives_a_list() -> None:
    assert clever_format((value for value in (1, 2000)), "%.0f") == ["1  ", "2 K"]
    assert clever_format((), "%.0f") == []
    assert clever_format((1000,)) == ["  1.00 K"]


def test_numbers_align_below_each_other() -> None:
    assert len({len(text) for text in clever_format([0, 7, 999, 1000, 123_456, 10**9])}) == 1
