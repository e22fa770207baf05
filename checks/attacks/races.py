"""Other threads do things while a model is profiled.

A race is lost where a figure is wrong, a thread fails, hangs or sees other random numbers, or anything of torch, of
Python or of the model is left as it was not.
"""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import MappingProxyType
from typing import Any

import torch
from checks.attacks.tries import Tries, drawn
from checks.releases import has_fast_path
from torch import nn
from torch.nn.modules import module as module_globals

import thoplw

#: A race that takes longer hangs.
SECONDS = 120

#: How often a race is raced.
DRAWS = 5

Race = Callable[[random.Random], None]


def _model(draw: random.Random) -> tuple[nn.Module, int]:
    """Some layers of 16 MACs for each row of an input, and how many."""
    layers = draw.randint(2, 12)
    parts = [module for _ in range(layers) for module in (nn.Linear(4, 4), draw.choice([nn.ReLU, nn.Dropout])())]
    return nn.Sequential(nn.Sequential(*parts[: layers // 2 * 2]), *parts[layers // 2 * 2 :]), layers


def _macs(model: nn.Module, rows: int, execute: bool) -> int:
    return thoplw.profile(model, torch.ones(rows, 4), convention="macs", verbose=False, execute=execute)[0]


@contextlib.contextmanager
def _meanwhile(work: Callable[[], Any], threads: int = 2) -> Iterator[None]:
    """Have threads do some work over and over; what they raise is raised here."""
    stop, failed = threading.Event(), list[BaseException]()

    def repeat() -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:  # whatever it is, it is lost otherwise
            failed.append(error)

    others = [threading.Thread(target=repeat) for _ in range(threads)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        stop.set()
        for other in others:
            other.join()
    if failed:
        raise failed[0]


def _at_once(*jobs: Callable[[], Any]) -> None:
    with ThreadPoolExecutor(len(jobs)) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def served(draw: random.Random) -> None:
    """The model serves other threads while it is profiled."""
    model, layers = _model(draw)
    with _meanwhile(lambda: model(torch.ones(1, 4))):
        for _ in range(10):
            assert _macs(model, 2, execute=False) == 2 * 16 * layers


def served_executed(draw: random.Random) -> None:
    """The same, with ``execute=True``."""
    model, layers = _model(draw)
    with _meanwhile(lambda: model(torch.ones(1, 4))):
        for _ in range(10):
            assert _macs(model, 2, execute=True) == 2 * 16 * layers


def trained(draw: random.Random) -> None:
    """Another thread trains the model, and comes to the weights that it would have come to."""
    model, layers = _model(draw)
    model.eval()  # no dropout, for both to have the same weights
    alone, steps = copy.deepcopy(model), count()

    def step(model: nn.Module = model) -> None:
        model.zero_grad()
        # A loss with a minimum: without one weights grow to NaN, which equals nothing.
        model(torch.ones(1, 4)).square().sum().backward()
        with torch.no_grad():
            for weight in model.parameters():
                assert weight.grad is not None
                weight.sub_(weight.grad, alpha=1e-3)

    with _meanwhile(lambda: (next(steps), step()), threads=1):
        for number in range(100):
            assert _macs(model, 2, execute=number % 2 == 1) == 2 * 16 * layers
    for _ in range(next(steps)):
        step(alone)
    assert all(map(torch.equal, model.parameters(), alone.parameters()))


def profiled_twice(draw: random.Random) -> None:
    """Threads profile one model at the same time."""
    model, layers = _model(draw)

    def job(execute: bool) -> None:
        for _ in range(5):
            assert _macs(model, 3, execute) == 3 * 16 * layers

    _at_once(*(lambda execute=execute: job(execute) for execute in (False, True, False)))


def counted_and_profiled(draw: random.Random) -> None:
    """Threads count and profile models of their own at the same time."""

    def job(count: bool) -> None:
        for _ in range(5):
            model, layers = _model(draw)
            if count:
                with thoplw.count("macs") as counted:
                    model(torch.ones(2, 4))
                assert counted.total_macs == 2 * 16 * layers
                assert len(counted.calls) == 1
            else:
                assert _macs(model, 2, execute=False) == 2 * 16 * layers

    _at_once(*(lambda count=count: job(count) for count in (False, True, True)))


def hooks_left(draw: random.Random) -> None:
    """Other threads are in the midst of calls while profiles begin and end."""
    slow, other = nn.Sequential(*(nn.Identity() for _ in range(draw.randint(50, 200)))), nn.Linear(4, 4)
    with _meanwhile(lambda: slow(torch.ones(1)), threads=4):
        for _ in range(30):
            assert _macs(other, 1, execute=draw.random() < 0.5) == 16


def modules_made(draw: random.Random) -> None:
    """Other threads make modules while profiles begin and end."""
    other = nn.Linear(4, 4)
    with _meanwhile(lambda: nn.LSTM(2, 2, num_layers=4), threads=3):
        for _ in range(30):
            assert _macs(other, 1, execute=draw.random() < 0.5) == 16


def random_numbers(draw: random.Random) -> None:
    """Another thread draws random numbers, and gets those that it would have got."""
    seed, model = draw.randint(0, 2**31), _model(draw)[0]
    many = 2_000
    torch.manual_seed(seed)
    expected = [torch.rand(1).item() for _ in range(many)]
    drawn: list[float] = []
    torch.manual_seed(seed)

    def job() -> None:
        for _ in range(many):
            drawn.append(torch.rand(1).item())

    other = threading.Thread(target=job)
    other.start()
    while other.is_alive():
        _macs(model, 2, execute=draw.random() < 0.5)
    other.join()
    assert drawn == expected


def own_threads(draw: random.Random) -> None:
    """The model works in threads of its own, while another thread serves."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(_model(draw)[0] for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with ThreadPoolExecutor(3) as pool:
                return torch.stack(list(pool.map(lambda part: part(x), self.parts)))

    model = Branches()
    layers = sum(isinstance(module, nn.Linear) for module in model.modules())
    with _meanwhile(lambda: model.parts[0](torch.ones(1, 4)), threads=1):
        for _ in range(5):
            assert _macs(model, 2, execute=draw.random() < 0.5) == 2 * 16 * layers


RACES: Mapping[str, Race] = MappingProxyType(
    {
        race.__name__: race
        for race in (
            served,
            served_executed,
            trained,
            profiled_twice,
            counted_and_profiled,
            hooks_left,
            modules_made,
            random_numbers,
            own_threads,
        )
    }
)


def _left() -> dict[str, Any]:
    """What a race may not change."""
    return {
        "hooks": [
            len(hooks) for name, hooks in vars(module_globals).items() if name.startswith("_global") and name[-1] == "s"
        ],
        "fast path": has_fast_path(),
        "modes": torch._C._len_torch_dispatch_stack(),
        "inference": torch.is_inference_mode_enabled(),
        "recursion": sys.getrecursionlimit(),
        "threads": (threading.Thread.start, ThreadPoolExecutor.submit),
    }


def raced(name: str, seed: int, draws: int) -> None:
    """Race some times, each time with another draw; fail where a race is lost."""
    draw = random.Random(f"{name} {seed}")
    for _ in range(draws):
        before = _left()
        RACES[name](draw)
        after = _left()
        assert after == before, f"left: {after} for {before}"


def tries(count: int, seed: int) -> Tries:
    """Races drawn, each in a process of its own, so that one that hangs ends."""
    for name in drawn(list(RACES), count, seed):
        process = multiprocessing.get_context("spawn").Process(target=raced, args=(name, seed, DRAWS))
        process.start()
        process.join(SECONDS)
        hangs = process.is_alive()
        if hangs:
            process.kill()
            process.join()
        yield (
            name,
            f"hangs after {SECONDS} s" if hangs else f"ended with {process.exitcode}" if process.exitcode else "",
        )
