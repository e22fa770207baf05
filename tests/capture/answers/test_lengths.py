"""Attention over packed sequences: their lengths are values, of small integer tensors, and decide on what it costs."""

from __future__ import annotations

from itertools import accumulate

import pytest
import torch
from checks.releases import file_since, since
from torch import nn

import thoplw

file_since("2.5")  # its operators take other arguments before
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402 # where there is one

LENGTHS = (30, 30, 30, 33)


def ends(lengths: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)


class Flash(nn.Module):
    def forward(self, x: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten._flash_attention_forward(x, x, x, ends, ends, 33, 33, 0.0, False, False)[0]


class Efficient(nn.Module):
    def forward(self, x: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        x = x[None]
        return torch.ops.aten._efficient_attention_forward(x, x, x, None, ends, ends, 33, 33, 0.0, 0)[0]


class Variable(nn.Module):
    def forward(self, x: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        from torch.nn.attention.varlen import varlen_attn

        return varlen_attn(x, x, x, ends, ends, 128, 128)


class Ends(nn.Module):
    """Finds out itself where sequences end."""

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return Flash()(x, nn.functional.pad(lengths.cumsum(0, dtype=torch.int32), (1, 0)))


@pytest.mark.parametrize("model", [Flash(), Efficient()])
def test_sequences_attend_to_themselves(model: nn.Module) -> None:
    macs, _, info = thoplw.profile(model, (torch.zeros(123, 4, 16), ends(LENGTHS)), convention="macs")
    assert macs == 484_992 == 2 * 4 * 16 * sum(length**2 for length in LENGTHS)
    assert not info.assumptions


@since("2.10")
def test_variable_lengths() -> None:
    macs, _, info = thoplw.profile(Variable(), (torch.zeros(192, 8, 64), ends((128, 64))), convention="macs")
    assert 2 * macs == 41_943_040
    assert not info.assumptions


def test_lengths_may_be_worked_out_inside() -> None:
    macs, _, info = thoplw.profile(Ends(), (torch.zeros(123, 4, 16), torch.tensor(LENGTHS)), convention="macs")
    assert macs == 484_992
    assert not info.assumptions


def test_two_calls_with_other_lengths_are_told_apart() -> None:
    class Twice(nn.Module):
        def forward(self, x: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return Flash()(Flash()(x, one), other)

    given = (torch.zeros(123, 4, 16), ends(LENGTHS), ends((23, 33, 33, 34)))
    macs, _, _ = thoplw.profile(Twice(), given, convention="macs")
    assert macs == 484_992 + 2 * 4 * 16 * (23**2 + 2 * 33**2 + 34**2)


def test_unknown_lengths_are_an_assumption() -> None:
    class Unknown(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Flash()(x, (x.flatten()[:5] * 10).int())

    macs, _, info = thoplw.profile(Unknown(), torch.zeros(120, 4, 16), convention="macs", verbose=False)
    assert macs == 2 * 4 * 16 * 4 * 30**2
    assert "packed sequences are equally long" in str(info.assumptions)


@since("2.9", "its formula reads values before")
@pytest.mark.parametrize("model", [Flash(), Efficient()])
def test_the_mirror_of_torch_takes_all_for_as_long_as_the_longest(model: nn.Module) -> None:
    given = (torch.zeros(123, 4, 16), ends(LENGTHS))
    with FlopCounterMode(display=False) as counter:
        model(*(tensor.to("meta") for tensor in given))
    flops, _, _ = thoplw.profile(model, given, convention="torch")
    assert flops == counter.get_total_flops()
