"""One profile as plain values: what everything that shows it takes."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import thoplw
from thoplw import LayerInfo
from thoplw.report.document import from_document, read
from thoplw.report.profile import batch_of


def layers(model: nn.Module, inputs: Any, **options: Any) -> LayerInfo:
    return thoplw.profile(model, inputs, verbose=False, **options)[2]


class Again(nn.Module):
    """A layer that is called with two shapes, one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.down = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.down(self.act(self.act(x))))


# -- shapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "outputs", "batch"),
    [
        (((8, 3, 32, 32),), ((8, 10),), 8),
        (((1, 3, 32, 32),), ((1, 10),), 1),
        (((4, 7), (4,)), ((4, 2),), 4),
        (((8,),), ((4,),), None),
        (((8,),), ((8,),), None),
        (((3, 32, 32),), ((16, 30, 30),), None),
        (((2, 3), (5, 3)), ((2, 3),), None),
        (((2, 3),), (), 2),
        ((), (), None),
    ],
)
def test_the_batch_is_the_first_dimension_of_everything(inputs: Any, outputs: Any, batch: int | None) -> None:
    assert batch_of(inputs, outputs) == batch


@pytest.mark.parametrize(
    ("model", "shape", "cells"),
    [
        (nn.Linear(8, 4), (2, 8), ("8", "4")),
        (nn.Linear(8, 4), (8,), ("8", "4")),
        (nn.Conv2d(3, 5, 3), (2, 3, 6, 6), ("3 x 6 x 6", "5 x 4 x 4")),
        (nn.Conv2d(3, 5, 3), (3, 6, 6), ("3 x 6 x 6", "5 x 4 x 4")),
        (nn.Conv2d(3, 3, 3), (3, 6, 6), ("3 x 6 x 6", "3 x 4 x 4")),
        (nn.ConvTranspose1d(3, 3, 3), (3, 6), ("3 x 6", "3 x 8")),
    ],
)
def test_shapes_lose_the_batch_and_nothing_else(model: nn.Module, shape: Any, cells: tuple[str, str]) -> None:
    assert layers(model, (shape if isinstance(shape, tuple) else (shape,))).table().rows[0][2:4] == cells


def test_a_module_of_several_shapes_shows_them_all() -> None:
    found = layers(Again(), (3, 8))
    (act, _) = found.rows
    assert (act.input_shapes, act.other_shapes) == (((3, 8),), ((((3, 4),), ((3, 4),)),))
    assert found.table(columns=["name", "inputs", "outputs", "calls"]).rows[0] == ("act", "8 | 4", "8 | 4", "3")
    document = found.to_dict()
    assert document["layers"][1]["other_calls"] == [{"inputs": [[3, 4]], "outputs": [[3, 4]]}]
    assert "other_calls" not in document["layers"][2]
    assert from_document(document).modules == found.modules


def test_many_shapes_are_cut() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [self.act(x[:, :size]) for size in range(1, 7)]

    assert layers(Steps(), (1, 9)).table(columns=["inputs"]).rows[0] == ("1 | 2 | 3 and 3 more",)


# -- plain values ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def resnet() -> LayerInfo:
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    return layers(model, (1, 3, 224, 224))


def test_a_document_is_the_same_profile(resnet: LayerInfo) -> None:
    assert from_document(resnet.to_dict()) == resnet.profile


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_report_returns_from_worker_processes(again: Any, resnet: LayerInfo) -> None:
    other = again(resnet)
    assert (other.total_macs, other.total_flops, other.total_params) == (
        resnet.total_macs,
        resnet.total_flops,
        resnet.total_params,
    )
    assert other.profile == resnet.profile
    assert other.summary() == resnet.summary()
    assert (other.notes(), other.by_operator(), repr(other)) == (resnet.notes(), resnet.by_operator(), repr(resnet))


def test_a_saved_profile_is_shown_as_it_was(resnet: LayerInfo, tmp_path: Path) -> None:
    file = tmp_path / "resnet18.json"
    file.write_text(resnet.summary("json"), encoding="utf-8")
    shown = LayerInfo(read(file))
    for kind in ("text", "md", "tree", "collapsed", "html"):
        assert shown.summary(kind) == resnet.summary(kind)


def test_reading_a_saved_profile_imports_no_torch(resnet: LayerInfo, tmp_path: Path) -> None:
    (tmp_path / "saved.json").write_text(resnet.summary("json"), encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from thoplw.report.document import read; "
        "from thoplw.api.diff import differences; found = read(Path('saved.json')); "
        "print(differences(found, found).same, found.outline().modules[0].cls, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(resnet.rows)), "ResNet", "False"]


def test_operators_add_up_to_the_cost(resnet: LayerInfo) -> None:
    assert sum(resnet.by_operator().values()) == resnet.total_macs
    assert next(iter(resnet.by_operator())) == "aten.conv2d"
