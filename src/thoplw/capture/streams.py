"""Put objects that advance when they are used, such as iterators and files, back to where they were, or say so.

For example, a model holds an open file, and every forward reads a line from it: the file is put back. A model that
holds ``itertools.count()`` takes a number from it, and nothing can put that back: a warning says so.
"""

from __future__ import annotations

import io
import itertools
import types
from collections.abc import Callable
from typing import Any

#: Classes of iterators that tell their position.
ITERATORS = tuple({*map(type, map(iter, ([], (), range(0), range(2**70), "", b""))), type(reversed([]))})

#: Classes of the objects that :func:`keeper` takes.
STREAMS = (*ITERATORS, itertools.count, types.GeneratorType, io.IOBase)


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
        return _watched(lambda: repr(stream), f"took from {stream!r}", say)
    name = f"took from the generator {stream.__qualname__}"
    return _watched(lambda: _place_in(stream), name, say)


def _watched(look: Callable[[], Any], went_on: str, say: Callable[[str], None]) -> Callable[[], None]:
    before = look()

    def put_back() -> None:
        if look() != before:
            say(went_on)

    return put_back


def _of_iterator(iterator: Any, say: Callable[[str], None]) -> Callable[[], None]:
    _, _, *place = iterator.__reduce__()
    if place == [None]:  # the iterator of a range, which cannot go back since Python 3.12
        return _watched(lambda: iterator.__reduce__()[1], f"took from a {type(iterator).__name__}", say)

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
        elif _tell(file) not in (place, None):
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


def _place_in(generator: Any) -> Any:
    frame = generator.gi_frame
    return frame and (frame.f_lasti, {name: id(value) for name, value in frame.f_locals.items()})
