"""An independent count of a training step: run it for real, and multiply out every contraction that a kernel is given.

Nothing here comes from thoplw. Under autograd only kernels reach a dispatch mode: those of the forward, which
``checks/oracle.py`` knows, and those of gradients, below. A kernel that looks like a contraction and is not known
raises, as there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from math import prod
from typing import Any

import torch
from checks.oracle import macs_of, name_of, named_arguments
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

PHASES = ("forward", "recomputation", "backward", "update")


def training_macs(step: Callable[[], Any], *, second_order: bool = False) -> dict[str, int]:
    """Multiply-accumulates of ``step()`` by phase, counted while it really runs.

    What runs in an optimizer's ``step`` is the update. What autograd's engine runs is the backward; but with gradients
    enabled, as ``torch.utils.checkpoint`` does, it is a recomputation, and so is what a backward kernel repeats.

    Args:
        step: runs forward, backward and update.
        second_order: whether the step asks for gradients of gradients (``create_graph=True``): these are enabled in its
            whole backward, so that nothing tells a recomputation from it, and all of it is called backward.
    """
    counter = _Counter(second_order)
    with ExitStack() as stack:
        for register, updating in (
            (register_optimizer_step_pre_hook, True),
            (register_optimizer_step_post_hook, False),
        ):
            stack.callback(register(counter.mark(updating)).remove)
        stack.enter_context(counter)
        step()
    return counter.macs


class _Counter(TorchDispatchMode):
    def __init__(self, second_order: bool) -> None:
        super().__init__()
        self.macs = dict.fromkeys(PHASES, 0)
        self._second_order = second_order
        self._updating = False

    def mark(self, updating: bool) -> Callable[..., None]:
        """A hook that notes whether an optimizer is at work."""

        def hook(*_: Any) -> None:
            self._updating = updating

        return hook

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        phase = self._phase()  # before the kernel, which may not change it
        out = func(*args, **(kwargs or {}))
        count = _BACKWARD.get(name_of(func))
        if count is None:
            self.macs[phase] += macs_of(func, args, kwargs or {}, out)
        else:
            macs, repeated = count(named_arguments(func, args, kwargs or {}), out)
            self.macs[phase] += macs
            self.macs["recomputation"] += repeated
        return out

    def _phase(self) -> str:
        if self._updating:
            return "update"
        if torch._C._current_graph_task_id() == -1:
            return "forward"
        return "recomputation" if torch.is_grad_enabled() and not self._second_order else "backward"


#: Multiply-accumulates of gradients, and of what is computed once more for them.
Counted = tuple[int, int]


def _convolution(a: dict[str, Any], _: Any) -> Counted:
    """Every position met the whole weight; it does so once more for each gradient but that of the bias."""
    met = a["input"] if a["transposed"] else a["grad_output"]
    once = met.shape[0] * prod(met.shape[2:]) * a["weight"].numel()
    return sum(once for wanted in a["output_mask"][:2] if wanted), 0


def _attention(a: dict[str, Any], _: Any) -> Counted:
    """Scores once more; then gradients of values, weights, queries and keys: one product each, for all query heads."""
    samples, heads, queries, width = a["query"].shape
    keys, value_width = a["value"].shape[-2:]
    of_scores = samples * heads * queries * keys * width
    of_values = samples * heads * queries * keys * value_width
    return of_values + of_values + of_scores + of_scores, of_scores


def _rnn_layer(a: dict[str, Any], _: Any) -> Counted:
    """Both matrices met every step of every sequence; they do for the gradient of what they met, and for theirs."""
    once = prod(a["input"].shape[:2]) * (a["weight1"].numel() + a["weight2"].numel())
    return once + once, 0


def _distances(a: dict[str, Any], _: Any) -> Counted:
    """Every feature of a row takes a share of each of the distances of its row."""
    gradient = a["grad"] if "grad" in a else a["grad_output"]  # as releases of torch name it
    rows, others, features = *gradient.shape[-2:], a["x2"].shape[-1]
    return prod(gradient.shape[:-2]) * rows * others * features, 0


def _own_distances(a: dict[str, Any], out: torch.Tensor) -> Counted:
    """Each row is in a pair with all others."""
    rows, features = a["self"].shape
    return rows * (rows - 1) * features, 0


def _deformable(a: dict[str, Any], _: Any) -> Counted:
    """Every position met the whole weight; both gradients are made, whatever is asked for."""
    once = a["grad"].shape[0] * prod(a["grad"].shape[2:]) * a["weight"].numel()
    return once + once, 0


def _trilinear(a: dict[str, Any], _: Any) -> Counted:
    """As an ``einsum`` of three: the first two, summed over what the third lacks; then with the third.

    A product that is summed over nothing is no contraction.
    """
    tensors = a["i1"], a["i2"], a["i3"]
    axes = [_axes(tensor, set(a[f"expand{place}"])) for place, tensor in enumerate(tensors, 1)]
    first = {axis for axis in a["sumdim"] if axis not in axes[2]}
    pair = axes[0] | axes[1]
    left = {axis: size for axis, size in pair.items() if axis not in first} | axes[2]
    rest = set(a["sumdim"]) - first
    return (prod(pair.values()) if first else 0) + (prod(left.values()) if rest else 0), 0


def _axes(tensor: torch.Tensor, missing: set[int]) -> dict[int, int]:
    """Axis -> size, of those that a tensor has."""
    present = [axis for axis in range(tensor.dim() + len(missing)) if axis not in missing]
    return dict(zip(present, tensor.shape, strict=True))


def _classified(a: dict[str, Any], _: Any) -> Counted:
    """Every row meets the whole vocabulary, and once more for each gradient that is made on the way."""
    once = prod(a["input"].shape[:-1]) * a["linear_weight"].numel()
    return once + sum(once for name in ("input", "linear_weight") if a.get(f"compute_{name}_grad")), 0


def _none(_: dict[str, Any], __: Any) -> Counted:
    return 0, 0


_BACKWARD: dict[str, Callable[[dict[str, Any], Any], Counted]] = {
    "aten._cdist_backward": _distances,
    "aten._pdist_backward": _own_distances,
    "aten._scaled_dot_product_flash_attention_for_cpu_backward": _attention,
    "aten._trilinear": _trilinear,
    "aten.convolution_backward": _convolution,
    "aten.mkldnn_rnn_layer_backward": _rnn_layer,
    "torch_nn._linear_cross_entropy_batch_chunked": _classified,
    "torchvision._deform_conv2d_backward": _deformable,
    **dict.fromkeys(  # they interpolate
        (
            "aten.upsample_linear1d_backward",
            "aten.upsample_bilinear2d_backward",
            "aten._upsample_bilinear2d_aa_backward",
            "aten.upsample_trilinear3d_backward",
        ),
        _none,
    ),
}
