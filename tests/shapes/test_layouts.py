"""Strides are those of torch's kernels for the CPU, of dimensions of one element too."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from checks.calling import Calling
from checks.drawn import Draw
from checks.releases import older, since
from torch import nn

from thoplw.capture import capture
from thoplw.capture.abstract import Specs
from thoplw.capture.operators import target_of
from thoplw.shapes import layout_of, layouts

aten = torch.ops.aten


def test_a_layout_example() -> None:
    image = (2, 3, 4, 5)
    assert layouts.channels_last(image) == (60, 1, 15, 3)
    assert layouts.channels_last((2, 3, 4, 5, 6)) == (360, 1, 90, 18, 3)
    assert layouts.channels_last((4, 5)) == (5, 1)
    assert layouts.broadcast((4, 1, 5), (3, 1)) == (4, 3, 5)
    assert layouts.broadcast((4, 2), (3, 1)) is None


@pytest.mark.parametrize("seed", range(150))
def test_what_torch_says_of_layouts(seed: int) -> None:
    draw = Draw(seed)
    x = draw.tensor(draw.any_shape(0 if seed % 2 else 4, 5))
    spec = Specs().of(x)
    assert layouts.preserved(spec) == torch.empty_like(x).stride() == x.clone().stride()
    assert layouts.is_dense(spec) == (torch.empty_like(x).stride() == x.stride())
    if x.dim() in (4, 5):
        kind = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
        assert layouts.channels_last(spec.shape) == torch.empty(x.shape, memory_format=kind).stride()
        assert layouts.suggested(spec, spec.shape) == torch.channel_shuffle(x, 1).stride()


def picture(draw: Draw) -> torch.Tensor:
    return draw.image(2, draw.channels(), batched=True)


def volume(draw: Draw) -> torch.Tensor:
    return draw.image(3, draw.channels(), batched=True)


def anything(draw: Draw) -> torch.Tensor:
    return draw.tensor(draw.any_shape(1))


def pair(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    shape = draw.any_shape(1)
    return draw.tensor(shape), draw.tensor([1 if draw.maybe(0.3) else size for size in shape[draw.choice((0, 0, 1)) :]])


def alike(draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    shape = draw.any_shape(1)
    return draw.tensor(shape), draw.tensor(shape)


def matrices(draw: Draw) -> torch.Tensor:
    """Of a dtype that linear algebra takes."""
    return draw.tensor([draw.randint(1, 3), 4, draw.randint(2, 5)]).float()


def convolved(rank: int, draw: Draw) -> tuple[Any, ...]:
    groups = draw.choice((1, 2))
    kernel = [draw.randint(1, 3) for _ in range(rank)]
    weight = draw.tensor([2 * groups, 3, *kernel])
    strides = [2] * rank  # else it may matter how many threads there are
    return draw.image(rank, 3 * groups), weight, None, strides, "valid", [1] * rank, groups


def normalised(draw: Draw) -> tuple[Any, ...]:
    """With weights of another dtype, which rules leave to meta kernels."""
    x = draw.image(draw.randint(0, 3), 4, batched=True)
    weight = torch.ones(4, dtype=torch.float32)
    return x, weight, weight, weight, weight, draw.maybe(), 0.1, 1e-5, False


def not_empty(draw: Draw) -> torch.Tensor:
    """Kernels of norms divide by sizes, and the process ends where one is zero."""
    x = picture(draw).float()
    return x if x.numel() else torch.ones(1, 1, 1, 1)


def in_training(draw: Draw) -> tuple[Any, ...]:
    x = not_empty(draw)
    return x, *[torch.ones(x.shape[1]) for _ in range(4)], True, 0.1, 1e-5


#: Operator -> what it is called with.
CASES: dict[Any, Callable[[Draw], Any]] = {
    aten._prelu_kernel.default: lambda draw: (x := anything(draw), torch.ones([1] * x.dim(), dtype=x.dtype)),
    aten.add.Scalar: lambda draw: (anything(draw), 2),
    aten.atan2.default: pair,
    aten.batch_norm.default: normalised,
    aten.binary_cross_entropy.default: lambda draw: (*alike(draw), None, 0),
    aten.binary_cross_entropy_with_logits.default: lambda draw: (*alike(draw), None, None, 0),
    aten.clamp.default: lambda draw: (anything(draw), 0.1, 0.9),
    aten.clone.default: anything,
    aten.constant_pad_nd.default: lambda draw: (picture(draw), [draw.randint(-2, 2) for _ in range(4)]),
    aten.conv1d.padding: lambda draw: convolved(1, draw),
    aten.conv2d.padding: lambda draw: convolved(2, draw),
    aten.conv3d.padding: lambda draw: convolved(3, draw),
    aten.deg2rad.default: anything,
    aten.flip.default: lambda draw: (anything(draw), [0]),
    aten.glu.default: lambda draw: (draw.tensor([2, *draw.any_shape(1, 3)]), 0),
    aten.group_norm.default: lambda draw: (picture(draw), 1),
    aten.floor_divide.default: pair,
    aten.floor_divide.Scalar: lambda draw: (anything(draw), 2),
    aten.gt.Scalar: lambda draw: (anything(draw), 0.5),
    aten.hardshrink.default: anything,
    aten.hardtanh.default: anything,
    aten.huber_loss.default: lambda draw: (*alike(draw), 0),
    aten._linalg_svd.default: matrices,
    aten.linalg_eig.default: lambda draw: (x := matrices(draw)) @ x.mT,
    aten.lerp.Scalar: lambda draw: (*alike(draw), 0.3),
    aten.lerp.Tensor: lambda draw: (*(two := alike(draw)), two[0]),
    aten.max_pool3d.default: lambda draw: (draw.image(3, draw.channels()), [1, draw.randint(1, 2), 1]),
    aten.max_pool3d_with_indices.default: lambda draw: (draw.image(3, draw.channels()), [1, draw.randint(1, 2), 1]),
    aten.max_unpool2d.default: lambda draw: (
        *(x := draw.tensor([2, 3, 2, draw.randint(1, 3)]), torch.zeros(x.shape, dtype=torch.int64)),
        [4, 6],
    ),
    aten.mvlgamma.default: lambda draw: (anything(draw) + 2, 2),
    aten.normal.Tensor_Tensor: alike,
    aten.normal.float_Tensor: lambda draw: (0.5, anything(draw)),
    aten.pow.Scalar: lambda draw: (2.0, anything(draw)),
    aten.mse_loss.default: lambda draw: (*alike(draw), 0),
    aten.smooth_l1_loss.default: lambda draw: (*alike(draw), 0),
    aten.soft_margin_loss.default: lambda draw: (*alike(draw), 0),
    aten.im2col.default: lambda draw: (picture(draw), [1, draw.randint(1, 2)], [1, 1], [0, 0], [1, 1]),
    aten.log_sigmoid.default: anything,
    aten.masked_fill.Scalar: lambda draw: (x := anything(draw), x > 0.5, 0),
    aten.maximum.default: pair,
    aten.log_sigmoid_forward.default: anything,
    aten.native_batch_norm.default: in_training,
    aten._batch_norm_with_update.default: lambda draw: (*(args := in_training(draw))[:5], *args[6:]),
    aten._native_batch_norm_legit.no_stats: lambda draw: (args := in_training(draw))[:3] + args[5:],
    aten.native_batch_norm_backward.default: lambda draw: (
        *((x := not_empty(draw)), x, *[torch.ones(x.shape[1])] * 5),
        *(True, 1e-5, [True] * 3),
    ),
    aten.native_group_norm.default: lambda draw: (
        *((x := not_empty(draw)), None, None, len(x), x.shape[1], math.prod(x.shape[2:])),
        *(1, 1e-5),
    ),
    aten.native_group_norm_backward.default: lambda draw: (
        *((x := not_empty(draw)), x, *[torch.ones(len(x), 1)] * 2, draw.choice((None, torch.ones(x.shape[1])))),
        *(len(x), x.shape[1], math.prod(x.shape[2:]), 1, [True] * 3),
    ),
    aten.native_layer_norm_backward.default: lambda draw: (
        *((x := anything(draw).float()), x, [x.shape[-1]], *[torch.ones(*x.shape[:-1], 1)] * 2),
        *(None, None, [True, False, False]),
    ),
    aten.nll_loss2d_forward.default: lambda draw: (
        *(draw.tensor([2, 3, 4, 5]), draw.tensor([2, 4, 5], torch.int64, 3)),
        *(None, 0, -100),
    ),
    aten.pad.default: lambda draw: (picture(draw), [1, 2, 1, 1], draw.choice(("reflect", "replicate", "circular"))),
    aten.pixel_shuffle.default: lambda draw: (draw.tensor([2, 8, 3, draw.randint(1, 3)]), 2),
    aten.pow.Tensor_Tensor: pair,
    aten.reflection_pad2d.default: lambda draw: (picture(draw), [0, 0, 0, 0]),
    aten.reflection_pad3d.default: lambda draw: (volume(draw), [0, 0, 0, 0, 0, 0]),
    aten.relu6.default: anything,
    aten.replication_pad3d.default: lambda draw: (volume(draw), [1, 1, 1, 1, 1, 1]),
    aten.roll.default: lambda draw: (anything(draw), [1]),
    aten.rrelu_with_noise.default: lambda draw: (x := anything(draw), torch.empty_like(x)),
    aten.tril.default: lambda draw: (draw.tensor(draw.any_shape(2)),),
    aten.sort.default: lambda draw: (anything(draw), 0),
}


def frozen(value: Any, specs: Specs) -> Any:
    """Arguments as records have them."""
    if isinstance(value, list):
        return tuple(frozen(each, specs) for each in value)
    return specs.of(value) if isinstance(value, torch.Tensor) else value


@since("2.1", "kernels lay some results out otherwise before")
@pytest.mark.parametrize("func", CASES, ids=str)
def test_a_layout_is_that_of_the_kernel_for_the_cpu(func: Any) -> None:
    layout, specs, compared = (
        layout_of(target_of(func), func._overloadname, torch.Tag.pointwise in func.tags),
        Specs(),
        0,
    )
    if layout is None and older("2.14"):
        pytest.skip("this torch does not say that it works element by element")
    assert layout is not None
    for seed in range(80):
        made = CASES[func](Draw(seed))
        args = made if isinstance(made, tuple) else (made,)
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                output = func(*args)
            except (NotImplementedError, RuntimeError):  # no kernel for this dtype, or nothing is left of a picture
                continue
        given = [frozen(arg, specs) for arg in args]
        for each in [output] if isinstance(output, torch.Tensor) else output:
            if each is not None and each.numel():
                assert layout(tuple(each.shape), *given) == each.stride(), (seed, given)
        compared += 1
    assert compared > 40


@since("2.4")
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(
    ("shape", "order", "normalised"),
    [
        ((4, 3, 5, 1), (3, 0, 1, 2), 2),
        ((4, 1, 3, 1), (0, 2, 1, 3), 1),
        ((1, 2), (1, 0), 2),
        ((1, 3, 4), (1, 0, 2), 2),
        ((2, 3, 4, 5), (0, 2, 3, 1), 2),
    ],
)
def test_rms_norm_keeps_strides_of_single_elements(
    shape: tuple[int, ...], order: tuple[int, ...], normalised: int, affine: bool
) -> None:
    x = torch.rand([shape[dim] for dim in order]).permute([order.index(dim) for dim in range(len(shape))])
    layer = nn.RMSNorm(shape[-normalised:], elementwise_affine=affine)
    assert capture(layer, (x,), {}).outputs[0].strides == layer(x).stride()


@since("2.2", "there was none before")
def test_positions_of_a_known_number_are_contiguous() -> None:
    find = Calling(partial(torch.nonzero_static, size=3))
    assert capture(find, (torch.eye(4),), {}).outputs[0].strides == find(torch.eye(4)).stride() == (2, 1)
