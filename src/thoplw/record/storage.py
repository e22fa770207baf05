"""What a run held in memory: which storages there were, when each came and went, and what it was for.

A storage is the memory that a tensor shares with its views. For example ``y = x.relu(); z = y.view(-1); del y`` makes
one storage of the size of ``x``, which is there until ``z`` is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import NamedTuple


class Kind(IntEnum):
    """What a storage is for; its name in reports is the lower case of its name here."""

    WEIGHTS = 0
    BUFFERS = 1
    INPUTS = 2
    #: What lies in the ``.grad`` of a weight.
    GRADIENTS = 3
    #: What an optimizer keeps for a weight from one step to the next.
    OPTIMIZER = 4
    #: Made in a forward, and still there when the backward pass goes on: kept for it.
    ACTIVATIONS = 5
    #: Anything else that operators made.
    TEMPORARIES = 6
    #: What the model returned.
    OUTPUTS = 7
    #: Keys and values that a language model returned, to go on from.
    CACHE = 8
    #: What a library of kernels keeps to work in.
    WORKSPACES = 9

    @property
    def label(self) -> str:
        """Its name in reports."""
        return self.name.lower()


class Storage(NamedTuple):
    """Some memory.

    Attributes:
        size: in bytes, as the run asked for it.
        kind: what it is for.
        step: index of the step of the record that made it; ``-1`` for what was there before.
        gone: index of the step before which it went; ``-1`` for what was there to the end.
    """

    size: int
    kind: Kind
    step: int
    gone: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """The storages of a run.

    Attributes:
        storages: in the order in which they came.
        events: what happened, in order: a storage came, which is its index ``i``, or went, which is ``~i``.
        iterations: at which step, and where in ``events``, each iteration of a training loop began; a run of inference
            is but one.
    """

    storages: tuple[Storage, ...]
    events: tuple[int, ...]
    iterations: tuple[tuple[int, int], ...]

    def live(self) -> Iterator[int]:
        """How many bytes there were after each event."""
        sizes = [storage.size for storage in self.storages]
        return accumulate(sizes[event] if event >= 0 else -sizes[~event] for event in self.events)

    def between(self, first: int, end: int) -> Lifetimes:
        """What the steps from one to before another saw, as if nothing had run before, and nothing after.

        For example, a storage that step 3 made and that went before step 8 was there all the time for steps 5 to 7.
        """
        there = [
            index for index, (_, _, step, gone) in enumerate(self.storages) if step < first and not 0 <= gone <= first
        ]
        made = [index for index, storage in enumerate(self.storages) if first <= storage.step < end]
        place = {index: position for position, index in enumerate((*there, *made))}
        found = []
        for index in place:
            storage = self.storages[index]
            gone = storage.gone - first if first < storage.gone < end else -1
            found.append(storage._replace(step=max(storage.step - first, -1), gone=gone))
        events = [*range(len(there))]
        for event in self.events:
            if event >= 0 and place.get(event, -1) >= len(there):
                events.append(place[event])
            elif event < 0 and ~event in place and found[place[~event]].gone >= 0:
                events.append(~place[~event])
        return Lifetimes(storages=tuple(found), events=tuple(events), iterations=((0, len(there)),))
