"""Abstract tensors: they have a shape, strides, a dtype and a device, but no storage.

A model computes with them while it is profiled. The dispatch mode of :mod:`thoplw.capture` answers the operators on
them. Outside of that mode an abstract tensor can tell its shape and nothing else.
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

#: The classes of plain tensors, which replace no operator.
PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


#: The most elements that a real tensor of a run may have. A larger one is abstract, to save memory.
REAL_LIMIT = 2**22


_DATA: Any = torch.Tensor.data
_BASE: Any = torch.Tensor._base
_VERSION: Any = torch.Tensor._version


class AbstractTensor(torch.Tensor):
    """A tensor without storage.

    Attributes:
        spec: shape, dtype and strides, as records keep them.
        token: identity of ``spec``, for keys.
        assumed: notes the assumption and returns the assumed values; ``None`` if nothing is assumed of them.
        places: at how many places a mask is assumed to be true; ``None`` until that was asked.
        shown: the class that ``x.__class__`` and ``isinstance`` see.
        memory: the memory that it shares with its views, in a run that keeps a ledger (:mod:`thoplw.capture.ledger`) or
            follows storages (:mod:`thoplw.capture.storages_run`).
    """

    __slots__ = ("spec", "token")  # every tensor has these; in slots they need no dictionary

    # Without __torch_function__ an operator on an abstract tensor is as cheap as on a plain one.
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
        """Refuse operators outside of a run, unless an argument of another class may answer them."""
        if any(not issubclass(each, AbstractTensor) for each in types):
            return NotImplemented
        raise DataDependentError(
            f"{func} was called, outside of the run, on a tensor of the run, which has a shape but no values. "
            "Inside custom_ops, read shapes only (x.shape, x.numel()). A thread that existed before the run cannot "
            "take part in it. execute=True gives real tensors"
        )

    @property
    def __class__(self) -> type:
        """The class that the model sees: that of a plain tensor, or the one given to ``as_subclass``."""
        return self.shown

    @__class__.setter
    def __class__(self, cls: type) -> None:
        """Show another class. ``torch.utils.swap_tensors`` sets it just before it swaps the shapes of two tensors."""
        self.shown = cls
        other, specs = swapped_with(self), getattr(running_mode(), "specs", None)
        if other is not None and specs is not None:
            # The spec of the other tensor may be new already, while its shape is still the old one.
            self.spec = specs.make(tuple(other.shape), other.dtype, other.stride())
            self.token = id(self.spec)

    def __repr__(self) -> str:  # type: ignore[override] # torch's own takes what only torch passes
        return f"AbstractTensor(shape={tuple(self.shape)}, dtype={self.dtype}, device={self.device})"

    def __copy__(self) -> torch.Tensor:
        return self.detach().requires_grad_(self.requires_grad)  # without its history

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
            DataDependentError: the class adds methods or attributes.
        """
        plain = cls is torch.Tensor
        if not plain and (not vars(cls).keys() <= _EMPTY_CLASS or cls.__base__ is not torch.Tensor):
            raise DataDependentError(
                f"as_subclass({cls.__name__}) gives a tensor methods or attributes of its own, which may need its "
                "values, and this run computes only shapes. execute=True counts it on real tensors"
            )
        alias: Any = torch.ops.aten.alias(self)  # gradients go through it
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
                f"{tuple(self.shape)} that has no values. execute=True counts it on real tensors"
            )
        _DATA.__set__(self, data)
        self.spec, self.token, self.assumed, self.places = data.spec, data.token, data.assumed, data.places
        self.memory = data.memory

    def change_shape(self, spec: TensorSpec) -> None:
        """Change the shape in place, as ``squeeze_`` does; no meta kernel of torch 2.0 can do that."""
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

    # These methods read the memory without an operator. Without a memory they would crash the process.

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

    # Nothing tells where the tensor would lie in memory. If all answered zero, tensors would seem to share memory.

    def data_ptr(self) -> int:
        """Refuse, as there is no memory, unless the caller only checks the alignment."""
        if asked_for_alignment():
            return 0
        raise _no_memory("data_ptr()", self)

    # Functions of torch that are written in Python call these two, and only pass the answer on.

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


#: The attributes that every class has.
_EMPTY_CLASS = frozenset(vars(_Empty))


def _no_memory(what: str, tensor: torch.Tensor) -> DataDependentError:
    return _noted(
        f"{what} needs the memory of a tensor of shape {tuple(tensor.shape)}, and this run computes only shapes: "
        "tensors have no memory. execute=True counts it on real tensors"
    )


def _no_values(what: str, tensor: torch.Tensor) -> DataDependentError:
    return _noted(
        f"{what} needs the values of a tensor of shape {tuple(tensor.shape)}, and this run computes only shapes. "
        "execute=True counts it on real tensors"
    )


def _noted(message: str) -> DataDependentError:
    """Return an error after noting it in the current run, which these methods do not go through."""
    error = DataDependentError(message)
    noted = getattr(running_mode(), "refuse", None)
    if noted is not None:
        noted(error)
    return error


#: Shape, dtype, strides and density of a tensor.
_Looks = tuple[tuple[int, ...], torch.dtype, tuple[int, ...], Fraction | int]


class _Known(dict[_Looks, TensorSpec]):
    """Shape, dtype, strides and density -> spec; a missing one is made when it is looked up.

    Attributes:
        valueless: see :class:`Specs`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.valueless: set[int] = set()

    def __missing__(self, looks: _Looks) -> TensorSpec:
        shape, dtype, strides, density = looks
        # A torch.Size equals the tuple in a key. Records keep plain tuples.
        spec = TensorSpec(shape=tuple(shape), dtype=str(dtype)[6:], strides=strides, density=density)
        self[spec.shape, dtype, strides, density] = spec
        self.judge(spec, dtype)
        return spec

    def judge(self, spec: TensorSpec, dtype: torch.dtype) -> None:
        """Add a spec to ``valueless`` if its tensors may not steer a model."""
        # Tensors without strides stay real: see thoplw.capture.answers.sparse.
        # A model may read a single number, such as a flag among its buffers.
        if spec.numel != 1 and not may_steer(dtype, spec.numel) and (spec.strides or not spec.shape):
            self.valueless.add(id(spec))


_LAYOUT = attrgetter("layout")
_STRIDED = frozenset({torch.strided})


class Specs:
    """One :class:`TensorSpec` for all equal tensors of a run, so that specs can be compared by identity.

    Attributes:
        valueless: identities of the specs whose tensors may not decide control flow, even if they have values.
    """

    def __init__(self) -> None:
        self._known = _Known()
        self.valueless = self._known.valueless
        self._with_values: dict[TensorSpec, TensorSpec] = {}
        self._apart: list[TensorSpec] = []

    def of(self, tensor: torch.Tensor) -> TensorSpec:
        """Return the spec of a real, meta or abstract tensor.

        A sparse tensor, or any other without strides, has strides ``()``. The spec of a nested tensor is that of its
        rows, concatenated.
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
        """Return the spec of each of many tensors, such as all weights of a model. This is faster than :meth:`of`."""
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
        """Return one spec for tensors whose sizes are ``[N, rank]``: that of all rows, or of all elements.

        Rows are concatenated if only the first dimension varies; otherwise the elements are counted in one dimension.
        """
        rows, *others = sizes.unbind(1)
        if all(bool((each == each[0]).all()) for each in others):
            shape = int(rows.sum()), *(int(each[0]) for each in others)
        else:
            shape = (int(sizes.prod(1).sum()),)
        return self.of(torch.empty(shape, dtype=dtype, device="meta"))

    def make(
        self, shape: tuple[int, ...], dtype: torch.dtype, strides: tuple[int, ...], density: Fraction | int = 1
    ) -> TensorSpec:
        """Return the one spec with these properties."""
        return self._known[shape, dtype, strides, density]

    def knows(self, spec: TensorSpec) -> bool:
        """Return whether a spec belongs to this run."""
        return any(spec is known for known in (*self._known.values(), *self._apart))

    def apart(self, spec: TensorSpec) -> TensorSpec:
        """Return a spec that equals another but has an identity of its own, so that its tensor can be recognised."""
        twin = replace(spec)
        self._apart.append(twin)
        self._known.judge(twin, dtype_of(twin))
        return twin

    def intern(self, spec: TensorSpec) -> TensorSpec:
        """Return the one spec of this run that equals ``spec``, which may come from anywhere."""
        if spec.values is not None:  # specs with values are few, and not in _known
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
    """Return whether a tensor may decide control flow: one of integers or booleans that is not too large."""
    return not (dtype.is_floating_point or dtype.is_complex or numel > REAL_LIMIT)
