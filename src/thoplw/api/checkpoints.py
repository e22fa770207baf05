"""Which blocks of a model to checkpoint, so that a training step keeps within some memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from thoplw.api.budget import size
from thoplw.api.training import profile_training
from thoplw.errors import InputError, UnknownNameError
from thoplw.record import Kind
from thoplw.render.units import quantity
from thoplw.report.layer_info import LayerInfo
from thoplw.report.rollup import cumulative

#: Containers that call their modules one after the other, or whose modules a forward calls so.
_LISTS = (torch.nn.Sequential, torch.nn.ModuleList)

#: Kinds of memory that checkpointing does not reduce.
_FIXED = (Kind.WEIGHTS, Kind.BUFFERS, Kind.GRADIENTS, Kind.OPTIMIZER)

_SMALLER = "take a smaller batch"
_NO_BLOCK = f"as nn.Sequential and nn.ModuleList hold none that has modules itself: {_SMALLER}"

#: How many plans may turn out too large, and how many blocks of a plan are left out to see whether it needs them.
_TRIES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Blocks to checkpoint.

    Attributes:
        blocks: paths of those that are checkpointed, in the order in which the model defines them.
        candidates: paths of all that could be.
        report: on the training step with these blocks checkpointed; ``report.memory.peak`` keeps within the limit.
    """

    blocks: tuple[str, ...]
    candidates: tuple[str, ...]
    report: LayerInfo

    @property
    def recomputation(self) -> float:
        """The work that is computed again, as a part of the forward."""
        phases = self.report.by_phase()
        return phases["recomputation"] / phases["forward"] if phases["forward"] else 0.0

    def __str__(self) -> str:
        peak = quantity(self.report.memory.peak, "B")
        if not self.blocks:
            return f"Nothing needs to be checkpointed: the peak is {peak}."
        return (
            f"Checkpoint {len(self.blocks)} of {len(self.candidates)} blocks: {', '.join(self.blocks)}. The peak is "
            f"{peak} then, and {100 * self.recomputation:.2f} % of the forward is computed once more."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """The cost to compute a block again, and the bytes that need not be kept then."""

    path: str
    cost: int
    saved: int


def checkpoints(
    model: torch.nn.Module, inputs: Any, limit: int | str, *, blocks: Sequence[str] | None = None, **options: Any
) -> Plan:
    """Choose the blocks whose recomputation costs least, so that a training step takes no more than a limit.

    The choice is a knapsack of what each block saves and costs. What it really takes at the peak is told by a run of
    it, without arithmetic; where that is still too much, the next choice has to save more.

    Args:
        model: any module.
        inputs: what it takes, as for :func:`thoplw.profile_training`.
        limit: bytes that may be requested at the peak, as a number or as in ``"24GB"``.
        blocks: paths of modules that may be checkpointed; by default those that ``nn.Sequential`` and ``nn.ModuleList``
            hold, as far as they hold modules themselves.
        options: of the step, as for :func:`thoplw.profile_training`.

    Raises:
        InputError: it does not fit with all of them checkpointed, or the limit is no number of bytes.
        UnknownNameError: the model has no module of a path.
    """
    limit = size(limit)
    modules = dict(model.named_modules())
    paths = list(_blocks(model) if blocks is None else blocks)
    for path in paths:
        if path not in modules:
            raise UnknownNameError("module", path, modules)

    def run(chosen: Sequence[str]) -> LayerInfo:
        with _checkpointed([modules[path] for path in chosen]):
            return profile_training(model, inputs, memory=True, verbose=False, **options)

    plain = run(())
    if plain.memory.peak <= limit:
        return Plan(blocks=(), candidates=tuple(paths), report=plain)
    known = _read(plain, paths)
    if not known:
        raise InputError(f"{_exceeds(plain, limit)}, and there is no block to checkpoint, {_NO_BLOCK}")
    wanted = plain.memory.peak - limit
    for _ in range(_TRIES):
        chosen = least(known, wanted)
        if chosen is None:
            break
        report = run(chosen)
        if report.memory.peak <= limit:
            return _pruned(chosen, report, known, limit, run)
        wanted += report.memory.peak - limit
    everything = [block.path for block in known]
    report = run(everything)
    if report.memory.peak > limit:
        raise InputError(f"with all {len(known)} blocks checkpointed {_exceeds(report, limit)}: {_SMALLER}")
    return _pruned(everything, report, known, limit, run)


def _exceeds(report: LayerInfo, limit: int) -> str:
    """Say how much memory is taken, how much of it with any batch, and how much is allowed."""
    memory = report.memory
    fixed = quantity(sum(memory.by_kind.get(kind.label, 0) for kind in _FIXED), "B")
    return (
        f"the peak is {quantity(memory.peak, 'B')}, of which weights, gradients and optimizer take {fixed}, and "
        f"{quantity(limit, 'B')} are allowed"
    )


def least(blocks: Sequence[_Block], wanted: int) -> list[str] | None:
    """Return the cheapest blocks that save at least some bytes; of equal ones the first, which save for longest.

    ``None`` where all together save less.
    """
    # Cost and bytes of each set that no other beats in both.
    known: list[tuple[int, int, tuple[int, ...]]] = [(0, 0, ())]
    unit = max(1, wanted // 10_000)  # sets that save nearly the same are one
    for place, block in enumerate(blocks):
        both = [*known, *((cost + block.cost, saved + block.saved, (*of, place)) for cost, saved, of in known)]
        both.sort(key=lambda each: (each[0], -min(each[1], wanted), each[2]))
        known, best = [], -1
        for each in both:
            if min(each[1], wanted) // unit > best:
                known.append(each)
                best = min(each[1], wanted) // unit
    enough = [each for each in known if each[1] >= wanted]
    return [blocks[place].path for place in enough[0][2]] if enough else None


def _pruned(
    chosen: Sequence[str],
    report: LayerInfo,
    known: Sequence[_Block],
    limit: int,
    run: Callable[[Sequence[str]], LayerInfo],
) -> Plan:
    """Leave out blocks that turn out not to be needed, the most expensive first."""
    costs = {block.path: block.cost for block in known}
    for path in sorted(chosen, key=lambda path: -costs[path])[:_TRIES]:
        others = [each for each in chosen if each != path]
        found = run(others)
        if found.memory.peak <= limit:
            chosen, report = others, found
    return Plan(blocks=tuple(chosen), candidates=tuple(block.path for block in known), report=report)


def _blocks(model: torch.nn.Module) -> Iterator[str]:
    """Return the modules in lists that are not lists and hold modules; of nested ones, the outermost."""
    inside = ""
    for path, module in model.named_modules():
        if inside and path.startswith(inside):
            continue
        holder = model.get_submodule(path.rpartition(".")[0])
        if path and isinstance(holder, _LISTS) and not isinstance(module, _LISTS) and any(module.children()):
            inside = f"{path}."
            yield path


def _read(report: LayerInfo, paths: Sequence[str]) -> list[_Block]:
    """Return for each block that ran once its cost in the forward, and the bytes that it keeps besides its output."""
    rows = {row.name: row for row in cumulative(report.modules)}
    memory = report.memory
    trace = memory.trace
    kept = dict.fromkeys(paths, 0)
    for storage in memory.alive(memory.peak_at):
        if storage.kind is Kind.ACTIVATIONS:
            module = trace.modules[trace.scopes[trace.steps[storage.step][1]].module].path
            for path in paths:
                if module == path or module.startswith(f"{path}."):
                    kept[path] += storage.size
    outputs = {trace.modules[scope.module].path: sum(spec.nbytes for spec in scope.outputs) for scope in trace.scopes}
    return [
        _Block(path=path, cost=max(1, rows[path].phases["forward"]), saved=max(0, kept[path] - outputs.get(path, 0)))
        for path in paths
        if path in rows and rows[path].calls
    ]


@contextmanager
def _checkpointed(modules: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Make modules keep only their inputs, and repeat their forward in the backward pass."""
    with ExitStack() as undo:
        for module in modules:
            had = "forward" in vars(module)
            forward: Any = module.forward
            undo.callback(setattr if had else _delete, module, "forward", *((forward,) if had else ()))
            vars(module)["forward"] = partial(checkpoint, forward, use_reentrant=False)
        yield


def _delete(module: torch.nn.Module, name: str) -> None:
    del vars(module)[name]
