"""Write the outline of a profile as an HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from thoplw.render.outline import Outline
from thoplw.render.page.templates import environment, read
from thoplw.render.units import clever_format, quantity
from thoplw.render.words import named, shapes_in_words, storable

#: JavaScript libraries in ``vendor/`` that draw the chart and the table.
LIBRARIES = ("d3-hierarchy", "d3-selection", "tabulator")

TIMES = " \N{MULTIPLICATION SIGN} "


def page(outline: Outline) -> str:
    """Write a profile as one HTML file, which loads nothing from anywhere.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    templates = environment()
    templates.filters |= {"bytes": _bytes, "clever": _clever, "exact": _exact, "shapes": _shapes, "named": named}
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}  # as short as it gets
    made = templates.get_template("page.html").render(
        outline=outline,
        figures=[
            {"name": each.name, "heading": each.label, "noun": _noun(each.label, f"{each.unit}s")}
            for each in outline.figures
            if each.on_page
        ],
        rows=rows(outline),
        css=[read("vendor/tabulator_simple.min.css"), read("page.css")],
        scripts=[read(f"vendor/{name}.min.js") for name in LIBRARIES] + [read("page.js")],
    )
    return storable(made)


def _noun(label: str, units: str) -> str:
    """What a figure counts: its units, or which of them, as in ``MACs forward``."""
    return label if label.startswith(f"{units} ") else units


def rows(outline: Outline) -> list[dict[str, Any]]:
    """The data of every module for the script of the page: its own figures, and those with all modules inside it.

    Figures are strings, since JSON in a browser rounds integers from 2**53 on.
    """
    names = [figure.name for figure in outline.figures if figure.on_page]
    return [
        {
            "id": position,
            "parent": module.parent,
            "name": named(module.name),
            "class": module.cls,
            "inputs": _shapes(module.inputs),
            "outputs": _shapes(module.outputs),
            "calls": module.calls,
            "own": {name: str(module.own[name]) for name in names},
            "all": {name: str(module.all[name]) for name in names},
            "operators": {name: str(value) for name, value in module.operators.items() if value},
        }
        for position, module in enumerate(outline.modules)
    ]


def _bytes(value: int) -> str:
    return quantity(value, "B")


def _clever(value: int) -> str:
    return clever_format(value, "%.2f" if value >= 1000 else "%d").rstrip()


def _exact(value: int) -> str:
    return f"{value:,}"


def _shapes(shapes: Iterable[Iterable[int]]) -> str:
    """``1 x 3 x 224 x 224, scalar``, with the real sign for times."""
    return shapes_in_words(shapes, TIMES)
