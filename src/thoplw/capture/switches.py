"""Leave the switches of torch as they were, such as the default dtype, which a forward may set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _be_deterministic(switches: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(switches[0], warn_only=switches[1])


#: How a switch is read, and how it is set.
_SWITCHES: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (_deterministic, _be_deterministic),
)


@contextmanager
def switches_kept() -> Iterator[None]:
    """On the way out, set switches back, and empty autocast's cache, which may hold abstract copies of weights."""
    before = [read() for read, _ in _SWITCHES]
    try:
        yield
    finally:
        torch.clear_autocast_cache()
        for (read, put), value in zip(_SWITCHES, before, strict=True):
            if read() != value:
                put(value)
