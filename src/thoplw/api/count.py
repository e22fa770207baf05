"""Count whatever runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from thoplw.capture import Session, expand
from thoplw.pricing import Convention, find, price
from thoplw.pricing.custom import CustomOps
from thoplw.report.layer_info import LayerInfo


class Count:
    """A context that counts what runs inside of it, on real tensors, as in inference.

    Several models, a loop, ``model.generate(...)``: everything is counted, also what runs outside of any module. Using
    it again starts from zero.

    Attributes:
        layer_info: the report of all that ran, once the context is left: models go by their class names.
        calls: a report of each call of a model from outside of any model, in order.
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
            UnknownNameError: there is no such convention.
            CustomOpError: a function in ``custom_ops`` takes other arguments.
        """
        self._convention = find(convention)
        self._functions = custom_ops
        self._custom = CustomOps(custom_ops, self._convention)
        self._session = Session()

    def __enter__(self) -> Count:
        self._custom = CustomOps(self._functions, self._convention)
        self._session = Session(self._custom.watch)
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

    @property
    def total_macs(self) -> int:
        """Of all that ran."""
        return self.layer_info.total_macs

    @property
    def total_params(self) -> int:
        """Of all modules that ran, each counted once."""
        return self.layer_info.total_params

    def summary(self, kind: str = "text", fmt: str = "raw") -> str:
        """The table of all that ran, as :meth:`LayerInfo.summary` writes it."""
        return self.layer_info.summary(kind, fmt)


def count(convention: str | Convention = "thoplw", custom_ops: Mapping[Any, Callable[..., Any]] | None = None) -> Count:
    """Count whatever runs inside ``with thoplw.count() as counted:``; see :class:`Count`."""
    return Count(convention, custom_ops)
