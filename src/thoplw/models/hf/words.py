"""Tables with several names in a key."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

Row = TypeVar("Row")


def each(rows: Mapping[str, Row]) -> Mapping[str, Row]:
    """A row for each of the words in its key."""
    return MappingProxyType({word: row for words, row in rows.items() for word in words.split()})
