"""Tables of rows and columns: text, Markdown, LaTeX, CSV, and HTML for notebooks."""

from __future__ import annotations

import csv
import html
import io
import re

from tabulate import LATEX_ESCAPE_RULES, SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

from thoplw.render.table import Table, figures_of, printable

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


_STYLE = """\
<style>
.thoplw td, .thoplw th { padding: 0.15em 0.8em; white-space: nowrap; }
.thoplw td { font-variant-numeric: tabular-nums; }
.thoplw.total tr:last-child td { border-top: 1px solid; font-weight: bold; }
</style>"""

#: Characters with a meaning in Markdown or in HTML inside it -> how they are escaped.
_MARKDOWN = str.maketrans({"\\": "\\\\", "|": "\\|", "`": "\\`", "[": "\\[", "<": "&lt;", "&": "&amp;"})


def text(table: Table) -> str:
    """A table for the terminal, everything left-aligned; notes below."""
    table = printable(table)
    lines = tabulate(
        [*table.rows, *([SEPARATING_LINE, table.footer] if table.footer else [])],
        table.columns,
        _TEXT,
        disable_numparse=True,
        preserve_whitespace=True,
    )
    return "\n\n".join((lines, "\n".join(table.notes))) if table.notes else lines


def markdown(table: Table) -> str:
    """A GitHub table; notes below."""
    table = printable(table)
    cells = [[cell.translate(_MARKDOWN) for cell in row] for row in (*_stripped(table), *_footer(table))]
    head = [column.translate(_MARKDOWN) for column in table.columns]
    lines = tabulate(cells, head, "github", disable_numparse=True)
    return "\n\n".join((lines, *(note.translate(_MARKDOWN) for note in table.notes)))


def escaped(sentence: str) -> str:
    """A sentence beside such a table."""
    return sentence.translate(_MARKDOWN)


def latex(table: Table) -> str:
    """A table for the booktabs package, everything escaped; notes below."""
    table = printable(table)
    lines = tabulate(
        [*_stripped(table), *([SEPARATING_LINE, *_footer(table)] if table.footer else [])],
        table.columns,
        "latex_booktabs",
        disable_numparse=True,
        colalign=_sides(table),
    )
    escapes = str.maketrans(LATEX_ESCAPE_RULES)
    return "\n\n".join((lines, *(note.translate(escapes) for note in table.notes)))


def comma_separated(table: Table) -> str:
    """CSV without padding or notes: one line for each row; no cell is a formula."""
    table = printable(table)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows(map(no_formula, row) for row in (table.columns, *_stripped(table), *_footer(table)))
    return buffer.getvalue().rstrip("\n")


def no_formula(cell: str) -> str:
    """A cell that a spreadsheet takes as text: ``'=1+1``. Numbers stay what they are: ``-5``, ``+1.82 G``."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) and not _NUMBER.fullmatch(cell) else cell


_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?( [%A-Z])?")


def hypertext(table: Table) -> str:
    """An HTML table of class ``thoplw``, for notebooks; figures to the right, notes below."""
    table = printable(table)
    cells = [*_stripped(table), *_footer(table)]
    figures = figures_of(table)
    sides = ["right" if position in figures else "left" for position in range(len(table.columns))]
    lines = tabulate(cells, table.columns, "html", disable_numparse=True, colalign=sides)
    notes = (f"<p>{html.escape(note)}</p>" for note in table.notes)
    return "\n".join((f'<div class="thoplw{" total" if table.footer else ""}">', _STYLE, lines, *notes, "</div>"))


def _stripped(table: Table) -> list[list[str]]:
    return [[cell.strip() for cell in row] for row in table.rows]


def _footer(table: Table) -> list[list[str]]:
    """The footer as a row, if there is one."""
    return [[cell.strip() for cell in table.footer]] if table.footer else []


def _sides(table: Table) -> list[str]:
    """Figures to the right."""
    return ["right" if column in table.values else "left" for column in table.columns]
