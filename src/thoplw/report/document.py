"""A profile that was written to a file as JSON, read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thoplw.errors import InputError
from thoplw.report.layer_info import SCHEMA

#: What :meth:`thoplw.LayerInfo.to_dict` gives; ``schema.json`` describes it.
Document = Mapping[str, Any]


def read(path: Path) -> Document:
    """Read what ``summary("json")`` or ``thoplw profile --kind json`` wrote.

    Raises:
        InputError: there is no such file, or it is something else, or of another version of the schema.
    """
    again = f"write it with `thoplw profile MODEL --kind json -o {path}`"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"{path} is no profile, as it is no JSON ({error}); {again}") from error
    if not isinstance(document, dict) or "schema" not in document:
        raise InputError(f"{path} is no profile, as it has no 'schema'; {again}")
    if document["schema"] != SCHEMA:
        raise InputError(f"{path} has schema {document['schema']!r}, and this thoplw reads {SCHEMA}; {again}")
    lacking = _KEYS - document.keys()
    if lacking:
        raise InputError(f"{path} is no profile, as it has no {', '.join(sorted(map(repr, lacking)))}; {again}")
    return document


_KEYS = {"model", "convention", "unit", "inputs", "totals", "layers", "uncounted", "assumptions"}
