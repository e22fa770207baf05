"""Tell how the output of an operator lies in memory, as torch's kernels for the CPU lay it out.

Most kernels do one of four things. They write a contiguous output whatever the input; channels last if the input
suggests it; the layout of the input without its gaps; or the order that several operands have in common. If torch's
meta kernel differs from its kernel for the CPU, :data:`LAYOUTS` decides.
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
    """Return strides of ``shape`` with channels last if ``x`` suggests it, else contiguous ones."""
    return channels_last(shape) if suggests_channels_last(x) and len(shape) == len(x.shape) else dense(shape)


def preserved(x: TensorSpec) -> Shape:
    """Return strides like those of ``x`` without gaps and repetitions, as ``empty_like`` does."""
    if x.strides == dense(x.shape) or is_dense(x):  # most are contiguous, which is faster to check
        return x.strides
    return in_order_of(x.shape, [x.strides])


def iterated(shape: Shape, *operands: TensorSpec) -> Shape:
    """Return strides of an elementwise output by the rules of torch's ``TensorIterator``, which broadcasts operands.

    For example, an image with channels last and one number for each channel, ``[N, C, H, W] [C, 1, 1]``, give channels
    last.
    """
    for each in operands:
        if each.strides != dense(each.shape):
            break
    else:
        return dense(shape)  # the usual case: all operands are contiguous
    first = operands[0]
    if all(each.shape == first.shape for each in operands):
        for like in (dense, channels_last) if len(first.shape) == 4 else (dense,):
            if all(lies(each, like(each.shape)) for each in operands):
                return like(first.shape)
        if is_dense(first) and all(each.strides == first.strides for each in operands):
            return first.strides
    return in_order_of(shape, [stretched(each, shape) for each in operands])


def in_order_of(shape: Shape, strides: list[Shape]) -> Shape:
    """Return strides without gaps, with dimensions in the order in which they lie in memory.

    The first operand whose strides differ for two dimensions decides their order. If no operand does, they stay in the
    order of a contiguous tensor. The order need not be transitive, so this sorts in the same way as torch.
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
    """Return a positive number if two dimensions must change places, a negative one if not, 0 if no operand tells."""
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
    """Return the shape of an elementwise output, or ``None`` if the operands do not fit together."""
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


def stretched(x: TensorSpec, shape: Shape) -> Shape:
    """Return strides of an operand that is broadcast: 0 in dimensions in which one element stands for many."""
    new = len(shape) - len(x.shape)
    steps = zip(x.shape, x.strides, shape[new:], strict=True)
    return (0,) * new + tuple(0 if size == 1 != wanted else step for size, step, wanted in steps)


# -- what a layout is --------------------------------------------------------------------------------------------------


def channels_last(shape: Shape) -> Shape:
    """Return strides of images or volumes with channels last in memory, and contiguous ones of other tensors."""
    if len(shape) not in (4, 5):
        return dense(shape)
    images, *space, channel = dense((shape[0], *shape[2:], shape[1]))
    return (images, channel, *space)


def suggests_channels_last(x: TensorSpec) -> bool:
    """Whether torch takes an image or a volume for one with channels last, by its strides alone, with gaps or without.

    This follows ``suggest_memory_format``, which also looks at strides of dimensions of one element.
    """
    rank, strides = len(x.shape), x.strides
    if rank not in (4, 5) or strides[-1] < strides[1] * x.shape[1] or strides[1] == 0 or 0 in x.shape:
        return False  # the usual case: the last dimension lies within the channels
    least = 0
    for dim in (1, *range(rank - 1, 1, -1), 0):
        if strides[dim] < least or (dim == 0 and least == strides[1]):
            return False
        least = strides[dim] * x.shape[dim]
    return True


def is_dense(x: TensorSpec) -> bool:
    """Whether elements lie side by side without gaps or repetitions, in any order."""
    step = 1
    for stride, size in sorted(zip(x.strides, x.shape, strict=True)):
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True


def lies(x: TensorSpec, strides: Shape) -> bool:
    """Whether a tensor has these strides in all dimensions of more than one element."""
    return x.strides == strides or all(
        size == 1 or have == want for size, have, want in zip(x.shape, x.strides, strides, strict=True)
    )


# -- of single operators -----------------------------------------------------------------------------------------------


def convolution(x: TensorSpec, weight: TensorSpec, out: Shape, groups: int) -> Shape:
    """Return channels last if the input or the weight has it; a signal counts as an image of one row.

    Only oneDNN keeps the layout of volumes. Whether oneDNN computes one depends on sizes and on the machine. This
    assumes a processor with AVX-512 and without AMX (so bfloat16, not float16), and more than one thread.
    """
    if len(out) == 3:
        whole = x if lies(x, dense(x.shape)) else contiguous(x.shape, x.dtype)  # torch packs signals first
        images, channel, _, each = convolution(_image(whole), _image(weight), (*out[:2], 1, out[2]), groups)
        return images, channel, each
    last = suggests_channels_last(x) or suggests_channels_last(weight)
    return channels_last(out) if last and (len(out) == 4 or _takes_volume(x, weight, groups)) else dense(out)


def _image(x: TensorSpec) -> TensorSpec:
    """Return a signal as an image of one row."""
    (samples, channels, size), (outer, middle, step) = x.shape, x.strides
    return TensorSpec(shape=(samples, channels, 1, size), dtype=x.dtype, strides=(outer, middle, size * step, step))


def _takes_volume(x: TensorSpec, weight: TensorSpec, groups: int) -> bool:
    """Whether oneDNN computes the convolution of a volume."""
    many = groups > 1 or min(weight.shape[-2:]) > 3 or x.shape[0] > 1 or math.prod(x.shape[:4]) > 20480
    return x.dtype == "bfloat16" or (x.dtype == "float32" and many)


def batch_norm(x: TensorSpec, *options: Any) -> Shape:
    """Return the strides of the input if it is contiguous or channels last, else those that it suggests."""
    for way in (dense, channels_last):
        strides = way(x.shape)
        if lies(x, strides):
            return strides
    return suggested(x, x.shape)


def joined(tensors: Sequence[TensorSpec], shape: Shape) -> Shape:
    """Return channels last if every tensor suggests it, else contiguous strides."""
    return channels_last(shape) if all(map(suggests_channels_last, tensors)) else dense(shape)


# -- where meta kernels say something else -----------------------------------------------------------------------------

#: A function from the shape of an output and the arguments of the operator to the strides of the output.
Layout = Callable[..., Shape]


def layout_of(target: str, overload: str, elementwise: bool) -> Layout | None:
    """Return how an operator lays its outputs out, or ``None`` if its meta kernel tells that.

    Args:
        target: the operator, such as ``"aten.flip"``.
        overload: the name of its overload, such as ``"Scalar"``.
        elementwise: whether torch tags it as elementwise.
    """
    layout = LAYOUTS.get(f"{target}.{overload}") or LAYOUTS.get(target)
    if layout is None and (elementwise or target == "aten.floor_divide"):  # which torch does not tag
        return _elementwise_with_number if overload == "Scalar" else _elementwise
    return layout


def _elementwise(shape: Shape, *operands: Any, **options: Any) -> Shape:
    tensors = [each for each in operands if isinstance(each, TensorSpec)]
    fit = tensors and broadcast(*[each.shape for each in tensors]) == shape
    return iterated(shape, *tensors) if fit else dense(shape)


def _elementwise_with_number(shape: Shape, *operands: Any, **options: Any) -> Shape:
    """Treat a number as a tensor of one element, as these kernels do."""
    return _elementwise(shape, *operands, contiguous((), "float32"))


def _contiguous(shape: Shape, *arguments: Any, **options: Any) -> Shape:
    return dense(shape)


def _suggested(shape: Shape, x: TensorSpec, *arguments: Any, **options: Any) -> Shape:
    return suggested(x, shape)


def _group_norm_backward(shape: Shape, gradient: TensorSpec, x: TensorSpec, *arguments: Any) -> Shape:
    if shape != x.shape:
        return dense(shape)
    strides = suggested(x, shape)
    return x.strides if lies(x, strides) else strides  # ``empty_like`` of the input, or of a copy


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


def padded(shape: Shape, x: TensorSpec, amounts: Shape, mode: Any = "constant", *value: Any) -> Shape:
    """Return the strides that ``x`` suggests; those of ``x`` if nothing is put around it."""
    if mode == "circular":
        return dense(shape)
    if max(amounts, default=0) <= 0 and mode not in ("reflect", "replicate"):  # a copy of a part
        return preserved(TensorSpec(shape=shape, dtype=x.dtype, strides=x.strides))
    return suggested(x, shape)


def _column_major(shape: Shape, matrix: TensorSpec, *arguments: Any, **options: Any) -> Shape:
    """Return strides of matrices as LAPACK writes them, column by column; vectors beside them are contiguous."""
    if len(shape) < len(matrix.shape):
        return dense(shape)
    *batch, _, column = dense((*shape[:-2], shape[-1], shape[-2]))
    return (*batch, column, max(shape[-2], 1))


def _soft_margin(shape: Shape, x: TensorSpec, *arguments: Any) -> Shape:
    return _elementwise(shape, x)  # torch computes ``-x`` and goes on in place


def _cross_entropy(shape: Shape, x: TensorSpec, targets: TensorSpec, *arguments: Any) -> Shape:
    return _preserved(shape, targets)  # torch computes ``1 - targets`` in an ``empty_like``, and goes on in place


def _max_pool3d(shape: Shape, x: TensorSpec, *arguments: Any) -> Shape:
    if len(shape) == 5:
        return suggested(x, shape)
    batch = _as_batch(x)
    last = not lies(batch, dense(batch.shape)) and lies(batch, channels_last(batch.shape))
    return (channels_last if last else dense)((1, *shape))[1:]


def _as_batch(x: TensorSpec) -> TensorSpec:
    """Return an unbatched input as a batch of one."""
    return TensorSpec(shape=(1, *x.shape), dtype=x.dtype, strides=(x.shape[0] * x.strides[0], *x.strides))


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
    return convolution(_as_batch(x), weight, (1, *shape), groups)[1:]


#: Names of operators, some with their overload -> how these lay their outputs out.
_BY_NAMES: Mapping[str, Layout] = {
    "batch_norm native_batch_norm _native_batch_norm_legit _batch_norm_with_update": _batch_norm,
    "_prelu_kernel binary_cross_entropy deg2rad flip hardtanh huber_loss rad2deg relu6 sort": _preserved,
    "conv1d conv2d conv3d": _convolution,
    "convolution _convolution": _kernel,
    "group_norm max_unpool2d pixel_shuffle reflection_pad2d reflection_pad3d replication_pad3d rms_norm": _suggested,
    "native_group_norm": _suggested,
    "native_batch_norm_backward": _batch_norm_backward,
    "native_group_norm_backward": _group_norm_backward,
    "im2col log_sigmoid masked_fill mvlgamma nll_loss2d_forward nonzero_static normal pow.Scalar roll": _contiguous,
    "rrelu_with_noise tril triu log_sigmoid_forward native_layer_norm_backward": _contiguous,
    "binary_cross_entropy_with_logits": _cross_entropy,
    "clone": _clone,
    "linalg_eig _linalg_svd": _column_major,
    "glu": _glu,
    "lerp.Scalar mse_loss smooth_l1_loss": _elementwise,
    "max_pool3d max_pool3d_with_indices": _max_pool3d,
    "pad constant_pad_nd": padded,
    "soft_margin_loss": _soft_margin,
}

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {f"aten.{name}": layout for names, layout in _BY_NAMES.items() for name in names.split()}
)
