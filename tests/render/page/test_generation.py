"""The page of a generation."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

pytest.importorskip("jinja2")

from thoplw.render.page.generation import Curve, generation_page
from thoplw.render.table import Table

ABOUT = {"model": "Net<b>", "convention": "macs", "unit": "MAC", "thoplw": "26.11", "torch": "2.14"}
CURVE = Curve(
    title="MACs of a step", variable="positions", points=[(10, 100), (60, 200)], held_out=[(35, 150)], unit="MACs"
)
TABLE = Table(columns=("Name", "MACs"), rows=(("layer<0>", "1.20 K"), ("head", "30")), footer=("Total", "1.23 K"))


class Reader(HTMLParser):
    """Reads which elements there are, and the text of cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(**changes: object) -> Reader:
    given = {
        "about": ABOUT,
        "sentence": "3 tokens",
        "totals": [("All MACs", "1.23 K", "1,230")],
        "notes": ["<i>Note</i>"],
        "curves": [CURVE],
        "tables": {"Layers": TABLE},
        **changes,
    }
    return Reader(generation_page(**given))  # type: ignore[arg-type] # as they are above


def test_it_has_what_it_is_given_and_no_markup_of_others() -> None:
    read = page()
    assert not read.of("b")
    assert not read.of("i")
    assert not read.of("script")
    for text in ("Net<b>", "3 tokens", "All MACs", "1,230", "<i>Note</i>", "layer<0>", "1.23 K", "MACs of a step"):
        assert text in read.texts
    assert read.of("td")[1] == {"class": "right"}
    assert not re.search(r"https?://", str(read.tags))


def test_a_curve_goes_from_corner_to_corner() -> None:
    """Figures begin at 0, at the bottom; positions where they do, at the left."""
    read = page()
    (line,) = read.of("polyline")
    (left, middle), (right, top) = ([float(each) for each in point.split(",")] for point in str(line["points"]).split())
    (dot,) = read.of("circle")
    assert (left, right, top) == (64, 432, 12)
    assert middle == (12 + 234) / 2  # half as much as the most
    assert [float(str(dot[name])) for name in ("cx", "cy")] == [(left + right) / 2, (middle + top) / 2]
    assert "150 MACs at 35" in read.texts
    for label in ("10", "20", "60", "0", "50", "200"):
        assert label in read.texts


@pytest.mark.parametrize(("first", "last", "labels"), [(1, 2, ["1", "2"]), (3000, 5046, ["3,000", "4,000", "5,000"])])
def test_labels_are_round(first: int, last: int, labels: list[str]) -> None:
    read = page(curves=[Curve(title="", variable="", points=[(first, 1), (last, 7000)], unit="")])
    assert [text for text in read.texts if text in labels] == labels


def test_dots_are_explained_where_there_are_some() -> None:
    every = Curve(title="", variable="", points=[(1, 1), (2, 2)], unit="")  # all were run, and none was held out
    assert any("Dots" in text for text in page(curves=[every, CURVE]).texts)
    assert not any("Dots" in text for text in page(curves=[every]).texts)


def test_a_page_without_steps_or_notes() -> None:
    read = page(curves=[], notes=[])
    assert not read.of("svg")
    assert not read.of("ul")
    assert not any("Dots" in text for text in read.texts)


def test_long_tables_scroll_on_their_own() -> None:
    long = Table(columns=("Name", "X"), rows=tuple((str(number), "1") for number in range(40)))
    classes = [each.get("class") for each in page(tables={"A": TABLE, "B": long}).of("div")]
    assert [each for each in classes if each in ("wide", "long")] == ["wide", "long"]
