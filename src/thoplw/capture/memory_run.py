"""Run under autograd as it is on real tensors, and note which memory there is at any time."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from sys import getrefcount
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor
from thoplw.capture.ledger import Ledger
from thoplw.capture.nesting import tensors_in
from thoplw.capture.operators import target_of
from thoplw.capture.torch_internals import current_node, graph_task, is_held_once, number_of_node
from thoplw.capture.training_run import TrainingRun
from thoplw.record import Kind
from thoplw.shapes.layouts import broadcast

#: What cuBLAS is given to work in, from the first product of matrices of a thread on: by default 2 buffers of 4,096 KiB
#: and 8 of 16 KiB. On a GPU of the generations of Hopper and Blackwell it is 32 MiB. Backward passes run in a thread of
#: their own.
CUBLAS_WORKSPACE = 2 * 4096 * 1024 + 8 * 16 * 1024

#: The same of cuBLASLt, which products with a bias go to.
CUBLASLT_WORKSPACE = 1024 * 1024

#: Operators that cuBLAS computes.
_PRODUCTS = frozenset(f"aten.{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "addmv", "mv", "dot", "_int_mm"))


def _of_attention(gradient: torch.Tensor, *_: Any) -> int:
    """The product of gradient and output, whose sums the kernel is given: in single precision it makes none itself."""
    return gradient.numel() * gradient.element_size() if gradient.dtype is torch.float32 else 0


def _of_embedding(gradient: torch.Tensor, indices: torch.Tensor, rows: int, padding: int, by_frequency: bool) -> int:
    """The sums of up to 10 gradients each that the sorted indices share; few indices are not sorted."""
    count = indices.numel()
    if count <= _UNSORTED and not by_frequency:
        return 0
    return (count // 10 + min(count, rows)) * gradient.shape[-1] * max(gradient.element_size(), 4)


def _of_loss(x: torch.Tensor, target: torch.Tensor, reduction: int = 1, *_: Any) -> int:
    """The loss of every element, of which the kernel makes one number."""
    return math.prod(broadcast(x.shape, target.shape) or ()) * x.element_size() if reduction else 0


#: Up to so many indices have the kernel of an embedding's gradient that does not sort them.
_UNSORTED = 3072

#: What kernels give back before they end, by operator: ``transformers/cuda/attention_backward.cu``,
#: ``cuda/EmbeddingBackwardKernel.cu`` and ``Loss.cpp`` in ``aten/src/ATen/native``.
_SCRATCH: Mapping[str, Callable[..., int]] = {
    "aten._scaled_dot_product_efficient_attention_backward": _of_attention,
    "aten.embedding_dense_backward": _of_embedding,
    "aten.mse_loss": _of_loss,
    "aten.smooth_l1_loss": _of_loss,
}


def cublas_workspaces() -> tuple[int, int]:
    """What cuBLAS and cuBLASLt are given, in bytes, as the environment says to torch: ``aten/src/ATen/cuda``.

    Example: ``CUBLAS_WORKSPACE_CONFIG=:4096:2:16:8`` is the default, 2 buffers of 4,096 KiB and 8 of 16 KiB; ``:0:0``
    is none, and ``:4096:8`` what a GPU of the generation of Hopper has. ``CUBLASLT_WORKSPACE_SIZE=1024`` is the default
    of the other, in KiB, which has at most as much as the first.
    """
    buffers = re.findall(r":(\d+):(\d+)", os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""))
    cublas = sum(1024 * int(size) * int(count) for size, count in buffers) if buffers else CUBLAS_WORKSPACE
    size = os.environ.get("CUBLASLT_WORKSPACE_SIZE", "")
    return cublas, min(cublas, 1024 * int(size) if size.isdecimal() else CUBLASLT_WORKSPACE)


class MemoryRun(TrainingRun):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Answer every operator from shapes alone, and have a ledger of the memory that its output would take.

    Attributes:
        ledger: what was there, and when.
        gpu: whether it is for a CUDA GPU: then cuBLAS keeps workspaces.
    """

    gpu = False

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self.ledger = Ledger(self._all)
        self._cublas = cublas_workspaces()
        self._workspaces: set[tuple[bool, bool]] = set()  # those that there are: of cuBLASLt, and for backward passes
        self._node = -1  # the number of the node of the graph that a backward pass is at
        self._since = 0  # the step with which that began

    def enter(self, tensor: torch.Tensor) -> torch.Tensor:
        """Inputs are there before the run."""
        entered = super().enter(tensor)
        self.ledger.enter(tensor, entered)
        return entered

    def returned(self, output: Any) -> None:
        """Note what the model returned, and keys and values among that."""
        self.ledger.note(tensors_in(output), Kind.OUTPUTS)
        self.ledger.note(_in_caches(output), Kind.CACHE)

    def handed_on(self, tensors: Iterable[torch.Tensor]) -> None:
        """Note what one call of a model leaves to the next."""
        self.ledger.note(tensors, Kind.CACHE)

    def end(self) -> None:
        """Stop recording."""
        super().end()
        self.ledger.close()

    @contextmanager
    def _pass(self, create_graph: bool) -> Iterator[None]:
        with super()._pass(create_graph):
            yield
        weights = self.weights.tensors.values()
        leaves = (weight for weight in weights if weight.requires_grad and weight.is_leaf)
        self.ledger.note((weight.grad for weight in leaves if weight.grad is not None), Kind.GRADIENTS)

    def _end_update(self, optimizer: Any, *_: Any) -> None:
        super()._end_update(optimizer, *_)
        self.ledger.note(chain.from_iterable(map(tensors_in, optimizer.state.values())), Kind.OPTIMIZER)

    def _run_one(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        self._look_at_node()
        output = super()._run_one(func, types, args, kwargs)
        if func is _SUM and self._is_added_in_place(args, output):
            output.memory = args[0].memory
        self.ledger.record(func, args, kwargs or {}, output)
        if self.gpu:
            self._work(target_of(func), args)
        return output

    def _work(self, target: str, args: tuple[Any, ...]) -> None:
        """Note what the kernel of an operator on a GPU works in, which it takes after its outputs."""
        if target in _PRODUCTS:
            for lt, size in enumerate(self._cublas[: 1 + (target == "aten.addmm")]):
                if size and (workspace := (bool(lt), graph_task() >= 0)) not in self._workspaces:
                    self._workspaces.add(workspace)
                    self.ledger.keep(size, Kind.WORKSPACES)
        elif target in _SCRATCH and (size := _SCRATCH[target](*args)):
            self.ledger.pass_through(size)

    def _look_at_node(self) -> None:
        """Note where the graph's next node begins, so that its outputs are told from those of others."""
        node = current_node() if graph_task() >= 0 else None
        number = -1 if node is None else number_of_node(node)
        if number != self._node:
            self._node, self._since = number, len(self._all)

    def _is_added_in_place(self, args: tuple[Any, ...], output: Any) -> bool:
        """Whether autograd adds a gradient to one that it has, and that nobody else needs.

        Then it writes the sum into the memory of the first, but not while a dispatch mode looks on, as this one does.
        The first is the output of another node of the graph than the one that is evaluated: so it is told from a sum in
        the derivative of an operator.
        """
        if self._node < 0 or torch.is_grad_enabled() or len(args) != 2:
            return False
        first, second = args
        if type(first) is not AbstractTensor or type(second) is not AbstractTensor or first.memory is None:
            return False
        same = first.spec == output.spec and first.spec.shape == second.spec.shape and _is_dense(first)
        alone = is_held_once(first) and getrefcount(first) <= _OF_A_CALL
        return same and alone and self.ledger.is_alone(first, self._since)


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether the elements of a tensor lie side by side, in any order, and none of them twice."""
    reach = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1:
            if stride != reach:
                return False
            reach *= size
    return True


def _in_caches(value: Any, inside: bool = False, depth: int = 0) -> Iterator[torch.Tensor]:
    """The tensors in objects that are caches by name, at whatever place in them: ``DynamicCache``, say."""
    if isinstance(value, torch.Tensor):
        if inside:
            yield value
        return
    inside = inside or type(value).__name__.endswith("Cache")
    if depth > _DEEPEST:
        return
    if isinstance(value, (list, tuple)):
        inner: Iterable[Any] = value
    elif isinstance(value, Mapping):
        inner = value.values()
    else:
        inner = getattr(value, "__dict__", {}).values() if inside or dataclasses.is_dataclass(value) else ()
    for each in inner:
        yield from _in_caches(each, inside, depth + 1)


_SUM = torch.ops.aten.add.Tensor

#: References in Python to an argument that nobody has kept, at most: of torch itself, of all arguments, of a name, and
#: of the question. Up to torch 2.9 the first is none.
_OF_A_CALL = 4

#: Layers in lists in caches in outputs: nobody nests deeper.
_DEEPEST = 6
