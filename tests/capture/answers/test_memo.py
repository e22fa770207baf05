"""Answers are told apart by all that may make a difference, and shared otherwise."""

from __future__ import annotations

import sys

import torch
from checks.releases import since
from torch import nn

from thoplw.capture import capture
from thoplw.capture.abstract import AbstractTensor
from thoplw.capture.answers.memo import Answer, Memo
from thoplw.record import Call, TensorSpec


def test_equal_calls_share_a_record() -> None:
    trace = capture(nn.Sequential(*[nn.Linear(3, 3) for _ in range(5)]), (torch.ones(1, 3),), {})
    assert len(trace.steps) == 5
    assert len({id(call) for call, _ in trace.steps}) == 1


def test_arguments_that_are_equal_but_of_other_types_are_told_apart() -> None:
    class Adds(nn.Module):
        def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
            x = ids.expand(2**23)  # too large to be real
            return x + 1, x + 1.0, x + True

    outputs = capture(Adds(), (torch.ones(1, dtype=torch.int32),), {}).outputs
    assert [output.dtype for output in outputs] == ["int32", "float32", "int32"]


@since("2.3")
def test_an_argument_without_a_hash_is_like_no_other() -> None:
    # Dictionaries that die one after the other may have one identity.
    with torch.library._scoped_library("thoplw_test", "DEF") as library:
        library.define("repeat(Tensor x, Dict(str, int) sizes) -> Tensor")
        library.impl("repeat", lambda x, sizes: x.new_empty(sizes["rows"], *x.shape), "Meta")

        class Repeats(nn.Module):
            def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
                return tuple(torch.ops.thoplw_test.repeat(x, {"rows": rows}) for rows in range(1, 5))

        outputs = capture(Repeats(), (torch.ones(3),), {}).outputs
    assert [output.shape for output in outputs] == [(1, 3), (2, 3), (3, 3), (4, 3)]


def test_an_answer_is_no_tensor_that_is_still_there() -> None:
    """Survivors of a run are counted by references to their class: searching for some takes longer than most runs."""
    spec = TensorSpec(shape=(2,), dtype="float32", strides=(1,))
    before = sys.getrefcount(AbstractTensor)
    answer = Answer(Call(target="aten.relu", output=spec), None, writes=False, device=torch.device("cpu"))
    assert answer.wrapper is not None
    assert sys.getrefcount(AbstractTensor) == before


def test_a_memo_knows_what_it_can_repeat() -> None:
    memo, relu = Memo(), torch.ops.aten.relu.default
    operator = memo.meet(relu)
    assert memo.operators[id(relu)] is operator
    first, second = Call(target="aten.relu"), Call(target="aten.relu")
    memo.remember(operator, (1,), Answer(first, None, writes=False, device=torch.device("cpu")))
    assert operator.answers[1,].call is first
    assert memo.repeats(first)
    assert not memo.repeats(second)
