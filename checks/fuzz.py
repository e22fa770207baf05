"""Hold what is said of a module that was drawn at random against a real run.

Each module has a number, which is its seed. It runs for real, abstractly, and executed under the profiler; in every
module inside of it the multiply-accumulates are those of ``checks/oracle.py``, and outputs have the shapes, dtypes and
strides of the real run. ``tools/fuzz.py`` draws many.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import TimeoutError as Late
from multiprocessing import get_context
from typing import Any, NamedTuple

import torch
from checks.drawn import Drawn, drawn
from checks.oracle import oracle_macs
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import _get_current_dispatch_mode

from thoplw.api.profile import observe
from thoplw.capture import expand
from thoplw.capture.abstract import Specs
from thoplw.capture.nesting import tensors_in
from thoplw.capture.options import Options
from thoplw.pricing import find, price
from thoplw.record import TensorSpec

#: A module takes milliseconds; one that takes this long hangs.
SECONDS = 60

#: Worker processes are replaced after so many modules.
MODULES = 2000

#: What a run tells of a module: which it was, what it multiplied itself and in modules inside of it, what it returned.
Seen = tuple[str, int, tuple[TensorSpec, ...]]


class Finding(NamedTuple):
    """What came of a module: ``result`` is "equal", "refused" by torch, or in what the runs differ."""

    seed: int
    name: str
    result: str
    text: str = ""


def really(model: torch.nn.Module, args: tuple[Any, ...]) -> list[Seen]:
    """What every module does in a real run, in the order in which they return."""
    names = {module: path for path, module in model.named_modules()}
    specs, begun, seen = Specs(), [], []

    def before(module: torch.nn.Module, given: Any) -> None:
        begun.append(_get_current_dispatch_mode().macs)

    def after(module: torch.nn.Module, given: Any, output: Any) -> None:
        macs = _get_current_dispatch_mode().macs - begun.pop()
        seen.append((names[module], macs, tuple(map(specs.of, tensors_in(output)))))

    hooks = register_module_forward_pre_hook(before), register_module_forward_hook(after)
    try:
        oracle_macs(model, *args)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def said(model: torch.nn.Module, args: tuple[Any, ...], execute: bool) -> list[Seen]:
    """What the profiler says of the same."""
    order: list[int] = []
    trace = observe(model, args, Options(execute=execute, on_return=lambda scope, *_: order.append(scope)))
    macs = [work.macs for work in price(trace, find("macs"), expand=expand).own]
    for at in reversed(range(len(macs))):  # those inside of others come later
        if trace.scopes[at].parent >= 0:
            macs[trace.scopes[at].parent] += macs[at]
    return [(trace.modules[trace.scopes[at].module].path, macs[at], trace.scopes[at].outputs) for at in order]


def difference(real: list[Seen], told: list[Seen]) -> tuple[str, str] | None:
    """In what two runs differ first, and how."""
    if [path for path, *_ in real] != [path for path, *_ in told]:
        return "modules", f"{[path for path, *_ in real]} for real, {[path for path, *_ in told]} said"
    for (path, macs, outputs), (_, said_macs, said_outputs) in zip(real, told, strict=True):
        if macs != said_macs:
            return "MACs", f"in {path!r}: {macs} for real, {said_macs} said"
        if len(outputs) != len(said_outputs):
            return "outputs", f"in {path!r}: {len(outputs)} for real, {len(said_outputs)} said"
        for output, said_output in zip(outputs, said_outputs, strict=True):
            for what in ("shape", "dtype"):
                if getattr(output, what) != getattr(said_output, what):
                    return what, f"in {path!r}: {getattr(output, what)} for real, {getattr(said_output, what)} said"
            if output.numel and output.strides != said_output.strides:
                return (
                    "strides",
                    f"in {path!r}: {output.shape} by {output.strides} for real, {said_output.strides} said",
                )
    return None


def examined(seed: int) -> Finding:
    """Draw a module, run it in every way, and compare."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)  # kernels are chosen by whether there are several
    with torch.no_grad():
        name = "?"
        try:
            first = drawn(seed)
            name = first.name
            real = really(first.module, first.args)
        except Exception as error:
            return Finding(seed, name, "refused", _sentence(error))
        for way, execute in (("abstract", False), ("executed", True)):
            found = _told(drawn(seed), real, execute)
            if found is not None:
                return Finding(seed, name, f"{found[0]} ({way})", f"{first}: {found[1]}")
    return Finding(seed, name, "equal")


def _told(again: Drawn, real: list[Seen], execute: bool) -> tuple[str, str] | None:
    try:
        return difference(real, said(again.module, again.args, execute))
    except Exception as error:
        return type(error).__name__, _sentence(error)


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def findings(seeds: Iterable[int]) -> Iterator[Finding]:
    """Examine modules in a worker process, which is replaced where one hangs or takes the process with it."""
    from pebble import ProcessExpired, ProcessPool

    with ProcessPool(max_workers=1, max_tasks=MODULES, context=get_context("spawn")) as pool:
        waiting = [(seed, pool.schedule(examined, (seed,), timeout=SECONDS)) for seed in seeds]
        for seed, future in waiting:
            try:
                yield future.result()
            except Late:
                yield Finding(seed, "?", "late", f"no answer in {SECONDS} s")
            except ProcessExpired as error:
                yield Finding(seed, "?", "died", f"exit code {error.exitcode}")
