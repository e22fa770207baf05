"""Run a model as it generates: a prefill, then steps, each of which goes on from what the call before it has left.

For example, ``model.generate(ids)`` of transformers calls the model with all ids and an empty cache, then with one id
and the cache that this call has filled, and so on. The cache is recognised by where it is: its tensors are within reach
of the inputs or output of one call, and of the inputs of the next. So this works for any class of cache, and for any
name by which a model takes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import torch
from torch import nn

from thoplw.capture.named import named_by
from thoplw.capture.state import Enough, StateRecorder, fields
from thoplw.errors import InputError, add_note
from thoplw.record import Held

#: Pairs of the length of a prompt and the number of steps after it.
Plan = Sequence[tuple[int, int]]

#: For each prompt of a plan, what each call has left.
States = list[list[tuple[Held, ...]]]


class Caller(nn.Module):
    """A model, and a way to call it again and again. The forward of this module goes through a plan.

    Attributes:
        model: the model that generates.
        turns: the modules whose calls are the prefill and the steps.
        batch: the number of sequences.
        longest: the number of positions at the end, for which a static cache has places.
        token: the id that all tokens have.
    """

    turns: tuple[nn.Module, ...]

    def __init__(self, model: nn.Module, batch: int, longest: int, token: int = 1) -> None:
        super().__init__()
        self.round = Round()
        self.model = model
        self.turns = (model,)
        self.batch = batch
        self.longest = longest
        self.token = token

    def drive(self, length: int) -> Any:
        """Call the model with a prompt of ``length`` positions, and then with one position after the other.

        Returns:
            What the last call has left. Most ways to call go on until :class:`StateRecorder` ends them, and return
            nothing.
        """
        raise NotImplementedError

    def ids(self, length: int) -> torch.Tensor:
        """Return tokens, ``[batch, length]``."""
        return torch.full((self.batch, length), self.token)

    def forward(self, plan: Plan) -> States:
        """Go through a plan. One more call than planned begins and ends at once, to show what the last one has left."""
        return [self.round(partial(self._states, length, steps)) for length, steps in plan]

    def _states(self, length: int, steps: int) -> list[tuple[Held, ...]]:
        recorder = StateRecorder(self.model, steps + 1)
        hooks = [
            hook
            for turn in self.turns
            for hook in (
                turn.register_forward_pre_hook(recorder.before, with_kwargs=True),
                turn.register_forward_hook(recorder.after, with_kwargs=True),
            )
        ]
        try:
            recorder.end(self.drive(length))
        except Enough:
            return recorder.states
        finally:
            for hook in hooks:
                hook.remove()
        raise InputError(
            f"{type(self.model).__name__} stopped after {recorder.calls} calls, and {steps + 1} and more were asked "
            "for: give prefill= and step=, functions that call it"
        )


class Round(nn.Module):
    """A module that makes the calls for one prompt. When its own call ends, no call of the model is open."""

    def forward(self, calls: Callable[[], Any]) -> Any:
        """Make the calls."""
        return calls()


# -- ways to call ------------------------------------------------------------------------------------------------------


class ByForward(Caller):
    """A model whose forward takes what it has returned: outputs go to the inputs of the same name."""

    def drive(self, length: int) -> NoReturn:
        """Call the forward with a prompt, and then with single tokens and what it has returned."""
        takes = inspect.signature(self.model.forward).parameters
        first, *others = takes
        asks = {"use_cache": True} if "use_cache" in takes else {}
        ids = self.ids(length)
        carried: dict[str, Any] = {}
        while True:
            try:
                named = dict(fields(self.model(**{first: ids}, **asks, **carried))) if others else {}
            except Exception as error:
                add_note(error, f"{type(self.model).__name__} was given token ids, {list(ids.shape)}, as {first}")
                raise
            carried = {name: value for name, value in named.items() if name in others}
            if not carried:
                raise InputError(
                    f"{type(self.model).__name__} cannot go on token by token: it returns nothing that its forward "
                    f"takes again, as a cache is (it takes {', '.join(takes)}). If another method does, give prefill= "
                    "and step=, functions that call it"
                )
            ids = self.ids(1)


class ByFunctions(Caller):
    """A model that two functions call: one returns a state for a prompt, the other the next state for one token."""

    def __init__(
        self, model: nn.Module, batch: int, longest: int, prefill: Callable[..., Any], step: Callable[..., Any]
    ) -> None:
        super().__init__(model, batch, longest)
        self.prefill, self.step = Prefill(prefill), Step(step)
        self.turns = (self.prefill, self.step)

    def drive(self, length: int) -> NoReturn:
        """Call the first function, and then the second again and again."""
        state = self.prefill(self.model, self.ids(length))
        while True:
            state = self.step(self.model, self.ids(1), state)


class _Function(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.named = named_by([function])  # what modules hold is put back after each run

    def forward(self, *given: Any) -> Any:
        return self.function(*given)


class Prefill(_Function):
    """The user's function for the prompt."""


class Step(_Function):
    """The user's function for one position."""
