"""Keep a ledger of the memory that a real run would have at any time, in a run on abstract tensors.

An abstract tensor has no memory, but refers to a :class:`Block`, which it shares with its views::

    y = x.relu()     # y.memory is a new block
    z = y.view(-1)   # z.memory is y.memory
    del y, z         # nothing refers to the block any more: it is freed

Python and autograd release tensors as they do in a real run, so blocks come and go as memory does there. A tensor that
has values in the run, such as a mask or the counter of an optimizer, has real memory. A weak reference tells when that
is freed.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache, partial
from itertools import chain
from math import prod
from sys import getrefcount
from types import SimpleNamespace
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor
from thoplw.capture.answers.sparse import makes_sparse
from thoplw.capture.nesting import tensors_in
from thoplw.capture.operators import is_higher_order, target_of
from thoplw.capture.torch_internals import SPARSE, memory_of, schema_of, stored_in, without_modes
from thoplw.errors import InputError
from thoplw.record import Phase, Step, TensorSpec
from thoplw.record.storage import Kind, Lifetimes, Storage
from thoplw.shapes.layouts import broadcast

#: Operators whose outputs share the memory of the first argument, although their schemas do not say so.
_VIEWS = frozenset(
    "aten._unsafe_view aten.lift aten.unsafe_chunk aten.unsafe_split aten.unsafe_split_with_sizes".split()
)


def _no_more(place: int, args: tuple[Any, ...]) -> int:
    return 0


def _more_of_bags(place: int, args: tuple[Any, ...]) -> int:
    """An embedding bag allocates one element more for its second output, and with a last offset for its third."""
    return 1 if place == 1 else int(place == 2 and len(args) > 7 and args[7])


def elements_of_loss(x: torch.Tensor, target: torch.Tensor) -> int:
    """Return how many elements a loss has before it is reduced."""
    return prod(broadcast(x.shape, target.shape) or ())


def _more_of_losses(reduction: int, place: int, args: tuple[Any, ...]) -> int:
    """A reduced loss keeps the memory of the loss of every element; ``reduction`` is the position of that argument."""
    if len(args) > reduction and not args[reduction]:
        return 0
    return max(0, elements_of_loss(*args[:2]) - 1)


def _more_of_folded(place: int, args: tuple[Any, ...]) -> int:
    """The image that ``fold`` makes keeps as much memory as the patches take."""
    patches, size, kernel = args[:3]
    folded = patches.numel() // max(1, patches.shape[-1] * prod(kernel)) * prod(size)
    return int(max(0, patches.numel() - folded))


#: Operator that allocates more than it returns -> a function from the place of an output and the arguments to how many
#: elements more. Losses and ``col2im`` allocate their output in the size of an input, and resize it, on every device:
#: ``Loss.cpp``, ``Loss.cu``, ``Col2Im.cpp`` and ``Col2Im.cu`` in ``aten/src/ATen/native``.
_MORE: Mapping[str, Callable[[int, tuple[Any, ...]], int]] = {
    **{f"aten._embedding_bag{end}": _more_of_bags for end in ("", "_forward_only")},
    **{f"aten.{name}": partial(_more_of_losses, 2) for name in ("mse_loss", "smooth_l1_loss", "soft_margin_loss")},
    "aten.binary_cross_entropy": partial(_more_of_losses, 3),
    "aten.col2im": _more_of_folded,
}


def _workspace_of_lstm(place: int, args: tuple[Any, ...]) -> int:
    """The workspace that oneDNN's LSTM keeps for its backward pass, of which a meta kernel says that it is empty.

    It holds the gates, and the states and their gradients of a layer and of the one below, each part from a new page
    on. Its rows are as long as ``get_good_ld`` makes them. Source: ``set_workspace_sizes`` and ``set_offsets`` in
    ``src/cpu/rnn/rnn_utils`` of oneDNN 3.12. The kernel asks whether gradients are enabled, not
    whether the module trains: ``mkldnn/RNN.cpp`` in ``aten/src/ATen/native``.
    """
    x, cell, hidden = args[0], args[6], args[10]
    if place != 3 or not torch.is_grad_enabled():
        return 0
    steps, samples, width = x.shape
    of_x, of_sum = x.element_size(), 4
    widest, states = max(width, hidden), 2 * (steps + 1) * samples
    size = 0
    for part in (
        steps * samples * _good_row(4 * hidden, of_x) * of_x,
        steps * samples * _good_row(hidden, of_x) * of_x,
        states * _good_row(widest, of_x) * of_x,
        states * hidden * cell.element_size(),
        *[states * _good_row(widest, of_sum) * of_sum] * 2,
        states * hidden * of_sum,
    ):
        size = _rounded_up(size, _PAGE) + part
    return _rounded_up(size, _PAGE)


def _good_row(count: int, itemsize: int) -> int:
    """Elements in a row of whole lines of the cache, whose number is no multiple of 256."""
    line = 64 // itemsize
    rounded = _rounded_up(count, line)
    return rounded if rounded % 256 else rounded + line


def _rounded_up(size: int, step: int) -> int:
    return -(-size // step) * step


#: The bytes of a page, by which oneDNN aligns the parts of a workspace.
_PAGE = 4096

#: Operator with an output of which torch's meta kernel says that it is empty -> a function from the place of an output
#: and the arguments to the bytes that it has.
_UNTOLD: Mapping[str, Callable[[int, tuple[Any, ...]], int]] = {"aten.mkldnn_rnn_layer": _workspace_of_lstm}


class Block:
    """The memory of some abstract tensors. It is freed with the last of them.

    Attributes:
        index: index of the storage in the ledger.
    """

    __slots__ = ("_ledger", "index")

    def __init__(self, ledger: Ledger, index: int) -> None:
        self.index = index
        self._ledger = ledger

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._ledger.size_of(self.index)

    def __del__(self) -> None:
        ledger = getattr(self, "_ledger", None)  # none where Ctrl-C came as it was made
        if ledger is not None:
            ledger.gone(self.index)


class Ledger:
    """The storages of one run, and when each is made and freed."""

    def __init__(self, steps: list[Step]) -> None:
        """Start with no storage.

        Args:
            steps: the list to which the run adds its steps.
        """
        self._steps = steps
        self._sizes: list[int] = []
        self._kinds: list[Kind] = []
        self._born: list[int] = []
        self._died: dict[int, int] = {}  # index of a storage -> the step that came next when it was freed
        self._events: list[int] = []
        self._iterations: list[tuple[int, int]] = []
        self._held: dict[int, Block] = {}  # identity of a tensor of the user's -> its block
        self._memories: dict[int, Block] = {}  # address of the memory of such a tensor -> its block
        self._real: dict[int, tuple[weakref.ref[torch.UntypedStorage], int]] = {}
        self._open = True

    def hold(self, tensors: Iterable[torch.Tensor], kind: Kind) -> None:
        """Note tensors that exist before and after the run. Call this before stand-ins replace them."""
        for tensor in tensors:
            if id(tensor) in self._held or tensor.is_nested:
                continue
            if tensor.layout is torch.strided:
                self._held[id(tensor)] = self._hold_memory(tensor, kind)
            elif tensor.layout in SPARSE:
                for part in stored_in(tensor):
                    self._hold_memory(part, kind)

    def _hold_memory(self, tensor: torch.Tensor, kind: Kind) -> Block:
        memory = memory_of(tensor)
        block = self._memories.get(memory)
        if block is None:
            storage = torch.Tensor.untyped_storage(tensor)
            block = self._memories[memory] = self._new(storage.nbytes(), kind, -1)
            self._note_real(storage, block.index)
        return block

    def note_input(self, given: torch.Tensor, replacement: torch.Tensor) -> None:
        """Let the tensor that the model gets in place of an input share the memory of the input."""
        if given.layout in SPARSE and replacement.layout is given.layout:
            for part, copy in zip(stored_in(given), stored_in(replacement), strict=True):
                if (block := self._memories.get(memory_of(part))) is not None:
                    self._note_real(torch.Tensor.untyped_storage(copy), block.index)
            return
        block = self._held.get(id(given))
        if block is None:
            return
        if type(replacement) is AbstractTensor:
            replacement.memory = block
        elif replacement.layout is torch.strided and not replacement.is_nested:
            self._note_real(torch.Tensor.untyped_storage(replacement), block.index)

    def begin(self) -> None:
        """Note that an iteration begins."""
        self._iterations.append((len(self._steps), len(self._events)))

    def record(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Note in which memory the outputs of an operator lie: in that of an argument, or in new memory."""
        # torch.tensor(0.0) passes its new tensor to lift_fresh. Any other unknown tensor existed before.
        target = target_of(func)
        made = target == "aten.lift_fresh"
        for tensor in tensors_in((args, kwargs)):
            if type(tensor) is not AbstractTensor and id(tensor) not in self._held:
                # An operator that writes to a sparse tensor may give it other memory.
                self._meet(tensor, len(self._steps) - 1 if made or tensor.layout in SPARSE else -1)
        outputs = [output] if isinstance(output, torch.Tensor) else list(tensors_in(output))
        viewed: Sequence[Any] | None = None
        more, untold = _MORE.get(target, _no_more), _UNTOLD.get(target, _no_more)
        for place, tensor in enumerate(outputs):
            if id(tensor) in self._held:
                continue
            if type(tensor) is not AbstractTensor:
                if makes_sparse(func):
                    self._take_in(tensor, args)
                self._meet(tensor, len(self._steps) - 1)
            elif tensor.memory is None:
                if viewed is None:
                    viewed = _viewed(func, args, kwargs)
                if viewed:
                    tensor.memory = self._memory_of(viewed[0])
                elif size := bytes_of(tensor.spec) or untold(place, args):
                    size += more(place, args) * tensor.spec.itemsize
                    tensor.memory = self._new(size, Kind.TEMPORARIES, len(self._steps) - 1)
            elif type(tensor.memory) is Block and (size := bytes_of(tensor.spec)) > tensor.memory.size:
                # As a storage that was resized: see _meet.
                tensor.memory = self._new(size, self._kinds[tensor.memory.index], len(self._steps) - 1)

    def note(self, tensors: Iterable[torch.Tensor], kind: Kind) -> None:
        """Note what the memory of tensors is for. Memory from before the run changes its kind for an optimizer only."""
        for index in chain.from_iterable(map(self._indices_of, tensors)):
            if self._born[index] >= 0 or kind is Kind.OPTIMIZER:
                self._kinds[index] = kind

    def assign(self, tensor: torch.Tensor, data: torch.Tensor) -> None:
        """Note that a tensor of the user's lies in the memory of another one from now on, and lets go of its own."""
        before, block = self._held.get(id(tensor)), self._memory_of(data)
        if before is not None and isinstance(block, Block):
            self._memories.clear()  # these addresses were for inputs, which are replaced by now
            self._held[id(tensor)] = block
            self.note([tensor], self._kinds[before.index])

    def keep(self, size: int, kind: Kind) -> None:
        """Note memory that the last recorded operator took and that stays to the end of the run."""
        self._add(size, kind, len(self._steps) - 1)

    def pass_through(self, size: int) -> None:
        """Note memory that the last recorded operator took and freed before it ended."""
        self.gone(self._add(size, Kind.WORKSPACES, len(self._steps) - 1))

    def is_alone(self, tensor: AbstractTensor, since: int) -> bool:
        """Whether a tensor shares its memory with no other tensor, and had it before step ``since``."""
        return self._born[tensor.memory.index] < since and _references(tensor.memory) <= _ONE

    def size_of(self, index: int) -> int:
        """Return how many bytes a storage has."""
        return self._sizes[index]

    def gone(self, index: int) -> None:
        """Note that a storage is freed."""
        if self._open:
            self._events.append(~index)
            self._died[index] = len(self._steps)

    def close(self) -> None:
        """Stop: storages that are freed from now on are freed because the run ends."""
        self._open = False
        for each in (self._held, self._memories, self._real):  # their items refer to this object
            each.clear()

    def lifetimes(self, phases: Sequence[int]) -> Lifetimes:
        """Return everything that was noted.

        Args:
            phases: the phase of each step. What the forward makes and a backward step still finds is an activation.
        """
        later = [step for step, phase in enumerate(phases) if phase == Phase.BACKWARD]
        kinds = self._kinds.copy()
        for index, (kind, born) in enumerate(zip(kinds, self._born, strict=True)):
            if kind is Kind.TEMPORARIES and born >= 0 and phases[born] in (Phase.FORWARD, Phase.RECOMPUTATION):
                at = bisect_right(later, born)
                if at < len(later) and later[at] < self._died.get(index, len(phases)):
                    kinds[index] = Kind.ACTIVATIONS
        return Lifetimes(
            storages=tuple(map(Storage, self._sizes, kinds, self._born, map(self._gone, range(len(kinds))))),
            events=tuple(self._events),
            iterations=tuple(self._iterations) or ((0, sum(born < 0 for born in self._born)),),
        )

    def _gone(self, index: int) -> int:
        return self._died.get(index, -1)

    def _new(self, size: int, kind: Kind, step: int) -> Block:
        return Block(self, self._add(size, kind, step))

    def _add(self, size: int, kind: Kind, step: int) -> int:
        index = len(self._sizes)
        self._sizes.append(size)
        self._kinds.append(kind)
        self._born.append(step)
        self._events.append(index)
        return index

    def _meet(self, tensor: torch.Tensor, step: int) -> int | None:
        """Return the storage of a tensor with values, a new one if it was not met before; ``None`` if it is sparse.

        A sparse tensor has several storages, which are all noted.
        """
        if tensor.layout in SPARSE:
            for part in stored_in(tensor):
                self._meet(part, step)
            return None
        if tensor.layout is not torch.strided or tensor.is_nested or tensor.is_meta:
            return None
        storage = torch.Tensor.untyped_storage(tensor)
        known = self._real.get(storage._cdata)
        before = known[1] if known is not None and known[0]() is storage else None
        if before is not None and storage.nbytes() <= self._sizes[before]:
            return before
        if not storage.nbytes():
            return None
        index = self._add(storage.nbytes(), Kind.TEMPORARIES, step)
        self._note_real(storage, index, self.gone)
        if before is not None:  # it was resized: torch takes new memory before it lets go of the old
            self.gone(before)
        return index

    def _take_in(self, made: torch.Tensor, args: tuple[Any, ...]) -> None:
        """Let the values of a new sparse tensor, which are real, share the memory of the tensor that it was made of."""
        values = stored_in(made)[-1]
        for given in tensors_in(args):
            block = given.memory if type(given) is AbstractTensor else None
            if block is not None and given.numel() == values.numel():
                self._note_real(torch.Tensor.untyped_storage(values), block.index, partial(_let_go, block))

    def _note_real(self, storage: torch.UntypedStorage, index: int, gone: Any = None) -> None:
        """Note which storage of the ledger a real one is; if ``gone`` is given, call it when that is freed."""
        key = storage._cdata
        self._real[key] = weakref.ref(storage, partial(_forget, self._real, key, index, gone)), index

    def _memory_of(self, tensor: torch.Tensor) -> Any:
        """Return the object to which a view of a tensor must refer, so that the memory stays."""
        held = self._held.get(id(tensor))
        if held is not None or type(tensor) is AbstractTensor:
            return held or tensor.memory  # type: ignore[attr-defined] # it is abstract, or held
        return None if self._meet(tensor, -1) is None else torch.Tensor.untyped_storage(tensor)

    def _indices_of(self, tensor: torch.Tensor) -> Iterator[int]:
        """Yield the storages of a tensor: none if it has no elements, several if it is sparse."""
        with (
            without_modes(lambda _: True) if tensor.layout in SPARSE else nullcontext()
        ):  # the parts are read with operators, which are not to be recorded
            parts = stored_in(tensor)
        for memory in map(self._memory_of, parts):
            if isinstance(memory, Block):
                yield memory.index
            elif memory is not None and memory._cdata in self._real:
                yield self._real[memory._cdata][1]


def _references(memory: Any) -> int:
    return getrefcount(memory)


_alone = SimpleNamespace(memory=object())

#: The reference count of a memory that belongs to one tensor. It depends on the release of Python.
_ONE = _references(_alone.memory)


def _forget(real: dict[int, Any], key: int, index: int, gone: Any, _: Any) -> None:
    """Note that a real storage is freed, unless another has its address by now."""
    if key in real and real[key][1] == index:
        del real[key]
    if gone is not None:
        gone(index)


def _let_go(block: Block, index: int) -> None:
    """Do nothing: the partial of this function refers to a block, which is freed with it."""


def bytes_of(spec: TensorSpec) -> int:
    """Return how many bytes a tensor in memory of its own takes, with the gaps between its elements."""
    if not spec.numel:
        return 0
    if not spec.strides and spec.shape:
        raise InputError(
            f"the memory of a sparse tensor of shape {spec.shape} depends on values, so the memory of this model is "
            "not known without a real run"
        )
    reach = 1 + sum((size - 1) * stride for size, stride in zip(spec.shape, spec.strides, strict=True))
    return reach * spec.itemsize


def _viewed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Return the tensor of which an operator returns views, in a list; an empty list if it returns none."""
    position, name = place_of_viewed(func)
    value = args[position] if 0 <= position < len(args) else kwargs.get(name)
    return list(tensors_in(value))[:1]


@cache
def place_of_viewed(func: Any) -> tuple[int, str]:
    """Return position and name of the argument of which an operator returns views; ``-1, ""`` if it returns none."""
    if is_higher_order(func):  # all that flex attention returns is new
        return -1, ""
    schema = schema_of(func)
    if target_of(func) in _VIEWS:
        return 0, schema.arguments[0].name
    sets = [each.alias_info.before_set for each in schema.returns if each.alias_info and not each.alias_info.is_write]
    for position, argument in enumerate(schema.arguments):
        alias = argument.alias_info
        # If an operator returns a list of views, as split does, its schema only says that the argument gets an alias.
        if alias is not None and not alias.is_write and (alias.before_set in sets or "*" in alias.after_set):
            return position, argument.name
    return -1, ""
