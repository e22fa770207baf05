"""Formulas of models by name, in their natural variables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import thoplw
from thoplw.api.natural import natural
from thoplw.models.sizes import scalable

ZOO = Path(__file__).parents[2] / "benchmarks" / "zoo.jsonl"

#: A spread of the zoo that takes seconds: plain and windowed networks, patches, text, two towers, a detector.
SPREAD = (
    "alexnet",
    "densenet121",
    "inception_v3",
    "vit_b_32",
    "fcn_resnet50",
    "r3d_18",
    "timm:efficientnet_b0",
    "timm:mixer_s16_224",
    "timm:regnetx_002",
    "timm:vit_tiny_patch16_224",
    "timm:xcit_nano_12_p16_224",
    "hf:albert",
    "hf:bert",
    "hf:clip",
    "hf:gpt2",
    "hf:t5",
    "hf:vit",
)


def confirmed() -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in map(json.loads, ZOO.read_text(encoding="utf-8").splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPREAD)
def test_at_its_own_sizes_it_is_what_the_oracle_found(name: str) -> None:
    found = natural(name, convention="macs")
    assert sum(each.held_out for each in found.evidence) >= 10
    record, own = confirmed()[name], scalable(name).own
    assert found(**own) == record["oracle"]
    assert found.params(**own) == record["params"]


def test_a_variable_that_a_model_does_not_have() -> None:
    with pytest.raises(thoplw.UnknownNameError, match=r"unknown variable of resnet18 'resolutoin'\. Did you mean"):
        natural("resnet18", {"resolutoin": None})


def test_a_range_that_is_given_is_the_only_one_tried() -> None:
    found = natural("resnet18", {"resolution": range(64, 321, 32)}, convention="macs")
    assert [str(each) for each in found.domain] == ["resolution = 64, 96 … 320"]


def test_a_model_that_runs_at_its_own_resolution_only_has_a_formula_in_the_batch() -> None:
    found = natural("mvit_v1_b", convention="macs")
    assert found.macs.variables == ("batch",)
    assert "resolution is 224" in found.notes[-1]
    assert found(batch=1) == 70_599_407_808  # as benchmarks/zoo.jsonl has it from a real run
