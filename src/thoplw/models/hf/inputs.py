"""From a model to inputs that it takes."""

from __future__ import annotations

from typing import Any

from torch import nn

from thoplw.models.hf.forms import FORMS, ONLY_IF_NEEDED
from thoplw.models.hf.placeholders import needed_for_features, with_placeholders
from thoplw.models.hf.sample import Sample
from thoplw.models.hf.special import SPECIAL


def inputs(model: nn.Module, *, seq: int | None = None, batch: int = 1) -> dict[str, Any] | None:
    """Keyword inputs made for what a model takes: text, pictures, video, sound, or several of them.

    Floating-point tensors are on the meta device. Integers are real, as their values steer the model: ids of plain
    tokens, and as many placeholders among them as there are features of a picture or of a sound.

    Args:
        model: from the class and the configuration of :func:`architecture`.
        seq: number of text tokens, placeholders not counted; 128, or what the model can take if that is less.
        batch: number of samples.

    Returns:
        The inputs by name; None when the model needs one that there is no telling how to make.
    """
    sample = Sample(model=model, seq=seq, batch=batch)
    special = SPECIAL.get(sample.config.model_type, {})
    forms = {**FORMS, **special}
    needed_too = needed_for_features(sample)
    made: dict[str, Any] = {}
    for name, must in sample.takes.items():
        needed = must or name in needed_too
        form = forms.get(name) or (ONLY_IF_NEEDED.get(name) if needed else None)
        value = form(sample) if form else None
        if value is not None:
            made[name] = value
        elif needed and name not in special:
            return None
    return with_placeholders(sample, made)
