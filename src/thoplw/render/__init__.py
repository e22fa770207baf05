"""Write a table, an outline of modules, or the document as text in any format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from thoplw.errors import UnknownNameError
from thoplw.render.flame import collapsed, speedscope
from thoplw.render.grid import comma_separated, latex, markdown, text
from thoplw.render.json import json
from thoplw.render.outline import Outline
from thoplw.render.table import Table
from thoplw.render.tree import tree

__all__ = ["DOCUMENTS", "FORMATS", "OUTLINES", "TABLES", "check_format", "render"]


def _html(outline: Outline) -> str:
    """One self-contained file for a browser."""
    from thoplw.render.page import page

    return page(outline)


#: Format -> function of a table.
TABLES: Mapping[str, Callable[[Table], str]] = MappingProxyType(
    {"csv": comma_separated, "latex": latex, "md": markdown, "text": text, "tree": tree}
)

#: Format -> function of an outline, which has all modules with all figures.
OUTLINES: Mapping[str, Callable[[Outline], str]] = MappingProxyType(
    {"collapsed": collapsed, "html": _html, "speedscope": speedscope}
)

#: Format -> function of the document that holds everything.
DOCUMENTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = MappingProxyType({"json": json})

#: Format -> function.
FORMATS: Mapping[str, Callable[[Any], str]] = MappingProxyType({**TABLES, **OUTLINES, **DOCUMENTS})


def check_format(name: str) -> None:
    """Refuse an unknown format before the work begins.

    Raises:
        UnknownNameError: there is no such format.
    """
    if name not in FORMATS:
        raise UnknownNameError("kind", name, FORMATS)


def render(what: Table | Outline | Mapping[str, Any], name: str) -> str:
    """Write a table in a format of :data:`TABLES`, an outline in one of :data:`OUTLINES`, or the document as JSON.

    Raises:
        UnknownNameError: there is no such format.
    """
    check_format(name)
    return FORMATS[name](what)
