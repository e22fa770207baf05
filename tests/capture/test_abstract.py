"""Tensors that have a shape and nothing else, and the specs that they share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import thoplw
from thoplw.capture.abstract import Specs, abstract
from thoplw.record import TensorSpec


def test_printing_an_abstract_tensor_is_harmless() -> None:
    class Prints(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert repr(x) == "AbstractTensor(shape=(2, 3), dtype=torch.float32, device=cpu)"
            return x

    thoplw.profile(Prints(), (2, 3))


def test_equal_tensors_have_one_spec() -> None:
    specs = Specs()
    spec = specs.of(torch.ones(2, 3))
    assert specs.of(torch.zeros(2, 3)) is spec
    assert specs.intern(TensorSpec(shape=(2, 3), dtype="float32", strides=(3, 1))) is spec
    assert specs.of(torch.ones(3, 2).T) is not spec
    assert specs.of(torch.ones(2, 3).half()) is not spec


@pytest.mark.parametrize("way", ["of", "intern"])
def test_specs_say_whether_values_may_steer(way: str) -> None:
    specs = Specs()

    def valueless(shape: tuple[int, ...], dtype: torch.dtype) -> bool:
        tensor = torch.empty(shape, dtype=dtype, device="meta")
        spec = TensorSpec(shape=shape, dtype=str(dtype)[6:], strides=tensor.stride())
        return id(specs.of(tensor) if way == "of" else specs.intern(spec)) in specs.valueless

    assert valueless((2,), torch.float32)
    assert valueless((2,), torch.complex64)
    assert valueless((2**22 + 1,), torch.int64)
    assert not valueless((2**22,), torch.int64)
    assert not valueless((2,), torch.bool)


def test_an_abstract_tensor_looks_like_its_spec() -> None:
    spec = Specs().of(torch.ones(3, 2).T)
    x = abstract(spec, torch.device("cpu"))
    assert (tuple(x.shape), x.stride(), x.dtype, x.spec, x.token) == ((2, 3), (1, 2), torch.float32, spec, id(spec))
    with pytest.raises(thoplw.DataDependentError, match="outside of the run"):
        x + 1
    with pytest.raises(thoplw.DataDependentError, match=r"numpy\(\)"):
        x.numpy()
