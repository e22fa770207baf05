"""Find the global variables that functions use, such as an optimizer or a cache, so that a run restores them."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType
from typing import Any


def named_by(functions: Iterable[Any]) -> list[Any]:
    """Return some functions, the functions of the same file that they call, and the global variables that these use."""
    found: dict[int, Any] = {}
    waiting = [*functions]
    while waiting:
        function = waiting.pop()
        if type(function) is not FunctionType or id(function) in found:
            continue
        found[id(function)] = function
        variables = function.__globals__
        used = [variables[name] for name in function.__code__.co_names if name in variables]
        found |= {id(value): value for value in used if type(value) is not FunctionType}
        # Only functions of the same file are followed.
        waiting += [each for each in used if getattr(each, "__globals__", None) is variables]
    return list(found.values())
