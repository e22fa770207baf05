"""Draw a table on the terminal: figures to the right, no wider than the screen."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from thoplw.render.table import Table, figures_of, printable
from thoplw.render.units import aligned
from thoplw.render.words import some

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

# Characters.
_BETWEEN = 2
_NAME = 12
_WORD = 6

#: How many items of a list, such as shapes, are shown.
_ITEMS = 3


def width_of(table: Table) -> int:
    """The width in characters at which nothing is cut."""
    return sum(_widths(_short(printable(table)))) + _BETWEEN * (len(table.columns) - 1)


def screen(table: Table, width: int, total: str = "") -> RenderableType:
    """The table as rich draws it.

    Args:
        table: any.
        width: of the terminal. Where it is too narrow, shapes lose their blanks, names their beginnings, and other
            words their ends; figures are never cut.
        total: a line under the table.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    table = _short(printable(table))
    if width_of(table) > width:
        table = _with_cells(table, lambda cell, _: cell.replace(" x ", "x"))
    figures = figures_of(table)
    widths = _fitted(table, figures, width)
    table = _with_cells(table, lambda cell, position: cell if position else _end_of(cell, widths[0]))
    grid = Grid(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, show_footer=bool(table.footer)
    )
    for position, column in enumerate(table.columns):
        grid.add_column(
            Text(column) if position in figures else _cell(column),
            _cell(table.footer[position]) if table.footer else "",
            justify="right" if position in figures else "left",
            width=widths[position],
        )
    for row in table.rows:
        grid.add_row(*map(_cell, row))
    below: list[RenderableType] = ["", Text(total, style="bold")] if total else []
    below += ["", *(Text(note, style="yellow") for note in table.notes)] if table.notes else []
    return Group(grid, *below)


def clever(table: Table) -> Table:
    """Figures with units in place of whole numbers: ``1.82 G`` for ``1824010216``."""
    figures = figures_of(table)

    def written(cell: str, position: int) -> str:
        if position not in figures or not _WHOLE.fullmatch(cell):
            return cell
        return aligned(int(cell), "%+.2f" if cell.startswith("+") else "%.2f")

    return _with_cells(table, written)


_WHOLE = re.compile(r"[+-]?\d+")


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


def _fitted(table: Table, figures: set[int], width: int) -> list[int]:
    """How wide columns are: where there is little room, words give way to figures, whose headings take two lines."""
    widths = _widths(table)
    room = width - _BETWEEN * (len(widths) - 1)
    if sum(widths) <= room:
        return widths
    for position in figures:
        cells = [row[position] for row in _rows(table)]
        widths[position] = max(map(len, (*cells, *table.columns[position].split())))
    least = {at: min(wide, _WORD if at else _NAME) for at, wide in enumerate(widths) if at not in figures}
    while sum(widths) > room and (wide := [at for at, most in least.items() if widths[at] > most]):
        widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _end_of(name: str, room: int) -> str:
    return name if len(name) <= room else f"…{name[len(name) + 1 - room :]}"


def _with_cells(table: Table, change: Callable[[str, int], str]) -> Table:
    """Change every cell with a function of the cell and the position of its column."""

    def changed(row: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(change(cell, position) for position, cell in enumerate(row))

    return replace(table, rows=tuple(map(changed, table.rows)), footer=changed(table.footer))
