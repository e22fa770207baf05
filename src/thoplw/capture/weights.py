"""Read the modules of a model and the tensors that it owns."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from itertools import accumulate, chain, compress, count, pairwise, repeat
from operator import attrgetter, is_not, itemgetter
from typing import Any, NamedTuple

import torch

from thoplw.capture.abstract import PLAIN, AbstractTensor, Specs
from thoplw.capture.distributed import refuse_split
from thoplw.capture.packed import weights_of
from thoplw.capture.scripted import constants_of, is_frozen
from thoplw.errors import InputError
from thoplw.record import ModuleInfo, Scope, TensorSpec, Weight, class_names


class _Place(NamedTuple):
    """A module, its path, and the index of the module that holds it."""

    module: torch.nn.Module
    path: str
    parent: int


class _Class(NamedTuple):
    """What is read from the class of a module, once for all modules of the class.

    Attributes:
        names: the names of the class and of its base classes.
        name: the name of the class, for people.
        scripted: whether ``torch.jit`` compiled its modules, which then know the name of the original class.
        quantized: whether its modules may hold packed weights.
        container: whether its modules exist to hold modules or weights, and are not called.
    """

    names: tuple[str, ...]
    name: str
    scripted: bool
    quantized: bool
    container: bool


#: Each takes a tuple of the values of the fields. This is faster than the constructor, and many are made.
_new_place: Callable[[Any], _Place] = partial(tuple.__new__, _Place)
_new_info: Callable[[Any], ModuleInfo] = partial(tuple.__new__, ModuleInfo)
_new_weight: Callable[[Any], Weight] = partial(tuple.__new__, Weight)

_FIRST, _SECOND = itemgetter(0), itemgetter(1)
_NAMES, _SCRIPTED, _CONTAINER = map(attrgetter, ("names", "scripted", "container"))
_REQUIRES_GRAD = attrgetter("requires_grad")


class Weights:
    """The modules of models, with the shapes of their parameters and buffers. No value is read.

    Attributes:
        modules: all modules, in definition order. They are kept so that no new object can get their identity.
        infos: the record of each module.
        indices: identity of a module -> its index in ``modules`` and ``infos``.
        tensors: identity of a parameter or buffer -> the tensor.
        specs: identity of a parameter or buffer -> its spec.
        packed: the objects in which quantised modules keep their weights.
    """

    def __init__(self, specs: Specs) -> None:
        self.modules: list[torch.nn.Module] = []
        self.infos: list[ModuleInfo] = []
        self.tensors: dict[int, torch.Tensor] = {}
        self.specs: dict[int, TensorSpec] = {}
        self.packed: list[torch.ScriptObject] = []
        self._inside_packed: set[int] = set()
        self._intern = specs
        self.indices: dict[int, int] = {}
        self._classes: dict[type, _Class] = {}

    @property
    def classes(self) -> Set[type]:
        """The classes of the modules."""
        return self._classes.keys()

    def add(self, model: torch.nn.Module, name: str = "", parent: int = -1) -> None:
        """Read a model, whose path is ``name``; skip modules that were read before.

        Raises:
            InputError: a parameter is lazy and has no shape yet, or a weight or module is split over processes.
        """
        self._add([each for each in self._tree(model, name, parent) if id(each.module) not in self.indices])

    def read_again(self, model: torch.nn.Module, name: str, created: Set[int], changed: Set[int]) -> None:
        """Read a model again, after its forward has created modules or weights.

        Args:
            model: a model that :meth:`add` has read.
            name: its path.
            created: indices of the modules that were added when they were called, under a temporary path.
            changed: identities of the modules that the forward gave a module, parameter or buffer.
        """
        tree = self._tree(model, name, self.infos[self.indices[id(model)]].parent)
        known = [each for each in tree if id(each.module) in self.indices]
        self._add([each for each in tree if id(each.module) not in self.indices])
        for module, path, holder in known:
            index = self.indices[id(module)]
            if index in created:
                self.infos[index] = self.infos[index]._replace(path=path, parent=holder)
            if id(module) in changed:
                info = self.infos[index]
                names = {weight.name for weight in (*info.parameters, *info.buffers)}
                (parameters,) = self._weights([path], [_others(module._parameters, names)])
                (buffers,) = self._weights([path], [_others(module._buffers, names)], buffers=True)
                self.infos[index] = info._replace(
                    parameters=info.parameters + parameters, buffers=info.buffers + buffers
                )

    def _tree(self, model: torch.nn.Module, name: str, parent: int) -> list[_Place]:
        """Return all modules in the order of ``named_modules``, each with its path and the module that holds it.

        ``named_modules`` takes longer, because it joins paths anew at every level. The index of a module that was not
        read yet is the one that :meth:`_add` will give it.
        """
        found: list[_Place] = []
        seen: set[int] = set()
        new = len(self.infos)
        waiting = [(model, name, parent)]
        while waiting:
            place = waiting.pop()
            module, path, _ = place
            if id(module) in seen:
                continue
            seen.add(id(module))
            found.append(_new_place(place))
            index = self.indices.get(id(module))
            if index is None:
                index = new
                new += 1
            if children := module._modules:
                prefix = f"{path}." if path else ""
                waiting += [
                    (child, prefix + key, index) for key, child in reversed(children.items()) if child is not None
                ]
        return found

    def _add(self, places: list[_Place]) -> None:
        """Read modules, all at once, which is faster: a deep model has thousands of weights."""
        modules, paths, parents = zip(*places, strict=True) if places else ((), (), ())
        classes = [self._classes.get(type(module)) or self._meet(module, path) for module, path, _ in places]
        parameters = self._weights(paths, [module._parameters for module in modules])
        buffers = self._weights(paths, [module._buffers for module in modules], buffers=True)
        names = [known.name for known in classes]
        for at, known in enumerate(classes):
            if known.scripted:
                names[at] = getattr(modules[at], "original_name", known.name)
                if is_frozen(modules[at]):
                    constants = self._weights([paths[at]], [constants_of(modules[at], paths[at])])
                    parameters[at] = (*parameters[at], *constants[0])
            if known.quantized:
                parameters[at] = (*parameters[at], *self._packed(modules[at]))
        self.indices.update(zip(map(id, modules), count(len(self.infos)), strict=False))
        self.modules += modules
        columns = (paths, map(_NAMES, classes), names, parents, map(_SCRIPTED, classes), parameters, buffers)
        self.infos += map(_new_info, zip(*columns, map(_CONTAINER, classes), strict=True))

    def _meet(self, module: torch.nn.Module, path: str) -> _Class:
        cls = type(module)
        refuse_split(f"module {path!r}" if path else "the model", (cls,))
        known = self._classes[cls] = _read_class(cls)
        return known

    def on_meta(self) -> str | None:
        """Return the name of the first weight on the meta device, which has no values; ``None`` if there is none."""
        for info in self.infos:
            for weight in (*info.parameters, *info.buffers):
                if weight.key in self.tensors and self.tensors[weight.key].is_meta:
                    return f"{info.path}.{weight.name}".lstrip(".")
        return None

    def hold(self, tensor: torch.Tensor) -> bool:
        """Add a tensor of the user's that belongs to no module to the weights; return whether that is possible."""
        if type(tensor) not in PLAIN:
            return False
        self.tensors[id(tensor)] = tensor
        self.specs[id(tensor)] = self._intern.of(tensor)
        return True

    def used(self, taken: Set[int], scopes: Iterable[Scope]) -> frozenset[int]:
        """Return the keys of the weights that operators used.

        Packed weights count as used if their module ran, because torch makes a new object, with a new identity, each
        time that it passes packed weights on.

        Args:
            taken: identities of the tensors that were arguments of operators.
            scopes: the calls of modules.
        """
        packed: set[int] = set()
        if self._inside_packed:
            infos = map(self.infos.__getitem__, {scope.module for scope in scopes})
            packed = {weight.key for info in infos for weight in info.parameters} & self._inside_packed
        return frozenset(taken & self.tensors.keys() | packed)

    def let_go(self, known: int) -> None:
        """Forget the modules after the first ``known``, and all abstract tensors. Their infos stay."""
        del self.modules[known:]
        for key in [key for key, tensor in self.tensors.items() if type(tensor) is AbstractTensor]:
            del self.tensors[key]

    def add_root(self, name: str) -> None:
        """Add the info of an outermost scope that is no module and holds the models that are added next."""
        assert not self.infos
        self.infos.append(ModuleInfo(path="", classes=(), class_name=name, parent=-1))

    def _packed(self, module: torch.nn.Module) -> Iterator[Weight]:
        """Yield the packed weights and biases of a quantised module, each as a parameter.

        The module holds them itself, or in inner modules that exist to hold them and are never called.
        """
        if _holds_only(module):
            return
        holders = [module, *(inner for inner in module.modules() if _holds_only(inner))]
        for name, value in (item for holder in holders for item in vars(holder).items()):
            if isinstance(value, torch.ScriptObject):
                self.packed.append(value)  # kept so that no new object can get its identity
                for position, weight in enumerate(weights_of(value)):
                    if weight is not None:
                        spec = self._intern.make((weight.numel(),), weight.dtype, (1,))
                        self._inside_packed.add(id(value) + position)
                        yield Weight(name, id(value) + position, spec)

    def _weights(
        self,
        paths: Sequence[str],
        registries: Sequence[Mapping[str, torch.Tensor | None]],
        buffers: bool = False,
    ) -> list[tuple[Weight, ...]]:
        """Read the parameters or buffers of some modules, given their paths; return a tuple for each module."""
        named = list(chain.from_iterable(each.items() for each in registries))
        are_there = list(map(is_not, map(_SECOND, named), repeat(None)))
        named = list(compress(named, are_there))
        tensors = list(map(_SECOND, named))
        if not PLAIN.issuperset(map(type, tensors)):
            _check(paths, registries)
        keys = list(map(id, tensors))
        self.tensors.update(zip(keys, tensors, strict=True))
        specs = self._intern.of_all(tensors)
        self.specs.update(zip(keys, specs, strict=True))
        trainable = [False] * len(tensors) if buffers else map(_REQUIRES_GRAD, tensors)
        columns = map(_FIRST, named), keys, specs, trainable
        weights = tuple(map(_new_weight, zip(*columns, strict=True)))
        # The index in ``weights`` at which those of each module begin; registered weights that are None are not in it.
        before = list(accumulate(are_there, initial=0))
        bounds = map(before.__getitem__, accumulate(map(len, registries), initial=0))
        return [weights[start:stop] for start, stop in pairwise(bounds)]


def _check(paths: Sequence[str], registries: Sequence[Mapping[str, torch.Tensor | None]]) -> None:
    """Refuse a weight that is lazy and has no shape yet, or that is split over processes."""
    for path, registry in zip(paths, registries, strict=True):
        for name, tensor in registry.items():
            if tensor is None or type(tensor) in PLAIN:
                continue
            where = f"module {path!r}" if path else "the model itself"
            what = f"weight {name!r} of {where}"
            refuse_split(what, (type(tensor),))
            if torch.nn.parameter.is_lazy(tensor):
                raise InputError(
                    f"{what} is lazy, and has no shape before the first forward: run the model once on an input, then "
                    "profile it"
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
    """Return whether a module exists only to hold packed weights. The holder of a linear layer has a forward, too."""
    linear = sys.modules.get("torch.ao.nn.quantized.modules.linear")
    return type(module).forward is torch.nn.Module.forward or (
        linear is not None and isinstance(module, linear.LinearPackedParams)
    )
