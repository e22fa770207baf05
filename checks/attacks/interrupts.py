"""Ctrl-C at random moments of a profile: nothing of the model, of torch or of Python is half done."""

from __future__ import annotations

import gc
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.modules.module as module_globals
from checks.attacks.tries import Tries, told
from checks.releases import has_fast_path
from torch import nn

import thoplw
from thoplw.capture.torch_internals import dispatch_modes, function_modes, is_below_autograd


class Untidy(nn.Module):
    """Layers, and a forward that writes to all that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(12))
        self.norm = nn.BatchNorm1d(8)
        self.seen: list[Any] = []
        self.cache: dict[str, Any] = {"nested": [None]}
        self.helper = Helper()
        self.steps = torch.zeros(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, C, C] -> [N, C, C]``."""
        for layer in self.layers:
            x = layer(x)
            self.seen.append(x)
            self.cache[f"x{len(self.seen)}"] = x
        self.cache["nested"][0] = self.helper.x = self.last = x
        self.steps += 1
        self.norm.weight.requires_grad_(False)
        self.norm.register_forward_hook(lambda *_: None)
        return self.norm(x)


class Helper:
    """An object of the model's."""

    x: Any = 1


def tries(count: int, seed: int) -> Tries:
    """Interrupts by a timer, of abstract and executed profiles in turns; each of a model that is new."""
    draw = random.Random(seed)
    x = torch.ones(2, 8, 8)
    before = signal.signal(signal.SIGALRM, _interrupt)
    try:
        for execute in (False, True):  # imports, and facts about operators
            _profile(Untidy(), x, execute)
        lengths = {execute: _seconds(partial(_profile, Untidy(), x, execute)) for execute in (False, True)}
        for number in range(count):
            execute = number % 2 == 1
            after = draw.uniform(1e-5, 1.2 * lengths[execute])
            yield (
                f"{1e3 * after:.3f} ms, {'executed' if execute else 'abstract'}",
                told(partial(_interrupted, Untidy(), x, execute, after)),
            )
    finally:
        signal.signal(signal.SIGALRM, before)


def _interrupted(model: Untidy, x: torch.Tensor, execute: bool, after: float) -> str:
    before = _state(model)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, after)
            _profile(model, x, execute)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:  # in the profile, or in the two lines around it
        pass
    now = _state(model)
    changed = [f"{key}: {before[key]!r:.100} became {now[key]!r:.100}" for key in before if before[key] != now[key]]
    if not changed:
        model(x).sum().backward()
    return "; ".join(changed)


def _state(model: Untidy) -> dict[str, Any]:
    return {
        "attributes": [(type(m).__name__, [*vars(m)], m.training, len(m._forward_hooks)) for m in model.modules()],
        "weights": [(name, id(w), w.requires_grad, w.tolist()) for name, w in model.state_dict(keep_vars=True).items()],
        "held": (len(model.seen), {**model.cache}, model.cache["nested"][0], model.helper.x, model.steps.item()),
        "hooks": (len(module_globals._global_forward_hooks), len(module_globals._global_forward_pre_hooks)),
        "modes": (dispatch_modes(), function_modes(), is_below_autograd(), torch.is_grad_enabled()),
        "torch": (has_fast_path(), torch.Tensor.numpy, torch.get_rng_state().sum().item()),
        "process": (gc.isenabled(), signal.getsignal(signal.SIGALRM), signal.getsignal(signal.SIGINT)),
    }


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _profile(model: nn.Module, x: torch.Tensor, execute: bool) -> None:
    thoplw.profile(model, x, verbose=False, execute=execute)


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
