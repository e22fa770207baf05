"""A small draw of every attack; ``tools/attack.py`` runs them whole."""

from __future__ import annotations

import pytest
from checks.attacks import ATTACKS, races
from checks.attacks.tries import drawn

#: Section -> how many tries are drawn. Touching forwards are all in tests/capture/restore/test_preserve.py.
DRAWS = {"touching": 4, "interrupts": 60, "documents": 40, "names": 60}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_holds(name: str) -> None:
    tries = list(ATTACKS[name].tries(DRAWS[name], 1))
    assert len(tries) == DRAWS[name]
    assert [(what, broken) for what, broken in tries if broken] == []


@pytest.mark.parametrize("name", races.RACES)
def test_a_race_is_won(name: str) -> None:
    races.raced(name, seed=1, draws=1)


@pytest.mark.slow
def test_a_race_has_a_process_of_its_own() -> None:
    assert [broken for _, broken in ATTACKS["races"].tries(1, 1)] == [""]


@pytest.mark.slow
def test_a_kill_loses_nothing() -> None:
    assert [broken for _, broken in ATTACKS["kills"].tries(1, 1)] == [""]


def test_a_draw_is_that_of_its_seed() -> None:
    assert drawn("abcdef", 6, 1) == list("abcdef")
    assert drawn("abcdef", 3, 1) == drawn("abcdef", 3, 1) != drawn("abcdef", 3, 2)
