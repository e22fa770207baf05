"""Which parameters count: functions that choose from those in a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from thoplw.record import Trace, Weight

#: From a trace to the weights that count, each with the index of the module that owns it.
Parameters = Callable[[Trace], Iterable[tuple[int, Weight]]]


def executed(trace: Trace) -> Iterable[tuple[int, Weight]]:
    """Parameters of modules that ran, and those that an operator used; each tensor once."""
    return _executed(trace, buffers=frozenset())


def executed_with_statistics(trace: Trace) -> Iterable[tuple[int, Weight]]:
    """As :func:`executed`, with the running mean and variance of norms."""
    return _executed(trace, buffers=frozenset({"running_mean", "running_var"}))


def every(trace: Trace) -> Iterable[tuple[int, Weight]]:
    """All parameters of the model, whether they were used or not; each tensor once."""
    return _once((index, weight) for index, info in enumerate(trace.modules) for weight in info.parameters)


def trainable(trace: Trace) -> Iterable[tuple[int, Weight]]:
    """All parameters of the model that require a gradient; each tensor once."""
    return ((index, weight) for index, weight in every(trace) if weight.trainable)


def _executed(trace: Trace, buffers: frozenset[str]) -> Iterable[tuple[int, Weight]]:
    ran, used = {scope.module for scope in trace.scopes}, trace.used
    first: dict[int, tuple[int, Weight]] = {}
    for index, info in enumerate(trace.modules):
        weights = info.parameters
        if buffers and info.buffers:
            weights = (*weights, *[buffer for buffer in info.buffers if buffer.name in buffers])
        for weight in weights:
            if index in ran or weight.key in used:
                first.setdefault(weight.key, (index, weight))
    return first.values()


def _once(weights: Iterable[tuple[int, Weight]]) -> Iterable[tuple[int, Weight]]:
    first: dict[int, tuple[int, Weight]] = {}
    for owned in weights:
        first.setdefault(owned[1].key, owned)
    return first.values()
