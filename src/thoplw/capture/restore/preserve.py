"""Put a model into evaluation or training mode for a run, and leave it and torch exactly as they were."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from thoplw.capture.abstract import PLAIN
from thoplw.capture.process import ONE_PATH, paths_kept
from thoplw.capture.restore.snapshot import Snapshot
from thoplw.capture.torch_internals import dispatch_modes, is_transformed, leave_modes


@contextmanager
def preserved(snapshot: Snapshot, training: bool | None = False, *, one_path: bool = True) -> Iterator[None]:
    """Put all modules of a model into one mode; on the way out, undo that and whatever the forward changed.

    Restored are the objects in the snapshot, the fast path of attention, the stance of the compiler, and the number of
    dispatch modes, because a mode that is interrupted while it is entered is never left.

    Args:
        snapshot: what the model and its inputs hold.
        training: true for training mode, false for evaluation mode, ``None`` to leave each module in its own.
        one_path: whether to switch off the fast paths of torch, which hide operators and modules.
    """
    with ExitStack() as undo:
        undo.callback(_twice, snapshot.restore)
        undo.callback(leave_modes, dispatch_modes())
        undo.callback(torch.clear_autocast_cache)  # this cache may hold abstract copies of weights
        undo.callback(snapshot.twins.leave)
        snapshot.twins.enter(training)
        if training is not None:
            for module in snapshot.twins.others:
                if getattr(module, "training", training) is not training:  # frozen TorchScript has no such flag
                    # Not module.eval(): that reaches the children, and may be overridden (to merge weights, say).
                    undo.callback(setattr, module, "training", not training)
                    module.training = training
        undo.enter_context(ONE_PATH if one_path else paths_kept())
        yield


def _twice(restore: Callable[[], None]) -> None:
    """Restore; if that is interrupted, restore again."""
    try:
        restore()
    except BaseException:
        restore()
        raise


@contextmanager
def data_preserved(tensors: Iterable[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """On the way out, give tensors the memory, shape and type that they had.

    A forward may assign their ``.data``, which no mode or hook reports. The list that is yielded is filled on the way
    out with the tensors whose shape or type was changed. Sparse tensors and tensor subclasses are left alone.
    """
    plain = [each for each in tensors if type(each) in PLAIN and each.layout is torch.strided and not each.is_nested]
    try:
        kept = [(tensor, tensor.detach()) for tensor in plain]
    except RuntimeError:  # one was kept from inside of vmap, and no operator takes it any more
        kept = [(tensor, tensor.detach()) for tensor in plain if not is_transformed(tensor)]
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
    """Switch garbage collection off: a run makes many small objects that all stay, so a collection finds nothing."""
    enabled = when and gc.isenabled()
    try:
        if enabled:
            gc.disable()
        yield
    finally:
        if enabled:
            gc.enable()
