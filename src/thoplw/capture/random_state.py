"""Restore the shared random generators after a run, and leave those of other threads alone."""

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

    Another thread may draw from the same generator meanwhile, and would meet the same numbers again. So the state of
    torch's is put back only if the run itself drew from it, as ``drew`` tells, or somebody seeded it; or if there is no
    other thread. Of those of Python and NumPy nobody can tell who drew: they are put back if anybody did.
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
        random.setstate(python)  # sooner done than asked whether it is another
        if numpy:
            numpy.random.set_state(of_numpy)
