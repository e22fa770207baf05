"""What a call of ``nn.MultiheadAttention`` is made of, and whether torch really runs it in one kernel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import thoplw
from thoplw.pricing.mirrors.multihead import Heads, heads, is_one_kernel

BATCH, QUERIES, KEYS, WIDTH = 3, 5, 7, 12


class Seen(TorchDispatchMode):
    """The names of operators that really run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.name())
        return func(*args, **(kwargs or {}))


class Attends(nn.Module):
    """Attends to its input, or to another one."""

    def __init__(self, count: int, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, count, **options)

    def forward(self, x: torch.Tensor, other: torch.Tensor | None = None, **more: Any) -> torch.Tensor:
        other = x if other is None else other
        return self.attention(x, other, other, **more)[0]


def call_of(model: Attends, *inputs: torch.Tensor, **more: Any) -> thoplw.ModuleCall:
    """The call of the attention, as conventions get it."""
    found: list[thoplw.ModuleCall] = []

    def price(seen: thoplw.ModuleCall) -> None:
        found.append(seen)

    spy = thoplw.Convention("spy", {nn.MultiheadAttention: price}, based_on="macs")
    thoplw.profile(model, thoplw.Inputs(*inputs, **more), convention=spy, verbose=False)
    return found[0]


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("weights", [False, True])
def test_sizes_are_found_whatever_the_layout_and_the_way(count: int, first: bool, weights: bool) -> None:
    sizes = [(BATCH, QUERIES), (BATCH, KEYS)] if first else [(QUERIES, BATCH), (KEYS, BATCH)]
    inputs = [torch.zeros(*each, WIDTH) for each in sizes]
    seen = call_of(Attends(count, batch_first=first), *inputs, need_weights=weights)
    assert heads(seen) == Heads(samples=BATCH, heads=count, queries=QUERIES, keys=KEYS)


def test_without_a_batch_there_is_one_sample() -> None:
    seen = call_of(Attends(4), torch.zeros(QUERIES, WIDTH), torch.zeros(KEYS, WIDTH))
    assert heads(seen) == Heads(samples=1, heads=4, queries=QUERIES, keys=KEYS)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_first": True},
        {"batch_first": True, "bias": False},
        {"batch_first": True, "add_bias_kv": True},
        {"batch_first": True, "kdim": WIDTH, "vdim": WIDTH},
    ],
    ids=str,
)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("shape", [(BATCH, QUERIES, WIDTH), (QUERIES, WIDTH)], ids=["batch", "alone"])
@pytest.mark.parametrize("crossed", [False, True])
def test_one_kernel_is_what_torch_really_runs(
    options: dict[str, Any], count: int, shape: tuple[int, ...], crossed: bool
) -> None:
    model = Attends(count, **options).eval()
    inputs = [torch.zeros(shape)] + [torch.zeros(*shape[:-2], KEYS, WIDTH)] * crossed
    if crossed and not options.get("batch_first") and len(shape) == 3:
        inputs = [each.transpose(0, 1) for each in inputs]
    with torch.no_grad(), Seen() as ran:
        model(*inputs)
    assert is_one_kernel(call_of(model, *inputs)) == ("aten::_native_multi_head_attention" in ran.names)
