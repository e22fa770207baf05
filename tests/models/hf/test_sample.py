"""What is known of a model when inputs are made for it."""

from __future__ import annotations

from typing import Any

from checks.releases import working_transformers

from thoplw.models.registry import load

working_transformers()


def test_tokens_have_no_special_meaning() -> None:
    loaded = load("hf:roberta")
    assert isinstance(loaded.inputs, dict)
    config: Any = loaded.model.config
    special = {config.bos_token_id, config.eos_token_id, config.pad_token_id}
    assert not special & set(loaded.inputs["input_ids"].unique().tolist())
