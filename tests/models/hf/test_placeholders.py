"""A place in the text for every feature of what is no text."""

from __future__ import annotations

from typing import Any

from checks.releases import working_transformers

from thoplw.models.registry import load

working_transformers()


def test_there_is_a_placeholder_for_every_feature_of_a_picture() -> None:
    loaded = load("hf:paligemma", seq=10, batch=3)
    assert isinstance(loaded.inputs, dict)
    config: Any = loaded.model.config
    patches = (config.vision_config.image_size // config.vision_config.patch_size) ** 2
    is_picture = loaded.inputs["input_ids"] == config.image_token_id
    assert is_picture.sum(1).tolist() == [patches] * 3
    assert is_picture.shape == (3, 10 + patches)


def test_places_that_a_text_keeps_already_are_enough() -> None:
    loaded = load("hf:musicflamingo", seq=10)
    assert isinstance(loaded.inputs, dict)
    config: Any = loaded.model.config
    assert loaded.inputs["input_ids"].shape == (1, 750 + 10)
    assert (loaded.inputs["input_ids"] == config.audio_token_id).sum() == 750
