"""What torch refuses on real tensors has no figure, and an error that says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.calling import Calling
from checks.releases import older
from torch import nn
from torch.nn import functional as F

import thoplw
from thoplw.capture import capture
from thoplw.capture.answers.refusals import OF_SHAPES
from thoplw.shapes import RULES
from thoplw.shapes.common import contiguous

X = torch.zeros(2, 3, 8, 8)
ROWS = torch.zeros(5, 4)
W = torch.zeros(4, 3, 3, 3)

#: More than is tried on real kernels.
LARGE = torch.zeros(2, 3, 160, 160)

#: A function and its arguments, with what the error says of them.
REFUSED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "negative padding": (lambda x, w: F.conv2d(x, w, padding=-1), (X, W), "padding is (-1, -1)"),
    "negative dilation": (lambda x, w: F.conv2d(x, w, dilation=-1), (X, W), "dilation is (-1, -1)"),
    "stride of nothing": (lambda x, w: F.conv2d(x, w, stride=0), (X, W), "stride is (0, 0)"),
    "transposed": (
        lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), padding=-1),
        (X, W),
        "padding is (-1, -1)",
    ),
    "unknown approximation": (lambda x: F.gelu(x, approximate="bogus"), (X,), "'bogus'"),
    "id outside of a vocabulary": (lambda w, ids: F.embedding(ids, w), (ROWS, torch.tensor([0, 5])), "index 5"),
    "negative id": (lambda w, ids: F.embedding(ids, w), (ROWS, torch.tensor([-1])), "index -1"),
    "bag": (
        lambda w, ids: F.embedding_bag(ids, w, torch.tensor([0])),
        (ROWS, torch.tensor([7])),
        "index 7",
    ),
    "index": (lambda x, at: x[at], (ROWS, torch.tensor([5])), "index 5"),
    "second index": (lambda x, at: x[:, at], (ROWS, torch.tensor([-5])), "index -5"),
    "gather": (lambda x, at: x.gather(1, at), (ROWS, torch.tensor([[4]])), "index 4"),
    "gather by an expanded index": (
        lambda x, at: x.gather(1, at.expand(5, 2)),
        (ROWS, torch.tensor([[0], [1], [4], [2], [3]])),
        "index 4",
    ),
    "scatter": (
        lambda x, at: x.scatter_add(0, at, torch.ones(1, 1)),
        (ROWS, torch.tensor([[9]])),
        "index 9",
    ),
    "class": (lambda x, target: F.cross_entropy(x, target), (ROWS, torch.tensor([0, 1, 2, 3, 4])), "index 4"),
    "draws": (lambda x: x.multinomial(5), (torch.ones(4),), "5 samples"),
    "dtypes of probabilities": (
        F.binary_cross_entropy,
        (torch.full((3,), 0.5), torch.ones(3, dtype=torch.float64)),
        "torch.float32, and the target of torch.float64",
    ),
    "convolution of nothing": (F.conv2d, (X[:, :, :0], W), "(2, 3, 0, 8)"),
    "padded convolution of nothing": (lambda x, w: F.conv2d(x, w, padding=3), (X[..., :0], W), "(2, 3, 8, 0)"),
    "transposed convolution of nothing": (F.conv_transpose2d, (X[:, :, :0], W[:3]), "(2, 3, 0, 8)"),
    "no channels": (F.conv_transpose2d, (X[:, :0], W[:3]), "0 channels, and the weight takes 3"),
    "pooling of nothing": (lambda x: F.adaptive_avg_pool2d(x, 2), (X[:, :, :0],), "(2, 3, 0, 8)"),
    **{
        f"upsampling of nothing, {mode}": (
            lambda x, mode=mode: F.interpolate(x, scale_factor=2, mode=mode),
            (X[:, :, :0],),
            "(2, 3, 0, 8)",
        )
        for mode in ("nearest", "bilinear", "bicubic")
    },
    "no steps": (lambda x: nn.LSTM(4, 2)(x)[0], (torch.ones(0, 3, 4),), "no steps"),
    "no steps, batch first": (lambda x: nn.GRU(4, 2, batch_first=True)(x)[0], (torch.ones(3, 0, 4),), "no steps"),
    "groups": (lambda x, w: F.conv2d(x[:, :2], w[:3, :1], groups=2), (X, W), "(3, 1, 3, 3) cannot be divided into 2"),
    "padding of an output": (
        lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), output_padding=2),
        (X, W),
        "output_padding is (2, 2)",
    ),
    "largest of nothing": (lambda x: x[:0].max(0), (ROWS,), "dimension 0 of (0, 4) has no elements"),
    "smallest of all of nothing": (lambda x: x[:0].min(), (ROWS,), "(0, 4) has no elements"),
    "median of nothing": (lambda x: x[:, :0].median(-1), (ROWS,), "dimension -1 of (5, 0)"),
    "mode of nothing": (lambda x: x[:0].mode(0), (ROWS,), "dimension 0 of (0, 4)"),
    "no such dimension": (lambda x: x.softmax(5), (ROWS,), "no dimension 5 in (5, 4)"),
    "take": (lambda x, at: x.take(at), (ROWS, torch.tensor([20])), "index 20"),
    "put": (lambda x, at: x.index_put((at,), torch.ones(1)), (ROWS, torch.tensor([7])), "index 7"),
    "first bag": (
        lambda w, starts: F.embedding_bag(torch.tensor([0, 1]), w, starts),
        (ROWS, torch.tensor([1, 0])),
        "begins at 1",
    ),
    "last bag": (
        lambda w, starts: F.embedding_bag(torch.tensor([0, 1]), w, starts),
        (ROWS, torch.tensor([0, 3])),
        "begins at 3",
    ),
    "place in a number": (lambda x, at: x.sum().gather(0, at), (ROWS, torch.tensor(1)), "index 1"),
    "bias of a convolution": (F.conv2d, (LARGE, W, torch.zeros(3)), "(3,) is not one number for each of 4"),
    "rank of a bias": (F.conv2d, (LARGE, W, torch.zeros(1, 4)), "(1, 4) is not one number"),
    "bias of a transposed convolution": (
        lambda x, w, b: F.conv_transpose2d(x, w.transpose(0, 1), b),
        (LARGE, W, torch.zeros(3)),
        "(3,) is not one number",
    ),
    "no groups": (lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), groups=0), (LARGE, W), "into 0 groups"),
    "negative padding of an output": (
        lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), output_padding=-1),
        (LARGE, W),
        "output_padding is (-1, -1)",
    ),
    "steps of a volume": (lambda x, w: F.conv2d(x, w, stride=(1, 1, 1)), (LARGE, W), "one number or 2"),
    "unfolding": (lambda x: F.unfold(x, 3, padding=-1), (LARGE,), "padding is (-1, -1)"),
    "windows without elements": (
        lambda x: F.max_pool3d(x, 2, dilation=0),
        (LARGE[:, :, None],),
        "dilation is (0, 0, 0)",
    ),
    "windows at random": (lambda x: F.fractional_max_pool2d(x, -2, 9), (LARGE,), "kernel_size is (-2, -2)"),
    "part": (lambda x: x.select_scatter(x, 0, 0), (LARGE,), "does not fit the part, of shape (3, 160, 160)"),
    "slice": (lambda x: x.slice_scatter(x, 0, 0, 1), (LARGE,), "does not fit the part, of shape (1, 3, 160, 160)"),
    "diagonal": (lambda x: x.diagonal_scatter(x), (LARGE,), "of shape (160, 160, 2)"),
    "order": (lambda x: x.sort(9)[0], (LARGE,), "no dimension 9"),
    "smoothness": (lambda x: F.smooth_l1_loss(x, x, beta=-1), (LARGE,), "beta is -1"),
    "side": (lambda x: torch.searchsorted(x[0, 0, 0], x, side="top"), (LARGE,), "'top'"),
    "probability": (lambda x: torch.dropout(x, 2.0, False), (LARGE,), "2.0 is no probability"),
    "probability of attention": (
        lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=-1.0),
        (LARGE,),
        "-1.0 is no probability",
    ),
    "division": (lambda x: F.celu(x, 0.0), (LARGE,), "alpha is 0"),
    "driver": (lambda x: torch.linalg.lstsq(x, x, driver="car")[0], (LARGE,), "'car'"),
    "equations": (lambda x: torch.linalg.lstsq(x, x[..., :9, :])[0], (LARGE,), "160 equations and 9 right sides"),
    "index of two dimensions": (
        lambda x, at: x.index_select(0, at),
        (LARGE, torch.zeros(2, 2, dtype=torch.int64)),
        "2 dimensions",
    ),
    "index of floats": (lambda x: x.index_select(0, x[0, 0, 0]), (LARGE,), "not of integers"),
    "boundaries": (lambda x, edges: torch.bucketize(x, edges), (ROWS, ROWS), "2 dimensions"),
}


if older("2.1"):
    del REFUSED["no steps"]  # an LSTM takes it


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_torch_refuses_is_refused(case: tuple[Callable[..., Any], tuple[Any, ...], str]) -> None:
    function, given, words = case
    with pytest.raises((RuntimeError, IndexError)):
        function(*given)
    with pytest.raises(thoplw.InputError) as caught:
        thoplw.profile(Calling(function), given)
    assert words in str(caught.value)
    assert "refused by torch" in str(caught.value)


TAKEN: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "last id": (lambda w, ids: F.embedding(ids, w), (ROWS, torch.tensor([0, 4]))),
    "no ids": (lambda w, ids: F.embedding(ids, w), (ROWS, torch.zeros(0, dtype=torch.int64))),
    "from the end": (lambda x, at: x[at], (ROWS, torch.tensor([-5, 4]))),
    "a mask, and an index behind it": (
        lambda x, mask, at: x[mask, at],
        (torch.zeros(2, 3, 9), torch.ones(2, 3, dtype=torch.bool), torch.tensor([8])),
    ),
    "a class to ignore": (lambda x, target: F.cross_entropy(x, target), (ROWS, torch.tensor([0, 1, 2, 3, -100]))),
    "classes of positions": (
        lambda x, target: F.cross_entropy(x, target),
        (torch.zeros(2, 5, 7), torch.full((2, 7), 4)),
    ),
    "gelu by tanh": (lambda x: F.gelu(x, approximate="tanh"), (X,)),
    "draws with replacement": (lambda x: x.multinomial(5, replacement=True), (torch.ones(4),)),
    "a batch of nothing": (F.conv2d, (X[:0], W)),
    "upsampling of a batch of nothing": (lambda x: F.interpolate(x, scale_factor=2), (X[:0],)),
    "sequences of a batch of nothing": (lambda x: nn.LSTM(4, 2)(x)[0], (torch.ones(3, 0, 4),)),
    "median of all of nothing": (lambda x: x[:0].median(), (ROWS,)),
    "largest along what there is": (lambda x: x[:0].max(1), (ROWS,)),
    "larger of nothing": (lambda x: torch.max(x[:0], x[:0]), (ROWS,)),
    "take from the end": (lambda x, at: x.take(at), (ROWS, torch.tensor([-20, 19]))),
    "softmax of a number": (lambda x: x.sum().softmax(0), (ROWS,)),
    "groups": (lambda x, w: F.conv2d(x, w[:3, :1], groups=3), (X, W)),
    "padding of an output": (
        lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), stride=2, output_padding=1),
        (X, W),
    ),
    "the same padding": (lambda x, w: F.conv2d(x, w, padding="same"), (X, W)),
}


if older("2.1"):
    # These have no meta kernel.
    for name in ("classes of positions", "draws with replacement", "median of all of nothing", "take from the end"):
        del TAKEN[name]


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_what_torch_takes_is_taken(case: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
    function, given = case
    function(*given)
    thoplw.profile(Calling(function), given, verbose=False)


_IMAGE, _EMPTY, _WEIGHT, _SIGNALS, _VOLUMES = (
    contiguous(shape, "float32") for shape in ((1, 4, 5, 5), (1, 4, 0, 5), (4, 4, 3, 3), (1, 0, 5), (1, 2, 0, 5, 5))
)

#: Operator -> arguments that its check refuses.
_CHECKED: dict[str, tuple[Any, ...]] = {
    **{f"conv{rank}d": (_IMAGE, _WEIGHT, None, (1, 1), (-1, 0), (1, 1), 1) for rank in (1, 2, 3)},
    "convolution": (_IMAGE, _WEIGHT, None, (0, 1), (0, 0), (1, 1), False, (0, 0), 1),
    "adaptive_avg_pool2d": (_EMPTY, (1, 1)),
    **{f"upsample_{mode}2d": (_EMPTY, (2, 2)) for mode in ("bicubic", "bilinear", "nearest")},
    **{f"upsample_{mode}1d": (_SIGNALS, (2,)) for mode in ("linear", "nearest")},
    **{f"upsample_{mode}3d": (_VOLUMES, (2, 2, 2)) for mode in ("nearest", "trilinear")},
    **dict.fromkeys(("softmax", "_softmax", "log_softmax"), (_IMAGE, 4, False)),
    "gelu": (_IMAGE,),
    "celu": (_IMAGE, 0),
    **dict.fromkeys(("dropout", "dropout_", "feature_dropout"), (_IMAGE, 2.0, False)),
    "max_pool3d_with_indices": (_VOLUMES, (2, 2, 2), (2, 2, 2), (0, 0, 0), (0, 0, 0)),
    "scaled_dot_product_attention": (_IMAGE, _IMAGE, _IMAGE, None, -1.0),
}


def test_a_shape_rule_checks_as_much() -> None:
    assert {f"aten.{name}" for name in _CHECKED} == OF_SHAPES.keys() & RULES.keys()
    for name, args in _CHECKED.items():
        assert RULES[f"aten.{name}"](*args, **({"approximate": "bogus"} if name == "gelu" else {})) is None


def test_the_error_names_the_module() -> None:
    model = nn.Sequential(nn.Embedding(10, 3))
    with pytest.raises(thoplw.InputError, match=r"module '0' \(Embedding\)"):
        thoplw.profile(model, torch.tensor([10]))


@pytest.mark.parametrize("true", [2, 3])
def test_places_of_an_expanded_mask_are_counted_as_torch_does(true: int) -> None:
    """Of 3 tokens with 4 features each, ``true`` are to be filled from 8 numbers."""

    def scatter(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return x.masked_scatter(mask[:, None].expand(3, 4), torch.ones(8))

    inputs = torch.zeros(3, 4), torch.arange(3) < true
    if true == 2:
        thoplw.profile(Calling(scatter), inputs, verbose=False)
        return
    with pytest.raises(thoplw.InputError, match="12 places for 8 elements"):
        thoplw.profile(Calling(scatter), inputs, verbose=False)


@pytest.mark.parametrize(
    "function",
    [lambda x: torch.take(x, torch.tensor([1, 2]), out=torch.empty(0)), lambda x: torch._C._nn.gelu(x, out=x.clone())],
)
def test_a_check_is_not_given_where_results_go(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert capture(Calling(function), (ROWS,), {}).outputs[0].shape == tuple(function(ROWS).shape)
    with pytest.raises(IndexError, match="out of range"):
        Calling(lambda x: torch.take(x, torch.tensor([20]), out=torch.empty(0)))(ROWS)
    with pytest.raises(thoplw.InputError, match="is refused by torch"):
        thoplw.profile(Calling(lambda x: torch.take(x, torch.tensor([20]), out=torch.empty(0))), (5, 4))
