"""Models of transformers in a configuration, each with inputs made for its modality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from thoplw.capture.torch_internals import VERSION
from thoplw.errors import InputError, MissingExtraError
from thoplw.models.built import Built, WeightsOnMeta, build, zoo
from thoplw.models.hf.architecture import architecture, configuration, generating_class
from thoplw.models.hf.inputs import inputs
from thoplw.models.hf.offline import offline


def from_hf(name: str, *, seq: int | None = None, batch: int = 1, real: bool = False) -> Built:
    """A model of transformers in a configuration, with inputs made for its modality."""
    _require(f"model 'hf:{name}'")
    with offline(name):
        cls, config = architecture(name)
        model = _built(name, cls, config, real)
    return model, inputs(model, seq=seq, batch=batch)


def that_generates(name: str) -> nn.Module:
    """A model of transformers with a head that generates text, without weights.

    Raises:
        InputError: no such model is built from the configuration.
        Exception: what :func:`from_hf` raises.
    """
    _require(f"model 'hf:{name}'")
    with offline(name):
        config = configuration(name)
        return _built(name, generating_class(config), config, False)


def _built(name: str, cls: type[nn.Module], config: Any, real: bool) -> nn.Module:
    # Best, only weights lose their values: there are models that keep strides and paddings in buffers.
    try:
        model: nn.Module = build(lambda: cls(config), real, WeightsOnMeta(), torch.device("meta"))
    except (InputError, OSError):  # the second from a hub
        raise
    except Exception as error:
        raise InputError(
            f"cannot build {cls.__name__} from the configuration hf:{name}: {_in_words(error, config)}"
        ) from error
    return model


def _in_words(error: Exception, config: Any) -> str:
    """An error on one line; of a word that was looked up in vain, also the setting that has it."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if not isinstance(error, KeyError):
        return said
    found = next((path for path, value in _settings(config.to_dict()) if value == error.args[0]), None)
    return said if found is None else f"{found} is {error.args[0]!r}, which it does not know"


def _settings(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{before}{key}.")
        elif isinstance(value, str):
            yield f"{before}{key}", value


def _require(purpose: str) -> None:
    """Require transformers, and that it works with this torch.

    Raises:
        MissingExtraError: it is not installed, or needs a newer torch and so has no models.
    """
    transformers = zoo("transformers", purpose)
    if not transformers.is_torch_available():
        versions = f"transformers {transformers.__version__} does not work with torch {VERSION}"
        problem = f"and {versions}: install a newer torch"
        raise MissingExtraError("transformers", purpose, problem)


def names() -> list[str]:
    """Every name, in the order of the alphabet."""
    return sorted(zoo("transformers.models.auto.configuration_auto", "the list of transformers' types").CONFIG_MAPPING)
