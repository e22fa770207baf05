"""The profile of a model that did not run: its parameters, and no cost."""

from __future__ import annotations

import torch

from thoplw.capture.abstract import Specs
from thoplw.capture.torch_internals import VERSION
from thoplw.capture.weights import Weights
from thoplw.pricing import Convention
from thoplw.record import ZERO, Weight
from thoplw.report.figures import Charge, figures_of
from thoplw.report.profile import About, Profile
from thoplw.report.rows import Row


def at_rest(model: torch.nn.Module, convention: Convention) -> Profile:
    """A profile with the parameters of every module; a shared parameter counts for the first module that holds it.

    Raises:
        InputError: a lazy parameter has no shape yet.
    """
    weights = Weights(Specs())
    weights.add(model)
    seen: set[int] = set()
    depths: list[int] = []
    rows = []
    for info in weights.infos:
        depths.append(depths[info.parent] + 1 if info.parent >= 0 else 0)
        charge = Charge(cost=0, work=ZERO, weights=_new(info.parameters, seen), calls=0)
        rows.append(Row(name=info.path, cls=info.class_name, depth=depths[-1], figures=figures_of(charge)))
    about = About(
        model=weights.infos[0].class_name,
        convention=convention.name,
        unit=convention.unit or "MAC",
        torch=VERSION,
    )
    return Profile(about=about, modules=tuple(rows))


def _new(parameters: tuple[Weight, ...], seen: set[int]) -> tuple[Weight, ...]:
    """Return the parameters that no earlier module has, and add them to ``seen``."""
    first = []
    for weight in parameters:
        if weight.key not in seen:
            seen.add(weight.key)
            first.append(weight)
    return tuple(first)
