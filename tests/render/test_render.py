"""Every kind, against golden files; their figures add up to the footer; what no kind may trip over."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import tabulate
from checks.tables import TABLE
from rich.console import Console

import thoplw
from thoplw import UnknownNameError
from thoplw.models.registry import load
from thoplw.pricing import CONVENTIONS
from thoplw.render import DOCUMENTS, OUTLINES, TABLES, render
from thoplw.render.table import Table
from thoplw.render.tree import drawing
from thoplw.report.document import from_document

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {"text": "txt", "csv": "csv", "md": "md", "latex": "tex", "tree": "tree.txt"}
SUFFIXES |= {"collapsed": "folded", "json": "json", "speedscope": "speedscope.json"}
GRIDS = sorted(TABLES.keys() - {"tree"})

TREE = dataclasses.replace(
    TABLE,
    rows=(
        ("(model)", "ResNet", "3", "  1.82 G", " 11.70 M"),
        ("body", "Sequential", "3", "  1.36 G", "  9.41 K"),
        ("body.0 - 3", "4 x Linear", "3", "  1.36 G", "  9.41 K"),
        ("body.0 - 3.[red]", "ReLU", "3", "  0.00  ", "  0.00  "),
        ("fc", "Linear", "3", "456.00 M", "  1.00 K"),
    ),
    levels=(0, 1, 2, 3, 1),
    values={"MACs": (1820, 1365, 1365, 0, 455, 1820), "Params": (11700, 9410, 9410, 0, 1000, 11700)},
)


def layer(name: str, cls: str, depth: int, macs: int, params: int, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "class": cls,
        "depth": depth,
        "inputs": [[1, 3]],
        "outputs": [[1, 5]],
        "calls": 1,
        "macs": macs,
        "flops": 2 * macs,
        "params": params,
        "trainable": params,
        "bytes": {"float32": 4 * params} if params else {},
        "moved": 8 * params,
        "compulsory": 8 * params,
        "active": {"computed": params} if params else {},
        "activations": 5,
        "operators": {"aten.linear": macs} if macs else {},
        **more,
    }


DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "thoplw": "0.0.0",
    "torch": "2.0.0",
    "model": "Net",
    "convention": "thoplw",
    "unit": "MAC",
    "inputs": [[1, 3]],
    "outputs": [[1, 5]],
    "totals": {
        "macs": 2**70 + 20,
        "flops": 2**71 + 40,
        "params": 23,
        "trainable": 23,
        "bytes": {"float32": 92},
        "moved": 184,
        "compulsory": 24,
        "active": {"computed": 23},
        "activations": 25,
    },
    "layers": [
        layer("", "Net", 0, 0, 3),
        layer("body", "ModuleList", 1, 0, 0, inputs=[], outputs=[], calls=0),
        layer("body.a;b", "Linear", 2, 2**70, 0),
        layer("body.1", "ReLU", 2, 0, 0),
        layer("fc", "Linear", 1, 20, 20),
    ],
    "uncounted": {"lib.op.default": {"calls": 1, "modules": ["fc"], "shapes": [[[1, 3], [3]]]}},
    "unseen": {},
    "assumptions": {"every candidate is kept": {"operators": ["aten.nonzero"], "calls": 2, "modules": ["", "fc"]}},
    "not_executed": {"head": 650},
}

OUTLINE = from_document(DOCUMENT).outline()


#: What a sampled profile must have: https://github.com/jlfwong/speedscope, file-format-schema.json.
SAMPLED = {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}


def golden(stem: str, kind: str) -> str:
    return (GOLDEN / f"{stem}.{SUFFIXES[kind]}").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", GRIDS)
def test_golden_of_tables(kind: str) -> None:
    assert f"{render(TABLE, kind)}\n" == golden("table", kind)


def test_golden_of_the_tree() -> None:
    assert f"{render(TREE, 'tree')}\n" == golden("table", "tree")


@pytest.mark.parametrize("kind", ["collapsed", "json", "speedscope"])
def test_golden_of_documents(kind: str) -> None:
    what = DOCUMENT if kind in DOCUMENTS else OUTLINE
    assert f"{render(what, kind)}\n" == golden("document", kind)


def without_libraries(text: str) -> str:
    """A page without its styles and programs: tests/render/page/test_page.py runs those."""
    return re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", text, flags=re.DOTALL)


def test_golden_of_the_page() -> None:
    text = without_libraries(render(OUTLINE, "html"))
    assert f"{text}\n" == (GOLDEN / "document.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)
    for figure in ("macs", "params"):
        assert sum(int(row["own"][figure]) for row in json.loads(data)["rows"]) == DOCUMENT["totals"][figure]


@pytest.mark.parametrize("kind", [*TABLES, "collapsed"])
def test_golden_of_a_real_profile(kind: str) -> None:
    loaded = load("alexnet")
    _, _, layers = thoplw.profile(loaded.model, loaded.inputs, verbose=False)
    assert f"{layers.summary(kind, 'ratio' if kind == 'md' else 'raw')}\n" == golden("alexnet", kind)


@pytest.mark.parametrize("kind", TABLES)
def test_no_trailing_line_and_no_trailing_note(kind: str) -> None:
    text = render(dataclasses.replace(TREE, notes=()), kind)
    assert text == text.strip("\n")
    assert "Never ran" not in text


@pytest.mark.parametrize("kind", ["csv", "md", "text"])
def test_a_table_without_rows_keeps_head_and_footer(kind: str) -> None:
    text = render(dataclasses.replace(TABLE, rows=(), notes=()), kind)
    assert text.splitlines()[0].replace(" ", "").strip("|").startswith("Name")
    assert "Total" in text.splitlines()[-1]
    assert len(text.splitlines()) == {"text": 4, "csv": 2, "md": 3}[kind]


# -- figures read back from what was written add up ------------------------------------------------------------------


def cells(text: str, kind: str) -> list[list[str]]:
    """The rows of a grid, read back: head, layers, footer."""
    table = text.split("\n\n")[0]
    if kind == "csv":
        return list(csv.reader(table.splitlines()))
    if kind == "latex":
        lines = [line.removesuffix("\\\\") for line in table.splitlines() if line.endswith("\\\\")]
        return [[cell.strip() for cell in re.split(r"(?<!\\)&", line)] for line in lines]
    lines = [line for line in table.splitlines() if line.startswith("|") and "--" not in line]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vit_b_32"])
def test_the_columns_of_a_real_profile_add_up_to_the_footer(name: str, convention: str, kind: str) -> None:
    macs, params, layers = thoplw.profile(load(name).model, (2, 3, 224, 224), verbose=False, convention=convention)
    columns = ["name", "macs", "params", "flops", "trainable", "bytes"]
    head, *rows, total = cells(layers.summary(kind, columns=columns), kind)
    assert head == ["Name", f"{CONVENTIONS[convention].unit}s", "Params", "FLOPs", "Trainable", "Bytes float32"]
    figures = [[int(cell) for cell in row[1:]] for row in rows]
    assert [sum(column) for column in zip(*figures, strict=True)] == [int(cell) for cell in total[1:]]
    assert [int(cell) for cell in total[1:]] == [
        macs,
        params,
        layers.total_flops,
        layers.total_trainable,
        4 * params,
    ]


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vit_b_32"])
def test_the_figures_of_documents_add_up(name: str) -> None:
    macs, params, layers = thoplw.profile(load(name).model, (1, 3, 224, 224), verbose=False)
    written = json.loads(layers.summary("json"))
    assert written == layers.to_dict()
    stacks = [line.rsplit(" ", 1) for line in layers.summary("collapsed").splitlines()]
    assert sum(int(figure) for _, figure in stacks) == macs
    assert {stack.split(";")[0] for stack, _ in stacks} == {written["model"]}
    flame = json.loads(layers.summary("speedscope"))
    assert [profile["name"] for profile in flame["profiles"]] == ["MACs", "Parameters", "Bytes of parameters"]
    assert [profile["endValue"] for profile in flame["profiles"]] == [macs, params, 4 * params]
    assert [profile["unit"] for profile in flame["profiles"]] == ["none", "none", "bytes"]
    for profile in flame["profiles"]:
        assert profile.keys() == SAMPLED
        assert sum(profile["weights"]) == profile["endValue"]
        assert len(profile["weights"]) == len(profile["samples"])
        assert {frame for stack in profile["samples"] for frame in stack} <= set(range(len(flame["shared"]["frames"])))


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vit_b_32"])
def test_the_root_of_a_tree_has_the_totals(name: str) -> None:
    macs, params, layers = thoplw.profile(load(name).model, (1, 3, 224, 224), verbose=False)
    root = layers.summary("tree").splitlines()[2]
    assert [int(cell) for cell in re.findall(r"\b\d+\b", root)] == [macs, params]


# -- what no kind may trip over --------------------------------------------------------------------------------------


def test_a_tree_has_colours_on_a_terminal_and_none_elsewhere() -> None:
    def shown(**options: Any) -> str:
        file = io.StringIO()
        Console(file=file, width=120, **options).print(drawing(TREE))
        return file.getvalue()

    assert "\x1b[" in shown(force_terminal=True, color_system="truecolor")
    assert "\x1b[" not in shown(force_terminal=False)
    assert "\x1b[" not in render(TREE, "tree")


def test_a_tree_takes_names_as_they_are() -> None:
    assert "[red]" in render(TREE, "tree")  # no markup of rich


def test_bars_of_a_tree_are_shares_of_the_total() -> None:
    bars = [line.count("█") for line in render(TREE, "tree").splitlines()[2:7]]
    assert bars == [16, 12, 12, 0, 4]


def test_a_stack_is_split_at_its_semicolons_alone() -> None:
    stacks = [line.rsplit(" ", 1)[0].split(";") for line in render(OUTLINE, "collapsed").splitlines()]
    assert stacks == [["Net", "body (ModuleList)", "a:b (Linear)"], ["Net", "fc (Linear)"]]


def test_json_keeps_integers_of_any_size() -> None:
    assert json.loads(render(DOCUMENT, "json")) == DOCUMENT


def test_tabulate_is_left_as_it_was() -> None:
    before = dict(vars(tabulate))
    for kind in TABLES:
        render(TREE, kind)
    assert vars(tabulate) == before


def test_unknown_kind() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown kind 'texd'. Did you mean 'text'"):
        render(TABLE, "texd")


def test_every_format_is_of_a_table_an_outline_or_the_document() -> None:
    assert len({*TABLES, *OUTLINES, *DOCUMENTS}) == len(TABLES) + len(OUTLINES) + len(DOCUMENTS)


# -- names that do harm ----------------------------------------------------------------------------------------------

#: What a name may hold, and what is shown of it.
NAMES = {
    "a\nb": r"a\nb",
    "a\r\nb": r"a\r\nb",
    "a\tb": r"a\tb",
    "\x1b[31mred\x1b[0m": r"\x1b[31mred\x1b[0m",
    "bell\a\x00\x7f": r"bell\x07\x00\x7f",
    "\x9b31m": r"\x9b31m",
    "line\u2028end": r"line\u2028end",
    "\u202egnp.exe": r"\u202egnp.exe",
    "lone\udcff": r"lone\udcff",
    "=1+1": "=1+1",
    "+cmd|' /C calc'!A0": "+cmd|' /C calc'!A0",
    "-2+3": "-2+3",
    "@SUM(A1)": "@SUM(A1)",
    "<img src=x onerror=alert(1)>": "<img src=x onerror=alert(1)>",
    "![x](http://evil)": "![x](http://evil)",
    "größe 模型": "größe 模型",
}


def named(name: str) -> Table:
    return dataclasses.replace(
        TREE, rows=((name, *TREE.rows[0][1:]), *TREE.rows[1:]), notes=(name,), columns=(name, *TREE.columns[1:])
    )


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("name", NAMES)
def test_no_name_breaks_a_table_or_reaches_a_terminal(name: str, kind: str) -> None:
    text = render(named(name), kind)
    assert text.count("\n") == render(named("name"), kind).count("\n")
    assert "".join(text.split("\n")).isprintable()
    if kind in ("text", "csv"):
        assert NAMES[name].rpartition(".")[2] in text.replace('""', '"')


@pytest.mark.parametrize("name", NAMES)
def test_no_cell_of_a_csv_is_a_formula(name: str) -> None:
    rows = list(csv.reader(render(named(name), "csv").splitlines()))
    assert {len(row) for row in rows} == {len(TREE.columns)}
    assert rows[0][0] == rows[1][0] == ("'" if name[0] in "=+-@" else "") + NAMES[name]


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "![x](http://evil)", "`code`", "a\\|b"])
def test_markdown_shows_names_as_text(name: str) -> None:
    text = render(named(name), "md")
    assert not re.search(r"<|(?<!\\)\[|(?<!\\)`", text)
    assert {re.sub(r"\\.", "", line).count("|") for line in text.splitlines() if line.startswith("|")} == {
        len(TREE.columns) + 1
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_is_one_line(name: str) -> None:
    document = {**DOCUMENT, "layers": [{**each, "class": f"{name};x"} for each in DOCUMENT["layers"]]}
    lines = render(from_document(document).outline(), "collapsed").split("\n")
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert [line.count(";") for line in lines] == [2, 1]
