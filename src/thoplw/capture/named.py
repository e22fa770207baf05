"""The variables of files that functions use by name, which a run puts back: a global optimizer, or a cache, say."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType
from typing import Any


def named_by(functions: Iterable[Any]) -> list[Any]:
    """What some functions, and those of the same files that they call, use by name; with these functions."""
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
        # Of the user's own file: what others have is none of theirs.
        waiting += [each for each in used if getattr(each, "__globals__", None) is variables]
    return list(found.values())
