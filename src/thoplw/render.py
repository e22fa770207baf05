"""From a table to text, in any format."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from types import MappingProxyType

from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

from thoplw.errors import UnknownNameError
from thoplw.table import Table

_TEXT = TableFormat(
    lineabove=None,
    linebelowheader=Line("+", "-", "+", "+"),
    linebetweenrows=None,
    linebelow=None,
    headerrow=DataRow("|", "|", "|"),
    datarow=DataRow("|", "|", "|"),
    padding=1,
    with_header_hide=None,
)


def render(table: Table, kind: str) -> str:
    """Write a table in one of the :data:`FORMATS`.

    Raises:
        UnknownNameError: there is no such format.
    """
    if kind not in FORMATS:
        raise UnknownNameError("kind", kind, FORMATS)
    return FORMATS[kind](table)


def text(table: Table) -> str:
    """A table for the terminal, everything left-aligned; notes below."""
    lines = tabulate(
        [*table.rows, SEPARATING_LINE, table.footer],
        table.columns,
        _TEXT,
        disable_numparse=True,
        preserve_whitespace=True,
    )
    return "\n\n".join((lines, "\n".join(table.notes))) if table.notes else lines


def markdown(table: Table) -> str:
    """A GitHub table; notes below."""
    cells = [[cell.strip().replace("|", "\\|") for cell in row] for row in (*table.rows, table.footer)]
    lines = tabulate(cells, table.columns, "github", disable_numparse=True)
    return "\n\n".join((lines, *table.notes))


def comma_separated(table: Table) -> str:
    """CSV: no padding, no notes."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([cell.strip() for cell in row] for row in (*table.rows, table.footer))
    return buffer.getvalue().rstrip("\n")


#: Kind -> function.
FORMATS: MappingProxyType[str, Callable[[Table], str]] = MappingProxyType(
    {"csv": comma_separated, "md": markdown, "text": text}
)
