"""Models of transformers by name: the class, and inputs that it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import thoplw
from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.models import hf
from thoplw.models.registry import load

pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


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


def test_there_are_no_weights_and_floats_have_no_values() -> None:
    loaded = load("hf:clip")
    assert isinstance(loaded.inputs, dict)
    assert all(weight.is_meta for weight in loaded.model.parameters() if weight.numel() > 1)
    assert loaded.inputs["pixel_values"].is_meta
    assert not loaded.inputs["input_ids"].is_meta


def test_tokens_have_no_special_meaning() -> None:
    loaded = load("hf:roberta")
    assert isinstance(loaded.inputs, dict)
    config: Any = loaded.model.config
    special = {config.bos_token_id, config.eos_token_id, config.pad_token_id}
    assert not special & set(loaded.inputs["input_ids"].unique().tolist())


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


def test_the_model_of_a_configuration_goes_before_that_of_a_part() -> None:
    cls, config = hf.architecture("musicgen")
    assert cls.__name__ == "MusicgenForConditionalGeneration"
    assert cls.config_class is type(config)  # type: ignore[attr-defined] # PreTrainedModel has it


def test_length_and_batch() -> None:
    loaded = load("hf:bert", seq=7, batch=5)
    assert shapes(loaded.inputs) == {"input_ids": (5, 7)}


SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}


def test_a_directory_with_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **SMALL}))
    loaded = load(f"hf:{tmp_path}")
    assert type(loaded.model).__name__ == "LlamaModel"
    assert len(loaded.model.layers) == 2  # type: ignore[arg-type] # it is a ModuleList


def test_code_next_to_a_configuration_is_not_run(tmp_path: Path) -> None:
    named = {"AutoConfig": "code.Config", "AutoModel": "code.Model"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": named}))
    (tmp_path / "code.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(InputError, match="cannot use the configuration in"):
        load(f"hf:{tmp_path}")


def test_a_configuration_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="cannot use the configuration in"):
        load(f"hf:{tmp_path}")


@pytest.mark.parametrize("name", ["lama", "no/such/directory", ""])
def test_unknown_names(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown directory with a config.json, or model type"):
        load(f"hf:{name}")


def test_a_near_name_is_offered() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'llama'"):
        load("hf:lama")


def test_a_configuration_of_no_model() -> None:
    with pytest.raises(InputError, match="SamMaskDecoderConfig alone"):
        load("hf:sam_mask_decoder")


def test_transformers_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"transformers.*thoplw\[zoo\]"):
        load("hf:llama")


@pytest.mark.parametrize("name", ["resnet18", "timm:resnet18", "torch.nn:Identity"])
def test_other_zoos_take_shapes(name: str) -> None:
    with pytest.raises(InputError, match="seq: only for hf: models"):
        load(name, seq=3)


class Odd(torch.nn.Module):
    config: Any

    def forward(self, riddle: torch.Tensor) -> torch.Tensor:
        return riddle


def test_what_nobody_knows_how_to_make() -> None:
    model = Odd()
    model.config = type("Config", (), {"model_type": "odd"})()
    assert hf.inputs(model) is None
