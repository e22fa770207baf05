"""The kernels of a real run under autograd as records, without thoplw's own runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from thoplw.formulas import FORMULAS
from thoplw.pricing.convention import Price
from thoplw.pricing.price import find_price
from thoplw.record import ZERO, Call, TensorSpec, Work


def recorded(step: Callable[[], Any]) -> list[Call]:
    """Every kernel that ``step()`` runs, in order."""
    recorder = _Recorder()
    with recorder:
        step()
    return recorder.calls


def work(calls: list[Call], prices: Mapping[str, Price] = FORMULAS) -> Work:
    """What kernels cost, by the formulas unless said otherwise.

    Raises:
        KeyError: some have no price.
    """
    total = ZERO
    for call in calls:
        price = find_price(call, prices)
        if price is not None:
            if not callable(price):
                raise KeyError(call.target)
            total += price(call)
    return total


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = spec_of((*args,)), {name: spec_of(value) for name, value in (kwargs or {}).items()}
        output = func(*args, **(kwargs or {}))
        namespace, _, name = func._schema.name.partition("::")
        self.calls.append(
            Call(
                target=f"{namespace}.{name}",
                overload=func._overloadname,
                args=before[0],
                kwargs=before[1],
                output=spec_of(output),
            )
        )
        return output


def spec_of(value: Any) -> Any:
    """Specs for tensors, tuples for lists."""
    if isinstance(value, torch.Tensor):
        ends = value.dtype == torch.int32 and value.dim() == 1 and value.numel() < 100  # of packed sequences, maybe
        strides = tuple(value.stride()) if value.layout is torch.strided else ()
        return TensorSpec(
            shape=tuple(value.shape),
            dtype=str(value.dtype)[6:],
            strides=strides,
            values=tuple(value.tolist()) if ends else None,
        )
    return tuple(map(spec_of, value)) if isinstance(value, (tuple, list)) else value
