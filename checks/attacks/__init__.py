"""Attacks on thoplw, each seeded and bounded; ``tools/attack.py`` runs them whole, the tests a small draw of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from checks.attacks import documents, interrupts, kills, names, races, touching
from checks.attacks.tries import Tries


class Attack(NamedTuple):
    """A section of the attack.

    Attributes:
        tries: from how many tries there may be, and a seed, to the tries.
        count: how many there are in the whole.
        words: what is tried, and what must hold.
    """

    tries: Callable[[int, int], Tries]
    count: int
    words: str


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        "touching": Attack(
            touching.tries,
            2 * len(touching.KINDS),
            f"forwards that touch {len(touching.KINDS)} kinds of things, abstractly and executed: each is as before",
        ),
        "interrupts": Attack(
            interrupts.tries,
            1000,
            "Ctrl-C at random moments of a profile, abstract and executed in turns: nothing is half done",
        ),
        "races": Attack(
            races.tries,
            len(races.RACES),
            f"threads that serve, count or draw during profiles, {races.DRAWS} draws each: right figures, no change",
        ),
        "documents": Attack(
            documents.tries,
            132,
            "saved profiles with a damage: each is refused in a line that names the place",
        ),
        "names": Attack(
            names.tries,
            len(names.NAMES) * len(names.OUTPUTS),
            f"{len(names.NAMES)} names that do harm in {len(names.OUTPUTS)} outputs: shown, and never obeyed",
        ),
        "kills": Attack(
            kills.tries,
            60,
            "kills of a survey at random moments: no row is lost, no process lives on, the next survey goes on",
        ),
    }
)
