"""Traces in a form that can be compared."""

from __future__ import annotations

from typing import Any

from thoplw.record import Trace


def seen(trace: Trace) -> list[Any]:
    """All of a trace but its modules."""
    steps = [(call.name, call.args, dict(call.kwargs), call.output, scope) for call, scope in trace.steps]
    return [steps, trace.scopes, trace.assumptions, trace.used]
