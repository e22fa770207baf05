"""What an operator moves between memory and processor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """An amount of data, in exact bytes.

    Attributes:
        read: bytes that are read.
        written: bytes that are written.
    """

    read: int = 0
    written: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(read=self.read + other.read, written=self.written + other.written)

    def __mul__(self, times: int) -> Traffic:
        return Traffic(read=self.read * times, written=self.written * times)

    __rmul__ = __mul__

    @property
    def total(self) -> int:
        """Bytes that are read or written."""
        return self.read + self.written


NOTHING = Traffic()
