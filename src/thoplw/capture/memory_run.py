"""Run under autograd as torch runs on real tensors, and note which memory exists at any time."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from sys import getrefcount
from typing import Any

import torch

from thoplw.capture.abstract import AbstractTensor
from thoplw.capture.ledger import Ledger, elements_of_loss
from thoplw.capture.nesting import tensors_in
from thoplw.capture.operators import target_of
from thoplw.capture.restore.snapshot import attributes_of
from thoplw.capture.torch_internals import current_node, graph_task, is_held_once, number_of_node
from thoplw.capture.training_run import TrainingRun
from thoplw.record import Kind, Step

#: The workspace of cuBLAS, in bytes. Each thread has one from its first matrix product on; backward passes run in a
#: thread of their own. By default it is 2 buffers of 4,096 KiB and 8 of 16 KiB ("CUDA semantics: cuBLAS workspaces" in
#: torch's documentation). On a GPU of the Hopper or Blackwell generation it is 32 MiB.
CUBLAS_WORKSPACE = 2 * 4096 * 1024 + 8 * 16 * 1024

#: The workspace of cuBLASLt, which computes products with a bias.
CUBLASLT_WORKSPACE = 1024 * 1024

#: Operators that cuBLAS computes.
_PRODUCTS = frozenset(f"aten.{name}" for name in ("mm", "addmm", "bmm", "baddbmm", "addmv", "mv", "dot", "_int_mm"))


def _of_attention(gradient: torch.Tensor, *_: Any) -> int:
    """The product of gradient and output, which torch computes beforehand in single precision, to sum it up."""
    return gradient.numel() * gradient.element_size() if gradient.dtype is torch.float32 else 0


def _of_embedding(gradient: torch.Tensor, indices: torch.Tensor, rows: int, padding: int, by_frequency: bool) -> int:
    """Partial sums of up to 10 gradients each. A kernel that does not sort the indices needs none."""
    count = indices.numel()
    if count <= _UNSORTED and not by_frequency:
        return 0
    return (count // 10 + min(count, rows)) * gradient.shape[-1] * max(gradient.element_size(), 4)


def _of_loss(x: torch.Tensor, target: torch.Tensor, reduction: int = 1, *_: Any) -> int:
    """The loss of every element, which the kernel computes before it reduces it."""
    return elements_of_loss(x, target) * x.element_size() if reduction else 0


#: With at most this many indices, the gradient of an embedding is computed without sorting them.
_UNSORTED = 3072

#: Operator -> the bytes that its kernel takes and frees again. Sources: ``transformers/cuda/attention_backward.cu``,
#: ``cuda/EmbeddingBackwardKernel.cu`` and ``Loss.cpp`` in ``aten/src/ATen/native``.
_SCRATCH: Mapping[str, Callable[..., int]] = {
    "aten._scaled_dot_product_efficient_attention_backward": _of_attention,
    "aten.embedding_dense_backward": _of_embedding,
    "aten.mse_loss": _of_loss,
    "aten.smooth_l1_loss": _of_loss,
}


def cublas_workspaces() -> tuple[int, int]:
    """The workspaces of cuBLAS and cuBLASLt, in bytes, which torch reads from the environment.

    For example, ``CUBLAS_WORKSPACE_CONFIG=:4096:2:16:8`` sets the default, 2 buffers of 4,096 KiB and 8 of 16 KiB;
    ``:0:0`` sets none, and ``:4096:8`` the size on a Hopper GPU. ``CUBLASLT_WORKSPACE_SIZE=1024`` sets the default of
    cuBLASLt, in KiB. It gets no more than cuBLAS. Source: ``CUDABlas.cpp`` and ``CublasHandlePool.cpp`` in
    ``aten/src/ATen/cuda``.
    """
    buffers = re.findall(r":(\d+):(\d+)", os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""))
    cublas = sum(1024 * int(size) * int(count) for size, count in buffers) if buffers else CUBLAS_WORKSPACE
    size = os.environ.get("CUBLASLT_WORKSPACE_SIZE", "")
    return cublas, min(cublas, 1024 * int(size) if size.isdecimal() else CUBLASLT_WORKSPACE)


class MemoryRun(TrainingRun):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Answer every operator from shapes alone, and keep a ledger of the memory that its outputs would take.

    Attributes:
        ledger: the storages, and when each was made and freed.
        gpu: whether the run stands for one on a CUDA GPU, where cuBLAS keeps workspaces.
    """

    gpu = False

    def __init__(self, **shared: Any) -> None:
        """Take what :class:`Run` takes."""
        super().__init__(**shared)
        self.ledger = Ledger(self._all)
        self._cublas = cublas_workspaces()
        self._workspaces: set[tuple[bool, bool]] = set()  # whether it is of cuBLASLt, and for backward passes
        self._rehearses = False
        self._node = -1  # the number of the node that the backward pass evaluates
        self._since = 0  # the step at which this node began

    def replace_input(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor that shares the memory of the input, which is there before the run."""
        replacement = super().replace_input(tensor)
        self.ledger.note_input(tensor, replacement)
        return replacement

    def returned(self, output: Any) -> None:
        """Note what the model returned, and keys and values among that."""
        self.ledger.note(tensors_in(output), Kind.OUTPUTS)
        self.ledger.note(_in_caches(output), Kind.CACHE)

    @contextmanager
    def rehearsal(self) -> Iterator[list[Step]]:
        """Run something without counting it, nor the memory that it takes."""
        before, self._rehearses = self._rehearses, True
        try:
            with super().rehearsal() as seen:
                yield seen
        finally:
            self._rehearses = before

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
        if self._rehearses:
            return output
        if func is _SUM and self._is_added_in_place(args, output):
            output.memory = args[0].memory
        self.ledger.record(func, args, kwargs or {}, output)
        if self.gpu:
            self._work(target_of(func), args)
        return output

    def _work(self, target: str, args: tuple[Any, ...]) -> None:
        """Note the workspace of an operator's kernel on a GPU, which is allocated after the outputs."""
        if target in _PRODUCTS:
            for lt, size in enumerate(self._cublas[: 1 + (target == "aten.addmm")]):
                if size and (workspace := (bool(lt), graph_task() >= 0)) not in self._workspaces:
                    self._workspaces.add(workspace)
                    self.ledger.keep(size, Kind.WORKSPACES)
        elif target in _SCRATCH and (size := _SCRATCH[target](*args)):
            self.ledger.pass_through(size)

    def _look_at_node(self) -> None:
        """Note the step at which the next node of the graph begins, to tell its outputs from those of other nodes."""
        node = current_node() if graph_task() >= 0 else None
        number = -1 if node is None else number_of_node(node)
        if number != self._node:
            self._node, self._since = number, len(self._all)

    def _is_added_in_place(self, args: tuple[Any, ...], output: Any) -> bool:
        """Whether a sum is one that autograd would compute in place, because nothing else needs the first gradient.

        Autograd does so in a real run, but not under a dispatch mode such as this one. The first gradient is then the
        output of another node than the one that is evaluated, which a sum inside the derivative of an operator is not.
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
    """Yield the tensors, at any depth, in objects whose class is a cache by its name, such as ``DynamicCache``."""
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
        inner = (attributes_of(value) or {}).values() if inside or dataclasses.is_dataclass(value) else ()
    for each in inner:
        yield from _in_caches(each, inside, depth + 1)


_SUM = torch.ops.aten.add.Tensor

#: The most references to an argument that nothing else keeps: from torch (since 2.10), from the tuple of arguments,
#: from a variable, and from ``getrefcount`` itself.
_OF_A_CALL = 4

#: The search for caches goes this many levels deep, such as a layer in a list in a cache in an output.
_DEEPEST = 6
