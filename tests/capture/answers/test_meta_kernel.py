"""Operators without a shape rule: torch's meta kernels answer, or an error says what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.calling import Calling
from checks.releases import since
from torch import nn

import thoplw
from thoplw.capture import capture
from thoplw.capture.answers.meta_kernel import position_of


@since("2.3")
def test_an_operator_without_a_meta_kernel_says_what_to_do() -> None:
    with torch.library._scoped_library("thoplw_test", "DEF") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x + x, "CPU")

        class Private(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.ops.thoplw_test.twice(x)

        with pytest.raises(thoplw.InputError, match=r"thoplw_test.twice.*no meta kernel.*execute=True"):
            thoplw.profile(Private(), (2, 3))
        _, _, info = thoplw.profile(Private(), (2, 3), execute=True, verbose=False)
        assert list(info.uncounted) == ["thoplw_test.twice.default"]


def test_shapes_that_change_in_place() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.clone()
            y.unsqueeze_(0)
            y.squeeze_(0)
            y.t_()
            return y @ x

    assert thoplw.profile(InPlace(), (2, 3))[0] == 3 * 2 * 3


@pytest.mark.parametrize("unbind", [pytest.param(False, marks=since("2.1", "other words before")), True])
def test_what_a_kernel_refuses_is_refused_in_its_own_words(unbind: bool) -> None:
    class Refused(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return x.unbind(5) if unbind else torch.linalg.cholesky_ex(x)

    with pytest.raises((RuntimeError, IndexError)) as real:
        Refused()(torch.ones(2, 3))
    with pytest.raises(type(real.value)) as abstract:
        thoplw.profile(Refused(), (2, 3))
    assert str(abstract.value) == str(real.value)


@since("2.4", "other kernels refuse or take these before")
def test_what_only_the_meta_kernel_refuses_in_place_is_answered() -> None:
    def grown(x: torch.Tensor) -> torch.Tensor:
        return torch.ones(1).addbmm_(x, x)

    def into_halves(x: torch.Tensor) -> torch.Tensor:
        return torch.abs(torch.complex(x, x), out=torch.empty(2, 3, 3, dtype=torch.bfloat16))

    x = torch.ones(2, 3, 3)
    for function in (grown, into_halves):
        (found,) = capture(Calling(function), (x,), {}).outputs
        assert (found.shape, found.dtype) == (tuple(function(x).shape), str(function(x).dtype)[6:])
    kept = torch.ones(1)
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        capture(Calling(lambda x: kept.add_(x)), (x,), {})
    assert kept.tolist() == [1]


_NUMBERS = [torch.tensor(2, dtype=dtype) for dtype in (torch.uint8, torch.bfloat16, torch.float64)]


@since("2.4", "other kernels promote otherwise before")
@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("number", _NUMBERS, ids=lambda number: str(number.dtype))
@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bfloat16])
def test_a_number_among_tensors_promotes_as_kernels_do(number: torch.Tensor, dtype: torch.dtype) -> None:
    x = torch.ones(3, dtype=dtype)
    for function in (
        lambda x, number: torch.ldexp(x, number),
        lambda x, number: torch.ldexp(number, x),
        lambda x, number: torch.block_diag(x, number),
        lambda x, number: torch.addr(number, x, x),
    ):
        try:
            real = function(x, number)
        except RuntimeError:  # the kernel takes no such pair of dtypes
            continue
        (found,) = capture(Calling(function), (x, number), {}).outputs
        assert (found.dtype, found.shape) == (str(real.dtype)[6:], tuple(real.shape))


def test_which_argument_comes_back() -> None:
    x, y = torch.ones(1), torch.ones(1)
    assert position_of(x, (y, x), {}) == 1
    assert position_of(x, (y,), {"out": x}) == "out"
    assert position_of(x, (y,), {}) is None
    assert position_of((x,), (x,), {}) is None


def test_a_shape_that_depends_on_made_up_values_is_refused() -> None:
    class Classes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.one_hot(x.argmax(-1)).float()

    with pytest.raises(thoplw.DataDependentError, match=r"aten.one_hot.*\(20,\).*num_classes.*execute=True"):
        thoplw.profile(Classes(), (20, 8))


@since("2.5", "takes no annotations that are text before")
def test_an_operator_of_another_library_is_not_tried_on_made_up_values() -> None:
    @torch.library.custom_op("thoplw_test::positive", mutates_args=())
    def positive(x: torch.Tensor) -> torch.Tensor:
        return x[x[:, 0] > 0].clone()

    class Voxels(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return positive(x) @ x.T

    x = torch.ones(10, 4)
    words = r'positive.default in the model itself.*register_fake\("thoplw_test::positive"\).*execute=True'
    with pytest.raises(thoplw.InputError, match=words):
        thoplw.profile(Voxels(), (x,))
    assert thoplw.profile(Voxels(), (x,), convention="macs", execute=True, verbose=False)[0] == 10 * 4 * 10
    positive.register_fake(torch.empty_like)
    assert thoplw.profile(Voxels(), (x,), convention="macs", verbose=False)[0] == 10 * 4 * 10
