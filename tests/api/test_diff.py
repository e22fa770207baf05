"""What differs between two profiles."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thoplw
from thoplw.api.diff import Pair, differences
from thoplw.errors import InputError
from thoplw.report.profile import Profile


def profile(model: nn.Module, shape: tuple[int, ...] = (1, 8), convention: str = "macs") -> Profile:
    return thoplw.profile(model, shape, verbose=False, convention=convention)[2].profile


BEFORE = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4), nn.Linear(4, 2))
AFTER = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 4, bias=False))
GROWN = nn.Sequential(*AFTER, nn.Sequential(nn.Linear(4, 3)))


def test_layers_are_matched_by_name() -> None:
    found = differences(profile(BEFORE), profile(AFTER))
    assert [(each.name, each.cls, each.kind) for each in found.changes] == [
        ("1", "ReLU -> GELU", "changed"),
        ("2", "Linear", "changed"),
        ("3", "Linear", "removed"),
    ]
    assert [(each.macs, each.params) for each in found.changes] == [
        (Pair(before=0, after=0), Pair(before=0, after=0)),
        (Pair(before=32, after=32), Pair(before=36, after=32)),
        (Pair(before=8, after=0), Pair(before=10, after=0)),
    ]
    assert found.same == 1
    assert (found.macs, found.params) == (Pair(before=104, after=96), Pair(before=118, after=104))
    assert (found.macs.grown, found.params.grown) == (-8, -14)


def test_a_container_is_no_layer() -> None:
    found = differences(profile(AFTER), profile(GROWN))
    assert [(each.name, each.kind, each.macs.grown) for each in found.changes] == [("3.0", "added", 12)]


def test_the_same_model_has_no_differences() -> None:
    found = differences(profile(BEFORE), profile(BEFORE))
    assert (found.changes, found.same, found.macs.grown, found.notes) == ((), 4, 0, ())


@pytest.mark.parametrize(("before", "after"), [(BEFORE, AFTER), (AFTER, GROWN), (BEFORE, GROWN), (BEFORE, BEFORE)])
def test_columns_add_up_to_the_footer(before: nn.Module, after: nn.Module) -> None:
    table = differences(profile(before), profile(after)).table()
    for index in range(3, 9):
        assert sum(int(row[index]) for row in table.rows) == int(table.footer[index])


def test_plain_values() -> None:
    found = differences(profile(AFTER), profile(GROWN)).to_dict()
    assert found["totals"]["macs"] == {"before": 96, "after": 108, "grown": 12}
    (change,) = found["changes"]
    assert (change["name"], change["change"], change["params"]["grown"]) == ("3.0", "added", 15)


def test_figures_with_units_have_a_sign() -> None:
    rows = differences(profile(nn.Linear(1000, 10), (1, 1000)), profile(nn.Linear(1000, 30), (1, 1000)))
    assert [cell.strip() for cell in rows.table("clever").rows[0][3:6]] == ["10.00 K", "30.00 K", "+20.00 K"]


def test_other_inputs_are_said() -> None:
    notes = differences(profile(BEFORE), profile(BEFORE, (2, 8))).notes
    assert notes == ("Inputs differ: [[1, 8]] before, [[2, 8]] after.",)


class Picks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x > 0]


def test_assumptions_of_either_are_said() -> None:
    notes = differences(profile(BEFORE), profile(Picks())).notes
    assert notes == ("Assumed after: every candidate is kept.",)


def test_conventions_do_not_mix() -> None:
    with pytest.raises(InputError, match="before was counted by 'macs' and after by 'thoplw'"):
        differences(profile(BEFORE), profile(BEFORE, convention="thoplw"))


def test_a_narrow_table_leaves_out_what_was_before() -> None:
    table = differences(profile(BEFORE), profile(AFTER)).table(narrow=True)
    assert table.columns == ("Name", "Class", "Change", "MACs after", "MACs +/-", "Params after", "Params +/-")
    assert table.footer == ("Total", "Sequential", "", "96", "-8", "104", "-14")
