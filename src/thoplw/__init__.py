"""What every layer of a PyTorch model costs: exact, without weights, in milliseconds."""

from __future__ import annotations

from thoplw.api import profile
from thoplw.attribution import Assumed, Row, Uncounted
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
from thoplw.pricing import Convention
from thoplw.records import Call, TensorSpec
from thoplw.report import LayerInfo
from thoplw.units import clever_format
from thoplw.version import __version__ as __version__
from thoplw.work import Work

__all__ = [
    "Assumed",
    "Call",
    "Convention",
    "Count",
    "CustomOpError",
    "DataDependentError",
    "InputError",
    "LayerInfo",
    "MissingExtraError",
    "Row",
    "TensorSpec",
    "ThoplwError",
    "Uncounted",
    "UncountedError",
    "UnknownNameError",
    "Work",
    "clever_format",
    "count",
    "profile",
]
