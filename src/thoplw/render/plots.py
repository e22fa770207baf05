"""Figures of matplotlib: the largest layers of one model, and many models beside each other.

They belong to no window and no global state: ``figure.savefig("plot.svg")`` or ``"plot.png"`` writes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from thoplw.errors import MissingExtraError
from thoplw.render.units import clever_format
from thoplw.render.words import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Where a name may stand, in points from its own: at its sides, above, below, and then ever further, with a line to it.
_PLACES = [
    (reach * x, reach * y)
    for reach in (1, 2, 3.5, 5, 8, 12)
    for x, y in ((8, 0), (-8, 0), (0, 11), (0, -11), (7, 10), (7, -10), (-7, 10), (-7, -10))
]
_NEAR = 14
_LINE = {"arrowstyle": "-", "color": "#888888", "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3}


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
    drawn = axes.barh(range(len(figures)), list(figures.values()), tick_label=[*map(_plain, figures)], color="#4477aa")
    axes.bar_label(drawn, [clever_format(value, "%.2f").strip() for value in figures.values()], padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.02)
    axes.set(title=_plain(title), xlabel=unit)
    _with_units(axes.xaxis)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def scatter(
    families: Mapping[str, Mapping[str, tuple[float, float]]], *, unit: str = "MACs", labels: bool = True
) -> Figure:
    """What models cost against their parameters, both in logarithmic scale, a colour a family.

    Args:
        families: family -> model -> MACs and parameters.
        unit: what the MACs are.
        labels: whether names stand beside the points; a name that would hide another is left out.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = _empty(width=13, height=9)
    from matplotlib import colormaps
    from matplotlib.ticker import LogLocator, NullLocator

    colours = [colormaps["tab20"](index) for index in (*range(0, 20, 2), *range(1, 20, 2))]
    for index, (family, models) in enumerate(families.items()):
        macs, params = [point[0] for point in models.values()], [point[1] for point in models.values()]
        axes.plot(params, macs, "o", color=colours[index % len(colours)], label=_plain(family), markersize=6)
    axes.set(xscale="log", yscale="log", xlabel="Parameters", ylabel=unit)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # others where one or none of these would be seen
        axis.set_minor_locator(NullLocator())
        _with_units(axis)
    axes.grid(color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    if len(families) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False)
    if labels and families:
        _name(figure, axes, {name: (x, y) for models in families.values() for name, (y, x) in models.items()})
    return figure


def roofline(
    dots: Mapping[str, tuple[float, float]],
    *,
    peaks: Mapping[str, float],
    bandwidth: float,
    title: str = "",
    labels: Collection[str] | None = None,
) -> Figure:
    """What layers achieve under the roof of a device, both in logarithmic scale, a dot a layer.

    Args:
        dots: name -> FLOPs per byte, and FLOP/s.
        peaks: label -> the most that the device does, in FLOP/s: each is a roof of its own.
        bandwidth: bytes per second.
        title: above.
        labels: the names that stand beside their dots, if not all; one that finds no room is left out.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = _empty(width=9, height=6)
    for level in sorted({*peaks.values()}):
        label = ", ".join(name for name, peak in peaks.items() if peak == level)
        corner = level / bandwidth
        places = (corner / 1e4, corner, max([corner * 10, *(x for x, _ in dots.values())]))
        axes.plot(places, [min(level, x * bandwidth) for x in places], color="#888888", linewidth=1)
        axes.annotate(label, (places[-1], level), (0, 3), textcoords="offset points", ha="right", fontsize=9)
    axes.plot([x for x, _ in dots.values()], [y for _, y in dots.values()], "o", color="#4477aa", markersize=6)
    axes.set(xscale="log", yscale="log", title=_plain(title), xlabel="FLOPs per byte", ylabel="FLOP/s")
    if dots:
        axes.set_xlim(left=min(x for x, _ in dots.values()) / 2)
        axes.set_ylim(bottom=min(y for _, y in dots.values()) / 2)
    for axis in (axes.xaxis, axes.yaxis):
        _with_units(axis)
    axes.grid(color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    if dots:
        _name(figure, axes, {name: dot for name, dot in dots.items() if labels is None or name in labels})
    return figure


def curves(
    lines: Mapping[str, tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int, bool]]]],
    *,
    title: str = "",
    variable: str = "",
    unit: str = "",
) -> Figure:
    """Curves through points that were measured, both in logarithmic scale.

    Args:
        lines: label -> the places and values of a curve, and of the points measured; a point that the curve was not
            made of, as its last entry says, is drawn hollow.
        title: above.
        variable: what changes along the curves, below.
        unit: what the values are, at the side.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure, axes = _empty(width=8, height=5.5)
    from matplotlib.ticker import LogLocator, NullLocator

    colours = ("#4477aa", "#cc6677", "#228833", "#aa3377")
    for index, (label, (curve, measured)) in enumerate(lines.items()):
        colour = colours[index % len(colours)]
        axes.plot([x for x, _ in curve], [y for _, y in curve], color=colour, linewidth=1.4, label=label or "formula")
        for held_out in (False, True):
            points = [(x, y) for x, y, other in measured if other == held_out]
            axes.plot(
                [x for x, _ in points], [y for _, y in points], "o", color=colour,
                markerfacecolor="white" if held_out else colour, markersize=6,
            )  # fmt: skip
    for held_out, label in ((False, "run, fitted"), (True, "run, held out")):
        face = "white" if held_out else "#555555"
        axes.plot([], [], "o", color="#555555", markerfacecolor=face, markersize=6, label=label)
    axes.set(xscale="log", yscale="log", title=_plain(title), xlabel=variable, ylabel=unit)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        _with_units(axis)
    axes.grid(color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def _name(figure: Figure, axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """Write a name at each point, inside the axes, if it hides no point and no other name."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()  # From here on it is known where a point lies, in dots.
    frame, a_point = axes.get_window_extent(), figure.dpi / 72
    taken = [Bbox.from_extents(x - 5, y - 5, x + 5, y + 5) for x, y in axes.transData.transform([*points.values()])]
    for name, point in points.items():
        probe = axes.text(*point, _plain(name), fontsize=9)
        width, height = probe.get_window_extent().size
        probe.remove()
        at_x, at_y = axes.transData.transform(point)
        for x, y in _PLACES:
            side = "left" if x > 0 else "right" if x < 0 else "center"
            left = at_x + x * a_point - {"left": 0, "center": width / 2, "right": width}[side]
            box = Bbox.from_bounds(left, at_y + y * a_point - height / 2, width, height)
            inside = frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)
            if inside and not box.count_overlaps(taken):
                taken.append(box)
                line = _LINE if abs(x) + abs(y) > 2 * _NEAR else None
                axes.annotate(
                    _plain(name), point, (x, y), textcoords="offset points", ha=side, va="center", fontsize=9,
                    arrowprops=line,
                ).set_in_layout(False)  # fmt: skip
                break


def _plain(name: str) -> str:
    """A name of the user's as matplotlib shows it: no formula between dollars, and nothing that no font has."""
    return visible(name).replace("$", r"\$")


def _empty(*, width: float, height: float) -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("matplotlib", "a plot") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _with_units(axis: Axis) -> None:
    axis.set_major_formatter(lambda value, _: clever_format(value, "%g").strip())
