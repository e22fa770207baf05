"""The page of memory over time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from thoplw.render.timeline import Timeline, timeline_page

#: The weight is there all the time; what ``relu`` made is gone before the third operator runs.
TIMELINE = Timeline(
    title="Net",
    sentence="The peak is 140 B.",
    notes=["Not in it is <something>."],
    kinds=["weights", "activations", "gradients"],
    modules=["", "layer"],
    operators=["aten.relu", "aten.sum", "aten.mm"],
    phases=["forward", "backward"],
    steps=[(0, 1, 0), (1, 0, 0), (2, 1, 1)],
    storages=[(1000, 0, -1, -1), (400, 1, 0, 2), (40, 1, 1, -1), (60, 2, 2, -1)],
    iterations=[0, 2],
    peak=1,
)


def test_it_has_the_data_and_no_markup_of_others() -> None:
    page = timeline_page(replace(TIMELINE, title="</script><b>", modules=["", "</script>"]))
    (data,) = re.findall(r'<script id="data"[^>]*>(.*?)</script>', page)
    assert json.loads(data)["modules"] == ["", "</script>"]
    assert "<b>" not in page
    assert "&lt;something&gt;" in page
    assert not re.search(r"https?://(?!www\.w3\.org)", page)


def test_moments_can_be_looked_into(browser: object, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(timeline_page(TIMELINE), encoding="utf-8")
    page = browser.new_page()  # type: ignore[attr-defined] # of playwright, which may be missing
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(file.as_uri())
    assert page.inner_text("#moment") == "1.44 KB at aten.sum in (model), forward, operator 2 of 3: the peak"
    cells = [text.split("\t") for text in page.inner_text("#tables section:first-child table").splitlines()]
    total = ["Total", "1.44 KB", "100.00 %"]
    assert cells == [["weights", "1.00 KB", "69.44 %"], ["activations", "440 B", "30.56 %"], total]
    made = page.inner_text("#tables section:nth-child(2) table").splitlines()
    assert made[-1].split("\t") == ["Total", "440 B", "100.00 %"]
    page.focus("#chart")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#moment") == "1.10 KB at aten.mm in layer, backward, operator 3 of 3"
    page.keyboard.press("Home")
    assert "the peak" in page.inner_text("#moment")
    assert page.locator("#legend span").all_inner_texts() == ["weights", "activations", "gradients"]
    assert not wrong
