"""Figures of matplotlib."""

from __future__ import annotations

import io
import sys

import pytest

from thoplw import MissingExtraError
from thoplw.render.plots import bars, scatter

FAMILIES = {"A": {"a1": (1e9, 1e6), "a2": (4e9, 3e6)}, "B": {"b1": (2e9, 2e6)}}


def test_bars_stand_in_order_with_their_figures() -> None:
    (axes,) = bars({"fc": 1500, "conv": 20}, title="Net", unit="MACs").axes
    assert [bar.get_width() for bar in axes.patches] == [1500, 20]
    assert [text.get_text() for text in axes.texts] == ["1.50 K", "20"]
    assert axes.yaxis_inverted()  # the first on top
    assert (axes.get_title(), axes.get_xlabel()) == ("Net", "MACs")


def test_a_point_a_model_in_the_colour_of_its_family() -> None:
    (axes,) = scatter(FAMILIES).axes
    first, second = axes.lines
    assert [list(line.get_xdata()) for line in axes.lines] == [[1e6, 3e6], [2e6]]
    assert [list(line.get_ydata()) for line in axes.lines] == [[1e9, 4e9], [2e9]]
    assert first.get_color() != second.get_color()
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert first.get_linestyle() == "None"


def test_names_stand_where_they_are_told() -> None:
    (axes,) = scatter(FAMILIES, labels={"a1": (-5, 2)}, lines=True).axes
    assert {text.get_text(): text.get_horizontalalignment() for text in axes.texts} == {
        "a1": "right",
        "a2": "left",
        "b1": "left",
    }
    assert axes.lines[0].get_linestyle() == "-"


def test_many_models_need_no_names() -> None:
    (axes,) = scatter(FAMILIES, labels=False).axes
    assert list(axes.texts) == []
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["A", "B"]


def test_nothing_to_plot_is_an_empty_plot() -> None:
    assert scatter({}).axes[0].get_legend() is None


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
    with pytest.raises(MissingExtraError, match=r"a plot needs matplotlib, .*: pip install 'thoplw\[report\]'"):
        scatter({})
