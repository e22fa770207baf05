"""Numbers with units."""

from __future__ import annotations

import pytest

from thoplw import clever_format
from thoplw.render.units import UNITS, aligned


def test_a_list_as_the_readme_shows() -> None:
    assert clever_format([1824010216, 11699112], "%.3f") == ["1.824 G", "11.699 M"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (1, "1"),
        (256, "256"),
        (512.0, "512"),
        (999.99, "999.99"),
        (999.999, "1.00 K"),
        (1000, "1.00 K"),
        (1024, "1.02 K"),
        (999_994, "999.99 K"),
        (999_999, "1.00 M"),
        (999_999_999, "1.00 G"),
        (1824010216, "1.82 G"),
        (0.001, "0.00"),
        (-512, "-512"),
        (-1500, "-1.50 K"),
        (-999_999, "-1.00 M"),
    ],
)
def test_one_number(value: float, expected: str) -> None:
    assert clever_format(value) == expected


def test_what_is_carried_depends_on_the_digits_shown() -> None:
    assert clever_format(999_999, "%.3f") == "999.999 K"
    assert clever_format(999_600, "%.0f") == "1 M"


@pytest.mark.parametrize(("power", "unit"), list(enumerate(" KMGTPEZYRQ")))
def test_every_unit(power: int, unit: str) -> None:
    assert clever_format(2.5 * 1000**power, "%.1f") == f"2.5 {unit}".rstrip()
    assert UNITS[power] == unit


def test_beyond_the_last_unit_the_number_grows() -> None:
    assert clever_format(10**40, "%.0f") == "10000000000 Q"


@pytest.mark.parametrize(
    ("fmt", "expected"), [("%+.2f", "+7"), ("%6.2f", "     7"), ("%g", "7"), ("%.0f", "7"), ("%.3e", "7")]
)
def test_a_whole_number_keeps_all_of_the_format_but_the_decimals(fmt: str, expected: str) -> None:
    assert clever_format(7, fmt) == expected


def test_any_iterable_gives_a_list() -> None:
    assert clever_format((value for value in (1, 2000)), "%.0f") == ["1", "2 K"]
    assert clever_format((), "%.0f") == []
    assert clever_format((1000,)) == ["1.00 K"]


def test_in_tables_points_and_units_stand_below_each_other() -> None:
    figures = [0, 7, 999, 1000, 123_456, 10**9]
    cells = [aligned(value) for value in figures]
    assert cells == ["  0     ", "  7     ", "999     ", "  1.00 K", "123.46 K", "  1.00 G"]
    assert [cell.strip() for cell in cells] == clever_format(figures)
