"""How what an operator returns lies in memory, as torch's kernels for the CPU lay it out.

Most kernels go one of four ways: contiguous whatever came in; channels last where the input suggests it; like the
input without its gaps; and, of several operands, the order that they have in common. Where torch's meta kernel says
something else than its kernel for the CPU, :data:`LAYOUTS` has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from thoplw.record import TensorSpec
from thoplw.shapes.common import Shape, contiguous, dense

# -- four ways ---------------------------------------------------------------------------------------------------------


def suggested(x: TensorSpec, shape: Shape) -> Shape:
    """Strides of ``shape`` with channels last where ``x`` suggests it, else contiguous."""
    return channels_last(shape) if suggests_channels_last(x) and len(shape) == len(x.shape) else dense(shape)


def preserved(x: TensorSpec) -> Shape:
    """Strides like those of ``x`` without gaps and repetitions, as ``empty_like`` has them."""
    if x.strides == dense(x.shape) or is_dense(x):  # most are the first, which is the faster to tell
        return x.strides
    return in_order_of(x.shape, [x.strides])


def iterated(shape: Shape, *operands: TensorSpec) -> Shape:
    """Strides of an elementwise result, by the rules of torch's ``TensorIterator``; operands are broadcast to a shape.

    Example: of an image with channels last and one number for each channel, ``[N, C, H, W] [C, 1, 1]``, channels last.
    """
    for each in operands:
        if each.strides != dense(each.shape):
            break
    else:
        return dense(shape)  # as most are: no operand has its dimensions in another order
    first = operands[0]
    if all(each.shape == first.shape for each in operands):
        for like in (dense, channels_last) if len(first.shape) == 4 else (dense,):
            if all(_lies(each, like(each.shape)) for each in operands):
                return like(first.shape)
        if is_dense(first) and all(each.strides == first.strides for each in operands):
            return first.strides
    return in_order_of(shape, [_stretched(each, shape) for each in operands])


def in_order_of(shape: Shape, strides: list[Shape]) -> Shape:
    """Strides without gaps, with dimensions in the order in which they lie in memory.

    The first operand that tells two dimensions apart decides between them; dimensions that none tells apart stay in the
    order that they have in a contiguous tensor. The order need not be transitive, so the way of sorting is torch's.
    """
    order = list(reversed(range(len(shape))))  # the innermost first
    for position in range(1, len(order)):
        at = position
        for before in reversed(range(position)):
            verdict = _compared(order[before], order[at], shape, strides)
            if verdict > 0:
                order[before], order[at] = order[at], order[before]
                at = before
            elif verdict < 0:
                break
    steps, step = [0] * len(shape), 1
    for dim in order:
        steps[dim] = step
        step *= shape[dim] or 1
    return tuple(steps)


def _compared(inner: int, outer: int, shape: Shape, strides: list[Shape]) -> int:
    """Positive where two dimensions are to change places, negative where they are in order, zero where none can say."""
    for steps in strides:
        a, b = steps[inner], steps[outer]
        if a == 0 or b == 0:
            continue
        if a != b:
            return 1 if a > b else -1
        if shape[inner] > shape[outer]:
            return 1
    return 0


def broadcast(*shapes: Shape) -> Shape | None:
    """The shape of an elementwise result; ``None`` where operands do not fit together."""
    joined, *others = shapes
    for shape in others:
        if shape != joined:
            small, large = sorted((shape, joined), key=len)
            out = list(large)
            for dim, size in enumerate(small, start=len(large) - len(small)):
                if out[dim] == 1:
                    out[dim] = size
                elif size not in (1, out[dim]):
                    return None
            joined = tuple(out)
    return joined


def _stretched(x: TensorSpec, shape: Shape) -> Shape:
    """Strides of an operand that is broadcast: nothing where it has one element for many."""
    new = len(shape) - len(x.shape)
    steps = zip(x.shape, x.strides, shape[new:], strict=True)
    return (0,) * new + tuple(0 if size == 1 != wanted else step for size, step, wanted in steps)


# -- what a layout is --------------------------------------------------------------------------------------------------


def channels_last(shape: Shape) -> Shape:
    """Strides of images or volumes with their channels last in memory; of other tensors, contiguous ones."""
    if len(shape) not in (4, 5):
        return dense(shape)
    images, *space, channel = dense((shape[0], *shape[2:], shape[1]))
    return (images, channel, *space)


def suggests_channels_last(x: TensorSpec) -> bool:
    """Whether torch takes an image or a volume for one with channels last, from strides alone, gaps or not.

    As ``suggest_memory_format`` has it: strides of dimensions of one element have a say in it.
    """
    rank, strides = len(x.shape), x.strides
    if rank not in (4, 5) or strides[-1] < strides[1] * x.shape[1] or strides[1] == 0 or 0 in x.shape:
        return False  # most have the last dimension inside of the channels
    least = 0
    for dim in (1, *range(rank - 1, 1, -1), 0):
        if strides[dim] < least or (dim == 0 and least == strides[1]):
            return False
        least = strides[dim] * x.shape[dim]
    return True


def is_dense(x: TensorSpec) -> bool:
    """Whether elements lie side by side without gaps or repetitions, in whatever order."""
    step = 1
    for stride, size in sorted(zip(x.strides, x.shape, strict=True)):
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True


def _lies(x: TensorSpec, strides: Shape) -> bool:
    """Whether a tensor has these strides where it has more than one element."""
    return x.strides == strides or all(
        size == 1 or have == want for size, have, want in zip(x.shape, x.strides, strides, strict=True)
    )


# -- of single operators -----------------------------------------------------------------------------------------------


def convolution(x: TensorSpec, weight: TensorSpec, out: Shape, groups: int) -> Shape:
    """Channels last where the input or the weight lies so; signals are images of one row.

    Of volumes only oneDNN keeps the layout. Which it takes depends on sizes, and on the machine: bfloat16 and not
    float16 here, as on processors with AVX-512 but without AMX, and there is more than one thread.
    """
    if len(out) == 3:
        whole = x if _lies(x, dense(x.shape)) else contiguous(x.shape, x.dtype)  # torch packs signals beforehand
        images, channel, _, each = convolution(_image(whole), _image(weight), (*out[:2], 1, out[2]), groups)
        return images, channel, each
    last = suggests_channels_last(x) or suggests_channels_last(weight)
    return channels_last(out) if last and (len(out) == 4 or _takes_volume(x, weight, groups)) else dense(out)


def _image(x: TensorSpec) -> TensorSpec:
    """A signal as an image of one row."""
    (samples, channels, size), (outer, middle, step) = x.shape, x.strides
    return TensorSpec(shape=(samples, channels, 1, size), dtype=x.dtype, strides=(outer, middle, size * step, step))


def _takes_volume(x: TensorSpec, weight: TensorSpec, groups: int) -> bool:
    """Whether oneDNN has a say in the convolution of a volume."""
    many = groups > 1 or min(weight.shape[-2:]) > 3 or x.shape[0] > 1 or math.prod(x.shape[:4]) > 20480
    return x.dtype == "bfloat16" or (x.dtype == "float32" and many)


def batch_norm(x: TensorSpec, *options: Any) -> Shape:
    """Contiguous or channels last where that is how they lie, else as the strides suggest."""
    for way in (dense, channels_last):
        strides = way(x.shape)
        if _lies(x, strides):
            return strides
    return suggested(x, x.shape)


def joined(tensors: Sequence[TensorSpec], shape: Shape) -> Shape:
    """Channels last where every tensor suggests it."""
    return channels_last(shape) if all(map(suggests_channels_last, tensors)) else dense(shape)


# -- where meta kernels say something else -----------------------------------------------------------------------------

#: From an output's shape and the arguments, positional ones first, to its strides.
Layout = Callable[..., Shape]


def layout_of(target: str, overload: str, elementwise: bool) -> Layout | None:
    """How an operator lays its outputs out, where that is not what its meta kernel says.

    Args:
        target: the operator, such as ``"aten.flip"``.
        overload: the rest of its name.
        elementwise: whether it is marked as such.
    """
    layout = LAYOUTS.get(target)
    if layout is None and elementwise:
        return _elementwise_with_number if overload == "Scalar" else _elementwise
    return layout


def _elementwise(shape: Shape, *operands: Any, **options: Any) -> Shape:
    tensors = [each for each in operands if isinstance(each, TensorSpec)]
    fit = tensors and broadcast(*[each.shape for each in tensors]) == shape
    return iterated(shape, *tensors) if fit else dense(shape)


def _elementwise_with_number(shape: Shape, *operands: Any, **options: Any) -> Shape:
    """A number is a tensor of one element to these kernels."""
    return _elementwise(shape, *operands, contiguous((), "float32"))


def _contiguous(shape: Shape, *arguments: Any, **options: Any) -> Shape:
    return dense(shape)


def _suggested(shape: Shape, x: TensorSpec, *arguments: Any, **options: Any) -> Shape:
    return suggested(x, shape)


def _group_norm_backward(shape: Shape, gradient: TensorSpec, x: TensorSpec, *arguments: Any) -> Shape:
    return suggested(x, shape)


def _preserved(shape: Shape, x: TensorSpec, *arguments: Any, **options: Any) -> Shape:
    return preserved(x) if shape == x.shape else dense(shape)


def _batch_norm(shape: Shape, x: TensorSpec, *arguments: Any) -> Shape:
    return batch_norm(x) if shape == x.shape else dense(shape)


def _batch_norm_backward(shape: Shape, gradient: TensorSpec, x: TensorSpec, *arguments: Any) -> Shape:
    return _batch_norm(shape, x)


def _clone(shape: Shape, x: TensorSpec, *, memory_format: Any = None) -> Shape:
    asked = "preserve_format" if memory_format is None else memory_format.name
    if asked == "preserve_format":
        return preserved(x)
    return dense(shape) if asked == "contiguous_format" else channels_last(shape)


def _glu(shape: Shape, x: TensorSpec, dim: int = -1) -> Shape:
    return iterated(shape, TensorSpec(shape=shape, dtype=x.dtype, strides=x.strides))


def _pad(shape: Shape, x: TensorSpec, amounts: Shape, mode: Any = "constant", *value: Any) -> Shape:
    if mode == "circular":
        return dense(shape)
    if max(amounts, default=0) <= 0 and mode not in ("reflect", "replicate"):  # nothing is added: a copy of a part
        return preserved(TensorSpec(shape=shape, dtype=x.dtype, strides=x.strides))
    return suggested(x, shape)


def _kernel(
    shape: Shape,
    x: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None,
    stride: Shape,
    padding: Any,
    dilation: Shape,
    transposed: bool,
    output_padding: Shape,
    groups: int,
    *flags: bool,
) -> Shape:
    return convolution(x, weight, shape, groups)


def _convolution(
    shape: Shape,
    x: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Shape:
    if len(shape) == len(weight.shape):
        return convolution(x, weight, shape, groups)
    batch = TensorSpec(shape=(1, *x.shape), dtype=x.dtype, strides=(x.shape[0] * x.strides[0], *x.strides))
    return convolution(batch, weight, (1, *shape), groups)[1:]


#: Operators -> how they lay their outputs out.
_BY_NAMES: Mapping[str, Layout] = {
    "batch_norm native_batch_norm _native_batch_norm_legit": _batch_norm,
    "_prelu_kernel binary_cross_entropy deg2rad flip hardtanh huber_loss rad2deg relu6 sort": _preserved,
    "conv1d conv2d conv3d": _convolution,
    "convolution _convolution": _kernel,
    "group_norm max_unpool2d pixel_shuffle reflection_pad2d reflection_pad3d replication_pad3d rms_norm": _suggested,
    "native_group_norm": _suggested,
    "native_batch_norm_backward": _batch_norm_backward,
    "native_group_norm_backward": _group_norm_backward,
    "im2col log_sigmoid masked_fill nll_loss2d_forward roll rrelu_with_noise tril triu": _contiguous,
    "log_sigmoid_forward native_layer_norm_backward": _contiguous,
    "clone": _clone,
    "glu": _glu,
    "mse_loss smooth_l1_loss": _elementwise,
    "pad constant_pad_nd": _pad,
}

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {f"aten.{name}": layout for names, layout in _BY_NAMES.items() for name in names.split()}
)
