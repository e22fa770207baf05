"""Ways to train less than the whole model, or to keep less of it: freeze, adapt, checkpoint. They change the model."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

import torch

from thoplw.errors import InputError, MissingExtraError, UnknownNameError


def changed(
    model: torch.nn.Module, *, rank: int | None = None, frozen: Iterable[str] = (), checkpointed: bool = False
) -> torch.nn.Module:
    """A model with adapters of a rank, frozen parameters, and checkpointing, as far as these are asked for."""
    if rank is not None:
        model = adapt(model, rank)
    freeze(model, frozen)
    if checkpointed:
        checkpoint(model)
    return model


def freeze(model: torch.nn.Module, patterns: Iterable[str]) -> None:
    """Have the parameters require no gradient whose names match one of some patterns, such as ``layer[1-3].*``.

    Raises:
        InputError: nothing matches a pattern.
        UnknownNameError: the same, and a pattern is a plain name that is like that of a parameter or module.
    """
    parameters = dict(model.named_parameters())
    for pattern in patterns:
        matching = [name for name in parameters if fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")]
        if not matching and any(sign in pattern for sign in "*?["):
            raise InputError(f"no parameter has a name like {pattern!r}; the first is {next(iter(parameters), None)!r}")
        if not matching:
            modules = (name for name, _ in model.named_modules() if name)
            raise UnknownNameError("parameter or module", pattern, [*modules, *parameters])
        for name in matching:
            parameters[name].requires_grad_(False)


def adapt(model: torch.nn.Module, rank: int) -> torch.nn.Module:
    """The model with LoRA adapters on all its linear layers but the last, and all else frozen.

    Raises:
        MissingExtraError: peft is not installed.
        InputError: the model has no two linear layers.
    """
    try:
        peft = import_module("peft")
    except ModuleNotFoundError as error:
        raise MissingExtraError("peft", "a LoRA adapter") from error
    linear = [name for name, module in model.named_modules() if type(module) is torch.nn.Linear]
    if len(linear) < 2:
        raise InputError(f"{type(model).__name__} has {len(linear)} linear layers, and LoRA leaves the last one alone")
    adapted: torch.nn.Module = peft.get_peft_model(model, peft.LoraConfig(r=rank, target_modules=linear[:-1]))
    return adapted


def checkpoint(model: torch.nn.Module) -> None:
    """Have a model keep the inputs of its blocks only, and repeat their forward in the backward pass.

    Raises:
        InputError: the model has no way to be told, as those of timm and transformers have.
    """
    switch: Any = getattr(model, "gradient_checkpointing_enable", None)  # transformers
    if switch is not None:
        switch(gradient_checkpointing_kwargs={"use_reentrant": False})
        return
    switch = getattr(model, "set_grad_checkpointing", None)  # timm
    if switch is None:
        raise InputError(
            f"{type(model).__name__} has no switch for checkpointing, as models of timm and transformers have: build "
            "it with torch.utils.checkpoint, and name it as package.module:builder"
        )
    switch()
