"""Tables with several names in a key."""

from __future__ import annotations

from thoplw.models.hf.words import each


def test_a_row_for_each_word() -> None:
    assert each({"a b": 1, "c": 2}) == {"a": 1, "b": 1, "c": 2}
