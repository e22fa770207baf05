"""A table is printable, and knows which of its columns hold figures alone."""

from __future__ import annotations

import pytest

from thoplw.render.table import Table, figures_of, printable


def test_control_characters_are_escaped_in_every_part() -> None:
    bell = "a\a"
    table = Table(columns=(bell,), rows=((bell,), ("b",)), footer=(bell,), notes=(bell,), values={bell: (1, 2, 3)})
    shown = printable(table)
    assert (shown.columns, shown.footer, shown.notes) == ((r"a\x07",),) * 3
    assert shown.rows == ((r"a\x07",), ("b",))
    assert shown.values == {r"a\x07": (1, 2, 3)}  # under its new name, with the same figures


@pytest.mark.parametrize("cell", ["1824010216", "1,824,010", "+1.82 G", "-5", "12.34 %", "118.01 M"])
def test_a_column_of_figures_is_one_in_any_format(cell: str) -> None:
    assert figures_of(Table(columns=("MACs",), rows=((cell,), ("",), ("  0.00  ",)))) == {0}


@pytest.mark.parametrize("cell", ["3 x 224", "conv1", "1e5", "12.34 GB", "-"])
def test_one_cell_that_is_no_figure_makes_it_text(cell: str) -> None:
    assert figures_of(Table(columns=("MACs", "Params"), rows=(("12", "7"), (cell, "8")))) == {1}


def test_names_and_shapes_are_no_figures_nor_is_an_empty_column() -> None:
    rows = (("0", "512", "", "1"), ("1", "10", "", "2"))
    assert figures_of(Table(columns=("Name", "Input shape", "Share", "MACs"), rows=rows)) == {3}
