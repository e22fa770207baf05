"""A table as a tree: the first column drawn by levels, a bar for the first column of figures."""

from __future__ import annotations

import io
from operator import not_
from typing import TYPE_CHECKING

from thoplw.render.table import Table, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

# Characters.
_BAR = 16
_NAME = 30

#: More than any name takes; lines are as long as they need to be.
_WIDE = 1_000_000

#: Levels that are told by lines; of deeper ones the number says it, or a chain of modules would draw its square.
_INDENTED = 100


def tree(table: Table) -> str:
    """Return the tree as plain text; :func:`drawing` has colours."""
    return _plain(drawing(table))


def drawing(table: Table) -> RenderableType:
    """Return the tree as rich draws it."""
    from rich import box
    from rich.bar import Bar
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    table = printable(table)
    names = _guided(table)
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for position, column in enumerate(table.columns):
        if column in table.values:  # where the terminal is narrow, words and bars give way to figures
            width = max((len(row[position]) for row in table.rows), default=0)
            grid.add_column(column, justify="right", no_wrap=True, min_width=width)
        else:
            grid.add_column(column, min_width=0 if position else min(_NAME, max(map(len, names), default=0)))
    *values, total = next(iter(table.values.values()), (0,))
    if values:
        grid.add_column("", max_width=_BAR)
    for index, (name, row) in enumerate(zip(names, table.rows, strict=True)):
        cells: list[RenderableType] = [Text(name, style="bold", no_wrap=True, overflow="ellipsis")]
        cells += [Text(cell, no_wrap=True, overflow="ellipsis") for cell in row[1:]]
        if values:
            cells.append(Bar(size=max(total, 1), begin=0, end=values[index], color="cyan"))
        grid.add_row(*cells)
    notes = [Text(note, style="yellow") for note in table.notes]
    return Group(grid, "", *notes) if notes else grid


def _guided(table: Table) -> list[str]:
    """The first column with the lines of a tree before it; a path ends in the name that its level adds.

    As rich draws trees, which takes time and memory with the cube of the depth.
    """
    depths: list[int] = []
    branch: list[int] = []
    for level in table.levels:
        del branch[level:]
        depths.append(len(branch))
        branch.append(level)
    goes_on: list[bool] = []  # whether, further down, there is another row of the same branch, by depth
    more: list[bool] = []
    for depth in reversed(depths):
        del goes_on[depth + 1 :]
        goes_on += [False] * (depth + 1 - len(goes_on))
        more.append(goes_on[depth])
        goes_on[depth] = True
    guides: list[str] = []
    names = []
    for row, depth, last in zip(table.rows, depths, map(not_, reversed(more)), strict=True):
        name = row[0].rpartition(".")[2]
        del guides[depth:]
        before = guides[-1] if guides else ""
        if depth > _INDENTED:
            name = f"[{depth}] {name}"
        names.append(f"{before}{'└── ' if last else '├── '}{name}" if depth else name)
        guides.append(before if depth >= _INDENTED else f"{before}{'    ' if last else '│   '}" if depth else "")
    return names


def _plain(what: RenderableType) -> str:
    """Without colours, and as wide as it needs to be."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_WIDE, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(what, soft_wrap=False)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")
