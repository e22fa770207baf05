"""Traces in a form that can be compared, and the runs that they come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from thoplw.capture import layer_cache
from thoplw.record import Trace


def seen(trace: Trace) -> list[Any]:
    """All of a trace but its modules."""
    steps = [(call.name, call.args, dict(call.kwargs), call.output, scope) for call, scope in trace.steps]
    return [steps, trace.scopes, trace.assumptions, trace.used]


@contextmanager
def every_layer_run() -> Iterator[None]:
    """Run every layer, however alike one before it."""
    with mock.patch.object(layer_cache, "LAYERS", {}):
        yield
