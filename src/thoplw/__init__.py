"""What every layer of a PyTorch model costs: exact, without weights, in milliseconds.

Names are imported when first asked for: torch takes seconds, which the help of the command line can do without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from thoplw.version import __version__ as __version__

if TYPE_CHECKING:
    from thoplw.api.compare import Comparison, compare
    from thoplw.api.count import Count, count
    from thoplw.api.formula import Formula, formula
    from thoplw.api.generation import Generation, profile_generation
    from thoplw.api.measure import measure
    from thoplw.api.profile import profile
    from thoplw.api.training import profile_training
    from thoplw.capture.inputs import Inputs
    from thoplw.errors import (
        CustomOpError,
        DataDependentError,
        InputError,
        MissingExtraError,
        NoFormulaError,
        ThoplwError,
        UncountedError,
        UnknownNameError,
    )
    from thoplw.estimate.devices import Device, devices
    from thoplw.estimate.expression import Expression
    from thoplw.pricing import Convention, Term, conventions
    from thoplw.record import Call, ModuleCall, TensorSpec, Work
    from thoplw.render.units import clever_format
    from thoplw.report.layer_info import LayerInfo
    from thoplw.report.measurement import Measurement, TimedRow
    from thoplw.report.rows import Assumed, Row, Uncounted

__all__ = [
    "Assumed",
    "Call",
    "Comparison",
    "Convention",
    "Count",
    "CustomOpError",
    "DataDependentError",
    "Device",
    "Expression",
    "Formula",
    "Generation",
    "InputError",
    "Inputs",
    "LayerInfo",
    "Measurement",
    "MissingExtraError",
    "ModuleCall",
    "NoFormulaError",
    "Row",
    "TensorSpec",
    "Term",
    "ThoplwError",
    "TimedRow",
    "Uncounted",
    "UncountedError",
    "UnknownNameError",
    "Work",
    "clever_format",
    "compare",
    "conventions",
    "count",
    "devices",
    "formula",
    "measure",
    "profile",
    "profile_generation",
    "profile_training",
]

#: Module -> the public names that it defines.
_HOMES = {
    "api.compare": "Comparison compare",
    "api.count": "Count count",
    "api.formula": "Formula formula",
    "api.measure": "measure",
    "api.profile": "profile",
    "api.generation": "Generation profile_generation",
    "api.training": "profile_training",
    "capture.inputs": "Inputs",
    "errors": (
        "CustomOpError DataDependentError InputError MissingExtraError NoFormulaError ThoplwError UncountedError "
        "UnknownNameError"
    ),
    "estimate.devices": "Device devices",
    "estimate.expression": "Expression",
    "pricing": "Convention Term conventions",
    "record": "Call ModuleCall TensorSpec Work",
    "render.units": "clever_format",
    "report.rows": "Assumed Row Uncounted",
    "report.layer_info": "LayerInfo",
    "report.measurement": "Measurement TimedRow",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
