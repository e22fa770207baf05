"""Put objects that advance when they are used, such as iterators and files, back to where they were, or say so.

For example, a model holds an open file, and every forward reads a line from it: the file is put back. A model that
holds ``itertools.cycle(tables)`` takes a table from it, and nothing can put that back: a warning says so.
"""

from __future__ import annotations

import array
import gc
import io
import itertools
import queue
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from typing import Any

import torch

_SEQUENCES: tuple[Any, ...] = [], (), range(0), range(2**70), "", "\u1234", b"", bytearray(), array.array("b")

#: Classes of iterators that tell their position, and can go back to it.
ITERATORS = tuple({*map(type, map(iter, _SEQUENCES)), type(reversed([])), type(reversed(()))})

#: Classes of the objects that :func:`keeper` takes, besides those of :func:`used` and other iterators.
STREAMS = (*ITERATORS, itertools.count, types.GeneratorType, io.IOBase)

#: How many objects inside of one another tell how far an iterator is.
_LEVELS = 4


def used() -> Iterator[tuple[type, Callable[[Any], Any], str]]:
    """Yield classes with what tells that an object was used, and what a forward did then, in words."""
    yield queue.SimpleQueue, queue.SimpleQueue.qsize, "put into a SimpleQueue, or took from it"
    yield torch.fx.Graph, lambda graph: len(graph.nodes), "edited a graph of torch.fx"
    if (sqlite3 := sys.modules.get("sqlite3")) is not None:
        yield sqlite3.Connection, attrgetter("total_changes"), "wrote to a database"


def keeper(stream: Any, say: Callable[[str], None]) -> Callable[[], None] | None:
    """Return a function that puts a stream back to where it is now, or says that it advanced.

    It is ``None`` if nothing tells the position.

    Args:
        stream: an object of one of :data:`STREAMS`.
        say: called with what cannot be put back, in words such as "took from the generator f".
    """
    if isinstance(stream, ITERATORS):
        return _of_iterator(stream, say)
    if isinstance(stream, (io.StringIO, io.BytesIO)):
        return None if stream.closed else _of_memory(stream)
    if isinstance(stream, io.IOBase):
        return _of_file(stream, say)
    if isinstance(stream, itertools.count):
        return _reported(lambda: repr(stream), f"took from {stream!r}", say)
    for cls, look, words in used():
        if isinstance(stream, cls):
            return _reported(partial(look, stream), words, say)
    if isinstance(stream, types.GeneratorType):
        return _reported(
            lambda: (_last(stream), _within(stream)), f"took from the generator {stream.__qualname__}", say
        )
    name = type(stream).__name__
    return _reported(lambda: _within(stream), f"took from {'an' if name[0] in 'aeiou' else 'a'} {name}", say)


def _reported(look: Callable[[], Any], went_on: str, say: Callable[[str], None]) -> Callable[[], None]:
    """Return a function that says after the run that a stream went on, as it cannot be put back."""
    before = look()

    def put_back() -> None:
        if look() != before:
            say(went_on)

    return put_back


def _of_iterator(iterator: Any, say: Callable[[str], None]) -> Callable[[], None]:
    _, _, *place = iterator.__reduce__()
    if place == [None]:  # the iterator of a range, which cannot go back since Python 3.12
        return _reported(lambda: iterator.__reduce__()[1], f"took from a {type(iterator).__name__}", say)

    def put_back() -> None:
        now = iterator.__reduce__()[2:]
        if place and now != tuple(place):
            if now:
                iterator.__setstate__(place[0])
            else:  # an iterator that has ended no longer refers to its sequence
                say(f"took all from a {type(iterator).__name__}")

    return put_back


def _of_memory(stream: Any) -> Callable[[], None]:
    content, place = stream.getvalue(), stream.tell()

    def put_back() -> None:
        if not stream.closed and (stream.tell() != place or stream.getvalue() != content):
            stream.seek(0)
            stream.truncate()
            stream.write(content)
            stream.seek(place)

    return put_back


def _of_file(file: Any, say: Callable[[str], None]) -> Callable[[], None] | None:
    place = _tell(file)
    if place is None:
        return None
    name = getattr(file, "name", "")

    def put_back() -> None:
        if file.closed:
            say(f"closed the file {name}")
        elif _tell(file) != place:  # no place is told where a file is being read line by line
            if file.writable():
                say(f"wrote to the file {name}, or read from it")
            else:
                file.seek(place)

    return put_back


def _tell(file: Any) -> Any:
    try:
        return file.tell() if file.seekable() else None
    except (OSError, ValueError):  # the file is closed, or is being read line by line
        return None


def _last(generator: Any) -> Any:
    return generator.gi_frame and generator.gi_frame.f_lasti


class _Same:
    """Equal to the same object only: what iterators hold may be tensors, which give tensors when they are compared."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._value is other._value

    __hash__ = None  # type: ignore[assignment] # nothing looks one up


def _within(iterator: Any, levels: int = _LEVELS) -> Any:
    """Return what tells how far an iterator is: how much is left, and what it and the iterators inside of it hold.

    For example, ``zip(a, b)`` holds an iterator of ``a`` and one of ``b``, and each of these knows how much is left.
    """
    left = getattr(iterator, "__length_hint__", lambda: None)
    inner = gc.get_referents(iterator) if levels else ()
    return left(), [(_Same(each), _advances(each) and _within(each, levels - 1)) for each in inner]


def _advances(value: Any) -> bool:
    """Whether an object is an iterator, or a part of one."""
    cls = type(value)
    return hasattr(cls, "__next__") or cls in (tuple, types.FrameType) or cls.__module__ == "itertools"
