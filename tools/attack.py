"""Attack a profile, and tell what it left changed: seeded and bounded.

::

    python tools/attack.py touch               # 47 kinds of things that a forward may touch, twice each
    python tools/attack.py interrupt -n 1000   # Ctrl-C at random moments of a profile

Each prints a line for what broke, and its figures for ``benchmarks/reliability.md``; it exits with 1 where any did.
"""

from __future__ import annotations

import argparse
import gc
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.modules.module as module_globals
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.touching import KINDS, Plain, touched  # noqa: E402

import thoplw  # noqa: E402
from thoplw.capture.torch_internals import dispatch_modes, function_modes, is_below_autograd  # noqa: E402

#: Of every try: what it was, and what was left changed; nothing where all is as it was.
Tries = Iterator[tuple[str, str]]


def touching(count: int, seed: int) -> Tries:
    """Forwards that touch what they can reach, each kind abstractly and executed."""
    for name, kind in KINDS.items():
        for execute in (False, True):
            run = partial(_profile, execute=execute)
            yield f"{name}, {'executed' if execute else 'abstract'}", _told(lambda k=kind, r=run: touched(k, r))


def interrupts(count: int, seed: int) -> Tries:
    """Interrupts at random moments of a profile, by a timer; both kinds of run in turns."""
    draw = random.Random(seed)
    model, x = Untidy(), torch.ones(2, 8, 8)
    before = signal.signal(signal.SIGALRM, _interrupt)
    try:
        for execute in (False, True):  # imports, and facts about operators
            _profile(model, (x,), execute=execute)
        lengths = {execute: _seconds(partial(_profile, model, (x,), execute=execute)) for execute in (False, True)}
        for number in range(count):
            execute = number % 2 == 1
            after = draw.uniform(1e-5, 1.2 * lengths[execute])
            yield (
                f"{1e3 * after:.3f} ms, {'executed' if execute else 'abstract'}",
                _interrupted(model, x, execute, after),
            )
    finally:
        signal.signal(signal.SIGALRM, before)


ATTACKS: dict[str, Callable[[int, int], Tries]] = {"touch": touching, "interrupt": interrupts}


class Untidy(nn.Module):
    """Layers, and a forward that writes to all that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(12))
        self.norm = nn.BatchNorm1d(8)
        self.seen: list[Any] = []
        self.cache: dict[str, Any] = {"nested": [None]}
        self.helper = Plain(x=1)
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


def _state(model: Untidy) -> dict[str, Any]:
    return {
        "attributes": [(type(m).__name__, [*vars(m)], m.training, len(m._forward_hooks)) for m in model.modules()],
        "weights": [(name, id(w), w.requires_grad, w.tolist()) for name, w in model.state_dict(keep_vars=True).items()],
        "held": (model.seen, {**model.cache}, model.cache["nested"][0], model.helper.x, model.steps.item()),
        "hooks": (len(module_globals._global_forward_hooks), len(module_globals._global_forward_pre_hooks)),
        "modes": (dispatch_modes(), function_modes(), is_below_autograd(), torch.is_grad_enabled()),
        "torch": (torch.backends.mha.get_fastpath_enabled(), torch.Tensor.numpy, torch.get_rng_state().sum().item()),
        "process": (gc.isenabled(), signal.getsignal(signal.SIGALRM), signal.getsignal(signal.SIGINT)),
    }


def _interrupted(model: Untidy, x: torch.Tensor, execute: bool, after: float) -> str:
    before = _state(model)
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        _profile(model, (x,), execute=execute)
    except KeyboardInterrupt:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    now = _state(model)
    changed = [f"{key}: {before[key]!r:.100} became {now[key]!r:.100}" for key in before if before[key] != now[key]]
    return "; ".join(changed) or _told(lambda: str(model(x).sum().backward() or ""))


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _profile(model: nn.Module, inputs: tuple[Any, ...], execute: bool) -> None:
    thoplw.profile(model, inputs, verbose=False, execute=execute)


def _told(attempt: Callable[[], str]) -> str:
    """What an attempt tells, or the error that it ends with."""
    try:
        return attempt()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> int:
    """Run the attacks that are asked for."""
    parser = argparse.ArgumentParser(description="Attack a profile, and tell what it left changed.")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=f"of {', '.join(ATTACKS)}; else all")
    parser.add_argument("-n", "--count", type=int, default=200, help="how many interrupts")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    broken = 0
    for name in chosen.attacks or ATTACKS:
        tries = list(ATTACKS[name](chosen.count, chosen.seed))
        changed = [(what, how) for what, how in tries if how]
        for what, how in changed:
            sys.stdout.write(f"{name}: {what}: {how}\n")
        clean = len(tries) - len(changed)
        sys.stdout.write(f"{name}: {clean} of {len(tries)} left everything as it was (seed {chosen.seed})\n")
        broken += len(changed)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
