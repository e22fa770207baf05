"""Build a model without weights: what every zoo uses."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from thoplw.capture.timing.machine import free_memory
from thoplw.errors import InputError, MissingExtraError, message_of
from thoplw.render.units import quantity

Inputs = tuple[Any, ...] | dict[str, Any] | None
Built = tuple[nn.Module, Inputs]


def build(builder: Callable[[], Any], real: bool, *ways: AbstractContextManager[Any]) -> Any:
    """Call a builder without allocating weights, unless ``real``; allocate if it needs the values of its tensors.

    Each way is tried in order while the builder fails for want of values. Any other error is its own, and comes through
    at once: to try again would take the time and the memory of real weights, to fail alike.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Models warn about missing weights, which a profile does not need.
        for without_weights in () if real else ways or (torch.device("meta"), WeightsOnMeta()):
            try:
                with without_weights, Unfilled():
                    return builder()
            except Exception as error:
                if not _wants_values(error):
                    raise
        return builder()


def require_room(model: nn.Module) -> None:
    """Refuse to allocate the weights of a model that do not fit: a process that takes too much is ended without a word.

    Raises:
        InputError: there is less memory than they need.
    """
    tensors = (*model.parameters(), *model.buffers())
    needed, free = sum(each.numel() * each.element_size() for each in tensors), free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"the weights of {type(model).__name__} need {quantity(needed, 'B')}, and {quantity(free, 'B')} of memory "
            "are free: run it where there is more, or make the model smaller, as hf: and a folder with a config.json "
            "of fewer layers does. To count it, thoplw profile needs no weights"
        )


def _wants_values(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, tells of a tensor on the meta device: torch names that in all of them.

    For example ``Tensor.item() cannot be called on meta tensors``.
    """
    while error is not None:
        if issubclass(type(error), NotImplementedError) or "meta" in message_of(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return False


class WeightsOnMeta(TorchFunctionMode):
    """Put only weights on the meta device, for builders that compute with other tensors, such as RegNet's widths."""

    CREATE_WEIGHTS = frozenset({torch.empty, torch.ones, torch.rand, torch.randn, torch.zeros})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.CREATE_WEIGHTS and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


class Unfilled(TorchFunctionMode):
    """Do not fill weights that have no values: that was most of the time it took to build a vision transformer."""

    FILLS = frozenset(
        getattr(torch.Tensor, name) for name in "add_ clamp_ erfinv_ fill_ mul_ normal_ uniform_ zero_".split()
    )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.FILLS and args[0].is_meta and not any(isinstance(each, torch.Tensor) for each in args[1:]):
            return args[0]
        return func(*args, **(kwargs or {}))


def empty(*shape: int) -> torch.Tensor:
    """A tensor on the meta device."""
    return torch.empty(shape, device="meta")


def zoo(module: str, purpose: str) -> Any:
    """Import a module of an optional package.

    Raises:
        MissingExtraError: the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtraError(package, purpose) from error
    return importlib.import_module(module)
