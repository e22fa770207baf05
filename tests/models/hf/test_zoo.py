"""A model of transformers by name: no weights, and inputs beside it."""

from __future__ import annotations

from checks.releases import working_transformers

from thoplw.models.hf import zoo
from thoplw.models.registry import load

working_transformers()


def test_there_are_no_weights_and_floats_have_no_values() -> None:
    loaded = load("hf:clip")
    assert isinstance(loaded.inputs, dict)
    assert all(weight.is_meta for weight in loaded.model.parameters() if weight.numel() > 1)
    assert loaded.inputs["pixel_values"].is_meta
    assert not loaded.inputs["input_ids"].is_meta


def test_names_can_be_loaded() -> None:
    names = zoo.names()
    assert {"bert", "llama", "vit"} <= set(names)
    assert names == sorted(names)
