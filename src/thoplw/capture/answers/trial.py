"""Try calls on torch's own kernels: these refuse more than its meta kernels do.

For example ``addmm`` of float32 and float64, ``select_scatter`` at an index that is not there, or a bias with too many
dimensions: meta kernels answer all three. A kernel is tried with stand-ins for tensors that have no values, where that
takes no time: with one element each where an operator works element by element, else where there are few of them. Of
tensors of several dtypes there may be many, as kernels that refuse these do so before they compute.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch

from thoplw.capture.abstract import REAL_LIMIT
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.operators import target_of, written

#: Arguments and outputs of a call with one dtype have this many elements at most, all together.
_FEW = 2**14

#: And this many where that dtype is one that many kernels lack.
_MORE = 2**18

#: Kernels of others may do more than compute.
_LIBRARIES = frozenset({"aten", "torchvision"})

#: They look at memory around their argument, of which a stand-in has none; or they end the process, given a batch of
#: nothing.
_LEFT_OUT = frozenset(
    f"aten.{name}"
    for name in (
        "as_strided as_strided_ as_strided_copy as_strided_scatter gru lstm rnn_relu rnn_tanh segment_reduce"
    ).split()
)

#: So begin the names of kernels that trust whoever calls them with sizes and types, and end the process where these are
#: wrong. What is made of them checks, and is tried as a whole.
_INNER = ("_", "native_", "mkldnn_", "cudnn_", "miopen_")

#: Two that do check, and are called themselves where gradients are followed.
_CHECKING = frozenset({"aten._softmax", "aten._log_softmax"})

#: Operators with these tags draw numbers, or change what their argument is.
_UNTRIED = frozenset({torch.Tag.nondeterministic_seeded, torch.Tag.inplace_view})

#: What a stand-in is filled with: a probability and no zero to divide by; an index and a length.
_VALUES: dict[torch.dtype, float] = {
    **dict.fromkeys((torch.float16, torch.bfloat16, torch.float32, torch.float64), 0.5),
    **dict.fromkeys((torch.complex64, torch.complex128), 0.5),
    **dict.fromkeys((torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64), 1),
}

_SINGULAR: Any = torch.linalg.LinAlgError  # type: ignore[attr-defined] # torch documents it

#: Kernels for the CPU lack some types that those for a GPU have, or there are none; and a model may be meant for one.
_OF_GPUS = re.compile(r"not implemented for '(Half|BFloat16|Float\d)|Could not run|CUDA|cuDNN")

#: Errors that speak of types hold whatever the values are.
_OF_TYPES = re.compile(r"not implemented|not supported|not support|dtype|scalar type|floating point|integral|complex")


def refusal(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any, has: Callable[[torch.Tensor], bool]
) -> str | None:
    """Return why torch's kernel for the CPU refuses a call, if it does and is tried.

    Args:
        func: the operator.
        args: its positional arguments.
        kwargs: its keyword arguments.
        output: what the meta kernel returned, if it has.
        has: whether a tensor has values.
    """

    def is_kept(tensor: torch.Tensor) -> bool:
        """Whether a tensor is one of indices or conditions with values, which may be what is refused."""
        return not _is_continuous(tensor) and has(tensor)

    target = target_of(func)
    if not _may_be_tried(target) or not _UNTRIED.isdisjoint(func.tags):
        return None
    given, targets = [*tensors_in(args), *tensors_in(kwargs)], [*written(func, args, kwargs)]
    if not given or not all(map(_can_stand, given)) or any(map(is_kept, targets)):
        return None
    resized = {id(each) for each in targets if not each.numel()}  # torch resizes an empty one without a warning
    single = torch.Tag.pointwise in func.tags
    if not single and sum(tensor.numel() for tensor in (*given, *tensors_in(output))) > _limit(target, given):
        return None

    def stand_in(tensor: torch.Tensor) -> torch.Tensor:
        if is_kept(tensor) and not single:
            return tensor
        shape = (1,) * tensor.dim() if single and id(tensor) not in resized else tensor.shape
        strides = tensor.stride()
        # An expanded tensor is made of one that is not, as torch does not write to elements that are one.
        apart = [size if stride else 1 for size, stride in zip(shape, strides, strict=True)]
        twin = torch.empty_strided(apart, strides, dtype=tensor.dtype, device="cpu")
        twin.fill_(_VALUES[tensor.dtype])
        if "linalg" in target and twin.dim() > 1:
            twin.diagonal(0, -2, -1).add_(twin.shape[-1])  # a matrix that has an inverse
        return twin.expand(shape)

    try:
        args, kwargs = map_tensors(args, stand_in), map_tensors(kwargs, stand_in)
    except RuntimeError:  # windows that overlap, as of unfold: torch does not write to these
        return None
    try:
        func(*args, **kwargs)
    except (_SINGULAR, Warning):  # a singular matrix, say; a warning, where these are errors
        return None
    except (RuntimeError, IndexError, ValueError) as error:
        text = str(error).partition("\n")[0]
        known = all(_is_continuous(tensor) or is_kept(tensor) for tensor in given)
        return text if (known or _OF_TYPES.search(text)) and not _OF_GPUS.search(text) else None
    return None


def _may_be_tried(target: str) -> bool:
    library, _, name = target.partition(".")
    if library not in _LIBRARIES or target in _LEFT_OUT:
        return False
    return target in _CHECKING or not (name.startswith(_INNER) or "backward" in name)


def _limit(target: str, given: list[torch.Tensor]) -> int:
    """How many elements a call may have that is tried."""
    if any(tensor.dtype != given[0].dtype for tensor in given):
        return REAL_LIMIT
    return _FEW if given[0].dtype.is_floating_point or "linalg" in target else _MORE


def _is_continuous(tensor: torch.Tensor) -> bool:
    return tensor.dtype.is_floating_point or tensor.dtype.is_complex


def _can_stand(tensor: torch.Tensor) -> bool:
    plain = tensor.layout is torch.strided and not tensor.is_nested and tensor.device.type in ("cpu", "meta")
    return plain and tensor.dtype in _VALUES
