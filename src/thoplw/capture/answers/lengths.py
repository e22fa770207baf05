"""Record the lengths of packed sequences, which decide what attention costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from thoplw.capture.abstract import abstract
from thoplw.capture.operators import target_of
from thoplw.capture.run import Run
from thoplw.formulas.attention import PACKED

_EQUAL = "packed sequences are equally long"

_ALL = "sequences use all keys that they may"


def with_lengths(
    run: Run, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of an operator on packed sequences, with the lengths as values for its record.

    ``cu_seqlens = tensor([0, 3, 5])`` becomes abstract, with ``(0, 3, 5)`` as the values of its spec. Where its values
    are not known, that is an assumption.
    """
    where = PACKED[target_of(func)]
    changed, named = list(args), dict(kwargs)
    for position in (where.ends, where.ends + 1):
        changed[position] = _with_values(run, func, changed[position], _EQUAL)
    if isinstance(where.used, str):
        if where.used in named:
            named[where.used] = _with_values(run, func, named[where.used], _ALL)
    elif where.used < len(changed):
        changed[where.used] = _with_values(run, func, changed[where.used], _ALL)
    return tuple(changed), named


def _with_values(run: Run, func: Any, lengths: Any, otherwise: str) -> Any:
    if not isinstance(lengths, torch.Tensor):
        return lengths
    if not run.has_values(lengths):
        run.assume(otherwise, target_of(func))
        return lengths
    run.used.add(id(lengths))
    return abstract(run.specs.intern(replace(run.specs.of(lengths), values=tuple(lengths.tolist()))), run.device)
