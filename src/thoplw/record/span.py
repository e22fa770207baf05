"""How long one call of a module took."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One call of a module in one run.

    Attributes:
        module: path of the module; empty for the model itself.
        start: seconds since the run began.
        seconds: how long it took, with the modules that it called.
        own: how long it took by itself.
    """

    module: str
    start: float
    seconds: float
    own: float
