"""Where a shape rule answers, it answers what torch does; where torch raises, the rule has no answer.

What torch does is what its meta kernel says of shapes and dtypes, and what its kernel for the CPU does, of strides.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.releases import older
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from thoplw.capture.abstract import Specs, dtype_of
from thoplw.capture.torch_names import name_of
from thoplw.record import TensorSpec
from thoplw.shapes import RULES, SAME, linalg, odd, pointwise, quantized

DETERMINISTIC: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "report_multiple_bugs": False,
    "suppress_health_check": list(HealthCheck),
}

Draw = Callable[[st.SearchStrategy[Any]], Any]
Arguments = tuple[str, tuple[Any, ...], dict[str, Any]]  # overload, positional, keyword

SIZES = st.sampled_from([0, 1, 1, 2, 3, 4, 6])
#: Mostly one dtype, as operands have to agree to get anywhere.
DTYPES = st.sampled_from([torch.float32] * 6 + [torch.float16, torch.bfloat16, torch.int64, torch.bool])
DIMS = st.integers(-4, 4)


def shapes(low: int = 0, high: int = 4) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(SIZES, min_size=low, max_size=high).map(tuple)


@st.composite
def tensors(draw: Draw, shape: Any = None, dtype: torch.dtype | None = None, plain: int = 3) -> torch.Tensor:
    """A meta tensor: contiguous in ``plain`` cases of ``plain + 5``, else laid out in memory in some other way."""
    shape = draw(shapes() if shape is None else shape) if not isinstance(shape, tuple) else shape
    dtype = draw(DTYPES) if dtype is None else dtype
    layout = draw(st.sampled_from(["plain"] * plain + ["transposed", "sliced", "stepped", "channels_last", "expanded"]))
    if layout == "transposed" and len(shape) > 1:
        order = draw(st.permutations(range(len(shape))))
        inverse = sorted(range(len(shape)), key=order.__getitem__)
        return torch.empty([shape[dim] for dim in order], dtype=dtype, device="meta").permute(inverse)
    if layout == "sliced" and shape:
        return torch.empty([n + 1 for n in shape], dtype=dtype, device="meta")[tuple(slice(n) for n in shape)]
    if layout == "stepped" and shape:
        return torch.empty((*shape[:-1], 2 * shape[-1]), dtype=dtype, device="meta")[..., ::2]
    if layout == "channels_last" and len(shape) == 4:
        return torch.empty(shape, dtype=dtype, device="meta").to(memory_format=torch.channels_last)
    if layout == "expanded" and shape:
        dim = draw(st.integers(0, len(shape) - 1))
        return torch.empty([1 if i == dim else n for i, n in enumerate(shape)], dtype=dtype, device="meta").expand(
            shape
        )
    return torch.empty(shape, dtype=dtype, device="meta")


def mutate(draw: Draw, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Now and then another shape than the right one."""
    wrong = st.tuples(st.integers(0, max(len(shape) - 1, 0)), SIZES)
    if not shape or draw(st.integers(0, 9)):
        return shape
    where, size = draw(wrong)
    return draw(st.sampled_from([(*shape[:where], size, *shape[where + 1 :]), shape[1:], (1, *shape)]))


def maybe(draw: Draw, tensor: torch.Tensor) -> torch.Tensor | None:
    return draw(st.sampled_from([tensor, tensor, None]))


def sizes(draw: Draw, rank: int, low: int, high: int) -> int | list[int]:
    """One number, or one for each dimension, or a wrong number of them; seldom out of range."""
    number = st.integers(low, high) if draw(st.integers(0, 9)) else st.integers(-1, high)
    length = rank if draw(st.integers(0, 9)) else draw(st.integers(0, rank + 1))
    return draw(st.lists(number, min_size=length, max_size=length))


# -- what each operator is called with ---------------------------------------------------------------------------------


def convolution(rank: int | None, draw: Draw) -> Arguments:
    kernel = rank is None
    rank = draw(st.integers(1, 3)) if rank is None else rank
    if not draw(st.integers(0, 19)):
        rank = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 3])) if draw(st.integers(0, 19)) else draw(st.integers(-1, 0))
    dtype = draw(DTYPES)
    channels = draw(st.integers(1, 2)) * abs(groups or 1)
    x = mutate(draw, (draw(SIZES), channels, *draw(st.lists(st.integers(0, 8), min_size=rank, max_size=rank))))
    filters = draw(st.integers(1, 2)) * abs(groups or 1)
    window = draw(st.lists(st.integers(1 if draw(st.integers(0, 9)) else 0, 3), min_size=rank, max_size=rank))
    weight = mutate(draw, (filters, channels // abs(groups or 1), *window))
    bias = maybe(draw, draw(tensors(mutate(draw, (filters,)), dtype)))
    stride, padding, dilation = sizes(draw, rank, 1, 3), sizes(draw, rank, 0, 2), sizes(draw, rank, 1, 2)
    x, weight = draw(tensors(x, dtype, plain=9)), draw(tensors(weight, dtype, plain=9))
    if kernel:
        transposed = draw(st.sampled_from([False, False, True]))
        return "default", (x, weight, bias, stride, padding, dilation, transposed, [0] * rank, groups), {}
    if not draw(st.integers(0, 9)):
        return "padding", (x, weight, bias, stride, draw(st.sampled_from(["same", "valid"])), dilation, groups), {}
    return "default", (x, weight, bias, stride, padding, dilation, groups)[: draw(st.integers(2, 7))], {}


def traced_convolution(draw: Draw) -> Arguments:
    overload, arguments, options = convolution(None, draw)
    return overload, (*arguments, False, False, True, True), options


def linear(draw: Draw) -> Arguments:
    dtype, inner, outer = draw(DTYPES), draw(SIZES), draw(SIZES)
    x = draw(tensors(mutate(draw, (*draw(shapes(0, 3)), inner)), dtype))
    weight = draw(tensors(mutate(draw, (outer, inner)), dtype))
    bias = draw(tensors(mutate(draw, (outer,)), draw(st.sampled_from([dtype, dtype, torch.float16]))))
    return "default", (x, weight, bias)[: draw(st.integers(2, 3))], {}


def product(batch: int | None, draw: Draw) -> Arguments:
    """Two factors; of any rank where ``batch`` is ``None``, else with so many batch dimensions."""
    dtype, rows, inner, columns = draw(DTYPES), draw(SIZES), draw(SIZES), draw(SIZES)
    around = draw(shapes(0, 3)) if batch is None else draw(shapes(batch, batch))
    other = dtype if draw(st.integers(0, 9)) else draw(DTYPES)
    left, right = (*around, rows, inner), (*around, inner, columns)
    if batch is None and not draw(st.integers(0, 4)):  # vectors, and fewer batch dimensions
        left, right = draw(
            st.sampled_from([((inner,), right), (left, (inner,)), (left, right[-2:]), (left[-2:], right)])
        )
    return "default", (draw(tensors(mutate(draw, left), dtype)), draw(tensors(mutate(draw, right), other))), {}


def addmm(draw: Draw) -> Arguments:
    _, (left, right), _ = product(0, draw)
    right_shape = tuple(right.shape)[-1:] or (1,)
    bias = draw(st.sampled_from([right_shape, (*tuple(left.shape)[:1], *right_shape), (1,), ()]))
    options = draw(st.sampled_from([{}, {}, {"beta": 0}, {"alpha": 2}, {"beta": 0.5, "alpha": 0.5}]))
    return (
        "default",
        (draw(tensors(mutate(draw, bias), draw(st.sampled_from([left.dtype] * 5 + [torch.int64])))), left, right),
        options,
    )


def attention(draw: Draw) -> Arguments:
    dtype = draw(DTYPES)
    around, heads = draw(shapes(0, 1)), draw(st.sampled_from([1, 2, 4]))
    shared = draw(st.sampled_from([1, 1, 1, 2, 3]))
    queries, keys, width, value_width = (draw(SIZES) for _ in range(4))
    value_width = draw(st.sampled_from([width, width, value_width]))
    query = draw(tensors(mutate(draw, (*around, heads * shared, queries, width)), dtype))
    key = draw(tensors(mutate(draw, (*around, heads, keys, width)), dtype))
    value = draw(tensors(mutate(draw, (*around, heads, keys, value_width)), dtype))
    mask = None
    if not draw(st.integers(0, 2)):
        kind = draw(st.sampled_from([dtype, torch.bool, torch.float16]))
        mask = draw(
            tensors(
                mutate(draw, draw(st.sampled_from([(queries, keys), (1, keys), (heads * shared, queries, keys)]))), kind
            )
        )
    causal = not draw(st.integers(0, 3))
    options: dict[str, Any] = (
        {"enable_gqa": True} if shared > 1 and not older("2.5") and draw(st.integers(0, 3)) else {}
    )
    if not draw(st.integers(0, 4)) and not older("2.1"):
        options["scale"] = 0.5
    return "default", (query, key, value, mask, 0.0, causal)[: draw(st.sampled_from([3, 4, 6]))], options


def grouped(draw: Draw) -> Arguments:
    """In bfloat16, the only dtype that the meta kernel takes, whose rows have to be multiples of 16 bytes."""
    groups, rows, inner, columns = draw(st.integers(1, 3)), *(8 * draw(st.integers(1, 2)) for _ in range(3))
    ends = torch.empty(groups, dtype=torch.int32, device="meta")
    left, right, offsets = draw(
        st.sampled_from(
            [
                ((groups, rows, inner), (groups, inner, columns), None),
                ((rows, inner), (groups, inner, columns), ends),
                ((groups, rows, inner), (inner, columns), ends),
                ((rows, inner), (inner, columns), ends),
            ]
        )
    )
    a, b = (torch.empty(shape, dtype=torch.bfloat16, device="meta") for shape in (left, (*right[:-2], *right[:-3:-1])))
    return "default", (a, b.mT, offsets), {}


def batch_norm(draw: Draw) -> Arguments:
    x = draw(tensors(plain=9))
    channels = tuple(x.shape)[1:2]
    other = draw(st.sampled_from([x.dtype, x.dtype, torch.float32]))
    rest = [maybe(draw, draw(tensors(mutate(draw, channels), other))) for _ in range(2)]
    rest += [draw(tensors(mutate(draw, channels), other)) if draw(st.integers(0, 9)) else None for _ in range(2)]
    return "default", (x, *rest, not draw(st.integers(0, 9)), 0.1, 1e-5, False), {}


def native_batch_norm(draw: Draw) -> Arguments:
    x = draw(tensors(plain=99))
    other = draw(st.sampled_from([x.dtype, x.dtype, torch.float32]))  # as under autocast
    weight, bias, mean, var = (draw(tensors(mutate(draw, tuple(x.shape)[1:2]), other, plain=99)) for _ in range(4))
    stats = [mean, var] if draw(st.integers(0, 3)) else [None, None]
    return "default", (x, maybe(draw, weight), maybe(draw, bias), *stats, bool(draw(st.integers(0, 9))), 0.1, 1e-5), {}


def native_batch_norm_backward(draw: Draw) -> Arguments:
    x = draw(tensors(shapes(2, 4), plain=99))
    gradient = draw(tensors(mutate(draw, tuple(x.shape)), x.dtype, plain=99))
    rest = [draw(tensors(mutate(draw, tuple(x.shape)[1:2]), x.dtype, plain=99)) for _ in range(5)]
    mask = [bool(draw(st.integers(0, 29))) for _ in range(3)]
    return "default", (gradient, x, *rest, bool(draw(st.integers(0, 29))), 1e-5, mask), {}


def native_layer_norm(name: str, draw: Draw) -> Arguments:
    x = draw(tensors(plain=99))
    rank = draw(st.integers(0, x.dim()))
    outer, normalized = tuple(x.shape)[:rank], tuple(x.shape)[rank:]
    weight, bias = (draw(tensors(mutate(draw, normalized), x.dtype, plain=99)) for _ in range(2))
    if name == "native_layer_norm":
        return "default", (x, list(normalized), maybe(draw, weight), maybe(draw, bias), 1e-5), {}
    positions = (*outer, *[1] * len(normalized))
    gradient, mean, scale = (
        draw(tensors(mutate(draw, shape), x.dtype, plain=99)) for shape in (tuple(x.shape), positions, positions)
    )
    mask = [bool(draw(st.integers(0, 9))) for _ in range(3)]
    return "default", (gradient, x, list(normalized), mean, scale, weight, bias, mask), {}


def softmax_backward(draw: Draw) -> Arguments:
    x = draw(tensors(plain=9))
    gradient = draw(tensors(mutate(draw, tuple(x.shape)), x.dtype, plain=9))
    return "default", (gradient, x, draw(st.integers(-2, 2)), x.dtype), {}


def gradient_of_activation(name: str, draw: Draw) -> Arguments:
    x = draw(tensors(plain=9))
    gradient = draw(tensors(mutate(draw, tuple(x.shape)), x.dtype, plain=9))
    return "default", (gradient, x, *([0.0] if name == "threshold_backward" else [])), {}


def layer_norm(name: str, draw: Draw) -> Arguments:
    x = draw(tensors(plain=9))
    count = draw(st.integers(1 if draw(st.integers(0, 9)) else 0, 2))
    normalized = mutate(draw, tuple(x.shape)[len(x.shape) - min(count, x.dim()) :])
    weight, bias = (
        maybe(draw, draw(tensors(mutate(draw, normalized), draw(st.sampled_from([x.dtype] * 4 + [torch.float16])))))
        for _ in range(2)
    )
    if name == "rms_norm":
        return (
            "default",
            (x, list(normalized), weight, draw(st.sampled_from([None, 1e-6])))[: draw(st.integers(2, 4))],
            {},
        )
    return "default", (x, list(normalized), weight, bias, 1e-5, False)[: draw(st.integers(2, 6))], {}


def group_norm(draw: Draw) -> Arguments:
    x = draw(tensors(plain=9))
    channels = tuple(x.shape)[1:2]
    weight, bias = (maybe(draw, draw(tensors(mutate(draw, channels), x.dtype))) for _ in range(2))
    groups = draw(st.sampled_from([1, 2, 3])) if draw(st.integers(0, 19)) else draw(st.integers(-1, 0))
    return "default", (x, groups, weight, bias, 1e-5, False)[: draw(st.integers(2, 6))], {}


def softmax(name: str, draw: Draw) -> Arguments:
    x = draw(tensors())
    if name == "_softmax":
        return "default", (x, draw(DIMS), not draw(st.integers(0, 5))), {}
    return "int", (x, draw(DIMS), draw(st.sampled_from([None, None, torch.float64])))[: draw(st.integers(2, 3))], {}


def pooling(kind: str, draw: Draw) -> Arguments:
    shape = (draw(SIZES), draw(SIZES), *draw(st.lists(st.integers(0, 9), min_size=2, max_size=2)))
    x = draw(tensors(mutate(draw, shape), plain=9))
    if kind == "adaptive":
        return "default", (x, draw(st.lists(st.integers(0, 4), min_size=2, max_size=2))), {}
    window, stride, padding = sizes(draw, 2, 1, 4), sizes(draw, 2, 1, 3), sizes(draw, 2, 0, 2)
    stride = draw(st.sampled_from([stride, stride, []]))
    ceil = draw(st.booleans())
    if kind == "max":
        every = (x, window, stride, padding, sizes(draw, 2, 1, 2), ceil)
    else:
        every = (x, window, stride, padding, ceil, draw(st.booleans()), draw(st.sampled_from([None, 3, 0])))
    return "default", every[: draw(st.integers(2, len(every)))], {}


def upsample(name: str, draw: Draw) -> Arguments:
    rank = int(name[-2]) if draw(st.integers(0, 9)) else draw(st.integers(1, 3))
    x = draw(tensors(tuple(draw(st.lists(SIZES, min_size=rank + 2, max_size=rank + 2)))))
    corners = () if "nearest" in name else (draw(st.booleans()),)
    if draw(st.booleans()):
        return "vec", (x, draw(st.lists(st.integers(0, 7), min_size=rank, max_size=rank)), *corners, None), {}
    factors = draw(st.lists(st.sampled_from([0.5, 1.5, 2.0, 1 / 3]), min_size=rank, max_size=rank))
    return "vec", (x, None, *corners, factors), {}


def scalars(draw: Draw) -> Any:
    return draw(st.sampled_from([2, 0.5, True, 1 + 1j]))


def unary(name: str, draw: Draw) -> Arguments:
    x = draw(tensors())
    stem = name.rstrip("_")
    numbers = {
        "celu": [1.0],
        "elu": [1.0, 1, 1],
        "hardtanh": [-1, 1],
        "leaky_relu": [0.01],
        "softplus": [1, 20],
        "clamp": [0, draw(st.sampled_from([1, None]))],
        "clamp_min": [0.5],
        "fill": [scalars(draw)],
    }.get(stem, [])
    needed = 2 if stem in ("clamp", "clamp_min", "fill") else 1
    if stem in ("fill", "clamp", "clamp_min") and not draw(st.integers(0, 3)):
        return "Tensor", (x, draw(tensors(mutate(draw, draw(st.sampled_from([(), tuple(x.shape)])))))), {}
    overload = "Scalar" if stem == "fill" else "default"
    options = {"approximate": "tanh"} if stem == "gelu" and draw(st.booleans()) else {}
    return overload, (x, *numbers)[: draw(st.integers(needed, 1 + len(numbers)))], options


def binary(name: str, draw: Draw) -> Arguments:
    x = draw(tensors())
    stem = name.rstrip("_")
    modes = [{}, {}, {"rounding_mode": "floor"}, {"rounding_mode": None}] if stem == "div" else [{}]
    options = dict(draw(st.sampled_from(modes)))
    kind = "_mode" if options else ""
    if not draw(st.integers(0, 3)):
        alpha = (2,) if stem in ("add", "sub") and not draw(st.integers(0, 3)) else ()
        return f"Scalar{kind}", (x, scalars(draw), *alpha), options
    if stem in ("add", "sub") and not draw(st.integers(0, 3)):
        options["alpha"] = draw(st.sampled_from([2, 0.5, 1j]))
    shape = tuple(x.shape)
    smaller = draw(st.sampled_from([shape, shape, shape[1:], (1, *shape[1:]), (2, *shape), (*shape[:-1], 1), ()]))
    y = draw(tensors(mutate(draw, smaller), x.dtype if draw(st.integers(0, 5)) else None))
    pair = (x, y) if draw(st.booleans()) else (y, x)
    if stem in ("add", "div", "mul", "sub") and not name.endswith("_") and not draw(st.integers(0, 9)):
        pair = (scalars(draw), y)  # python numbers reach the operator as such, on the left too
    return f"Tensor{kind}", pair, options


def power(draw: Draw) -> Arguments:
    x = draw(tensors())
    kind = draw(st.sampled_from(["Tensor_Scalar", "Tensor_Scalar", "Scalar", "Tensor_Tensor"]))
    other = draw(tensors(mutate(draw, tuple(x.shape)))) if kind == "Tensor_Tensor" else scalars(draw)
    return kind, (other, x) if kind == "Scalar" else (x, other), {}


def prelu(draw: Draw) -> Arguments:
    x = draw(tensors())
    return "default", (x, draw(tensors(mutate(draw, (draw(st.sampled_from([1, *x.shape[1:2]])),)), x.dtype))), {}


def roll(draw: Draw) -> Arguments:
    x = draw(tensors())
    dims = draw(st.lists(DIMS, max_size=2))
    shifts = draw(st.lists(st.integers(-5, 5), min_size=len(dims), max_size=len(dims)))
    return "default", (x, shifts if draw(st.integers(0, 9)) else [1], dims)[: draw(st.sampled_from([2, 3, 3]))], {}


def masked_fill(draw: Draw) -> Arguments:
    x = draw(tensors())
    shape = tuple(x.shape)
    smaller = draw(st.sampled_from([shape, shape, shape[1:], (1, *shape[1:]), (*shape[:-1], 1), (2, *shape)]))
    mask = draw(tensors(mutate(draw, smaller), torch.bool if draw(st.integers(0, 5)) else None))
    if not draw(st.integers(0, 3)):
        return "Tensor", (x, mask, draw(tensors(()))), {}
    return "Scalar", (x, mask, scalars(draw)), {}


def pad(name: str, draw: Draw) -> Arguments:
    x = draw(tensors())
    dims = draw(st.integers(0, x.dim() if draw(st.integers(0, 9)) else 5))
    odd = 0 if draw(st.integers(0, 19)) else 1
    amounts = draw(st.lists(st.integers(0 if draw(st.integers(0, 4)) else -1, 3), min_size=2 * dims, max_size=2 * dims))
    amounts += [1] * odd
    if name == "constant_pad_nd":
        return "default", (x, amounts, scalars(draw))[: draw(st.integers(2, 3))], {}
    mode = draw(st.sampled_from(["constant"] * 5 + ["replicate", "circular"]))
    return "default", (x, amounts, mode, draw(st.sampled_from([None, 1.0])))[: draw(st.integers(2, 4))], {}


def new_zeros(draw: Draw) -> Arguments:
    options = {"dtype": torch.float16} if not draw(st.integers(0, 3)) else {}
    size = draw(st.lists(st.integers(0 if draw(st.integers(0, 9)) else -1, 4), max_size=4))
    return "default", (draw(tensors()), size), options


def index(draw: Draw) -> Arguments:
    x = draw(tensors())
    dtypes = st.sampled_from([torch.int64] * 4 + [torch.int32, torch.float32])
    rows = [draw(st.one_of(tensors(dtype=draw(dtypes)), st.none())) for _ in range(draw(st.sampled_from([1, 1, 1, 2])))]
    return "Tensor", (x, rows), {}


def unflatten(draw: Draw) -> Arguments:
    x, dim = draw(tensors(shapes(0, 3))), draw(DIMS)
    length = x.shape[dim] if -x.dim() <= dim < x.dim() else 4
    sizes = draw(st.sampled_from([[length], [length, 1], [1, -1], [-1, 2], [2, -1], [2, 3], [2, 2], [], [-1, -1], [0]]))
    return "int", (x, dim, sizes), {}


def squeeze(draw: Draw) -> Arguments:
    x = draw(tensors())
    kind = draw(st.sampled_from(["default", "dim", "dim", "dims"]))
    if kind == "default":
        return kind, (x,), {}
    return kind, (x, draw(DIMS if kind == "dim" else st.lists(DIMS, max_size=3))), {}


def dropout(draw: Draw) -> Arguments:
    return "default", (draw(tensors()), 0.5, not draw(st.integers(0, 3))), {}


def cat(draw: Draw) -> Arguments:
    shape, dim = draw(shapes(0, 3)), draw(st.integers(-3, 3))
    dtype = draw(DTYPES)
    pieces = []
    for _ in range(draw(st.integers(0 if not draw(st.integers(0, 9)) else 1, 3))):
        piece = list(shape)
        if -len(shape) <= dim < len(shape):
            piece[dim] = draw(SIZES)
        if not draw(st.integers(0, 9)):
            piece = [0]  # torch leaves such out
        pieces.append(draw(tensors(mutate(draw, tuple(piece)), dtype if draw(st.integers(0, 9)) else None, plain=15)))
    return "default", (pieces, dim)[: draw(st.integers(1, 2))], {}


def reduction(draw: Draw) -> Arguments:
    x = draw(tensors())
    options = {} if draw(st.integers(0, 5)) else {"dtype": torch.float64}
    dims = draw(st.sampled_from([None, draw(st.lists(st.integers(-3, 3), max_size=3))]))
    if not draw(st.integers(0, 3)):
        return "default", (x,), options
    return (
        "dim_IntList" if options.pop("sum", True) else "dim",
        (x, dims, draw(st.booleans()))[: draw(st.integers(2, 3))],
        options,
    )


def mean(draw: Draw) -> Arguments:
    overload, args, options = reduction(draw)
    return overload.replace("dim_IntList", "dim"), args, options


def one_hot(draw: Draw) -> Arguments:
    indices = draw(tensors(draw(shapes(0, 3)), draw(st.sampled_from([torch.int64, torch.int64, torch.float32]))))
    return "default", (indices, draw(st.integers(1, 4))), {}


def embedding(draw: Draw) -> Arguments:
    weight = draw(tensors(mutate(draw, (draw(SIZES), draw(SIZES)))))
    indices = draw(
        tensors(dtype=draw(st.sampled_from([torch.int64, torch.int64, torch.int32, torch.float32, torch.bool])))
    )
    return "default", (weight, indices, -1, False, False)[: draw(st.sampled_from([2, 3, 5]))], {}


def view(draw: Draw) -> Arguments:
    x = draw(tensors())
    factors = [n for n in x.shape if n != 1]
    size = draw(st.permutations(factors)) if factors else []
    if len(size) > 1 and draw(st.booleans()):
        size = [size[0] * size[1], *size[2:]]
    if size and draw(st.booleans()):
        size[draw(st.integers(0, len(size) - 1))] = -1
    if draw(st.booleans()):
        size.insert(draw(st.integers(0, len(size))), 1)
    if not draw(st.integers(0, 4)):
        size = draw(st.lists(st.integers(-2, 6), max_size=3))
    return "default", (x, size), {}


def flatten(draw: Draw) -> Arguments:
    return "using_ints", (draw(tensors()), draw(DIMS), draw(DIMS))[: draw(st.integers(1, 3))], {}


def contiguous(draw: Draw) -> Arguments:
    formats = [torch.contiguous_format, torch.channels_last, torch.preserve_format]
    options = {"memory_format": draw(st.sampled_from(formats))} if not draw(st.integers(0, 2)) else {}
    return "default", (draw(tensors()),), options


def permute(draw: Draw) -> Arguments:
    x = draw(tensors())
    dims = draw(st.permutations(range(x.dim())))
    dims = [dim - x.dim() if draw(st.booleans()) else dim for dim in dims]
    if not draw(st.integers(0, 4)):
        dims = draw(st.lists(DIMS, max_size=4))
    return "default", (x, dims), {}


def transpose(draw: Draw) -> Arguments:
    return "int", (draw(tensors()), draw(DIMS), draw(DIMS)), {}


def only(draw: Draw) -> Arguments:
    return "default", (draw(tensors()),), {}


def channel_shuffle(draw: Draw) -> Arguments:
    x = draw(tensors())
    return "default", (x, draw(st.integers(0, 3))), {}


def unsqueeze(draw: Draw) -> Arguments:
    return "default", (draw(tensors()), draw(DIMS)), {}


def select(draw: Draw) -> Arguments:
    return "int", (draw(tensors()), draw(DIMS), draw(st.integers(-4, 4))), {}


def slice_(draw: Draw) -> Arguments:
    edge = st.sampled_from([None, -8, -2, -1, 0, 1, 2, 5, 2**63 - 1])
    step = draw(st.sampled_from([1, 1, 2, 3, 0, -1]))
    return "Tensor", (draw(tensors()), draw(DIMS), draw(edge), draw(edge), step)[: draw(st.integers(1, 5))], {}


def expand(draw: Draw) -> Arguments:
    x = draw(tensors())
    size = [draw(st.sampled_from([-1, n, n, 3])) if n == 1 else draw(st.sampled_from([-1, n])) for n in x.shape]
    size = [*draw(st.lists(SIZES, max_size=1)), *size]
    if not draw(st.integers(0, 4)):
        size = draw(st.lists(st.integers(-2, 4), max_size=4))
    return "default", (x, size), {}


def split(name: str, draw: Draw) -> Arguments:
    x, dim = draw(tensors(shapes(1, 4))), draw(st.integers(-3, 2))
    length = x.shape[dim] if -x.dim() <= dim < x.dim() else 3
    first = draw(st.integers(0, length))
    pieces = draw(st.sampled_from([[first, length - first], [length], [first, length], [length + 1, -1], []]))
    if name == "chunk":
        return "default", (x, draw(st.integers(-1, 5)), dim)[: draw(st.integers(2, 3))], {}
    if name == "split" and draw(st.booleans()):
        return "Tensor", (x, draw(st.integers(-1, 4)), dim)[: draw(st.integers(2, 3))], {}
    return "sizes" if name == "split" else "default", (x, pieces, dim)[: draw(st.integers(2, 3))], {}


def unbind(draw: Draw) -> Arguments:
    return "int", (draw(tensors()), draw(DIMS))[: draw(st.integers(1, 2))], {}


def alike(name: str, draw: Draw) -> Arguments:
    """Three tensors, most often of one shape and dtype."""
    dtype, shape = draw(DTYPES), draw(shapes(0, 3))
    x, a, b = (draw(tensors(mutate(draw, shape), dtype if draw(st.integers(0, 9)) else draw(DTYPES))) for _ in range(3))
    if name == "lerp_":
        return ("Scalar", (x, a, 0.5), {}) if draw(st.booleans()) else ("Tensor", (x, a, b), {})
    return "default", (x, a, b), draw(st.sampled_from([{}, {"value": -0.1}]))


def filled_like(draw: Draw) -> Arguments:
    options = st.sampled_from([{}, {"memory_format": torch.preserve_format}, {"dtype": torch.float64}])
    return "default", (draw(tensors()),), draw(options)


def _named(makers: dict[str, Callable[..., Arguments]], *extra: Any) -> dict[str, Callable[[Draw], Arguments]]:
    """A maker of arguments for each name, which it may take as its first argument."""
    return {
        name: (
            lambda draw, maker=maker, name=name: maker(name, draw) if maker.__code__.co_argcount == 2 else maker(draw)
        )
        for names, maker in makers.items()
        for name in names.split()
    }


ARGUMENTS = _named(
    {
        "conv1d": lambda draw: convolution(1, draw),
        "conv2d": lambda draw: convolution(2, draw),
        "conv3d": lambda draw: convolution(3, draw),
        "convolution": lambda draw: convolution(None, draw),
        "_convolution": traced_convolution,
        "linear": linear,
        "matmul": lambda draw: product(None, draw),
        "bmm": lambda draw: product(1, draw),
        "mm": lambda draw: product(0, draw),
        "addmm": addmm,
        "scaled_dot_product_attention": attention,
        "_grouped_mm": grouped,
        "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_bicubic2d "
        "upsample_bilinear2d upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d "
        "upsample_trilinear3d": upsample,
        "batch_norm": batch_norm,
        "native_batch_norm": native_batch_norm,
        "native_batch_norm_backward": native_batch_norm_backward,
        "native_layer_norm native_layer_norm_backward": native_layer_norm,
        "_softmax_backward_data _log_softmax_backward_data": softmax_backward,
        "gelu_backward hardswish_backward mish_backward sigmoid_backward silu_backward tanh_backward "
        "threshold_backward": gradient_of_activation,
        "layer_norm rms_norm": layer_norm,
        "group_norm": group_norm,
        "softmax log_softmax _softmax": softmax,
        "max_pool2d": lambda draw: pooling("max", draw),
        "avg_pool2d": lambda draw: pooling("average", draw),
        "adaptive_avg_pool2d": lambda draw: pooling("adaptive", draw),
        "abs celu cos elu erf exp gelu hardsigmoid hardswish hardtanh leaky_relu log log_sigmoid mish neg reciprocal "
        "relu relu6 rsqrt selu sigmoid silu sin softplus sqrt square tanh clamp_ clamp_min_ elu_ exp_ fill_ "
        "hardsigmoid_ hardswish_ hardtanh_ leaky_relu_ mish_ neg_ relu_ relu6_ rsqrt_ selu_ sigmoid_ silu_ sqrt_ tanh_ "
        "zero_": unary,
        "add div mul sub add_ div_ mul_ sub_ eq ge gt le lt ne": binary,
        "addcdiv_ addcmul_ lerp_": alike,
        "empty_like ones_like zeros_like": filled_like,
        "pow": power,
        "prelu": prelu,
        "clone": contiguous,
        "roll": roll,
        "masked_fill": masked_fill,
        "pad constant_pad_nd": pad,
        "new_zeros": new_zeros,
        "index": index,
        "unflatten": unflatten,
        "squeeze": squeeze,
        "dropout dropout_ feature_dropout": dropout,
        "cat": cat,
        "mean": mean,
        "sum": reduction,
        "embedding": embedding,
        "one_hot": one_hot,
        "view _unsafe_view reshape": view,
        "flatten": flatten,
        "contiguous": contiguous,
        "permute": permute,
        "transpose": transpose,
        "t alias detach isfinite": only,
        "channel_shuffle": channel_shuffle,
        "unsqueeze": unsqueeze,
        "select": select,
        "slice": slice_,
        "expand": expand,
        "split split_with_sizes chunk": split,
        "unbind": unbind,
    }
)


# -- the properties ----------------------------------------------------------------------------------------------------


def frozen(value: Any) -> Any:
    """Arguments as rules take them."""
    if isinstance(value, torch.Tensor):
        return Specs().of(value)
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else name_of(value)


def meaning(value: Any) -> Any:
    """What of an answer a model can observe: strides of dimensions that hold one element, or none, are not."""
    if isinstance(value, torch.Tensor):
        value = Specs().of(value)
    if isinstance(value, TensorSpec):
        steps = [step if n > 1 and value.numel else None for n, step in zip(value.shape, value.strides, strict=True)]
        return value.shape, dtype_of(value), steps
    return list(map(meaning, value))


def exactly(value: Any) -> Any:
    """All of an answer, but for strides that lead nowhere."""
    if isinstance(value, (list, tuple)):
        return list(map(exactly, value))
    spec = Specs().of(value) if isinstance(value, torch.Tensor) else value
    return spec.shape, spec.dtype, spec.strides if spec.numel else None


def real(value: Any) -> Any:
    """Arguments with values, laid out in memory as those without."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(real, value))
    if not isinstance(value, torch.Tensor):
        return value
    reach = 1 + sum((size - 1) * step for size, step in zip(value.shape, value.stride(), strict=True))
    return torch.zeros(max(reach, 1), dtype=value.dtype).as_strided(value.shape, value.stride())


def run(name: str, overload: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(getattr(torch.ops.aten, name), overload)(*args, **kwargs)


def test_every_rule_has_arguments() -> None:
    # These have no meta kernels to compare with, or wrong ones: tests of their own run them for real.
    elsewhere = {*quantized.RULES, *(f"aten.{name}" for name in (*linalg.RULES, *odd.RULES))}
    assert {f"aten.{name}" for name in ARGUMENTS} == {
        name for name in RULES if name.startswith("aten.") and name not in elsewhere
    }


OLD = older("2.14")
#: Before these, an operator asks for values, has no meta kernel, divides by zero in it, or keeps other strides.
SINCE = {
    "one_hot": "2.3",
    "channel_shuffle": "2.4",
    "native_batch_norm": "2.14",
    "rms_norm": "2.5",
    "scaled_dot_product_attention": "2.5",
}

#: Statistics of the meta kernel are never empty, and of halves float32.
NO_META = {"native_batch_norm"}
ELEMENTWISE = (pointwise.unary, pointwise.in_place)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_rule_answers_as_torch(name: str) -> None:
    if (
        not hasattr(torch.ops.aten, name)
        or (OLD and name in {"_convolution", "add", "sub"})
        or older(SINCE.get(name, "2.0"))
    ):
        pytest.skip("this torch has no such operator or meta kernel, or refuses the factor of a scalar")
    rule, answered = RULES[f"aten.{name}"], 0

    # Without shrinking, which takes long: shapes are small to begin with.
    @settings(max_examples=25 if rule in ELEMENTWISE else 120, phases=[Phase.generate], **DETERMINISTIC)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        nonlocal answered
        overload, args, kwargs = ARGUMENTS[name](data.draw)
        answer = rule(*frozen(args), **{key: frozen(value) for key, value in kwargs.items()})
        if answer is None:
            return
        answered += 1
        note(f"{overload} {frozen(args)} {kwargs} -> {answer}")
        # An error here says that the rule answers what torch refuses.
        try:
            expected = run(name, overload, real(args) if name in NO_META else args, kwargs)
        except TypeError:  # of a meta kernel that checks the size of an empty batch as if it were a boolean
            assert "upsample_" in name
            expected = run(name, overload, real(args), kwargs)
        answer = frozen(args[0]) if answer is SAME else answer
        assert meaning(answer)[:2] == meaning(expected)[:2] or [each[:2] for each in meaning(answer)] == [
            each[:2] for each in meaning(expected)
        ]
        if OLD and "convolution" in name and 0 in args[1].stride():  # torch's kernel then ends the process
            return
        try:
            done = run(name, overload, real(args), kwargs)
        except (NotImplementedError, RuntimeError):  # no kernel for this dtype, or it refuses repeated elements
            return
        compared = meaning if OLD else exactly  # older ones keep some strides of dimensions of one element
        assert compared(answer) == compared(done)

    check()
    assert answered  # else the property would hold of nothing
