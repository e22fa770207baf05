"""An independent witness of memory: run a step for real, and count the bytes of every storage while it lives.

Nothing here comes from thoplw. A dispatch mode sees what operators return. Each storage counts from the operator that
made it until torch lets go of it, which a weak reference tells. What a kernel allocates and frees by itself no mode
sees.

A mode changes one thing: while it looks on, autograd adds up the gradients of a tensor that went several ways out of
place, and otherwise into the first of them, if nobody else has that (``can_accumulate_inplace`` in torch's
``input_buffer.cpp``). So the tracker adds in place there.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from sys import getrefcount
from typing import Any

import torch
from checks.nested import tensors_in
from torch.utils._python_dispatch import TorchDispatchMode


class StorageTracker(TorchDispatchMode):
    """Live bytes while real operators run.

    Attributes:
        live: bytes of the storages that are there now.
        peaks: the most that there were in each part, see :meth:`begin`.
        seen: after each operator that made a storage, its name and the bytes that were there.
        called: the names of all operators.
    """

    def __init__(self, held: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.live = 0
        self.peaks: list[int] = []
        self.seen: list[tuple[str, int]] = []
        self.called: set[str] = set()
        self._sizes: dict[int, int] = {}
        self._references: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._makers: dict[int, int] = {}  # of a storage, the node of a backward pass that it was made in
        for tensor in held:
            self.add(tensor)

    def begin(self) -> None:
        """Begin a part that has a peak of its own, such as an iteration of a training loop."""
        self.peaks.append(self.live)

    def add(self, tensor: torch.Tensor) -> bool:
        """Count the storage of a tensor from now on; whether it is a new one, or has grown."""
        if tensor.layout is not torch.strided:
            parts = {
                torch.sparse_coo: ("_indices", "_values"),
                torch.sparse_csr: ("crow_indices", "col_indices", "values"),
            }.get(tensor.layout, ())
            added = [self.add(getattr(tensor, part)()) for part in parts]
            return any(added)
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._references or self._references[key]() is not storage:
            self._sizes[key] = 0
            self._references[key] = weakref.ref(storage, lambda _, key=key: self._gone(key))
        grown = storage.nbytes() - self._sizes[key]
        self._sizes[key] += grown
        self.live += grown
        if self.peaks:
            self.peaks[-1] = max(self.peaks[-1], self.live)
        return grown != 0

    def _gone(self, key: int) -> None:
        self._references.pop(key, None)
        self._makers.pop(key, None)
        self.live -= self._sizes.pop(key, 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.replace("::", ".")
        self.called.add(name)
        node = _node()
        in_place = func is torch.ops.aten.add.Tensor and node != _NO_NODE and self._is_sum_of_gradients(node, args)
        output = args[0].add_(args[1]) if in_place else func(*args, **(kwargs or {}))
        for tensor in tensors_in(output):
            if tensor.layout is torch.strided:
                self._makers.setdefault(tensor.untyped_storage()._cdata, node)
        # An operator with out= may have given the storage of an argument another size.
        added = [self.add(tensor) for tensor in tensors_in((output, args, kwargs))]
        if any(added):
            self.seen.append((name, self.live))
        return output

    def _is_sum_of_gradients(self, node: int, args: tuple[Any, ...]) -> bool:
        """Whether autograd adds what a node gives to what others gave, into memory that nobody else has."""
        first, second = args
        if torch.is_grad_enabled() or type(second) is not torch.Tensor or first.dtype != second.dtype:
            return False
        same = first.shape == second.shape and first.layout is second.layout is torch.strided
        if not same or self._makers.get(first.untyped_storage()._cdata, node) == node:
            return False
        storage = first.untyped_storage()
        alone = first._use_count() <= _OF_A_CALL and getrefcount(first) <= _IN_PYTHON
        alone = alone and torch._C._storage_Use_Count(storage._cdata) <= 2
        return alone and storage.nbytes() == first.numel() * first.itemsize  # dense


def _node() -> int:
    """The number of the node of the graph that a backward pass is at."""
    node = torch._C._current_autograd_node() if torch._C._current_graph_task_id() >= 0 else None
    return _NO_NODE if node is None else int(node._sequence_nr())


_NO_NODE = -1

#: References to a tensor that only autograd has, in a call of the mode: its own, and those of the call.
_OF_A_CALL = 4

#: The same of Python: torch's own, which is none up to 2.9, that of all arguments, of a name, and of the question.
_IN_PYTHON = 4


@contextmanager
def _collected() -> Iterator[None]:
    """Without what is left of something before, and without collecting while the step runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def tracked(run: Callable[[StorageTracker], Any], held: Iterable[torch.Tensor]) -> StorageTracker:
    """Run something for real; ``held`` is there before: weights, buffers and inputs.

    The function gets the tracker, and calls ``begin()`` on it where a part with a peak of its own begins.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one kernel that no mode can look into
    try:
        with _collected():
            tracker = StorageTracker(held)
            with tracker:
                run(tracker)
            return tracker
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def inference(model: torch.nn.Module, *args: Any, **kwargs: Any) -> StorageTracker:
    """Of one forward as in inference."""
    model.eval()

    def run(tracker: StorageTracker) -> None:
        tracker.begin()
        with torch.no_grad():
            output = model(*args, **kwargs)
        del output

    return tracked(run, [*model.parameters(), *model.buffers(), *tensors_in((args, kwargs))])


def training(
    model: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    *,
    optimizer: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer] | None = None,
    loss: Callable[[Any], torch.Tensor],
    iterations: int = 2,
    accumulate: int = 1,
    autocast: torch.dtype | None = None,
    clip: float | None = None,
    scaler: bool = False,
    set_to_none: bool = True,
) -> StorageTracker:
    """Of the training loop that everybody writes."""
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def run(tracker: StorageTracker) -> None:
        updater = optimizer(trained) if optimizer else None
        scale = torch.amp.GradScaler("cpu", enabled=scaler)
        for _ in range(iterations):
            tracker.begin()
            if updater is not None:
                updater.zero_grad(set_to_none=set_to_none)
            else:
                for parameter in trained:
                    parameter.grad = None
            for _ in range(accumulate):
                # One that is not enabled would still keep casts of the model's own until it ends.
                with nullcontext() if autocast is None else torch.autocast("cpu", autocast):
                    output = model(*args, **(kwargs or {}))
                    value = loss(output)
                if accumulate > 1:
                    value = value / accumulate
                value = scale.scale(value)
                value.backward()
            if clip is not None:
                if updater is not None:
                    scale.unscale_(updater)
                torch.nn.utils.clip_grad_norm_(trained, clip)
            if updater is not None:
                scale.step(updater)
                scale.update()

    held = [*model.parameters(), *model.buffers(), *tensors_in((args, kwargs or {}))]
    return tracked(run, held)
