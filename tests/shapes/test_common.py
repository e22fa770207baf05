"""What shape rules share: strides, and how operators write sizes and dimensions."""

from __future__ import annotations

import pytest
import torch

from thoplw.record import TensorSpec
from thoplw.shapes.common import axis, contiguous, dense, is_contiguous, laid_out, pair


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (2, 0, 4), (1, 5, 1)])
def test_strides_of_a_contiguous_tensor_are_those_of_torch(shape: tuple[int, ...]) -> None:
    assert dense(shape) == torch.empty(shape).stride()


@pytest.mark.parametrize(
    ("strides", "expected"),
    [((4, 1), True), ((1, 3), False), ((8, 1), False)],
)
def test_what_is_contiguous(strides: tuple[int, int], expected: bool) -> None:
    tensor = torch.empty_strided((3, 4), strides)
    assert is_contiguous(TensorSpec(shape=(3, 4), dtype="float32", strides=strides)) is expected
    assert tensor.is_contiguous() is expected


def test_the_stride_of_one_element_does_not_matter() -> None:
    assert torch.empty_strided((1, 4), (77, 1)).is_contiguous()
    assert is_contiguous(TensorSpec(shape=(1, 4), dtype="float32", strides=(77, 1)), None)


def test_a_tensor_that_is_laid_out_so_is_itself() -> None:
    x = contiguous((2, 3), "float32")
    assert laid_out(x, (3, 1)) is x
    assert laid_out(x, (1, 2)) == TensorSpec(shape=(2, 3), dtype="float32", strides=(1, 2))


@pytest.mark.parametrize(("value", "sizes"), [(3, (3, 3)), ((3,), (3, 3)), ((3, 5), (3, 5))])
def test_one_number_stands_for_all_dimensions(value: int | tuple[int, ...], sizes: tuple[int, ...]) -> None:
    assert pair(value, 2) == sizes


@pytest.mark.parametrize(("index", "found"), [(0, 0), (2, 2), (-1, 2), (-3, 0), (3, None), (-4, None)])
def test_dimensions_count_from_both_ends(index: int, found: int | None) -> None:
    assert axis(index, 3) == found
