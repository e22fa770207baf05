"""Answer operators that take functions, such as ``torch.cond``, ``scan`` and flex attention.

Control flow is run as the Python that it stands for: all that its functions run is recorded in the module that calls
them, as often as it runs. So a real run counts the branch that was taken, and every turn of a loop. If the operator has
a price of its own, it is one record instead, and all that it ran are the parts of that record.

An abstract run knows shapes, lengths and small integers, and needs no assumption where these decide. If a value that it
does not know decides between branches, it takes the costliest one, and lists that as an assumption.

Flex attention stays one record. If its block mask is known, the record says which part of the scores is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from thoplw.capture.nesting import map_tensors
from thoplw.capture.operators import target_of
from thoplw.capture.run import Run
from thoplw.capture.torch_internals import flows_before_autograd, kernel_in_python, running_mode
from thoplw.formulas import FORMULAS
from thoplw.record import ZERO, Call, Work

_FLEX = "higher_order.flex_attention"

#: Flex attention and its gradient -> position of the block mask.
_BLOCK_MASKS = MappingProxyType({_FLEX: 4, f"{_FLEX}_backward": 9})


def answer(run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer an operator that takes functions; the run is not entered when this is called.

    Raises:
        DataDependentError: the length of a loop depends on a value that does not exist.
        InputError: an abstract run meets an operator that it does not know.
    """
    target = target_of(func)
    flow = CONTROL_FLOW.get(target)
    if flow is not None and target not in run.priced:
        with run:
            return flow(run, func, *args, **kwargs)
    if flow is not None:
        with run.steps_apart() as steps, run:
            output = flow(run, func, *args, **kwargs)
        run.record(run.call(func, args, kwargs, output, tuple(call for call, _ in steps)))
        return output
    output = run.answer_higher_order(func, args, kwargs)
    if target == _FLEX:
        _note_weights(run, args[0], args[3])
    call = run.call(func, args, kwargs, output)
    run.record(_with_sparsity(run, call, args) if target in _BLOCK_MASKS else call)
    return output


# -- control flow ------------------------------------------------------------------------------------------------------


def _cond(run: Run, func: Any, holds: Any, if_true: Any, if_false: Any, operands: Sequence[Any] = ()) -> Any:
    if run.knows(holds):
        return (if_true if holds else if_false)(*operands)
    return _costliest(run, func, (if_true, if_false), operands)


def _switch(run: Run, func: Any, index: Any, branches: Sequence[Any], operands: Sequence[Any] = ()) -> Any:
    if run.knows(index):
        return branches[int(index)](*operands)
    return _costliest(run, func, branches, operands)


def _while_loop(
    run: Run, func: Any, goes_on: Any, body: Any, carried: Sequence[Any], more: Sequence[Any] = (), **options: Any
) -> Any:
    """Loop over flat values, and return them in the structure of the body's output."""
    values = [value.clone() if isinstance(value, torch.Tensor) else value for value in carried]
    structure = None
    while goes_on(*values, *more):
        values, structure = tree_flatten(body(*values, *more))
    if structure is None:
        with run.rehearsal():
            structure = tree_flatten(body(*values, *more))[1]
    return tree_unflatten(values, structure)


def _map(run: Run, func: Any, body: Any, xs: Sequence[Any], more: Sequence[Any] = (), **options: Any) -> Any:
    turns = [body(*each, *more) for each in zip(*[x.unbind(0) for x in xs], strict=True)]
    return tree_map(lambda *each: _stacked(each), *turns)


def _scan(
    run: Run, func: Any, body: Any, init: Sequence[Any], xs: Sequence[Any], more: Sequence[Any] = (), **options: Any
) -> Any:
    """Return the last carry and the stacked outputs of all turns, in the structure of the body's output."""
    carry, turns, structure = list(init), [], None
    for each in zip(*[x.unbind(0) for x in xs], strict=True):
        flat, structure = tree_flatten(body(*carry, *each, *more))
        carry, out = flat[: len(init)], flat[len(init) :]
        turns.append(out)
    if structure is None:
        with run.rehearsal():
            flat, structure = tree_flatten(body(*carry, *[x.new_zeros(x.shape[1:]) for x in xs], *more))
        stacked = [None if out is None else out.new_empty((0, *out.shape)) for out in flat[len(init) :]]
    else:
        stacked = list(map(_stacked, zip(*turns, strict=True)))
    return tree_unflatten([*carry, *stacked], structure)


def _stacked(turns: tuple[Any, ...]) -> Any:
    return torch.stack(turns) if isinstance(turns[0], torch.Tensor) else turns[0]


def _as_torch_does(run: Run, func: Any, *args: Any, **kwargs: Any) -> Any:
    """Run torch's own kernel, which is written in Python."""
    return kernel_in_python(func)(*args, **kwargs)


def _hinted(run: Run, func: Any, body: Any, args: Sequence[Any], named: Mapping[str, Any], *hints: Any) -> Any:
    return body(*args, **named)


def _strict(run: Run, func: Any, body: Any, operands: Sequence[Any]) -> Any:
    return body(*operands)


def _subgraph(run: Run, func: Any, body: Any, identifier: Any, *operands: Any) -> Any:
    return body(*operands)


def _one(run: Run, func: Any, body: Any, *operands: Any, **options: Any) -> Any:
    return body(*operands)


#: Operator -> a function that does the same in Python.
CONTROL_FLOW: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "higher_order.associative_scan": _as_torch_does,
        "higher_order.cond": _cond,
        "higher_order.foreach_map": _one,
        "higher_order.hints_wrapper": _hinted,
        "higher_order.invoke_subgraph": _subgraph,
        "higher_order.map_impl": _map,
        "higher_order.out_dtype": _as_torch_does,
        "higher_order.scan": _scan,
        "higher_order.strict_mode": _strict,
        "higher_order.switch": _switch,
        "higher_order.while_loop": _while_loop,
    }
)


def differentiated(when: Callable[[], bool]) -> AbstractContextManager[None]:
    """While ``when`` is true, show autograd what the functions of control flow run, in place of the operator."""
    return flows_before_autograd([target.removeprefix("higher_order.") for target in CONTROL_FLOW], when)


def _costliest(run: Run, func: Any, branches: Sequence[Any], operands: Sequence[Any]) -> Any:
    """Rehearse every branch, and run the costliest; of equal ones, run the first."""
    costs = []
    for branch in branches:
        with run.rehearsal() as steps:
            # A branch may write to its operands, so those with values are cloned.
            branch(*map_tensors(tuple(operands), lambda tensor: tensor.clone() if run.knows(tensor) else tensor))
        work = sum((_work(call) for call, _ in steps), ZERO)
        costs.append((work.macs, work.flops))
    run.assume("the costliest branch is taken", target_of(func))
    return branches[costs.index(max(costs))](*operands)


def _work(call: Call) -> Work:
    """Return the cost of a call by thoplw's formulas; zero if there is none."""
    for target in (call.target, call.target.removesuffix("_")):
        if target in FORMULAS:
            formula = FORMULAS[target]
            return ZERO if formula is None else formula(call)
    return sum(map(_work, call.parts or ()), ZERO)


# -- flex attention ----------------------------------------------------------------------------------------------------


def _note_weights(run: Run, query: torch.Tensor, of_scores: Callable[..., Any]) -> None:
    """Record the weights that a function of scores reads, such as a table of biases. Nothing else runs the function."""
    read, refused = set[int](), len(run.refusals)
    # torch calls the function under vmap, and it may refuse plain numbers: then its weights stay unknown.
    with run.rehearsal(), suppress(Exception), run:
        of_scores(query.new_zeros(()), *torch.zeros(4, dtype=torch.int64).unbind())
        read = run.used.copy()
    run.used |= read
    del run.refusals[refused:]


def trained_of_scores(query: torch.Tensor, of_scores: Callable[..., Any]) -> tuple[torch.Tensor, ...]:
    """Return one score if gradients flow through the function of scores, as into a table of biases; else nothing."""
    run = running_mode()
    with run.rehearsal(), suppress(Exception):  # the function may refuse plain numbers, as above
        score = of_scores(query.new_zeros(()), *torch.zeros(4, dtype=torch.int64).unbind())
        return (score,) if score.requires_grad else ()
    return ()


def _with_sparsity(run: Run, call: Call, args: tuple[Any, ...]) -> Call:
    """Return the record of flex attention, with the computed part of the scores as density of the block counts."""
    where = _BLOCK_MASKS[call.target]
    part = _computed(run, call.target, args[where], args[0].shape[-2], args[1].shape[-2])
    if part == 1:
        return call
    mask = call.args[where]
    counts = run.specs.intern(replace(mask[2], density=part))
    seen = (*mask[:2], counts, *mask[3:])
    return replace(call, args=(*call.args[:where], seen, *call.args[where + 1 :]))


def _computed(run: Run, target: str, mask: tuple[Any, ...], queries: int, keys: int) -> Fraction | int:
    """Return the part of the scores in blocks that a mask keeps, in part or in full.

    If the mask depends on values, or is too large to be kept, this assumes that every score is computed.

    ``mask`` is ``BlockMask.as_tuple()``. It has counts of blocks in a row, [B, H, rows of blocks], and indices of their
    columns, [B, H, rows of blocks, columns of blocks], of which only the first ones count, as many as the counts say.
    It has both for blocks that are masked in part, and for full blocks. Blocks at the edges are smaller.
    """
    tensors = [tensor for tensor in mask[2:6] if tensor is not None]
    if not queries * keys:
        return 1
    if not all(map(run.knows, tensors)):
        run.assume("the block mask is not known, so every score is computed", target)
        return 1
    sizes = [value for value in mask[6:] if type(value) is int]
    if len(tensors) not in (2, 4) or len(sizes) < 2:
        return 1
    counts, indices = tensors[0], tensors[1]
    rows = _cut(queries, sizes[-2], indices.shape[-2])
    columns = _cut(keys, sizes[-1], indices.shape[-1])
    computed = 0
    for counts, indices in zip(tensors[::2], tensors[1::2], strict=True):
        meant = torch.arange(indices.shape[-1], device=indices.device) < counts[..., None]
        widths = columns.to(indices.device)[indices.long().clamp(0, len(columns) - 1)] * meant
        computed += int((widths.sum(-1) * rows.to(indices.device)).sum())
    masks = counts.numel() // counts.shape[-1]
    return Fraction(computed, masks * queries * keys)


def _cut(length: int, size: int, blocks: int) -> torch.Tensor:
    """Return the sizes of the blocks that cover a length, ``[blocks]``."""
    return torch.tensor([max(0, min(size, length - size * block)) for block in range(blocks)], dtype=torch.int64)
