"""The phases of a training step."""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """What an operator ran for; its name in reports is the lower case of its name here."""

    FORWARD = 0
    #: A part of the forward once more, as its results were not kept: checkpointing, for example.
    RECOMPUTATION = 1
    BACKWARD = 2
    #: The optimizer, and what prepares for it: clipping, unscaling.
    UPDATE = 3

    @property
    def label(self) -> str:
        """Its name in reports."""
        return self.name.lower()
