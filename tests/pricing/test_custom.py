"""``custom_ops``: prices from the user."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import thoplw

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
    "half a MAC": ({nn.Conv2d: lambda m, i, o: 0.5}, "returned 0.5, not a whole number"),
    "infinitely many": ({nn.Conv2d: lambda m, i, o: float("inf")}, "returned inf, not a whole number"),
    "no number for an operator": ({torch.ops.aten.linear: lambda call: "1"}, "prices aten.linear, returned '1'"),
    "not callable": ({nn.Conv2d: 5}, "Conv2d is given 5, not a function"),
    "not a key": ({"conv2d": no_number}, "the key 'conv2d' is neither"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_named(case: str) -> None:
    prices, message = BAD[case]
    with pytest.raises(thoplw.CustomOpError, match=message):
        thoplw.profile(MODEL, IMAGE, custom_ops=prices)  # type: ignore[arg-type] # on purpose


def test_arithmetic_in_a_module_function_is_explained() -> None:
    with pytest.raises(thoplw.DataDependentError, match="Inside custom_ops, read shapes only"):
        thoplw.profile(MODEL, IMAGE, custom_ops={nn.Conv2d: lambda module, inputs, output: output.sum()})
