"""Tell the keyword inputs that nobody reads.

Example: the forward of a Mamba-2 takes ``cache`` and ``**kwargs``. Given ``past_key_values``, it runs as if there was
no cache, and costs 13 times as much as the step that was meant.

A keyword that the forward names is read, or left alone on purpose. For any other, each tensor inside of it gets a spec
of its own, and is read where an operator was given that spec.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.capture.run import Run
from thoplw.capture.snapshot import Snapshot


class Unread:
    """The keyword inputs that only ``**kwargs`` takes, and the tensors in each."""

    def __init__(self, model: torch.nn.Module, kwargs: Mapping[str, Any], specs: Specs) -> None:
        """Look for them among the inputs of a run, before it begins."""
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
        """Those that no operator of a run has read; this forgets the tensors, as nothing may outlive the run."""
        inside, self._inside = self._inside, {}
        if not inside:
            return ()
        read = {id(spec) for call in {call for call, _ in run.steps} for spec in call.inputs} | run.used
        return tuple(name for name, tensors in inside.items() if read.isdisjoint(map(_identity, tensors)))


def _identity(tensor: torch.Tensor) -> int:
    """What a run knows a tensor by: one without values by its spec."""
    return id(tensor.spec) if type(tensor) is AbstractTensor else id(tensor)


def _swallowed(model: torch.nn.Module, kwargs: Mapping[str, Any]) -> list[str]:
    """The keywords that the forward of a model does not name."""
    if not kwargs or isinstance(model, torch.jit.ScriptModule):
        return []
    try:
        named = inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return []
    return [name for name in kwargs if name not in named]
