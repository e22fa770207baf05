"""The profile of a model that did not run: its parameters, and no cost."""

from __future__ import annotations

from collections import defaultdict

import torch

from thoplw.capture.abstract import Specs
from thoplw.capture.torch_internals import VERSION
from thoplw.capture.weights import Weights
from thoplw.pricing import Convention
from thoplw.pricing.parameters import executed
from thoplw.record import ZERO, Scope, Trace, Weight
from thoplw.report.figures import Charge, figures_of
from thoplw.report.profile import About, Profile
from thoplw.report.rows import Row


def at_rest(model: torch.nn.Module, convention: Convention) -> Profile:
    """A profile with the parameters of every module, those that the convention counts when all modules run.

    Raises:
        InputError: a lazy parameter has no shape yet.
    """
    weights = Weights(Specs())
    weights.add(model)
    scopes = tuple(Scope(index, info.parent) for index, info in enumerate(weights.infos))
    chosen = convention.parameters or executed
    counted: dict[int, list[Weight]] = defaultdict(list)
    for index, weight in chosen(Trace(modules=tuple(weights.infos), scopes=scopes, steps=())):
        counted[index].append(weight)
    depths: list[int] = []
    rows = []
    for index, info in enumerate(weights.infos):
        depths.append(depths[info.parent] + 1 if info.parent >= 0 else 0)
        charge = Charge(cost=0, work=ZERO, weights=tuple(counted[index]), calls=0)
        rows.append(Row(name=info.path, cls=info.class_name, depth=depths[-1], figures=figures_of(charge)))
    about = About(
        model=weights.infos[0].class_name,
        convention=convention.name,
        unit=convention.unit or "MAC",
        torch=VERSION,
    )
    return Profile(about=about, modules=tuple(rows))
