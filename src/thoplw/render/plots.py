"""Figures of matplotlib: the largest layers of one model, and many models beside each other.

They belong to no window and no global state: ``figure.savefig("plot.svg")`` or ``"plot.png"`` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from thoplw.errors import MissingExtraError
from thoplw.render.units import clever_format

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Keeps a label readable where it stands on a line.
_BACKGROUND = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
_RIGHT = (8, -3)


def bars(figures: Mapping[str, int], *, title: str = "", unit: str = "") -> Figure:
    """Horizontal bars, the first on top.

    Args:
        figures: name -> figure.
        title: above the bars.
        unit: what the figures are, below the bars.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = _empty(width=9, height=1.2 + 0.3 * len(figures))
    drawn = axes.barh(list(figures), list(figures.values()), color="#4477aa")
    axes.bar_label(drawn, [clever_format(value, "%.2f").strip() for value in figures.values()], padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.02)
    axes.set(title=title, xlabel=unit)
    _with_units(axes.xaxis)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def scatter(
    families: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    unit: str = "MACs",
    labels: Mapping[str, tuple[float, float]] | bool = True,
    lines: bool = False,
    thick: Mapping[str, float] | None = None,
) -> Figure:
    """What models cost against their parameters, both in logarithmic scale, a colour a family.

    Args:
        families: family -> model -> MACs and parameters.
        unit: what the MACs are.
        labels: whether names stand beside the points, or for some models where they stand, in points from their own.
        lines: whether the points of a family are joined, in the order in which they are given.
        thick: family -> width of its line, for those that would hide under another's.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = _empty(width=13, height=9)
    from matplotlib import colormaps

    colours = [colormaps["tab20"](index) for index in (*range(0, 20, 2), *range(1, 20, 2))]
    for index, (family, models) in enumerate(families.items()):
        macs, params = [point[0] for point in models.values()], [point[1] for point in models.values()]
        width = (thick or {}).get(family, 1.5)
        axes.plot(
            params,
            macs,
            "o-" if lines else "o",
            color=colours[index % len(colours)],
            label=family,
            linewidth=width,
            markersize=4.5 + width,
        )
        for name, (y, x) in models.items() if labels is not False else ():
            offset = labels.get(name, _RIGHT) if isinstance(labels, Mapping) else _RIGHT
            side = "left" if offset[0] > 0 else "right"
            axes.annotate(name, (x, y), offset, textcoords="offset points", ha=side, fontsize=9, bbox=_BACKGROUND)
    axes.set(xscale="log", yscale="log", xlabel="Parameters", ylabel=unit)
    _with_units(axes.xaxis)
    _with_units(axes.yaxis)
    axes.grid(which="major", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    if families:
        axes.legend(loc="lower right", ncols=2, frameon=False)
    return figure


def _empty(*, width: float, height: float) -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib", "report", "a plot") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _with_units(axis: Axis) -> None:
    axis.set_major_formatter(lambda value, _: clever_format(value, "%g").strip())
