"""Names, counts and shapes as people read them."""

from __future__ import annotations

import pytest

from thoplw.render.words import count, named, shapes_in_words, some, storable, visible


def test_the_model_itself_has_a_name() -> None:
    assert (named("layer1.0"), named("")) == ("layer1.0", "(model)")


@pytest.mark.parametrize(("number", "words"), [(0, "0 calls"), (1, "1 call"), (2, "2 calls")])
def test_one_is_singular(number: int, words: str) -> None:
    assert count(number, "call") == words


@pytest.mark.parametrize(
    ("items", "words"), [("", ""), ("ab", "a, b"), ("abc", "a, b, c"), ("abcde", "a, b, c and 2 more")]
)
def test_long_lists_are_cut(items: str, words: str) -> None:
    assert some(items, most=3) == words


def test_shapes() -> None:
    assert shapes_in_words([(3, 224, 224), (), (10,)]) == "3 x 224 x 224, scalar, 10"


@pytest.mark.parametrize(("text", "shown"), [("größe", "größe"), ("a\nb", r"a\nb"), ("\x1b[31mred", r"\x1b[31mred")])
def test_a_terminal_obeys_nothing(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_halves_of_characters_can_be_stored() -> None:
    assert storable("ü\ud800").encode("utf-8") == "ü\\ud800".encode()
