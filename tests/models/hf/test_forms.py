"""Inputs have the form that their name and the configuration ask for."""

from __future__ import annotations

from typing import Any

import pytest
from checks.releases import working_transformers

import thoplw
from thoplw.models.registry import load

working_transformers()

Shapes = dict[str, tuple[int, ...]]


def shapes(inputs: Any) -> Shapes:
    return {name: tuple(value.shape) for name, value in inputs.items()}


@pytest.mark.parametrize(
    ("name", "cls", "expected"),
    [
        ("bert", "BertModel", {"input_ids": (2, 128)}),
        ("llama", "LlamaModel", {"input_ids": (2, 128)}),
        ("mixtral", "MixtralModel", {"input_ids": (2, 128)}),
        ("clip", "CLIPModel", {"input_ids": (2, 77), "pixel_values": (2, 3, 224, 224)}),
        ("t5", "T5Model", {"input_ids": (2, 128), "decoder_input_ids": (2, 128)}),
        ("vit", "ViTModel", {"pixel_values": (2, 3, 224, 224)}),
        ("videomae", "VideoMAEModel", {"pixel_values": (2, 16, 3, 224, 224)}),
        ("whisper", "WhisperModel", {"input_features": (2, 80, 3000), "decoder_input_ids": (2, 128)}),
        ("wav2vec2", "Wav2Vec2Model", {"input_values": (2, 16000)}),
        ("layoutlm", "LayoutLMModel", {"input_ids": (2, 128), "bbox": (2, 128, 4)}),
        ("paligemma", "PaliGemmaModel", {"input_ids": (2, 384), "pixel_values": (2, 3, 224, 224)}),
        ("siglip_text_model", "SiglipTextModel", {"input_ids": (2, 64)}),
        ("superpoint", "SuperPointForKeypointDetection", {"pixel_values": (2, 3, 224, 224)}),
    ],
)
def test_inputs_are_made_for_the_modality(name: str, cls: str, expected: Shapes) -> None:
    loaded = load(f"hf:{name}", batch=2)
    assert type(loaded.model).__name__ == cls
    assert {name: shapes(loaded.inputs)[name] for name in expected} == expected
    assert thoplw.profile(loaded.model, loaded.inputs, verbose=False)[0] > 0
