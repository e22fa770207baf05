"""The table that renderers take: headings and formatted cells, without models or counting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from thoplw.render.words import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table ready to be written in any format.

    ``rows`` and ``footer`` (if there is one) have one string per column; ``notes`` are lines to show under the table,
    where the format has room for prose.

    Attributes:
        values: column -> its figures as plain numbers, those of the rows and at last the total, for columns of figures.
        levels: the depth of each row in the tree of modules.
        about: what was counted and by what: model, convention, unit and versions.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footer: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    values: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    levels: tuple[int, ...] = ()
    about: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def printable(table: Table) -> Table:
    """Escape control characters in all cells, see :func:`thoplw.render.words.visible`."""
    return replace(
        table,
        columns=_visible(table.columns),
        rows=tuple(map(_visible, table.rows)),
        footer=_visible(table.footer),
        notes=_visible(table.notes),
        values={visible(column): figures for column, figures in table.values.items()},
    )


def _visible(cells: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(visible, cells))


def figures_of(table: Table) -> set[int]:
    """Positions of columns of figures alone, in any format: ``1824010216``, ``+1.82 G``, ``9.5 %``, ``2 ms``.

    A shape of one size, such as ``512``, is not a figure, nor the name of a module, such as ``0``.
    """
    return {
        position
        for position, (column, *cells) in enumerate(zip(table.columns, *table.rows, strict=True))
        if not column.endswith("shape")
        and column != "Name"
        and any(map(str.strip, cells))
        and all(_FIGURE.fullmatch(cell.strip() or "0") for cell in cells)
    }


_FIGURE = re.compile(r"[+-]?\d[\d,.]*( ?[%A-Z]| [mnu]?s)?")
