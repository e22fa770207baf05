"""Which rows and columns a table shows: whatever is asked for, figures add up to the footer."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import thoplw
from thoplw import InputError, LayerInfo, UnknownNameError
from thoplw.render.table import Table
from thoplw.report.figures import FIGURES, FORMATTERS
from thoplw.report.views import DEFAULT, column_names, sort_names

NUMBERS = ("macs", "flops", "params", "trainable", "bytes")

#: What a report without a device and without memory can be sorted by.
SORTS = tuple(name for name in sort_names() if name not in FIGURES or not FIGURES[name].needs)


class Block(nn.Module):
    """One call of each layer, a parameter of its own, in two types, of which one needs no gradient."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width, dtype=torch.float64), requires_grad=False)
        self.first = nn.Linear(4, width)
        self.second = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x) * self.scale.float())


def profile(model: nn.Module | None = None, inputs: Any = (1, 4), **options: Any) -> LayerInfo:
    model = nn.Sequential(Block(2), Block(3), nn.ReLU()) if model is None else model
    return thoplw.profile(model, inputs, verbose=False, **options)[2]


def column(table: Table, heading: str) -> list[str]:
    at = table.columns.index(heading)
    return [row[at] for row in table.rows]


def check_sums(table: Table, figures: int) -> None:
    assert len(table.values) == figures
    for heading, (*rows, total) in table.values.items():
        assert sum(rows) == total, heading
        if heading != "Share":
            cells = column(table, heading)
            assert [int(cell) for cell in cells] == rows
            assert int(table.footer[table.columns.index(heading)]) == total


# -- everything adds up ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("convention", ["thoplw", "macs"])
@pytest.mark.parametrize("name", ["googlenet", "vit_b_32", "shufflenet_v2_x0_5"])
def test_rows_add_up_under_every_option(name: str, convention: str) -> None:
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(**({"init_weights": False} if name == "googlenet" else {}))
    layers = profile(model, (1, 3, 224, 224), convention=convention)
    for depth, sort, top in itertools.product((None, 0, 1, 3), (None, *SORTS), (None, 1, 7, 10_000)):
        if (top, sort) in ((1, "name"), (7, "name"), (10_000, "name")):
            continue
        table = layers.table(columns=["name", "share", *NUMBERS], depth=depth, sort=sort, top=top)
        check_sums(table, 6)
        assert table.values["MACs"][-1] == layers.total_macs
        assert top is None or len(table.rows) <= top + 1


def test_a_single_column_adds_up_though_others_decide_on_other_rows() -> None:
    layers = profile()
    assert [row.name for row in layers.modules if row.trainable != row.params] == ["0", "1"]
    for name in NUMBERS:
        table = layers.table(columns=[name])
        check_sums(table, 2 if name == "bytes" else 1)


def test_cumulative_figures_are_of_all_inside() -> None:
    table = profile().table(columns=["name", "params"], own=False)
    assert dict(zip(column(table, "Name"), table.values["Params"], strict=False)) == {
        "(model)": 2 + 10 + 12 + 3 + 15 + 16,
        "0": 2 + 10 + 12,
        "0.first": 10,
        "0.second": 12,
        "1": 3 + 15 + 16,
        "1.first": 15,
        "1.second": 16,
        "2": 0,
    }
    assert table.footer == ("Total", "58")
    assert table.levels == (0, 1, 2, 2, 1, 2, 2, 1)


def test_cumulative_figures_end_at_a_depth() -> None:
    table = profile().table(columns=["name", "params"], own=False, depth=1)
    assert table.rows == (("(model)", "58"), ("0", "24"), ("1", "34"), ("2", "0"))


# -- columns ---------------------------------------------------------------------------------------------------------


#: Columns of a report that names a device, of one that was asked for memory, and of a training step.
OF_OTHERS = ("bound", "floor", "eager", "peak", "saved", "phases")


def test_what_every_column_says() -> None:
    table = profile().table(columns=[name for name in column_names() if name not in OF_OTHERS])
    shown = dict(zip(table.columns, table.rows[1], strict=True))
    assert shown == {
        "Name": "0.first",
        "Class": "Linear",
        "Depth": "2",
        "Input shape": "4",
        "Output shape": "2",
        "Calls": "1",
        "MACs": "10",
        "FLOPs": "18",
        "Params": "10",
        "Trainable": "10",
        "Share": "18.87 %",
        "Bytes float64": "0",
        "Bytes float32": "40",
        "Moved": str(4 * (4 + 10 + 2)),
        "Compulsory": str(4 * (4 + 10 + 2)),
        "FLOPs/byte": "0.281",
        "Active computed": "10",
        "Activations": "2",
        "Operators": "aten.linear 10",
    }
    totals = dict(zip(table.columns, table.footer, strict=True))
    assert totals["MACs"] == str(10 + 12 + 15 + 16)
    assert (totals["Bytes float64"], totals["Bytes float32"]) == (str(8 * 5), str(4 * 53))
    assert (totals["Trainable"], totals["Share"], totals["Calls"]) == ("53", "100.00 %", "")


def test_a_column_that_is_not_known_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"column 'peak': .* pass memory=True"):
        profile().table(columns=["name", "peak"])


@pytest.mark.parametrize("asked", [{"columns": ["name", "phases"]}, {"columns": ["phases"]}, {"sort": "phases"}])
def test_phases_are_of_a_training_step(asked: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"has no phases: they are of a training step: thoplw\.profile_training$"):
        profile().table(**asked)


def test_columns_stand_in_the_order_asked_for() -> None:
    assert profile().table(columns=["params", "name"]).columns == ("Params", "Name")


def test_the_default_columns() -> None:
    layers = profile()
    assert layers.table() == layers.table(columns=DEFAULT)
    assert layers.table().columns == ("Name", "Class", "Input shape", "Output shape", "MACs", "Params")


def test_figures_of_a_model_without_parameters() -> None:
    table = profile(nn.ReLU()).table(columns=["name", "bytes", "share"])
    assert (table.rows, table.footer) == ((("(model)", "0", "0.00 %"),), ("Total", "0", "0.00 %"))


@pytest.mark.parametrize(
    ("fmt", "cell", "total"), [("clever", " 10     ", " 58     "), ("ratio", "17.24 %", " 58     ")]
)
def test_formats_apply_to_figures(fmt: str, cell: str, total: str) -> None:
    table = profile().table(fmt, columns=["name", "params", "calls"])
    assert table.rows[1] == ("0.first", cell, "1")
    assert table.footer == ("Total", total, "")


def test_the_unit_is_a_heading() -> None:
    assert profile(convention="flops").table(columns=["macs"]).columns == ("FLOPs",)


def test_about_says_what_was_counted() -> None:
    about = profile(convention="macs").table().about
    assert about == {
        "thoplw": thoplw.__version__,
        "torch": str(torch.__version__),
        "model": "Sequential",
        "convention": "macs",
        "unit": "MAC",
    }


# -- rows ------------------------------------------------------------------------------------------------------------


def test_rows_are_sorted_by_numbers_down_and_names_up() -> None:
    layers = profile(nn.Sequential(*(nn.Linear(4, 4, bias=bias) for bias in [False, True] * 6)))
    names = column(layers.table(sort="params"), "Name")
    assert names == [*"13579", "11", *"02468", "10"]
    assert column(layers.table(sort="name"), "Name") == sorted(names)


@pytest.mark.parametrize("sort", sorted(set(SORTS) - {"name", "share"}))
def test_every_number_sorts(sort: str) -> None:
    cells = column(profile().table(columns=["calls", *NUMBERS], sort=sort), {"macs": "MACs"}.get(sort, "Calls"))
    assert [int(cell) for cell in cells] == sorted(map(int, cells), reverse=True)


def test_the_largest_and_the_rest() -> None:
    table = profile().table(columns=["name", "class", "inputs", "calls", "params"], top=2, sort="params")
    assert table.rows == (
        ("1.second", "Linear", "3", "1", "16"),
        ("1.first", "Linear", "4", "1", "15"),
        ("(5 more)", "", "", "5", "27"),
    )
    assert profile().table(top=2).rows[0][0] == "1.second"  # by MACs


def test_no_rest_where_all_are_shown() -> None:
    assert column(profile().table(top=7), "Name")[-1] != "(0 more)"
    assert len(profile().table(top=7).rows) == 7


def test_a_depth_below_the_deepest_changes_nothing() -> None:
    assert profile().table(depth=99) == profile().table()


# -- what cannot be asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fmt": "clevr"}, "unknown fmt 'clevr'. Did you mean 'clever'?"),
        ({"columns": ["name", "mac"]}, "unknown column 'mac'. Did you mean 'macs'?"),
        ({"columns": "name,macs"}, "unknown column 'name,macs'"),
        ({"sort": "parms"}, "unknown sort 'parms'. Did you mean 'params'"),
        ({"sort": "class"}, "unknown sort 'class'"),
    ],
)
def test_unknown_names(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        profile().table(**options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": []}, "columns=[]: give a list of names"),
        ({"columns": "name"}, "columns='name': give a list of names"),
        ({"depth": -1}, "depth=-1: 0 is the model itself"),
        ({"top": 0}, "top=0: give 1 or more layers to show"),
        ({"top": 3, "sort": "name"}, "top= shows the largest layers: sort by a number"),
        ({"top": 3, "own": False}, "top= with own=False would count a module inside another one twice"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        profile().table(**options)
    assert str(caught.value).startswith(message)


def test_every_format_is_a_pair_of_functions_of_figure_and_total() -> None:
    assert {name: (each(5, 10).strip(), total(10, 10).strip()) for name, (each, total) in FORMATTERS.items()} == {
        "raw": ("5", "10"),
        "grouped": ("5", "10"),
        "clever": ("5", "10"),
        "ratio": ("50.00 %", "10"),
    }
