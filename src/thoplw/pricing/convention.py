"""What a counting convention is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import torch

from thoplw.errors import InputError
from thoplw.pricing.parameters import Parameters
from thoplw.records import Call, ModuleCall
from thoplw.work import Work

#: What an operator costs: a function, or ``None`` for one that is known and free.
Row = Callable[[Call], Work | int] | None

#: What a whole call of a module costs; where it returns ``None``, what ran inside is priced by itself.
ModuleRow = Callable[[ModuleCall], Work | int | None]


@dataclass(frozen=True, slots=True)
class Convention:
    """A way to count: one table.

    Attributes:
        name: as ``profile(convention=...)`` takes it.
        rows: what things cost. A key is an operator (``"aten.linear"``, with its overload ``"aten.linear.default"``, or
            ``torch.ops.aten.linear``), whose row is a function of a :class:`~thoplw.Call`, or ``None`` for free; or a
            class of modules, whose row is a function of a :class:`~thoplw.ModuleCall`. One of a library that need not
            be installed goes by its name, ``"timm.layers.attention:Attention"``. A function returns
            :class:`~thoplw.Work`, or a whole number of multiply-accumulates. The topmost call that has a row
            is priced and covers everything under it. An operator without a row is taken apart; a kernel without one
            has no price. The in-place variant of an operator goes by the row of the operator.
        based_on: a convention, or its name, that gives rows, unit and parameters where this one has none.
        unit: whether its figures are multiply-accumulates (``"MAC"``, unless said otherwise) or floating-point
            operations (``"FLOP"``).
        parameters: which parameters count, see :mod:`thoplw.pricing.parameters`; those of modules that ran, unless
            said otherwise.
        mirrors: the tool whose figures it gives, with its version.
        subclasses: whether the row of a class of modules also prices modules of classes derived from it.
        operators: the rows of operators, by name.
        modules: the rows of classes of modules.

    Raises:
        InputError: a key is neither.
    """

    name: str
    rows: Mapping[Any, Any] = field(repr=False)
    based_on: Convention | str | None = None
    unit: Literal["MAC", "FLOP"] | None = field(default=None, kw_only=True)
    parameters: Parameters | None = field(default=None, kw_only=True, repr=False)
    mirrors: str = field(default="", kw_only=True)
    subclasses: bool = field(default=True, kw_only=True)
    operators: Mapping[str, Row] = field(init=False, repr=False, compare=False)
    modules: Mapping[type | str, ModuleRow] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        operators: dict[str, Row] = {}
        modules: dict[type | str, ModuleRow] = {}
        for key, row in self.rows.items():
            if (isinstance(key, type) and issubclass(key, torch.nn.Module)) or (isinstance(key, str) and ":" in key):
                modules[key] = row
            elif isinstance(key, (str, torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
                operators[str(key)] = row
            else:
                raise InputError(
                    f"convention {self.name!r} has a row for {key!r}: a row is for an operator, such as 'aten.linear', "
                    "or for a class of modules, such as torch.nn.Linear"
                )
        object.__setattr__(self, "operators", MappingProxyType(operators))
        object.__setattr__(self, "modules", MappingProxyType(modules))

    def measure(self, work: Work) -> int:
        """The figure that this convention reports of some work."""
        return work.flops if self.unit == "FLOP" else work.macs

    def on(self, base: Convention) -> Convention:
        """This convention with what it lacks taken from another."""
        return Convention(
            self.name,
            {**base.rows, **self.rows},
            unit=self.unit or base.unit,
            parameters=self.parameters or base.parameters,
            mirrors=self.mirrors,
            subclasses=self.subclasses,
        )

    def row_of(self, cls: type) -> ModuleRow | None:
        """The row of a class of modules, or of the nearest class that it is derived from."""
        classes = cls.__mro__ if self.subclasses else (cls,)
        keys = (key for each in classes for key in (each, f"{each.__module__}:{each.__qualname__}"))
        return next((self.modules[key] for key in keys if key in self.modules), None)
