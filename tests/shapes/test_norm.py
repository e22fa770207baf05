"""Normalisation keeps the shape; which layout it keeps is as real kernels have it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.laid_out import frozen, observable
from checks.releases import since

from thoplw.shapes import RULES

PICTURE = torch.rand(2, 6, 4, 5)
PICTURES = [PICTURE, PICTURE.to(memory_format=torch.channels_last), PICTURE.permute(3, 1, 2, 0)]
CHANNELS = (torch.ones(6),) * 4

#: Operator -> arguments after the input.
CASES: dict[str, tuple[Any, ...]] = {
    "batch_norm": (*CHANNELS, False, 0.1, 1e-5, False),
    "group_norm": (3, torch.ones(6), torch.ones(6), 1e-5, False),
    "softmax": (1,),
    "log_softmax": (-1,),
}


@pytest.mark.parametrize("x", PICTURES, ids=["plain", "channels last", "permuted"])
@pytest.mark.parametrize("name", CASES)
def test_it_lies_as_the_kernel_puts_it(name: str, x: torch.Tensor) -> None:
    done = getattr(torch, name)(x, *CASES[name])
    assert observable(RULES[f"aten.{name}"](*frozen((x, *CASES[name])))) == observable(done)


@pytest.mark.parametrize("x", [PICTURE, PICTURE.permute(0, 3, 1, 2), PICTURE[..., ::2]])
def test_a_layer_norm_is_contiguous_whatever_came_in(x: torch.Tensor) -> None:
    shape = tuple(x.shape[2:])
    answer = RULES["aten.layer_norm"](*frozen((x, shape, torch.ones(shape), None)))
    assert observable(answer) == observable(torch.layer_norm(x, shape, torch.ones(shape)))
    assert answer.strides == torch.empty(x.shape).stride()


@since("2.14", "other sizes in evaluation before")
@pytest.mark.parametrize("train", [True, False])
def test_statistics_of_a_batch_norm_are_a_number_a_channel_in_training_alone(train: bool) -> None:
    args = (PICTURE, *CHANNELS, train, 0.1, 1e-5)
    answer = RULES["aten.native_batch_norm"](*frozen(args))
    assert [each.shape for each in answer] == [(2, 6, 4, 5), *[(6 if train else 0,)] * 2]
    assert observable(answer) == observable(torch.native_batch_norm(*args))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("batch_norm", (None, None, None, None, False)),  # without statistics in evaluation
        ("batch_norm", (torch.ones(5), *CHANNELS[1:], False)),
        ("batch_norm", (torch.ones(6).half(), *CHANNELS[1:], False)),
        ("group_norm", (4,)),  # six channels in four groups
        ("group_norm", (0,)),
        ("layer_norm", ((5, 4),)),
        ("layer_norm", ((5,), torch.ones(4))),
        ("softmax", (4,)),
    ],
)
def test_what_torch_refuses_has_no_answer(name: str, args: tuple[Any, ...]) -> None:
    assert RULES[f"aten.{name}"](*frozen((PICTURE, *args))) is None
