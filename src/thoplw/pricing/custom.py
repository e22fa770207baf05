"""``custom_ops``: functions of the user that price operators and modules."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from thoplw.errors import CustomOpError, add_note
from thoplw.pricing.convention import Convention, Price
from thoplw.pricing.keys import CONTROL_FLOW, MODULE, is_module_class, is_operator, names_operator, operator_name
from thoplw.pricing.price import Holds, Priced, price
from thoplw.record import Call, Expand, Trace, Work, as_work, class_names

#: A live module of torch.
Module = Any

_FORMS = "{nn.Module subclass: f(module, inputs, output) -> cost} or {torch.ops.lib.op: f(call) -> cost}"


class CustomOps:
    """The functions of one profile: some price operators, others whole modules.

    Attributes:
        convention: prices everything else; a plain number that a function returns is in its unit.
        operators: operator -> price.
        flows: the control-flow operators among them, which have to be recorded as a whole.
    """

    def __init__(self, functions: Mapping[Any, Callable[..., Any]] | None, convention: Convention) -> None:
        """Check the functions.

        Raises:
            CustomOpError: a key is neither a module class nor an operator that can have a price, or a function takes
                other arguments.
        """
        self.convention = convention
        self.operators: dict[str, Price] = {}
        self._functions: dict[type, Callable[..., Any]] = {}
        self._calls: list[tuple[int, Module, tuple[Any, ...], Any]] = []
        self._used: set[str] = set()
        if not isinstance(functions, (Mapping, type(None))):
            raise CustomOpError(f"custom_ops takes {_FORMS}, not a {type(functions).__name__}")
        for key, function in (functions or {}).items():
            if is_module_class(key):
                _check_arity(key.__name__, function, "module", "inputs", "output")
                self._functions[key] = function
            elif is_operator(key) or names_operator(key):
                name = operator_name(key)
                _check_arity(name, function, "call")
                self.operators[name] = self._price(name, function)
            else:
                raise CustomOpError(f"custom_ops takes {_FORMS}; the key {key!r} is neither{_hint(key)}")

        self.flows = CONTROL_FLOW.intersection(self.operators)

    @property
    def on_return(self) -> Callable[[int, Module, tuple[Any, ...], Any], None] | None:
        """What a run is to call for each call of a module; ``None`` if no function prices modules."""
        return self._keep if self._functions else None

    def _keep(self, scope: int, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the call of a module if one of the functions prices its class."""
        if self._function_for(module) is not None:
            self._calls.append((scope, module, inputs, output))

    @cached_property
    def scopes(self) -> Mapping[int, Work]:
        """The prices of the calls that were noted, by scope.

        Raises:
            CustomOpError: a function returned no number.
        """
        prices = {}
        for scope, module, inputs, output in self._calls:
            function = self._function_for(module)
            assert function is not None  # or the call had not been noted
            prices[scope] = self._work(type(module).__name__, function, module, inputs, output)
        return prices

    def price(self, trace: Trace, expand: Expand) -> Priced:
        """Price a trace with these functions, and everything that they do not price by the convention.

        Raises:
            CustomOpError: a function returned no number.
        """
        priced = price(trace, self.convention, prices=self.operators, scopes=self.scopes, expand=expand)
        unused = tuple(self._unused(trace, expand))
        return replace(priced, unused=unused) if unused else priced

    def _function_for(self, module: Module) -> Callable[..., Any] | None:
        """Return the function of the module's class, or of its nearest base class that has one."""
        return next((self._functions[cls] for cls in type(module).__mro__ if cls in self._functions), None)

    def _price(self, name: str, function: Callable[..., Any]) -> Price:
        def priced(call: Call) -> Work:
            self._used.add(name)
            return self._work(name, function, call)

        return priced

    def _work(self, name: str, function: Callable[..., Any], *arguments: Any) -> Work:
        """Call a price function, and check that it returned an amount of work."""
        what = f"{_name(function)}, which prices {name},"
        try:
            price = function(*arguments)
        except Exception as error:
            add_note(error, f"raised in custom_ops by {what.rstrip(',')}")
            raise
        return as_work(price, f"custom_ops: {what}", self.convention.unit or "MAC")

    def _unused(self, trace: Trace, expand: Expand) -> Iterator[str]:
        """Yield the keys for which nothing ran, not even inside a module or operator that another function prices."""
        calls = {call for call, _ in trace.steps} if self.operators else ()
        for name in self.operators:
            if name not in self._used and not any(map(Holds({name: None}, expand).at_all, calls)):
                yield name
        if self._functions:
            ran = {name for scope in trace.scopes for name in trace.modules[scope.module].classes}
            yield from (cls.__name__ for cls in self._functions if class_names(cls)[0] not in ran)


def _hint(key: Any) -> str:
    """Return what may have been meant by a wrong key."""
    if isinstance(key, str):
        if key.isidentifier():
            return f". Are these inputs by name? thoplw.Inputs(x, {key}=...) takes them"
        return '. An operator goes by "aten.addmm" or "mylib::decay"; a module by its class'
    if MODULE in class_names(type(key)):
        return f". Give its class, {type(key).__name__}: it prices all modules of the class"
    if callable(key):
        name = getattr(key, "__name__", "addmm")
        return f". A function calls operators, such as torch.ops.aten.{name} or torch.ops.higher_order.{name}"
    return ""


def _check_arity(name: str, function: Callable[..., Any], *arguments: str) -> None:
    wanted = f"f({', '.join(arguments)}) -> cost"
    if not callable(function):
        raise CustomOpError(f"custom_ops: {name} is given {function!r}, not a function {wanted}")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C do not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise CustomOpError(
            f"custom_ops: {_name(function)}{signature}, which prices {name}, cannot be called as {wanted}"
        ) from None


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
