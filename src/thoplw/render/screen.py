"""Draw a table on the terminal: figures to the right, no wider than the screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from thoplw.render.table import Table, figures_of, printable
from thoplw.render.words import some

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

# Characters.
_BETWEEN = 2
_NAME = 12

#: How many items of a list, such as shapes, are shown.
_ITEMS = 3


def width_of(table: Table) -> int:
    """The width in characters at which nothing is cut."""
    return sum(_widths(_short(printable(table)))) + _BETWEEN * (len(table.columns) - 1)


def screen(table: Table, width: int, total: str = "") -> RenderableType:
    """The table as rich draws it.

    Args:
        table: any.
        width: of the terminal. Where it is too narrow, shapes lose their blanks, names their beginnings, and what is
            still too wide its ends; figures are never cut.
        total: a line under the table.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    table = _short(printable(table))
    if width_of(table) > width:
        table = _tight(table, width)
    figures = figures_of(table)
    grid = Grid(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, show_footer=bool(table.footer)
    )
    for position, (column, *cells) in enumerate(zip(table.columns, *_rows(table), strict=True)):
        longest = max(map(len, cells), default=0)
        # Where the terminal is narrow, words give way to figures, whose headings may take two lines.
        grid.add_column(
            Text(column) if position in figures else _cell(column),
            _cell(table.footer[position]) if table.footer else "",
            justify="right" if position in figures else "left",
            min_width=longest if position in figures else 0 if position else min(_NAME, longest),
        )
    for row in table.rows:
        grid.add_row(*map(_cell, row))
    below: list[RenderableType] = ["", Text(total, style="bold")] if total else []
    below += ["", *(Text(note, style="yellow") for note in table.notes)] if table.notes else []
    return Group(grid, *below)


def _cell(text: str) -> Text:
    from rich.text import Text

    return Text(text, no_wrap=True, overflow="ellipsis")


def _rows(table: Table) -> tuple[tuple[str, ...], ...]:
    return (*table.rows, table.footer) if table.footer else table.rows


def _widths(table: Table) -> list[int]:
    return [max(map(len, cells)) for cells in zip(table.columns, *_rows(table), strict=True)]


def _short(table: Table) -> Table:
    """Cut lists in cells after the third item."""
    return _with_cells(table, lambda cell, _: " | ".join(some(part.split(", "), _ITEMS) for part in cell.split(" | ")))


def _tight(table: Table, width: int) -> Table:
    """Write shapes as ``64x7x7``, and cut the beginnings of long names, as these differ in their ends."""
    table = _with_cells(table, lambda cell, _: cell.replace(" x ", "x"))
    over = width_of(table) - width
    longest = _widths(table)[0] if table.columns else 0
    if over <= 0:
        return table
    room = max(longest - over, min(_NAME, longest))
    return _with_cells(
        table, lambda cell, position: f"…{cell[1 - room :]}" if not position and len(cell) > room else cell
    )


def _with_cells(table: Table, change: Callable[[str, int], str]) -> Table:
    """Change every cell with a function of the cell and the position of its column."""

    def changed(row: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(change(cell, position) for position, cell in enumerate(row))

    return replace(table, rows=tuple(map(changed, table.rows)), footer=changed(table.footer))
