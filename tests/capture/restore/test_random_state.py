"""A run leaves random generators as they were, and the draws of other threads alone."""

from __future__ import annotations

import random
from threading import Event, Thread

import numpy as np
import pytest
import torch

from thoplw.capture.restore.random_state import random_state_kept


@pytest.mark.parametrize("drew", [False, True])
def test_everything_is_put_back_where_there_is_one_thread(drew: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.active_count", lambda: 1)  # whatever the test runner has
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1:3]  # type: ignore[index] # it is a tuple
    with random_state_kept(lambda: drew):
        torch.rand(3), random.random(), np.random.rand(3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert str(np.random.get_state()[1:3]) == str(before[2])  # type: ignore[index] # it is a tuple


@pytest.mark.parametrize(("drew", "undone"), [(False, False), (True, True)])
def test_beside_another_thread_only_what_the_run_drew_is(drew: bool, undone: bool) -> None:
    done = Event()
    other = Thread(target=done.wait, args=(10,))
    other.start()
    before = torch.get_rng_state()
    with random_state_kept(lambda: drew):
        torch.rand(3)  # by the other thread, say
    done.set()
    other.join(10)
    assert torch.equal(torch.get_rng_state(), before) is undone
    torch.set_rng_state(before)


def test_a_seed_is_put_back() -> None:
    seed = torch.initial_seed()
    with random_state_kept(lambda: False):
        torch.manual_seed(seed + 1)
    assert torch.initial_seed() == seed
