"""Operators that PyTorch itself tests: for real, and abstractly.

PyTorch keeps samples of its operators in ``torch.testing._internal.common_methods_invocations.op_db``. Each sample runs
on real tensors of the CPU, in float32 where the operator takes that; as a module of that one operator it is observed
abstractly, and with ``execute=True``. Equal means the same shapes, dtypes and strides (of dimensions of more than one
element), the same multiply-accumulates as ``checks/oracle.py`` counts while it really runs, and a price, or a written
reason to be free, for whatever ran. ``op_db`` also keeps calls that must be refused: an answer to one is a difference.

Backward operators, which a forward pass does not reach, are left out.
"""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import torch
from checks.oracle import oracle_macs
from torch import nn
from torch.testing._internal.common_methods_invocations import op_db

from thoplw.api.profile import observe
from thoplw.capture import expand
from thoplw.capture.abstract import Specs
from thoplw.capture.nesting import map_tensors, tensors_in
from thoplw.capture.options import Options
from thoplw.errors import DataDependentError, ThoplwError
from thoplw.pricing import find, price
from thoplw.record import ZERO, TensorSpec, Trace

#: Seconds for all samples of one operator.
SECONDS = 120

#: What an operator is tried in: the first of these that it takes.
DTYPES = (torch.float32, torch.int64, torch.complex64, torch.float8_e4m3fn)

#: How a note ends about what torch's own meta kernel does wrong.
META = ", as torch's meta kernel has it"


class Operator(nn.Module):
    """A module of one operator, which is called with nested arguments; a tensor besides them is always an input."""

    def __init__(self, name: str, variant: str = "") -> None:
        super().__init__()
        self.name, self.variant = name, variant

    def forward(self, args: Any, kwargs: Any, anchor: torch.Tensor) -> Any:
        """Call it."""
        return _info(self.name, self.variant)(*args, **kwargs)


@dataclass(slots=True)
class Line:
    """What came out for one operator.

    Attributes:
        name: as PyTorch's samples have it, with the variant behind a blank.
        samples: how many valid calls were tried.
        equal: how many of them were equal in everything.
        refusals: how many invalid calls were tried, which PyTorch refuses.
        refused: how many of them were refused abstractly as well.
        unchecked: how many calls may multiply in ways that the oracle does not know.
        kinds: how the operators behind it are priced: ``priced``, ``free``, ``assumed`` or ``refused``.
        notes: what differed, with how often.
    """

    name: str
    samples: int = 0
    equal: int = 0
    refusals: int = 0
    refused: int = 0
    unchecked: int = 0
    kinds: set[str] = field(default_factory=set)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def listed(self) -> bool:
        """Whether every difference is one of torch's own meta kernels, or a refusal that says what to do."""
        return all(note.endswith(META) or note.startswith("refused") for note in self.notes)


def operators(names: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Names and variants of the operators in ``op_db``, or of those with these names."""
    wanted = set(names)
    every = [(info.name, info.variant_test_name) for info in op_db]
    return [each for each in every if (each[0] in wanted if wanted else "backward" not in each[0])]


def tried(name: str, variant: str, seed: int = 0) -> Line:
    """Try every sample of one operator."""
    info = _info(name, variant)
    line = Line(f"{name} {variant}".strip())
    dtypes = info.supported_dtypes("cpu")
    dtype = next((dtype for dtype in DTYPES if dtype in dtypes), None)
    if dtype is None:
        return line
    model = Operator(name, variant).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _seed(seed)
        for sample in info.sample_inputs("cpu", dtype):
            _try(model, ((sample.input, *sample.args), sample.kwargs, torch.zeros(1)), line)
        _seed(seed)
        for error in _errors(info):
            sample = error.sample_input
            _try_refusal(model, ((sample.input, *sample.args), sample.kwargs, torch.zeros(1)), line)
    return line


def _info(name: str, variant: str) -> Any:
    return next(info for info in op_db if info.name == name and info.variant_test_name == variant)


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def _errors(info: Any) -> Iterator[Any]:
    """Calls that PyTorch refuses; some of its lists need other devices than the CPU."""
    try:
        yield from info.error_inputs("cpu") if info.error_inputs_func is not None else ()
    except Exception:
        return


def _try(model: Operator, given: Any, line: Line) -> None:
    try:
        real = _run(model, given)
    except Exception:
        return  # it wants a GPU
    line.samples += 1
    notes = list(_differences(model, given, real, line))
    line.equal += not notes
    line.notes.update(notes)


def _try_refusal(model: Operator, given: Any, line: Line) -> None:
    try:
        _run(model, given)
    except Exception as error:
        refusal = _short(error)
    else:
        return
    line.refusals += 1
    try:
        observe(model, given)
    except Exception:
        line.refused += 1
    else:
        line.notes[f"answered, where torch says {refusal}"] += 1


def _run(model: Operator, given: Any, device: str = "cpu") -> list[TensorSpec]:
    with torch.no_grad():
        output = model(*map_tensors(given, lambda tensor: tensor.clone() if device == "cpu" else tensor.to(device)))
    return list(map(Specs().of, tensors_in(output)))


def _differences(model: Operator, given: Any, real: list[TensorSpec], line: Line) -> Iterator[str]:
    """In what an abstract run, and what is counted, differ from a real one."""
    executed, missing = _priced(observe(model, given, Options(execute=True)), line)
    if missing:
        yield f"uncounted: {' '.join(missing)}"
    try:
        trace = observe(model, given)
    except DataDependentError as error:
        line.kinds.add("refused")
        yield f"refused, as values decide: {str(error).partition(' ')[0]}"
        return
    except ThoplwError as error:
        line.kinds.add("refused")
        yield f"refused: {str(error).replace(' in the model itself (Operator)', '').partition(',')[0]}"
        return
    except Exception as error:
        yield f"raw error: {_short(error)}"
        return
    found = list(trace.outputs)
    counted, missing = _priced(trace, line)
    if missing:
        yield f"uncounted: {' '.join(missing)}"
    if trace.assumptions:
        line.kinds.add("assumed")
        return
    if (difference := _difference(real, found)) is not None:
        yield f"{difference}{_whose(model, given, found)}"
    if counted != executed:
        yield f"multiply-accumulates: {counted}, executed {executed}"
    try:
        macs = oracle_macs(model, *map_tensors(given, torch.clone))
    except NotImplementedError:
        line.unchecked += 1
        return
    if macs != counted:
        yield f"multiply-accumulates: {counted} for {macs}"


def _priced(trace: Trace, line: Line) -> tuple[int, list[str]]:
    """The multiply-accumulates of a run, and what has no price."""
    priced = price(trace, find("macs"), expand=expand)
    works = [(leaf.call.target, leaf.work) for leaf, *_ in priced.entries]
    line.kinds |= {"free" if work is ZERO else "priced" for _, work in works if work is not None}
    return sum(work.macs for work in priced.own), sorted({target for target, work in works if work is None})


def _whose(model: Operator, given: Any, found: list[TensorSpec]) -> str:
    """Says so where torch's own meta kernels give the same answer."""
    try:
        return META if _difference(_run(model, given, "meta"), found) is None else ""
    except Exception:
        return ""


def _difference(real: Sequence[TensorSpec], found: Sequence[TensorSpec]) -> str | None:
    """In what outputs differ first."""
    if len(real) != len(found):
        return f"{len(found)} tensors for {len(real)}"
    for left, right in zip(real, found, strict=True):
        for what in ("shape", "dtype"):
            if getattr(left, what) != getattr(right, what):
                return what
        if _steps(left) != _steps(right):
            return "strides"
    return None


def _steps(spec: TensorSpec) -> list[int]:
    """The strides that matter: of dimensions with more than one element, of tensors that have any."""
    return [step for size, step in zip(spec.shape, spec.strides, strict=False) if size != 1 and spec.numel]


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 120 else f'{text[:117]}...'}"


def run(names: Iterable[str] = (), seed: int = 0) -> Iterator[Line]:
    """Try operators, each in a process that may die."""
    import pebble

    with pebble.ProcessPool(max_workers=1) as pool:
        each = [(pair, pool.schedule(tried, args=[*pair, seed], timeout=SECONDS)) for pair in operators(names)]
        for pair, future in each:
            name = " ".join(pair).strip()
            try:
                yield future.result()
            except TimeoutError:
                yield Line(name, notes=Counter([f"not done in {SECONDS} s"]))
            except Exception as error:  # whatever ended the process
                yield Line(name, notes=Counter([f"the process ended: {_short(error)}"]))


def page(lines: Sequence[Line], seed: int) -> str:
    """The lines as a page."""
    tested = [line for line in lines if line.samples]
    samples, equal = sum(line.samples for line in tested), sum(line.equal for line in tested)
    refusals, refused = sum(line.refusals for line in lines), sum(line.refused for line in lines)
    unlisted = [line.name for line in lines if not line.listed]
    rows = [
        f"| `{line.name}` | {line.samples} | {line.equal} | {line.refused} of {line.refusals} | "
        f"{', '.join(sorted(line.kinds))} | "
        + "; ".join(f"{note} ({times})" for note, times in sorted(line.notes.items())).replace("|", "/")
        + " |"
        for line in sorted(tested, key=lambda line: (not line.notes, line.name))
    ]
    return "\n".join(
        [
            "# Every operator that PyTorch tests",
            "",
            f"Of {samples:,} calls of {len(tested)} operators {equal:,} came out equal: shapes, dtypes and strides of "
            "a real run, the multiply-accumulates of an independent count, and a price, or a written reason to be "
            f"free, for whatever ran. Of {refusals} calls that PyTorch refuses {refused} were refused. "
            f"{sum(line.unchecked for line in tested):,} calls (linear algebra for the most part) may multiply in "
            "ways that the independent count does not know.",
            "",
            f"{date.today()}; torch {torch.__version__}, seed {seed}. Written by `tools/operators.py`, which says what "
            f"is compared. {len(lines) - len(tested)} operators have no samples for the CPU. Backward operators are "
            "left out: a forward pass does not reach them.",
            "",
            "*As torch's meta kernel has it*: torch itself says so on the meta device, and its kernel for the CPU does "
            "otherwise. *Refused* calls raise an error that names the operator and what to do."
            + (
                f" Other differences: {', '.join(unlisted)}."
                if unlisted
                else " There is no other difference in results."
            ),
            "",
            "| operator | calls | equal | invalid ones refused | cost | what differs (calls) |",
            "|---|--:|--:|--:|---|---|",
            *rows,
            "",
        ]
    )
