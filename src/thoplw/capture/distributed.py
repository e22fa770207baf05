"""Refuse models and tensors that are split over processes, before anything is run.

One process has only a part, and gathers others while it runs: a count there is the cost of neither the model nor the
process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache

from thoplw.errors import InputError

#: Classes of tensors that are a part of a whole.
_TENSORS = frozenset({"DTensor"})

#: The file of the class that ``replicate`` gives modules. Each process has a copy; the first call makes them equal.
_COPIES = "torch.distributed._composable.replicate"

#: Classes of modules that gather their weights when they are called, and give them up again.
_MODULES = frozenset({"FSDPModule", "FullyShardedDataParallel"})


@cache
def is_split(cls: type) -> bool:
    """Whether tensors or modules of a class are split over processes."""
    return any(
        base.__module__.startswith("torch.distributed.") and base.__name__ in _TENSORS | _MODULES
        for base in cls.__mro__
    )


def refuse_copies(classes: Iterable[type]) -> None:
    """Refuse to run without arithmetic a model that first exchanges its weights, and cannot go on if that fails.

    Raises:
        InputError: ``replicate`` was applied to a module of one of these classes.
    """
    copies = getattr(sys.modules.get(_COPIES), "DDP", ())
    for cls in classes:
        if issubclass(cls, copies):
            raise InputError(
                f"a module is a {cls.__name__}, which exchanges its weights with other processes when it is first "
                "called, and thoplw does not follow that in a run that computes only shapes. Profile the model before "
                "replicate is applied, or count it on real tensors with execute=True"
            )


def refuse_split(what: str, classes: Iterable[type]) -> None:
    """Refuse what has a class whose objects are split over processes.

    Args:
        what: names it in the error.
        classes: its classes.

    Raises:
        InputError: one of them is split.
    """
    for cls in classes:
        if is_split(cls):
            raise InputError(
                f"{what} is a {cls.__name__}, which is split over processes, and a part of a model does not tell what "
                "the model costs. Profile the model before parallelize_module, distribute_tensor, fully_shard or FSDP "
                "is applied; its weights may be on the meta device (with torch.device('meta'): ...)"
            )
