"""Run a model as in inference and leave it, and torch, exactly as they were."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from thoplw.capture.abstract import PLAIN
from thoplw.capture.process import ONE_PATH
from thoplw.capture.snapshot import Snapshot
from thoplw.capture.torch_internals import dispatch_modes, leave_modes


@contextmanager
def preserved(snapshot: Snapshot, training: bool | None = False, *, one_path: bool = True) -> Iterator[None]:
    """Put all modules of a model in evaluation mode; on the way out undo that and whatever the forward changed.

    Or in training mode, if ``training`` is true; ``None`` leaves the modes as they are. Without ``one_path`` torch
    takes its fast paths, which hide operators and modules.

    Restored are the snapshot, the fast path of attention, the stance of the compiler, and how many modes there are: one
    that is interrupted while it is entered stays.
    """
    with ExitStack() as undo:
        undo.callback(_twice, snapshot.restore)
        undo.callback(leave_modes, dispatch_modes())
        undo.callback(torch.clear_autocast_cache)  # it may hold abstract copies of weights
        undo.callback(snapshot.twins.leave)
        snapshot.twins.enter(training)
        if training is not None:
            for module in snapshot.twins.others:
                if getattr(module, "training", training) is not training:  # frozen TorchScript has no such flag
                    # Not module.eval(): that reaches the children, and may be overridden (to merge weights, say).
                    undo.callback(setattr, module, "training", not training)
                    module.training = training
        if one_path:
            undo.enter_context(ONE_PATH)
        yield


def _twice(restore: Callable[[], None]) -> None:
    """Restore; again, if something came between."""
    try:
        restore()
    except BaseException:
        restore()
        raise


@contextmanager
def data_preserved(tensors: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """On the way out, give tensors the memory, shape and type that they had: a forward may assign their ``.data``.

    Nothing tells of that while it happens. The list is filled on the way out, with those of another shape or type.
    Sparse tensors and those of a class of their own are left alone; ones on the meta device take no abstract data.
    """
    plain = (each for each in tensors if type(each) in PLAIN and each.layout is torch.strided and not each.is_nested)
    kept = [(tensor, tensor.detach()) for tensor in plain]
    others: list[torch.Tensor] = []
    try:
        yield others
    finally:
        for tensor, before in kept:
            if (tensor.shape, tensor.dtype, tensor.stride()) != (before.shape, before.dtype, before.stride()):
                others.append(tensor)
            elif tensor.data_ptr() == before.data_ptr():
                continue
            tensor.data = before


@contextmanager
def without_collection(when: bool = True) -> Iterator[None]:
    """Garbage collection off: records are many small objects that all stay, which it would look through in vain."""
    enabled = when and gc.isenabled()
    try:
        if enabled:
            gc.disable()
        yield
    finally:
        if enabled:
            gc.enable()
