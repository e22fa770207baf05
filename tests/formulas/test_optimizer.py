"""Work of updates: as many operations for each element of a parameter, however the operators are put together."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the imports below name
from checks.releases import file_since

file_since("2.5")

import re
from typing import Any

import pytest
import torch
from checks.calls import Case, c64, call, check, f32
from checks.recorded import recorded, work
from torch import nn

from thoplw.formulas import FORMULAS

A, B = f32(2, 3), f32(4)
PAIR, SIZE = (A, B), 2 * 3 + 4

CASES: dict[str, Case] = {
    "added, a new list": (call("_foreach_add", PAIR, PAIR, out=PAIR, overload="List"), 0, SIZE),
    "added in place, to nothing that is returned": (
        call("_foreach_add", PAIR, 1, out=None, overload="Scalar"),
        0,
        SIZE,
    ),
    "numbers, one a tensor": (call("_foreach_mul", PAIR, (0.5, 2.0), out=None, overload="ScalarList"), 0, SIZE),
    "two operations": (call("_foreach_addcdiv", PAIR, PAIR, PAIR, (1.0, 2.0), out=None), 0, 2 * SIZE),
    "norms": (call("_foreach_norm", PAIR, 2, out=(f32(), f32()), overload="Scalar"), 0, 2 * SIZE),
    "complex": (call("_foreach_mul", (A, c64(4)), (A, c64(4)), out=None, overload="List"), 0, 2 * 3 + 6 * 4),
    "products": (
        call("_foreach_mm", (f32(2, 3), f32(4, 5)), (f32(3, 7), f32(5, 6)), out=(f32(2, 7), f32(4, 6))),
        162,
        324,
    ),
    "no tensors": (call("_foreach_add", (), (), out=None, overload="List"), 0, 0),
    "unscaled": (call("_amp_foreach_non_finite_check_and_unscale", PAIR, f32(1), f32(1), out=None), 0, 2 * SIZE),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_work(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("name", ["copy", "clone", "zero"])
def test_moving_lists_is_free(name: str) -> None:
    assert FORMULAS[f"aten._foreach_{name}"] is None


def names() -> set[str]:
    schemas = {schema.name.replace("::", ".").removesuffix("_") for schema in torch._C._jit_get_all_schemas()}
    return {name for name in schemas if re.match(r"aten\._(foreach|amp|fused_(sgd|ada))", name)}


@pytest.mark.parametrize("name", sorted(names()))
def test_every_operator_on_lists_is_known(name: str) -> None:
    assert name in FORMULAS


#: Optimizer -> options.
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {}),
    "SGD, momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "SGD, all": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    "Adam": (torch.optim.Adam, {}),
    "Adam, all": (torch.optim.Adam, {"amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    "AdamW": (torch.optim.AdamW, {}),
    "Adagrad": (torch.optim.Adagrad, {"weight_decay": 0.1}),
}


def step_flops(cls: type[torch.optim.Optimizer], **options: Any) -> list[int]:
    """Operations of the first step and of the second, without the counters of steps, a number for each parameter."""
    torch.manual_seed(0)
    layer = nn.Linear(20, 30)
    optimizer = cls(layer.parameters(), lr=0.1, **options)
    found = []
    for _ in range(2):
        layer(torch.ones(2, 20)).sum().backward()
        calls = recorded(optimizer.step)
        found.append(work([each for each in calls if max((spec.numel for spec in each.inputs), default=0) > 1]).flops)
    return found


@pytest.mark.parametrize(("cls", "options"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer_costs_the_same_in_one_kernel_as_in_many(
    cls: type[torch.optim.Optimizer], options: dict[str, Any]
) -> None:
    alone = step_flops(cls, foreach=False, **options)
    size = 20 * 30 + 30
    by_the_rate = size if cls is torch.optim.Adagrad else 0  # over lists it multiplies by its rate first
    assert step_flops(cls, foreach=True, **options) == [flops + by_the_rate for flops in alone]
    assert step_flops(cls, fused=True, **options) == alone
    assert alone[1] % size == 0  # so many for each parameter


def test_clipping_takes_a_norm_and_a_product() -> None:
    layer = nn.Linear(20, 30)
    layer(torch.ones(2, 20)).sum().backward()
    calls = recorded(lambda: nn.utils.clip_grad_norm_(layer.parameters(), 1.0))
    # squares and their sum, a product; and of the two norms a norm, and what makes a factor of it
    assert 3 * 630 + 4 <= work(calls).flops <= 3 * 630 + 10
