"""Run a training step: forward, loss, backward, update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from thoplw.capture.criterion import Criterion, Loss, shown
from thoplw.capture.named import named_by
from thoplw.capture.torch_internals import GradScaler
from thoplw.errors import InputError, UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """What a training step does with a model and its inputs.

    Attributes:
        loss: function of what the model returns, and of the targets; ``"sum"`` of all that it returns; ``None`` for the
            loss that the model returns itself, if it does, else the sum.
        targets: given to the loss after the output.
        optimizer: an optimizer, or a function that makes one from parameters; ``None`` for no update.
        accumulate: how many forwards and backwards there are before an update.
        autocast: the dtype of autocast for forward and loss; ``None`` for no autocast.
        clip: the norm that gradients are clipped to.
        scaled: whether a gradient scaler scales the loss, and unscales gradients before the update.
        function: the user's step, a function of model and inputs, in place of loss, optimizer and the rest.
        set_to_none: whether gradients are released before the next iteration, or else set to zero.
        device: the device whose kernels run, ``"cpu"`` or ``"cuda"``; ``None`` for the device of the model.
        criterion: the module that computes the loss.
    """

    loss: Loss | str | None = None
    targets: tuple[Any, ...] = ()
    optimizer: Any = None
    accumulate: int = 1
    autocast: torch.dtype | None = None
    clip: float | None = None
    scaled: bool = False
    function: Callable[..., Any] | None = None
    set_to_none: bool = True
    device: str | None = None
    criterion: Criterion = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "criterion", Criterion(self.loss, self.targets, self.accumulate))

    def named(self) -> list[Any]:
        """Return the global variables that ``loss`` and ``function`` use, such as an optimizer."""
        return named_by([self.loss, self.function])

    def run(self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do one step, and return what the model returned."""
        if self.function is not None:
            return self.function(model, *args, **kwargs)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer, scaler = self._make_optimizer(trained), self._make_scaler()
        for _ in range(self.accumulate):
            with self._casting():
                output = model(*args, **kwargs)
                loss = self.criterion(output, scaler)
            loss.backward()
            del loss
        self._update(trained, optimizer, scaler)
        return output

    def repeat(
        self,
        model: torch.nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        times: int,
        *,
        began: Callable[[], None],
        returned: Callable[[Any], None],
    ) -> Any:
        """Do several steps, as a training loop does: it keeps output and loss until those of the next step exist.

        Args:
            model: the model.
            args: its positional inputs.
            kwargs: its keyword inputs.
            times: how many iterations.
            began: called as each begins.
            returned: called with what the model returned.
        """
        if self.function is not None:
            for _ in range(times):
                began()
                output = self.function(model, *args, **kwargs)
            return output
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer, scaler = self._make_optimizer(trained), self._make_scaler()
        for _ in range(times):
            began()
            self._let_go_of_gradients(trained, optimizer)
            for _ in range(self.accumulate):
                with self._casting():
                    output = model(*args, **kwargs)
                    returned(output)
                    loss = self.criterion(output, scaler)
                loss.backward()
            self._update(trained, optimizer, scaler)
        return output

    @torch.no_grad()  # a scaler inverts its scale with gradients enabled, as a forward would
    def _update(self, trained: list[torch.nn.Parameter], optimizer: Any, scaler: Any) -> None:
        if self.clip is not None:
            if scaler is not None and optimizer is not None:
                scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(trained, self.clip)
        if optimizer is not None and scaler is not None:
            scaler.step(optimizer)
            scaler.update()
        elif optimizer is not None:
            optimizer.step()

    def _let_go_of_gradients(self, trained: list[torch.nn.Parameter], optimizer: Any) -> None:
        if optimizer is not None:
            optimizer.zero_grad(self.set_to_none)
            return
        for parameter in trained:
            if self.set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.zero_()

    def _casting(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.autocast is None else torch.autocast("cpu", self.autocast)

    def _make_scaler(self) -> Any:
        """One of the run's own, so that the user's stays as it is: no cost depends on the scale."""
        return torch.amp.GradScaler("cpu") if self.scaled else None

    def _make_optimizer(self, trained: list[torch.nn.Parameter]) -> Any:
        if self.optimizer is None:
            return None
        given = isinstance(self.optimizer, torch.optim.Optimizer)
        if not given and not trained:
            return None
        optimizer = self.optimizer if given else self.optimizer(trained)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise InputError(f"optimizer= made {shown(optimizer)}, not an optimizer of torch. {_AS_FUNCTION}")
        if isinstance(optimizer, (torch.optim.LBFGS, torch.optim.SparseAdam)):
            raise InputError(f"{type(optimizer).__name__} does more than one update of dense gradients. {_AS_FUNCTION}")
        if {*map(id, trained)}.isdisjoint(id(each) for group in optimizer.param_groups for each in group["params"]):
            raise InputError("the optimizer has no parameter that the model trains: make it from model.parameters()")
        return optimizer


#: What to do where the arguments do not say it all.
_AS_FUNCTION = "Write the whole step as a function of model and inputs, and give it as step="


def find_optimizer(optimizer: Any) -> Any:
    """An optimizer, its class, a function that makes it from parameters, or a name such as ``"adamw"``.

    Raises:
        UnknownNameError: torch has no optimizer of this name.
        InputError: it is none of these.
    """
    if isinstance(optimizer, str):
        known = {cls.__name__.lower(): cls for cls in _optimizers()}
        try:
            return known[optimizer.lower()]
        except KeyError:
            raise UnknownNameError("optimizer", optimizer, known) from None
    if optimizer is None or callable(optimizer) or isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    raise InputError(
        f"optimizer={optimizer!r}: give an optimizer of the model's parameters, its class, a function that makes it "
        "from a list of parameters, or a name such as 'adamw'"
    )


def is_scaled(scaler: Any) -> bool:
    """Whether a step scales its loss, as the user says: by a gradient scaler of torch, or by true or false.

    Raises:
        InputError: it is none of these.
    """
    if scaler is None or isinstance(scaler, bool):
        return bool(scaler)
    kind = type(scaler)
    if issubclass(kind, GradScaler) and kind.__module__.startswith(("torch.amp.", "torch.cuda.", "torch.cpu.")):
        return bool(scaler.is_enabled())
    raise InputError(f"scaler= is {shown(scaler)}: give True, or a torch.amp.GradScaler. {_AS_FUNCTION}")


def _optimizers() -> Iterator[type]:
    for value in vars(torch.optim).values():
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value not in _NOT_BY_NAME:
            yield value


#: The base of all, and those that one update of dense gradients does not describe.
_NOT_BY_NAME = (torch.optim.Optimizer, torch.optim.LBFGS, torch.optim.SparseAdam)
