"""Abstract tensors: shape, strides, dtype and a device to show, but no storage.

They are what a model computes with while it is profiled. Operators on them are answered by the dispatch mode of
:mod:`thoplw.capture`; outside of it an abstract tensor can tell its shape and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from operator import attrgetter
from typing import Any

import torch

from thoplw.capture.torch_internals import (
    asked_by_torch,
    asked_for_alignment,
    become,
    is_jagged,
    is_parameter,
    make_wrapper,
    no_torch_function,
    rows_of,
    running_mode,
    sizes_of_nested,
    stored_elements,
    swapped_with,
    wrapper_arguments,
)
from thoplw.errors import DataDependentError
from thoplw.record import TensorSpec
from thoplw.shapes.common import dense

#: Classes of tensors that bring no operators of their own.
PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


#: Real tensors may have this many elements; what would have more is abstract, as its values are not worth the memory.
REAL_LIMIT = 2**22


_DATA: Any = torch.Tensor.data
_BASE: Any = torch.Tensor._base
_VERSION: Any = torch.Tensor._version


class AbstractTensor(torch.Tensor):
    """A tensor without storage.

    Attributes:
        spec: shape, dtype and strides, as records keep them.
        token: identity of ``spec``, for keys.
        assumed: gives the values that are taken for granted, if any are, and has that noted.
        places: in how many places a mask is taken to hold, once that was asked.
        shown: its class, as ``x.__class__`` and ``isinstance`` tell it.
        memory: what it shares with its views, in a run that watches memory (:mod:`thoplw.capture.ledger`) or follows
            storages (:mod:`thoplw.capture.storages_run`).
    """

    __slots__ = ("spec", "token")  # what all have needs no dictionary

    # Bypassing __torch_function__ keeps an operator on an abstract tensor as cheap as on a plain one.
    __torch_function__ = no_torch_function

    spec: TensorSpec
    token: int
    assumed: Callable[[], torch.Tensor] | None = None
    places: int | None = None
    shown: type = torch.Tensor
    memory: Any = None

    @classmethod
    def __torch_dispatch__(  # type: ignore[override] # torch types the disabled default of it
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Refuse operators outside of a run; tensors of other classes may still answer them."""
        if any(not issubclass(each, AbstractTensor) for each in types):
            return NotImplemented
        raise DataDependentError(
            f"{func} was called, outside of the run, on a tensor of the run, which has a shape but no values. "
            "Inside custom_ops, read shapes only (x.shape, x.numel()). A thread that was there before the run cannot "
            "take part in it. execute=True gives real tensors."
        )

    @property
    def __class__(self) -> type:
        """Show the model a plain tensor, or the class of ``as_subclass``."""
        return self.shown

    @__class__.setter
    def __class__(self, cls: type) -> None:
        """Show another class; ``torch.utils.swap_tensors`` does so just before two tensors change shapes, too."""
        self.shown = cls
        other, specs = swapped_with(self), getattr(running_mode(), "specs", None)
        if other is not None and specs is not None:
            # The other one may have been told its new spec already, and still has its old shape.
            self.spec = specs.make(tuple(other.shape), other.dtype, other.stride())
            self.token = id(self.spec)

    def __repr__(self) -> str:  # type: ignore[override] # torch's own takes what only torch passes
        return f"AbstractTensor(shape={tuple(self.shape)}, dtype={self.dtype}, device={self.device})"

    def __copy__(self) -> torch.Tensor:
        return self.detach()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            twin = self.clone()
            memo[id(self)] = torch.nn.Parameter(twin, self.requires_grad) if is_parameter(self) else twin
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse: there are no values."""
        raise _no_values("saving or sending it", self)

    def as_subclass(self, cls: type[Any]) -> Any:
        """Return an alias that shows another class, if that class adds no methods or attributes.

        Raises:
            DataDependentError: it adds some.
        """
        if not vars(cls).keys() <= _EMPTY_CLASS or cls.__base__ is not torch.Tensor:
            raise DataDependentError(
                f"as_subclass({cls.__name__}) gives a tensor methods or attributes of its own, which may need its "
                "values, and this run computes only shapes. execute=True counts it on real tensors."
            )
        alias: Any = self.detach()
        alias.shown = cls
        return alias

    @property
    def data(self) -> torch.Tensor:
        """The tensor without its history."""
        data: torch.Tensor = _DATA.__get__(self)
        return data

    @data.setter
    def data(self, data: torch.Tensor) -> None:
        """Take the shape and values of another abstract tensor; no operator reports this assignment."""
        if type(data) is not AbstractTensor:
            raise DataDependentError(
                f"the forward assigned a real tensor of shape {tuple(data.shape)} to the .data of a tensor of shape "
                f"{tuple(self.shape)} that has no values. execute=True counts it on real tensors."
            )
        _DATA.__set__(self, data)
        self.spec, self.token, self.assumed, self.places = data.spec, data.token, data.assumed, data.places
        self.memory = data.memory

    def change_shape(self, spec: TensorSpec) -> None:
        """Have another shape from now on, as after ``squeeze_``, which no meta kernel of torch 2.0 can do."""
        assumed, places, memory = self.assumed, self.places, self.memory
        become(self, abstract(spec, self.device))
        self.assumed, self.places, self.memory = assumed, places, memory

    def tolist(self) -> Any:
        """Return the assumed values; refuse if none are assumed."""
        if self.assumed is not None:
            return self.assumed().tolist()
        raise _no_values("tolist()", self)

    def numpy(self, *, force: bool = False) -> Any:
        """Refuse: there are no values."""
        raise _no_values("numpy()", self)

    def __format__(self, form: str) -> str:
        """Format as an object; a format such as ``.3f`` reads the value, as ``item()`` does."""
        if form and not self.dim():
            return format(self.item(), form)
        return object.__format__(self, form)

    def __dlpack__(self, **options: Any) -> Any:
        """Refuse: the receiver would read memory that does not exist."""
        raise _no_values("__dlpack__()", self)

    # These go through the memory without asking anybody: where there is none, the process would end.

    def apply_(self, function: Any) -> Any:
        """Refuse: there are no values."""
        raise _no_values("apply_()", self)

    def map_(self, other: Any, function: Any) -> Any:
        """Refuse: there are no values."""
        raise _no_values("map_()", self)

    def map2_(self, x: Any, y: Any, function: Any) -> Any:
        """Refuse: there are no values."""
        raise _no_values("map2_()", self)

    def share_memory_(self) -> AbstractTensor:
        """Do nothing, as torch does on a GPU: there is no memory to share."""
        return self

    # Where in which memory it would lie, nothing tells: zero for all would have tensors share what they do not share.

    def data_ptr(self) -> int:
        """Refuse, as there is no memory, unless only its alignment is asked for."""
        if asked_for_alignment():
            return 0
        raise _no_memory("data_ptr()", self)

    # Functions of torch that are written in Python ask, and do no more with the answer than hand it on.

    def storage_offset(self) -> int:
        """Refuse, as there is no memory, unless torch's own code asks."""
        if asked_by_torch():
            return 0
        raise _no_memory("storage_offset()", self)

    def untyped_storage(self) -> Any:
        """Refuse, as there is no memory, unless torch's own code asks."""
        if asked_by_torch():
            return super().untyped_storage()
        raise _no_memory("untyped_storage()", self)

    def storage(self) -> Any:
        """Refuse: there is no memory."""
        raise _no_memory("storage()", self)

    def _is_view(self) -> bool:
        """Refuse, as there is no memory, unless torch's own code asks."""
        if asked_by_torch():
            return bool(super()._is_view())
        raise _no_memory("_is_view()", self)

    @property
    def _base(self) -> torch.Tensor | None:  # type: ignore[override] # torch types what nobody can set as if one could
        """Refuse, as there is no memory, unless torch's own code asks."""
        if asked_by_torch():
            base: torch.Tensor | None = _BASE.__get__(self)
            return base
        raise _no_memory("_base", self)

    @property
    def _version(self) -> int:  # type: ignore[override] # as above
        """Refuse, as nothing is written, unless torch's own code asks."""
        if asked_by_torch():
            version: int = _VERSION.__get__(self)
            return version
        raise _no_memory("_version", self)


class _Empty(torch.Tensor):
    """A class that adds nothing to that of tensors."""


#: What a class has in any case.
_EMPTY_CLASS = frozenset(vars(_Empty))


def _no_memory(what: str, tensor: torch.Tensor) -> DataDependentError:
    return _noted(
        f"{what} needs the memory of a tensor of shape {tuple(tensor.shape)}, and this run computes only shapes: "
        "tensors have no memory. execute=True counts it on real tensors."
    )


def _no_values(what: str, tensor: torch.Tensor) -> DataDependentError:
    return _noted(
        f"{what} needs the values of a tensor of shape {tuple(tensor.shape)}, and this run computes only shapes. "
        "execute=True counts it on real tensors."
    )


def _noted(message: str) -> DataDependentError:
    """Return an error after noting it in the current run, as these methods do not reach the run."""
    error = DataDependentError(message)
    noted = getattr(running_mode(), "refuse", None)
    if noted is not None:
        noted(error)
    return error


#: Shape, dtype, strides and density of a tensor.
_Looks = tuple[tuple[int, ...], torch.dtype, tuple[int, ...], Fraction | int]


class _Known(dict[_Looks, TensorSpec]):
    """Specs by what they say; one that is not there is made as it is asked for.

    Attributes:
        valueless: as for :class:`Specs`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.valueless: set[int] = set()

    def __missing__(self, looks: _Looks) -> TensorSpec:
        shape, dtype, strides, density = looks
        # A torch.Size is a tuple, and finds one as a key; records keep plain ones.
        spec = TensorSpec(shape=tuple(shape), dtype=str(dtype)[6:], strides=strides, density=density)
        self[spec.shape, dtype, strides, density] = spec
        self.judge(spec, dtype)
        return spec

    def judge(self, spec: TensorSpec, dtype: torch.dtype) -> None:
        """Note whether the values of such a tensor, if it has any, may not steer a model."""
        # Tensors without strides are no abstract ones: see thoplw.capture.sparse.
        if not may_steer(dtype, spec.numel) and (spec.strides or not spec.shape):
            self.valueless.add(id(spec))


_LAYOUT = attrgetter("layout")
_STRIDED = frozenset({torch.strided})


class Specs:
    """One :class:`TensorSpec` per distinct shape, dtype and strides, so that specs can be told apart by identity.

    Attributes:
        valueless: identities of the specs whose tensors may not decide control flow, even if they have values.
    """

    def __init__(self) -> None:
        self._known = _Known()
        self.valueless = self._known.valueless
        self._with_values: dict[TensorSpec, TensorSpec] = {}
        self._apart: list[TensorSpec] = []

    def of(self, tensor: torch.Tensor) -> TensorSpec:
        """The spec of a real, meta or abstract tensor. Sparse ones and others without strides have ``()``.

        A nested tensor looks like its rows, one after the other.
        """
        if type(tensor) is AbstractTensor:
            return tensor.spec
        if tensor.is_nested:
            return self._of_nested(tensor)
        if tensor.layout is torch.strided:
            return self._known[tensor.shape, tensor.dtype, tensor.stride(), 1]
        stored = Fraction(stored_elements(tensor), tensor.numel() or 1)
        return self.make(tuple(tensor.shape), tensor.dtype, (), stored)

    def of_all(self, tensors: list[torch.Tensor]) -> list[TensorSpec]:
        """The spec of each of many tensors: weights, most of which look like another one."""
        if not PLAIN.issuperset(map(type, tensors)) or not _STRIDED.issuperset(map(_LAYOUT, tensors)):
            return list(map(self.of, tensors))
        known = self._known
        try:
            return [known[tensor.shape, tensor.dtype, tensor.stride(), 1] for tensor in tensors]
        except RuntimeError:  # nested tensors have no strides
            return list(map(self.of, tensors))

    def _of_nested(self, tensor: torch.Tensor) -> TensorSpec:
        if isinstance(tensor, AbstractTensor):
            return tensor.spec
        return self.of(rows_of(tensor)) if is_jagged(tensor) else self.of_parts(sizes_of_nested(tensor), tensor.dtype)

    def of_parts(self, sizes: torch.Tensor, dtype: torch.dtype) -> TensorSpec:
        """Return one spec for tensors of ``[N, rank]`` sizes: of their rows, or of their elements if more varies."""
        rows, *others = sizes.unbind(1)
        if all(bool((each == each[0]).all()) for each in others):
            shape = int(rows.sum()), *(int(each[0]) for each in others)
        else:
            shape = (int(sizes.prod(1).sum()),)
        return self.of(torch.empty(shape, dtype=dtype, device="meta"))

    def make(
        self, shape: tuple[int, ...], dtype: torch.dtype, strides: tuple[int, ...], density: Fraction | int = 1
    ) -> TensorSpec:
        """The one spec with these properties."""
        return self._known[shape, dtype, strides, density]

    def knows(self, spec: TensorSpec) -> bool:
        """Whether a spec is one of these."""
        return any(spec is known for known in (*self._known.values(), *self._apart))

    def apart(self, spec: TensorSpec) -> TensorSpec:
        """A spec that looks like another, and can be told from it: it is shared with nothing."""
        twin = replace(spec)
        self._apart.append(twin)
        self._known.judge(twin, dtype_of(twin))
        return twin

    def intern(self, spec: TensorSpec) -> TensorSpec:
        """The one spec equal to ``spec``, which may come from anywhere."""
        if spec.values is not None:  # these are few, and nobody looks for them by their looks
            return self._with_values.setdefault(spec, spec)
        key = (spec.shape, dtype := dtype_of(spec), spec.strides, spec.density)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = spec
            self._known.judge(spec, dtype)
        return known


def abstract(spec: TensorSpec, device: torch.device) -> AbstractTensor:
    """Return a new abstract tensor with a spec, on a device; a dense one for the spec of a sparse tensor."""
    tensor: AbstractTensor = make_wrapper(AbstractTensor, *wrapper_of(spec, device))
    tensor.spec = spec
    tensor.token = id(spec)
    return tensor


def wrapper_of(spec: TensorSpec, device: torch.device) -> tuple[Any, ...]:
    """The arguments of ``make_wrapper`` for an abstract tensor with a spec."""
    return wrapper_arguments(spec.shape, spec.strides or dense(spec.shape), dtype_of(spec), device)


def dtype_of(spec: TensorSpec) -> torch.dtype:
    """The torch dtype that a spec names."""
    dtype: torch.dtype = getattr(torch, spec.dtype)
    return dtype


def may_steer(dtype: torch.dtype, numel: int) -> bool:
    """Whether values of this dtype and number may decide control flow: small integer and boolean tensors."""
    return not (dtype.is_floating_point or dtype.is_complex or numel > REAL_LIMIT)
