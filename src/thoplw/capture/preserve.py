"""Run a model as in inference and leave it, and torch, exactly as they were."""

from __future__ import annotations

import gc
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, compress

import torch

from thoplw.capture.abstract import PLAIN
from thoplw.capture.process import ONE_PATH

#: Containers whose content a forward might change in place; each has ``clear`` and ``copy``.
_CONTAINERS = frozenset({dict, OrderedDict, list, set, deque})


@contextmanager
def preserved(modules: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Put all modules of a model in evaluation mode; on the way out undo that and whatever the forward changed.

    Restored are, for each module: its attributes, with lists, dicts and sets among them (hooks, parameters, buffers,
    submodules; which tensors these are, not what the tensors hold), and its training flag. Besides: the fast path of
    attention, and the stance of the compiler.
    """
    with ExitStack() as undo:
        undo.callback(_attributes(modules))
        for module in modules:
            if getattr(module, "training", False):  # frozen TorchScript has no such flag
                # Not module.eval(): that reaches the children, and may be overridden (to merge weights, say).
                undo.callback(setattr, module, "training", True)
                module.training = False
        undo.enter_context(ONE_PATH)
        yield


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
    if enabled:
        gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _attributes(modules: Sequence[torch.nn.Module]) -> Callable[[], None]:
    """Remember the attributes of some modules; the function returned puts them back."""
    owners = [(module.__dict__, module.__dict__.copy()) for module in modules]
    values = list(chain.from_iterable(before.values() for _, before in owners))
    containers = list(compress(values, map(_CONTAINERS.__contains__, map(type, values))))
    filled = [(container, container.copy()) for container in containers if container]

    def restore() -> None:
        for container in filter(None, containers):  # most are empty and stay so
            container.clear()
        for container, content in filled:
            if not container:  # one that modules share is full again
                (container.extend if isinstance(container, (list, deque)) else container.update)(content)
        for attributes, before in owners:
            attributes.clear()
            attributes.update(before)

    return restore
