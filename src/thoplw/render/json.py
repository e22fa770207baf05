"""The document as JSON."""

from __future__ import annotations

import json as standard
from collections.abc import Mapping
from typing import Any


def json(document: Mapping[str, Any]) -> str:
    """Write the document, one layer on each line; figures are integers of any size."""
    *head, last = (
        f"  {standard.dumps(key)}: {_layers(value) if key == 'layers' else standard.dumps(value)}"
        for key, value in document.items()
    )
    return "\n".join(("{", *(f"{line}," for line in head), last, "}"))


def _layers(layers: list[Any]) -> str:
    return "[\n    " + ",\n    ".join(map(standard.dumps, layers)) + "\n  ]"
