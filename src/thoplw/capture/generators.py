"""Consume the generators that a forward returns: a generator runs only while items are taken from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
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
            "the forward is asynchronous (async def), and a run does not await it: give a module with a plain forward."
        )
    if isinstance(output, AsyncIterator):
        raise InputError(
            "the forward is an asynchronous generator (async def with yield), and a run does not await it: give a "
            "module with a plain forward."
        )
    if isinstance(output, (tuple, list, Mapping)):
        for each in output.values() if isinstance(output, Mapping) else output:
            exhaust(each)
    if not isinstance(output, Iterator):
        return
    for _ in islice(output, _MOST_ITEMS):
        pass
    if next(output, output) is not output:
        raise InputError(
            f"the forward returns a generator that has more than {_MOST_ITEMS:,} items: profile a module that takes as "
            "many from it as you need."
        )
