"""Names of classes."""

from __future__ import annotations

from collections import OrderedDict

from thoplw.record import class_names


class Outer:
    class Inner(OrderedDict[str, int]):
        pass


def test_a_class_and_what_it_is_derived_from() -> None:
    first, *bases = class_names(Outer.Inner)
    assert first == f"{__name__}:Outer.Inner"
    assert bases[:2] == ["collections:OrderedDict", "builtins:dict"]
