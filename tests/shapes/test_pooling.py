"""Pooling and upsampling put out what real kernels do, to the last row that ``ceil_mode`` adds."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from checks.laid_out import frozen, observable
from torch.nn import functional as F

from thoplw.shapes import RULES


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_windows_are_as_many_as_real_ones(name: str, ceil: bool, order: torch.memory_format) -> None:
    for size, window, step, pad in product(range(3, 9), (1, 2, 3), (1, 2, 3), (0, 1)):
        if 2 * pad > window:
            continue
        x = torch.zeros(1, 2, size, 7).to(memory_format=order)
        dilation: tuple[Any, ...] = (1,) if name == "max_pool2d" else ()
        args = (x, (window, 2), (step, 1), (pad, 0), *dilation, ceil)
        done = getattr(torch.ops.aten, name)(*args)
        assert observable(RULES[f"aten.{name}"](*frozen(args))) == observable(done), args[1:]


def test_without_a_stride_windows_do_not_overlap() -> None:
    (x,) = frozen((torch.zeros(1, 2, 9, 9),))
    assert RULES["aten.max_pool2d"](x, (3, 3)).shape == (1, 2, 3, 3)
    assert RULES["aten.avg_pool2d"](x, 2).shape == (1, 2, 4, 4)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("max_pool2d", (3, 1, 2)),  # more padding than half a window
        ("max_pool2d", (9, 1)),  # a window larger than the picture
        ("avg_pool2d", (2, 0)),
        ("avg_pool2d", (2, 1, 0, False, True, 0)),  # divided by 0
        ("adaptive_avg_pool2d", ((0, 2),)),
        ("upsample_nearest1d", ((4,), None)),  # of a line, and this is a picture
    ],
)
def test_what_torch_refuses_has_no_answer(name: str, args: tuple[Any, ...]) -> None:
    assert RULES[f"aten.{name}"](*frozen((torch.zeros(1, 2, 5, 5),)), *args) is None


@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0, 1 / 3, 0.7])
def test_sizes_by_a_factor_are_rounded_down_as_torch_does(factor: float) -> None:
    answered = 0
    for size in range(3, 12):
        x = torch.zeros(1, 1, size)
        answer = RULES["aten.upsample_nearest1d"](*frozen((x,)), None, (factor,))
        if answer is not None:  # or a product lies so near to a whole number that torch's single precision decides
            answered += 1
            assert observable(answer) == observable(F.interpolate(x, scale_factor=factor))
    assert answered >= 5
