"""``thoplw.count``: count everything that runs inside a ``with`` block."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from thoplw.capture import Session, expand
from thoplw.errors import InputError, message_of
from thoplw.pricing import Convention, find, price
from thoplw.pricing.custom import CustomOps
from thoplw.report.layer_info import LayerInfo


class Count:
    """A context that counts everything that runs inside it, on real tensors: in a training loop by phase, too.

    For example: several models, a loop, ``model.generate(...)``, or operators outside any module. Entering the context
    again starts from zero.

    Attributes:
        layer_info: the report of everything that ran, available after the block; its first level has one row for each
            model, named after its class.
        calls: one report for each outermost call of a model, in order.
    """

    layer_info: LayerInfo
    calls: tuple[LayerInfo, ...]

    def __init__(
        self, convention: str | Convention = "thoplw", custom_ops: Mapping[Any, Callable[..., Any]] | None = None
    ) -> None:
        """Prepare.

        Args:
            convention: how to count, as in :func:`thoplw.profile`.
            custom_ops: the user's own prices, as in :func:`thoplw.profile`.

        Raises:
            InputError: the convention is a function: the code to count goes into the block.
            UnknownNameError: the convention is unknown.
            CustomOpError: a function in ``custom_ops`` takes other arguments.
        """
        if callable(convention):
            raise InputError(
                "count takes no function: write `with thoplw.count() as counted:`, and run what you want to count in it"
            )
        self._convention = find(convention)
        self._functions = custom_ops
        self._custom = CustomOps(custom_ops, self._convention)
        self._session = Session()

    def __enter__(self) -> Count:
        self._custom = CustomOps(self._functions, self._convention)
        self._session = Session(self._custom.on_return, self._custom.flows)
        self._session.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.__exit__(kind, error, trace)
        seen = self._session.trace()
        self.layer_info = LayerInfo(self._custom.price(seen, expand))
        reports = []
        for scopes, part in seen.parts():
            prices = self._custom.scopes
            own = {position: prices[at] for position, at in enumerate(scopes) if at in prices}
            priced = price(part, self._convention, prices=self._custom.operators, scopes=own, expand=expand)
            reports.append(LayerInfo(priced))
        self.calls = tuple(reports)
        if error is not None and issubclass(type(error), RuntimeError) and re.search(r"\bmeta\b", message_of(error)):
            raise InputError(
                f"count runs its block for real, and tensors on the meta device have no values: {message_of(error)}. "
                "Give the model weights, or have it run without values: thoplw.profile(model, inputs) for a call, "
                "thoplw.profile_generation(model, prompt=2048, new=256) for generate"
            ) from error

    def __getattr__(self, name: str) -> Any:
        """Say when the results exist, if one of them is asked for too early."""
        if name in ("layer_info", "calls", "total_macs", "total_params"):
            raise AttributeError(f"{name} is there once the block of `with thoplw.count()` is over")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        """The totals, once they are known."""
        if "layer_info" not in vars(self):
            return "<thoplw.count: the block is not over>"
        unit = self._convention.unit or "MAC"
        return f"<thoplw.count: {self.total_macs:,} {unit}s, {self.total_params:,} parameters>"

    @property
    def total_macs(self) -> int:
        """The cost of everything that ran, in the unit of the convention."""
        return self.layer_info.total_macs

    @property
    def total_params(self) -> int:
        """The parameters of all modules that ran, each counted once."""
        return self.layer_info.total_params

    def summary(self, kind: str = "text", fmt: str = "raw") -> str:
        """The report of everything that ran, as :meth:`LayerInfo.summary` writes it."""
        return self.layer_info.summary(kind, fmt)


def count(convention: str | Convention = "thoplw", custom_ops: Mapping[Any, Callable[..., Any]] | None = None) -> Count:
    """Count everything that runs inside ``with thoplw.count() as counted:``; see :class:`Count`."""
    return Count(convention, custom_ops)
