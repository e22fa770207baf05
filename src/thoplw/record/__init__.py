"""What was seen while a model ran: plain values, nothing of torch, so that it can be saved and sent elsewhere.

A :class:`Trace` holds the modules of the model, the *scopes* (one per call of a module) and the *steps* (one per
operator that ran, in order, each pointing at the scope it ran in). Equal calls share one :class:`Call`, so that
whatever is worked out for a call is worked out once, however often a model repeats it.
"""

from thoplw.record.call import Call, Expand, Step
from thoplw.record.classes import class_names
from thoplw.record.phase import Phase
from thoplw.record.span import Span
from thoplw.record.spec import Nested, TensorSpec, specs_in
from thoplw.record.state import Held
from thoplw.record.storage import Kind, Lifetimes, Storage
from thoplw.record.torch_name import TorchName
from thoplw.record.trace import Assumption, ModuleCall, ModuleInfo, Scope, Trace, Trained, Weight
from thoplw.record.traffic import NOTHING, Traffic
from thoplw.record.work import ZERO, Work, as_work

__all__ = [
    "NOTHING",
    "ZERO",
    "Assumption",
    "Call",
    "Expand",
    "Held",
    "Kind",
    "Lifetimes",
    "ModuleCall",
    "ModuleInfo",
    "Nested",
    "Phase",
    "Scope",
    "Span",
    "Step",
    "Storage",
    "TensorSpec",
    "TorchName",
    "Trace",
    "Traffic",
    "Trained",
    "Weight",
    "Work",
    "as_work",
    "class_names",
    "specs_in",
]
