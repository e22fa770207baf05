"""A configuration may name what lies on a hub; nothing asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from thoplw.errors import InputError


@contextmanager
def offline(name: str) -> Iterator[None]:
    """Build model ``name`` from what is on this machine alone.

    A backbone such as ``hf-hub:timm/resnet18.a1_in1k`` or ``microsoft/resnet-50`` is looked up on a hub as soon as the
    configuration is read, or the model built, with weights or without: a switch of huggingface_hub refuses that.

    Raises:
        InputError: something is not on this machine.
    """
    switches: Any = import_module("huggingface_hub.constants")
    before = switches.HF_HUB_OFFLINE
    switches.HF_HUB_OFFLINE = True
    try:
        yield
    except (InputError, OSError) as error:
        if not any(type(each).__module__.startswith("huggingface_hub.") for each in (error, error.__cause__)):
            raise
        raise InputError(
            f"the configuration hf:{name} names something that lies on a hub, and no network is asked: write it out, a "
            "backbone as backbone_config, or give the plain name of a model of timm"
        ) from error
    finally:
        switches.HF_HUB_OFFLINE = before
