"""Names, counts and shapes as people read them."""

from __future__ import annotations

from collections.abc import Iterable
from reprlib import Repr
from typing import Any

Shape = Iterable[int]


def named(path: str) -> str:
    """A module by its path; the model itself, whose path is empty, is ``(model)``."""
    return path or "(model)"


def count(number: int, noun: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def some(items: Iterable[str], most: int = 5, between: str = ", ") -> str:
    """A list, cut after the first few: ``a, b, c, d, e and 3 more``."""
    known = list(items)
    return between.join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")


def shapes_in_words(shapes: Iterable[Shape], times: str = " x ") -> str:
    """``3 x 224 x 224, 10``; a shape without sizes is ``scalar``."""
    return ", ".join(times.join(map(str, shape)) or "scalar" for shape in shapes)


def visible(text: str) -> str:
    r"""Escape control characters as Python source does: a newline becomes ``\n``.

    Names of modules and texts of errors come from users or files, and a terminal would obey what they contain.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def storable(text: str) -> str:
    r"""Escape halves of characters, which no file can hold: a name out of JSON or of a file system may have them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


#: Most characters of a value in a message.
_MOST = 40

#: Writes a value as ``repr`` does, but does not go deep into one that is nested.
_BRIEF = Repr()
_BRIEF.maxlist = _BRIEF.maxdict = _BRIEF.maxstring = _BRIEF.maxlong = _BRIEF.maxother = _MOST


def shown(value: Any) -> str:
    """A value out of a file, for a message: as Python source has it, cut if it is long."""
    text = _BRIEF.repr(value)
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."
