"""What functions use of their file."""

from __future__ import annotations

import math

from thoplw.capture.named import named_by

ONE, OTHER, UNUSED = [1], {"two": 2}, [3]


def inner() -> int:
    return OTHER["two"] + math.floor(ONE[0])


def outer() -> int:
    return inner() + len(ONE)


def test_what_functions_use_by_name_is_found_through_those_that_they_call() -> None:
    found = named_by([outer, None, len])
    for each in (outer, inner, ONE, OTHER):
        assert sum(each is other for other in found) == 1
    assert not any(UNUSED is other for other in found)
    assert outer() == 4
