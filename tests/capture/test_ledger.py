"""A ledger knows which storages there are: each comes with the operator that made it, and goes with its last view."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from checks.calls import f32, sparse

from thoplw.capture.abstract import AbstractTensor, Specs, abstract
from thoplw.capture.ledger import Block, Ledger, bytes_of, place_of_viewed
from thoplw.capture.torch_internals import memory_of
from thoplw.errors import InputError
from thoplw.record import Phase
from thoplw.record.storage import Kind, Storage

aten = torch.ops.aten


class Run:
    """Steps of a run, made by hand."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.ledger = Ledger(self.steps)

    def __call__(self, func: Any, *args: Any, out: tuple[int, ...]) -> AbstractTensor:
        """An operator ran, and returned a tensor of this shape."""
        made = abstract(f32(*out), torch.device("cpu"))
        self.steps.append(func)
        self.ledger.record(func, args, {}, made)
        return made

    def given(self, tensor: torch.Tensor, kind: Kind = Kind.INPUTS) -> AbstractTensor:
        """A tensor of the user's, as the run gets it."""
        self.ledger.hold([tensor], kind)
        replacement = abstract(Specs().of(tensor), torch.device("cpu"))
        self.ledger.note_input(tensor, replacement)
        return replacement

    def storages(self, *phases: Phase) -> tuple[Storage, ...]:
        return self.ledger.lifetimes(phases or [Phase.FORWARD] * len(self.steps)).storages


def test_a_storage_goes_with_its_last_view() -> None:
    run = Run()
    x = run.given(torch.ones(4))
    y = run(aten.relu.default, x, out=(4,))
    z = run(aten.view.default, y, [2, 2], out=(2, 2))
    del y
    last = run(aten.sum.default, z, out=())
    assert last.memory is not z.memory
    del z
    run(aten.neg.default, last, out=())
    assert run.storages() == (
        Storage(16, Kind.INPUTS, -1),
        Storage(16, Kind.TEMPORARIES, 0, gone=3),
        Storage(4, Kind.TEMPORARIES, 2),
        Storage(4, Kind.TEMPORARIES, 3, gone=4),  # nobody took it
    )


def test_what_a_backward_step_still_finds_is_an_activation() -> None:
    run = Run()
    x = run.given(torch.ones(4))
    early = run(aten.relu.default, x, out=(4,))
    kept = run(aten.exp.default, early, out=(4,))
    del early
    run(aten.neg.default, kept, out=(4,))
    phases = Phase.FORWARD, Phase.FORWARD, Phase.BACKWARD
    assert [each.kind for each in run.storages(*phases)[1:]] == [Kind.TEMPORARIES, Kind.ACTIVATIONS, Kind.TEMPORARIES]
    assert {each.kind for each in run.storages()[1:]} == {Kind.TEMPORARIES}


def test_views_of_the_users_are_of_one_memory_and_a_sparse_tensor_of_several() -> None:
    run = Run()
    weight = torch.ones(6, 2)
    rows = weight[:2]
    run.ledger.hold([weight, rows], Kind.WEIGHTS)
    run.ledger.hold([torch.eye(3).to_sparse()], Kind.BUFFERS)
    indices, values = 2 * 3 * 8, 3 * 4
    assert [(each.size, each.kind) for each in run.storages()] == [
        (6 * 2 * 4, Kind.WEIGHTS),
        (indices, Kind.BUFFERS),
        (values, Kind.BUFFERS),
    ]


def test_memory_from_before_the_run_changes_its_kind_to_that_of_an_optimizer_alone() -> None:
    run = Run()
    x = run.given(torch.ones(4))
    y = run(aten.relu.default, x, out=(4,))
    run.ledger.note([x, y], Kind.OUTPUTS)
    assert [each.kind for each in run.storages()] == [Kind.INPUTS, Kind.OUTPUTS]
    run.ledger.note([x], Kind.OPTIMIZER)
    assert [each.kind for each in run.storages()] == [Kind.OPTIMIZER, Kind.OUTPUTS]


def test_workspaces_stay_or_pass() -> None:
    run = Run()
    run(aten.relu.default, run.given(torch.ones(4)), out=(4,))
    run.ledger.keep(100, Kind.WORKSPACES)
    run.ledger.pass_through(30)
    lifetimes = run.ledger.lifetimes([Phase.FORWARD])
    assert lifetimes.storages[2:] == (
        Storage(100, Kind.WORKSPACES, 0),
        Storage(30, Kind.WORKSPACES, 0, gone=1),
    )
    assert [*lifetimes.live()] == [16, 32, 16, 116, 146, 116]


def test_a_tensor_is_alone_while_nothing_shares_its_memory() -> None:
    run = Run()
    y = run(aten.relu.default, run.given(torch.ones(4)), out=(4,))
    assert run.ledger.is_alone(y, 1)
    assert not run.ledger.is_alone(y, 0)  # it is as young as the step
    z = run(aten.detach.default, y, out=(4,))
    assert not run.ledger.is_alone(y, 1)
    del z
    assert run.ledger.is_alone(y, 1)


def test_an_embedding_bag_allocates_one_offset_more_than_it_returns() -> None:
    run = Run()
    made = [abstract(f32(3), torch.device("cpu")) for _ in range(4)]
    for last in (False, True):
        run.steps.append(None)
        args = (None,) * 7 + (last,)
        for each in made:
            each.memory = None
        run.ledger.record(aten._embedding_bag.default, args, {}, tuple(made))
        assert [each.memory.size for each in made] == [12, 16, 16 if last else 12, 12]


def test_nothing_goes_any_more_once_the_run_has_ended() -> None:
    run = Run()
    y = run(aten.relu.default, run.given(torch.ones(4)), out=(4,))
    run.ledger.close()
    del y
    assert [each.gone for each in run.storages()] == [-1, -1]


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((), ()), ((3,), (1,)), ((2, 3), (3, 1)), ((2, 3), (1, 2)), ((2, 3), (8, 2)), ((4, 3), (0, 1)), ((2, 0), (1, 1))],
)
def test_bytes_are_those_of_a_real_storage(shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.int64, torch.bool):
        real = torch.empty_strided(shape, strides, dtype=dtype)
        assert bytes_of(Specs().of(real)) == real.untyped_storage().nbytes()


def test_bytes_of_a_sparse_tensor_depend_on_values() -> None:
    with pytest.raises(InputError, match=r"sparse tensor of shape \(4, 4\) depends on values"):
        bytes_of(sparse(4, 4, stored=3))


@pytest.mark.parametrize(
    ("func", "more"),
    [
        (aten.view.default, ([6],)),
        (aten.expand.default, ([2, 2, 3],)),
        (aten.split.Tensor, (1,)),
        (aten.unbind.int, ()),
        (aten._unsafe_view.default, ([6],)),
        (aten.unsafe_split.Tensor, (1,)),
        (aten.detach.default, ()),
        (aten.relu.default, ()),
        (aten.clone.default, ()),
        (aten.add.Tensor, (1,)),
        (aten.topk.default, (1,)),
    ],
    ids=str,
)
def test_views_are_of_the_argument_whose_memory_they_really_show(func: Any, more: tuple[Any, ...]) -> None:
    x = torch.rand(2, 3)
    made = func(x, *more)
    first = made if isinstance(made, torch.Tensor) else made[0]
    assert place_of_viewed(func) == ((0, "self") if memory_of(first) == memory_of(x) else (-1, ""))


def test_what_is_written_is_no_view() -> None:
    assert place_of_viewed(aten.add_.Tensor) == (-1, "")
    assert place_of_viewed(aten.add.out) == (-1, "")


def test_a_block_that_was_interrupted_while_it_was_made_goes_without_a_word() -> None:
    Block.__new__(Block)  # Python says of an error in __del__ that it is ignored, and here that fails
