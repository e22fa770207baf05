"""Everything thoplw raises on purpose.

::

    ThoplwError
    ├── InputError (ValueError)              an argument cannot be used
    │   └── UnknownNameError                 a convention, format, model, ... is unknown; suggests similar names
    ├── CustomOpError (TypeError)            a function in ``custom_ops`` takes or returns the wrong thing
    ├── DataDependentError (RuntimeError)    the model needs the value of a tensor, and nothing is computed
    ├── UncountedError                       ``strict=True``, and an operator has no price
    ├── NoFormulaError                       no formula gives the cost of all runs; the message lists them
    └── MissingExtraError (ImportError)      an optional package is needed; gives the pip command

An error that the model's forward raises is not wrapped: it comes through as it was raised.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress


class ThoplwError(Exception):
    """Base of all errors that thoplw raises on purpose."""


class InputError(ThoplwError, ValueError):
    """An argument cannot be used: the message quotes it, and says what to give instead."""


#: If so few names are known, the message lists them all, besides the similar one: "gpu" is not meant to be "cpu".
_FEW = 2

#: If no name is similar, the message lists all names, up to this many.
_LISTED = 24

#: A part of what was typed that has no more characters than this is not taken for a name.
_SHORT = 2


class UnknownNameError(InputError):
    """An unknown name: the message suggests similar ones, or lists all of them if there are few."""

    def __init__(self, what: str, name: object, known: Iterable[str]) -> None:
        names = sorted(known)
        near = _similar(str(name), names)
        if near:
            hint = f"Did you mean {' or '.join(map(repr, near))}?"
            if len(names) == _FEW:
                hint += f" Known: {', '.join(names)}"
        elif not names:
            hint = "There is none"
        elif len(names) <= _LISTED:
            hint = f"Known: {', '.join(name or repr(name) for name in names)}"
        else:
            hint = f"None of the {len(names)} known names is similar"
        super().__init__(f"unknown {what} {name!r}. {hint}")


def _similar(name: str, names: Sequence[str]) -> list[str]:
    """Up to three of the names that somebody may have meant who typed another one, in upper or lower case."""
    typed = name.lower()
    by_lower: dict[str, list[str]] = {}
    for each in names:
        by_lower.setdefault(each.lower(), []).append(each)
    lower = difflib.get_close_matches(typed, by_lower, n=3, cutoff=0.6)
    lower.sort(key=lambda each: (each != typed, not each.startswith(typed)))  # names that go on from it come first
    family = sorted((each for each in by_lower if each.startswith(f"{typed}-")), key=len)  # A100: a100-sxm
    lower = sorted(dict.fromkeys([*lower, *family]), key=lambda each: (each != typed, each not in family))
    if not lower and len(names) > _LISTED and len(name) > 1:
        holding = [each for each in by_lower if typed in each]
        lower = sorted(holding, key=lambda each: (not each.startswith(typed), len(each)))
    if not lower:  # bert-base-uncased: bert
        last = typed.rpartition("/")[2]
        starts = (last[: found.start()] for found in reversed([*re.finditer(r"[-_. ]|$", last)]))
        lower = [each for each in starts if len(each) > _SHORT and each in by_lower]
    return [each for near in lower for each in by_lower[near]][:3]


class CustomOpError(ThoplwError, TypeError):
    """A key or a function in ``custom_ops`` cannot be used: it takes other arguments, or returned no number."""


class DataDependentError(ThoplwError, RuntimeError):
    """The control flow of the model depends on the value of a tensor, which an abstract run does not compute."""


class UncountedError(ThoplwError):
    """``strict=True``, and at least one operator has no price in the convention."""


class NoFormulaError(ThoplwError):
    """No polynomial gives the cost of a model at all sizes that were tried: the message has the table of the runs."""


class MissingExtraError(ThoplwError, ImportError):
    """An optional package is not installed, or does not work with the packages that are."""

    def __init__(self, package: str, purpose: str, problem: str = "") -> None:
        problem = problem or f"which is not installed: pip install {package}"
        super().__init__(f"{purpose} needs {package}, {problem}")


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an error that is not ours, as ``error.add_note(note)`` does since Python 3.11.

    Python 3.10 prints no notes below a traceback; our command line does. An error whose class does not take notes stays
    as it is.
    """
    with suppress(Exception):
        error.__notes__ = [*notes_of(error), note]


def notes_of(error: BaseException) -> list[str]:
    """The notes of an error; none if its class, which is the user's, has something else there."""
    try:
        return [str(note) for note in getattr(error, "__notes__", ())]
    except Exception:
        return []


def message_of(error: BaseException) -> str:
    """What an error says. Its class is the user's, so that its ``__str__`` may raise anything."""
    try:
        return str(error)
    except BaseException:
        return "(its message cannot be read)"
