"""Build models without the network, even where a configuration names something on a model hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from thoplw.errors import InputError


@contextmanager
def offline(name: str) -> Iterator[None]:
    """Build model ``name`` only from files on this machine.

    A configuration may name a backbone such as ``hf-hub:timm/resnet18.a1_in1k``. transformers would look it up on the
    hub even without weights; the offline switch of huggingface_hub prevents that.

    Raises:
        InputError: the configuration needs something that is not on this machine.
    """
    switches: Any = import_module("huggingface_hub.constants")
    before = switches.HF_HUB_OFFLINE
    switches.HF_HUB_OFFLINE = True
    try:
        yield
    except (InputError, OSError) as error:
        if not any(map(_is_of_hub, (error, error.__cause__))):
            raise
        raise InputError(
            f"the configuration hf:{name} names something on a model hub, and thoplw downloads nothing: write it out "
            "(a backbone as backbone_config), or use the plain name of a timm model"
        ) from error
    finally:
        switches.HF_HUB_OFFLINE = before


def _is_of_hub(error: BaseException | None) -> bool:
    """Whether an error is about something on a hub; a wrong setting is told by the same package."""
    cls = type(error)
    return cls.__module__.startswith("huggingface_hub.") and (
        isinstance(error, OSError) or "HFValidation" in cls.__name__
    )
