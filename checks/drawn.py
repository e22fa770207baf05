"""Modules with inputs for them, drawn at random: any module of ``torch.nn``, in any layout of memory.

``drawn(17)`` is always the same module on the same inputs, as long as this file and torch stay as they are. Arguments
are mostly such as torch takes: what it refuses tells little.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from checks.calling import Calling
from torch import nn
from torch.nn import functional as F

Shape = Sequence[int]

LAYOUTS = ("contiguous", "channels_last", "permuted", "gaps", "stepped", "expanded")

#: Mostly what people use; kernels of each may lay out otherwise.
DTYPES = (torch.float32,) * 6 + (torch.bfloat16, torch.bfloat16, torch.float64, torch.float16)


class Drawn(NamedTuple):
    """A module and what it is called with; ``name`` is the row of :data:`MAKERS` that it comes from."""

    name: str
    module: nn.Module
    args: tuple[Any, ...]

    def __str__(self) -> str:
        module = " ".join(repr(self.module).split())
        return f"{module}({', '.join(map(_described, self.args))})"


def _described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype)[6:]}{list(value.shape)} by {list(value.stride())}"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_described, value))})"
    return repr(value)


class Draw(random.Random):
    """Random numbers, and tensors made of them, of one floating-point dtype."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        torch.manual_seed(seed)
        self.dtype = self.choice(DTYPES)
        #: One layout for all inputs in half of the cases, as in real models.
        self.layout = self.choice((None, *LAYOUTS))

    def maybe(self, chance: float = 0.5) -> bool:
        """Yes or no."""
        return self.random() < chance

    def sizes(self, rank: int, low: int = 1, high: int = 3) -> int | tuple[int, ...]:
        """One number for all dimensions, or one for each."""
        if self.maybe():
            return self.randint(low, high)
        return tuple(self.randint(low, high) for _ in range(rank))

    def space(self, rank: int, low: int = 5, high: int = 9) -> list[int]:
        """Height, width and the like; seldom 1."""
        return [1 if self.maybe(0.05) else self.randint(low, high) for _ in range(rank)]

    def batch(self) -> int:
        """How many samples: mostly a few, one often enough, seldom none."""
        return self.choice((1, 1, 2, 2, 2, 3, 3, 4)) if self.maybe(0.98) else 0

    def channels(self) -> int:
        """How many channels: a multiple of four, or one."""
        return self.choice((1, 4, 4, 8, 12))

    def image(self, rank: int, channels: int, low: int = 5, batched: bool | None = None, **options: Any) -> Any:
        """``[N, C, *]``, now and then without the batch."""
        if batched is None:
            batched = self.maybe(0.85)
        return self.tensor([*([self.batch()] if batched else []), channels, *self.space(rank, low)], **options)

    def any_shape(self, low: int = 0, high: int = 5) -> list[int]:
        """Any rank, mostly that of pictures."""
        rank = 4 if low <= 4 <= high and self.maybe() else self.randint(low, high)
        return [self.choice((1, 2, 3, 4, 5)) for _ in range(rank)]

    def tensor(self, shape: Shape, dtype: torch.dtype | None = None, high: int = 5) -> torch.Tensor:
        """A tensor of values between 0 and 1, or whole numbers below ``high``, laid out in some way."""
        layout = self.layout or self.choice(LAYOUTS)
        dtype = dtype or self.dtype
        shape = list(shape)

        def filled(sizes: Sequence[int]) -> torch.Tensor:
            if dtype is torch.bool:
                return torch.rand(tuple(sizes)) < 0.5
            if not dtype.is_floating_point:
                return torch.randint(0, max(high, 1), tuple(sizes)).to(dtype)
            return torch.rand(tuple(sizes)).to(dtype)

        if layout == "channels_last":
            return _channels_last(filled(shape))
        if layout == "permuted" and len(shape) > 1:
            order = self.sample(range(len(shape)), len(shape))
            inverse = sorted(range(len(shape)), key=order.__getitem__)
            return filled([shape[dim] for dim in order]).permute(inverse)
        if layout == "gaps" and shape:
            return filled([size + self.randint(0, 1) for size in shape])[tuple(map(slice, shape))]
        if layout == "stepped" and shape:
            return filled([*shape[:-1], 2 * shape[-1]])[..., ::2]
        if layout == "expanded" and shape:
            dim = self.randrange(len(shape))
            return filled([1 if at == dim else size for at, size in enumerate(shape)]).expand(shape)
        return filled(shape)


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """A picture or a volume with its channels last in memory; other tensors as they are."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return tensor.to(memory_format=formats.get(tensor.dim(), torch.preserve_format))


def drawn(seed: int) -> Drawn:
    """The module of this number."""
    draw = Draw(seed)
    name = draw.choice(tuple(MAKERS))
    module, *args = MAKERS[name](draw)
    module.to(draw.dtype)
    if draw.maybe(0.2):
        for weight in module.parameters():
            weight.data = _channels_last(weight.data)
    module.train(draw.maybe())
    return Drawn(name, module, tuple(args))


#: A module, then its arguments.
Made = tuple[Any, ...]


def convolution(rank: int, transposed: bool, draw: Draw) -> Made:
    groups = draw.choice((1, 1, 2, 4))
    inside, outside = groups * draw.randint(1, 3), groups * draw.randint(1, 3)
    cls = getattr(nn, f"Conv{'Transpose' * transposed}{rank}d")
    stride = draw.sizes(rank, 1, 2)
    options: dict[str, Any] = {"stride": stride, "padding": draw.sizes(rank, 0, 1), "dilation": draw.sizes(rank, 1, 2)}
    if transposed:
        options["output_padding"] = 1 if stride == 2 and draw.maybe() else 0
    elif draw.maybe(0.1):
        options |= {"padding": "same", "stride": 1}
    else:
        options["padding_mode"] = draw.choice(("zeros",) * 7 + ("reflect", "replicate", "circular"))
    module = cls(inside, outside, draw.sizes(rank, 1, 3), groups=groups, bias=draw.maybe(), **options)
    return module, draw.image(rank, inside)


def pooling(kind: str, rank: int, draw: Draw) -> Made:
    cls = getattr(nn, f"{kind}Pool{rank}d")
    x = draw.image(rank, draw.channels())
    if kind.startswith("Adaptive"):
        size = draw.sizes(rank, 1, 4)
        size = (None, *size[1:]) if isinstance(size, tuple) and draw.maybe(0.2) and rank > 1 else size
        return cls(size, **({"return_indices": True} if kind == "AdaptiveMax" and draw.maybe(0.3) else {})), x
    window, ceil = draw.sizes(rank, 2, 3), draw.maybe()
    stride = draw.choice((None, draw.sizes(rank, 1, 3)))
    if kind == "LP":
        return cls(draw.choice((1, 2, 3)), window, stride, ceil), x
    if kind == "Avg":
        options = {} if rank == 1 else {"divisor_override": draw.choice((None, None, 3))}
        return cls(window, stride, draw.randint(0, 1), ceil, draw.maybe(), **options), x
    return cls(window, stride, draw.randint(0, 1), draw.sizes(rank, 1, 2), draw.maybe(0.3), ceil), x


def fractional(rank: int, draw: Draw) -> Made:
    cls = getattr(nn, f"FractionalMaxPool{rank}d")
    size = {"output_size": draw.sizes(rank, 2, 4)} if draw.maybe() else {"output_ratio": (0.5,) * rank}
    return cls(draw.sizes(rank, 1, 2), return_indices=draw.maybe(0.3), **size), draw.image(rank, draw.channels())


def unpooling(rank: int, draw: Draw) -> Made:
    shape = [draw.batch() or 1, draw.channels(), *[2 * draw.randint(1, 3) for _ in range(rank)]]
    pooled = getattr(F, f"max_pool{rank}d")(torch.rand(shape), 2, return_indices=True)
    indices = draw.tensor(pooled[1].shape, torch.int64, 1)
    return getattr(nn, f"MaxUnpool{rank}d")(2), draw.tensor(pooled[0].shape), indices


def padding(kind: str, rank: int, draw: Draw) -> Made:
    amounts = draw.choice(
        (1, 2, tuple(draw.randint(-1 if kind in ("Zero", "Constant") else 0, 3) for _ in range(2 * rank)))
    )
    more = (0.5,) if kind == "Constant" else ()
    return getattr(nn, f"{kind}Pad{rank}d")(amounts, *more), draw.image(rank, draw.channels())


def activation(name: str, draw: Draw) -> Made:
    cls = getattr(nn, name)
    options: dict[str, Any] = {}
    if name in INPLACE and draw.maybe(0.4):
        options["inplace"] = True
    if name == "GELU":
        options["approximate"] = draw.choice(("none", "tanh"))
    if name == "Threshold":
        options |= {"threshold": 0.5, "value": 0.1}
    return cls(**options), draw.tensor(draw.any_shape())


INPLACE = frozenset(
    "CELU ELU Hardsigmoid Hardswish Hardtanh LeakyReLU Mish ReLU ReLU6 RReLU SELU SiLU Threshold".split()
)


def gated(draw: Draw) -> Made:
    shape = draw.any_shape(1)
    dim = draw.randrange(len(shape))
    shape[dim] *= 2
    return nn.GLU(dim), draw.tensor(shape)


def prelu(draw: Draw) -> Made:
    shape = draw.any_shape(1)
    return nn.PReLU(shape[1] if len(shape) > 1 and draw.maybe() else 1), draw.tensor(shape)


def softmax(name: str, draw: Draw) -> Made:
    shape = draw.any_shape(1)
    if name == "Softmax2d":
        return nn.Softmax2d(), draw.tensor(draw.any_shape(3, 4))
    return getattr(nn, name)(draw.randrange(-len(shape), len(shape))), draw.tensor(shape)


def dropout(name: str, draw: Draw) -> Made:
    options = {} if name == "FeatureAlphaDropout" and draw.maybe() else {"inplace": draw.maybe(0.3)}
    rank = {"Dropout1d": 1, "Dropout2d": 2, "Dropout3d": 3}.get(name)
    x = draw.tensor(draw.any_shape(2)) if rank is None else draw.image(rank, draw.channels())
    return getattr(nn, name)(0.3, **options), x


def batch_norm(kind: str, rank: int, draw: Draw) -> Made:
    channels = draw.channels()
    affine, tracked = draw.maybe(0.8), draw.maybe(0.7)
    module = getattr(nn, f"{kind}Norm{rank}d")(channels, affine=affine, track_running_stats=tracked)
    if kind == "Batch" and rank == 1 and draw.maybe(0.4):
        return module, draw.tensor([draw.randint(2, 4), channels])
    return module, draw.image(rank, channels, batched=None if kind == "Instance" else True)


def group_norm(draw: Draw) -> Made:
    channels = draw.channels()
    groups = draw.choice([n for n in (1, 2, 4, channels) if channels % n == 0])
    module = nn.GroupNorm(groups, channels, affine=draw.maybe(0.8))
    return module, draw.image(draw.randint(0, 3), channels, batched=True)


def layer_norm(name: str, draw: Draw) -> Made:
    shape = draw.any_shape(1)
    count = draw.randint(1, min(2, len(shape)))
    options = {"elementwise_affine": draw.maybe(0.8)}
    return getattr(nn, name)(shape[-count:], **options), draw.tensor(shape)


def response_norm(draw: Draw) -> Made:
    return nn.LocalResponseNorm(draw.randint(1, 3)), draw.image(draw.randint(1, 3), draw.channels(), batched=True)


def cross_map(draw: Draw) -> Made:
    return nn.CrossMapLRN2d(draw.randint(1, 3)), draw.image(2, draw.channels(), batched=True)


def linear(draw: Draw) -> Made:
    shape = draw.any_shape(1)
    return nn.Linear(shape[-1], draw.randint(1, 6), bias=draw.maybe()), draw.tensor(shape)


def bilinear(draw: Draw) -> Made:
    shape = draw.any_shape(1, 4)
    second = draw.randint(1, 4)
    module = nn.Bilinear(shape[-1], second, draw.randint(1, 4), bias=draw.maybe())
    return module, draw.tensor(shape), draw.tensor([*shape[:-1], second])


def embedding(draw: Draw) -> Made:
    module = nn.Embedding(
        7, draw.randint(1, 5), padding_idx=draw.choice((None, 1)), max_norm=draw.choice((None,) * 5 + (1.0,))
    )
    return module, draw.tensor(draw.any_shape(0, 3), draw.choice((torch.int64, torch.int64, torch.int32)), 7)


def embedding_bag(draw: Draw) -> Made:
    module = nn.EmbeddingBag(7, draw.randint(1, 5), mode=draw.choice(("sum", "mean", "max")))
    dtype = draw.choice((torch.int64, torch.int32))
    if draw.maybe():
        return module, draw.tensor([draw.randint(1, 4), draw.randint(1, 5)], dtype, 7)
    return module, draw.tensor([6], dtype, 7), torch.tensor([0, 2, 3], dtype=dtype)


def recurrent(name: str, draw: Draw) -> Made:
    width, hidden = draw.randint(1, 5), draw.randint(2, 5)
    options: dict[str, Any] = {"num_layers": draw.randint(1, 2), "bias": draw.maybe(0.8), "batch_first": draw.maybe()}
    options["bidirectional"] = draw.maybe(0.4)
    if name == "LSTM" and draw.maybe(0.3):
        options["proj_size"] = 1
    if name == "RNN" and draw.maybe():
        options["nonlinearity"] = "relu"
    if options["num_layers"] > 1 and draw.maybe(0.3):
        options["dropout"] = 0.2
    shape = [draw.randint(1, 4), draw.randint(1, 3), width] if draw.maybe(0.8) else [draw.randint(1, 4), width]
    return getattr(nn, name)(width, hidden, **options), draw.tensor(shape)


def cell(name: str, draw: Draw) -> Made:
    width, hidden = draw.randint(1, 5), draw.randint(1, 5)
    shape = [draw.randint(1, 3), width] if draw.maybe(0.8) else [width]
    module = getattr(nn, name)(width, hidden, bias=draw.maybe(0.8))
    if draw.maybe():
        return module, draw.tensor(shape)
    state = draw.tensor([*shape[:-1], hidden])
    return module, draw.tensor(shape), (state, draw.tensor([*shape[:-1], hidden])) if name == "LSTMCell" else state


def attention(draw: Draw) -> Made:
    heads = draw.choice((1, 2, 4))
    width = heads * draw.randint(1, 3)
    first = draw.maybe()
    options: dict[str, Any] = {
        "bias": draw.maybe(0.8),
        "add_bias_kv": draw.maybe(0.2),
        "add_zero_attn": draw.maybe(0.2),
    }
    samples, queries, keys = draw.randint(1, 3), draw.randint(1, 4), draw.randint(1, 4)
    same = draw.maybe()
    if not same and draw.maybe(0.4):
        options |= {"kdim": draw.randint(1, 5), "vdim": draw.randint(1, 5)}
    module = nn.MultiheadAttention(width, heads, 0.1, batch_first=first, **options)

    def sequence(length: int, size: int) -> torch.Tensor:
        return draw.tensor([samples, length, size] if first else [length, samples, size])

    query = sequence(queries, width)
    if same:
        key, value, keys = query, query, queries
    else:
        key = sequence(keys, options.get("kdim", width))
        value = key if draw.maybe() and "kdim" not in options else sequence(keys, options.get("vdim", width))
    ignored = draw.choice((None, None, draw.tensor([samples, keys], torch.bool) & False))
    return module, query, key, value, ignored, draw.maybe()


def encoder(draw: Draw) -> Made:
    heads = draw.choice((1, 2))
    width, first = heads * draw.randint(1, 3), draw.maybe()
    options: dict[str, Any] = {
        "batch_first": first,
        "norm_first": draw.maybe(),
        "activation": draw.choice(("relu", "gelu")),
    }
    layer = nn.TransformerEncoderLayer(width, heads, 6, 0.1, bias=draw.maybe(0.8), **options)
    module = layer if draw.maybe() else nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return module, draw.tensor([draw.randint(1, 3), draw.randint(1, 4), width])


def decoder(draw: Draw) -> Made:
    heads = draw.choice((1, 2))
    width, first, samples = heads * draw.randint(1, 3), draw.maybe(), draw.randint(1, 3)
    module = nn.TransformerDecoderLayer(width, heads, 6, 0.1, batch_first=first, norm_first=draw.maybe())
    lengths = draw.randint(1, 4), draw.randint(1, 4)
    return module, *(draw.tensor([samples, n, width] if first else [n, samples, width]) for n in lengths)


def transformer(draw: Draw) -> Made:
    module = nn.Transformer(4, 2, 1, 1, 6, batch_first=True)
    return module, draw.tensor([2, draw.randint(1, 4), 4]), draw.tensor([2, draw.randint(1, 4), 4])


def loss(name: str, draw: Draw) -> Made:
    shape = draw.any_shape(1)
    module = getattr(nn, name)(reduction=draw.choice(("none", "none", "mean", "sum")))
    if name == "GaussianNLLLoss":
        return module, draw.tensor(shape), draw.tensor(shape), draw.tensor(shape)
    return module, draw.tensor(shape), draw.tensor(shape)


def class_loss(name: str, draw: Draw) -> Made:
    reduction = draw.choice(("none", "none", "mean", "sum"))
    classes = draw.randint(2, 4)
    if name == "MultiMarginLoss":
        shape = [draw.randint(1, 4), classes]
    else:
        shape = [draw.randint(1, 4), classes, *[draw.randint(1, 4) for _ in range(draw.randint(0, 2))]]
    options: dict[str, Any] = {"weight": torch.rand(classes)} if draw.maybe(0.2) else {}
    if name == "CrossEntropyLoss" and draw.maybe(0.3):
        return nn.CrossEntropyLoss(reduction=reduction, **options), draw.tensor(shape), draw.tensor(shape)
    if name == "CrossEntropyLoss" and draw.maybe(0.3):
        options["label_smoothing"] = 0.1
    target = draw.tensor([shape[0], *shape[2:]], torch.int64, classes)
    return getattr(nn, name)(reduction=reduction, **options), draw.tensor(shape), target


def label_loss(name: str, draw: Draw) -> Made:
    shape = [draw.randint(1, 4), draw.randint(1, 4)]
    dtype = torch.int64 if name == "MultiLabelMarginLoss" else None
    module = getattr(nn, name)(reduction=draw.choice(("none", "mean")))
    return module, draw.tensor(shape), draw.tensor(shape, dtype, shape[1])


def pair_loss(name: str, draw: Draw) -> Made:
    shape = [draw.randint(1, 4), draw.randint(1, 4)]
    module = getattr(nn, name)(reduction=draw.choice(("none", "mean")))
    if name == "CosineEmbeddingLoss":
        return module, draw.tensor(shape), draw.tensor(shape), torch.ones(shape[0])
    if name == "MarginRankingLoss":
        return module, draw.tensor(shape), draw.tensor(shape), torch.ones(shape)
    return module, draw.tensor(shape), draw.tensor(shape), draw.tensor(shape)


def temporal_loss(draw: Draw) -> Made:
    steps, samples, classes = 6, draw.randint(1, 3), draw.randint(3, 5)
    lengths = torch.full((samples,), steps), torch.full((samples,), 2)
    target = draw.tensor([samples, 2], torch.int64, classes - 1) + 1
    module = nn.CTCLoss(reduction=draw.choice(("none", "mean", "sum")))
    return module, draw.tensor([steps, samples, classes]), target, *lengths


def adaptive_softmax(draw: Draw) -> Made:
    module = nn.AdaptiveLogSoftmaxWithLoss(6, 20, [5, 10])
    return _LogProbabilities(module), draw.tensor([draw.randint(1, 4), 6])


class _LogProbabilities(nn.Module):
    """Of every class: which clusters the targets are in is for their values to say."""

    def __init__(self, module: nn.AdaptiveLogSoftmaxWithLoss) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module.log_prob(x)


def shuffle(name: str, draw: Draw) -> Made:
    factor = draw.randint(1, 3)
    if name == "PixelShuffle":
        shape = [draw.batch(), draw.randint(1, 2) * factor**2, draw.randint(1, 4), draw.randint(1, 4)]
    elif name == "PixelUnshuffle":
        shape = [draw.batch() or 1, draw.randint(1, 4), factor * draw.randint(1, 3), factor * draw.randint(1, 3)]
    else:
        shape = [draw.batch(), factor * draw.randint(1, 3), *draw.space(draw.randint(1, 3), 1, 4)]
    return getattr(nn, name)(factor), draw.tensor(shape)


#: Of upsampling, with how many dimensions of space.
MODES = (
    *(("nearest", 1), ("nearest", 2), ("nearest", 3), ("nearest-exact", 2), ("linear", 1)),
    *(("bilinear", 2), ("bicubic", 2), ("trilinear", 3), ("area", 2)),
)


def upsample(name: str, draw: Draw) -> Made:
    if name != "Upsample":
        return getattr(nn, name)(scale_factor=draw.choice((0.5, 1.5, 2))), draw.image(2, draw.channels(), batched=True)
    mode, rank = draw.choice(MODES)
    smooth = mode.endswith(("linear", "cubic"))
    options: dict[str, Any] = {"align_corners": draw.choice((None, True, False))} if smooth else {}
    if draw.maybe():
        options["scale_factor"] = draw.choice((0.5, 1.5, 2.0))
    else:
        options["size"] = draw.sizes(rank, 2, 9)
    if mode == "area":
        return Calling(functools.partial(F.interpolate, mode=mode, **options)), draw.image(
            rank, draw.channels(), batched=True
        )
    return nn.Upsample(mode=mode, **options), draw.image(rank, draw.channels(), batched=True)


def fold(draw: Draw) -> Made:
    channels, samples = draw.randint(1, 3), draw.randint(1, 3)
    return nn.Fold((4, 5), 2), draw.tensor([samples, 4 * channels, 12])


def unfold(draw: Draw) -> Made:
    return nn.Unfold(draw.sizes(2, 1, 3), padding=draw.randint(0, 1), stride=draw.sizes(2, 1, 2)), draw.image(
        2, draw.channels()
    )


def flatten(draw: Draw) -> Made:
    shape = draw.any_shape(1)
    start = draw.randrange(len(shape))
    return nn.Flatten(start, draw.randrange(start, len(shape))), draw.tensor(shape)


def unflatten(draw: Draw) -> Made:
    shape = draw.any_shape(1)
    dim = draw.randrange(len(shape))
    shape[dim] *= 2
    return nn.Unflatten(dim, draw.choice(((2, -1), (-1, 2)))), draw.tensor(shape)


def similarity(name: str, draw: Draw) -> Made:
    shape = draw.any_shape(2)
    options: dict[str, Any] = (
        {"dim": draw.randrange(len(shape))} if name == "CosineSimilarity" else {"keepdim": draw.maybe()}
    )
    return getattr(nn, name)(**options), draw.tensor(shape), draw.tensor(shape)


def chain(draw: Draw) -> Made:
    """Layers one after the other on pictures: does a layout come through?"""
    rank, channels = draw.choice((1, 2, 2, 2, 3)), draw.choice((4, 8))

    def layer() -> nn.Module:
        kernel = draw.choice((1, 3))
        conv, norm, pool = (
            getattr(nn, f"{name}{rank}d") for name in ("Conv", "BatchNorm", draw.choice(("AvgPool", "MaxPool")))
        )
        return draw.choice(
            (
                lambda: conv(channels, channels, kernel, padding=kernel // 2, groups=draw.choice((1, 4))),
                lambda: norm(channels),
                lambda: nn.GroupNorm(2, channels),
                lambda: pool(3, 1, 1),
                lambda: nn.ReLU(draw.maybe()),
                lambda: draw.choice((nn.SiLU, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.Mish, nn.Softplus))(),
                lambda: nn.PReLU(channels),
                lambda: nn.Upsample(scale_factor=2),
                lambda: Calling(lambda x: x + x.mean((-1,), keepdim=True)),
                lambda: Calling(lambda x: torch.cat([x, x * 2], 1)[:, ::2]),
                lambda: Calling(lambda x: x.movedim(1, -1).softmax(-1).movedim(-1, 1)),
                lambda: Calling(lambda x: torch.cat(x.chunk(2, 1)[::-1], 1)),
                lambda: nn.Dropout(0.1),
                lambda: nn.ConstantPad1d(1, 0.0),
                lambda: nn.LocalResponseNorm(2),
            )
        )()

    return nn.Sequential(*(layer() for _ in range(draw.randint(2, 6)))), draw.image(rank, channels, 5, batched=True)


def asking(draw: Draw) -> Made:
    """A forward that goes by the layout of what it gets."""

    class Asking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.straight, self.crooked = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            y = self.straight(x) if x.is_contiguous() else self.crooked(x)
            return self.straight(x) + y.sum() if mask.is_contiguous() else y

    shape = [*draw.any_shape(0, 4), 4]
    return Asking(), draw.tensor(shape), draw.tensor(shape, draw.choice((torch.bool, torch.int64)))


def one(name: str, function: Callable[..., Any], count: int, draw: Draw) -> Made:
    """A function of tensors of one shape, or of shapes that are broadcast to it."""
    shape = draw.any_shape(2)

    def smaller() -> list[int]:
        return [1 if draw.maybe(0.3) else size for size in shape[draw.choice((0, 0, 0, 1)) :]]

    module = Calling(function)
    module.extra_repr = lambda: name  # type: ignore[method-assign]
    return module, draw.tensor(shape), *(draw.tensor(smaller()) for _ in range(count - 1))


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "abs": torch.abs,
        "amax": lambda x: x.amax(-1),
        "any": lambda x: (x > 0).any(1),
        "argmax": lambda x: x.argmax(1),
        "argsort": lambda x: x.argsort(1),
        "bool": lambda x: x.bool(),
        "cat": lambda x: torch.cat([x, x], 1),
        "channels_last": lambda x: x.to(memory_format=torch.channels_last) if x.dim() == 4 else x.clone(),
        "chunk": lambda x: x.chunk(2, 1),
        "clamp": lambda x: x.clamp(0.1, 0.9),
        "clone": torch.clone,
        "contiguous": lambda x: x.contiguous(),
        "cumsum": lambda x: x.cumsum(1),
        "double": lambda x: x.double(),
        "empty_like": lambda x: torch.zeros_like(x),
        "erf": torch.erf,
        "flip": lambda x: x.flip(1),
        "float": lambda x: x.float(),
        "gather": lambda x: x.gather(1, x.argsort(1)),
        "index": lambda x: x[:, [0, 0]],
        "index_select": lambda x: x.index_select(1, torch.tensor([0, 0])),
        "logsumexp": lambda x: x.logsumexp(1),
        "mask": lambda x: x.masked_fill(x > 0.5, 0.0),
        "matmul": lambda x: x @ x.mT,
        "max": lambda x: x.max(1),
        "mean": lambda x: x.mean(-1, keepdim=True),
        "movedim": lambda x: x.movedim(1, -1).clone(),
        "new_zeros": lambda x: x.new_zeros(x.shape),
        "norm": lambda x: F.normalize(x, dim=1),
        "one_hot": lambda x: F.one_hot((x * 4).long(), 5),
        "pad": lambda x: F.pad(x, (1, 1), value=0.5),
        "pow": lambda x: x**2,
        "prod": lambda x: x.prod(1),
        "repeat": lambda x: x.repeat(2, *[1] * (x.dim() - 1)),
        "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
        "reshape": lambda x: x.reshape(x.shape[0], -1),
        "roll": lambda x: x.roll(1, 1),
        "softmax float": lambda x: x.softmax(-1, dtype=torch.float32),
        "sort": lambda x: x.sort(1),
        "square": torch.square,
        "std": lambda x: x.std(1),
        "sum": lambda x: x.sum(1),
        "topk": lambda x: x.topk(1, 1),
        "tril": torch.tril,
        "unbind": lambda x: x.unbind(1),
        "var_mean": lambda x: torch.var_mean(x, 1, keepdim=True),
        "unfold": lambda x: x.unfold(1, 1, 1).clone(),
        "where number": lambda x: torch.where(x > 0.5, x, 0.0),
    }
)

FUNCTIONS_OF_TWO: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "add": torch.add,
        "addcmul": lambda x, y: torch.addcmul(x, x, y),
        "bmm": lambda x, y: torch.einsum("...ij,...kj->...ik", x, y),
        "cat two": lambda x, y: torch.cat([x, y.expand_as(x)], 1),
        "distance": lambda x, y: torch.cdist(x, y),
        "div": torch.div,
        "eq": torch.eq,
        "lerp": lambda x, y: torch.lerp(x, y, 0.5),
        "logical": lambda x, y: (x > 0.5) & (y > 0.5),
        "maximum": torch.maximum,
        "mul": torch.mul,
        "mul in place": lambda x, y: x.clone().mul_(y),
        "multiplied with ones": lambda x, y: torch.ones_like(x) * y,
        "pow": torch.pow,
        "stack": lambda x, y: torch.stack([x, y.expand_as(x)], 1),
        "sub scaled": lambda x, y: torch.sub(y, x, alpha=2),
        "where": lambda x, y: torch.where(x > 0.5, x, y),
        "attention": lambda x, y: F.scaled_dot_product_attention(x, y.expand_as(x), x),
    }
)


def _made(maker: Callable[..., Made], *arguments: Any) -> Callable[[Draw], Made]:
    return functools.partial(maker, *arguments)


def _named(maker: Callable[..., Made], names: str) -> dict[str, Callable[[Draw], Made]]:
    return {name: _made(maker, name) for name in names.split()}


RANKS = (1, 2, 3)

#: Name -> what draws a module of that name.
MAKERS: Mapping[str, Callable[[Draw], Made]] = MappingProxyType(
    {
        **{f"Conv{n}d": _made(convolution, n, False) for n in RANKS},
        **{f"ConvTranspose{n}d": _made(convolution, n, True) for n in RANKS},
        **{
            f"{kind}Pool{n}d": _made(pooling, kind, n)
            for kind in ("Max", "Avg", "LP", "AdaptiveAvg", "AdaptiveMax")
            for n in RANKS
        },
        **{f"FractionalMaxPool{n}d": _made(fractional, n) for n in (2, 3)},
        **{f"MaxUnpool{n}d": _made(unpooling, n) for n in RANKS},
        **{
            f"{kind}Pad{n}d": _made(padding, kind, n)
            for kind in ("Reflection", "Replication", "Zero", "Constant", "Circular")
            for n in RANKS
        },
        **_named(
            activation,
            "CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid Mish ReLU ReLU6 "
            "RReLU SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink Threshold",
        ),
        "GLU": gated,
        "PReLU": prelu,
        **_named(softmax, "Softmax LogSoftmax Softmin Softmax2d"),
        **_named(dropout, "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout"),
        **{f"{kind}Norm{n}d": _made(batch_norm, kind, n) for kind in ("Batch", "Instance") for n in RANKS},
        "GroupNorm": group_norm,
        **_named(layer_norm, "LayerNorm RMSNorm"),
        "LocalResponseNorm": response_norm,
        "CrossMapLRN2d": cross_map,
        "Linear": linear,
        "Bilinear": bilinear,
        "Embedding": embedding,
        "EmbeddingBag": embedding_bag,
        **_named(recurrent, "RNN LSTM GRU"),
        **_named(cell, "RNNCell LSTMCell GRUCell"),
        "MultiheadAttention": attention,
        "TransformerEncoder": encoder,
        "TransformerDecoderLayer": decoder,
        "Transformer": transformer,
        **_named(
            loss,
            "L1Loss MSELoss PoissonNLLLoss GaussianNLLLoss KLDivLoss BCELoss BCEWithLogitsLoss HingeEmbeddingLoss "
            "HuberLoss SmoothL1Loss SoftMarginLoss",
        ),
        **_named(class_loss, "CrossEntropyLoss NLLLoss MultiMarginLoss"),
        **_named(label_loss, "MultiLabelMarginLoss MultiLabelSoftMarginLoss"),
        **_named(pair_loss, "CosineEmbeddingLoss MarginRankingLoss TripletMarginLoss TripletMarginWithDistanceLoss"),
        "CTCLoss": temporal_loss,
        "AdaptiveLogSoftmaxWithLoss": adaptive_softmax,
        **_named(shuffle, "PixelShuffle PixelUnshuffle ChannelShuffle"),
        **_named(upsample, "Upsample UpsamplingNearest2d UpsamplingBilinear2d"),
        "Fold": fold,
        "Unfold": unfold,
        "Flatten": flatten,
        "Unflatten": unflatten,
        **_named(similarity, "CosineSimilarity PairwiseDistance"),
        **{f"Sequential {n}": chain for n in range(12)},
        **{f"is_contiguous {n}": asking for n in range(2)},
        **{f"function {name}": _made(one, name, function, 1) for name, function in FUNCTIONS.items()},
        **{f"functions {name}": _made(one, name, function, 2) for name, function in FUNCTIONS_OF_TWO.items()},
    }
)
