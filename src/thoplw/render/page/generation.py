"""Write what it costs to generate as an HTML page: totals, pictures of cost and cache, and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thoplw.render.page.templates import environment, read
from thoplw.render.table import Table, figures_of, printable
from thoplw.render.units import clever_format
from thoplw.render.words import storable, visible

#: Of a picture and of the margins around its axes, in pixels.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 280, 64, 28, 12, 46

#: An axis has no more labels than this.
MOST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A figure against positions.

    Attributes:
        title: says what it is.
        variable: says what the positions are.
        points: ``(position, figure)``, in order; more than one of them.
        held_out: those that the curve was not fitted to, and goes through.
        unit: of the figure, for when one points at it.
    """

    title: str
    variable: str
    points: Sequence[tuple[int, int]]
    held_out: Sequence[tuple[int, int]] = ()
    unit: str


def generation_page(
    about: Mapping[str, str],
    sentence: str,
    totals: Sequence[tuple[str, str, str]],
    notes: Sequence[str],
    curves: Sequence[Curve],
    tables: Mapping[str, Table],
) -> str:
    """Write an HTML file, which loads nothing from anywhere and has no script.

    Args:
        about: model, convention, unit and versions.
        sentence: how much is generated.
        totals: of each figure its label, and it in short and in full.
        notes: what the figures leave out, and what makes them large.
        curves: the pictures.
        tables: by title.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    made = (
        environment()
        .get_template("generation.html")
        .render(
            about={key: visible(value) for key, value in about.items()},
            sentence=sentence,
            totals=totals,
            notes=[visible(note) for note in notes],
            pictures=[_picture(curve) for curve in curves],
            tables=[(title, printed := printable(table), figures_of(printed)) for title, table in tables.items()],
            css=[read("page.css"), read("plain.css")],
        )
    )
    return storable(made)


def _picture(curve: Curve) -> dict[str, Any]:
    """Where everything stands in a picture, in pixels. Figures begin at 0, positions where they do."""
    places = [place for place, _ in curve.points]
    across = _Axis(places[0], places[-1], LEFT, WIDTH - RIGHT)
    up = _Axis(0, max(figure for _, figure in curve.points), HEIGHT - BOTTOM, TOP)
    return {
        "title": curve.title,
        "variable": curve.variable,
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM,
        "across": [(across(value), f"{value:,}") for value in across.ticks],
        "up": [(up(value), clever_format(value, "%g")) for value in up.ticks],
        "line": [(across(place), up(figure)) for place, figure in curve.points],
        "dots": [
            (across(place), up(figure), f"{figure:,} {curve.unit} at {place:,}") for place, figure in curve.held_out
        ],
    }


class _Axis:
    """Pixels of whole numbers from one to another.

    Attributes:
        ticks: values to label: multiples of 1, 2 or 5 times a power of ten.
    """

    def __init__(self, first: int, last: int, start: float, end: float) -> None:
        self._first, self._start = first, start
        self._each = (end - start) / max(last - first, 1)
        least = max(last - first, 1) / MOST
        power = 10 ** max(0, math.floor(math.log10(least)))
        step = next((times * power for times in (1, 2, 5) if times * power >= least), 10 * power)
        self.ticks = range(-(-first // step) * step, last + 1, step)

    def __call__(self, value: float) -> float:
        return round(self._start + self._each * (value - self._first), 1)
