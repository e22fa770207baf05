"""A table in every format, against golden files; what no format may trip over."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest
import tabulate

import thoplw
from thoplw import UnknownNameError
from thoplw.loading import load
from thoplw.pricing import CONVENTIONS
from thoplw.render import FORMATS, render
from thoplw.table import Table

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {"text": "txt", "csv": "csv", "md": "md"}

TABLE = Table(
    columns=("Name", "Class", "Input shape", "MACs", "Params"),
    rows=(
        ("conv1", "Conv2d", "3 x 224 x 224", "118.01 M", "  9.41 K"),
        ("add", "Add|Mul", "64 x 56 x 56, 64 x 56 x 56", "  0.00  ", "  0.00  "),
        ("fc", 'Linear "int8"', "512", "513.00 K", "513.00 K"),
        ("1", "007", "1e5", "12.50", ""),
    ),
    footer=("Total", "ResNet", "3 x 224 x 224", "  1.82 G", " 11.70 M"),
    notes=("Not counted: lib.op.default (1 call in fc).", "Never ran: head (650 parameters)."),
)


@pytest.mark.parametrize("kind", FORMATS)
def test_golden(kind: str) -> None:
    expected = (GOLDEN / f"table.{SUFFIXES[kind]}").read_text(encoding="utf-8")
    assert f"{render(TABLE, kind)}\n" == expected


@pytest.mark.parametrize("kind", FORMATS)
def test_no_trailing_line_and_no_trailing_note(kind: str) -> None:
    text = render(dataclasses.replace(TABLE, notes=()), kind)
    assert text == text.strip("\n")
    assert "Never ran" not in text


@pytest.mark.parametrize("kind", FORMATS)
def test_a_table_without_rows_keeps_head_and_footer(kind: str) -> None:
    text = render(dataclasses.replace(TABLE, rows=(), notes=()), kind)
    assert text.splitlines()[0].replace(" ", "").strip("|").startswith("Name")
    assert "Total" in text.splitlines()[-1]
    assert len(text.splitlines()) == {"text": 4, "csv": 2, "md": 3}[kind]


def test_text_keeps_points_and_units_below_each_other() -> None:
    _, _, *rows = render(TABLE, "text").splitlines()
    macs = [row.split("|")[-3] for row in rows[:1] + rows[2:3]]
    assert macs == [" 118.01 M ", " 513.00 K "]
    assert rows[1].split("|")[-3] == "   0.00   "


def test_text_lines_are_equally_long() -> None:
    lines = render(dataclasses.replace(TABLE, notes=()), "text").splitlines()
    assert len({len(line) for line in lines}) == 1
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vit_b_32"])
def test_the_columns_of_a_real_profile_add_up_to_the_footer(name: str, convention: str) -> None:
    macs, params, layers = thoplw.profile(load(name).model, (2, 3, 224, 224), verbose=False, convention=convention)
    head, rule, *rows, rule_again, total = layers.summary().split("\n\n")[0].splitlines()
    assert rule == rule_again
    assert [cell.strip() for cell in head.split("|")[-3:-1]] == [f"{CONVENTIONS[convention].unit}s", "Params"]
    figures = [[int(cell) for cell in row.split("|")[-3:-1]] for row in rows]
    assert [sum(column) for column in zip(*figures, strict=True)] == [int(cell) for cell in total.split("|")[-3:-1]]
    assert [int(cell) for cell in total.split("|")[-3:-1]] == [macs, params]


@pytest.mark.parametrize("kind", FORMATS)
def test_golden_of_a_real_profile(kind: str) -> None:
    loaded = load("alexnet")
    _, _, layers = thoplw.profile(loaded.model, loaded.inputs, verbose=False)
    expected = (GOLDEN / f"alexnet.{SUFFIXES[kind]}").read_text(encoding="utf-8")
    assert f"{layers.summary(kind, 'ratio' if kind == 'md' else 'raw')}\n" == expected


def test_csv_reads_back_without_padding() -> None:
    rows = list(csv.reader(render(TABLE, "csv").splitlines()))
    assert rows[0] == list(TABLE.columns)
    assert rows[1:-1] == [[cell.strip() for cell in row] for row in TABLE.rows]
    assert rows[-1] == [cell.strip() for cell in TABLE.footer]


def test_markdown_cells_hold_their_pipes() -> None:
    lines = [line for line in render(TABLE, "md").splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(TABLE.columns) + 1}


def test_tabulate_is_left_as_it_was() -> None:
    before = dict(vars(tabulate))
    for kind in FORMATS:
        render(TABLE, kind)
    assert vars(tabulate) == before


def test_unknown_kind() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown kind 'texd'. Did you mean 'text'\?"):
        render(TABLE, "texd")
