"""The modules of a model and the tensors that it owns."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

import torch

from thoplw.capture.abstract import PLAIN, AbstractTensor, Specs
from thoplw.capture.distributed import refuse_split
from thoplw.capture.packed import weights_of
from thoplw.capture.scripted import constants_of, is_frozen
from thoplw.errors import InputError
from thoplw.record import ModuleInfo, TensorSpec, Weight, class_names


class _Class(NamedTuple):
    """What is asked of the class of a module.

    Attributes:
        names: of it and of the classes that it is derived from.
        name: its own, for people.
        scripted: whether it stands for a class that ``torch.jit`` compiled.
        quantized: whether its modules may hold packed weights.
        container: whether its modules are made to hold others or weights, not to be called.
    """

    names: tuple[str, ...]
    name: str
    scripted: bool
    quantized: bool
    container: bool


class Weights:
    """Parameters and buffers of models, read for their shapes only.

    Attributes:
        modules: all of them, in definition order; kept here, they cannot lose their identity.
        infos: what is known of each.
        indices: which module and info, by the identity of the module.
        tensors: every parameter and buffer by its identity.
        specs: the spec of each.
        packed: the objects in which quantised modules keep theirs.
    """

    def __init__(self, specs: Specs) -> None:
        self.modules: list[torch.nn.Module] = []
        self.infos: list[ModuleInfo] = []
        self.tensors: dict[int, torch.Tensor] = {}
        self.specs: dict[int, TensorSpec] = {}
        self.packed: list[torch.ScriptObject] = []
        self._intern = specs
        self.indices: dict[int, int] = {}
        self._classes: dict[type, _Class] = {}

    def add(self, model: torch.nn.Module, name: str = "", parent: int = -1) -> None:
        """Read a model, whose path is ``name``; what is known already stays as it is.

        Raises:
            InputError: a lazy parameter has no shape yet, or something is split over processes.
        """
        for module, path, holder in self._tree(model, name, parent):
            if id(module) not in self.indices:
                self._add(module, path, holder)

    def settle(self, model: torch.nn.Module, name: str, made: Set[int], changed: Set[int]) -> None:
        """Read a model again whose forward made modules: where they are, and what is new.

        Args:
            model: which was added under ``name``.
            name: its path.
            made: the indices of modules that were added as they were called, under a path for the time being.
            changed: the identities of modules that were given something.
        """
        for module, path, holder in self._tree(model, name, self.infos[self.indices[id(model)]].parent):
            index = self.indices.get(id(module))
            if index is None:
                self._add(module, path, holder)
                continue
            if index in made:
                self.infos[index] = self.infos[index]._replace(path=path, parent=holder)
            if id(module) in changed:
                info = self.infos[index]
                known = {weight.name for weight in (*info.parameters, *info.buffers)}
                parameters = self._weights(path, _others(module._parameters, known))
                buffers = self._weights(path, _others(module._buffers, known), buffers=True)
                self.infos[index] = info._replace(
                    parameters=info.parameters + parameters, buffers=info.buffers + buffers
                )

    def _tree(self, model: torch.nn.Module, name: str, parent: int) -> Iterator[tuple[torch.nn.Module, str, int]]:
        """As ``named_modules`` goes, which takes longer as it joins paths anew at every level; with what holds each.

        Each module has to be known before the next is asked for.
        """
        seen: set[int] = set()
        waiting = [(model, name, parent)]
        while waiting:
            each = waiting.pop()
            module, path, _ = each
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield each
            if children := module._modules:
                index = self.indices[id(module)]
                prefix = f"{path}." if path else ""
                waiting += [
                    (child, prefix + key, index) for key, child in reversed(children.items()) if child is not None
                ]

    def _add(self, module: torch.nn.Module, path: str, parent: int) -> None:
        self.indices[id(module)] = len(self.infos)
        cls = type(module)
        known = self._classes.get(cls)
        if known is None:
            refuse_split(f"module {path!r}" if path else "the model", (cls,))
            known = self._classes[cls] = _read_class(cls)
        names, class_name, scripted, quantized, container = known
        if scripted:
            class_name = getattr(module, "original_name", class_name)
        parameters = self._weights(path, module._parameters) if module._parameters else ()
        buffers = self._weights(path, module._buffers, buffers=True) if module._buffers else ()
        if scripted and is_frozen(module):
            parameters = (*parameters, *self._weights(path, constants_of(module, path)))
        if quantized:
            parameters = (*parameters, *self._packed(module))
        self.modules.append(module)
        self.infos.append(ModuleInfo(path, names, class_name, parent, scripted, parameters, buffers, container))

    def hold(self, tensor: torch.Tensor) -> bool:
        """Take a tensor that is the user's for one of the weights, but of no module; whether it can be taken."""
        if type(tensor) not in PLAIN:
            return False
        self.tensors[id(tensor)] = tensor
        self.specs[id(tensor)] = self._intern.of(tensor)
        return True

    def let_go(self, known: int) -> None:
        """Forget the modules after the first ``known``, and tensors that only have a shape: what is left is infos."""
        del self.modules[known:]
        for key in [key for key, tensor in self.tensors.items() if type(tensor) is AbstractTensor]:
            del self.tensors[key]

    def add_root(self, name: str) -> None:
        """Add what stands for no module, and holds models that are added under it: the first of all."""
        assert not self.infos
        self.infos.append(ModuleInfo(path="", classes=(), class_name=name, parent=-1))

    def _packed(self, module: torch.nn.Module) -> Iterator[Weight]:
        """The packed weights and biases of a quantised module, each taken as a parameter.

        They are its own, or in modules inside of it that exist to hold them and are never called.
        """
        if _holds_only(module):
            return
        holders = [module, *(inner for inner in module.modules() if _holds_only(inner))]
        for name, value in (item for holder in holders for item in vars(holder).items()):
            if isinstance(value, torch.ScriptObject):
                self.packed.append(value)  # kept, its identity stays its own
                for position, weight in enumerate(weights_of(value)):
                    if weight is not None:
                        spec = self._intern.make((weight.numel(),), weight.dtype, (1,))
                        yield Weight(name, id(value) + position, spec)

    def _weights(
        self, path: str, tensors: Mapping[str, torch.Tensor | None], buffers: bool = False
    ) -> tuple[Weight, ...]:
        weights = []
        for name, tensor in tensors.items():
            if tensor is None:
                continue
            key = id(tensor)
            spec = self.specs.get(key)
            if spec is None:
                if type(tensor) not in PLAIN:
                    _check(tensor, name, path)
                self.tensors[key] = tensor
                spec = self.specs[key] = self._intern.of(tensor)
            weights.append(Weight(name, key, spec, not buffers and tensor.requires_grad))
        return tuple(weights)


def _check(tensor: torch.Tensor, name: str, path: str) -> None:
    """Refuse a weight whose class says that it has no shape yet, or is split over processes."""
    what = f"weight {name!r} of {f'module {path!r}' if path else 'the model itself'}"
    refuse_split(what, (type(tensor),))
    if torch.nn.parameter.is_lazy(tensor):
        raise InputError(
            f"parameter {name!r} of module {path!r} is lazy: it has no shape before the first forward. "
            "Run the model once on an input, then profile it."
        )


def _others(tensors: Mapping[str, torch.Tensor | None], known: Set[str]) -> dict[str, torch.Tensor | None]:
    return {name: tensor for name, tensor in tensors.items() if name not in known}


def _read_class(cls: type) -> _Class:
    quantized = cls.__module__.startswith("torch.ao.")
    return _Class(
        names=class_names(cls),
        name=cls.__name__,
        scripted=issubclass(cls, torch.jit.ScriptModule),
        quantized=quantized,
        container=quantized or getattr(cls, "forward", None) is torch.nn.Module.forward,
    )


def _holds_only(module: torch.nn.Module) -> bool:
    """Whether a module inside a quantised one holds packed weights. That of a linear layer has a forward to mislead."""
    linear = sys.modules.get("torch.ao.nn.quantized.modules.linear")
    return type(module).forward is torch.nn.Module.forward or (
        linear is not None and isinstance(module, linear.LinearPackedParams)
    )
