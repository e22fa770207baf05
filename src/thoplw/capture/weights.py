"""The modules of a model and the tensors that it owns."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from thoplw.abstract import Specs
from thoplw.errors import InputError
from thoplw.records import ModuleInfo, TensorSpec, Weight


class Weights:
    """Parameters and buffers of a model, read for their shapes only.

    Attributes:
        modules: the modules, in definition order.
        tensors: every parameter and buffer by its identity; kept here, they cannot lose it.
        specs: the spec of each.
    """

    def __init__(self, model: torch.nn.Module | None, specs: Specs) -> None:
        """Read ``model``; without one there is nothing.

        Raises:
            InputError: a lazy parameter has no shape yet.
        """
        self.tensors: dict[int, torch.Tensor] = {}
        self.specs: dict[int, TensorSpec] = {}
        self.modules: tuple[ModuleInfo, ...] = () if model is None else tuple(self._describe(model, specs))

    def _describe(self, model: torch.nn.Module, specs: Specs) -> list[ModuleInfo]:
        index: dict[str, int] = {}
        infos: list[ModuleInfo] = []
        for path, module in model.named_modules():
            index[path] = len(infos)
            infos.append(
                ModuleInfo(
                    path=path,
                    cls=type(module),
                    class_name=getattr(module, "original_name", type(module).__name__),
                    parent=index[path.rpartition(".")[0]] if path else -1,
                    opaque=isinstance(module, torch.jit.ScriptModule),
                    parameters=self._weights(path, module._parameters, specs),
                    buffers=self._weights(path, module._buffers, specs),
                )
            )
        return infos

    def _weights(self, path: str, tensors: Mapping[str, torch.Tensor | None], specs: Specs) -> tuple[Weight, ...]:
        weights = []
        for name, tensor in tensors.items():
            if tensor is None:
                continue
            if torch.nn.parameter.is_lazy(tensor):
                raise InputError(
                    f"parameter {name!r} of module {path!r} is lazy: it has no shape before the first forward. "
                    "Run the model once on an input, then profile it."
                )
            key = id(tensor)
            if key not in self.tensors:
                self.tensors[key] = tensor
                self.specs[key] = specs.of(tensor)
            weights.append(Weight(name, key, self.specs[key]))
        return tuple(weights)
