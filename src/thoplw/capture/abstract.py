"""Abstract tensors: shape, strides, dtype and a device to show, but no storage.

They are what a model computes with while it is profiled. Operators on them are answered by the dispatch mode of
:mod:`thoplw.capture`; outside of it an abstract tensor can tell its shape and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch

from thoplw.capture.torch_internals import make_wrapper, no_torch_function, stored_elements
from thoplw.errors import DataDependentError
from thoplw.record import TensorSpec

#: Classes of tensors that bring no operators of their own.
PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


#: Real tensors may have this many elements; what would have more is abstract, as its values are not worth the memory.
REAL_LIMIT = 2**22


_DATA: Any = torch.Tensor.data


class AbstractTensor(torch.Tensor):
    """A tensor without storage.

    Attributes:
        spec: shape, dtype and strides, as records keep them.
        token: identity of ``spec``, for keys.
        assumed: gives the values that are taken for granted, if any are, and has that noted.
        places: in how many places a mask is taken to hold, once that was asked.
    """

    __slots__ = ("spec", "token")  # what all have needs no dictionary

    # Bypassing __torch_function__ keeps an operator on an abstract tensor as cheap as on a plain one.
    __torch_function__ = no_torch_function

    spec: TensorSpec
    token: int
    assumed: Callable[[], torch.Tensor] | None = None
    places: int | None = None

    @classmethod
    def __torch_dispatch__(  # type: ignore[override] # torch types the disabled default of it
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Refuse: only a run knows how to answer an operator."""
        raise DataDependentError(
            f"{func} met a tensor that has a shape but no values, outside of the run that made it. "
            "Inside custom_ops, read shapes only (x.shape, x.numel()); execute=True gives real tensors."
        )

    def __repr__(self) -> str:  # type: ignore[override] # torch's own takes what only torch passes
        return f"AbstractTensor(shape={tuple(self.shape)}, dtype={self.dtype}, device={self.device})"

    @property
    def data(self) -> torch.Tensor:
        """The tensor without its history."""
        data: torch.Tensor = _DATA.__get__(self)
        return data

    @data.setter
    def data(self, data: torch.Tensor) -> None:
        """Become like another abstract tensor: no operator tells of it."""
        if type(data) is not AbstractTensor:
            raise DataDependentError(
                f"the forward assigned .data with values, of shape {tuple(data.shape)}, to a tensor of shape "
                f"{tuple(self.shape)} that has none. execute=True counts it on real tensors."
            )
        _DATA.__set__(self, data)
        self.spec, self.token, self.assumed, self.places = data.spec, data.token, data.assumed, data.places

    def tolist(self) -> Any:
        """What is taken for granted; else refuse, as there are no values."""
        if self.assumed is not None:
            return self.assumed().tolist()
        raise _no_values("tolist()", self)

    def numpy(self, *, force: bool = False) -> Any:
        """Refuse: there are no values."""
        raise _no_values("numpy()", self)


def _no_values(what: str, tensor: torch.Tensor) -> DataDependentError:
    return DataDependentError(
        f"{what} asks for the values of a tensor of shape {tuple(tensor.shape)}, which do not exist in a run without "
        "arithmetic. execute=True counts it on real tensors."
    )


class Specs:
    """One :class:`TensorSpec` per distinct shape, dtype and strides, so that specs can be told apart by identity.

    Attributes:
        valueless: identities of the specs of which a tensor's values, if it has any, may not steer a model.
    """

    def __init__(self) -> None:
        self.valueless: set[int] = set()
        self._known: dict[tuple[tuple[int, ...], torch.dtype, tuple[int, ...], Fraction | int], TensorSpec] = {}

    def of(self, tensor: torch.Tensor) -> TensorSpec:
        """The spec of a real, meta or abstract tensor. Sparse and other layouts without strides get ``()``."""
        if type(tensor) is AbstractTensor:
            return tensor.spec
        if tensor.layout is torch.strided:
            # Most are known: asked here, as the parameters of a model are many.
            known = self._known.get((shape := tensor.shape, dtype := tensor.dtype, strides := tensor.stride(), 1))
            return self.make(shape, dtype, strides) if known is None else known
        stored = Fraction(stored_elements(tensor), tensor.numel() or 1)
        return self.make(tuple(tensor.shape), tensor.dtype, (), stored)

    def make(
        self, shape: tuple[int, ...], dtype: torch.dtype, strides: tuple[int, ...], density: Fraction | int = 1
    ) -> TensorSpec:
        """The one spec with these properties."""
        key = (shape, dtype, strides, density)
        spec = self._known.get(key)
        if spec is None:
            # A torch.Size is a tuple, and finds one as a key; records keep plain ones.
            spec = TensorSpec(shape=tuple(shape), dtype=str(dtype)[6:], strides=strides, density=density)
            self._known[spec.shape, dtype, strides, density] = spec
            self._judge(spec, dtype)
        return spec

    def knows(self, spec: TensorSpec) -> bool:
        """Whether a spec is one of these."""
        return any(spec is known for known in self._known.values())

    def intern(self, spec: TensorSpec) -> TensorSpec:
        """The one spec equal to ``spec``, which may come from anywhere."""
        key = (spec.shape, dtype := dtype_of(spec), spec.strides, spec.density)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = spec
            self._judge(spec, dtype)
        return known

    def _judge(self, spec: TensorSpec, dtype: torch.dtype) -> None:
        if not may_steer(dtype, spec.numel):
            self.valueless.add(id(spec))


def abstract(spec: TensorSpec, device: torch.device) -> AbstractTensor:
    """A new abstract tensor that looks like ``spec`` on ``device``."""
    tensor: AbstractTensor = make_wrapper(AbstractTensor, spec.shape, spec.strides, dtype=dtype_of(spec), device=device)
    tensor.spec = spec
    tensor.token = id(spec)
    return tensor


def dtype_of(spec: TensorSpec) -> torch.dtype:
    """The torch dtype that a spec names."""
    dtype: torch.dtype = getattr(torch, spec.dtype)
    return dtype


def may_steer(dtype: torch.dtype, numel: int) -> bool:
    """Whether the values of such a tensor, if it has any, may steer the model: small integers and booleans."""
    return not (dtype.is_floating_point or dtype.is_complex or numel > REAL_LIMIT)
