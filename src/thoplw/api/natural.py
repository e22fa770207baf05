"""The formula of a model by name, in its natural variables: batch; number of tokens, or resolution."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

from thoplw.api.formula import Formula, search
from thoplw.errors import InputError, NoFormulaError, UnknownNameError
from thoplw.models.sizes import Scalable, scalable
from thoplw.pricing import Convention, find

#: How many of the ranges in which a model runs are searched for residues and cuts, which takes many runs.
_MOST_SEARCHES = 2


def natural(
    model: str | Scalable,
    wanted: Mapping[str, range | None] | None = None,
    *,
    convention: str | Convention = "thoplw",
    memory: bool = False,
    figures: Collection[str] | None = None,
) -> Formula:
    """How the cost of a model of a zoo depends on the sizes of its inputs.

    Args:
        model: its name, as :func:`thoplw.models.registry.load` takes it; or itself, at several sizes.
        wanted: variable -> its sizes, or None for those that the model is likely to take; all its variables if left
            out.
        convention: as for :func:`thoplw.formula`.
        memory: also find the formula of the peak of memory.
        figures: those that are wanted beside the convention's; all if left out. The fewer, the sooner.

    Raises:
        UnknownNameError: the model has no such variable.
        InputError: the model cannot run at some size, of all ranges that were tried.
        NoFormulaError: no formula holds in any of the ranges that were tried.
        Exception: what loading raises comes through.
    """
    found = scalable(model) if isinstance(model, str) else model
    chosen: dict[str, Sequence[range]] = {}
    for variable, sizes in (wanted or dict.fromkeys(found.ranges)).items():
        if variable not in found.ranges:
            raise UnknownNameError(f"variable of {found.name}", variable, found.ranges)
        chosen[variable] = found.ranges[variable] if sizes is None else (sizes,)
    look = partial(_search, found, convention=find(convention), memory=memory, figures=figures)
    tries = [dict(zip(chosen, ranges, strict=True)) for ranges in product(*chosen.values())]
    if len(tries) == 1:
        return look(tries[0])
    failed: InputError | NoFormulaError | None = None
    runs: list[dict[str, range]] = []  # those of which only a formula is missing
    for ranges in tries:
        try:
            return look(ranges, whole=True)
        except InputError as error:
            failed = failed or error
        except NoFormulaError:
            runs.append(ranges)
    for ranges in runs[:_MOST_SEARCHES]:
        try:
            return look(ranges)
        except (InputError, NoFormulaError) as error:
            failed = error
    assert failed is not None  # there is no model without a range
    if wanted is None and len(chosen) > 1 and not runs:
        return _alone(found, "batch", look, failed)
    raise failed


def _alone(found: Scalable, variable: str, look: Callable[..., Formula], failed: Exception) -> Formula:
    """The formula in one variable, of a model that cannot run at other sizes of the rest than its own.

    Raises:
        Exception: ``failed``, if there is no such formula either.
    """
    try:
        formula = look({variable: found.ranges[variable][0]})
    except (InputError, NoFormulaError):
        raise failed from None
    others = ", ".join(f"{name} is {found.own[name]}" for name in found.ranges if name != variable)
    formula.notes += (f"Narrower than could be: {others}, as it did not run at the other sizes that were tried.",)
    return formula


def _search(
    found: Scalable,
    ranges: Mapping[str, range],
    *,
    convention: Convention,
    memory: bool,
    figures: Collection[str] | None,
    whole: bool = False,
) -> Formula:
    model: Any = (lambda resolution: found.model(resolution)) if "resolution" in ranges else found.model(None)
    return search(
        model,
        lambda **sizes: found.inputs(**sizes),
        ranges,
        convention,
        memory=memory,
        whole=whole,
        figures=figures,
    )
