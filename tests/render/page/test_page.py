"""The page: what is written into it, and what it does in a browser that is offline."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

import thoplw
from thoplw import MissingExtraError
from thoplw.models.registry import load
from thoplw.render.page import page as page_of
from thoplw.render.page.page import TIMES, rows
from thoplw.report.document import from_document

VENDOR = Path(thoplw.__file__).parent / "render" / "page" / "vendor"

#: More than a browser's numbers hold exactly.
HUGE = 2**60 + 1

Open = Callable[..., Page]


def layer(name: str, macs: int = 0, params: int = 0, **rest: Any) -> dict[str, Any]:
    return {
        "name": name,
        "class": "Linear",
        "depth": name.count(".") + bool(name),
        "inputs": [[1, 8]],
        "outputs": [[1, 8]],
        "calls": 1,
        "macs": macs,
        "flops": 2 * macs,
        "params": params,
        "trainable": params,
        "bytes": {"float32": 4 * params},
        "moved": 8 * params,
        "compulsory": 4 * params,
        "active": {"computed": params} if params else {},
        "activations": 8,
        "operators": {"aten.linear": macs},
        **rest,
    }


def document(*layers: dict[str, Any], **rest: Any) -> dict[str, Any]:
    summed = ("macs", "flops", "params", "trainable", "moved", "activations")
    totals = {key: sum(each[key] for each in layers) for key in summed}
    totals["compulsory"] = layers[0]["compulsory"]  # with all modules inside
    active = {"computed": totals["params"]} if totals["params"] else {}
    return {
        "schema": 1,
        "thoplw": "0.1.0",
        "torch": "2.14.1",
        "model": "Model",
        "convention": "thoplw",
        "unit": "MAC",
        "inputs": [[1, 8]],
        "outputs": [[1, 8]],
        "totals": {**totals, "bytes": {"float32": 4 * totals["params"]}, "active": active},
        "layers": list(layers),
        "uncounted": {},
        "unseen": {},
        "assumptions": {},
        "not_executed": {},
        **rest,
    }


def page(contents: dict[str, Any]) -> str:
    return page_of(from_document(contents).outline())


SMALL = document(
    layer("", **{"class": "Model"}),
    layer("stem", macs=300, params=10, **{"class": "Conv2d"}),
    layer("body", macs=1000, **{"class": "Attention"}),
    layer("body.0", macs=2000, params=4000),
    layer("body.1", macs=6700, params=90),
    layer("act", **{"class": "ReLU"}),
)


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a document, or one as text; in the end nothing was logged, and nothing requested but it."""
    seen: list[str] = []
    contexts = []

    def open_page(contents: dict[str, Any] | str, **options: Any) -> Page:
        file = tmp_path / "page.html"
        file.write_text(contents if isinstance(contents, str) else page(contents), encoding="utf-8")
        context = browser.new_context(**{"viewport": {"width": 1600, "height": 1000}, **options})
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: seen.append(message.text))
        tab.on("pageerror", lambda error: seen.append(str(error)))
        tab.on("request", lambda request: seen.append(request.url) if request.url != file.as_uri() else None)
        tab.goto(file.as_uri())
        tab.wait_for_selector(".tabulator-row")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert seen == []


#: What of each slice can be read: every word that lies wholly inside of it.
READABLE = """
    slices => slices.map(slice => {
        const edge = slice.getBoundingClientRect(), label = slice.querySelector(".label").getBoundingClientRect();
        const bottom = Math.min(edge.bottom, label.bottom) + 1;
        const inside = [...slice.querySelectorAll(".label > *")].filter(word => {
            const box = word.getBoundingClientRect();
            return box.width && box.bottom <= bottom && box.right <= edge.right;
        });
        return inside.map(word => word.textContent).join(" ");
    }).filter(text => text)
"""


def labels(tab: Page) -> list[str]:
    """What can be read in the slices, one string each, once they rest."""
    tab.evaluate("() => Promise.all(document.getAnimations().map(each => each.finished))")
    read: list[str] = tab.locator("#chart .slice").evaluate_all(READABLE)
    return read


def names(tab: Page) -> list[str]:
    return tab.locator(".tabulator-row .name").all_text_contents()


def slice_of(tab: Page, name: str) -> Any:
    return tab.locator("#chart .slice").filter(has=tab.locator(".title", has_text=re.compile(rf"^{name}$"))).first


# What is written


def test_device_and_floors_stand_above_the_tree() -> None:
    model = load("resnet18")
    info = thoplw.profile(model.model, model.inputs, verbose=False)[2]
    assert "The whole takes" not in info.summary("html")
    page = info.on("h100-sxm").summary("html")
    assert "On NVIDIA H100 SXM5 80 GB: 494.7 TFLOP/s (tf32, matrix)" in page
    assert "The whole takes 7.33 us at least." in page


def test_sums_go_up_exactly() -> None:
    model, stem, body, _ = rows(
        from_document(document(layer("", HUGE), layer("stem", 1), layer("body"), layer("body.a", HUGE))).outline()
    )
    assert (model["own"]["macs"], model["all"]["macs"]) == (str(HUGE), str(2 * HUGE + 1))
    assert (body["own"]["macs"], body["all"]["macs"]) == ("0", str(HUGE))
    assert (stem["parent"], body["parent"], model["parent"]) == (0, 0, -1)


def test_figures_of_a_real_model() -> None:
    loaded = load("resnet18")
    _, _, layers = thoplw.profile(loaded.model, loaded.inputs)
    model, *others = rows(layers.profile.outline())
    assert (model["all"]["macs"], model["all"]["params"]) == ("1824010216", "11699112")
    (block,) = (row for row in others if row["name"] == "layer1.0")
    assert model["id"] == 0
    assert block["own"]["macs"] == "0"
    assert block["all"]["macs"] == str(2 * 115605504 + 2 * 802816)  # two convolutions, two norms


def test_it_is_one_file_that_names_no_address_to_load() -> None:
    own = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", page(SMALL), flags=re.DOTALL)
    assert re.findall(r"(?:src|href)=\"(?!#)", own) == []
    assert "default-src 'none'" in own


def test_it_is_small_and_names_what_it_is_made_of() -> None:
    written = page(SMALL)
    assert len(written.encode()) < 600_000
    (footer,) = re.findall(r"<footer>(.*?)</footer>", written, flags=re.DOTALL)
    versions = (VENDOR / "README.md").read_text(encoding="utf-8")
    for library, licence in {"d3-hierarchy": "ISC", "d3-selection": "ISC", "tabulator": "MIT"}.items():
        (package, version), *_ = re.findall(rf"`{library}\.min\.js`.*?\[([\w-]+)\].*? ([\d.]+) \|", versions)
        assert library in package
        assert version in (VENDOR / f"{library}.min.js").read_text(encoding="utf-8")[:200]
        assert re.search(f"{library}.*{licence} licence", footer, flags=re.DOTALL | re.IGNORECASE)


def test_without_jinja_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install jinja2")):
        page(SMALL)


def test_gaps_versions_and_convention_are_written() -> None:
    text = page(
        document(
            *SMALL["layers"],
            unit="FLOP",
            uncounted={"lib.scan": {"calls": 2, "modules": ["", "body"], "shapes": [[[1, 16], []]]}},
            assumptions={"every candidate is kept": {"calls": 1, "modules": ["body"], "operators": ["aten.nonzero"]}},
            not_executed={"head": 650},
        )
    )
    words = " ".join(re.sub(r"<[^>]+>", " ", text[text.index('id="gaps"') : text.index("<noscript>")]).split())
    assert f"lib.scan : 2 calls in (model) , body on (1{TIMES}16, scalar)" in words
    assert "every candidate is kept: aten.nonzero , 1 call in body" in words
    assert "head : 650 parameters" in words
    assert "Convention thoplw Unit FLOP thoplw 0.1.0 torch 2.14.1" in words
    assert "<dt>MACs" not in text
    assert "not the whole story" in text
    assert "not the whole story" not in page(SMALL)


# What it does


def test_it_shows_tree_and_table(opened: Open) -> None:
    tab = opened(SMALL)
    expect(tab.get_by_role("heading", level=1)).to_have_text("Model")
    assert labels(tab) == [
        "(model) 10.00 K 100.0 %",
        "stem 3.0 %",
        "body 9.70 K 97.0 %",
        "itself 1.00 K 10.0 %",
        "0 Linear 2.00 K 20.0 %",
        "1 Linear 6.70 K 67.0 %",
    ]
    assert names(tab) == ["stem", "body", "body.0", "body.1", "act"]
    expect(tab.locator("#shown")).to_have_text("5 of 6 modules: 10.00 K MACs (100.00 %), 4.10 K parameters (100.00 %)")
    expect(tab.locator("#legend button")).to_have_text(["Linear 87.00 %", "Attention 10.00 %", "Conv2d 3.00 %"])


def test_the_chart_zooms_and_comes_back(opened: Open) -> None:
    tab = opened(SMALL)
    slice_of(tab, "body").click()
    expect(tab.locator("#trail button")).to_have_text(["Model", "body"])
    assert labels(tab)[0] == "body 9.70 K 100.0 %"
    expect(tab.locator(".tabulator-selected .name")).to_have_text("body")
    slice_of(tab, "body").click()  # The module at the left leads up.
    expect(tab.locator("#trail button")).to_have_text(["Model"])
    slice_of(tab, "body").click()
    tab.locator("#trail button").first.focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#trail button")).to_have_text(["Model"])
    assert labels(tab)[0].startswith("(model)")


def test_keys_lead_through_the_chart(opened: Open) -> None:
    tab = opened(SMALL)
    tab.locator("#trail button").last.focus()
    tab.keyboard.press("Tab")
    focused = tab.locator("#chart .slice:focus .title")
    expect(focused).to_have_text("(model)")
    expect(tab.locator("#keys")).to_be_in_viewport()
    for pressed, reached in [
        ("ArrowRight", "stem"),
        ("ArrowUp", "stem"),
        ("ArrowDown", "body"),
        ("ArrowRight", "itself"),
        ("ArrowDown", "0 Linear"),
        ("ArrowLeft", "body"),
        ("Enter", "body"),
    ]:
        tab.keyboard.press(pressed)
        expect(focused).to_have_text(reached)
    expect(tab.locator("#trail button")).to_have_text(["Model", "body"])
    assert tab.locator('#chart [tabindex="0"]').count() == 1
    tab.keyboard.press(" ")
    expect(tab.locator("#trail button")).to_have_text(["Model"])
    expect(focused).to_have_text("body")
    tab.keyboard.press("Home")
    expect(tab.locator("#tip")).to_contain_text("10,000 MACs (100.00 %)")
    tab.keyboard.press("Escape")
    expect(tab.locator("#tip")).to_be_hidden()


def test_the_chart_is_a_tree_to_who_cannot_see_it(opened: Open) -> None:
    tab = opened(SMALL)
    assert tab.get_by_role("tree").get_by_role("treeitem").count() == 6
    item = tab.get_by_role("treeitem", name="body.1; Linear; 6,700 MACs (67.00 %)")
    assert [item.get_attribute(f"aria-{name}") for name in ("level", "posinset", "setsize")] == ["3", "3", "3"]
    assert item.get_attribute("aria-expanded") is None
    expect(tab.get_by_role("treeitem", name="(model);")).to_have_attribute("aria-expanded", "true")


#: Contrast as WCAG has it, of every text in the chart and the legend with what lies under it.
CONTRAST = """
    () => {
        const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        const light = (colour) => {
            pen.fillStyle = colour;
            pen.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(c => c / 255)
                .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
        };
        const style = getComputedStyle(document.documentElement), body = getComputedStyle(document.body);
        const slice = document.querySelector(".slice");
        return [...Array(8).keys()].map(place => `--class-${place}`).concat("--container").map(name => {
            slice.style.setProperty("--fill", `var(${name})`);
            const [ink, fill] = [light(body.color), light(getComputedStyle(slice).backgroundColor)];
            return Math.max(ink, fill) / Math.min(ink, fill);
        });
    }
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_on_every_colour(opened: Open, scheme: str) -> None:
    assert min(opened(SMALL, color_scheme=scheme).evaluate(CONTRAST)) >= 4.5


def test_modules_too_small_to_see_are_one_slice(opened: Open) -> None:
    tab = opened(
        document(
            layer("", **{"class": "Model"}),
            layer("large", 1000),
            *(layer(f"small{place}", 1) for place in range(1000)),
        )
    )
    expect(slice_of(tab, "1,000 smaller")).to_contain_text("50.0 %")
    slice_of(tab, "1,000 smaller").click()
    expect(tab.locator("#trail button")).to_have_text(["Model"])


def test_a_row_leads_to_its_place_in_the_chart(opened: Open) -> None:
    tab = opened(SMALL)
    tab.get_by_role("button", name="body.1", exact=True).press("Enter")
    expect(tab.locator("#trail button")).to_have_text(["Model", "body"])
    expect(tab.locator(".tabulator-selected .name")).to_have_text("body.1")


def test_the_table_sorts(opened: Open) -> None:
    tab = opened(SMALL)
    tab.locator('.tabulator-col[tabulator-field="macs"]').click()
    assert names(tab) == ["body.1", "body.0", "body", "stem", "act"]
    header = tab.locator('.tabulator-col[tabulator-field="params"]')
    header.press("Enter")
    assert names(tab)[:2] == ["body.0", "body.1"]
    expect(header).to_have_attribute("aria-sort", "descending")


def test_the_table_searches_names_and_classes(opened: Open) -> None:
    tab = opened(SMALL)
    tab.get_by_role("searchbox").fill("LINEAR")
    expect(tab.locator(".tabulator-row .name")).to_have_text(["body.0", "body.1"])
    expect(tab.locator("#shown")).to_have_text("2 of 6 modules: 8.70 K MACs (87.00 %), 4.09 K parameters (99.76 %)")
    tab.get_by_role("searchbox").fill("nowhere")
    expect(tab.get_by_text("No module has this")).to_be_visible()
    tab.locator("#legend button").first.click()
    expect(tab.locator(".tabulator-row .name")).to_have_text(["body.0", "body.1"])


def test_macs_and_parameters_switch_by_keyboard(opened: Open) -> None:
    tab = opened(SMALL)
    tab.get_by_role("radio", name="MACs").focus()
    tab.keyboard.press("ArrowRight")
    expect(tab.get_by_role("radio", name="Parameters")).to_be_checked()
    assert "0 Linear 4.00 K 97.6 %" in labels(tab)
    expect(tab.locator(".share").nth(2)).to_have_text("97.56 %")


def test_figures_with_submodules_and_exact(opened: Open) -> None:
    tab = opened(SMALL)
    tab.get_by_text("With submodules").click()
    assert names(tab) == ["(model)", "stem", "body", "body.0", "body.1", "act"]
    body = tab.locator('.tabulator-row:has-text("body") [tabulator-field="macs"]').first
    expect(body).to_have_text("9.70 K")
    expect(body.locator("span")).to_have_attribute("title", "9,700")
    tab.get_by_role("checkbox", name="Exact").check()
    expect(body).to_have_text("9,700")


def test_integers_stay_exact_beyond_what_a_browser_counts(opened: Open) -> None:
    tab = opened(document(layer(""), layer("a", HUGE), layer("b", HUGE + 1)))
    tab.get_by_role("checkbox", name="Exact").check()
    figures = tab.locator('.tabulator-row [tabulator-field="macs"]')
    expect(figures).to_have_text([f"{HUGE:,}", f"{HUGE + 1:,}"])
    expect(tab.locator("#shown")).to_contain_text(f"{2 * HUGE + 1:,} MACs")


@pytest.mark.parametrize(("system", "other"), [("light", "dark"), ("dark", "light")])
def test_colours_follow_the_system_until_they_are_switched(opened: Open, system: str, other: str) -> None:
    paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}
    tab = opened(SMALL, color_scheme=system)
    switch = tab.get_by_role("switch", name="Dark")
    expect(tab.locator("body")).to_have_css("background-color", paper[system])
    painted = "slice => getComputedStyle(slice).backgroundColor"
    before = slice_of(tab, "stem").evaluate(painted)
    switch.press("Space")
    expect(switch).to_have_attribute("aria-checked", str(other == "dark").lower())
    expect(tab.locator("body")).to_have_css("background-color", paper[other])
    assert slice_of(tab, "stem").evaluate(painted) != before


def test_names_from_a_model_are_text(opened: Open) -> None:
    evil = "</script><script>console.log('run')</script><b>x</b>&amp;"
    link = "<a href='https://localhost'>y</a>"
    gap = {evil: {"calls": 1, "modules": [evil], "shapes": []}}
    tab = opened(document(layer("", **{"class": evil}), layer(link, 5, **{"class": evil}), model=evil, uncounted=gap))
    expect(tab.get_by_role("heading", level=1)).to_have_text(evil)
    expect(tab.locator("#gaps code").first).to_have_text(evil)
    expect(tab.locator(".tabulator-row .name")).to_have_text([link])
    expect(tab.locator('.tabulator-row [tabulator-field="class"]')).to_have_text([evil])
    assert tab.locator("#chart a, #tip a").count() == 0
    slice_of(tab, "<a href.*").hover()
    expect(tab.locator("#tip")).to_contain_text(link)
    expect(tab.locator("#tip")).to_contain_text(evil)


def test_a_model_that_costs_nothing_says_so(opened: Open) -> None:
    tab = opened(document(layer(""), layer("act", params=3)))
    expect(tab.get_by_text("No MACs here.")).to_be_visible()
    expect(tab.locator("#chart")).to_be_hidden()
    tab.get_by_text("Parameters", exact=True).nth(1).click()
    assert labels(tab)[0].startswith("(model)")


def test_five_thousand_modules_open(opened: Open) -> None:
    blocks = [layer(f"blocks.{block}", **{"class": "Block"}) for block in range(1000)]
    parts = [layer(f"{block['name']}.{part}", 1000 + part, 10) for block in blocks for part in range(4)]
    root = layer("", **{"class": "Model"})
    tab = opened(document(root, layer("blocks"), *sorted(blocks + parts, key=lambda each: str(each["name"]))))
    expect(tab.locator("#shown")).to_contain_text("4,000 of 5,002 modules")
    assert tab.locator(".tabulator-row").count() < 200  # Only those in view are drawn.
    assert tab.locator("#chart .slice").count() < 1500
    tab.get_by_role("searchbox").fill("blocks.999.3")
    tab.get_by_role("button", name="blocks.999.3", exact=True).click()
    expect(tab.locator("#trail button")).to_have_text(["Model", "blocks", "999"])
    assert [text.split()[0][0] for text in labels(tab)] == ["9", "0", "1", "2", "3"]


@pytest.mark.parametrize("width", [400, 1280, 1600, 1920])
def test_nothing_spills_over_the_edge(opened: Open, width: int) -> None:
    tab = opened(SMALL, viewport={"width": width, "height": 900})
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


#: Cells and headers of the table whose text has less room than it needs.
CUT = """
    cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).map(cell => cell.textContent)
"""


@pytest.mark.parametrize("width", [1280, 1600, 1920])
@pytest.mark.parametrize("name", ["resnet50", "timm:vit_base_patch16_224"])
def test_the_table_is_whole(opened: Open, name: str, width: int) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    loaded = load(name)
    _, _, layers = thoplw.profile(loaded.model, loaded.inputs)
    tab = opened(layers.to_dict(), viewport={"width": width, "height": 800})
    tab.get_by_role("checkbox", name="Exact").check()
    assert tab.locator(".tabulator-cell, .name, .tabulator-col-title").evaluate_all(CUT) == []
    assert tab.locator(".tabulator-tableholder").evaluate("each => each.scrollWidth - each.clientWidth") == 0


@pytest.mark.parametrize("width", [400, 1280])
def test_long_names_take_several_lines(opened: Open, width: int) -> None:
    long = "encoder.layers.7.attention.self_attention.relative_position_embedding.projection_of_queries"
    wide = [[1, 16, 128, 128], [1, 16, 128, 128]]
    tab = opened(
        document(layer(""), layer(long, 5, inputs=wide, outputs=wide, depth=1)),
        viewport={"width": width, "height": 800},
    )
    name = tab.get_by_role("button", name=long)
    assert tab.locator(".tabulator-cell").evaluate_all(CUT) == []
    assert name.evaluate("each => each.getClientRects().length && each.offsetHeight") > 30
    assert name.evaluate("each => each.closest('.tabulator-row').offsetHeight - each.offsetHeight") > 0


def data(written: str) -> dict[str, Any]:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', written)
    read: dict[str, Any] = json.loads(found)
    return read


def test_the_data_of_the_page_is_json() -> None:
    assert [row["name"] for row in data(page(SMALL))["rows"]][:2] == ["(model)", "stem"]


def test_figures_of_a_phase_are_told_apart() -> None:
    phases = {"forward": 300, "recomputation": 0, "backward": 600, "update": 0}
    contents = document(
        layer("", **{"class": "Model"}, phases=dict.fromkeys(phases, 0)), layer("stem", 900, phases=phases)
    )
    contents["totals"]["phases"] = phases
    nouns = [figure["noun"] for figure in data(page(contents))["figures"]]
    assert nouns == ["MACs", "parameters", "MACs forward", "MACs backward"]


def test_the_script_shows_the_figures_that_the_data_have(opened: Open) -> None:
    """It knows none by name: the first here is in none of its lines, and there are three."""
    written = page(SMALL)
    changed = data(written.replace('"macs"', '"joules"'))
    changed["figures"][0].update(heading="Energy", noun="J")
    changed["figures"].append({"name": "moved", "heading": "Moved", "noun": "bytes moved"})
    for row in changed["rows"]:
        for scope in ("own", "all"):
            row[scope]["moved"] = row[scope]["params"] + "0"
    tab = opened(
        re.sub(r'(id="data">).*?(</script>)', lambda found: found[1] + json.dumps(changed) + found[2], written)
    )
    expect(tab.locator(".tabulator-col-title").filter(has_text=re.compile("Energy|Parameters|Moved"))).to_have_count(3)
    expect(tab.locator("#shown")).to_contain_text(
        "10.00 K J (100.00 %), 4.10 K parameters (100.00 %), 41.00 K bytes moved"
    )
    assert labels(tab)[0] == "(model) 10.00 K 100.0 %"
