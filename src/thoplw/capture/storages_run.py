"""Run on abstract tensors that know in which storage they lie: for what outlives a call, such as a cache.

For example, ``keys, values = product.chunk(2)`` are two views of one storage, and a cache that holds both holds that::

    storage_of(keys) == storage_of(values) == (identity of the product's, bytes of the product)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from thoplw.capture.abstract import AbstractTensor
from thoplw.capture.abstract_run import AbstractRun
from thoplw.capture.answers.memo import Operator
from thoplw.capture.ledger import bytes_of, place_of_viewed
from thoplw.capture.nesting import tensors_in
from thoplw.capture.operators import target_of
from thoplw.capture.torch_internals import memory_of
from thoplw.record import TensorSpec
from thoplw.shapes.views import view

#: Operators whose schemas say that they return a view, and that return a copy where the layout allows no view.
_AT_TIMES = frozenset(f"aten.{name}" for name in ("contiguous", "flatten", "ravel", "reshape", "reshape_as", "to"))


class _Shown(NamedTuple):
    """The position of the argument that an output is a view of, and whether it is one in any layout."""

    place: int
    always: bool


class _Storage:
    """What an abstract tensor shares with its views."""

    __slots__ = ("_spec",)

    def __init__(self, spec: TensorSpec) -> None:
        self._spec = spec

    @property
    def size(self) -> int:
        """Its bytes: those of the tensor that it was made for. They are seldom asked for."""
        return _own_bytes(self._spec)

    def hold(self, spec: TensorSpec) -> None:
        """Grow as far as a tensor of it has grown, by ``resize_`` for example."""
        if _own_bytes(spec) > self.size:
            self._spec = spec


class StoragesRun(AbstractRun):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Answer every operator from shapes alone, and have views lie in the storage that they show."""

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self._shown: dict[int, _Shown | None] = {}  # by the identity of an operator

    def replace_input(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor that lies in the storage of the input."""
        replacement = super().replace_input(tensor)
        if type(replacement) is AbstractTensor:
            replacement.memory = _memory_of(tensor)
        return replacement

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Answer one operator; a tensor without ``memory`` has a storage of its own."""
        output = super().__torch_dispatch__(func, types, args, kwargs)
        if args and output is args[0] and type(output) is AbstractTensor and type(output.memory) is _Storage:
            output.memory.hold(output.spec)
        try:
            shown = self._shown[id(func)]
        except KeyError:
            shown = self._shown[id(func)] = _shown(func)
        if shown is not None and shown.place < len(args):
            given = args[shown.place]
            for tensor in (output,) if type(output) is AbstractTensor else tensors_in(output):
                if type(tensor) is not AbstractTensor or tensor is given or tensor.memory is not None:
                    continue
                if shown.always or _is_view(tensor.spec, self.specs.of(given)):
                    tensor.memory = _memory_of(given)
        return output

    def _compose(self, operator: Operator, args: Any, kwargs: Any, key: Any, kinds: int) -> Any:
        """Take an operator apart each time, if its schema does not say what it shows, as of ``broadcast_tensors``."""
        output = super()._compose(operator, args, kwargs, key, kinds)
        if place_of_viewed(operator.func)[0] < 0:
            operator.answers.pop(key, None)
        return output


def _shown(func: Any) -> _Shown | None:
    """Return which argument of an operator its output is a view of; ``None`` if it is none."""
    place = place_of_viewed(func)[0]
    return None if place < 0 else _Shown(place, target_of(func) not in _AT_TIMES)


def _is_view(one: TensorSpec, other: TensorSpec) -> bool:
    """Whether a tensor has the strides of a view of another one in its shape."""
    shown = view(other, one.shape)
    return shown is not None and (shown.strides, shown.dtype) == (one.strides, one.dtype)


def _memory_of(tensor: torch.Tensor) -> Any:
    """Return the storage of a tensor, for another tensor to share; ``None`` for a real tensor without memory."""
    if type(tensor) is not AbstractTensor:
        return torch.Tensor.untyped_storage(tensor) if memory_of(tensor) else None
    if tensor.memory is None:
        tensor.memory = _Storage(tensor.spec)
    return tensor.memory


def _own_bytes(spec: TensorSpec) -> int:
    return bytes_of(spec) if spec.strides else spec.nbytes


def storage_of(tensor: torch.Tensor, spec: TensorSpec) -> tuple[int, int]:
    """Return what identifies the storage of a tensor among those that exist now, and its bytes.

    Args:
        tensor: real or abstract.
        spec: its own.
    """
    memory = tensor.memory if type(tensor) is AbstractTensor else _memory_of(tensor)
    if memory is None:
        return id(tensor), _own_bytes(spec)
    if isinstance(memory, torch.UntypedStorage):
        return memory._cdata, memory.nbytes()
    return id(memory), memory.size
