"""The page of times: a roofline, and the table under it."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("jinja2")

from thoplw.render.page.times import Dot, _picture, times_page
from thoplw.render.table import Table

ABOUT = {"model": "Net", "convention": "macs", "unit": "MAC", "thoplw": "26.11", "torch": "2.14"}
TABLE = Table(columns=("Name", "Time"), rows=(("a<b>", "1.5"),), about=ABOUT)


def test_the_roof_bends_where_the_peak_is_the_bandwidth_times_the_intensity() -> None:
    dots = [Dot(name="a", words="", intensity=0.1, rate=1e3, part=0.5)]
    picture = _picture(dots, {"float32": 1e6}, 1e4)
    x1, y1, x2, y2 = picture["slope"]
    (roof,) = picture["roofs"]
    assert (roof["x"], roof["y"]) == (x2, y2)  # at 100 FLOPs per byte
    (dot,) = picture["dots"]
    assert (dot["x"], dot["y"]) == (x1, y1)  # on the slope, as 0.1 x 1e4 is 1e3
    assert [label for _, label in picture["across"]] == ["0.1", "1", "10", "100", "1 K"]
    assert x2 == picture["across"][3][0]


def test_peaks_that_are_equal_have_one_line_and_large_dots_lie_under_small_ones() -> None:
    dots = [Dot(name=name, words="", intensity=1, rate=1e3, part=part) for name, part in (("s", 0.04), ("l", 0.81))]
    picture = _picture(dots, {"float32": 1e6, "tf32": 1e6, "float64": 1e5}, 1e4)
    assert [roof["label"] for roof in picture["roofs"]] == ["float32, tf32", "float64"]
    assert [(dot["title"], dot["radius"]) for dot in picture["dots"]] == [("l: ", 3.5 + 9), ("s: ", 3.5 + 2)]


@pytest.mark.parametrize("peaks", [{}, {"float32": 1e6}])
def test_without_a_device_there_is_no_picture_and_names_are_text(peaks: dict[str, float]) -> None:
    dot = Dot(name="<i>", words="1 s", intensity=1, rate=1e3, part=0.5)
    page = times_page("T<b>", TABLE, [dot], peaks, 1e4)
    assert page.count("<circle") == len(peaks)
    assert not re.search(r"<b>|<i>|https?://", page)
    assert "a&lt;b&gt;" in page
