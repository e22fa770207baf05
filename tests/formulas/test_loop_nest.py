"""Multiply-accumulates counted one by one, by loops that do nothing else, equal the formulas'."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import thoplw

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def macs(model: nn.Module, *inputs: torch.Tensor) -> int:
    return thoplw.profile(model, inputs, verbose=False, convention="macs")[0]


def looped(*ranges: int) -> int:
    """How often the innermost line of nested loops runs."""
    return sum(1 for _ in product(*map(range, ranges)))


@st.composite
def convolutions(draw: Any) -> tuple[int, int, int, int, int, dict[str, Any], tuple[int, ...]]:
    rank, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    options = {
        "stride": draw(st.integers(1, 3)),
        "padding": draw(st.integers(0, 1)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    kernel, batch = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    return rank, channels, filters, kernel, batch, options, tuple(draw(st.integers(3, 5)) for _ in range(rank))


@PROPERTY
@given(case=convolutions())
def test_convolution(case: Any) -> None:
    rank, channels, filters, kernel, batch, options, size = case
    model = getattr(nn, f"Conv{rank}d")(channels, filters, kernel, **options)
    reach = options["dilation"] * (kernel - 1) + 1
    # A window begins at every stride-th place of the padded input where it fits.
    starts = [range(0, n + 2 * options["padding"] - reach + 1, options["stride"]) for n in size]
    positions = sum(1 for _ in product(*starts))
    expected = 0
    for _, out in product(range(batch * positions), range(filters)):
        group = out // (filters // options["groups"])
        expected += sum(
            looped(*(kernel,) * rank) for c in range(channels) if c // (channels // options["groups"]) == group
        )
    assert macs(model, torch.zeros(batch, channels, *size)) == expected


@PROPERTY
@given(case=convolutions())
def test_transposed_convolution(case: Any) -> None:
    """Every input is spread over a patch of the output that its channel's group makes."""
    rank, channels, filters, kernel, batch, options, size = case
    model = getattr(nn, f"ConvTranspose{rank}d")(channels, filters, kernel, **{**options, "padding": 0})
    expected = looped(batch, channels, *size, filters // options["groups"], *(kernel,) * rank)
    assert macs(model, torch.zeros(batch, channels, *size)) == expected


class Product(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b


SIZES = st.integers(0, 4)


@PROPERTY
@given(batch=st.lists(SIZES, max_size=2), rows=SIZES, inner=SIZES, columns=SIZES)
def test_matmul(batch: list[int], rows: int, inner: int, columns: int) -> None:
    a, b = torch.zeros(*batch, rows, inner), torch.zeros(*batch, inner, columns)
    assert macs(Product(), a, b) == looped(*batch, rows, columns, inner)


@PROPERTY
@given(around=st.lists(SIZES, max_size=3), inner=st.integers(1, 4), outer=st.integers(1, 4))
def test_linear(around: list[int], inner: int, outer: int) -> None:
    assert macs(nn.Linear(inner, outer), torch.zeros(*around, inner)) == looped(*around, outer, inner)


@PROPERTY
@given(case=convolutions(), times=st.integers(2, 4), convention=st.sampled_from(["thoplw", "macs"]))
def test_linear_in_batch(case: Any, times: int, convention: str) -> None:
    rank, channels, filters, kernel, batch, options, size = case
    kinds = (getattr(nn, f"{kind}{rank}d") for kind in ("Conv", "BatchNorm", "AdaptiveAvgPool"))
    convolution, norm, pool = kinds
    model = nn.Sequential(
        *(convolution(channels, filters, kernel, **options), norm(filters), nn.ReLU(), pool(1)),
        *(nn.Flatten(), nn.Linear(filters, 3), nn.Softmax(-1)),
    )
    one, many = (
        thoplw.profile(model, torch.zeros(n, channels, *size), verbose=False, convention=convention)[0]
        for n in (batch, times * batch)
    )
    assert many == times * one > 0
