"""Read frozen TorchScript: its weights are constants of the graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from thoplw.capture.torch_internals import TRACED_NEEDS_MEMORY, VERSION
from thoplw.errors import InputError

_TRACED: Any = vars(torch.jit)["TracedModule"]

#: Nodes that multiply and that no dispatch mode sees; ``torch.jit.optimize_for_inference`` makes them.
_HIDDEN = "prim::mkldnn_"


def refuse_traced(modules: Iterable[torch.nn.Module]) -> None:
    """Refuse to run traced modules without arithmetic, where that would end the process.

    Raises:
        InputError: one is there, and this release of torch would do so.
    """
    if TRACED_NEEDS_MEMORY and any(isinstance(module, _TRACED) for module in modules):
        raise InputError(
            f"the model was made by torch.jit.trace, and torch {VERSION} crashes when such a model runs on tensors "
            "without values: profile the model that was traced, or freeze the traced one with torch.jit.freeze; "
            "execute=True counts it as it is, and torch 2.1 or newer needs none of this"
        )


def is_frozen(module: torch.nn.Module) -> bool:
    """Whether a scripted module was frozen: it has no ``training`` flag."""
    return not hasattr(module, "training")


def state_of(module: Any) -> dict[str, Any]:
    """Return what a scripted module holds besides weights. Its ``__dict__`` has none of that."""
    if is_frozen(module):
        return {}
    buffers = module._buffers
    attributes = module._concrete_type.get_attributes().items()
    return {
        name: module._c.getattr(name)
        for name, (_, is_parameter) in attributes
        if not is_parameter and name not in buffers
    }


def state_back(module: Any, before: dict[str, Any]) -> None:
    """Give a scripted module what it held."""
    for name, now in state_of(module).items():
        value = before[name]
        if now is not value and (isinstance(value, torch.Tensor) or now != value):
            module._c.setattr(name, value)


def constants_of(module: Any, path: str) -> dict[str, torch.Tensor]:
    """Return the weights of a frozen module, by their names in its graph: all floating-point constants.

    Raises:
        InputError: the module was optimised, so that its convolutions do not show.
    """
    constants = {}
    for node in _nodes(module.graph):
        if node.kind().startswith(_HIDDEN):
            raise InputError(
                f"{f'module {path!r}' if path else 'the model'} was optimised by torch.jit.optimize_for_inference, "
                f"and runs {node.kind()}, which no dispatch mode of PyTorch sees: profile it before that, or frozen by "
                "torch.jit.freeze alone"
            )
        if node.kind() == "prim::Constant" and node.output().type().kind() == "TensorType":
            value = node.t("value") if node.hasAttribute("value") else None
            if value is not None and value.is_floating_point():
                constants[node.output().debugName().replace(".", "_")] = value
    return constants


def _nodes(block: Any) -> Iterator[Any]:
    """Yield all nodes of a graph, with those of branches and loops."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)
