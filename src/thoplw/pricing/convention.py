"""What a counting convention is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Literal

from thoplw.errors import InputError
from thoplw.pricing.keys import is_module_class, is_operator, operator_name
from thoplw.pricing.parameters import Parameters
from thoplw.record import Call, ModuleCall, Trace, Work, class_names

#: What an operator costs: a function, or ``None`` for one that is known and free.
Price = Callable[[Call], Work | int] | None

#: The price of a whole call of a module; if it returns ``None``, the operators inside are priced one by one.
ModulePrice = Callable[[ModuleCall], Work | int | None]


#: What follows from a record as a whole: terms, each with its scope.
Formula = Callable[[Trace], Iterable[tuple[int, Call, Work]]]

#: Unit of a convention -> its part of some work.
MEASURES: Mapping[str, Callable[[Work], int]] = MappingProxyType(
    {"MAC": attrgetter("macs"), "FLOP": attrgetter("flops")}
)


@dataclass(frozen=True, slots=True)
class Convention:
    """A way to count: a table of prices, and which parameters count.

    Attributes:
        name: as ``profile(convention=...)`` takes it.
        prices: the costs of operators and modules. A key is an operator (``"aten.linear"``, with its overload
            ``"aten.linear.default"``, or ``torch.ops.aten.linear``), whose price is a function of a
            :class:`~thoplw.Call`, or ``None`` for free; or a class of modules, whose price is a function of a
            :class:`~thoplw.ModuleCall`. A class goes by its name, which can be given in its place where its library
            need not be installed: ``"timm.layers.attention:Attention"``. A function returns :class:`~thoplw.Work`, or
            a whole number of multiply-accumulates. The topmost call that has a price covers everything under it. An
            operator without a price is taken apart; a kernel without one is uncounted. The in-place variant of an
            operator goes by the price of the operator.
        based_on: a convention, or its name, that gives prices, unit and parameters where this one has none.
        unit: whether its figures are multiply-accumulates (``"MAC"``, unless said otherwise) or floating-point
            operations (``"FLOP"``).
        parameters: which parameters count, see :mod:`thoplw.pricing.parameters`; those of modules that ran, unless
            said otherwise.
        mirrors: the tool whose figures of a model in evaluation mode it gives, with its version.
        whole_only: whether it prices operators as a model calls them, and refuses a run that has them in pieces.
        subclasses: whether the price of a class of modules also prices modules of classes derived from it.
        registry: gives prices of operators that others add while a process runs. They go before those of this table,
            and before those of what an operator is a part of.
        formula: adds what follows from a record as a whole, term by term: the scope that it belongs to, a call whose
            target names it, and the work.
        operators: the prices of operators, by name.
        modules: the prices of classes of modules, by ``module:qualname``.

    Raises:
        InputError: a key is neither an operator nor a class of modules, a price is not a function, or the unit is
            unknown.
    """

    name: str
    prices: Mapping[Any, Any] = field(repr=False)
    based_on: Convention | str | None = None
    unit: Literal["MAC", "FLOP"] | None = field(default=None, kw_only=True)
    parameters: Parameters | None = field(default=None, kw_only=True, repr=False)
    mirrors: str = field(default="", kw_only=True)
    whole_only: bool = field(default=False, kw_only=True)
    subclasses: bool = field(default=True, kw_only=True)
    registry: Callable[[], Mapping[str, Price]] | None = field(default=None, kw_only=True, repr=False)
    formula: Formula | None = field(default=None, kw_only=True, repr=False)
    operators: Mapping[str, Price] = field(init=False, repr=False, compare=False)
    modules: Mapping[str, ModulePrice] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.unit is not None and self.unit not in MEASURES:
            raise InputError(f"convention {self.name!r} has unit {self.unit!r}: give 'MAC' or 'FLOP'")
        operators: dict[str, Price] = {}
        modules: dict[str, ModulePrice] = {}
        for key, price in self.prices.items():
            if price is not None and not callable(price):
                raise InputError(
                    f"convention {self.name!r} has {price!r} as the price for {key}: give a function of a call, such "
                    "as `lambda call: 2 * call.outputs[0].numel`, or None if it is free"
                )
            if is_module_class(key):
                modules[class_names(key)[0]] = price
            elif isinstance(key, str) and ":" in key:
                modules[key] = price
            elif isinstance(key, str) or is_operator(key):
                operators[operator_name(key)] = price
            else:
                raise InputError(
                    f"convention {self.name!r} has a price for {key!r}: a price is of an operator, such as "
                    "'aten.linear', or of a class of modules, such as torch.nn.Linear"
                )
        object.__setattr__(self, "operators", MappingProxyType(operators))
        object.__setattr__(self, "modules", MappingProxyType(modules))

    def measure(self, work: Work) -> int:
        """An amount of work as one number, in the unit of this convention."""
        return MEASURES[self.unit or "MAC"](work)

    def on(self, base: Convention) -> Convention:
        """This convention, with missing prices, unit, parameters and registry taken from another."""
        return Convention(
            self.name,
            {**base.prices, **self.prices},
            unit=self.unit or base.unit,
            parameters=self.parameters or base.parameters,
            mirrors=self.mirrors,
            whole_only=self.whole_only or base.whole_only,
            subclasses=self.subclasses,
            registry=self.registry or base.registry,
            formula=self.formula or base.formula,
        )

    def price_of(self, classes: tuple[str, ...]) -> ModulePrice | None:
        """Return the price of a class of modules, or of its nearest base class that has one.

        Args:
            classes: the names of both, the nearest first, as :class:`~thoplw.record.ModuleInfo` has them.
        """
        known = classes if self.subclasses else classes[:1]
        return next((self.modules[name] for name in known if name in self.modules), None)
