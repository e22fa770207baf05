"""What the attacks share: they try many things, and tell of each what broke."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

#: Of every try: what it was, and what broke; nothing where all is as it should be.
Tries = Iterator[tuple[str, str]]


def drawn(known: Sequence[T], count: int, seed: int) -> list[T]:
    """Some of them, by the seed, in the order in which they are known; all where the count is as large."""
    if count >= len(known):
        return list(known)
    return [known[index] for index in sorted(random.Random(seed).sample(range(len(known)), count))]


def told(attempt: Callable[[], str]) -> str:
    """What an attempt tells, or the error that it ends with."""
    try:
        return attempt()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
