"""The registry: one entry is found in every place that shows figures."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from torch import nn

import thoplw
from thoplw.api.budget import Budget, check
from thoplw.api.diff import differences
from thoplw.api.formula import having_formulas
from thoplw.api.survey import _entry, frame, table
from thoplw.pytest_plugin import within
from thoplw.report import figures
from thoplw.report.document import from_document, schema, to_document
from thoplw.report.figures import FIGURES, PLACES, Figure, need_memory, total
from thoplw.report.rows import Row

TENSORS = Figure(
    name="tensors",
    heading="Tensors",
    label="Tensors of parameters",
    unit="tensor",
    description="How many tensors hold the parameters.",
    of=lambda charge: len(charge.weights),
    places=PLACES,
)

#: The same for a new process.
REGISTER = """
from thoplw.report.figures import FIGURES, PLACES, Figure
FIGURES["tensors"] = Figure(name="tensors", heading="Tensors", unit="tensor", description="How many tensors.",
                            of=lambda charge: len(charge.weights), places=PLACES)
from thoplw.cli import main
main()
"""


@pytest.fixture
def tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIGURES, "tensors", TENSORS)


def layers(*modules: nn.Module) -> thoplw.LayerInfo:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 2, bias=False), *modules)
    return thoplw.profile(model, (1, 4), verbose=False)[2]


@pytest.mark.usefixtures("tensors")
def test_tables_have_it() -> None:
    shown = layers().table(columns=["name", "tensors"], sort="tensors")
    assert shown.rows == (("0.0", "2"), ("1", "1"), ("0.1", "0"))
    assert (shown.columns, shown.footer, shown.values) == (
        ("Name", "Tensors"),
        ("Total", "3"),
        {"Tensors": (2, 1, 0, 3)},
    )
    assert layers().table(columns=["tensors"], own=False).values["Tensors"] == (3, 2, 2, 0, 1, 3)
    assert layers().table("ratio", columns=["tensors"]).rows[0] == ("66.67 %",)
    assert "Tensors" in layers().summary("tree", columns=["tensors"])
    assert layers().table(columns=["name", "tensors"], top=1, sort="tensors").rows[-1] == ("(2 more)", "1")


@pytest.mark.usefixtures("tensors")
def test_sums_over_modules_have_it() -> None:
    found = layers()
    assert [row["tensors"] for row in found.modules] == [0, 0, 2, 0, 1]
    assert found.profile.total["tensors"] == 3
    assert [row["tensors"] for row in found.profile.to_depth(1).modules] == [0, 2, 1]


@pytest.mark.usefixtures("tensors")
def test_json_and_its_schema_have_it() -> None:
    document = json.loads(layers().summary("json"))
    assert [layer["tensors"] for layer in document["layers"]] == [0, 0, 2, 0, 1]
    assert document["totals"]["tensors"] == 3
    jsonschema.validate(document, schema(), jsonschema.Draft202012Validator)
    assert from_document(document).total["tensors"] == 3
    with pytest.raises(thoplw.InputError, match=r"totals.tensors is 4, and the layers add up to 3"):
        from_document({**document, "totals": {**document["totals"], "tensors": 4}})


@pytest.mark.usefixtures("tensors")
def test_data_frames_and_plots_have_it() -> None:
    assert list(layers().to_pandas()["tensors"]) == [0, 0, 2, 0, 1]
    assert [bar.get_width() for bar in layers().plot("tensors").axes[0].patches] == [2, 1, 0]


@pytest.mark.usefixtures("tensors")
def test_diff_has_it() -> None:
    found = differences(layers().profile, layers(nn.Linear(2, 2)).profile)
    assert (found.totals["tensors"].before, found.totals["tensors"].after) == (3, 5)
    assert found.table().columns[-3:] == ("Tensors before", "Tensors after", "Tensors +/-")
    assert found.to_dict()["changes"][0]["tensors"] == {"before": 0, "after": 2, "grown": 2}


@pytest.mark.usefixtures("tensors")
def test_budgets_have_it() -> None:
    verdict = check(layers().profile, Budget(limits={"tensors": 2}))
    assert verdict.problems == ("Tensors: 3 is 1 more than the limit allows, which is 2",)
    with pytest.raises(pytest.fail.Exception, match="Tensors: 2"):
        within(nn.Linear(2, 2), (1, 2), tensors=1)


@pytest.mark.usefixtures("tensors")
def test_surveys_have_it() -> None:
    entry = _entry("mine:net", layers().profile)
    assert entry.to_dict()["tensors"] == 3
    assert table([entry]).columns == ("Model", "MACs", "FLOPs", "Params", "Tensors", "Notes")
    assert list(frame([entry])["tensors"]) == [3]


@pytest.mark.usefixtures("tensors")
def test_pages_and_flame_graphs_have_it() -> None:
    page = layers().summary("html")
    assert '<input type="radio" name="figure" value="tensors">' in page
    assert "<dt>Tensors of parameters</dt><dd>3" in page
    profiles = json.loads(layers().summary("speedscope"))["profiles"]
    assert [(each["name"], each["endValue"]) for each in profiles if each["name"].startswith("Tensors")] == [
        ("Tensors of parameters", 3)
    ]


@pytest.mark.parametrize("command", ["profile", "check"])
def test_help_has_it(command: str, tmp_path: Path) -> None:
    (tmp_path / "registers.py").write_text(REGISTER, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "registers.py", command, "--help"],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "200", "TERMINAL_WIDTH": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "tensors" in done.stdout


def test_every_figure_says_what_it_is() -> None:
    for name, figure in FIGURES.items():
        assert figure.name == name
        assert figure.description.endswith(".")
        assert (figure.of is None) == (figure.shows in FIGURES or figure.over is not None)
        assert not (figure.adds_up and figure.inclusive)
        assert figure.places <= figures.PLACES


def test_sums_are_part_by_part() -> None:
    assert total([1, 2, 3]) == 6
    assert total([{"float32": 4}, {}, {"int8": 1, "float32": 2}]) == {"float32": 6, "int8": 1}


def test_a_figure_is_asked_by_name() -> None:
    (row,) = thoplw.profile(nn.Linear(3, 4), (2, 3), verbose=False)[2]
    assert (row["macs"], row["params"], row["bytes"], row["share"]) == (row.macs, 16, {"float32": 64}, row.macs)


def test_a_convention_measures_by_its_unit() -> None:
    work = thoplw.Work(macs=5, flops=11)
    measured: dict[Any, int] = {
        unit: thoplw.Convention("mine", {}, unit=unit).measure(work)  # type: ignore[arg-type] # both are units
        for unit in ("MAC", "FLOP")
    }
    assert measured == {"MAC": 5, "FLOP": 11}


def test_bytes_are_of_every_dtype() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).to(torch.bfloat16))
    assert layers(model.requires_grad_(False)[0]).profile.total.bytes == {"float32": 4 * (20 + 8 + 6)}


@pytest.mark.parametrize(
    ("names", "needed"), [(("macs", "peak"), True), (("saved",), True), (("macs", "nothing"), False)]
)
def test_figures_of_memory_need_a_second_run(names: tuple[str, ...], needed: bool) -> None:
    assert need_memory(names) is needed


def test_a_new_figure_of_memory_needs_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Figure(name="kept", description="Bytes.", needs=frozenset({"memory"}), places=frozenset({"table"}))
    monkeypatch.setitem(FIGURES, "kept", kept)
    assert need_memory(["kept"])


# -- figures that a report lacks ---------------------------------------------------------------------------------------


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> thoplw.LayerInfo:
    """A report that was saved before a figure, which is shown in all places, was registered."""
    document = layers().to_dict()
    monkeypatch.setitem(FIGURES, "tensors", dataclasses.replace(TENSORS, optional=True))
    return thoplw.LayerInfo(from_document(document))


def test_a_figure_that_was_registered_later_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIGURES, "tensors", dataclasses.replace(TENSORS, optional=True))
    document = json.loads(layers().summary("json"))
    assert [layer["tensors"] for layer in document["layers"]] == [0, 0, 2, 0, 1]
    assert from_document(document).total["tensors"] == 3
    del document["layers"][2]["tensors"]
    with pytest.raises(thoplw.InputError, match=r"layers\[2\] has no 'tensors'"):
        from_document(document)


def test_a_figure_that_a_report_lacks_is_refused_by_name(older: thoplw.LayerInfo) -> None:
    lacks = "this report has no tensors of parameters: profile the model again"
    for ask in (
        lambda: older.summary(columns=["name", "tensors"]),
        lambda: older.summary(sort="tensors"),
        lambda: older.profile.total["tensors"],
        lambda: older.plot("tensors"),
        lambda: check(older.profile, Budget(limits={"tensors": 2})),
    ):
        with pytest.raises(thoplw.InputError, match=lacks):
            ask()


def test_a_figure_that_a_report_lacks_is_left_out_of_what_shows_all(older: thoplw.LayerInfo) -> None:
    assert "tensors" not in to_document(older.profile)["totals"]
    assert "tensors" not in older.to_pandas()
    assert "Tensors of parameters" not in older.summary("html")
    assert "Tensors of parameters" not in older.summary("speedscope")
    assert from_document(older.to_dict()).total["params"] == older.total_params


def test_a_survey_leaves_the_cell_of_a_figure_empty_that_a_report_lacks(older: thoplw.LayerInfo) -> None:
    entry = _entry("mine:net", older.profile)
    assert entry.to_dict()["tensors"] is None
    assert table([entry]).rows[0][4] == ""


def test_a_figure_that_one_of_two_reports_lacks_is_not_compared(older: thoplw.LayerInfo) -> None:
    found = differences(older.profile, layers().profile)
    assert not found.changes  # a zero would have grown
    assert "tensors" not in found.totals
    assert "Tensors before" not in found.table().columns
    assert found.notes == ("Not compared: tensors of parameters, which the profile before lacks.",)
    verdict = check(layers().profile, Budget(baseline=older.profile))
    assert verdict.gaps == found.notes


def test_a_limit_of_memory_is_not_kept_by_a_report_that_does_not_know_it() -> None:
    with pytest.raises(thoplw.InputError, match="this report has no peak of memory: pass memory=True"):
        check(layers().profile, Budget(limits={"peak": 10**12}))


def test_a_known_zero_is_not_an_unknown_figure() -> None:
    saved, figures = FIGURES["saved"], dict(layers().profile.total.figures)
    rows = [Row(name="", cls="Linear", depth=0, figures=each) for each in (figures, {**figures, "saved": 0})]
    assert [saved.is_lacking(row) for row in rows] == [True, False]
    assert saved.number(rows[1]) == 0


def test_inference_does_not_know_what_a_training_step_saves() -> None:
    document = thoplw.profile(nn.Linear(2, 2), (1, 2), verbose=False, memory=True)[2].to_dict()
    assert "peak" in document["totals"]
    assert "saved" not in document["totals"]


def test_a_formula_is_of_figures_that_a_forward_tells() -> None:
    known = having_formulas()
    assert known.keys().isdisjoint({"phases", "saved", "floor", "eager", "units", "share", "calls"})
    assert {"macs", "flops", "params", "moved", "peak"} <= known.keys()


@pytest.mark.usefixtures("tensors")
def test_formulas_have_a_figure_that_was_registered_later() -> None:
    found = thoplw.formula(nn.Linear(3, 4), lambda rows: (rows, 3), rows=(1, 64), verbose=False)
    assert found.figure("tensors")(rows=7) == 2
