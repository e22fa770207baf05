"""Tables for who looks at them: no wider than the terminal, and figures whole."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from thoplw.render.screen import clever, screen, width_of
from thoplw.render.table import Table

TABLE = Table(
    columns=("Name", "Class", "Input shape", "MACs", "+/-"),
    rows=(
        ("layer1.0.conv1", "Conv2d", "64 x 56 x 56", "115605504", "+12"),
        ("features.denseblock4.denselayer16.conv1", "Conv2d", "1, 2, 3, 4, 5 | 6, 7", "7", "-3"),
        ("add", "Add", "[red]", "0", ""),
    ),
    footer=("Total", "Net", "3 x 224 x 224", "115605511", ""),
    notes=("Never ran: head (650 parameters).",),
)


def shown(table: Table, width: int, total: str = "") -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(screen(table, width, total))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [50, 60, 80, 100, 200])
def test_it_fits_and_figures_are_whole(width: int) -> None:
    lines = shown(TABLE, width)
    assert max(map(len, lines)) <= width
    assert "115605504  +12" in lines[2]
    assert lines[3].rstrip().endswith("7   -3")
    assert "115605511" in next(line for line in lines if line.startswith("Total"))


@pytest.mark.parametrize("width", [30, 40])
def test_where_there_is_no_room_columns_are_left_out_and_named(width: int) -> None:
    lines = shown(TABLE, width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "115605504" in text
    assert "Left out, for want of width: Input shape" in text


def test_wide_characters_take_two_places() -> None:
    table = Table(
        columns=("Name", "Class", "MACs"),
        rows=(("编码器.层.注意力.投影", "Cls数据", "7"), ("🚀🚀.fc", "Linear", "1234567")),
        footer=("Total", "Net", "1234574"),
    )
    for width in (30, 34, 80):
        lines = shown(table, width)
        assert max(map(cell_len, lines)) <= width
        assert {cell_len(line.rstrip()) for line in lines[2:4]} == {cell_len(lines[0].rstrip())}  # all end alike
    assert "Cls数据" in lines[2]
    assert shown(table, 30)[2].startswith("…")


def test_times_are_figures() -> None:
    table = Table(columns=("Name", "Floor"), rows=(("a", "1.87 us"), ("b", "477 ns"), ("c", "0")))
    assert [line.rstrip() for line in shown(table, 40)[2:5]] == ["a     1.87 us", "b      477 ns", "c           0"]


def test_with_room_nothing_is_shortened_but_long_lists() -> None:
    lines = shown(TABLE, 200)
    assert width_of(TABLE) <= 200
    assert "features.denseblock4.denselayer16.conv1  Conv2d  1, 2, 3 and 2 more | 6, 7" in lines[3]
    assert "64 x 56 x 56" in lines[2]


def test_names_keep_their_ends_and_shapes_lose_blanks() -> None:
    lines = shown(TABLE, 80)
    assert "64x56x56" in lines[2]
    assert lines[3].startswith("…")
    assert lines[3].split()[0].endswith("16.conv1")


def test_words_are_no_markup_and_totals_and_notes_stand_below() -> None:
    lines = shown(TABLE, 80, "1.82 GMACs")
    assert "[red]" in lines[4]
    assert lines[-4:] == ["", "1.82 GMACs", "", "Never ran: head (650 parameters)."]


def test_a_table_without_rows_or_footer() -> None:
    assert shown(Table(columns=("Name", "MACs"), rows=()), 80)[0].split() == ["Name", "MACs"]


def test_names_and_classes_share_what_figures_leave() -> None:
    columns = ("Name", "Class", "Change", "MACs after", "MACs +/-", "Params after", "Params +/-")
    figures = ("115.61 M", "+115.61 M", "147.46 K", "+147.46 K")
    table = Table(columns=columns, rows=(("layer2.10.conv1", "SomewhatLongClass", "added", *figures),))
    for width, name, cls in ((90, "layer2.10.conv1", "SomewhatLongClass"), (77, "…2.10.conv1", "SomewhatLo…")):
        lines = shown(table, width)
        assert max(map(len, lines)) <= width
        words = lines[-1].split()
        assert words[0].endswith(name[1:])
        assert words[1].startswith(cls[:-1])
        assert words[3:] == " ".join(figures).split()


def test_whole_numbers_become_clever_and_words_stay() -> None:
    table = Table(
        columns=("Name", "Measured", "+/-", "Kept"),
        rows=(("0", "1824010216", "+4608", "yes"), ("1", "512", "-4608", "NO")),
        footer=("Total", "ResNet", "+1000000", ""),
    )
    written = clever(table)
    assert [[cell.strip() for cell in row] for row in written.rows] == [
        ["0", "1.82 G", "+4.61 K", "yes"],
        ["1", "512", "-4.61 K", "NO"],
    ]
    assert [cell.strip() for cell in written.footer] == ["Total", "ResNet", "+1.00 M", ""]
