"""The modules of a profile as a tree with figures, from which pages and flame graphs are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineFigure:
    """A figure of every module.

    Attributes:
        name: the key in :attr:`OutlineModule.own`.
        label: its name for people, such as ``Parameters``.
        unit: of what it counts, in the singular.
        on_page: whether the HTML page offers it.
        on_flame: whether flame graphs have it.
    """

    name: str
    label: str
    unit: str
    on_page: bool = True
    on_flame: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineTotal:
    """A figure of the whole model, ``unit`` in the singular."""

    label: str
    value: int
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineModule:
    """A module.

    Attributes:
        name: its path; empty for the model itself.
        cls: name of its class.
        parent: index of the module that holds it, ``-1`` for the model itself; it comes before.
        inputs: shapes of the tensors it was given in its first call.
        outputs: shapes of the tensors it returned in its first call.
        calls: how many times it was called.
        own: figure -> its own.
        all: figure -> the sum of its own and those of all modules inside.
        operators: operator -> its part of the cost.
    """

    name: str
    cls: str
    parent: int
    inputs: Shapes
    outputs: Shapes
    calls: int
    own: Mapping[str, int]
    all: Mapping[str, int]
    operators: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A profile as a tree.

    Attributes:
        about: model, convention, unit, and versions of thoplw and torch.
        inputs: shapes of the tensors that the model was given.
        outputs: shapes of the tensors that it returned.
        figures: the figures that every module has.
        totals: figures of the whole model.
        modules: in definition order; the model itself is the first.
        uncounted: operator -> calls, modules and shapes, for operators without a price.
        unseen: operator -> the same, for operators that multiply and accumulate, but the mirrored tool ignores.
        assumptions: statement -> operators, calls and modules.
        not_executed: path -> parameters, for modules that never ran.
        on_device: the device that it is beside, and its floors, in lines.
    """

    about: Mapping[str, str]
    inputs: Shapes = ()
    outputs: Shapes = ()
    figures: tuple[OutlineFigure, ...]
    totals: tuple[OutlineTotal, ...] = ()
    modules: tuple[OutlineModule, ...]
    uncounted: Mapping[str, Any] = field(default_factory=dict)
    unseen: Mapping[str, Any] = field(default_factory=dict)
    assumptions: Mapping[str, Any] = field(default_factory=dict)
    not_executed: Mapping[str, int] = field(default_factory=dict)
    on_device: tuple[str, ...] = ()
