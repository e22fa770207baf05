"""Which parameters count: ways to choose among those that a trace shows, each with the index of its module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from thoplw.records import Trace, Weight

#: From a trace to the weights that count, each with the index of the module that owns it.
Parameters = Callable[[Trace], Iterable[tuple[int, Weight]]]


def executed(trace: Trace) -> Iterator[tuple[int, Weight]]:
    """Parameters of modules that ran, and those that some operator took; each tensor once."""
    return _once(_executed(trace, buffers=frozenset()))


def executed_with_statistics(trace: Trace) -> Iterator[tuple[int, Weight]]:
    """The same, and the running mean and variance of norms."""
    return _once(_executed(trace, buffers=frozenset({"running_mean", "running_var"})))


def every(trace: Trace) -> Iterator[tuple[int, Weight]]:
    """All parameters of the model, whether they were used or not; each tensor once."""
    return _once((index, weight) for index, info in enumerate(trace.modules) for weight in info.parameters)


def trainable(trace: Trace) -> Iterator[tuple[int, Weight]]:
    """All parameters of the model that require a gradient; each tensor once."""
    return ((index, weight) for index, weight in every(trace) if weight.trainable)


def _executed(trace: Trace, buffers: frozenset[str]) -> Iterator[tuple[int, Weight]]:
    ran = {scope.module for scope in trace.scopes}
    for index, info in enumerate(trace.modules):
        weights = info.parameters
        if buffers:
            weights = (*weights, *(buffer for buffer in info.buffers if buffer.name in buffers))
        if weights:
            called = index in ran
            for weight in weights:
                if called or weight.key in trace.used:
                    yield index, weight


def _once(weights: Iterable[tuple[int, Weight]]) -> Iterator[tuple[int, Weight]]:
    seen: set[int] = set()
    for index, weight in weights:
        if weight.key not in seen:
            seen.add(weight.key)
            yield index, weight
