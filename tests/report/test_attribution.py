"""Rows: which module is charged for what; they always add up."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import thoplw


def rows(model: nn.Module, inputs: object, **options: object) -> dict[str, tuple[int, int, int]]:
    """Name -> MACs, parameters, calls; totals checked on the way."""
    macs, params, info = thoplw.profile(model, inputs, verbose=False, **options)  # type: ignore[arg-type] # any
    assert sum(row.macs for row in info) == macs == info.total_macs
    assert sum(row.params for row in info) == params == info.total_params
    assert len(info) == len(list(info))
    return {row.name: (row.macs, row.params, row.calls) for row in info}


def test_a_module_called_twice_is_one_row() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.layer(x))

    assert rows(Twice(), (1, 3)) == {"layer": (2 * 12, 12, 2)}


def test_a_module_under_two_names_goes_by_the_first() -> None:
    layer = nn.Linear(3, 3)
    assert rows(nn.Sequential(layer, nn.ReLU(), layer), (1, 3)) == {"0": (2 * 12, 12, 2), "1": (0, 0, 1)}


def test_tied_parameters_count_once() -> None:
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
    model[1].weight = model[0].weight
    assert rows(model, (torch.tensor([[1, 2, 3]]),)) == {"0": (0, 40, 1), "1": (3 * 40, 0, 1)}


def test_a_module_with_work_or_parameters_of_its_own_has_a_row_beside_its_children() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))
            self.layer = nn.Linear(3, 5)
            self.plain = nn.Sequential(nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.plain(self.layer(x * self.scale)) @ torch.ones(5, 2)

    assert rows(Own(), (1, 3)) == {"": (10, 3, 1), "layer": (20, 20, 1), "plain.0": (0, 0, 1)}


def test_parameters_used_without_a_call_go_to_the_module_that_holds_them_and_ran() -> None:
    # nn.MultiheadAttention multiplies with out_proj.weight, and never calls out_proj.
    model = nn.MultiheadAttention(8, 2)
    found = rows(model, (torch.randn(5, 2, 8),) * 3)
    assert {name: params for name, (_, params, _) in found.items()} == {"": 4 * 64 + 4 * 8}
    assert thoplw.profile(model, (torch.randn(5, 2, 8),) * 3)[2].not_executed == {}


def test_batch_norm_statistics_are_parameters_in_one_convention_only() -> None:
    model = nn.Sequential(nn.BatchNorm2d(8))
    assert thoplw.profile(model, (1, 8, 2, 2))[1] == 4 * 8
    assert thoplw.profile(model, (1, 8, 2, 2), convention="macs")[1] == 2 * 8


def test_trainable_parameters_and_bytes_by_dtype() -> None:
    double = Doubled(nn.Linear(3, 3, bias=False, dtype=torch.float64))
    model = nn.Sequential(nn.Linear(3, 3), double, nn.BatchNorm1d(3))
    model[0].weight.requires_grad_(False)
    first, second, norm = thoplw.profile(model, (2, 3))[2]
    assert (first.params, first.trainable, first.bytes) == (12, 3, {"float32": 48})
    assert (second.params, second.trainable, second.bytes) == (9, 9, {"float64": 72})
    assert (norm.params, norm.trainable, norm.bytes) == (12, 6, {"float32": 48})


class Doubled(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.double()).float()


def test_modules_are_all_that_ran_or_hold_one_that_ran() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 3)])
            self.idle = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers[1](self.layers[0](x)) + 1

    _, _, info = thoplw.profile(Listed(), (1, 3), verbose=False)
    assert [(row.name, row.depth, row.calls, row.macs) for row in info.modules] == [
        ("", 0, 1, 0),
        ("layers", 1, 0, 0),
        ("layers.0", 2, 1, 0),
        ("layers.0.0", 3, 1, 12),
        ("layers.1", 2, 1, 12),
    ]
    assert [row.name for row in info.rows] == ["layers.0.0", "layers.1"]


def test_operators_of_a_module_add_up_to_it() -> None:
    model = nn.MultiheadAttention(8, 2)
    (row,) = thoplw.profile(model, (torch.randn(5, 2, 8),) * 3)[2]
    assert sum(row.operators.values()) == row.macs
    assert {name for name, part in row.operators.items() if part} >= {"aten.linear"}


def test_a_module_priced_as_a_whole_goes_by_its_class_and_has_nothing_inside() -> None:
    def price(module: nn.Module, inputs: object, output: object) -> int:
        return 7

    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 3))
    _, _, info = thoplw.profile(model, (1, 3), custom_ops={nn.Linear: price})
    assert [(row.name, row.operators) for row in info.modules] == [
        ("", {}),
        ("0", {}),
        ("0.0", {"Linear": 7}),
        ("1", {"Linear": 7}),
    ]


def test_layers_that_did_not_run_have_no_row_and_no_parameters() -> None:
    model = torchvision.models.googlenet(init_weights=False)
    _, _, info = thoplw.profile(model, (1, 3, 224, 224), verbose=False)
    assert not [row for row in info if row.name.startswith("aux")]
    assert list(info.not_executed) == ["aux1", "aux2"]


def test_a_failure_that_the_model_catches_leaves_the_scopes_right() -> None:
    class Fails(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("caught by the parent")

    class Catches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fails, self.layer = Fails(), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                return self.fails(x)
            except ValueError:
                return self.layer(x)

    assert rows(nn.Sequential(Catches(), nn.Linear(3, 1)), (1, 3))["1"] == (4, 4, 1)


def test_modules_made_during_the_forward_and_let_go_are_inside_of_the_caller() -> None:
    class Maker(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.Linear(5, 3)(nn.Linear(3, 5)(x))

    assert rows(nn.Sequential(Maker()), (1, 3)) == {"0.Linear": (20, 20, 1), "0.Linear_2": (18, 18, 1)}


class Pooled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(F.linear(x, torch.ones(5, 3)))


class Wide(nn.Linear):
    """A subclass counts as what it computes."""


@pytest.mark.parametrize("convention", ["thoplw", "macs"])
def test_module_function_and_subclass_count_the_same(convention: str) -> None:
    models = [nn.Linear(3, 5, bias=False), Wide(3, 5, bias=False), Pooled()]
    assert {thoplw.profile(model, (2, 3), convention=convention)[0] for model in models} == {2 * 15}


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "vit_b_16", "swin_t", "shufflenet_v2_x0_5"])
@pytest.mark.parametrize("convention", ["thoplw", "macs"])
def test_rows_add_up_and_scale_with_the_batch(name: str, convention: str) -> None:
    with torch.device("meta"):
        model = torchvision.models.get_model(name)
    one = rows(model, (1, 3, 224, 224), convention=convention)
    three = rows(model, (3, 3, 224, 224), convention=convention)
    assert three == {path: (3 * macs, params, calls) for path, (macs, params, calls) in one.items()}


def test_shapes_of_keyword_inputs_and_several_outputs() -> None:
    class Inner(nn.Module):
        def forward(self, *, a: torch.Tensor, b: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"sum": a + b["x"], "first": a[:1]}

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(a=x, b={"x": x})["sum"]

    (row,) = thoplw.profile(Outer(), (2, 3))[2]
    assert (row.input_shapes, row.output_shapes) == (((2, 3), (2, 3)), ((2, 3), (1, 3)))
    assert (row.name, row.cls) == ("inner", "Inner")


def test_notes_name_a_module_and_shapes_once_in_order() -> None:
    class Unknown(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(torch.special.bessel_j0(x))

    layer = Unknown()
    convention = thoplw.Convention("none", {}, based_on=None)
    info = thoplw.profile(nn.Sequential(layer, Unknown(), layer), (1, 3), convention=convention, verbose=False)[2]
    found = info.uncounted["aten.special_bessel_j0.default"] if info.uncounted else None
    assert found is not None
    assert (found.calls, found.modules, found.shapes) == (6, ["0", "1"], [((1, 3),)])
