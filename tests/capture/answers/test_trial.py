"""Calls that torch's meta kernels answer, and its own kernels refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.calling import Calling
from checks.releases import file_since
from torch import nn
from torch.nn import functional as F

import thoplw

file_since("2.9")  # older releases lack meta kernels, and refuse other calls

X = torch.rand(2, 3, 128, 128)  # large: only its dtype can be refused
S = torch.rand(2, 7, 8)
W = torch.rand(4, 3, 3, 3)
AT = torch.zeros(2, dtype=torch.int64)
DOUBLE, COMPLEX = torch.float64, torch.complex64

#: What torch says, by function and arguments. Those of two dtypes are refused whatever their size is.
REFUSED: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "weights of another dtype": (F.conv2d, (X, W.double())),
    "bytes for an image": (F.conv2d, (X.byte(), W)),
    "halves for an image": (F.conv2d, (X.half(), W)),
    "transposed": (lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1)), (X.double(), W)),
    "linear": (lambda x, w: F.linear(x, w), (X, torch.rand(5, 128).double())),
    "linear of halves": (lambda x, w: F.linear(x, w), (X.half(), torch.rand(5, 128))),
    "bias": (F.linear, (X, torch.rand(5, 128), torch.rand(5).double())),
    "matrices": (lambda x: x @ x.double(), (X,)),
    "batches of matrices": (lambda x: torch.bmm(x[0], x[0].double()), (X,)),
    "matrix and vector": (lambda x: x[0, 0] @ x[0, 0, 0].double(), (X,)),
    "sum and product": (lambda x: torch.addmm(x[0, 0].double(), x[0, 0], x[0, 0]), (X,)),
    "batch norm": (lambda x, mean: F.batch_norm(x, mean, mean), (X, torch.rand(3).double())),
    "layer norm": (lambda x, w: F.layer_norm(x, (128,), w, w), (X, torch.rand(128).double())),
    "group norm": (lambda x, w: F.group_norm(x, 3, w, w), (X, torch.rand(3).double())),
    "heads": (lambda x: nn.MultiheadAttention(128, 4)(x, x, x)[0], (X[0].double(),)),
    "grid": (lambda x, at: F.grid_sample(x, at, align_corners=False), (X, torch.rand(2, 5, 5, 2).double())),
    "added rows": (lambda x, at: x.index_add(0, at, x.double()), (X, AT)),
    "copied rows": (lambda x, at: x.index_copy(0, at, x.double()), (X, AT)),
    "put rows": (lambda x, at: x.index_put((at,), x.double()), (X, AT)),
    "put rows of another size": (lambda x, at: x.index_put((at,), x[:, :2]), (X, AT)),
    "targets of int32": (lambda x, target: F.cross_entropy(x[0, 0, :2], target), (X, AT.int())),
    "targets out of range": (lambda x, target: F.multi_margin_loss(x[0, 0, :2], target), (X, AT + 128)),
    "label that is not there": (
        lambda x, target: F.ctc_loss(x[0, :, :2].log_softmax(-1), target[:, None], (3, 3), (1, 1), blank=128),
        (X, AT),
    ),
    "complex probabilities": (lambda x: x.to(COMPLEX).softmax(0), (X,)),
    "complex pools": (lambda x: F.avg_pool2d(x.to(COMPLEX), 2), (X,)),
    "complex order": (lambda x: x.to(COMPLEX).topk(2)[0], (X,)),
    "complex comparison": (lambda x: x.to(COMPLEX) < 0, (X,)),
    "whole probabilities": (lambda x: x.long().softmax(0), (X,)),
    "deviation of integers": (lambda x: x.long().std(), (X,)),
    "whole images": (lambda x: F.interpolate(x.long(), scale_factor=0.5), (X,)),
    "gelu of integers": (lambda x: F.gelu(x.long()), (X,)),
    "difference of booleans": (lambda x: (x > 0) - (x > 0), (X,)),
    # Of few elements the shapes are tried as well.
    "mixed shapes of a loss": (lambda x: F.soft_margin_loss(x, x[None]), (S,)),
    "pivots": (lambda x: torch.linalg.lu(x, pivot=False)[1], (S,)),
    "dimension of a number": (lambda x: x.sum().cummax(1)[0], (S,)),
    "mask over scores": (lambda x: F.scaled_dot_product_attention(x, x, x, torch.zeros(6)), (S,)),
    "unshuffling of nothing": (lambda x: F.pixel_unshuffle(x[:, :0], 3), (S,)),
    "weights of bins": (lambda x: torch.histogram(x, 3, weight=x[0])[0], (S,)),
    "padding of an output": (
        lambda x: F.conv_transpose3d(x[None, None], x[None, None], output_padding=(0, 0, 9)),
        (S,),
    ),
    "floats for a mask": (lambda x: x.masked_select(x), (S,)),
    "reduction": (lambda x, at: x.index_reduce(0, at, x, "bogus"), (S, AT)),
    "transform of nothing": (lambda x: torch.fft.fft(x[:, :0], dim=0), (S,)),
    "mask of another length": (lambda x, mask: x[:, mask], (S, torch.ones(8, dtype=torch.bool))),
    "mask of unknown values": (lambda x: x[x[..., :5] > 0], (S,)),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_kernels_refuse_is_refused(case: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
    function, given = case
    with torch.no_grad(), pytest.raises((RuntimeError, IndexError)):
        function(*given)
    with pytest.raises((thoplw.InputError, RuntimeError, IndexError)) as caught:
        thoplw.profile(Calling(function), given)
    assert "no meta kernel" not in str(caught.value)


TAKEN: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "expanded": (lambda x: F.cosine_similarity(x, x + 1), (torch.ones(3, 1).expand(3, 4),)),
    "expanded matrix": (torch.linalg.inv_ex, (torch.eye(3).expand(2, 3, 3),)),
    "windows": (lambda x: torch.cdist(x, x).logcumsumexp(0), (torch.arange(8.0).unfold(0, 4, 1),)),
    "factors of a matrix": (lambda x: torch.linalg.cholesky(x @ x.mT + torch.eye(7)), (S,)),
    "inverse": (lambda x: torch.linalg.inv(x @ x.mT + torch.eye(7)), (S,)),
    "solution": (lambda x: torch.linalg.solve(x @ x.mT + torch.eye(7), x), (S,)),
    "integers and floats": (lambda x: x + x.long(), (S,)),
    "floats and doubles": (lambda x: x * x.double(), (S,)),
    "halves normed by floats": (lambda x, w: F.layer_norm(x.half(), (8,), w, w), (S, torch.ones(8))),
    "halves, which GPUs have": (lambda x: torch.special.i0(x.half()), (S,)),
    "factors": (lambda x: torch.linalg.lu_factor(x @ x.mT)[0], (S,)),
    "symmetric factors": (lambda x: torch.linalg.ldl_factor(x @ x.mT)[0], (S,)),
    "vectors of right sides": (lambda x: torch.linalg.lstsq(x, x[..., 0])[0], (S,)),
    "place from the end": (lambda x, at: x.index_fill(0, at, 0.0), (S, torch.tensor([-1]))),
    "mean of nothing": (lambda x: F.adaptive_avg_pool1d(x[..., :0], 1), (S,)),
    "ratio of nothing": (lambda x: F.fractional_max_pool2d(x, 2, output_ratio=(0.0, 0.5)), (S,)),
    "parts of a larger memory": (lambda x: x[1:].as_strided((2, 2), (1, 1)), (S,)),
    "probabilities": (lambda x: F.binary_cross_entropy(x.sigmoid(), x.sigmoid()), (S,)),
    "draws": (lambda x: x[0].softmax(-1).multinomial(2), (S,)),
    "a batch of nothing": (lambda x: nn.LSTM(8, 2, batch_first=True)(x[:0])[0], (S,)),
    "quantiles": (lambda x: x.quantile(x[0, 0, :2].sigmoid(), dim=1), (S,)),
    "bins": (lambda x: torch.histc(x, 4), (S,)),
    "segments": (lambda x, n: torch.segment_reduce(x[0], "sum", lengths=n), (S, torch.tensor([3, 4]))),
}


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_what_kernels_take_is_taken(case: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
    function, given = case
    with torch.no_grad():
        function(*given)
    thoplw.profile(Calling(function), given, verbose=False)


def test_an_index_whose_values_are_lost_may_be_any() -> None:
    """What was to be written to it is not known, and what is there instead is not used."""

    def look_up(x: torch.Tensor) -> torch.Tensor:
        at = torch.full((2,), 99)
        at[:] = x[0, 0, :2].long()
        return x[0].index_copy(0, at, x[0, :2])

    thoplw.profile(Calling(look_up), S, verbose=False)


def test_the_model_and_chance_are_as_before() -> None:
    """A kernel that writes to its arguments is tried on others; one that draws is not tried at all."""
    model = nn.Sequential(nn.BatchNorm1d(7), nn.RReLU(), nn.Dropout()).double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    thoplw.profile(model, S.double(), mode="train", verbose=False)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_operators_of_others_are_not_tried() -> None:
    """A kernel of somebody else may do more than compute."""
    ran = []

    @torch.library.custom_op("thoplw_tests::noted", mutates_args=())
    def noted(x: torch.Tensor) -> torch.Tensor:
        ran.append(x)
        return x.clone()

    noted.register_fake(torch.empty_like)
    thoplw.profile(Calling(noted), S, verbose=False)
    assert not ran
