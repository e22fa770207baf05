"""Default configurations that cannot be built or run as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from thoplw.hf.words import each

_MROPE = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5, "mrope_section": [8, 12, 12]}

#: Model type -> what makes its default configuration one that can run: values that are left open, or parts that are by
#: default of models of different widths.
COMPLETE: Mapping[str, Mapping[str, Any]] = each(
    {
        "autoformer informer time_series_transformer": {"prediction_length": 24},
        "cosmos3_omni qwen3_5": {"vision_config": {"out_hidden_size": 4096}},
        "exaone4_5": {"vision_config": {"out_hidden_size": 4096}},
        "glm46v glm4v glm_image glmga": {"text_config": {"rope_parameters": _MROPE}},
        "gemma3 shieldgemma2": {"vision_config": {"image_size": 896, "patch_size": 14}},
        "hunyuan_v1_dense hunyuan_v1_moe hunyuan_vl_text ministral": {"head_dim": 128},
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
        "vitmatte": {"fusion_hidden_sizes": [256, 128, 64, 32]},
        "aria": {"vision_config": {"image_size": 490, "patch_size": 14}},
        "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
        "hunyuan_vl": {"text_config": {"head_dim": 128}},
        "qwen2_5_vl": {"vision_config": {"out_hidden_size": 8192}},
        "qwen2_vl": {"vision_config": {"hidden_size": 8192}},
        "qwen3_vl": {"vision_config": {"out_hidden_size": 4096}},
        "qwen3_vl_moe qwen3_5_moe": {"vision_config": {"out_hidden_size": 2048}},
        "timm_backbone": {"backbone": "resnet18"},
    }
)
