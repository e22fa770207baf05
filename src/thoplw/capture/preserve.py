"""Run a model as in inference and leave it, and torch, exactly as they were."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from thoplw.capture.abstract import PLAIN
from thoplw.capture.snapshot import Snapshot
from thoplw.capture.torch_internals import attention_unfused, dispatch_modes, leave_modes, uncompiled


@contextmanager
def preserved(modules: Sequence[torch.nn.Module], snapshot: Snapshot) -> Iterator[None]:
    """Put all modules of a model in evaluation mode; on the way out undo that and whatever the forward changed.

    Restored are the snapshot, the random state of torch, Python and numpy, the fast path of attention, the stance of
    the compiler, and how many modes there are: one that is interrupted while it is entered stays.
    """
    with ExitStack() as undo:
        undo.callback(_random_state())
        undo.callback(_twice, snapshot.restore)
        undo.callback(leave_modes, dispatch_modes())
        for module in modules:
            if module.training:
                # Not module.eval(): that reaches the children, and may be overridden (to merge weights, say).
                undo.callback(setattr, module, "training", True)
                module.training = False
        undo.enter_context(one_path())
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
    kept = [(tensor, tensor.detach()) for tensor in tensors if type(tensor) in PLAIN and tensor.layout is torch.strided]
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


def _random_state() -> Callable[[], None]:
    """Remember the state of every random generator in use; the function returned puts it back."""
    restores: list[tuple[Callable[[Any], Any], Any]] = [
        (random.setstate, random.getstate()),
        (torch.set_rng_state, torch.get_rng_state()),
    ]
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # torch's own gap
        restores.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    if numpy := sys.modules.get("numpy"):
        restores.append((numpy.random.set_state, numpy.random.get_state()))

    def restore() -> None:
        for put_back, state in restores:
            put_back(state)

    return restore


@contextmanager
def one_path() -> Iterator[None]:
    """Switch off what would hide operators: the fused path of attention layers, and compilation."""
    with attention_unfused(), uncompiled():
        yield
