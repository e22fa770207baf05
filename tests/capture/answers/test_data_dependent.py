"""Values that decide on shapes: what is assumed is counted with, and said."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torchvision
from checks.calling import Calling
from checks.releases import since
from torch import nn

import thoplw
from thoplw.capture import capture
from thoplw.capture.answers.data_dependent import first_positions
from thoplw.capture.options import Options
from thoplw.capture.torch_internals import CAN_EXCHANGE


class Kept(nn.Module):
    """Keeps some rows, in one of many ways, and multiplies them."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.layer = nn.Linear(4, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x[:, 0] > 0
        if self.way == "mask":
            return self.layer(x[rows])
        if self.way == "nonzero":
            return self.layer(x[rows.nonzero()[:, 0]])
        if self.way == "where":
            return self.layer(x[torch.where(rows)[0]])
        if self.way == "nms":
            return self.layer(x[torchvision.ops.nms(x, x[:, 0], 0.5)])
        return self.layer(torch.masked_select(x, rows[:, None]).view(-1, 4))


@pytest.mark.parametrize("way", ["mask", "nonzero", "where", "nms", "masked_select"])
def test_every_candidate_is_kept(way: str) -> None:
    macs, _, info = thoplw.profile(nn.Sequential(Kept(way)), (3, 4), verbose=False)
    assert macs == 3 * 4 * 5
    ((statement, where),) = info.assumptions.items()
    assert (statement, where.calls, where.modules) == ("every candidate is kept", 1, ["0"])
    assert info.notes()[0].startswith("Assumed: every candidate is kept (")
    assert "Assumed: every candidate is kept" in info.summary()


@pytest.mark.parametrize("way", ["mask", "nonzero", "nms"])
def test_the_default_device_does_not_matter(way: str) -> None:
    with torch.device("meta"):
        assert thoplw.profile(Kept(way), (3, 4), verbose=False)[0] == 3 * 4 * 5


@pytest.mark.parametrize("way", ["mask", "nonzero", "where", "nms", "masked_select"])
def test_nothing_is_assumed_when_executed(way: str) -> None:
    x = torch.tensor([[1.0, 0, 2, 2], [-1, 0, 1, 1], [5, 5, 9, 9]])
    macs, _, info = thoplw.profile(Kept(way), x, execute=True)
    rows = 3 if way == "nms" else 2
    assert (macs, info.assumptions) == (rows * 4 * 5, {})


def test_a_known_mask_selects_what_it_says() -> None:
    class Selects(nn.Module):
        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return torch.masked_select(x, mask[:, None]).view(-1, 4) @ x.T

    mask = torch.tensor([True, False, True])
    for execute in (False, True):
        macs, _, info = thoplw.profile(Selects(), (torch.randn(3, 4), mask), execute=execute)
        assert (macs, info.assumptions) == (2 * 4 * 3, {})


def test_positions_that_are_assumed_can_steer_the_model() -> None:
    class Loops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hit = (x.softmax(-1)[:, :3].sum(0) > 0).nonzero()
            for index in hit:
                x = self.experts[index](x)
            return x

    macs, _, info = thoplw.profile(Loops(), (2, 4), convention="macs", verbose=False)
    assert macs == 3 * 2 * 16
    assert list(info.assumptions) == ["every candidate is kept"]


class Experts(nn.Module):
    """A mixture of experts that visits one after the other, in one of the ways that models do it."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.router = nn.Linear(4, 8, bias=False)
        self.experts = nn.ModuleList(nn.Linear(4, 6, bias=False) for _ in range(8))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        chosen = self.router(x).softmax(-1).topk(2, dim=-1).indices
        mask = nn.functional.one_hot(chosen, num_classes=8).permute(2, 1, 0)
        results = []
        for index, expert in enumerate(self.experts):
            if self.way == "one-hot":
                _, rows = torch.where(mask[index])
            elif self.way == "any":
                if not (chosen == index).any():
                    continue
                (rows,) = torch.where((chosen == index).any(-1))
            elif self.way == "sum":
                rows = mask.sum(1)[index].nonzero().squeeze(-1)
            elif self.way == "scatter":
                hot = torch.zeros(len(x), 8).scatter(1, chosen, 1).bool()
                (rows,) = torch.where(hot[:, index])
            elif self.way == "sorted":
                counts = torch.bincount(chosen.flatten(), minlength=8).tolist()
                rows = (chosen.flatten().argsort() // 2).split(counts)[index]
            elif self.way == "only experts that are hit":
                (hit,) = (mask.sum((-1, -2)) > 0).nonzero()[index]
                _, rows = torch.where(mask[hit])
            else:
                rows, _ = torch.where(chosen == index)
            results.append(expert(x[rows]))
        return results


def test_what_is_assumed_may_lie_where_something_was_that_the_run_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it has the same place in memory, which is no reason to take it for made, and held by somebody."""

    class Counting(nn.Module):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            torch.ones(3, dtype=torch.long)
            counts = nn.functional.one_hot(x.argmax(-1), 8).sum(0)
            return list(x.split(counts.tolist()))

    monkeypatch.setattr("thoplw.capture.abstract_run.memory_of", lambda tensor: 1)
    trace = capture(Counting(), (torch.randn(16, 8),), {})
    assert [each.statement for each in trace.assumptions] == ["routing is spread evenly"]


@pytest.mark.parametrize("tokens", [16, 3, 1])  # the last two leave some of the 8 experts with less than others
@pytest.mark.parametrize("way", ["one-hot", "only experts that are hit", "equal", "any", "sum", "scatter", "sorted"])
def test_routing_is_spread_evenly(way: str, tokens: int) -> None:
    macs, _, info = thoplw.profile(Experts(way), (tokens, 4), convention="macs", verbose=False)
    assert macs == tokens * 4 * 8 + tokens * 2 * 4 * 6
    assert "routing is spread evenly" in info.assumptions
    if way != "only experts that are hit":  # for real, it may be that not all are
        real, _, executed = thoplw.profile(Experts(way), torch.randn(tokens, 4), convention="macs", execute=True)
        assert (real, executed.assumptions) == (macs, {})


@pytest.mark.parametrize(
    "choose",
    [lambda scores: scores.argmax(-1), lambda scores: scores.max(-1).indices, lambda scores: scores.min(-1).indices],
)
def test_each_token_goes_to_one_expert(choose: Callable[[torch.Tensor], torch.Tensor]) -> None:
    class Switch(nn.Module):
        def forward(self, x: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
            chosen = choose(x)
            assert len(chosen.bincount(minlength=8)) == 8  # as a codebook counts how often each of its codes is used
            return [x[chosen == index] @ weight for index, weight in enumerate(weights)]

    macs, _, info = thoplw.profile(Switch(), (torch.ones(16, 8), torch.ones(8, 8, 3)), convention="macs", verbose=False)
    assert macs == 16 * 8 * 3
    assert list(info.assumptions) == ["routing is spread evenly"]


@pytest.mark.parametrize("experts", [4, 8])
def test_a_class_that_is_no_expert_is_never_hit(experts: int) -> None:
    class OneMore(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(4, experts, bias=False)
            self.experts = nn.Parameter(torch.ones(experts, 4, 6))

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            chosen = self.router(x).softmax(-1).topk(2, dim=-1).indices
            mask = nn.functional.one_hot(chosen, num_classes=experts + 1).permute(2, 1, 0)
            hit = torch.greater(mask.sum((-1, -2)), 0).nonzero()
            return [x[torch.where(mask[expert[0]])[1]] @ self.experts[expert[0]] for expert in hit]

    macs, _, info = thoplw.profile(OneMore(), (16, 4), convention="macs", verbose=False)
    assert macs == 16 * 4 * experts + 16 * 2 * 4 * 6
    assert list(info.assumptions) == ["routing is spread evenly"]


@pytest.mark.parametrize("tokens", [1, 2, 5, 13, 16])
def test_a_mask_that_is_asked_again_answers_the_same(tokens: int) -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(4, 8, bias=False)
            self.experts = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weights = self.router(x).softmax(-1)
            chosen, out = weights.argmax(-1), torch.zeros_like(x)
            for index, expert in enumerate(self.experts):
                mask = chosen == index
                out[mask] = expert(x[mask]) * weights[mask, index].unsqueeze(-1)
            return out

    assert thoplw.profile(Writes(), (tokens, 4), convention="macs", verbose=False)[0] == tokens * (4 * 8 + 4 * 4)


class Lists(nn.Module):
    """Splits its rows as a list of counts says."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.layers = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(3))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        if self.way == "routing":
            chosen = (x @ x.T)[:, :3].topk(1, dim=1).indices
            counts = x.new_zeros(x.shape[0], 3).scatter(1, chosen, 1).long().sum(0)
        else:
            counts = (x.view(3, -1, 4) != 0).any(-1).sum(1)
        return [layer(part) for layer, part in zip(self.layers, x.split(counts.tolist()), strict=True)]


@pytest.mark.parametrize(
    ("way", "statement"), [("routing", "routing is spread evenly"), ("kept", "every candidate is kept")]
)
def test_how_many_a_mask_holds(way: str, statement: str) -> None:
    macs, _, info = thoplw.profile(Lists(way), (12, 4), convention="macs", verbose=False)
    scores = 12 * 12 * 4 if way == "routing" else 0
    assert (macs, list(info.assumptions)) == (scores + 12 * 4 * 4, [statement])
    assert info.assumptions[statement].modules == [""]


class Asks(nn.Module):
    """Takes a short cut if every element of a mask is true."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.way == "all":
            return x if (x.sum(-1) != 0).all() else x @ x.T
        if self.way == "any":
            return x if (x.sum(-1) != 0).any() else x @ x.T
        ended = torch.stack([x.argmax(-1), x.argmin(-1)], 1).eq(3).any(-1).all()
        return x if ended else x @ x.T


def test_every_element_of_a_mask_is_true() -> None:
    macs, _, info = thoplw.profile(Asks("all"), (3, 4), verbose=False)
    assert (macs, list(info.assumptions)) == (0, ["every element of a mask is true"])


@pytest.mark.parametrize("way", ["any", "whether all have ended"])
def test_there_is_no_guess_of_other_conditions(way: str) -> None:
    with pytest.raises(thoplw.DataDependentError, match=r"is_nonzero.*execute=True"):
        thoplw.profile(Asks(way), (3, 4))


#: Ways to guard against values that are not finite, each true where there are some.
GUARDS: dict[str, Callable[[torch.Tensor], Any]] = {
    "any": lambda x: torch.isnan(x).any(),
    "one or the other": lambda x: torch.isinf(x).any() or torch.isnan(x).any(),
    "a union": lambda x: (torch.isinf(x) | torch.isnan(x)).any(),
    "a union of answers": lambda x: torch.isposinf(x).any() | torch.isneginf(x).any(),
    "in a row": lambda x: torch.isnan(x).any(dim=1).any(),
    "how many": lambda x: torch.isnan(x).sum() > 0,
    "how many, as a number": lambda x: torch.isnan(x).sum().item() + torch.count_nonzero(torch.isinf(x)).item(),
    "how many on average": lambda x: torch.isnan(x).float().mean().item(),
    "one number": lambda x: torch.isnan(x.sum()),
    "one finite number": lambda x: not torch.isfinite(x.sum()),
    "all finite": lambda x: not torch.isfinite(x).all(),
    "none is no number": lambda x: not (torch.isnan(x) == False).all(),  # noqa: E712 # as people write it
    "places": lambda x: len(torch.isnan(x).nonzero()),
    "rows": lambda x: len(x[torch.isnan(x).any(-1)]),
}


class Guarded(nn.Module):
    """Multiplies only where a guard finds nothing."""

    def __init__(self, guard: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.guard = guard

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.guard(x) else x @ x.T


@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS)
def test_values_are_finite(guard: Callable[[torch.Tensor], Any]) -> None:
    macs, _, info = thoplw.profile(Guarded(guard), (3, 4), verbose=False)
    assert macs == thoplw.profile(Guarded(guard), torch.ones(3, 4), execute=True, verbose=False)[0] == 3 * 4 * 3
    assert set(info.assumptions) <= {"no value is NaN or infinite", "every element of a mask is true"}


@pytest.mark.parametrize("execute", [False, True])
def test_what_torch_checks_passes(execute: bool) -> None:
    x = torch.ones(3, 4)
    info = thoplw.profile(nn.GaussianNLLLoss(), (x, x, x), execute=execute, verbose=False)[2]
    assert list(info.assumptions) == ["values pass the checks of torch's functions"] * (not execute)


@since("2.4")
def test_a_loss_that_torch_checks_trains() -> None:
    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        mean, variance = output.chunk(2, 1)
        return nn.functional.gaussian_nll_loss(mean, target, variance.exp())

    report = thoplw.profile_training(nn.Linear(4, 8), torch.ones(3, 4), loss=loss, targets=torch.ones(3, 4))
    assert report.total_macs == 3 * 4 * 8 * 2  # forward, and the gradient of the weight


def test_a_number_of_the_models_own_can_be_read() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("rows", torch.tensor(2.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[: int(self.rows)] @ x.T

    macs, _, info = thoplw.profile(Scaled(), (3, 4))
    assert (macs, info.assumptions) == (2 * 4 * 3, {})


def test_an_assumption_is_said_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    thoplw.profile(Kept("mask"), (3, 4))
    assert capsys.readouterr().err == "thoplw: Assumed: every candidate is kept (aten.index, 1 call in (model)).\n"


def test_a_list_of_values_is_an_error() -> None:
    class Lists(nn.Module):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return list(x.split(x[:, 0].int().tolist()))

    with pytest.raises(thoplw.DataDependentError, match=r"tolist\(\).*shape \(3,\).*execute=True"):
        thoplw.profile(Lists(), (3, 4))


def test_by_operator_is_the_same_total() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    macs, _, info = thoplw.profile(model, (1, 3, 8, 8), custom_ops={nn.BatchNorm2d: lambda module, inputs, output: 7})
    parts = info.by_operator()
    assert sum(parts.values()) == macs
    assert {name: value for name, value in parts.items() if value} == {
        "aten.conv2d": 4 * 36 * 27 + 4,
        "aten.linear": 144 * 2 + 2,
        "BatchNorm2d": 7,
    }
    assert list(parts.values()) == sorted(parts.values(), reverse=True)


@pytest.mark.parametrize("way", ["int", "float", "arange", "ceil"])
def test_a_computed_length_is_not_guessed(way: str) -> None:
    class Speaks(nn.Module):
        """Says each row for as long as it computes."""

        def __init__(self) -> None:
            super().__init__()
            self.duration = nn.Linear(4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            total = self.duration(x).exp().sum() + 2
            if way == "arange":
                return torch.arange(total)[:, None] * x[:1]
            length = {"int": int, "float": float, "ceil": lambda t: t.ceil().long().item()}[way](total)
            return x.new_ones(int(length), 4) @ x.T

    with pytest.raises(thoplw.DataDependentError, match=r"Speaks\).*needs the values.*execute=True"):
        thoplw.profile(Speaks(), (3, 4))
    assert thoplw.profile(Speaks(), torch.ones(3, 4), execute=True)[0] > 0


class Scatters(nn.Module):
    """Puts features where tokens hold their places, as models of pictures and text do."""

    def forward(self, ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        text = features.new_zeros(*ids.shape, 4)
        return text.masked_scatter((ids == 1)[..., None], features)


def test_features_that_fit_their_places_are_scattered() -> None:
    inputs = (torch.tensor([[0, 1, 1]]), torch.ones(2, 4))
    assert capture(Scatters(), inputs, {}).outputs == capture(Scatters(), inputs, {}, Options(execute=True)).outputs


def test_what_torch_refuses_to_scatter_is_refused() -> None:
    inputs = (torch.tensor([[1, 1, 1]]), torch.ones(2, 4))
    with pytest.raises(RuntimeError, match="Number of elements of source"):
        Scatters()(*inputs)
    with pytest.raises(
        thoplw.InputError, match=r"masked_scatter.default in the model itself .* 12 places for 8 elements"
    ):
        thoplw.profile(Scatters(), inputs)


@pytest.mark.parametrize(
    ("function", "macs"),
    [
        (lambda x: torch.unique(x, dim=0) @ x.T, 6 * 4 * 6),
        (lambda x: torch.unique_consecutive(x, dim=1) @ x.T, 6 * 4 * 6),
        (lambda x: torch.unique_consecutive(x)[None] @ torch.ones(24, 2), 24 * 2),
    ],
)
def test_slices_are_taken_to_be_distinct(function: Callable[..., torch.Tensor], macs: int) -> None:
    found, _, info = thoplw.profile(Calling(function), (6, 4), verbose=False, convention="macs")
    assert found == macs
    assert list(info.assumptions) == ["all values are distinct"]


@pytest.mark.parametrize("driver", [None, "gels", "gelsy", "gelsd", "gelss"])
@pytest.mark.parametrize(("rows", "columns"), [(5, 3), (3, 5), (3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_least_squares_are_shaped_as_for_real(driver: str | None, rows: int, columns: int, dtype: torch.dtype) -> None:
    given = torch.rand(2, rows, columns, dtype=dtype), torch.rand(2, rows, 4, dtype=dtype)
    if driver in ("gelsd", "gelss") and rows > columns:
        with pytest.raises(thoplw.DataDependentError):  # whether there are residuals is up to ranks
            capture(Calling(partial(torch.linalg.lstsq, driver=driver)), given, {})
        return
    trace = capture(Calling(partial(torch.linalg.lstsq, driver=driver)), given, {})
    real = torch.linalg.lstsq(*given, driver=driver)
    assert [(spec.shape, spec.dtype) for spec in trace.outputs] == [
        (tuple(each.shape), str(each.dtype).removeprefix("torch.")) for each in real
    ]
    assert trace.outputs[0].strides == real.solution.stride()
    assert not trace.assumptions


@pytest.mark.parametrize("lengths", [[3, 7], torch.tensor([3, 7])])
def test_the_longest_target_decides_on_alignments(lengths: object) -> None:
    given = torch.rand(9, 2, 5).log_softmax(-1), torch.ones(2, 7, dtype=torch.int64)
    steps = [9, 9] if isinstance(lengths, list) else torch.tensor([9, 9])
    loss = Calling(lambda x, target: torch.ctc_loss(x, target, steps, lengths))
    flops, _, info = thoplw.profile(loss, given, convention="flops")
    assert flops >= 13 * 2 * 9 * (2 * 7 + 1)
    assert not info.uncounted
    assert not info.assumptions


class _Reads(nn.Module):
    """Goes another way where a read of a value fails, or fails in words of its own."""

    def __init__(self, read: Callable[[torch.Tensor], Any], *, gives_up: bool = False) -> None:
        super().__init__()
        self.first, self.slow = nn.Linear(8, 8), nn.Linear(8, 64)
        self.read, self.gives_up = read, gives_up

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        try:
            self.read(y)
        except Exception as error:
            if self.gives_up:
                raise KeyError("no such thing") from error
            return self.slow(y)
        return y


_READS: dict[str, Callable[[torch.Tensor], Any]] = {
    "int": lambda y: int(y.sum()),
    "tolist": lambda y: y.tolist(),
    "numpy": lambda y: y.numpy(),
    "format": lambda y: f"{y.mean():.3f}",
    "dlpack": lambda y: y.__dlpack__(),
    "one_hot": lambda y: nn.functional.one_hot(y.argmax(-1).abs()),
    "no meta kernel": lambda y: y.to_sparse(),
}


@pytest.mark.parametrize("read", _READS.values(), ids=_READS)
def test_a_refusal_that_the_model_catches_is_said_after_all(read: Callable[[torch.Tensor], Any]) -> None:
    with pytest.raises(thoplw.ThoplwError, match=r"execute=True.* The forward caught this error and went another way"):
        thoplw.profile(_Reads(read), (2, 8))
    assert thoplw.profile(_Reads(read), (2, 8), convention="macs", execute=True, verbose=False)[0] == 2 * 8 * 8


def test_an_error_names_what_led_there() -> None:
    with pytest.raises(KeyError) as caught:
        thoplw.profile(_Reads(_READS["int"], gives_up=True), (2, 8))
    assert any("The forward had caught this: aten._local_scalar_dense" in note for note in caught.value.__notes__)

    class Views(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[x > 0].view(3, 5)

    with pytest.raises(RuntimeError, match="is invalid for input of size 16") as wrong:
        thoplw.profile(Views(), (2, 8))
    assert any("Assumed before: every candidate is kept (aten.index)" in note for note in wrong.value.__notes__)


@pytest.mark.parametrize("read", [lambda y: torch.tensor([y.mean(), y.sum()]), lambda y: y.storage()[0]])
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_reads_of_memory_say_what_to_do(read: Callable[[torch.Tensor], Any]) -> None:
    class Reads(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return read(x * 2)

    with pytest.raises(
        thoplw.DataDependentError, match=r"(in the model itself \(Reads\) reads|needs) the mem.*execute=True"
    ):
        thoplw.profile(Reads(), (2, 8))


@pytest.mark.parametrize(
    ("shape", "count"), [((3, 4), 12), ((2, 3, 4), 7), ((5,), 5), ((3, 4), 0), ((0, 3), 0), ((), 1), ((), 0)]
)
def test_assumed_positions_are_the_first_that_torch_would_give(shape: tuple[int, ...], count: int) -> None:
    mask = (torch.arange(torch.Size(shape).numel()) < count).reshape(shape)

    found = first_positions(shape, count)

    assert torch.equal(found, mask.nonzero())
    assert count == 0 or found.stride() == mask.nonzero().stride()


def test_positions_that_no_memory_holds_have_a_shape_only() -> None:
    class Picks(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[x > 0].unsqueeze(1) @ x.new_ones(1, 2)

    rows = 10**10

    assert first_positions((rows, 8), rows * 8).is_meta
    assert thoplw.profile(Picks(), torch.empty(rows, 8, device="meta"), verbose=False)[0] == rows * 8 * 2


class Spectral(nn.Module):
    """Filters every bin of a spectrum, as models that enhance speech do; torch checks that the window has no gaps."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(33, 33)
        self.register_buffer("window", torch.hann_window(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(x, 64, 16, window=self.window, return_complex=True)
        mask = self.layer(spectrum.abs().mT).mT
        return torch.istft(spectrum * mask, 64, 16, window=self.window)


@since("2.4")
def test_what_istft_checks_needs_no_values_under_autograd(capsys: pytest.CaptureFixture[str]) -> None:
    frames = 2 * (640 // 16 + 1)
    sound = torch.zeros(2, 640)
    macs, _, _ = thoplw.profile(Spectral(), sound, convention="macs", memory=True)
    assert macs == frames * 33 * 33
    step = thoplw.profile_training(Spectral(), sound, convention="macs")
    assert step.total_macs == 2 * macs  # the input needs no gradient
    assert "values pass the checks of torch's functions" in capsys.readouterr().err


class Weighs(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        return torch.cov(y.T, aweights=y.sum(1).softmax(0))


def test_weights_of_a_covariance_are_not_negative(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = torch.ones(5, 4)
    real, _, _ = thoplw.profile(Weighs(4, 3), sizes, execute=True)
    macs, _, _ = thoplw.profile(Weighs(4, 3), sizes, memory=True)
    assert macs == real > 5 * 4 * 3
    assert thoplw.profile_training(Weighs(4, 3), sizes).total_macs > 2 * macs
    assert "values pass the checks of torch's functions" in capsys.readouterr().err


class Compares(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.layer, self.rows = nn.Linear(4, 4), rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return y if torch.equal(y, y[: self.rows] if self.rows else y) else self.layer(y)


@pytest.mark.parametrize("execute", [False, True])
@pytest.mark.parametrize(("rows", "times"), [(0, 1), (1, 2)])
def test_a_tensor_equals_itself_and_none_of_another_shape(rows: int, times: int, execute: bool) -> None:
    macs, _, _ = thoplw.profile(Compares(rows), torch.ones(2, 4), convention="macs", execute=execute)
    assert macs == times * 2 * 4 * 4


def test_whether_two_tensors_of_one_shape_are_equal_is_not_known() -> None:
    with pytest.raises(thoplw.DataDependentError, match=r"aten\.equal.*\(2, 4\), \(2, 4\)"):
        thoplw.profile(Compares(2), torch.ones(2, 4))


READS: dict[str, Callable[[torch.Tensor], Any]] = {
    "itself": lambda flag: flag,
    "compared": lambda flag: flag > 0,
    "equal": lambda flag: flag == 1,
    "element": lambda flag: flag.view(-1)[0] > 0.5,
    "negated": lambda flag: not flag <= 0,
    "any": lambda flag: (flag != 0).any(),
    "number": lambda flag: flag.item() == 1,
}


class Flagged(nn.Module):
    """Initialises itself from the first batch, and keeps in a buffer of floats whether it has, as ActNorm does."""

    def __init__(self, flag: torch.Tensor, read: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.read = nn.Linear(4, 4), [read]
        self.register_buffer("flag", flag)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        if self.read[0](self.flag):
            return y
        self.flag.fill_(1.0)
        return self.layer(y)


@pytest.mark.parametrize("read", READS.values(), ids=list(READS))
@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize(("value", "times"), [(1.0, 1), (0.0, 2)])
def test_a_single_number_of_the_model_steers_it(
    read: Callable[[torch.Tensor], Any], shape: tuple[int, ...], value: float, times: int
) -> None:
    model, x = Flagged(torch.full(shape, value), read), torch.ones(2, 4)
    for _ in range(2):
        assert thoplw.profile(model, x, convention="macs")[0] == times * 2 * 4 * 4
        if CAN_EXCHANGE:
            step = thoplw.profile_training(model, x, convention="macs")
            assert step.total_macs == (times + times + times - 1) * 2 * 4 * 4  # no gradient for the input
        assert model.flag.item() == value


def test_a_number_that_has_no_value_steers_nothing() -> None:
    with pytest.raises(thoplw.DataDependentError, match="is_nonzero"):
        thoplw.profile(Flagged(torch.ones(()), READS["compared"]).to("meta"), torch.ones(2, 4))


def nonzero(x: torch.Tensor, out: torch.Tensor) -> None:
    torch.nonzero(x > 0, out=out)


def selected(x: torch.Tensor, out: torch.Tensor) -> None:
    torch.masked_select(x, x > 0, out=out)


@pytest.mark.parametrize(
    ("function", "dtype", "shape"), [(nonzero, torch.int64, (12, 2)), (selected, torch.float32, (12,))]
)
def test_what_a_result_is_written_into_gets_its_shape(
    function: Callable[..., None], dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    def into(x: torch.Tensor) -> Any:
        places = [x.new_empty(0, dtype=dtype), torch.empty(0, dtype=dtype)]
        for each in places:
            function(x, each)
        return places

    trace = capture(Calling(into), (torch.ones(3, 4),), {})
    assert [each.shape for each in trace.outputs] == [shape, shape]
    assert trace.assumptions


def test_a_solution_is_written_into_what_is_given() -> None:
    def solved(a: torch.Tensor, b: torch.Tensor) -> Any:
        places = [torch.empty(0) for _ in range(2)]
        torch.linalg.lstsq(a, b, driver="gels", out=(*places, torch.empty(0, dtype=torch.int64), torch.empty(0)))
        return places

    a, b = torch.rand(4, 3), torch.rand(4, 2)
    trace = capture(Calling(solved), (a, b), {})
    assert [each.shape for each in trace.outputs] == [tuple(each.shape) for each in solved(a, b)] == [(3, 2), (2,)]
