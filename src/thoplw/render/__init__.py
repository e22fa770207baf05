"""From a table, or from the document, to text in any format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from thoplw.errors import UnknownNameError
from thoplw.render.flame import collapsed, speedscope
from thoplw.render.grid import comma_separated, latex, markdown, text
from thoplw.render.json import json
from thoplw.render.table import Table
from thoplw.render.tree import tree

__all__ = ["DOCUMENTS", "FORMATS", "TABLES", "render"]


def _html(document: Mapping[str, Any]) -> str:
    """One file for a browser, which holds all that it needs."""
    from thoplw.render.page import page

    return page(document)


#: Kind -> function of a table.
TABLES: MappingProxyType[str, Callable[[Table], str]] = MappingProxyType(
    {"csv": comma_separated, "latex": latex, "md": markdown, "text": text, "tree": tree}
)

#: Kind -> function of the document that holds everything.
DOCUMENTS: MappingProxyType[str, Callable[[Mapping[str, Any]], str]] = MappingProxyType(
    {"collapsed": collapsed, "html": _html, "json": json, "speedscope": speedscope}
)

#: Kind -> function.
FORMATS: MappingProxyType[str, Callable[[Any], str]] = MappingProxyType({**TABLES, **DOCUMENTS})


def render(what: Table | Mapping[str, Any], kind: str) -> str:
    """Write a table in one of the kinds of :data:`TABLES`, or the document in one of :data:`DOCUMENTS`.

    Raises:
        UnknownNameError: there is no such kind.
    """
    if kind not in FORMATS:
        raise UnknownNameError("kind", kind, FORMATS)
    return FORMATS[kind](what)
