"""Inputs that are laid out in a way of their own have the sizes that the configuration says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from checks.releases import working_transformers

from thoplw.models.hf.sample import Sample
from thoplw.models.hf.special import SPECIAL

BATCH, TOKENS = 3, 24


def sample(**config: Any) -> Sample:
    """What is known of a model with this configuration."""
    model: Any = SimpleNamespace(config=SimpleNamespace(**config), forward=lambda input_ids: None)
    return Sample(model=model, seq=TOKENS, batch=BATCH)


def made(name: str, **config: Any) -> dict[str, Any]:
    return {argument: form(sample(**config)) for argument, form in SPECIAL[name].items()}


def test_every_row_is_of_a_model_type() -> None:
    known = working_transformers().models.auto.configuration_auto.CONFIG_MAPPING
    assert SPECIAL
    assert [name for name in SPECIAL if name not in known] == []


@pytest.mark.parametrize(
    ("name", "config", "shapes"),
    [
        ("lxmert", {"visual_feat_dim": 7, "visual_pos_dim": 4}, [(BATCH, 36, 7), (BATCH, 36, 4)]),
        ("superglue", {"image_size": 32, "num_channels": 1}, [(BATCH, 2, 1, 32, 32)]),
        ("timesformer", {"num_frames": 5, "image_size": 32}, [(BATCH, 5, 3, 32, 32)]),
        ("xclip_vision_model", {"num_frames": 5, "image_size": 32}, [(BATCH * 5, 3, 32, 32)]),
        ("fuyu", {"image_size": 60, "patch_size": 30, "num_channels": 3}, [(BATCH, 4, 3 * 30 * 30)]),
        ("dia_decoder", {"cross_hidden_size": 6, "num_channels": 9}, [(BATCH, TOKENS, 6), (BATCH, TOKENS, 9)]),
        ("rag", {"n_docs": 5}, [(BATCH * 5, TOKENS), (BATCH * 5, TOKENS), (BATCH, 5)]),
        ("blt_local_decoder", {"hidden_size": 8, "hidden_size_global": 16}, [None, (BATCH, TOKENS, 8), (BATCH, 6, 16)]),
        ("kyutai_speech_to_text", {"num_codebooks": 4}, [(BATCH, TOKENS, 5)]),
        (
            "muse_glimmer_assistant",
            {"hidden_size": 8, "target_layer_ids": [1, 2, 3]},
            [(BATCH, TOKENS, 8), (BATCH, TOKENS, 24)],
        ),
    ],
)
def test_sizes_are_those_of_the_configuration(name: str, config: dict[str, Any], shapes: list[Any]) -> None:
    found = made(name, **config).values()
    assert [None if each is None else tuple(each.shape) for each in found] == shapes


def test_places_of_what_is_no_text_come_before_it() -> None:
    ids = made("musicflamingo", audio_token_id=1, num_mel_bins=80)["input_ids"]
    assert ids.shape == (BATCH, 750 + TOKENS)
    assert ids[:, :750].eq(1).all()
    assert not ids[:, 750:].eq(1).any()  # plain tokens are none of those with a meaning


def test_a_token_of_a_picture_is_pooled_from_four_patches_each_in_one_place() -> None:
    found = made("molmo2", image_size=56, patch_size=14, num_channels=3)
    patches = BATCH * (56 // 14) ** 2
    pooled = found["image_token_pooling"]
    assert pooled.flatten().tolist() == [*range(patches)]
    assert pooled.shape == (patches // 4, 4)
    assert found["image_grids"].tolist() == [[4, 1, 0, 0]] * BATCH
    assert found["pixel_values"].shape == (BATCH, 16, 3 * 14 * 14)


def test_a_picture_to_start_from_and_one_to_make_have_places_in_a_text() -> None:
    tokens = {"image_start_token_id": 1, "image_token_id": 2, "image_end_token_id": 3}
    found = made("glm_image", **tokens, patch_size=16, spatial_merge_size=2)
    edge = 224 // 16
    assert found["input_ids"][0].tolist() == [1, *[2] * edge**2, 3, *[4] * TOKENS]
    assert found["position_ids"].shape == (3, BATCH, edge**2 + 2 + TOKENS)
    assert found["image_grid_thw"].tolist() == [[1, edge, edge]] * 2 * BATCH


def test_bytes_are_four_to_a_patch() -> None:
    found = made("blt_local_encoder")
    assert found["patch_ids"][0].tolist() == [place // 4 for place in range(TOKENS)]
    assert found["num_patches"] == TOKENS / 4
    assert made("blt")["patch_lengths"].sum(1).tolist() == [TOKENS] * BATCH


def test_a_mask_says_where_features_go() -> None:
    mask = made("kosmos-2", latent_query_num=5)["image_embeds_position_mask"]
    assert mask.sum(1).tolist() == [5] * BATCH
    assert mask[:, :5].all()
    assert mask.dtype == torch.bool
