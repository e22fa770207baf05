"""From a model type or a directory to a class and its configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from checks.releases import working_transformers

from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.models import hf
from thoplw.models.hf.architecture import _bring_into_vocabulary
from thoplw.models.registry import load

working_transformers()


SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}


def test_the_model_of_a_configuration_goes_before_that_of_a_part() -> None:
    cls, config = hf.architecture("musicgen")
    assert cls.__name__ == "MusicgenForConditionalGeneration"
    assert cls.config_class is type(config)  # type: ignore[attr-defined] # PreTrainedModel has it


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
    with pytest.raises(UnknownNameError, match=r"unknown model type of transformers \(or folder with a config.json\)"):
        load(f"hf:{name}")


def test_a_near_name_is_offered() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'llama'"):
        load("hf:lama")


def test_a_configuration_of_no_model() -> None:
    with pytest.raises(InputError, match="SamMaskDecoderConfig alone"):
        load("hf:sam_mask_decoder")


def test_transformers_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match="pip install transformers"):
        load("hf:llama")


@pytest.mark.parametrize("inner", [False, True])
def test_too_many_layers_are_refused_before_they_are_built(tmp_path: Path, inner: bool) -> None:
    settings: dict[str, object] = {"model_type": "llama", "num_hidden_layers": 100_000}
    if inner:
        settings = {"model_type": "llava", "text_config": settings}
    (tmp_path / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(InputError, match=r"has num_hidden_layers=100,000, and more than 10,000 layers are not built"):
        hf.architecture(str(tmp_path))


@pytest.mark.parametrize("name", ["idefics2", "llava_next_video", "hyperclovax_vision_v2", "blip-2", "colmodernvbert"])
def test_placeholders_are_in_the_vocabulary(name: str) -> None:
    config = hf.architecture(name)[1]
    config = getattr(config, "vlm_config", config)
    names = ("image_token_id", "image_token_index", "video_token_id", "video_token_index")
    tokens = {token for each in names if (token := getattr(config, each, None)) is not None}
    assert tokens
    assert max(tokens) < config.get_text_config().vocab_size


def test_placeholders_take_no_id_of_another_token() -> None:
    from transformers import AutoConfig

    tokens = {"image_token_index": 70, "video_token_index": 71, "pad_token_id": 62}
    text = {"model_type": "llama", "vocab_size": 64}
    settings = {"model_type": "llava_next_video", "text_config": text, **tokens}
    config = AutoConfig.for_model(**settings)

    _bring_into_vocabulary(config)

    assert (config.image_token_index, config.video_token_index, config.pad_token_id) == (61, 63, 62)


def test_placeholders_of_pictures_and_videos_stay_apart() -> None:
    config = hf.architecture("llava_next_video")[1]  # 32,001 and 32,000 of 32,000
    assert (config.video_token_index, config.image_token_index) == (31_998, 31_999)
