"""What a renderer sees: headings and formatted cells, nothing of models or counting."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table ready to be written in any format.

    ``rows`` and ``footer`` have one string per column; ``notes`` are lines to show under the table,
    where the format has room for prose.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footer: tuple[str, ...]
    notes: tuple[str, ...] = ()
