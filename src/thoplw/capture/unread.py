"""Find the keyword inputs that the model does not read.

For example, the forward of a Mamba-2 takes ``cache`` and ``**kwargs``. If it is given ``past_key_values``, it runs
without a cache, and costs 13 times as much as the step that was meant.

A keyword that the forward names is taken to be read, or left alone on purpose. In any other keyword, each tensor gets a
spec of its own. It was read if an operator was given that spec.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.capture.restore.snapshot import Snapshot
from thoplw.capture.run import Run


class Unread:
    """The keyword inputs that only ``**kwargs`` takes, and the tensors in each."""

    def __init__(self, model: torch.nn.Module, kwargs: Mapping[str, Any], specs: Specs) -> None:
        """Find the keywords among the inputs of a run, before it begins."""
        self._inside: dict[str, list[torch.Tensor]] = {}
        for name in _swallowed(model, kwargs):
            found = Snapshot()
            found.add([kwargs[name]])
            if found.tensors:
                self._inside[name] = list(found.tensors.values())
        for tensor in chain.from_iterable(self._inside.values()):
            if type(tensor) is AbstractTensor:
                tensor.spec = specs.apart(tensor.spec)
                tensor.token = id(tensor.spec)

    def names(self, run: Run) -> tuple[str, ...]:
        """Return the keywords that no operator has read, and release the tensors: none may outlive the run."""
        inside, self._inside = self._inside, {}
        if not inside:
            return ()
        read = {id(spec) for call in {call for call, _ in run.steps} for spec in call.inputs} | run.used
        return tuple(name for name, tensors in inside.items() if read.isdisjoint(map(_identity, tensors)))


def _identity(tensor: torch.Tensor) -> int:
    """Return the identity by which a run knows a tensor: that of its spec if it is abstract."""
    return id(tensor.spec) if type(tensor) is AbstractTensor else id(tensor)


def _swallowed(model: torch.nn.Module, kwargs: Mapping[str, Any]) -> list[str]:
    """Return the keywords that the forward of a model takes only by ``**kwargs``."""
    if not kwargs or isinstance(model, torch.jit.ScriptModule):
        return []
    try:
        named = inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return []
    return [name for name in kwargs if name not in named]
