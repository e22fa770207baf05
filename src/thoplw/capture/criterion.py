"""Compute the loss from what a model returned, in a module, so that it has a row of its own in reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add
from typing import Any

import torch

from thoplw.capture.nesting import tensors_in
from thoplw.errors import InputError

#: A function of what a model returned and of targets.
Loss = Callable[..., torch.Tensor]

#: The path of the loss in reports.
LOSS_PATH = "(loss)"


class Criterion(torch.nn.Module):
    """A module that computes the loss. All that the loss runs belongs to it, even if the loss has modules of its own.

    Args:
        loss: function of what the model returns, and of the targets; ``"sum"`` of all that it returns; ``None`` for the
            loss that the model returns itself, if it does, else the sum.
        targets: given to the loss after the output.
        shares: how many losses add up to one before an update.
    """

    def __init__(self, loss: Loss | str | None, targets: tuple[Any, ...], shares: int) -> None:
        super().__init__()
        self._loss = (loss,)  # in a tuple, so that a module does not become a submodule
        self._targets = targets
        self._shares = shares

    def forward(self, output: Any, scaler: Any = None) -> torch.Tensor:
        """Return the loss of what a model returned, scaled if there is a gradient scaler."""
        loss = self._of(output)
        if self._shares > 1:
            loss = loss / self._shares
        return loss if scaler is None else scaler.scale(loss)

    def _of(self, output: Any) -> torch.Tensor:
        (loss,) = self._loss
        if callable(loss):
            return _checked(loss(output, *self._targets))
        if loss is None:
            own = _own_loss(output)
            if own is not None:
                return own
        return _sum(output)


def shown(value: Any) -> str:
    """Return what somebody gave or returned, in words."""
    return "nothing" if value is None else f"a {type(value).__name__}"


def _checked(loss: Any) -> torch.Tensor:
    """Return the loss; refuse it if no backward pass can begin at it."""
    if not isinstance(loss, torch.Tensor):
        raise InputError(f"loss= returned {shown(loss)}: return one number as a tensor, as .mean() does")
    if loss.numel() != 1:
        raise InputError(f"loss= returned a tensor of shape {tuple(loss.shape)}: return one number, as .mean() does")
    if not loss.requires_grad:
        raise InputError(
            "loss= returned a tensor that requires no gradient: are all parameters frozen, or was the output detached?"
        )
    return loss


def _own_loss(output: Any) -> torch.Tensor | None:
    """Return the loss that a model returns: ``output.loss`` of transformers, a dict of losses, or a number."""
    loss: Any = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(loss, torch.Tensor):
        return loss.sum()  # DataParallel returns one number for each device
    losses = list(output.values()) if isinstance(output, Mapping) else [output]
    return reduce(add, losses) if losses and all(map(_is_loss, losses)) else None


def _is_loss(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not value.dim() and value.requires_grad


def _sum(output: Any) -> torch.Tensor:
    """Return the sum of all outputs that require a gradient."""
    found = [tensor for tensor in tensors_in(output) if tensor.requires_grad]
    if not found:
        raise InputError(
            "nothing that the model returned requires a gradient, so there is no backward pass: are all parameters "
            "frozen, or does the model detach its output? loss= takes a function of what it returns"
        )
    return reduce(add, (tensor.sum() for tensor in found))
