"""Write times of layers as an HTML page: the roofline as a picture, and the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thoplw.render.page.templates import environment, read
from thoplw.render.table import Table, figures_of, printable
from thoplw.render.units import clever_format
from thoplw.render.words import storable, visible

#: Of the picture and of the margins around its axes, in pixels.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 440, 76, 20, 28, 46


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A layer under the roof.

    Attributes:
        name: of the layer.
        words: what is shown besides, when one points at it.
        intensity: FLOPs per byte.
        rate: FLOP/s.
        part: of the time of the model; larger ones have larger dots.
    """

    name: str
    words: str
    intensity: float
    rate: float
    part: float


def times_page(title: str, table: Table, dots: Sequence[Dot], peaks: Mapping[str, float], bandwidth: float) -> str:
    """Write an HTML file, which loads nothing from anywhere and has no script.

    Args:
        title: of the page.
        table: the times.
        dots: of the roofline.
        peaks: label -> FLOP/s of the device; without any there is no picture.
        bandwidth: of the device, in bytes per second.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    table = printable(table)
    made = (
        environment()
        .get_template("times.html")
        .render(
            about=table.about,
            title=visible(title),
            table=table,
            right=figures_of(table),
            css=[read("page.css"), read("plain.css")],
            picture=_picture(dots, peaks, bandwidth) if peaks and dots else None,
        )
    )
    return storable(made)


def _picture(dots: Sequence[Dot], peaks: Mapping[str, float], bandwidth: float) -> dict[str, Any]:
    """Where everything stands in the picture, in pixels; both axes are logarithmic."""
    corners = [10 * peak / bandwidth for peak in peaks.values()]  # with room for the roof
    across = _Axis([*(dot.intensity for dot in dots), *corners], LEFT, WIDTH - RIGHT)
    up = _Axis([*(dot.rate for dot in dots), *peaks.values()], HEIGHT - BOTTOM, TOP)
    labels: dict[float, list[str]] = {}
    for label, peak in peaks.items():
        labels.setdefault(peak, []).append(label)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "top": TOP,
        "bottom": HEIGHT - BOTTOM,
        "across": [(across(value), clever_format(value, "%g")) for value in across.ticks],
        "up": [(up(value), clever_format(value, "%g")) for value in up.ticks],
        "roofs": [
            {"label": ", ".join(names), "x": across(peak / bandwidth), "y": up(peak)} for peak, names in labels.items()
        ],
        # The slope up to the highest corner, from where it meets the lower or the left side of the axes.
        "slope": _slope(max(peaks.values()), bandwidth, across, up),
        "dots": [
            {
                "x": across(dot.intensity),
                "y": up(dot.rate),
                "radius": 3.5 + 10 * math.sqrt(dot.part),
                "title": f"{visible(dot.name)}: {dot.words}",
            }
            for dot in sorted(dots, key=lambda dot: -dot.part)  # small ones over large ones
        ],
    }


def _slope(peak: float, bandwidth: float, across: _Axis, up: _Axis) -> tuple[float, float, float, float]:
    start = max(across.low, up.low / bandwidth)
    return across(start), up(start * bandwidth), across(peak / bandwidth), up(peak)


class _Axis:
    """Pixels of values, in logarithmic scale, over whole decades.

    Attributes:
        low: the least value that it shows.
        ticks: values to label: powers of ten, not more than ten.
    """

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        exponents = [math.log10(value) for value in values]
        self._first = math.floor(min(exponents))
        last = max(math.ceil(max(exponents)), self._first + 1)
        self._start, self._each = start, (end - start) / (last - self._first)
        self.low = 10.0**self._first
        step = 1 + (last - self._first) // 10
        self.ticks = [10.0**exponent for exponent in range(self._first, last + 1, step)]

    def __call__(self, value: float) -> float:
        return round(self._start + self._each * (math.log10(value) - self._first), 1)
