"""Restore the shared random generators after a run, unless only other threads have drawn from them."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def random_state_kept(drew: Callable[[], bool]) -> Iterator[None]:
    """On the way out, put back the state of every random generator that the run has used.

    Another thread may draw from the same generator meanwhile, and would get the same numbers again. So torch's
    generator is put back only if there is no other thread, if the run drew from it (as ``drew()`` tells), or if
    somebody seeded it. The generators of Python and NumPy do not tell who drew from them, so they are always put back.
    """
    alone = threading.active_count() == 1
    seed, state = torch.initial_seed(), torch.get_rng_state()
    on_devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call] # torch's own gap
    python, numpy = random.getstate(), sys.modules.get("numpy")
    of_numpy = numpy.random.get_state() if numpy else None
    try:
        yield
    finally:
        if alone or drew() or torch.initial_seed() != seed:
            torch.set_rng_state(state)
            if on_devices is not None:
                torch.cuda.set_rng_state_all(on_devices)
        random.setstate(python)  # faster than comparing it first
        if numpy:
            numpy.random.set_state(of_numpy)
