"""One training step: forward, loss, backward, update."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import torch

from thoplw.capture.named import named_by
from thoplw.capture.nesting import tensors_in
from thoplw.errors import InputError, UnknownNameError

#: From what a model returned to a number to be made smaller.
Loss = Callable[..., torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What happens with a model and its inputs.

    Attributes:
        loss: function of what the model returns, and of the targets; ``"sum"`` of all that it returns; ``None`` for the
            loss that the model returns itself, if it does, else the sum.
        targets: given to the loss after the output.
        optimizer: makes it from parameters, or is one; ``None`` for no update.
        accumulate: how many forwards and backwards there are before an update.
        autocast: the type to compute forward and loss in.
        clip: the norm that gradients are clipped to.
        whole: does it all instead: called with model and inputs.
        set_to_none: whether gradients are let go of before the next iteration, or set to zero.
    """

    loss: Loss | str | None = None
    targets: tuple[Any, ...] = ()
    optimizer: Any = None
    accumulate: int = 1
    autocast: torch.dtype | None = None
    clip: float | None = None
    whole: Callable[..., Any] | None = None
    set_to_none: bool = True

    def named(self) -> list[Any]:
        """The variables of files that the functions of this use by name: an optimizer that ``whole`` steps, say."""
        return named_by([self.loss, self.whole])

    def run(self, model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do it; return what the model returned."""
        if self.whole is not None:
            return self.whole(model, *args, **kwargs)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = self._make_optimizer(trained)
        for _ in range(self.accumulate):
            with self._casting():
                output = model(*args, **kwargs)
                loss = self._loss_of(output)
            if self.accumulate > 1:
                loss = loss / self.accumulate
            loss.backward()  # type: ignore[no-untyped-call] # torch's own gap
            del loss
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(trained, self.clip)
        if optimizer is not None:
            optimizer.step()
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
        """Do it some times, as a training loop does: its variables keep output and loss until the next ones are there.

        Args:
            model: the model.
            args: its positional inputs.
            kwargs: its keyword inputs.
            times: how many iterations.
            began: called as each begins.
            returned: called with what the model returned.
        """
        if self.whole is not None:
            for _ in range(times):
                began()
                output = self.whole(model, *args, **kwargs)
            return output
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = self._make_optimizer(trained)
        for _ in range(times):
            began()
            self._let_go_of_gradients(trained, optimizer)
            for _ in range(self.accumulate):
                with self._casting():
                    output = model(*args, **kwargs)
                    returned(output)
                    loss = self._loss_of(output)
                if self.accumulate > 1:
                    loss = loss / self.accumulate
                loss.backward()  # type: ignore[no-untyped-call] # torch's own gap
            if self.clip is not None:
                torch.nn.utils.clip_grad_norm_(trained, self.clip)
            if optimizer is not None:
                optimizer.step()
        return output

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

    def _make_optimizer(self, trained: list[torch.nn.Parameter]) -> Any:
        if self.optimizer is None:
            return None
        given = isinstance(self.optimizer, torch.optim.Optimizer)
        if not given and not trained:
            return None
        optimizer = self.optimizer if given else self.optimizer(trained)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise InputError(f"optimizer= made {_shown(optimizer)}, not an optimizer of torch. {_WHOLE}")
        if isinstance(optimizer, (torch.optim.LBFGS, torch.optim.SparseAdam)):
            raise InputError(f"{type(optimizer).__name__} does more than one update of dense gradients. {_WHOLE}")
        if {*map(id, trained)}.isdisjoint(id(each) for group in optimizer.param_groups for each in group["params"]):
            raise InputError("the optimizer has no parameter that the model trains: make it from model.parameters()")
        return optimizer

    def _loss_of(self, output: Any) -> torch.Tensor:
        if callable(self.loss):
            return _checked(self.loss(output, *self.targets))
        if self.loss is None:
            own = _own_loss(output)
            if own is not None:
                return own
        return _sum(output)


#: What to do where the arguments do not say it all.
_WHOLE = "Write the whole step as a function of model and inputs, and give it as step="


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _checked(loss: Any) -> torch.Tensor:
    """The loss, if a backward pass can begin at it."""
    if not isinstance(loss, torch.Tensor):
        raise InputError(f"loss= returned {_shown(loss)}: return one number as a tensor, as .mean() does")
    if loss.numel() != 1:
        raise InputError(f"loss= returned a tensor of shape {tuple(loss.shape)}: return one number, as .mean() does")
    if not loss.requires_grad:
        raise InputError(
            "loss= returned a tensor that requires no gradient: are all parameters frozen, or was the output detached?"
        )
    return loss


def _own_loss(output: Any) -> torch.Tensor | None:
    """The loss that a model returns: ``output.loss`` of transformers, a dict of losses, or a number."""
    loss: Any = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(loss, torch.Tensor):
        return loss.sum()  # on several devices it is one number each
    losses = list(output.values()) if isinstance(output, Mapping) else [output]
    return reduce(add, losses) if losses and all(map(_is_loss, losses)) else None


def _is_loss(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and not value.dim() and value.requires_grad


def _sum(output: Any) -> torch.Tensor:
    """The sum of all that a gradient can go back from."""
    found = [tensor for tensor in tensors_in(output) if tensor.requires_grad]
    if not found:
        raise InputError(
            "nothing that the model returned requires a gradient, so that there is no backward pass: are all "
            "parameters frozen, or does the model detach its output? loss= takes a function of what it returns."
        )
    return reduce(add, (tensor.sum() for tensor in found))


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


def _optimizers() -> Iterator[type]:
    for value in vars(torch.optim).values():
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value not in _NOT_BY_NAME:
            yield value


#: The base of all, and those that one update of dense gradients does not describe.
_NOT_BY_NAME = (torch.optim.Optimizer, torch.optim.LBFGS, torch.optim.SparseAdam)
