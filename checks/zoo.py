"""A spread of the zoos: the multiply-accumulates of a model a family, as real execution confirmed them."""

from __future__ import annotations

import pytest
import torch

from thoplw.models.registry import load

#: One model a family. Each figure was confirmed to the unit by checks/oracle.py, which ran the model for real:
#: `python tools/zoo.py oracle` does it again.
MACS = {
    "alexnet": 714_188_480,
    "convnext_tiny": 4_455_531_264,
    "deeplabv3_mobilenet_v3_large": 10_436_350_688,
    "densenet121": 2_834_161_664,
    "efficientnet_b0": 385_814_752,
    "googlenet": 1_498_376_192,
    "inception_v3": 5_713_216_096,
    "lraspp_mobilenet_v3_large": 2_086_219_688,
    "maxvit_t": 5_558_046_720,
    "mnasnet0_5": 104_455_968,
    "mobilenet_v3_small": 56_510_400,
    "mvit_v2_s": 64_223_815_872,
    "quantized_mobilenet_v2": 300_774_272,
    "r3d_18": 40_696_553_472,
    "raft_small": 94_447_641_600,
    "regnet_y_400mf": 401_842_848,
    "resnet18": 1_814_073_344,
    "resnet50": 4_089_184_256,
    "resnext50_32x4d": 4_230_479_872,
    "shufflenet_v2_x0_5": 40_476_448,
    "squeezenet1_1": 349_151_936,
    "ssdlite320_mobilenet_v3_large": 583_171_904,
    "swin3d_t": 43_882_229_760,
    "swin_t": 4_490_566_656,
    "swin_v2_t": 5_939_690_496,
    "vit_b_16": 17_563_828_224,
    "vit_b_32": 4_409_186_304,
    "timm:botnet26t_256": 3_297_394_688,
    "timm:caformer_s18": 4_106_941_440,
    "timm:cait_xxs24_224": 2_523_475_200,
    "timm:coat_lite_tiny": 1_589_037_952,
    "timm:coatnet_pico_rw_224": 2_028_459_520,
    "timm:coatnext_nano_rw_224": 2_461_268_480,
    "timm:convformer_s18": 3_940_984_320,
    "timm:crossvit_tiny_240": 1_562_734_080,
    "timm:cs3darknet_focus_s": 686_280_704,
    "timm:csatv2": 1_380_798_560,
    "timm:cspresnext50": 4_014_948_352,
    "timm:davit_tiny": 4_521_801_216,
    "timm:densenetblur121d": 3_075_608_576,
    "timm:dla46x_c": 532_723_712,
    "timm:ecaresnetlight": 4_089_287_424,
    "timm:ecaresnext26t_32x4d": 2_678_783_488,
    "timm:edgenext_xx_small": 257_905_088,
    "timm:efficientformer_l1": 1_291_284_736,
    "timm:efficientvit_b0": 100_233_216,
    "timm:eva02_tiny_patch14_224": 1_697_518_080,
    "timm:fastvit_t8": 690_149_376,
    "timm:fbnetc_100": 384_960_160,
    "timm:fbnetv3_b": 407_508_576,
    "timm:focalnet_tiny_srf": 4_403_335_680,
    "timm:gc_efficientnetv2_rw_t": 1_918_088_736,
    "timm:ghostnet_100": 141_150_512,
    "timm:gmlp_ti16_224": 1_328_989_184,
    "timm:halonet_h1": 2_988_232_704,
    "timm:haloregnetz_b": 1_951_320_000,
    "timm:iformer_t": 530_472_064,
    "timm:lambda_resnet26t": 3_003_465_728,
    "timm:levit_128": 405_321_728,
    "timm:lowformer_b0": 944_042_240,
    "timm:mambaout_femto": 1_147_984_992,
    "timm:maxxvit_rmlp_nano_rw_256": 4_344_532_992,
    "timm:mixer_b16_224": 12_601_767_936,
    "timm:mobilenetv4_conv_small": 186_005_568,
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
    "timm:sequencer2d_s": 8_334_007_296,
    "timm:seresnet18": 1_814_161_408,
    "timm:shvit_s1": 241_320_768,
    "timm:tf_mobilenetv3_small_075": 43_399_344,
    "timm:volo_d1_224": 6_918_741_504,
    "timm:xcit_nano_12_p16_224": 550_952_448,
    "hf:bert": 11_174_215_680,
    "hf:clip": 7_388_582_400,
    "hf:funnel": 10_121_576_448,
    "hf:gpt2": 11_173_625_856,
    "hf:roformer": 11_173_625_856,
    "hf:segformer": 452_211_200,
    "hf:swin2sr": 50_960_793_600,
    "hf:t5": 5_939_134_464,
    "hf:wav2vec2": 6_911_374_336,
    "hf:whisper": 21_935_456_256,
}
#: Boxes are selected behind the last contraction: the profile keeps them all, and says so.
ESTIMATES = {"ssdlite320_mobilenet_v3_large"}

#: Models that take one picture, which is all that some tools can pass.
PICTURES = {
    name: macs
    for name, macs in MACS.items()
    if not name.startswith(("hf:", "raft", "ssdlite", "quantized")) and macs < 30e9
}


def skip_without_package(name: str) -> None:
    """Models of some zoos need a package that may be missing."""
    package = {"timm": "timm", "hf": "transformers"}.get(name.partition(":")[0])
    if package:
        pytest.importorskip(package)


def build(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """A real model that takes one tensor, with random weights, and an input for it."""
    zoo, _, rest = name.rpartition(":")
    if zoo == "timm":
        import timm

        model = timm.create_model(rest)
        return model.eval(), torch.randn(1, *model.pretrained_cfg["input_size"])
    import torchvision

    (x,) = load(name).inputs
    try:  # only models with a backbone take weights for it, and want to fetch some
        model = torchvision.models.get_model(rest, weights=None, weights_backbone=None)
    except (TypeError, ValueError):
        model = torchvision.models.get_model(rest, weights=None)
    return model.eval(), torch.randn(x.shape)
