"""Tables of rows and columns: what each format does to cells that mean something in it."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import pytest
from checks.tables import TABLE

from thoplw.render import render
from thoplw.render.grid import hypertext

SPECIAL = "a_b & 50 % of #1 {x} ~ ^ $ \\ <i>"


def test_text_keeps_points_and_units_below_each_other() -> None:
    _, _, *rows = render(TABLE, "text").splitlines()
    macs = [row.split("|")[-3] for row in rows[:1] + rows[2:3]]
    assert macs == [" 118.01 M ", " 513.00 K "]
    assert rows[1].split("|")[-3] == "   0.00   "


def test_text_lines_are_equally_long() -> None:
    lines = render(replace(TABLE, notes=()), "text").splitlines()
    assert len({len(line) for line in lines}) == 1
    assert not any(line.endswith(" ") for line in lines)


def test_csv_reads_back_without_padding() -> None:
    rows = list(csv.reader(render(TABLE, "csv").splitlines()))
    assert rows[0] == list(TABLE.columns)
    assert rows[1:-1] == [[cell.strip() for cell in row] for row in TABLE.rows]
    assert rows[-1] == [cell.strip() for cell in TABLE.footer]


def test_markdown_cells_hold_their_pipes() -> None:
    lines = [line for line in render(TABLE, "md").splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(TABLE.columns) + 1}


def test_latex_escapes_cells_and_notes() -> None:
    text = render(replace(TABLE, rows=((SPECIAL, "", "", "", ""),), notes=(SPECIAL,)), "latex")
    bare = r"a\_b \& 50 \% of \#1 \{x\} \textasciitilde{} \^{} \$ \textbackslash{} \ensuremath{<}i\ensuremath{>}"
    assert text.count(re.sub(r"\\\^\{\}", lambda _: r"\^{}", bare)) == 2


def test_latex_has_figures_to_the_right() -> None:
    assert (
        render(replace(TABLE, values={"MACs": (), "Params": ()}), "latex").splitlines()[0] == r"\begin{tabular}{lllrr}"
    )


def test_html_escapes_cells_and_notes() -> None:
    text = hypertext(replace(TABLE, rows=((SPECIAL, "", "", "", ""),), notes=(SPECIAL,)))
    assert text.startswith('<div class="thoplw total">\n<style>')
    assert text.endswith("</div>")
    assert text.count("a_b &amp; 50 % of #1 {x} ~ ^ $ \\ &lt;i&gt;") == 2
    assert "<i>" not in text


@pytest.mark.parametrize("figure", ["-5", "+5", "-1.82 G", "+12.34 %", "+0"])
def test_figures_of_a_csv_stay_numbers(figure: str) -> None:
    table = replace(TABLE, rows=(("a", "b", "c", figure, "1"),))
    assert list(csv.reader(render(table, "csv").splitlines()))[1][3] == figure
