"""From the document of a profile to a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from thoplw.errors import MissingExtraError
from thoplw.render.units import clever_format

HERE = Path(__file__).parent

#: What draws, in ``vendor/``: the chart, and the table.
LIBRARIES = ("d3-hierarchy", "d3-selection", "tabulator")

TIMES = " \N{MULTIPLICATION SIGN} "


def page(document: Mapping[str, Any]) -> str:
    """Write the document that ``LayerInfo.to_dict()`` gives as one HTML file, which loads nothing from anywhere.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise MissingExtraError("jinja2", "report", "an HTML page") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"clever": _clever, "exact": _exact, "shapes": _shapes, "named": _named}
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}  # as short as it gets
    unit = f"{document['unit']}s"
    return environment.get_template("page.html").render(
        document=document,
        unit=unit,
        figures=[
            {"name": "macs", "heading": unit, "noun": unit},
            {"name": "params", "heading": "Parameters", "noun": "parameters"},
        ],
        rows=rows(document["layers"]),
        css=[_read("vendor/tabulator_simple.min.css"), _read("page.css")],
        scripts=[_read(f"vendor/{name}.min.js") for name in LIBRARIES] + [_read("page.js")],
    )


def rows(layers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the script of the page needs of every module: its own figures, and those with all modules under it.

    Figures are strings, since JSON in a browser rounds integers from 2**53 on.
    """
    modules = list(layers)
    index = {module["name"]: position for position, module in enumerate(modules)}
    parents = [next((index[path] for path in _above(module["name"]) if path in index), -1) for module in modules]
    totals = [{figure: module[figure] for figure in ("macs", "params")} for module in modules]
    # A module comes after the one that holds it, so that from the end on every sum is complete when it goes up.
    for position, parent in reversed(list(enumerate(parents))):
        if parent >= 0:
            for figure, value in totals[position].items():
                totals[parent][figure] += value
    return [
        {
            "id": position,
            "parent": parent,
            "name": _named(module["name"]),
            "class": module["class"],
            "inputs": _shapes(module["inputs"]),
            "outputs": _shapes(module["outputs"]),
            "calls": module["calls"],
            "own": {figure: str(module[figure]) for figure in total},
            "all": {figure: str(value) for figure, value in total.items()},
            "operators": {name: str(value) for name, value in module["operators"].items() if value},
        }
        for position, (module, parent, total) in enumerate(zip(modules, parents, totals, strict=True))
    ]


def _above(path: str) -> Iterator[str]:
    """``a.b.c`` -> ``a.b``, ``a``, and the model itself, which is above all but itself."""
    while path:
        path = path.rpartition(".")[0]
        yield path


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _clever(value: int) -> str:
    return clever_format(value, "%.2f" if value >= 1000 else "%d").rstrip()


def _exact(value: int) -> str:
    return f"{value:,}"


def _shapes(shapes: Iterable[Iterable[int]]) -> str:
    """``1 x 3 x 224 x 224, scalar``, with the real sign for times."""
    return ", ".join(TIMES.join(map(str, shape)) or "scalar" for shape in shapes)


def _named(path: str) -> str:
    """A module as it is shown; the model itself has an empty path."""
    return path or "(model)"
