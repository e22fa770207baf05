"""Model types whose inputs are laid out in their own way."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import torch

from thoplw.hf.forms import (
    FRAMES,
    Form,
    bins,
    channels,
    grid,
    grid_hw,
    hidden,
    mel_first,
    mel_mask,
    mono,
    ones,
    patch,
    patch_row,
    patches_square,
    picture,
    size,
    wave,
)
from thoplw.hf.sample import Sample
from thoplw.hf.words import each


def _two_pictures(sample: Sample) -> torch.Tensor:
    return picture(sample, 2)


#: Model type -> forms of its own, and the reason.
SPECIAL: Mapping[str, Mapping[str, Form]] = each(
    {
        # A spectrogram is a picture here, of a fixed length.
        "audio-spectrogram-transformer": {
            "input_values": lambda sample: sample.floats(sample.batch, sample.find("max_length"), bins(sample))
        },
        "clap clap_audio_model": {"input_features": lambda sample: sample.floats(sample.batch, 1, 1001, bins(sample))},
        # Convolutions over spectrograms of any length: channels come first.
        "clvp qwen3_asr qwen3_asr_encoder glmasr glmasr_encoder voxtral_realtime voxtral_realtime_encoder": {
            "input_features": lambda sample: mel_first(sample, FRAMES)
        },
        # Waves have a channel, though the configuration does not say so.
        "dac pe_audio pe_audio_encoder xcodec xcodec2 neucodec": {"input_values": mono},
        "vibevoice vibevoice_acoustic_tokenizer vibevoice_asr": {"input_values": mono},
        "audioflamingo3_encoder": {
            "input_features": lambda sample: mel_first(sample, 3000),
            "input_features_mask": lambda sample: torch.ones(sample.batch, 3000, dtype=torch.bool),
        },
        # Three scales are seen, and the smallest must hold a patch.
        "depth_pro": {"pixel_values": lambda sample: sample.floats(sample.batch, 3, 1536, 1536)},
        "fun_asr_nano fun_asr_nano_encoder": {
            "input_features": lambda sample: sample.floats(
                sample.batch, FRAMES, sample.find("input_size", among="audio")
            )
        },
        # Patches, in spite of an image size.
        "fuyu molmo2_vision neomme": {
            "pixel_values": lambda sample: sample.floats(
                sample.batch, (size(sample)[0] // patch(sample)) ** 2, patch_row(sample)
            )
        },
        "granite_docling": {"pixel_values": picture},
        "granite_speech_encoder granite_speech_plus_encoder": {
            "hidden_states": lambda sample: sample.floats(sample.batch, FRAMES, bins(sample))
        },
        # A row of patches.
        "minicpm_ocr_vision minicpmv4_6_vision minicpmv4_7_vision": {
            "pixel_values": lambda sample: sample.floats(
                sample.batch, 3, patch(sample), prod(grid(sample)) * patch(sample)
            ),
            "target_sizes": grid_hw,
        },
        "musicgen_decoder musicgen_melody_decoder": {
            "input_ids": lambda sample: sample.filled(1, sample.batch * sample.find("num_codebooks"), sample.length)
        },
        "muse_spark_audio": {"input_values": lambda sample: sample.floats(sample.batch, 1920 * 8)},
        # Its timm model has a size of its own, which only that knows.
        "pe_video pe_video_encoder": {
            "pixel_values_videos": lambda sample: sample.floats(sample.batch, 8, 3, 336, 336)
        },
        "pe_audio_video pe_audio_video_encoder": {
            "input_values": mono,
            "pixel_values_videos": lambda sample: sample.floats(sample.batch, 8, 3, 336, 336),
        },
        # The windows of its attention divide this.
        "rf_detr": {"pixel_values": lambda sample: sample.floats(sample.batch, 3, 504, 504)},
        # It starts from a spectrogram on both sides; sound in, as text has another entrance.
        "speecht5": {
            "input_values": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("hidden_size")),
            "decoder_input_values": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("hidden_size")),
        },
        "timesfm": {
            "past_values": lambda sample: sample.floats(sample.batch, 512),
            "past_values_padding": lambda sample: sample.filled(0, sample.batch, 512),
            "freq": lambda sample: sample.filled(0, sample.batch, 1),
        },
        "timesfm2_5": {"past_values": lambda sample: sample.floats(sample.batch, 512)},
        "tvp": {"pixel_values": lambda sample: sample.floats(sample.batch, sample.find("num_frames"), 3, 448, 448)},
        "xmod": {"lang_ids": lambda sample: sample.filled(0, sample.batch)},
        "colmodernvbert": {"pixel_values": lambda sample: picture(sample, 1), "attention_mask": ones},
        "florence_vision": {"hidden_states": picture},
        "granite_speech5_ctc granite_speech5_encoder": {
            "input_features": lambda sample: sample.floats(sample.batch, FRAMES, 320)
        },
        "mimi_decoder pocket_tts_audio_tokenizer_decoder": {
            "latents": lambda sample: sample.floats(sample.batch, sample.find("hidden_size"), 25)
        },
        "qwen2_5_omni_thinker qwen3_omni_moe_thinker": {"feature_attention_mask": mel_mask},
        # They are of video, though they say image.
        "timesformer xclip": {"pixel_values": lambda sample: picture(sample, sample.find("num_frames"))},
        # Two pictures are matched.
        "efficientloftr lightglue superglue": {"pixel_values": _two_pictures},
        # Frames go through the tower as so many pictures.
        "instructblipvideo_vision_model": {"pixel_values": picture},
        "xclip_vision_model": {
            "pixel_values": lambda sample: sample.floats(
                sample.batch * sample.find("num_frames"), channels(sample), *size(sample)
            )
        },
        # Several pictures with each text.
        "idefics": {"pixel_values": lambda sample: picture(sample, 1)},
        # What an object detector found.
        "lxmert": {
            "visual_feats": lambda sample: sample.floats(sample.batch, 36, sample.find("visual_feat_dim")),
            "visual_pos": lambda sample: sample.floats(sample.batch, 36, sample.find("visual_pos_dim")),
        },
        # Where features of the picture go, the text says by a mask, not by a token.
        "kosmos-2": {
            "image_embeds_position_mask": lambda sample: (
                torch.arange(sample.length).lt(sample.find("latent_query_num")).expand(sample.batch, -1).clone()
            )
        },
        # Patches are small pictures.
        "kimi_k25 kimi_k25_vision": {"pixel_values": patches_square},
        "paddleocr_vl": {"pixel_values": patches_square},
        "paddleocr_vl_vision": {"pixel_values": lambda sample: patches_square(sample)[None]},
        # A channel for each codebook, and one for the text.
        "kyutai_speech_to_text": {
            "input_ids": lambda sample: sample.filled(1, sample.batch, sample.length, sample.find("num_codebooks") + 1)
        },
        "dia": {
            "decoder_input_ids": lambda sample: sample.filled(
                1, sample.batch, sample.length, sample.find("num_channels", among="decoder")
            )
        },
        "dia_decoder": {
            "input_ids": lambda sample: sample.filled(1, sample.batch, sample.length, sample.find("num_channels"))
        },
        # Either text or sound; the sound is what it is made for.
        "pop2piano": {"input_ids": lambda sample: None, "input_features": lambda sample: hidden(sample)},
        # A picture to learn from, and its mask.
        "seggpt": {
            name: lambda sample: sample.floats(sample.batch, 3, 448, 448)
            for name in ("pixel_values", "prompt_pixel_values", "prompt_masks")
        },
        # The encoder is a wave's; both of its ends are.
        "speech-encoder-decoder": {"inputs": wave},
        "qwen2_audio": {"attention_mask": ones, "feature_attention_mask": mel_mask},
        "decision_transformer": {
            "states": lambda sample: sample.floats(sample.batch, sample.length, sample.find("state_dim")),
            "actions": lambda sample: sample.floats(sample.batch, sample.length, sample.find("act_dim")),
            "rewards": lambda sample: sample.floats(sample.batch, sample.length, 1),
            "returns_to_go": lambda sample: sample.floats(sample.batch, sample.length, 1),
            "timesteps": ones,
            "attention_mask": ones,
        },
    }
)
