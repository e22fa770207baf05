"""A spread of the zoos: no error, nothing unpriced, and the multiply-accumulates that real execution confirmed."""

from __future__ import annotations

import pytest

import thoplw
from thoplw.loading import load

# One model a family. Each figure was confirmed to the unit by tests/oracle.py, which ran the model for real:
# `python tools/zoo.py oracle` does it again.
MACS = {
    "alexnet": 714_188_480,
    "convnext_tiny": 4_455_531_264,
    "densenet121": 2_834_161_664,
    "efficientnet_b0": 385_814_752,
    "googlenet": 1_498_376_192,
    "lraspp_mobilenet_v3_large": 2_086_219_688,
    "mnasnet0_5": 104_455_968,
    "mobilenet_v3_small": 56_510_400,
    "regnet_y_400mf": 401_842_848,
    "resnet18": 1_814_073_344,
    "resnext50_32x4d": 4_230_479_872,
    "shufflenet_v2_x0_5": 40_476_448,
    "squeezenet1_1": 349_151_936,
    "swin_t": 4_490_566_656,
    "vit_b_32": 4_409_186_304,
    "timm:cait_xxs24_224": 2_523_475_200,
    "timm:coat_lite_tiny": 1_589_037_952,
    "timm:coatnet_pico_rw_224": 2_028_459_520,
    "timm:coatnext_nano_rw_224": 2_461_268_480,
    "timm:convformer_s18": 3_940_984_320,
    "timm:crossvit_tiny_240": 1_562_734_080,
    "timm:cs3darknet_focus_s": 686_280_704,
    "timm:csatv2": 1_380_798_560,
    "timm:cspresnext50": 4_014_948_352,
    "timm:densenetblur121d": 3_075_608_576,
    "timm:dla46x_c": 532_723_712,
    "timm:ecaresnetlight": 4_089_287_424,
    "timm:ecaresnext26t_32x4d": 2_678_783_488,
    "timm:edgenext_xx_small": 257_905_088,
    "timm:efficientformer_l1": 1_291_284_736,
    "timm:eva02_tiny_patch14_224": 1_697_518_080,
    "timm:fbnetc_100": 384_960_160,
    "timm:fbnetv3_b": 407_508_576,
    "timm:gc_efficientnetv2_rw_t": 1_918_088_736,
    "timm:gmlp_ti16_224": 1_328_989_184,
    "timm:halonet_h1": 2_988_232_704,
    "timm:haloregnetz_b": 1_951_320_000,
    "timm:iformer_t": 530_472_064,
    "timm:lowformer_b0": 944_042_240,
    "timm:mambaout_femto": 1_147_984_992,
    "timm:maxxvit_rmlp_nano_rw_256": 4_344_532_992,
    "timm:mobilevit_xxs": 407_364_096,
    "timm:mobilevitv2_050": 464_594_944,
    "timm:mvitv2_tiny": 4_676_957_952,
    "timm:nf_regnet_b0": 351_345_536,
    "timm:nfnet_l0": 4_255_094_784,
    "timm:pit_ti_224": 699_059_456,
    "timm:poolformer_s12": 1_812_267_008,
    "timm:poolformerv2_s12": 1_812_267_008,
    "timm:regnetx_002": 199_039_872,
    "timm:regnetz_005": 507_203_840,
    "timm:repvit_m0_9": 817_280_832,
    "timm:resnetrs50": 2_278_629_376,
    "timm:sebotnet33ts_256": 3_866_812_416,
    "timm:selecsls42": 2_934_431_744,
    "timm:semnasnet_050": 103_162_992,
    "timm:seresnet18": 1_814_161_408,
    "timm:shvit_s1": 241_320_768,
    "timm:tf_mobilenetv3_small_075": 43_399_344,
    "timm:xcit_nano_12_p16_224": 550_952_448,
}


@pytest.mark.parametrize("name", MACS)
def test_model(name: str) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    loaded = load(name)
    macs, params, info = thoplw.profile(loaded.model, loaded.inputs, convention="macs", verbose=False)
    assert macs == MACS[name]
    assert (info.uncounted, info.assumptions) == ({}, {})
    assert (sum(row.macs for row in info), sum(row.params for row in info)) == (macs, params)
