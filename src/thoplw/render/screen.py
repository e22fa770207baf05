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
    return _room(_widths(_short(printable(table))))


def screen(table: Table, width: int, total: str = "") -> RenderableType:
    """The table as rich draws it.

    Args:
        table: any.
        width: of the terminal. Where it is too narrow, shapes lose their blanks, names their beginnings, and other
            words their ends; where that is not enough, columns are left out, words first, and named below.
            Figures are never cut.
        total: a line under the table.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    table = _short(printable(table))
    if width_of(table) > width:
        table = _with_cells(table, lambda cell, _: cell.replace(" x ", "x"))
    table, left_out = _with_room(table, width)
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
    below += ["", Text(f"Left out, for want of width: {', '.join(left_out)}.")] if left_out else []
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


def _cells(text: str) -> int:
    """How many characters wide a text is: a Chinese character, or an emoji, takes two."""
    from rich.cells import cell_len

    return cell_len(text)


def _widths(table: Table) -> list[int]:
    return [max(map(_cells, cells)) for cells in zip(table.columns, *_rows(table), strict=True)]


def _room(widths: list[int]) -> int:
    """What columns of some widths take, with the blanks between them."""
    return sum(widths) + _BETWEEN * (len(widths) - 1)


def _with_room(table: Table, width: int) -> tuple[Table, list[str]]:
    """Leave out columns that the terminal has no room for, words from the last on, then the widest figures; tell which.

    The first column stays, and one more.
    """
    left_out: list[str] = []
    while len(table.columns) > _FEWEST:
        figures = figures_of(table)
        widths = _narrowest(table, figures)
        if _room(widths) <= width:
            break
        words = set(range(1, len(widths))) - figures
        at = max(words) if words else max(figures, key=lambda each: (widths[each], each))
        left_out.append(table.columns[at])
        table = replace(
            table,
            columns=_without(table.columns, at),
            rows=tuple(_without(row, at) for row in table.rows),
            footer=_without(table.footer, at),
        )
    return table, left_out


def _without(cells: tuple[str, ...], at: int) -> tuple[str, ...]:
    return cells[:at] + cells[at + 1 :]


#: So many columns are shown however narrow the terminal is.
_FEWEST = 2


def _short(table: Table) -> Table:
    """Cut lists in cells after the third item."""
    return _with_cells(table, lambda cell, _: " | ".join(some(part.split(", "), _ITEMS) for part in cell.split(" | ")))


def _fitted(table: Table, figures: set[int], width: int) -> list[int]:
    """How wide columns are: where there is little room, words give way to figures, whose headings take two lines."""
    widths = _widths(table)
    if _room(widths) <= width:
        return widths
    least = _narrowest(table, figures)
    widths = [narrow if at in figures else wide for at, (narrow, wide) in enumerate(zip(least, widths, strict=True))]
    while _room(widths) > width and (wide := [at for at, most in enumerate(least) if widths[at] > most]):
        widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _narrowest(table: Table, figures: set[int]) -> list[int]:
    """The least widths of columns: whole figures, under headings that break between words; the ends of words."""
    least = []
    for at, wide in enumerate(_widths(table)):
        if at in figures:
            cells = (row[at] for row in _rows(table))
            least.append(max(map(_cells, (*cells, *table.columns[at].split()))))
        else:
            least.append(min(wide, _WORD if at else _NAME))
    return least


def _end_of(name: str, room: int) -> str:
    if _cells(name) <= room:
        return name
    while _cells(name) > room - 1:
        name = name[1:]
    return f"…{name}"


def _with_cells(table: Table, change: Callable[[str, int], str]) -> Table:
    """Change every cell with a function of the cell and the position of its column."""

    def changed(row: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(change(cell, position) for position, cell in enumerate(row))

    return replace(table, rows=tuple(map(changed, table.rows)), footer=changed(table.footer))
