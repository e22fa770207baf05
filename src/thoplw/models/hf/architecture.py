"""From the name of an architecture, or a directory, to a class and its configuration."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from torch import nn

from thoplw.errors import InputError, MissingExtraError, UnknownNameError
from thoplw.models.hf.defaults import COMPLETE
from thoplw.models.hf.placeholders import PLACEHOLDERS

#: Layers that a configuration may have; to build and profile as many of a small Llama takes some minutes.
MOST_LAYERS = 10_000

#: Names of settings that say how many there are: ``num_hidden_layers``, ``n_layer``, ``encoder_layers``, ``depth``.
_COUNTS_LAYERS = re.compile(r"(layers?|^depth)$")


def architecture(name: str) -> tuple[type[nn.Module], Any]:
    """The class of a model without a head, and its configuration.

    It is what ``AutoModel`` gives, as a model type says nothing of the task and most of what a model costs is below its
    head. A configuration that has a model only with a head (``superpoint``) gives that; one of a part of a larger
    model (``siglip_text_model``) gives the class that is built from it.

    Args:
        name: a model type, such as ``llama``, in its default configuration; or a directory with a ``config.json``. Code
            next to that is never run.

    Raises:
        MissingExtraError: transformers is not installed.
        UnknownNameError: there is no such model type or directory.
        InputError: a directory has no configuration, or it cannot be read, has too many layers, or no class of
            transformers is built from it.
    """
    config = configuration(name)
    return model_class(config), config


def configuration(name: str) -> Any:
    """The configuration of a model type, or that in a directory; raises what :func:`architecture` does."""
    try:
        from transformers import AutoConfig
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    except ModuleNotFoundError as error:
        raise MissingExtraError("transformers", f"model 'hf:{name}'") from error
    if Path(name, "config.json").is_file():
        try:
            config = AutoConfig.from_pretrained(name, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # transformers checks settings with errors of several kinds
            raise InputError(f"cannot use the configuration in {name}: {' '.join(str(error).split())}") from error
        _check_size(name, config.to_dict())
    elif name in CONFIG_MAPPING:
        config = CONFIG_MAPPING[name](**COMPLETE.get(name, {}))
        _bring_into_vocabulary(config)
    elif name and Path(name).is_dir():
        raise InputError(f"the folder {name} has no config.json, from which thoplw builds a model of transformers")
    else:
        unknown = UnknownNameError("model type of transformers (or folder with a config.json)", name, CONFIG_MAPPING)
        if "/" in name:
            said = f"{unknown}" if f"{unknown}".endswith("?") else f"{unknown}."
            unknown.args = (f"{said} thoplw downloads nothing: put a config.json into a folder, and name that",)
        raise unknown
    return config


def _check_size(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse what would be built for many minutes, of a configuration and of those inside of it."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            _check_size(name, value)
        elif _COUNTS_LAYERS.search(str(key)) and isinstance(value, int) and value > MOST_LAYERS:
            raise InputError(
                f"the configuration in {name} has {key}={value:,}, and more than {MOST_LAYERS:,} layers are not built. "
                "Layers that are alike cost alike: profile it with few, and multiply"
            )


def _bring_into_vocabulary(config: Any) -> None:
    """Give placeholders ids that the vocabulary has, as those of checkpoints do; also in configurations inside.

    For example Idefics2 marks pictures by token 32,001, and its default vocabulary has 32,000. Costs do not depend on
    the id; the embedding refuses one that it does not have, and pictures of which others take the id are not found.
    """
    names = {name for _, tokens in PLACEHOLDERS.values() for name in tokens}
    known = {name: token for name in sorted(names) if isinstance(token := getattr(config, name, None), int)}
    size: Any = getattr(config.get_text_config(), "vocab_size", None) if known else None
    outside = sorted({token for token in known.values() if isinstance(size, int) and token >= size})
    taken = {token for name, token in vars(config).items() if name.endswith(_NAMES_TOKENS) and isinstance(token, int)}
    free = islice((token for token in reversed(range(size)) if token not in taken), len(outside)) if outside else ()
    inside = dict(zip(reversed(outside), free, strict=False))  # the last for the last
    for name, token in known.items():
        setattr(config, name, inside.get(token, token))
    for inner in vars(config).values():
        if hasattr(inner, "get_text_config"):
            _bring_into_vocabulary(inner)


#: How the names of settings end that are ids of tokens.
_NAMES_TOKENS = ("_token_id", "_token_index")


#: The mappings of classes that generate text, the first first.
_GENERATE = ("MODEL_FOR_CAUSAL_LM_MAPPING", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING", "MODEL_FOR_MULTIMODAL_LM_MAPPING")


def generating_class(config: Any) -> type[nn.Module]:
    """The class with a head that generates text, which is built from a configuration of transformers.

    Raises:
        InputError: there is none.
    """
    from transformers.models.auto import modeling_auto

    for name in _GENERATE:
        with suppress(KeyError, ValueError, AttributeError):
            found: type[nn.Module] = getattr(modeling_auto, name)[type(config)]
            return found
    raise InputError(f"transformers has no model with a head that generates text for {type(config).__name__}")


def model_class(config: Any) -> type[nn.Module]:
    """The class without a head that is built from a configuration of transformers.

    Raises:
        InputError: no class of transformers is built from it.
    """
    config_class = type(config)
    from transformers import PreTrainedModel
    from transformers.models.auto import modeling_auto

    heads = (name for name in sorted(vars(modeling_auto)) if name.startswith("MODEL_FOR") and name.endswith("MAPPING"))
    mapped: list[type[nn.Module]] = []
    for mapping in ("MODEL_MAPPING", "MODEL_FOR_CAUSAL_LM_MAPPING", *heads):
        with suppress(KeyError, ValueError, TypeError, AttributeError):
            found: Any = getattr(modeling_auto, mapping)[config_class]
            mapped.append(found[0] if isinstance(found, (tuple, list)) else found)
    if mapped:
        # Some are mapped to the model of a part of theirs as well, which is built from another configuration.
        return next((cls for cls in mapped if getattr(cls, "config_class", None) is config_class), mapped[0])
    module = config_class.__module__.replace(".configuration_", ".modeling_")
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"transformers has no model that is built from {config_class.__name__}") from error
    built = [
        cls
        for cls in vars(sys.modules[module]).values()
        if isinstance(cls, type) and issubclass(cls, PreTrainedModel) and cls.config_class is config_class
        if cls.forward is not nn.Module.forward
    ]
    if not built:
        raise InputError(f"transformers has no model that is built from {config_class.__name__} alone")
    return next((cls for cls in built if cls.__name__.endswith("Model")), built[0])
