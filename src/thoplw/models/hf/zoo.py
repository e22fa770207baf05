"""Models of transformers in a configuration, each with inputs made for its modality."""

from __future__ import annotations

import torch

from thoplw.errors import MissingExtraError
from thoplw.models.built import Built, WeightsOnMeta, build, zoo
from thoplw.models.hf.architecture import architecture
from thoplw.models.hf.inputs import inputs
from thoplw.models.hf.offline import offline


def from_hf(name: str, *, seq: int | None = None, batch: int = 1, real: bool = False) -> Built:
    """A model of transformers in a configuration, with inputs made for its modality."""
    _require(f"model 'hf:{name}'")
    with offline(name):
        cls, config = architecture(name)
        # Best, only weights lose their values: there are models that keep strides and paddings in buffers.
        model = build(lambda: cls(config), real, WeightsOnMeta(), torch.device("meta"))
    return model, inputs(model, seq=seq, batch=batch)


def _require(purpose: str) -> None:
    """Require transformers, and that it works with this torch.

    Raises:
        MissingExtraError: it is not installed, or needs a newer torch and so has no models.
    """
    transformers = zoo("transformers", purpose)
    if not transformers.is_torch_available():
        versions = f"transformers {transformers.__version__} does not work with torch {torch.__version__}"
        problem = f"and {versions}: install a newer torch"
        raise MissingExtraError("transformers", "zoo", purpose, problem)


def names() -> list[str]:
    """Every name, in the order of the alphabet."""
    return sorted(zoo("transformers.models.auto.configuration_auto", "its list of models").CONFIG_MAPPING)
