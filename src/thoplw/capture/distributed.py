"""Refuse models and tensors that are split over processes, before anything is run.

A count of the part that one process has is neither the whole's nor, with what is gathered meanwhile, a process's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from thoplw.errors import InputError

#: Classes of tensors that are a part of a whole.
_TENSORS = frozenset({"DTensor"})

#: Classes of modules that gather their weights when they are called, and give them up again.
_MODULES = frozenset({"FSDPModule", "FullyShardedDataParallel"})


@cache
def is_split(cls: type) -> bool:
    """Whether tensors or modules of a class are spread over processes."""
    return any(
        base.__module__.startswith("torch.distributed.") and base.__name__ in _TENSORS | _MODULES
        for base in cls.__mro__
    )


def refuse_split(what: str, classes: Iterable[type]) -> None:
    """Refuse something, which ``what`` says in words, if any of its classes is spread over processes.

    Raises:
        InputError: it is so.
    """
    for cls in classes:
        if is_split(cls):
            raise InputError(
                f"{what} is a {cls.__name__}, which is split over processes: what one of them has is not what the "
                "model costs. Profile the model as it is before parallelize_module, distribute_tensor, fully_shard or "
                "FSDP; its weights may be on the meta device (with torch.device('meta'): ...)."
            )
