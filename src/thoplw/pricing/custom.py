"""``custom_ops``: the user's own functions as prices."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from thoplw.errors import CustomOpError
from thoplw.pricing.convention import Price
from thoplw.pricing.keys import is_module_class, is_operator
from thoplw.record import Work, as_work

#: A live module of torch.
Module = Any

_FORMS = "{nn.Module subclass: f(module, inputs, output) -> MACs} or {torch.ops.lib.op: f(call) -> MACs}"


class CustomOps:
    """The functions of one profile: some price operators, others whole modules.

    Attributes:
        prices: operator -> price.
    """

    def __init__(self, functions: Mapping[Any, Callable[..., Any]] | None) -> None:
        """Check the functions.

        Raises:
            CustomOpError: a key is neither a module class nor an operator, or a function takes other arguments.
        """
        self.prices: dict[str, Price] = {}
        self._functions: dict[type, Callable[..., Any]] = {}
        self._calls: list[tuple[int, Module, tuple[Any, ...], Any]] = []
        for key, function in (functions or {}).items():
            if is_module_class(key):
                _check_arity(key.__name__, function, "module", "inputs", "output")
                self._functions[key] = function
            elif is_operator(key):
                _check_arity(str(key), function, "call")
                self.prices[str(key)] = _price(str(key), function)
            else:
                raise CustomOpError(f"custom_ops takes {_FORMS}; the key {key!r} is neither.")

    def watch(self, scope: int, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Note the call of a module, if one of the functions prices it."""
        if self._functions and self._function_for(module) is not None:
            self._calls.append((scope, module, inputs, output))

    def scopes(self) -> dict[int, Work]:
        """The prices of the calls that were noted, by scope.

        Raises:
            CustomOpError: a function returned no number.
        """
        prices = {}
        for scope, module, inputs, output in self._calls:
            function = self._function_for(module)
            assert function is not None  # or the call had not been noted
            prices[scope] = _work(type(module).__name__, function, module, inputs, output)
        return prices

    def _function_for(self, module: Module) -> Callable[..., Any] | None:
        """The function of the module's class, or of the nearest base of it that has one."""
        return next((self._functions[cls] for cls in type(module).__mro__ if cls in self._functions), None)


def _price(name: str, function: Callable[..., Any]) -> Price:
    return lambda call: _work(name, function, call)


def _work(name: str, function: Callable[..., Any], *arguments: Any) -> Work:
    """What a function says of some arguments."""
    return as_work(function(*arguments), f"custom_ops: {_name(function)}, which prices {name},")


def _check_arity(name: str, function: Callable[..., Any], *arguments: str) -> None:
    wanted = f"f({', '.join(arguments)}) -> MACs"
    if not callable(function):
        raise CustomOpError(f"custom_ops: {name} is given {function!r}, not a function {wanted}.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C do not tell
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise CustomOpError(
            f"custom_ops: {_name(function)}{signature}, which prices {name}, cannot be called as {wanted}."
        ) from None


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
