"""Placeholder tokens in a text: one for every feature of an image, a video or a sound."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from thoplw.capture import capture
from thoplw.models.hf.sample import Sample, arguments_of

#: Input that is not text -> the method that makes features of it, and attributes that hold the id of the token whose
#: place each feature takes.
PLACEHOLDERS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "pixel_values": ("get_image_features", ("image_token_id", "image_token_index", "media_placeholder_token_id")),
        "pixel_values_videos": ("get_video_features", ("video_token_id", "video_token_index")),
        "audio_input_ids": ("get_audio_features", ("audio_token_id",)),
        "input_features": ("get_audio_features", ("audio_token_id", "audio_token_index")),
        "input_values": ("get_audio_features", ("audio_token_id", "audio_token_index")),
    }
)


def needed_for_features(sample: Sample) -> set[str]:
    """Arguments that are optional for the forward, but required by the methods that encode images or sound."""
    return {
        argument
        for name, (method, _) in PLACEHOLDERS.items()
        if name in sample.takes and hasattr(sample.model, method) and not sample.is_second(name)
        for argument, must in arguments_of(getattr(sample.model, method)).items()
        if must
    }


def with_placeholders(sample: Sample, made: dict[str, Any]) -> dict[str, Any]:
    """Insert a placeholder for every feature after the first token, which marks the beginning of the text."""
    if "input_ids" not in made:
        return made
    kinds = [torch.zeros_like(made["input_ids"])]
    for name, (method, tokens) in PLACEHOLDERS.items():
        token = sample.find(*tokens)
        owner = next((part for part in sample.model.modules() if hasattr(part, method)), None)
        if name not in made or token is None or owner is None or (made["input_ids"] == token).any():
            continue
        count = _features(owner, method, made) // sample.batch
        ids = made["input_ids"]
        made["input_ids"] = torch.cat([ids[:, :1], sample.filled(token, sample.batch, count), ids[:, 1:]], 1)
        kinds.insert(0, sample.filled(1, sample.batch, count))
    if "mm_token_type_ids" in sample.takes:
        made["mm_token_type_ids"] = torch.cat([kinds[-1][:, :1], *kinds[:-1], kinds[-1][:, 1:]], 1)
    for name in ("attention_mask", "token_type_ids"):
        if name in made:
            made[name] = sample.filled(int(name == "attention_mask"), *made["input_ids"].shape)
    return made


def _features(model: nn.Module, method: str, made: Mapping[str, Any]) -> int:
    """Count the features that a method returns by running it on abstract tensors."""
    probe = _Probe(model, method)
    takes = arguments_of(getattr(model, method))
    trace = capture(probe, (), {name: value for name, value in made.items() if name in takes})
    return sum(prod(spec.shape[:-1]) for spec in trace.outputs)


class _Probe(nn.Module):
    """Wrap a method of a model as a module, so that it can be captured."""

    def __init__(self, model: nn.Module, method: str) -> None:
        super().__init__()
        self.model = model
        self.method = method

    def forward(self, **made: Any) -> Any:
        features = getattr(self.model, self.method)(**made)
        named = (getattr(features, name, None) for name in ("pooler_output", "last_hidden_state"))
        return next((found for found in named if found is not None), features)
