"""33 well-known models have the figures that came with the convention, and what shows them is up to date.

After a change that is meant to alter them: ``python tools/results.py``.
"""

from __future__ import annotations

import pytest
from checks.results import EXPECTED, PAGES, PLOT, ROOT, figure, labels, page, place, profile, with_table

import thoplw


@pytest.mark.parametrize("name", EXPECTED)
def test_figures(name: str) -> None:
    macs, params, info = profile(name)
    assert tuple(thoplw.clever_format([macs, params], "%.2f")) == EXPECTED[name]
    assert (PAGES / f"{name}.md").read_text(encoding="utf-8") == page(name, info)


def test_there_are_33() -> None:
    assert len(EXPECTED) == 33
    assert {path.stem for path in PAGES.glob("*.md")} == set(EXPECTED)


def test_the_table_of_results_is_current() -> None:
    table = place()
    text = table.read_text(encoding="utf-8")
    assert with_table(text, table.parent.relative_to(ROOT).as_posix()) == text


def test_no_label_of_the_plot_covers_another() -> None:
    fig = figure()
    fig.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in labels(fig)}
    assert boxes.keys() == EXPECTED.keys()
    names = list(boxes)
    pairs = ((a, b) for i, a in enumerate(names) for b in names[i + 1 :])
    assert [pair for pair in pairs if boxes[pair[0]].overlaps(boxes[pair[1]])] == []
    assert all(f"<!-- {name} -->" in PLOT.read_text(encoding="utf-8") for name in EXPECTED)
