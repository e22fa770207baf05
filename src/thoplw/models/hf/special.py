"""Model types whose inputs are laid out in their own way."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import torch

from thoplw.models.hf.forms import (
    FRAMES,
    ONLY_IF_NEEDED,
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
    patches_each,
    patches_square,
    picture,
    size,
    wave,
)
from thoplw.models.hf.sample import Sample
from thoplw.models.hf.words import each


def _two_pictures(sample: Sample) -> torch.Tensor:
    return picture(sample, 2)


def _one_sound(sample: Sample) -> torch.Tensor:
    ids = sample.filled(sample.plain, sample.batch, sample.length)
    ids[:, 1] = sample.find("audio_token_id", "audio_token_index")
    return ids


def _placed(sample: Sample, count: int, *token: str) -> torch.Tensor:
    """Tokens that hold the places of what is no text, and plain ones after them."""
    return torch.cat(
        [
            sample.filled(sample.find(*token), sample.batch, count),
            sample.filled(sample.plain, sample.batch, sample.length),
        ],
        1,
    )


def _map(sample: Sample, edge: int) -> torch.Tensor:
    """Features of a picture, in their places."""
    return sample.floats(sample.batch, sample.find("hidden_size"), edge, edge)


def _fours(sample: Sample, patches: int) -> torch.Tensor:
    """Which patches are pooled: each of them, four at a time."""
    return torch.arange(sample.batch * patches)[: sample.batch * patches // 4 * 4].view(-1, 4)


#: Model type -> forms of its own, and the reason.
SPECIAL: Mapping[str, Mapping[str, Form]] = each(
    {
        # A spectrogram is a picture here, of a fixed length.
        "audio-spectrogram-transformer": {
            "input_values": lambda sample: sample.floats(sample.batch, sample.find("max_length"), bins(sample))
        },
        "clap clap_audio_model": {"input_features": lambda sample: sample.floats(sample.batch, 1, 1001, bins(sample))},
        # Convolutions over spectrograms of any length: channels come first.
        "clvp qwen3_asr qwen3_asr_encoder glmasr glmasr_encoder voxtral_realtime_encoder": {
            "input_features": lambda sample: mel_first(sample, FRAMES)
        },
        # Waves have a channel, though the configuration does not say so.
        "dac higgs_audio_v2_tokenizer pe_audio pe_audio_encoder xcodec neucodec omniasr omniasr_audio omniasr_ctc": {
            "input_values": mono
        },
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
        "fuyu molmo2_vision": {
            "pixel_values": lambda sample: sample.floats(
                sample.batch, (size(sample)[0] // patch(sample)) ** 2, patch_row(sample)
            )
        },
        # What is left of two tiles of 16 x 16 and of the whole, at half the resolution, with a mark at each line's end.
        "granite4_vision": {"input_ids": lambda sample: _placed(sample, 200, "image_token_id")},
        "granite_docling": {
            "pixel_values": lambda sample: picture(sample, 1),
            "pixel_attention_mask": lambda sample: torch.ones(sample.batch, 1, dtype=torch.bool),
        },
        "granite_speech_encoder granite_speech_plus_encoder": {
            "hidden_states": lambda sample: sample.floats(sample.batch, FRAMES, bins(sample))
        },
        # One row of the patches of all pictures.
        "minicpm_ocr_vision minicpmv4_6_vision minicpmv4_7_vision": {
            "pixel_values": lambda sample: sample.floats(
                1, 3, patch(sample), sample.batch * prod(grid(sample)) * patch(sample)
            ),
            "target_sizes": grid_hw,
        },
        "musicgen_decoder musicgen_melody_decoder": {
            "input_ids": lambda sample: sample.filled(1, sample.batch * sample.find("num_codebooks"), sample.length)
        },
        # A decoder of several codebooks, and for the other of the two a melody to follow.
        "musicgen musicgen_melody": {
            "decoder_input_ids": lambda sample: sample.filled(
                1, sample.batch * sample.find("num_codebooks", among="decoder"), sample.length
            ),
            "input_features": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("num_chroma")),
        },
        "muse_spark muse_spark_audio": {"input_values": lambda sample: sample.floats(sample.batch, 1920 * 8)},
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
        "idefics": {
            "pixel_values": lambda sample: picture(sample, 1),
            "image_attention_mask": lambda sample: sample.filled(1, sample.batch, sample.length, 1),
        },
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
            "encoder_hidden_states": lambda sample: sample.floats(
                sample.batch, sample.length, sample.find("cross_hidden_size")
            ),
            "input_ids": lambda sample: sample.filled(1, sample.batch, sample.length, sample.find("num_channels")),
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
        # One token stands for the whole of the sound.
        "qwen2_audio": {
            "input_ids": _one_sound,
            "attention_mask": ones,
            "feature_attention_mask": mel_mask,
        },
        "qwen2_5_omni_audio_encoder qwen3_omni_moe_audio_encoder": {
            "input_features": lambda sample: sample.floats(bins(sample), sample.batch * FRAMES),
            "feature_lens": lambda sample: sample.filled(FRAMES, sample.batch),
            "aftercnn_lens": lambda sample: sample.filled(FRAMES // 2, sample.batch),
        },
        "qwen2_5_omni_bigvgan": {
            "mel_spectrogram": lambda sample: sample.floats(sample.batch, sample.find("mel_dim"), FRAMES)
        },
        # Parts that look at the output of another part.
        "blip_2_qformer": {
            "encoder_hidden_states": lambda sample: sample.floats(sample.batch, 257, sample.find("encoder_hidden_size"))
        },
        "t5gemma2_decoder": {"encoder_hidden_states": hidden},
        "idefics2_perceiver": {
            "context": hidden,
            "attention_mask": ones,
        },
        "deepseek_ocr2_encoder": {
            "inputs_embeds": lambda sample: sample.floats(sample.batch, 256, sample.find("hidden_size")),
            "num_patches": lambda sample: 256,
        },
        "muse_glimmer_assistant": {
            "noise_embeds": hidden,
            "context_hidden_states": lambda sample: sample.floats(
                sample.batch, sample.length, sample.find("hidden_size") * len(sample.find("target_layer_ids"))
            ),
        },
        "phi4_multimodal_audio": {
            "hidden_states": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("input_size")),
            "mask": lambda sample: torch.ones(sample.batch, FRAMES, dtype=torch.bool),
        },
        "unlimited_ocr_vision_encoder": {
            "patch_embeds": lambda sample: sample.floats(sample.batch, sample.find("hidden_size"), 16, 16)
        },
        # A spectrogram of 128 channels, which only the width of its convolutions tells.
        "gemma4 gemma4_audio embedding_gemma2": {
            "input_features": lambda sample: sample.floats(sample.batch, FRAMES, 128)
        },
        "gemma4_unified": {
            "pixel_values": lambda sample: sample.floats(sample.batch, prod(grid(sample)), 3 * 48**2),
            "input_features": lambda sample: sample.floats(sample.batch, 25, 640),
            "input_features_mask": lambda sample: torch.ones(sample.batch, 25, dtype=torch.bool),
        },
        "gemma3n_audio": {
            "audio_mel": lambda sample: sample.floats(sample.batch, FRAMES, bins(sample)),
            "audio_mel_mask": lambda sample: torch.zeros(sample.batch, FRAMES, dtype=torch.bool),
        },
        # As many frames as fill the place that it keeps for a sound.
        "gemma3n": {
            "input_features": lambda sample: sample.floats(sample.batch, 16 * 188, bins(sample)),
            "input_features_mask": lambda sample: torch.ones(sample.batch, 16 * 188, dtype=torch.bool),
        },
        "janus_vqgan": {"pixel_values": lambda sample: sample.floats(sample.batch, 3, 512, 512)},
        "kosmos_2_5_vision_model": {"flattened_patches": ONLY_IF_NEEDED["flattened_patches"]},
        "colqwen2": {"pixel_values": patches_each},
        "moshi_depth": {
            "input_ids": lambda sample: sample.filled(1, sample.batch, sample.find("num_codebooks")),
            "last_hidden_state": lambda sample: sample.floats(sample.batch, 1, sample.find("input_size")),
        },
        "omdet-turbo": {
            "classes_input_ids": lambda sample: sample.filled(1, 3 * sample.batch, 16),
            "classes_attention_mask": lambda sample: sample.filled(1, 3 * sample.batch, 16),
            "tasks_input_ids": lambda sample: sample.filled(1, sample.batch, 16),
            "tasks_attention_mask": lambda sample: sample.filled(1, sample.batch, 16),
            "classes_structure": lambda sample: sample.filled(3, sample.batch),
        },
        # What a retriever found: passages, and how near each is.
        "rag": {
            "context_input_ids": lambda sample: sample.filled(1, sample.batch * sample.find("n_docs"), sample.length),
            "context_attention_mask": lambda sample: sample.filled(
                1, sample.batch * sample.find("n_docs"), sample.length
            ),
            "doc_scores": lambda sample: sample.floats(sample.batch, sample.find("n_docs")),
        },
        # Without a voice to go on from.
        "csm": {"input_values": lambda sample: None},
        # A frame of sound is added to each token.
        "voxtral_realtime": {"input_features": lambda sample: mel_first(sample, 8 * sample.length)},
        "xcodec2": {
            "input_values": mono,
            "input_features": lambda sample: sample.floats(sample.batch, 50, bins(sample)),
        },
        "vibevoice_acoustic_tokenizer_encoder": {"hidden_states": mono},
        "vibevoice_acoustic_tokenizer_decoder": {
            "hidden_states": lambda sample: sample.floats(sample.batch, sample.find("hidden_size"), 25)
        },
        "neomme": {"pixel_values": lambda sample: patches_each(sample).flatten(0, 1)},
        # Its timm model has a size of its own, which only that knows.
        "perception_lm": {"pixel_values": lambda sample: sample.floats(sample.batch, 1, 3, 336, 336)},
        "instructblipvideo": {
            "pixel_values": lambda sample: picture(sample, 4),
            "input_ids": lambda sample: _placed(sample, 4 * sample.find("num_query_tokens"), "video_token_index"),
        },
        # Patches of two frames, all values of a place next to each other.
        "inkling_mm_model inkling_vision": {
            "pixel_values": lambda sample: sample.floats(sample.batch * 25, 2, 40, 40, 3),
            "audio_input_ids": lambda sample: sample.filled(1, sample.batch, 25, 80),
        },
        "inkling_audio": {"audio_input_ids": lambda sample: sample.filled(1, sample.batch, 25, 80)},
        "inkling2 inkling2_loop inkling2_vision": {
            "pixel_values": lambda sample: sample.floats(
                sample.batch * prod(grid(sample)), *[patch(sample) * sample.find("spatial_merge_size")] * 2, 3
            )
        },
        "jev": {
            "input_ids": lambda sample: sample.filled(sample.plain, 1, sample.length),
            "marks": lambda sample: sample.filled(sample.length, 1, 1),
            "num_options": lambda sample: sample.filled(2, 1, 1),
            "question_type_ids": lambda sample: sample.filled(0, 1, 1),
        },
        "vibevoice": {
            "input_values": mono,
            "padding_mask": lambda sample: torch.ones_like(mono(sample)[:, 0], dtype=torch.bool),
        },
        # The delay that it was asked to keep, as a vector.
        "voxtral_realtime_text": {"t_cond": lambda sample: sample.floats(1, 1, sample.find("hidden_size"))},
        # Four bytes to a patch.
        "blt_local_encoder": {
            "patch_ids": lambda sample: (
                torch.arange(sample.length).div(4, rounding_mode="floor").repeat(sample.batch, 1)
            ),
            "num_patches": lambda sample: -(-sample.length // 4),
        },
        "blt_local_decoder": {
            "input_ids": lambda sample: None,
            "inputs_embeds": hidden,
            "patch_embeds": lambda sample: sample.floats(
                sample.batch, sample.length // 4, sample.find("hidden_size_global")
            ),
        },
        "qwen3_omni_moe_talker_code_predictor qwen3_omni_moe_talker_text": {
            "input_ids": lambda sample: None,
            "inputs_embeds": hidden,
        },
        "qwen2_5_omni_dit": {
            "hidden_states": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("mel_dim")),
            "condition_vector": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("mel_dim")),
            "speaker_embedding": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("enc_emb_dim")),
            "quantized_code": lambda sample: sample.filled(1, sample.batch, FRAMES // sample.find("repeats")),
            "time_step": lambda sample: sample.floats(sample.batch),
        },
        "qwen2_5_omni_token2wav": {
            "code": lambda sample: sample.filled(1, sample.batch, FRAMES // sample.find("repeats")),
            "conditioning": lambda sample: sample.floats(sample.batch, sample.find("enc_emb_dim")),
            "reference_mel": lambda sample: sample.floats(sample.batch, FRAMES, sample.find("mel_dim")),
        },
        # What comes of a picture of 1008 x 1008 in patches of 14, and of a text.
        "sam3_detr_encoder sam3_lite_text_detr_encoder": {
            "vision_features": lambda sample: [_map(sample, 72)],
            "vision_pos_embeds": lambda sample: [_map(sample, 72)],
            "text_features": lambda sample: sample.floats(sample.batch, 32, sample.find("hidden_size")),
        },
        "sam3_detr_decoder sam3_lite_text_detr_decoder": {
            "vision_features": lambda sample: _map(sample, 72).flatten(2).mT,
            "vision_pos_encoding": lambda sample: _map(sample, 72).flatten(2).mT,
            "text_features": lambda sample: sample.floats(sample.batch, 32, sample.find("hidden_size")),
            "spatial_shapes": lambda sample: torch.tensor([[72, 72]]),
        },
        "sam3_mask_decoder sam3_lite_text_mask_decoder": {
            "decoder_queries": lambda sample: sample.floats(sample.batch, 200, sample.find("hidden_size")),
            "backbone_features": lambda sample: [_map(sample, edge) for edge in (288, 144, 72)],
            "encoder_hidden_states": lambda sample: _map(sample, 72).flatten(2).mT,
        },
        # Each token of a picture is pooled from four patches.
        "molmo2_adapter": {
            "image_features": lambda sample: sample.floats(
                sample.batch,
                576,
                sample.find("hidden_size") * len(sample.find("vision_feature_layer")),
            ),
            "pooled_patches_idx": lambda sample: _fours(sample, 576),
        },
        "molmo2": {
            "pixel_values": lambda sample: sample.floats(
                sample.batch, (size(sample)[0] // patch(sample)) ** 2, patch_row(sample)
            ),
            "image_token_pooling": lambda sample: _fours(sample, (size(sample)[0] // patch(sample)) ** 2),
            "image_grids": lambda sample: torch.tensor(
                [[(size(sample)[0] // patch(sample)) ** 2 // 4, 1, 0, 0]] * sample.batch
            ),
        },
        "dots3_note dots3_note_audio_encoder": {
            "input_features": lambda sample: mel_first(sample, FRAMES),
            "chunk_sample_lengths": lambda sample: sample.filled(
                FRAMES * sample.find("hop_length", default=160, among="audio"), sample.batch
            ),
        },
        "pi0": {
            "action_embeds": lambda sample: sample.floats(
                sample.batch, sample.find("chunk_size"), sample.find("hidden_size", among="dit")
            ),
            "pixel_values": lambda sample: picture(sample, 1),
            "pixel_attention_mask": lambda sample: torch.ones(sample.batch, 1, dtype=torch.bool),
            "attention_mask": lambda sample: None,
            "input_ids": lambda sample: _placed(sample, 256, "image_token_id"),
        },
        # The times of the sound are read from the places that the text keeps for it.
        "musicflamingo": {
            "input_ids": lambda sample: _placed(sample, 750, "audio_token_id"),
            "input_features": lambda sample: mel_first(sample, 3000),
        },
        # A picture to start from, and one to make, which is there by its size alone.
        "glm_image": {
            "image_grid_thw": lambda sample: torch.tensor([[1, *grid(sample)]] * 2 * sample.batch),
            "input_ids": lambda sample: torch.cat(
                [
                    sample.filled(sample.find("image_start_token_id"), sample.batch, 1),
                    sample.filled(sample.find("image_token_id"), sample.batch, prod(grid(sample))),
                    sample.filled(sample.find("image_end_token_id"), sample.batch, 1),
                    sample.filled(sample.plain, sample.batch, sample.length),
                ],
                1,
            ),
            # Else they are read from tokens that it computes of the picture.
            "position_ids": lambda sample: torch.arange(prod(grid(sample)) + 2 + sample.length).repeat(
                3, sample.batch, 1
            ),
            "images_per_sample": lambda sample: sample.filled(2, sample.batch),
        },
        # Four bytes to a patch; else the entropy that its patcher computes decides.
        "blt": {"patch_lengths": lambda sample: sample.filled(4, sample.batch, sample.length // 4)},
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
