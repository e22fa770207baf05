"""Operators that take functions: what these run is counted as it runs, abstractly and for real."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the import below names
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from checks.releases import file_since
from torch import nn

import thoplw
from thoplw.capture import capture
from thoplw.capture.options import Options

file_since("2.14")  # older ones lack some, or word them otherwise

import torch._higher_order_ops as hops

# They warn that they are compiled when somebody else compiles, which nobody does here.
pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without")

LINEAR = 2 * 8 * 8
X = torch.ones(2, 8)
STEPS = torch.ones(5, 2, 8)


class Two(nn.Module):
    """Two layers, and a function that uses them."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)
        self.run = forward

    def forward(self, *inputs: Any) -> Any:
        return self.run(self, *inputs)


def double(m: Two, x: torch.Tensor) -> torch.Tensor:
    return m.b(m.b(x))


def cond(m: Two, holds: Any, x: torch.Tensor) -> Any:
    return torch.cond(holds, m.a, lambda x: double(m, x), (x,))


def nested(m: Two, x: torch.Tensor) -> Any:
    return hops.scan(lambda c, e: (c.clone(), hops.map(m.a, e)), x[0] * 0, x)


def tree(m: Two, x: torch.Tensor) -> Any:
    body = lambda c, e: ({"h": m.a(c["h"]) + e["u"]}, [e["u"] * 2, m.b(e["w"])])  # noqa: E731
    return hops.scan(body, {"h": x[0] * 0}, {"u": x, "w": x})


def loop(m: Two, x: torch.Tensor, first: Any, below: int = 3) -> Any:
    return hops.while_loop(lambda i, x: i < below, lambda i, x: (i + 1, m.a(x)), (first, x))


def loop_of_dicts(m: Two, x: torch.Tensor) -> Any:
    start = ({"i": torch.tensor(0), "x": x},)
    return hops.while_loop(lambda d: d["i"] < 2, lambda d: ({"i": d["i"] + 1, "x": m.a(d["x"])},), start)


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int]] = {  # forward, inputs, MACs by algebra
    "cond on a shape": (lambda m, x: cond(m, x.shape[0] > 1, x), (X,), LINEAR),
    "cond on a known integer": (lambda m, x, n: cond(m, n > 0, x), (X, torch.tensor(3)), LINEAR),
    "cond on the other": (lambda m, x, n: cond(m, n > 0, x), (X, torch.tensor(-3)), 2 * LINEAR),
    "switch": (lambda m, x, n: hops.switch(n, (m.a, lambda x: double(m, x)), (x,)), (X, torch.tensor(1)), 2 * LINEAR),
    "loop on a tensor": (lambda m, x: loop(m, x, torch.tensor(0)), (X,), 3 * LINEAR),
    "loop on a number": (lambda m, x: loop(m, x, 0), (X,), 3 * LINEAR),
    "loop that never turns": (lambda m, x: loop(m, x, 0, below=0), (X,), 0),
    "loop of dicts": (loop_of_dicts, (X,), 2 * LINEAR),
    "map": (lambda m, x: hops.map(m.a, x), (STEPS,), 5 * LINEAR),
    "map of two": (lambda m, x, y: hops.map(lambda e, y: {"o": m.a(e[0]) + y}, (x, x + 1), y), (STEPS, X), 5 * LINEAR),
    "scan": (lambda m, x: hops.scan(lambda c, e: (torch.tanh(m.a(c) + e), c * 2), x[0], x), (STEPS,), 5 * LINEAR),
    "scan of trees": (tree, (STEPS,), 10 * LINEAR),
    "scan of nothing": (lambda m, x: hops.scan(lambda c, e: (m.a(c), m.b(e)), X, x), (torch.ones(0, 2, 8),), 0),
    "scan by length": (lambda m, x: hops.scan(lambda c, e: (m.a(c), c * 2), x, None, length=4), (X,), 4 * LINEAR),
    "scan along another dimension": (
        lambda m, x: hops.scan(lambda c, e: (m.a(c), m.b(e)), x[:, 0], x, dim=1, reverse=True),
        (torch.ones(2, 5, 8),),
        10 * LINEAR,
    ),
    "map in scan": (nested, (torch.ones(5, 4, 2, 8),), 20 * LINEAR),
    # Pairs (0 1) (2 3) (4 5), then of these (0 1), then one more, then two that lie between: 3 + 1 + 1 + 2 products.
    "associative scan": (
        lambda m, x: hops.associative_scan(lambda a, b: a @ b, x, 0, combine_mode="generic"),
        (torch.ones(7, 4, 4),),
        (3 + 1 + 1 + 3) * 4**3,
    ),
    "vmap": (lambda m, x: torch.vmap(m.a)(x), (STEPS,), 5 * LINEAR),
    "cond in vmap: both branches run": (
        lambda m, x: torch.vmap(lambda e: torch.cond(e.sum() > 0, m.a, lambda e: double(m, e), (e,)))(x),
        (X,),
        3 * LINEAR,
    ),
    "scan in vmap": (
        lambda m, x: torch.vmap(lambda e: hops.scan(lambda c, s: (m.a(c), c + s), e[0] * 0, e))(x),
        (torch.ones(2, 5, 8),),
        5 * LINEAR,
    ),
    "another type of output": (
        lambda m, x: torch.ops.higher_order.out_dtype(torch.ops.aten.mm.default, torch.int32, x, x),
        (torch.ones(8, 8, dtype=torch.int8),),
        8**3,
    ),
}


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize("case", CASES)
def test_what_runs_is_counted(case: str, execute: bool) -> None:
    forward, inputs, macs = CASES[case]
    model = Two(forward)
    found, _, info = thoplw.profile(model, inputs, convention="macs", execute=execute, strict=True, verbose=False)
    assert (found, dict(info.assumptions)) == (macs, {})


@pytest.mark.parametrize("case", CASES)
def test_what_comes_out_looks_as_when_executed(case: str) -> None:
    forward, inputs, _ = CASES[case]
    model = Two(forward)
    assert capture(model, inputs, {}).outputs == capture(model, inputs, {}, Options(execute=True)).outputs


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["loop of dicts", "loop that never turns", "map of two", "scan of trees", "cond in vmap: both branches run"]
)
def test_what_comes_out_is_what_torch_gives_that_compiles_these(case: str) -> None:
    forward, inputs, _ = CASES[case]
    model = Two(forward)
    with torch.no_grad():
        real = torch.utils._pytree.tree_leaves(model(*inputs))
    shapes = [tuple(each.shape) for each in real if isinstance(each, torch.Tensor)]
    assert [spec.shape for spec in capture(model, inputs, {}).outputs] == shapes


def test_of_branches_on_a_value_the_costliest_is_listed() -> None:
    model = Two(lambda m, x: cond(m, x.sum() > 0, x))
    macs, _, info = thoplw.profile(model, X, convention="macs", verbose=False)
    assert macs == 2 * LINEAR
    assert {row.name: row.calls for row in info} == {"b": 2}
    (assumed,) = info.assumptions.items()
    assert (assumed[0], assumed[1].operators) == ("the costliest branch is taken", ["higher_order.cond"])
    assert thoplw.profile(model, X, convention="macs", execute=True, verbose=False)[0] == LINEAR


def test_what_runs_in_a_context_is_counted() -> None:
    model = Two(lambda m, x: cond(m, x.sum() > 0, x))
    with thoplw.count("macs") as counted:
        model(X)
        model(-X)
        hops.map(model.a, STEPS)
    assert counted.total_macs == (1 + 2 + 5) * LINEAR


def test_a_rehearsed_branch_is_told_to_nobody_and_writes_to_nothing() -> None:
    def forward(m: Two, x: torch.Tensor, n: torch.Tensor) -> Any:
        out = torch.cond(x.sum() > 0, lambda x, n: m.a(x) + n.add_(1), lambda x, n: double(m, x) + n.add_(2), (x, n))
        return hops.while_loop(lambda i, x: i > 0, lambda i, x: (i - 1, m.a(x)), (n.clone(), out))

    model, seen = Two(forward), []
    prices = {nn.Linear: lambda module, inputs, output: seen.append(module) or 1}
    macs = thoplw.profile(model, (X, torch.tensor(1)), prices, verbose=False)[0]
    assert [module is model.b for module in seen] == [True, True, False, False, False]  # 1 + 2 turns of the loop
    assert macs == 5


def test_a_loop_on_a_value_sends_to_a_real_run_that_counts_it() -> None:
    model = Two(lambda m, x: hops.while_loop(lambda x: x.sum() > -1000, lambda x: (m.a(x) - 1000,), (x,)))
    with pytest.raises(thoplw.DataDependentError, match="execute=True"):
        thoplw.profile(model, X)
    assert thoplw.profile(model, X, convention="macs", execute=True, verbose=False)[0] == LINEAR


# -- under autograd ---------------------------------------------------------------------------------------------------


class Flows:
    """Control flow by torch's operators."""

    cond, while_loop, scan, map = torch.cond, hops.while_loop, hops.scan, hops.map


class Python:
    """The same in plain words."""

    @staticmethod
    def cond(holds: Any, if_true: Any, if_false: Any, operands: Any) -> Any:
        return (if_true if holds else if_false)(*operands)

    @staticmethod
    def while_loop(goes_on: Any, body: Any, carried: Any) -> Any:
        while goes_on(*carried):
            carried = body(*carried)
        return carried

    @staticmethod
    def scan(body: Any, carry: Any, xs: Any) -> Any:
        outs = []
        for x in xs:
            carry, out = body(carry, x)
            outs.append(out)
        return carry, torch.stack(outs)

    @staticmethod
    def map(body: Any, xs: Any) -> Any:
        return torch.stack([body(x) for x in xs])


TRAINED: dict[str, Callable[..., Any]] = {  # the model, how it is written, steps of [2, 8]
    "cond": lambda m, f, x: f.cond(torch.tensor(True), m.a, lambda x: double(m, x), (x[0],)),
    "cond of what is trained": lambda m, f, x: f.cond(torch.tensor(False), m.a, lambda x: double(m, x), (m.a(x[0]),)),
    "cond in cond": lambda m, f, x: f.cond(
        torch.tensor(True), lambda x: f.cond(torch.tensor(False), m.a, m.b, (x,)), m.a, (m.b(x[0]),)
    ),
    "cond in while_loop": lambda m, f, x: f.while_loop(
        lambda i, x: i < 3, lambda i, x: (i + 1, f.cond(i % 2 == 0, m.a, m.b, (x,))), (torch.tensor(0), x[0])
    )[1],
    "map": lambda m, f, x: f.map(m.a, m.b(x)),
    "scan": lambda m, f, x: f.scan(lambda c, e: (torch.tanh(m.a(c) + m.b(e)), c * 2), x[0], x)[0],
    "map in scan": lambda m, f, x: f.scan(lambda c, e: (torch.tanh(f.map(m.a, c) + m.b(e)), c * 2), x[0], x)[1],
}


@pytest.mark.parametrize("convention", ["macs", "flops"])
@pytest.mark.parametrize("case", TRAINED)
def test_a_step_through_control_flow_costs_what_it_does_in_plain_words(case: str, convention: str) -> None:
    def phases(how: Any) -> dict[str, int]:
        model = Two(lambda m, x: TRAINED[case](m, how, x))
        given = {"loss": "sum", "optimizer": "sgd", "convention": convention, "verbose": False}
        return thoplw.profile_training(model, torch.ones(3, 2, 8), **given).by_phase()

    assert phases(Flows) == phases(Python)


@pytest.mark.parametrize("case", TRAINED)
def test_a_step_that_is_counted_trains_what_its_branches_hold(case: str) -> None:
    trained = []
    for how in (Flows, Python):
        torch.manual_seed(0)
        model = Two(lambda m, x: TRAINED[case](m, how, x))  # noqa: B023 # it is called here
        with thoplw.count("macs") as counted:
            model(torch.ones(3, 2, 8)).sum().backward()
        trained.append((counted.total_macs, [weight.grad for weight in model.parameters()]))
    assert trained[0][0] == trained[1][0]
    assert torch.utils._pytree.tree_all(
        lambda pair: pair[0] is pair[1] is None or torch.equal(*pair),
        list(zip(trained[0][1], trained[1][1], strict=True)),
        is_leaf=lambda each: isinstance(each, tuple),
    )


def test_torch_has_its_own_gradients_of_control_flow_afterwards() -> None:
    before = dict(torch.ops.higher_order.cond.py_kernels)
    thoplw.profile_training(Two(lambda m, x: TRAINED["cond"](m, Flows, x)), torch.ones(3, 2, 8), loss="sum")
    assert dict(torch.ops.higher_order.cond.py_kernels) == before


# -- prices of their own ----------------------------------------------------------------------------------------------


FLOWS = {  # the operator, a forward that runs it, and how often
    "cond": (torch.ops.higher_order.cond, lambda m, x: torch.cond(torch.tensor(len(x)) > 1, m.a, lambda x: x, (x,)), 1),
    "cond on a value": (
        torch.ops.higher_order.cond,
        lambda m, x: torch.cond(x.sum() > 0, m.a, lambda x: m.a(m.a(x)), (x,)),
        1,
    ),
    "while_loop": (
        torch.ops.higher_order.while_loop,
        lambda m, x: hops.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, m.a(x)), (torch.tensor(0), x))[1],
        1,
    ),
    "scan": (torch.ops.higher_order.scan, lambda m, x: hops.scan(lambda c, e: (m.a(c), c + e), x[0], x)[1], 1),
    "map": (torch.ops.higher_order.map_impl, lambda m, x: hops.map(lambda e: m.a(e), x), 1),
    "cond in map": (
        torch.ops.higher_order.cond,
        lambda m, x: hops.map(lambda e: torch.cond(torch.tensor(len(e)) > 1, m.a, lambda e: e.clone(), (e,)), x),
        2,
    ),
    "map with cond inside": (
        torch.ops.higher_order.map_impl,
        lambda m, x: hops.map(lambda e: torch.cond(torch.tensor(len(e)) > 1, m.a, lambda e: e.clone(), (e,)), x),
        1,
    ),
}


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize("case", FLOWS)
def test_the_price_of_control_flow_covers_what_it_runs(case: str, execute: bool) -> None:
    operator, forward, times = FLOWS[case]
    model, x = Two(lambda m, x: m.a(forward(m, x))), torch.ones(2, 8)
    with_price = thoplw.profile(model, x, {operator: lambda call: 1000}, convention="macs", execute=execute)
    assert with_price[:2] == (times * 1000 + 2 * 8 * 8, 72)
    assert not any("never ran" in note for note in with_price[2].notes())
    assert sum(row.macs for row in with_price[2]) == with_price[0]


def test_the_price_of_control_flow_holds_in_count() -> None:
    model = Two(lambda m, x: m.a(torch.cond(torch.tensor(len(x)) > 1, m.a, lambda x: x.clone(), (x,))))
    with thoplw.count("macs", {torch.ops.higher_order.cond: lambda call: 1000}) as counted:
        model(torch.ones(2, 8))
    assert counted.total_macs == 1000 + 2 * 8 * 8


def test_a_price_of_control_flow_sees_the_call() -> None:
    seen: list[thoplw.Call] = []
    model = Two(lambda m, x: hops.map(lambda e: m.a(e), x))
    thoplw.profile(model, (2, 8), {torch.ops.higher_order.map_impl: lambda call: seen.append(call) or 0}, verbose=False)
    (call,) = seen
    assert call.target == "higher_order.map_impl"
    assert [spec.shape for spec in call.outputs] == [(2, 8)]
    assert [part.target for part in call.parts or ()].count("aten.linear") == 2


# -- flex attention ----------------------------------------------------------------------------------------------------


def flex(*shapes: tuple[int, ...], mask: Any = None, block: int = 128, **options: Any) -> tuple[nn.Module, Any]:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def forward(m: Two, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Any:
        kept = mask and create_block_mask(mask, None, None, q.shape[2], k.shape[2], device="cpu", BLOCK_SIZE=block)
        return flex_attention(q, k, v, block_mask=kept, **options)

    return Two(forward), tuple(map(torch.ones, shapes))


def causal(b: Any, h: Any, i: Any, j: Any) -> Any:
    return i >= j


def window(b: Any, h: Any, i: Any, j: Any) -> Any:
    return (i >= j) & (i - j < 64)


FLEX = {  # the model and its inputs; scores in full, and those in blocks that are left; MACs for each
    "no mask": (flex(*[(2, 2, 16, 8)] * 3), 4 * 256, 4 * 256, 16),
    "grouped": (flex((1, 4, 16, 8), (1, 2, 32, 8), (1, 2, 32, 4), enable_gqa=True), 4 * 512, 4 * 512, 12),
    "causal": (flex(*[(2, 2, 256, 8)] * 3, mask=causal), 4 * 256**2, 4 * 3 * 128**2, 16),
    "causal, of a length that is no multiple": (
        flex(*[(1, 1, 300, 8)] * 3, mask=causal),
        300**2,
        128 * 128 + 128 * 256 + 44 * 300,
        16,
    ),
    "window": (flex(*[(1, 2, 1024, 8)] * 3, mask=window, block=64), 2 * 1024**2, 2 * 31 * 64**2, 16),
}


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize("case", FLEX)
def test_flex_attention_counts_in_full_or_by_blocks(case: str, execute: bool) -> None:
    (model, inputs), full, kept, each = FLEX[case]
    for convention, scores in (("macs", full), ("macs-causal", kept)):
        found = thoplw.profile(model, inputs, convention=convention, execute=execute, verbose=False)[0]
        assert found == scores * each, convention


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_a_block_mask_that_a_model_was_made_with_is_known(execute: bool) -> None:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    mask = create_block_mask(causal, None, None, 256, 256, device="cpu")
    model, q = Two(lambda m, q: flex_attention(q, q, q, block_mask=mask)), torch.ones(1, 1, 256, 8)
    assert thoplw.profile(model, q, convention="macs-causal", execute=execute, verbose=False)[0] == 3 * 128**2 * 16
    assert mask.kv_num_blocks.tolist() == [[[1, 1]]]  # and full ones besides


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_weights_that_a_function_of_scores_reads_are_used(execute: bool) -> None:
    from torch.nn.attention.flex_attention import flex_attention

    class Biased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.place = nn.Parameter(torch.ones(2)), nn.Embedding(31, 2)

        def forward(self, q: torch.Tensor) -> Any:
            def biased(score: Any, b: Any, h: Any, i: Any, j: Any) -> Any:
                return score + self.head[h] + self.place.weight[i - j + 15, h]

            return flex_attention(q, q, q, score_mod=biased)

    _, params, info = thoplw.profile(Biased(), (1, 2, 16, 8), execute=execute, verbose=False)
    assert params == 2 + 31 * 2
    assert info.not_executed == {}


def test_a_mask_that_depends_on_values_or_is_large_counts_in_full_and_is_listed() -> None:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def learned(m: Two, q: torch.Tensor) -> Any:
        kept = q.mean((0, 1, 3)) > 0
        mask = create_block_mask(lambda b, h, i, j: kept[i] | kept[j], None, None, 256, 256, device="cpu")
        return flex_attention(q, q, q, block_mask=mask)

    large, inputs = flex(*[(1, 1, 2**16, 8)] * 3, mask=causal)
    for model, given, length in ((Two(learned), (torch.ones(1, 1, 256, 8),), 256), (large, inputs, 2**16)):
        macs, _, info = thoplw.profile(model, given, convention="macs-causal", verbose=False)
        assert macs == length**2 * 16
        assert [*info.assumptions] == ["the block mask is not known, so every score is computed"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("width", [8, 4])
def test_flex_attention_lies_in_memory_as_in_a_real_run(width: int, dtype: torch.dtype) -> None:
    from torch.nn.attention.flex_attention import AuxRequest, flex_attention

    def forward(m: Two, x: torch.Tensor) -> Any:
        q = x.transpose(1, 2)
        out, more = flex_attention(q, q, q[..., :width], return_aux=AuxRequest(lse=True))
        return out, more.lse

    for shape in ((2, 16, 4, 8), (2, 16, 1, 8), (1, 16, 4, 8)):
        x = torch.ones(shape, dtype=dtype)
        assert capture(Two(forward), (x,), {}).outputs == capture(Two(forward), (x,), {}, Options(execute=True)).outputs


@pytest.mark.slow
@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
def test_the_first_use_of_the_compiler_in_a_process_compiles_nothing(execute: bool) -> None:
    code = f"""
import sys, torch, thoplw
from torch.nn.attention.flex_attention import flex_attention
class Flex(torch.nn.Module):
    def forward(self, q):
        return flex_attention(q, q, q, score_mod=lambda s, b, h, i, j: s + (i - j))
assert "torch._dynamo" not in sys.modules
before = torch.compile
print(thoplw.profile(Flex(), torch.ones(2, 2, 8, 8), convention="macs", execute={execute})[0])
assert torch.compile is before
assert torch._dynamo.eval_frame._stance.stance == "default"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == [str(4 * 64 * 16)], done.stderr


SCORES = {  # a function of scores -> what more a step costs: of the table t @ h, a product forward and two backward
    "as they are": (None, 0),
    "scaled by a weight": (lambda m: lambda score, b, h, i, j: score * m.scale[h], 0),
    "scaled by what a layer makes": (lambda m: _scaled_by(m.a(m.scale)), 64),
}


def _scaled_by(table: torch.Tensor) -> Callable[..., Any]:
    return lambda score, b, h, i, j: score * table[h]


class Trained(Two):
    """Attention of 8 heads over 256 positions of 4, whose input is trained."""

    def __init__(self, scores: Any, mask: Any = None) -> None:
        super().__init__(lambda m, q: q)
        self.scale, self.b = nn.Parameter(torch.ones(8)), nn.Linear(4, 4, bias=False)
        self.scores, self.mask = scores, mask

    def forward(self, q: torch.Tensor) -> torch.Tensor:
        from torch.nn.attention.flex_attention import flex_attention

        q = self.b(q)
        return flex_attention(q, q, q, score_mod=self.scores and self.scores(self), block_mask=self.mask)


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("case", SCORES)
def test_flex_attention_is_trained_as_on_cuda(case: str, memory: bool) -> None:
    scores, more = SCORES[case]
    layer, once = 8 * 256 * 4 * 4, 8 * 256**2 * 8
    given = {"loss": "sum", "device": "cuda", "optimizer": "sgd", "verbose": False, "memory": memory}
    info = thoplw.profile_training(Trained(scores), torch.ones(1, 8, 256, 4), **given)
    # The backward of attention is five products of which one repeats the forward's first.
    phases = {"forward": layer + once + more, "recomputation": once // 2, "backward": layer + 2 * once + 2 * more}
    assert info.by_phase() == {**phases, "update": 0}
    assert (dict(info.uncounted), dict(info.assumptions)) == ({}, {})
    trained = [weight for weight in ("scale",) if scores is not None]
    flops = thoplw.profile_training(Trained(scores), torch.ones(1, 8, 256, 4), **given, convention="flops")
    assert flops.by_phase()["update"] == 16 + 8 * len(trained) + (72 if more else 0)


def test_flex_attention_is_trained_in_the_blocks_of_its_mask() -> None:
    from torch.nn.attention.flex_attention import create_block_mask

    mask = create_block_mask(causal, None, None, 256, 256, device="cpu")
    given = {"loss": "sum", "device": "cuda", "convention": "macs-causal", "verbose": False}
    info = thoplw.profile_training(Trained(None, mask), torch.ones(1, 8, 256, 4), **given)
    layer, once = 8 * 256 * 4 * 4, 8 * 3 * 128**2 * 8
    assert info.by_phase() == {
        "forward": layer + once,
        "recomputation": once // 2,
        "backward": layer + 2 * once,
        "update": 0,
    }


def test_flex_attention_is_as_before_a_step_on_cuda() -> None:
    model, q = Trained(None), torch.ones(1, 8, 256, 4)
    thoplw.profile_training(model, q, loss="sum", device="cuda", verbose=False)
    for way in (model, lambda q: thoplw.profile_training(model, q, loss="sum", device="cpu")):
        with pytest.raises(NotImplementedError, match="does not support backward on CPU"):
            way(q)


@pytest.mark.parametrize("rows", [2, 300], ids=["known", "unknown"])
def test_what_is_rehearsed_takes_no_memory(rows: int) -> None:
    def peak(forward: Callable[..., Any]) -> int:
        info = thoplw.profile(Two(forward), torch.ones(rows, 8), memory=True, verbose=False)[2]
        return int(info.memory.peak)

    branched = peak(lambda m, x: torch.cond(x.sum() > 100, m.a, lambda x: double(m, x), (x,)))
    assert 0 <= branched - peak(double) <= 8  # for what decides


def test_the_memory_of_flex_attention_is_that_of_its_outputs() -> None:
    (model, inputs) = flex(*[(2, 2, 16, 8)] * 3)
    info = thoplw.profile(model, inputs, memory=True, verbose=False)[2]
    weights, output, rows = 2 * 72 * 4, 2 * 2 * 16 * 8 * 4, 2 * 2 * 16 * 4
    assert weights + 4 * output + 2 * rows <= info.memory.peak <= weights + 4 * output + 2 * rows + 64
