"""Run a model as it generates: a prefill, then steps, each of which goes on from what the call before it has left.

Example: ``model.generate(ids)`` of transformers calls the model with all ids and an empty cache, then with one id and
the cache that this call has filled, and so on. What was within reach after a call, in its inputs or its output, and is
within reach of the next one again, is the state that the calls hand on: the cache. So no class of cache needs to be
known, nor the name by which a model takes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import torch
from torch import nn

from thoplw.capture.named import named_by
from thoplw.capture.state import Enough, Watch, fields
from thoplw.errors import InputError, add_note
from thoplw.record import Held

#: How often to call, for a prompt of so many positions: the prompt, and the number of steps.
Plan = Sequence[tuple[int, int]]

#: Of each prompt in a plan, what each call has left.
States = list[list[tuple[Held, ...]]]


class Caller(nn.Module):
    """A model, and the way in which it is called again and again; its forward goes through a plan.

    Attributes:
        model: what generates.
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
        """Call the model with a prompt of so many positions, and then with one position after the other.

        Return what the last call has left, if there is one.
        """
        raise NotImplementedError

    def ids(self, length: int) -> torch.Tensor:
        """Tokens, ``[batch, length]``."""
        return torch.full((self.batch, length), self.token)

    def forward(self, plan: Plan) -> States:
        """Go through a plan. One call more begins than it asks for, and ends at once: it shows what was left."""
        return [self.round(partial(self._states, length, steps)) for length, steps in plan]

    def _states(self, length: int, steps: int) -> list[tuple[Held, ...]]:
        watch = Watch(self.model, steps + 1)
        hooks = [
            hook
            for turn in self.turns
            for hook in (
                turn.register_forward_pre_hook(watch.before, with_kwargs=True),
                turn.register_forward_hook(watch.after, with_kwargs=True),
            )
        ]
        try:
            watch.end(self.drive(length))
        except Enough:
            return watch.states
        finally:
            for hook in hooks:
                hook.remove()
        raise InputError(
            f"{type(self.model).__name__} stopped after {watch.calls} calls, and {steps + 1} and more were asked for: "
            "give prefill= and step=, functions that call it"
        )


class Round(nn.Module):
    """What calls the model for one prompt: when it is over, no call of the model is open."""

    def forward(self, calls: Callable[[], Any]) -> Any:
        """Make the calls."""
        return calls()


# -- ways to call ------------------------------------------------------------------------------------------------------


class ByForward(Caller):
    """A model whose forward takes again what it returns: outputs go to the inputs of the same name."""

    def drive(self, length: int) -> NoReturn:
        """Call the forward, and feed it what it returned."""
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
                    f"{type(self.model).__name__} returns nothing that it takes again, as a cache is "
                    f"(it takes {', '.join(takes)}): give prefill= and step=, functions that call it"
                )
            ids = self.ids(1)


class ByFunctions(Caller):
    """A model that functions call: the first gives a state from all tokens, the second the next state from one."""

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
