"""Figures of matplotlib."""

from __future__ import annotations

import io
import re
import sys

import pytest
from matplotlib.text import Text

from thoplw import MissingExtraError
from thoplw.render.plots import bars, curves, roofline, scatter
from thoplw.render.words import visible

FAMILIES = {"A": {"a1": (1e9, 1e6), "a2": (4e9, 3e6)}, "B": {"b1": (2e9, 2e6)}}


def test_bars_stand_in_order_with_their_figures() -> None:
    (axes,) = bars({"fc": 1500, "conv": 20}, title="Net", unit="MACs").axes
    assert [bar.get_width() for bar in axes.patches] == [1500, 20]
    assert [text.get_text() for text in axes.texts] == ["1.50 K", "20"]
    assert axes.yaxis_inverted()  # the first on top
    assert (axes.get_title(), axes.get_xlabel()) == ("Net", "MACs")


@pytest.mark.parametrize("name", [r"$\frac$", "$x$", "lone\udcff", "a\nb\x1b[31m"])
def test_a_name_is_no_formula_and_has_no_character_that_cannot_be_drawn(name: str) -> None:
    figures = (
        bars({name: 1, "fc": 2}, title=name),
        scatter({name: {name: (1e9, 1e6)}, "B": {"b1": (2e9, 2e6)}}),
        roofline({name: (1.0, 1e9)}, peaks={"float32": 1e12}, bandwidth=1e11, title=name),
        curves({"": ([(1, 1), (2, 2)], [])}, title=name),
    )
    for figure in figures:
        figure.savefig(svg := io.StringIO(), format="svg")
        assert visible(name).replace("<", "&lt;") in svg.getvalue()  # as a comment beside its glyphs


def test_a_point_a_model_in_the_colour_of_its_family() -> None:
    (axes,) = scatter(FAMILIES).axes
    first, second = axes.lines
    assert [list(line.get_xdata()) for line in axes.lines] == [[1e6, 3e6], [2e6]]
    assert [list(line.get_ydata()) for line in axes.lines] == [[1e9, 4e9], [2e9]]
    assert first.get_color() != second.get_color()
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert first.get_linestyle() == "None"


def test_names_hide_no_name_and_no_point() -> None:
    crowd = {
        f"a model with a long name {place}": (1e9 * (1 + place / 50), 1e6 * (1 + place % 5 / 50)) for place in range(20)
    }
    figure = scatter({"A": {**crowd, "small": (1e7, 1e5), "large": (1e11, 1e8)}})
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    points = axes.transData.transform(axes.lines[0].get_xydata())
    assert len(boxes) == 22
    for box in boxes:
        assert box.count_overlaps(boxes) == 1  # itself
        assert not box.count_contains(points)
        assert axes.get_window_extent().fully_containsx(box.x0)
        assert axes.get_window_extent().fully_containsx(box.x1)


def test_models_of_almost_one_size_have_ticks_too() -> None:
    figure = scatter({"A": {"small": (2.1e9, 2.2e7), "large": (2.9e9, 4.4e7)}})
    figure.draw_without_rendering()
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        written = [label.get_text() for label in axis.get_ticklabels()]
        assert len(written) > 2
        assert all(re.fullmatch(r"\d+(\.\d+)? [MG]", each) for each in written)


@pytest.mark.parametrize("most", [2e6, 3e7, 1e10])
def test_ticks_are_of_one_kind(most: float) -> None:
    figure = scatter({"A": {"small": (1e9, 1e6), "large": (most * 1e3, most)}})
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for axis in (axes.xaxis, axes.yaxis):
        written = [label.get_text() for label in axis.get_ticklabels(which="both")]
        assert len(written) > 2
        assert all(re.fullmatch(r"(1|2|5)0{0,2} [KMGTP]", each) for each in written)
        assert len(axis.get_minorticklocs()) == 0


def test_many_models_need_no_names() -> None:
    (axes,) = scatter(FAMILIES, labels=False).axes
    assert list(axes.texts) == []
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["A", "B"]


def test_nothing_to_plot_is_an_empty_plot() -> None:
    assert scatter({}).axes[0].get_legend() is None


def test_one_family_needs_no_legend() -> None:
    assert scatter({"A": FAMILIES["A"]}).axes[0].get_legend() is None


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_caller_chooses_the_kind(kind: str, start: bytes) -> None:
    file = io.BytesIO()
    scatter(FAMILIES).savefig(file, format=kind)
    assert file.getvalue().startswith(start)


def test_no_global_state_is_touched() -> None:
    before = "matplotlib.pyplot" in sys.modules
    scatter(FAMILIES)
    bars({"fc": 1})
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_matplotlib_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"a plot needs matplotlib, .*: pip install matplotlib"):
        scatter({})


def test_a_curve_has_full_points_that_it_was_made_of_and_hollow_ones_that_it_was_not() -> None:
    lines = {"B = 1": ([(1, 3), (2, 6), (4, 12)], [(1, 3, False), (4, 12, True)])}
    (axes,) = curves(lines, title="Net", variable="S", unit="MACs").axes
    curve, full, hollow, *_ = axes.lines
    assert [*zip(curve.get_xdata(), curve.get_ydata(), strict=True)] == [(1, 3), (2, 6), (4, 12)]
    assert (list(full.get_xdata()), list(hollow.get_xdata())) == ([1], [4])
    assert full.get_markerfacecolor() != hollow.get_markerfacecolor() == "white"
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "S")
