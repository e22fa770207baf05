"""Default configurations that cannot be built or run as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thoplw.models.hf.words import each

_MROPE = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5, "mrope_section": [8, 12, 12]}
_HUNYUAN_VL = {
    "head_dim": 128,
    "rope_parameters": {**_MROPE, "partial_rotary_factor": 1.0, "mrope_section": [16, 24, 24]},
}
_CHAMELEON = {"<image>": 8711} | {f"IMGIMG{code}Z": 4 + code for code in range(8192)}
_EMU3 = {"<image>": 151851, "<|extra_200|>": 151846} | {
    f"<|visual token {code:06}|>": 151854 + code for code in range(32768)
}
_MROPE_FULL = {"full_attention": _MROPE}
_DEEPSEEK_OCR2 = {"mlp_layer_types": ["dense"] + ["sparse"] * 31, "num_experts_per_tok": 6}
_DIFFUSION_GEMMA = {"num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704}
_QWEN4 = {
    "indexer_n_heads": 4,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 256,
    "indexer_budget": 2048,
    "indexer_compress_ratio": 16,
}

#: Kernels that narrow in steps, across, upright and square: size, stride and padding of each convolution.
_INTRACLASS = {"reduce_channel": [1, 1, 0], "return_channel": [1, 1, 0]} | {
    f"{name}_{ratio}ratio": [
        [edge if axis in axes else 1 for axis in "yx"],
        [1, 1],
        [edge // 2 * (axis in axes) for axis in "yx"],
    ]
    for name, axes in (
        ("vertical_long_to_small_conv", "y"),
        ("horizontal_small_to_long_conv", "x"),
        ("symmetric_conv_long", "yx"),
    )
    for ratio, edge in (("long", 7), ("mid", 5), ("short", 3))
}

#: The backbone that a checkpoint has; by default it is a ResNet, whose widths no other part is made for.
_REPVIT = {
    "model_type": "timm_wrapper",
    "architecture": "repvit_m1",
    "num_classes": 1000,
    "model_args": {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
}
#: A backbone that halves its maps in each stage, and gives them all; by default it reads lines, and gives the last.
_LCNET = {
    "model_type": "pp_lcnet_v4",
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
    "block_configs": [
        [[3, 96, 96, 1, True]],
        [[3, 96, 96, 2, False], [3, 96, 96, 1, False]],
        [[3, 96, 192, 2, False], *([3, 192, 192, 1, odd] for odd in (True, False) * 3)],
        [[3, 192, 384, 2, False], [3, 384, 384, 1, True], [3, 384, 384, 1, False]],
    ],
}

#: Model type -> what makes its default configuration one that can run: values that are left open, or parts that are by
#: default of models of different widths.
COMPLETE: Mapping[str, Mapping[str, Any]] = each(
    {
        "autoformer informer time_series_transformer": {"prediction_length": 24},
        "cosmos3_omni qwen3_5": {"vision_config": {"out_hidden_size": 4096}},
        "exaone4_5": {"vision_config": {"out_hidden_size": 4096}},
        "glm46v glm4v glm_image glmga": {"text_config": {"rope_parameters": _MROPE}},
        "gemma3 shieldgemma2": {"vision_config": {"image_size": 896, "patch_size": 14}},
        "hunyuan_v1_dense hunyuan_v1_moe ministral": {"head_dim": 128},
        "granite_speech granite_speech_plus": {"projector_config": {"encoder_hidden_size": 1024}},
        "granitemoehybrid": {"layer_types": ["attention"] * 32},
        "voxtral": {"audio_token_id": 24},
        "ovis2": {"hidden_size": 4096},
        "bamba": {"attn_layer_indices": [9, 18, 27]},
        "blip-2 instructblip": {"image_token_index": 50265, "text_config": {"vocab_size": 50304}},
        "deepseek_v2": {"num_experts_per_tok": 6},
        "glm4v_moe": {"text_config": {"head_dim": 128}},
        "glm4v_moe_text": {"head_dim": 128},
        "glm4v_text glm_image_text": {"rope_parameters": _MROPE},
        "glm5_next": {"vision_config": {"out_hidden_size": 4096}},
        "glm_ocr": {"vision_config": {"out_hidden_size": 1024}},
        "idefics3 smolvlm": {"vision_config": {"image_size": 364, "patch_size": 14}},
        "janus": {"vision_config": {"projection_dim": 4096}},
        "llama4": {
            "vision_config": {"intermediate_size": 3072, "vision_output_dim": 4096, "projector_output_dim": 4096}
        },
        "llama4_vision_model": {"intermediate_size": 3072},
        "modernvbert ultravbert": {"vision_config": {"image_size": 512, "patch_size": 16}},
        "nemotron": {"num_key_value_heads": 8},
        "step3p5": {"sliding_window": 512},
        "step3p7": {"text_config": {"sliding_window": 512}},
        "vitmatte": {"hidden_size": 768, "fusion_hidden_sizes": [256, 128, 64, 32]},
        "aria": {"vision_config": {"image_size": 490, "patch_size": 14}},
        "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
        "hunyuan_vl": {"text_config": _HUNYUAN_VL},
        "qwen2_5_vl": {"vision_config": {"out_hidden_size": 8192}},
        "qwen2_vl": {"vision_config": {"hidden_size": 8192}},
        "qwen3_vl": {"vision_config": {"out_hidden_size": 4096}},
        "qwen3_vl_moe qwen3_5_moe": {"vision_config": {"out_hidden_size": 2048}},
        "timm_backbone": {"backbone": "resnet18"},
        "aya_vision": {"vision_config": {"num_attention_heads": 16, "image_size": 364, "patch_size": 14}},
        "blt": {"num_hidden_layers": 0},
        "chameleon": {"vocabulary_map": _CHAMELEON},
        "cohere_compass": {"text_config": {"rope_parameters": _MROPE_FULL}, "vision_config": {"out_hidden_size": 8192}},
        "cohere_compass_text": {"rope_parameters": _MROPE_FULL},
        "dbrx": {"attn_config": {"rope_theta": 10_000.0, "clip_qkv": 8}},
        "deepseek_ocr2": {
            "text_config": _DEEPSEEK_OCR2,
            "vision_config": {"sam_config": {"downsample_channels": [512, 4096]}},
        },
        "deepseek_ocr2_text": _DEEPSEEK_OCR2,
        "deepseek_ocr2_vision": {"sam_config": {"downsample_channels": [512, 4096]}},
        "diffusion_gemma": {"text_config": _DIFFUSION_GEMMA},
        "diffusion_gemma_text": _DIFFUSION_GEMMA,
        "dots1": {"n_routed_experts": 128, "n_shared_experts": 2, "num_experts_per_tok": 6},
        "emu3": {"vocabulary_map": _EMU3},
        "gemma4 gemma4_unified": {"vision_config": {}, "audio_config": {}},
        "hunyuan_vl_text": _HUNYUAN_VL,
        "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention", "conv"] * 8},
        "lw_detr": {"projector_scale_factors": [1.0]},
        "moonshine_streaming": {"num_key_value_heads": 8},
        "nougat": {"encoder": {"model_type": "donut-swin"}},
        "embedding_gemma2": {"vision_config": {}, "audio_config": {}},
        "colqwen2": {"vlm_config": {"vision_config": {"hidden_size": 8192}}},
        "colmodernvbert": {"vlm_config": {"vision_config": {"image_size": 512, "patch_size": 16}}},
        "pix2struct_text_model": {"initializer_range": 0.02},
        "perception_lm": {
            "vision_config": {"architecture": "vit_pe_core_large_patch14_336", "model_args": {"embed_dim": 1024}}
        },
        "qwen3_omni_moe_talker_text": {"shared_expert_intermediate_size": 768},
        "qwen3_omni_moe_text": {"num_attention_heads": 32},
        "qwen3_omni_moe": {
            "talker_config": {"spatial_merge_size": 2, "text_config": {"shared_expert_intermediate_size": 768}}
        },
        "qwen4_exp": {"text_config": _QWEN4, "vision_config": {"out_hidden_size": 2048}},
        "qwen4_exp_text": _QWEN4,
        "t5gemma2_text t5gemma2_decoder": {"dropout_rate": 0.0},
        "t5gemma2_encoder": {
            "text_config": {"dropout_rate": 0.0},
            "vision_config": {"image_size": 896, "patch_size": 14},
        },
        "t5gemma2": {"encoder": {"vision_config": {"image_size": 896, "patch_size": 14}}},
        "granite4_vision": {
            "deepstack_layer_map": [[-10, 9], [-7, 6], [-4, 3], [-1, 0]],
            "downsample_rate": "4/8",
            "spatial_vision_layer": -1,
            "vision_config": {"image_size": 512},
            "image_grid_pinpoints": [[512, 1024]],
        },
        "nemotron_h_omni": {
            "image_token_id": 18,
            "video_token_id": 19,
            "audio_token_id": 27,
            "audio_config": {"projection_hidden_size": 4096, "projection_bias": False},
        },
        "qwen3_asr": {"audio_config": {"output_dim": 2048}},
        "qwen3_omni_moe_thinker": {
            "text_config": {"num_attention_heads": 32},
            "vision_config": {"out_hidden_size": 2048},
        },
        "instructblipvideo": {"video_token_index": 50265, "text_config": {"vocab_size": 50304}},
        "edgetam": {"vision_config": {"backbone_config": _REPVIT}},
        "edgetam_vision_model": {"backbone_config": _REPVIT},
        "pp_ocrv6_medium_det": {
            "intraclass_block_config": _INTRACLASS,
            "backbone_config": _LCNET,
            "scale_factor_list": [1, 2, 4, 8],
        },
        "molmo2": {"adapter_config": {"text_hidden_size": 4096}},
        "pp_ocrv6_small_det": {"layer_list_out_channels": [96, 96, 192, 384], "backbone_config": _LCNET},
        "pp_doclayout_v2": {"class_thresholds": [0.5] * 25, "class_order": list(range(25))},
        "pp_ocrv5_server_det": {
            "intraclass_block_config": _INTRACLASS,
            "kernel_list": [3, 2, 2],
            "scale_factor_list": [1, 2, 4, 8],
        },
        "uvdoc": {"backbone_config": {"model_type": "uvdoc_backbone", "out_indices": [1, 2, 3, 4, 5, 6]}},
    }
)
