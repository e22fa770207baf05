"""``custom_ops``: prices from the user."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from checks.releases import since
from torch import nn

import thoplw
from thoplw.report.document import read

MODEL = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), nn.Flatten(), nn.Linear(8 * 36, 4))
IMAGE = (1, 3, 8, 8)
CONVOLUTION, LINEAR = 8 * 36 * 27 + 8, 288 * 4 + 4


@pytest.mark.parametrize("execute", [False, True])
def test_a_module_function_sees_module_inputs_and_output(execute: bool) -> None:
    def price(module: nn.Conv2d, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> int:
        return inputs[0].numel() * module.out_channels + output.shape[1]

    macs, _, _ = thoplw.profile(MODEL, IMAGE, custom_ops={nn.Conv2d: price}, execute=execute)
    assert macs == 3 * 64 * 8 + 8 + LINEAR


def test_a_priced_module_covers_all_under_it() -> None:
    class Block(nn.Sequential):
        pass

    model = nn.Sequential(Block(nn.Linear(3, 3), Block(nn.Linear(3, 3))), nn.Linear(3, 3))
    macs, params, info = thoplw.profile(model, (1, 3), custom_ops={Block: lambda module, inputs, output: 1000})
    assert {row.name: (row.macs, row.params) for row in info} == {"0": (1000, 24), "1": (12, 12)}
    assert (macs, params) == (1012, 36)


def test_the_nearest_base_class_prices() -> None:
    class Special(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(3, 3), Special(3, 3))
    prices = {nn.Module: lambda m, i, o: 1, nn.Linear: lambda m, i, o: 10, Special: lambda m, i, o: 100}
    del prices[nn.Module]
    assert thoplw.profile(model, (1, 3), custom_ops=prices)[0] == 110


@pytest.mark.parametrize("operator", [torch.ops.aten.linear, torch.ops.aten.linear.default])
def test_an_operator_function_sees_the_call(operator: Any) -> None:
    def price(call: thoplw.Call) -> int:
        x, weight, bias = call.inputs
        assert (call.target, x.shape, weight.shape, bias.shape) == ("aten.linear", (1, 288), (4, 288), (4,))
        return call.outputs[0].numel

    assert thoplw.profile(MODEL, IMAGE, custom_ops={operator: price})[0] == CONVOLUTION + 4


def test_an_unknown_operator_can_be_priced() -> None:
    class Bessel(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(x)

    prices = {torch.ops.aten.special_bessel_j0: lambda call: 5 * call.outputs[0].numel}
    macs, _, info = thoplw.profile(Bessel(), (2, 3), custom_ops=prices, strict=True)
    assert (macs, info.uncounted) == (30, {})


LINEARS = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8, bias=False), nn.ReLU()))


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize("convention", ["thoplw", "macs", "flops", "torch", "thop", "fvcore", "ptflops", "torchinfo"])
def test_a_price_wins_over_that_of_what_holds_the_operator(convention: str, execute: bool) -> None:
    def cost(prices: Any) -> int:
        return thoplw.profile(MODEL, IMAGE, prices, convention=convention, execute=execute, verbose=False)[0]

    plain = thoplw.profile(MODEL, IMAGE, convention=convention, verbose=False)[2]
    by_layer = {row.name: row.macs for row in plain}
    others = sum(by_layer.values()) - by_layer["2"]
    assert cost({torch.ops.aten.addmm: lambda call: 9001}) == others + 9001
    assert cost({torch.ops.aten.addmm.default: lambda call: 9001}) == others + 9001
    # The whole is asked before its parts.
    assert cost({torch.ops.aten.addmm: lambda call: 1, torch.ops.aten.linear: lambda call: 9001}) == others + 9001
    assert cost({torch.ops.aten.convolution: lambda call: 9001}) == sum(by_layer.values()) - by_layer["0.0"] + 9001


def test_what_does_not_hold_the_operator_keeps_its_price() -> None:
    macs, _, info = thoplw.profile(LINEARS, (2, 8), {torch.ops.aten.mm: lambda call: 5}, convention="macs")
    assert {row.name: row.macs for row in info} == {"0": 2 * 8 * 8, "1.0": 5, "1.1": 0}
    assert macs == 2 * 8 * 8 + 5


def test_the_price_of_a_layer_wins_over_that_of_the_module_that_holds_it() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)

    table = thoplw.Convention("mine", {Block: lambda call: 1000}, based_on="macs")
    assert thoplw.profile(Block(), (1, 8), convention=table, verbose=False)[0] == 1000
    for key, price in ((nn.Linear, lambda module, inputs, output: 3), (torch.ops.aten.addmm, lambda call: 3)):
        assert thoplw.profile(Block(), (1, 8), {key: price}, convention=table, verbose=False)[0] == 3


@pytest.mark.parametrize("key", [nn.Linear, torch.ops.aten.linear, torch.ops.aten.addmm])
def test_a_plain_number_is_in_the_unit_of_the_convention(key: Any) -> None:
    def price(*arguments: Any) -> int:
        return 9001

    price_of = price if key is not nn.Linear else lambda module, inputs, output: 9001
    for convention, flops in (("macs", 18_002), ("flops", 9001)):
        cost, _, info = thoplw.profile(nn.Linear(8, 8), (1, 8), {key: price_of}, convention=convention, verbose=False)
        assert (cost, info.total_flops) == (9001, flops)


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_a_key_of_which_nothing_ran_is_noted(execute: bool) -> None:
    prices = {
        torch.ops.aten.mm: lambda call: 1,
        nn.Conv3d: lambda module, inputs, output: 1,
        nn.Linear: lambda module, inputs, output: 1,
        torch.ops.aten.addmm: lambda call: 1,  # ran inside of what another function prices
        nn.Module: lambda module, inputs, output: 1,
    }
    del prices[nn.Module]
    info = thoplw.profile(MODEL, IMAGE, prices, execute=execute, verbose=False)[2]
    assert info.notes() == ("custom_ops: aten.mm, Conv3d never ran.",)
    with thoplw.count(custom_ops=prices) as counted:
        MODEL(torch.ones(IMAGE))
    assert counted.layer_info.notes() == ("custom_ops: aten.mm, Conv3d never ran.",)
    assert [each.notes() for each in counted.calls] == [()]


def test_what_never_ran_is_kept_in_documents(tmp_path: Path) -> None:
    info = thoplw.profile(MODEL, IMAGE, {torch.ops.aten.mm: lambda call: 1}, verbose=False)[2]
    path = tmp_path / "profile.json"
    path.write_text(info.summary("json"))
    assert read(path).notes == info.notes() == ("custom_ops: aten.mm never ran.",)


@since("2.14", "older ones compile flex attention, or have none")
@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_an_operator_that_takes_functions_can_be_priced(execute: bool) -> None:
    from torch.nn.attention.flex_attention import flex_attention

    class Flex(nn.Module):
        def forward(self, q: torch.Tensor) -> torch.Tensor:
            return flex_attention(q, q, q)

    prices = {torch.ops.higher_order.flex_attention: lambda call: call.args[0].numel}
    assert thoplw.profile(Flex(), (1, 2, 16, 8), prices, execute=execute)[0] == 2 * 16 * 8


@pytest.mark.parametrize(
    ("key", "function", "note"),
    [
        (torch.ops.aten.linear, lambda call: call.nothing, "prices aten.linear"),
        (nn.Linear, lambda module, inputs, output: module.nothing, "prices Linear"),
    ],
)
def test_an_error_of_a_function_names_what_it_prices(key: Any, function: Any, note: str) -> None:
    with pytest.raises(AttributeError) as caught:
        thoplw.profile(nn.Linear(8, 8), (2, 8), {key: function})
    assert any(
        each.startswith("raised in custom_ops by ") and each.endswith(note)
        for each in getattr(caught.value, "__notes__", ())
    )


def wrong_arity(module: nn.Module, inputs: Any) -> int:
    return 0


def no_number(module: nn.Module, inputs: Any, output: Any) -> None:
    return None


BAD = {
    "arity of a module function": (
        {nn.Conv2d: wrong_arity},
        r"wrong_arity.*prices Conv2d.*f\(module, inputs, output\)",
    ),
    "arity of an operator function": ({torch.ops.aten.linear: wrong_arity}, r"wrong_arity.*aten.linear.*f\(call\)"),
    "no number": ({nn.Conv2d: no_number}, "no_number, which prices Conv2d, returned None"),
    "half a MAC": ({nn.Conv2d: lambda m, i, o: 0.5}, "returned 0.5; return a whole number"),
    "infinitely many": ({nn.Conv2d: lambda m, i, o: float("inf")}, "returned inf; return a whole number"),
    "no number for an operator": ({torch.ops.aten.linear: lambda call: "1"}, "prices aten.linear, returned '1'"),
    "not callable": ({nn.Conv2d: 5}, "Conv2d is given 5, not a function"),
    "not a key": ({5: no_number}, r"the key 5 is neither$"),
    "the path of a module": ({"features.0": no_number}, r"'features\.0' is neither\. .*a module by its class"),
    "a module": ({nn.ReLU(): no_number}, r"neither\. Give its class, ReLU"),
    "a function": ({torch.addmm: no_number}, r"neither\. A function calls operators, such as torch\.ops\.aten\.addmm"),
    "an input": ({"mask": torch.ones(1)}, r"the key 'mask' is neither\. .*thoplw\.Inputs\(x, mask=\.\.\.\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_named(case: str) -> None:
    prices, message = BAD[case]
    with pytest.raises(thoplw.CustomOpError, match=message):
        thoplw.profile(MODEL, IMAGE, custom_ops=prices)  # type: ignore[arg-type] # on purpose


def test_arithmetic_in_a_module_function_is_explained() -> None:
    with pytest.raises(thoplw.DataDependentError, match="Inside custom_ops, read shapes only"):
        thoplw.profile(MODEL, IMAGE, custom_ops={nn.Conv2d: lambda module, inputs, output: output.sum()})


def test_a_list_of_prices_is_refused() -> None:
    with pytest.raises(thoplw.CustomOpError, match=r"^custom_ops takes \{.*, not a list$"):
        thoplw.profile(torch.nn.ReLU(), (1, 4), [1])  # type: ignore[arg-type] # on purpose


@pytest.mark.parametrize("key", ["aten.addmm", "aten::addmm", "aten.addmm.default", "torch.ops.aten.addmm"])
def test_an_operator_goes_by_its_name_too(key: str) -> None:
    assert thoplw.profile(nn.Linear(8, 4), (3, 8), {key: lambda call: 7})[0] == 7  # type: ignore[dict-item]
    _, _, info = thoplw.profile(nn.ReLU(), (3, 8), {key: lambda call: 7}, verbose=False)  # type: ignore[dict-item]
    assert any("never ran" in note for note in info.notes())


@since("2.4")
def test_a_function_that_was_made_an_operator_is_a_key() -> None:
    @torch.library.custom_op("thoplw_keys::twice", mutates_args=())
    def twice(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @twice.register_fake
    def _(x: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(x)

    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return twice(x)

    for key in (twice, torch.ops.thoplw_keys.twice, "thoplw_keys::twice"):
        for execute in (False, True):
            assert thoplw.profile(Twice(), torch.ones(2), {key: lambda call: 7}, execute=execute)[0] == 7


def test_a_whole_number_may_be_a_fraction() -> None:
    assert thoplw.profile(nn.Linear(8, 4), (3, 8), {nn.Linear: lambda m, i, o: Fraction(14, 2)})[0] == 7
