"""Everything thoplw raises on purpose.

::

    ThoplwError
    ├── InputError (ValueError)              an argument cannot be used
    │   └── UnknownNameError                 no such convention, kind, model, ...; says which are near
    ├── CustomOpError (TypeError)            a function in ``custom_ops`` cannot price what it was given
    ├── DataDependentError (RuntimeError)    the model decided on a value that a run without arithmetic lacks
    ├── UncountedError                       ``strict=True`` and something has no price
    └── MissingExtraError (ImportError)      an optional package is needed; says the pip line

An error of the model's own forward is none of these: it comes through as it was raised.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ThoplwError(Exception):
    """Base of all errors that thoplw raises on purpose."""


class InputError(ThoplwError, ValueError):
    """An argument cannot be used: the message quotes it and says what would do."""


class UnknownNameError(InputError):
    """A name that is not in a table: the message offers the near ones, or all of them."""

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
        if near:
            hint = f"Did you mean {' or '.join(map(repr, near))}?"
        elif not names:
            hint = "There is none."
        elif len(names) <= 20:
            hint = f"Known: {', '.join(names)}."
        else:
            hint = f"{len(names)} are known."
        super().__init__(f"unknown {what} {name!r}. {hint}")


class CustomOpError(ThoplwError, TypeError):
    """A function given in ``custom_ops`` has the wrong arity, or returned no number."""


class DataDependentError(ThoplwError, RuntimeError):
    """The model decided on the value of a tensor that has none, as nothing was computed."""


class UncountedError(ThoplwError):
    """``strict=True``, and at least one operator has no price in the convention."""


class MissingExtraError(ThoplwError, ImportError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'thoplw[{extra}]'")
