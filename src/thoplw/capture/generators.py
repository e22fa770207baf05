"""Consume the generators that a forward returns: a generator runs only while items are taken from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any

from thoplw.errors import InputError

#: A generator that yields more items than this is taken to be endless.
_MOST_ITEMS = 2**16


def exhaust(output: Any) -> None:
    """Consume every generator in an output, at any depth.

    Raises:
        InputError: a generator does not end, or the forward is asynchronous.
    """
    if isinstance(output, Coroutine):
        output.close()
        raise InputError(
            "the forward is asynchronous (async def), and a run does not await it: give a module with a plain forward"
        )
    if isinstance(output, AsyncIterator):
        raise InputError(
            "the forward is an asynchronous generator (async def with yield), and a run does not await it: give a "
            "module with a plain forward"
        )
    for each in _inside(output):
        exhaust(each)
    if isinstance(output, Iterator) and next(output, output) is not output:
        raise InputError(
            f"the forward returns a generator that has more than {_MOST_ITEMS:,} items: profile a module that takes as "
            "many from it as you need"
        )


def _inside(output: Any) -> Iterable[Any]:
    """What an output consists of, or the first items that it gives."""
    if isinstance(output, (tuple, list)):
        return output
    if isinstance(output, Mapping):
        return output.values()
    if is_dataclass(output) and not isinstance(output, type):
        return [getattr(output, field.name, None) for field in fields(output)]
    return islice(output, _MOST_ITEMS) if isinstance(output, Iterator) else ()
