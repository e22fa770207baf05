"""Formulas of models by name, in their natural variables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from checks.releases import since

import thoplw
from thoplw.api.natural import natural
from thoplw.models.sizes import scalable

ZOO = Path(__file__).parents[2] / "benchmarks" / "zoo.jsonl"

#: Sixty models of the zoo that take a second each: plain and windowed networks, patches, text, two towers.
SPREAD = """
alexnet densenet121 efficientnet_b0 fcn_resnet50 inception_v3 mnasnet1_3 mobilenet_v2 quantized_resnet18 r3d_18
regnet_y_400mf resnext50_32x4d shufflenet_v2_x0_5 vgg16 vit_b_32
timm:convnext_femto_ols timm:cpubone_t0 timm:cs3darknet_focus_l timm:darknet21 timm:dla60x_c timm:dpn48b
timm:eca_vovnet39b timm:efficientnet_b0 timm:fasternet_t0 timm:hgnet_tiny timm:iformer_m_distilled timm:lcnet_035
timm:legacy_xception timm:lowformer_b0 timm:mambaout_base_short_rw timm:mixer_s16_224 timm:nf_resnet50 timm:pvt_v2_b1
timm:regnetx_002 timm:res2net50_48w_2s timm:rexnetr_100 timm:selecsls42b timm:seresnet18 timm:skresnet18
timm:test_efficientnet_evos timm:tf_mixnet_s timm:tinynet_c timm:vit_tiny_patch16_224 timm:xcit_nano_12_p16_224
hf:albert hf:bert hf:bloom hf:clip hf:deberta hf:decision_transformer hf:distilbert hf:gpt2 hf:owlv2_vision_model
hf:owlvit_text_model hf:resnet hf:segformer hf:t5 hf:textnet hf:timm_wrapper hf:vit hf:vitpose_backbone
""".split()


def confirmed() -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in map(json.loads, ZOO.read_text(encoding="utf-8").splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPREAD)
def test_at_its_own_sizes_it_is_what_the_oracle_found(name: str) -> None:
    found = natural(name, convention="macs", figures=["params"])
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


@since("2.4")
def test_the_peak_of_memory_has_a_formula() -> None:
    found = natural("resnet18", convention="macs", memory=True)
    # Weights and buffers, and where the first norm runs: the picture, and 64 maps of a quarter of its size, twice.
    weights = 4 * (11_689_512 + 9_600) + 8 * 20
    assert str(found.peak).startswith(f"140*batch*resolution^2 + {weights}")
    assert found.largest("batch", resolution=224, peak="100MB") == (100_000_000 - weights) // (140 * 224 * 224) == 7


def test_figures_that_nobody_asked_for_are_said_to_be_missing() -> None:
    found = natural("resnet18", {"batch": range(1, 9)}, convention="macs", figures=())
    assert str(found.macs).startswith("1814073344*batch")
    with pytest.raises(thoplw.InputError, match=r"no peak of memory: pass memory=True to thoplw\.formula"):
        found.figure("peak")
    with pytest.raises(thoplw.InputError, match="no flops: it was left out"):
        found.flops  # noqa: B018 # it raises
