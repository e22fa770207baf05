"""An independent witness of memory: run a step for real, and count the bytes of every storage while it lives.

Nothing here comes from thoplw. A dispatch mode sees what operators return. Each storage counts from the operator that
made it until torch lets go of it, which a weak reference tells. What a kernel allocates and frees by itself no mode
sees.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
    """

    def __init__(self, held: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.live = 0
        self.peaks: list[int] = []
        self.seen: list[tuple[str, int]] = []
        self._sizes: dict[int, int] = {}
        self._references: dict[int, weakref.ref[torch.UntypedStorage]] = {}
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
        self.live -= self._sizes.pop(key, 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        # An operator with out= may have given the storage of an argument another size.
        added = [self.add(tensor) for tensor in tensors_in((output, args, kwargs))]
        if any(added):
            self.seen.append((func._schema.name.replace("::", "."), self.live))
        return output


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
                with torch.autocast("cpu", autocast or torch.bfloat16, enabled=autocast is not None):
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
