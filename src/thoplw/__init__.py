"""What every layer of a PyTorch model costs: exact, without weights, in milliseconds.

Names are imported when first asked for: torch takes seconds, which the help of the command line can do without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from thoplw.version import __version__ as __version__

if TYPE_CHECKING:
    from thoplw.api import profile
    from thoplw.attribution import Assumed, Row, Uncounted
    from thoplw.comparing import Comparison, compare
    from thoplw.counting import Count, count
    from thoplw.errors import (
        CustomOpError,
        DataDependentError,
        InputError,
        MissingExtraError,
        ThoplwError,
        UncountedError,
        UnknownNameError,
    )
    from thoplw.pricing import Convention, Term, conventions
    from thoplw.records import Call, ModuleCall, TensorSpec
    from thoplw.report import LayerInfo
    from thoplw.units import clever_format
    from thoplw.work import Work

__all__ = [
    "Assumed",
    "Call",
    "Comparison",
    "Convention",
    "Count",
    "CustomOpError",
    "DataDependentError",
    "InputError",
    "LayerInfo",
    "MissingExtraError",
    "ModuleCall",
    "Row",
    "TensorSpec",
    "Term",
    "ThoplwError",
    "Uncounted",
    "UncountedError",
    "UnknownNameError",
    "Work",
    "clever_format",
    "compare",
    "conventions",
    "count",
    "profile",
]

#: Module -> the public names that it defines.
_HOMES = {
    "api": "profile",
    "attribution": "Assumed Row Uncounted",
    "comparing": "Comparison compare",
    "counting": "Count count",
    "errors": (
        "CustomOpError DataDependentError InputError MissingExtraError ThoplwError UncountedError UnknownNameError"
    ),
    "pricing": "Convention Term conventions",
    "records": "Call ModuleCall TensorSpec",
    "report": "LayerInfo",
    "units": "clever_format",
    "work": "Work",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
