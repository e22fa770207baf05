"""Run on abstract tensors that know in which storage they lie: for what outlives a call, such as a cache.

Example: ``keys, values = product.chunk(2)`` are two views of one storage, and a cache that holds both holds that::

    storage_of(keys) == storage_of(values) == (identity of the product's, bytes of the product)
"""

from __future__ import annotations

from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor
from thoplw.capture.abstract_run import AbstractRun
from thoplw.capture.ledger import bytes_of, place_of_viewed
from thoplw.capture.memo import Operator
from thoplw.capture.nesting import tensors_in
from thoplw.capture.operators import is_higher_order, target_of
from thoplw.capture.torch_internals import memory_of
from thoplw.record import TensorSpec
from thoplw.shapes.views import view

#: Operators that return a view, their schemas say, and a copy where the layout lets them not.
_AT_TIMES = frozenset(f"aten.{name}" for name in ("contiguous", "flatten", "ravel", "reshape", "reshape_as", "to"))


class _Storage:
    """What an abstract tensor shares with its views.

    Attributes:
        size: its bytes.
    """

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


class StoragesRun(AbstractRun):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Answer every operator from shapes alone, and have views lie in the storage that they show."""

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self._places: dict[int, int] = {}

    def enter(self, tensor: torch.Tensor) -> torch.Tensor:
        """Inputs lie where the user's do."""
        entered = super().enter(tensor)
        if type(entered) is AbstractTensor:
            entered.memory = _memory_of(tensor)
        return entered

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        """Answer one operator; a tensor without ``memory`` has a storage of its own."""
        output = super().__torch_dispatch__(func, types, args, kwargs)
        place = self._places.get(id(func))
        if place is None:
            place = self._places[id(func)] = -1 if is_higher_order(func) else place_of_viewed(func)[0]
        if 0 <= place < len(args):
            if type(output) is AbstractTensor:
                self._lay(args[place], output, func)
            else:
                for tensor in tensors_in(output):
                    self._lay(args[place], tensor, func)
        return output

    def _lay(self, shown: torch.Tensor, tensor: torch.Tensor, func: Any) -> None:
        """Have what an operator returned lie in the storage of an argument, if it shows that."""
        if type(tensor) is not AbstractTensor or tensor is shown or tensor.memory is not None:
            return
        if target_of(func) not in _AT_TIMES or _is_view(tensor.spec, self.specs.of(shown)):
            tensor.memory = _memory_of(shown)

    def _compose(self, operator: Operator, args: Any, kwargs: Any, key: Any, kinds: int) -> Any:
        """Take an operator apart each time, if its schema does not say what it shows, as of ``broadcast_tensors``."""
        output = super()._compose(operator, args, kwargs, key, kinds)
        if place_of_viewed(operator.func)[0] < 0:
            operator.answers.pop(key, None)
        return output


def _is_view(one: TensorSpec, other: TensorSpec) -> bool:
    """Whether a tensor has the strides of a view of another one in its shape."""
    shown = view(other, one.shape)
    return shown is not None and (shown.strides, shown.dtype) == (one.strides, one.dtype)


def _memory_of(tensor: torch.Tensor) -> Any:
    """The storage of a tensor, which is another's from now on; None where that is not one."""
    if type(tensor) is not AbstractTensor:
        return torch.Tensor.untyped_storage(tensor) if memory_of(tensor) else None
    if tensor.memory is None:
        tensor.memory = _Storage(_own_bytes(tensor.spec))
    return tensor.memory


def _own_bytes(spec: TensorSpec) -> int:
    return bytes_of(spec) if spec.strides else spec.numel * spec.itemsize


def storage_of(tensor: torch.Tensor, spec: TensorSpec) -> tuple[int, int]:
    """What tells the storage of a tensor from those of others that are there now, and its bytes.

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
