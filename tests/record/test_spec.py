"""What a tensor looks like."""

from __future__ import annotations

import pytest
import torch
from checks.releases import older

from thoplw.errors import InputError
from thoplw.record import TensorSpec, specs_in
from thoplw.record.spec import ITEM_SIZES

VECTOR, MATRIX = (TensorSpec(shape=shape, dtype="float16", strides=()) for shape in ((3,), (2, 5)))


def size_of(dtype: torch.dtype) -> int:
    """Bytes of an element; ``dtype.itemsize`` since 2.1."""
    if older("2.1") and "q" in str(dtype):  # these cannot be made so
        return ITEM_SIZES[str(dtype).removeprefix("torch.")]
    return torch.empty((), dtype=dtype).element_size() if older("2.1") else dtype.itemsize


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_sizes_of_elements_are_those_of_torch() -> None:
    dtypes = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    names = {str(dtype).removeprefix("torch."): size_of(dtype) for dtype in dtypes}
    assert names.items() <= ITEM_SIZES.items()
    if not older("2.14"):
        assert names == dict(ITEM_SIZES)


def test_numbers_of_a_spec() -> None:
    assert torch.empty(2, 5, dtype=torch.float16).untyped_storage().nbytes() == 20
    assert (MATRIX.numel, MATRIX.itemsize, MATRIX.nbytes) == (10, 2, 20)
    assert TensorSpec(shape=(), dtype="complex128", strides=()).itemsize == 16


def test_a_dtype_of_unknown_size_is_named() -> None:
    spec = TensorSpec(shape=(2, 3), dtype="float3", strides=(3, 1))
    with pytest.raises(InputError, match=r"a tensor of shape \(2, 3\) has dtype 'float3', whose size in bytes"):
        _ = spec.itemsize


def test_equal_specs_are_equal_whatever_they_were_made_by() -> None:
    assert len({MATRIX, TensorSpec(shape=(2, 5), dtype="float16", strides=())}) == 1
    assert TensorSpec(shape=(2, 5), dtype="float16", strides=(), density=0) != MATRIX


def test_specs_are_found_at_any_depth_in_order() -> None:
    assert list(specs_in((1, [VECTOR, {"a": (MATRIX, None)}], "x", VECTOR))) == [VECTOR, MATRIX, VECTOR]
    assert list(specs_in(None)) == []
