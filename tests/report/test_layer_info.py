"""``LayerInfo``: the document and its schema, data frames, plots, and what each kind takes."""

from __future__ import annotations

import io
import json
from typing import Any

import jsonschema
import pytest
import rich
import torch
import torchvision
from rich.console import Console
from torch import nn

import thoplw
from thoplw import InputError, LayerInfo, MissingExtraError, UnknownNameError
from thoplw.render import DOCUMENTS, OUTLINES, TABLES
from thoplw.report.document import schema

SCHEMA = schema()
FIGURES = ("macs", "flops", "params", "trainable")


class Gaps(nn.Module):
    """Something of everything that a document tells."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.head = nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(3, dtype=torch.float16), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        x = torch.ops.report_test.odd(x) + self.scale.sum()
        return x[x > 0]


@pytest.fixture(scope="module", autouse=True)
def odd() -> Any:
    library = torch.library.Library("report_test", "DEF")
    library.define("odd(Tensor x) -> Tensor")
    library.impl("odd", torch.empty_like, "Meta")
    yield
    if hasattr(library, "_destroy"):  # since 2.1
        library._destroy()


@pytest.fixture
def gaps() -> LayerInfo:
    return thoplw.profile(Gaps(), (2, 4), verbose=False)[2]


def resnet() -> LayerInfo:
    return thoplw.profile(torchvision.models.resnet18(), (1, 3, 224, 224), verbose=False)[2]


# -- the document ----------------------------------------------------------------------------------------------------


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("depth", [None, 0, 1, 2])
def test_documents_follow_the_schema_and_add_up(gaps: LayerInfo, depth: int | None) -> None:
    for layers in (gaps, resnet()):
        document = json.loads(layers.summary("json", depth=depth))
        jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
        for figure in FIGURES:
            assert sum(layer[figure] for layer in document["layers"]) == document["totals"][figure]
        assert [document["totals"][figure] for figure in FIGURES] == [
            layers.total_macs,
            layers.total_flops,
            layers.total_params,
            layers.total_trainable,
        ]
        for dtype, size in document["totals"]["bytes"].items():
            assert sum(layer["bytes"].get(dtype, 0) for layer in document["layers"]) == size
        assert all(sum(layer["operators"].values()) == layer["macs"] for layer in document["layers"])


@pytest.mark.parametrize("broken", [{"schema": 2}, {"unit": "Mac"}, {"layers": []}, {"more": 1}, {"model": None}])
def test_the_schema_refuses_other_documents(gaps: LayerInfo, broken: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**gaps.to_dict(), **broken}, SCHEMA, jsonschema.Draft202012Validator)


def test_what_a_document_tells(gaps: LayerInfo) -> None:
    document = gaps.to_dict()
    assert list(document) == SCHEMA["required"]
    assert (document["model"], document["convention"], document["unit"]) == ("Gaps", "thoplw", "MAC")
    assert (document["thoplw"], document["torch"]) == (thoplw.__version__, str(torch.__version__))
    assert (document["inputs"], document["outputs"]) == ([[2, 4]], [[8]])
    assert document["totals"]["bytes"] == {"float16": 6, "float32": 3 * 20 * 4}
    assert document["not_executed"] == {"head": 10}
    assert document["uncounted"] == {"report_test.odd.default": {"calls": 1, "modules": [""], "shapes": [[[2, 4]]]}}
    (assumed,) = document["assumptions"].values()
    assert (assumed["calls"], assumed["modules"]) == (1, [""])


def test_the_layers_of_a_document_are_all_modules(gaps: LayerInfo) -> None:
    layers = gaps.to_dict()["layers"]
    assert [(layer["name"], layer["class"], layer["depth"], layer["calls"]) for layer in layers] == [
        ("", "Gaps", 0, 1),
        ("layers", "ModuleList", 1, 0),
        ("layers.0", "Linear", 2, 1),
        ("layers.1", "Linear", 2, 1),
        ("layers.2", "Linear", 2, 1),
    ]
    assert layers[1]["inputs"] == layers[1]["outputs"] == []
    assert {name: layers[2][name] for name in ("inputs", "params", "trainable", "bytes", "macs", "operators")} == {
        "inputs": [[2, 4]],
        "params": 20,
        "trainable": 20,
        "bytes": {"float32": 80},
        "macs": 40,
        "operators": {"aten.linear": 40},
    }
    assert (layers[0]["params"], layers[0]["trainable"], layers[0]["bytes"]) == (3, 0, {"float16": 6})


def test_a_document_is_its_own(gaps: LayerInfo) -> None:
    before = json.dumps(gaps.to_dict())
    changed = gaps.to_dict()
    changed["layers"][0]["operators"].clear()
    changed["uncounted"]["report_test.odd.default"]["modules"].append("elsewhere")
    changed["not_executed"].clear()
    assert json.dumps(gaps.to_dict()) == before


# -- what each kind takes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option", [{"fmt": "clever"}, {"columns": ["name"]}, {"sort": "macs"}, {"top": 3}, {"own": False}]
)
@pytest.mark.parametrize("kind", [*DOCUMENTS, *OUTLINES])
def test_documents_take_depth_alone(gaps: LayerInfo, kind: str, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"kind '{kind}' always holds all figures .* takes only depth"):
        gaps.summary(kind, **option)


@pytest.mark.parametrize("option", [{"sort": "macs"}, {"top": 3}, {"own": False}])
def test_trees_have_an_order_of_their_own(gaps: LayerInfo, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="work only with csv, latex, md, text; use depth for a smaller tree"):
        gaps.summary("tree", **option)


@pytest.mark.parametrize("kind", [*DOCUMENTS, *OUTLINES, *TABLES])
def test_every_kind_has_a_depth(kind: str) -> None:
    layers = resnet()
    small, large = layers.summary(kind, depth=1), layers.summary(kind)
    assert len(small) < len(large)
    assert "conv2" in large
    assert "conv2" not in small.replace(".conv2d", "")


def test_a_tree_folds_equal_blocks() -> None:
    with torch.device("meta"):
        model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 6, enable_nested_tensor=False)
    text = thoplw.profile(model, (3, 1, 8), verbose=False)[2].summary("tree", columns=["name", "class", "calls"])
    assert "0 - 5" in text
    assert "6 x TransformerEncoderLayer" in text
    assert text.count("linear1") == 1


def test_a_tree_is_drawn_of_names_whatever_the_columns() -> None:
    layers = resnet()
    for columns in (["macs"], ["macs", "name"], ["name", "macs"]):
        assert layers.summary("tree", "clever", columns=columns).splitlines()[0].split() == ["Name", "MACs"]
    with pytest.raises(UnknownNameError, match=r"unknown column 'mac'. Did you mean 'macs'"):
        layers.summary("tree", columns=["mac"])


def test_rich_draws_a_tree(gaps: LayerInfo) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=100)
    console.print(gaps)
    shown = console.file.getvalue()  # type: ignore[attr-defined] # it is the one from above
    assert "3 x Linear" in shown
    assert "\x1b[" in shown
    plain = Console(file=io.StringIO(), width=200)
    plain.print(gaps.draw())
    lines = [line.rstrip() for line in plain.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines == gaps.summary("tree").splitlines()


def test_figures_are_whole_where_a_terminal_is_narrow() -> None:
    console = Console(file=io.StringIO(), width=60)
    console.print(resnet().draw())
    assert "1824010216" in console.file.getvalue()  # type: ignore[attr-defined]


def test_rich_knows_it() -> None:
    assert hasattr(LayerInfo, "__rich__")
    assert rich.protocol.is_renderable(resnet())


def test_notebooks_show_a_table(gaps: LayerInfo) -> None:
    page = gaps._repr_html_()
    assert page.startswith('<div class="thoplw total">')
    assert page.count("<tr>") == 1 + len(gaps.rows) + 1
    assert "<p>Never ran: head (10 parameters).</p>" in page


# -- data frames and plots -------------------------------------------------------------------------------------------


def test_a_data_frame_has_all_modules_and_adds_up(gaps: LayerInfo) -> None:
    frame = gaps.to_pandas()
    assert list(frame["name"]) == [row.name for row in gaps.modules]
    assert frame["macs"].sum() == gaps.total_macs
    assert frame["params"].sum() == gaps.total_params
    assert (frame["bytes_float16"].sum(), frame["bytes_float32"].sum()) == (6, 240)
    assert frame["operators"][2] == {"aten.linear": 40}
    assert frame.attrs["convention"] == "thoplw"
    assert str(frame["macs"].dtype) == "int64"


def test_a_data_frame_of_cumulative_figures(gaps: LayerInfo) -> None:
    frame = gaps.to_pandas(own=False, depth=1)
    assert list(frame["params"]) == [gaps.total_params, 60]
    assert list(frame["bytes_float32"]) == [240, 240]


def test_a_data_frame_keeps_integers_of_any_size() -> None:
    def much(module: nn.Module, inputs: Any, output: Any) -> int:
        return 2**70

    _, _, layers = thoplw.profile(nn.Linear(2, 2), (1, 2), custom_ops={nn.Linear: much})
    assert list(layers.to_pandas()["macs"]) == [2**70]


@pytest.mark.parametrize("by", ["macs", "flops", "params", "trainable"])
def test_a_plot_has_the_largest_layers(by: str) -> None:
    layers = resnet()
    figure = layers.plot(by, top=5)
    (axes,) = figure.axes
    largest = sorted((getattr(row, by) for row in layers), reverse=True)[:5]
    assert [bar.get_width() for bar in axes.patches] == largest
    assert (
        next(label.get_text() for label in axes.get_yticklabels()) == max(layers, key=lambda row: getattr(row, by)).name
    )
    assert axes.get_title().startswith("ResNet: the 5 largest of ")


def test_a_plot_of_few_layers_has_all_of_them(gaps: LayerInfo) -> None:
    assert [bar.get_width() for bar in gaps.plot().axes[0].patches] == [40, 40, 40]


def test_a_plot_of_no_such_figure(gaps: LayerInfo) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown figure 'parms'. Did you mean 'params'"):
        gaps.plot("parms")


@pytest.mark.parametrize(
    ("package", "call"),
    [("pandas", lambda layers: layers.to_pandas()), ("matplotlib.figure", lambda layers: layers.plot())],
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, gaps: LayerInfo, package: str, call: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    name = package.partition(".")[0]
    with pytest.raises(MissingExtraError, match=rf"needs {name}, .*: pip install {name}"):
        call(gaps)


def test_what_the_tool_mirrored_does_not_see() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x)

    model = nn.Sequential(nn.Linear(8, 8), Attention(), nn.ReLU())
    _, _, layers = thoplw.profile(model, (2, 3, 8), convention="thop", verbose=False)
    assert list(layers.unseen) == ["aten.scaled_dot_product_attention.default"]
    assert layers.unseen["aten.scaled_dot_product_attention.default"].modules == ["1"]
    assert layers.notes() == ("Nothing to thop: aten.scaled_dot_product_attention.default (1 call in 1).",)
    assert layers.to_dict()["unseen"]["aten.scaled_dot_product_attention.default"]["calls"] == 1
    _, _, all_seen = thoplw.profile(model, (2, 3, 8), convention="macs", verbose=False)
    assert (all_seen.unseen, all_seen.notes()) == ({}, ())


def test_a_module_goes_by_its_path_with_all_that_it_holds(gaps: LayerInfo) -> None:
    inside = [row for row in gaps.modules if row.name.startswith("layers")]
    assert (
        (gaps["layers"].name, gaps["layers"].params) == ("layers", sum(row.params for row in inside)) == ("layers", 60)
    )
    assert gaps["layers.1"].macs == next(row.macs for row in gaps if row.name == "layers.1")
    assert (gaps[""].macs, gaps[""].params) == (gaps.total_macs, gaps.total_params)


def test_what_is_no_module_is_refused(gaps: LayerInfo) -> None:
    wrong: Any = 0
    with pytest.raises(UnknownNameError, match=r"^unknown module 'layer.1'. Did you mean 'layers.1'"):
        gaps["layer.1"]
    with pytest.raises(InputError, match=r"^layers\[0\]: give the path of a module"):
        gaps[wrong]
    with pytest.raises(UnknownNameError, match=r"^unknown figure 'mac'. Did you mean 'macs'"):
        gaps["layers"]["mac"]
