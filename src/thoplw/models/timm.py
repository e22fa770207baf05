"""Models of timm, each with an input of the size in its configuration."""

from __future__ import annotations

from thoplw.errors import UnknownNameError
from thoplw.models.built import Built, build, empty, zoo


def from_timm(name: str, *, batch: int = 1, real: bool = False) -> Built:
    """A model of timm; its input has the size in its configuration."""
    timm = zoo("timm", f"model 'timm:{name}'")
    if not timm.is_model(name):
        raise UnknownNameError("timm model", name, timm.list_models())
    try:
        timm.get_pretrained_cfg(name)  # What follows the point names weights, which is_model does not look at.
    except RuntimeError as error:
        raise UnknownNameError("timm model", name, timm.list_pretrained()) from error
    model = build(lambda: timm.create_model(name, pretrained=False), real)
    size = getattr(model, "default_cfg", {}).get("input_size")
    return model, size and (empty(batch, *size),)


def names() -> list[str]:
    """Every name, in the order of the alphabet."""
    models: list[str] = zoo("timm", "the list of timm's models").list_models()
    return models
