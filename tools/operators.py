"""Every operator that PyTorch itself tests: for real, and abstractly. Writes ``benchmarks/operators.md``.

::

    python tools/operators.py                    # all of them, about five minutes
    python tools/operators.py nn.functional.gelu # the lines of some

PyTorch keeps samples of its operators in ``torch.testing._internal.common_methods_invocations.op_db``, in float32 where
an operator takes that. Each runs on real tensors of the CPU and, as a module of that one operator, abstractly. Shapes,
dtypes and those strides that decide where an element lies must be equal, and multiply-accumulates what
``checks/oracle.py`` counts in a real run. It also keeps calls that must be refused: an answer to one is a difference.
Operators that only backward passes reach are not in it.
"""

from __future__ import annotations

import argparse
import random
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.testing._internal.common_methods_invocations import op_db

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks.oracle import oracle_macs  # noqa: E402

from thoplw.api.profile import observe  # noqa: E402
from thoplw.capture.abstract import Specs  # noqa: E402
from thoplw.capture.nesting import map_tensors, tensors_in  # noqa: E402
from thoplw.errors import ThoplwError  # noqa: E402
from thoplw.pricing import find, price  # noqa: E402
from thoplw.record import ZERO, TensorSpec  # noqa: E402

PAGE = ROOT / "benchmarks" / "operators.md"

#: Seconds for all samples of one operator.
SECONDS = 120

#: What an operator is tried in, the first that it takes.
DTYPES = (torch.float32, torch.int64, torch.complex64, torch.float8_e4m3fn)

#: Operators of which a real run tells nothing to compare with.
UNTESTED = {
    "empty": "what memory holds",
    "new_empty": "what memory holds",
}


class Operator(nn.Module):
    """A module of one operator."""

    def __init__(self, name: str, variant: str = "") -> None:
        super().__init__()
        self.name, self.variant = name, variant

    def forward(self, args: Any, kwargs: Any, anchor: torch.Tensor) -> Any:
        return _info(self.name, self.variant)(*args, **kwargs)


def _info(name: str, variant: str) -> Any:
    return next(info for info in op_db if info.name == name and info.variant_test_name == variant)


@dataclass(slots=True)
class Line:
    """What came out for one operator.

    Attributes:
        name: as PyTorch's samples have it, with the variant behind a blank.
        samples: how many valid calls were tried.
        equal: how many of them were equal in everything.
        refusals: how many invalid calls were tried, that PyTorch refuses.
        kinds: how the operators behind it are priced: ``priced``, ``free``, ``assumed`` or ``uncounted``.
        notes: what differed, with how often.
        unchecked: how many calls multiply in ways that the oracle does not know.
    """

    name: str
    samples: int = 0
    equal: int = 0
    refusals: int = 0
    kinds: set[str] = field(default_factory=set)
    notes: Counter[str] = field(default_factory=Counter)
    unchecked: int = 0


def tried(name: str, variant: str, seed: int = 0) -> Line:
    """Try every sample of one operator."""
    info = _info(name, variant)
    line = Line(f"{name} {variant}".strip())
    dtypes = info.supported_dtypes("cpu")
    dtype = next((dtype for dtype in DTYPES if dtype in dtypes), None)
    if dtype is None:
        line.notes["no samples for the CPU"] += 1
        return line
    model = Operator(name, variant).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _seed(seed)
        for sample in info.sample_inputs("cpu", dtype):
            _seed(seed)
            line.samples += 1
            notes = list(_differences(model, (sample.input, *sample.args), sample.kwargs, line))
            line.equal += not notes
            line.notes.update(notes)
        _seed(seed)
        for error in _errors(info):
            sample = error.sample_input
            if note := _answered(model, (sample.input, *sample.args), sample.kwargs):
                line.notes.update([note])
            line.refusals += note is not None
    return line


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    try:
        import numpy as np
    except ImportError:
        return
    np.random.seed(seed)


def _errors(info: Any) -> Iterator[Any]:
    """Calls that PyTorch refuses; some of its lists cannot be made on this machine."""
    if info.error_inputs_func is None:
        return
    try:
        yield from info.error_inputs("cpu")
    except Exception:
        return


def _differences(model: Operator, args: Any, kwargs: Any, line: Line) -> Iterator[str]:
    """In what an abstract run differs from a real one."""
    given = (args, kwargs, torch.zeros(1))
    try:
        with torch.no_grad():
            real = _specs(model(*map_tensors(given, torch.clone)))
    except Exception as error:
        line.notes[f"a real run fails here: {_short(error)}"] += 1
        line.samples -= 1
        line.equal -= 1
        return
    try:
        trace = observe(model, given)
    except ThoplwError as error:
        line.kinds.add("refused")
        yield f"refused: {_short(error)}"
        return
    except Exception as error:
        yield f"raw error: {_short(error)}"
        return
    found = list(trace.outputs)
    if trace.assumptions:
        line.kinds.add("assumed")
    elif (difference := _difference(real, found)) is not None:
        yield f"{difference}{_whose(model, given, found)}"
    priced = price(trace, find("macs"))
    uncounted = {leaf.call.target for leaf, *_ in priced.entries if leaf.work is None}
    line.kinds |= {
        "uncounted" if leaf.work is None else "free" if leaf.work is ZERO else "priced" for leaf, *_ in priced.entries
    }
    if uncounted:
        yield f"uncounted: {' '.join(sorted(uncounted))}"
    try:
        macs = oracle_macs(model, *map_tensors(given, torch.clone))
    except NotImplementedError:
        line.unchecked += 1
        return
    counted = sum(work.macs for work in priced.own)
    if macs != counted and not trace.assumptions:
        yield f"MACs: {counted} for {macs}"


def _answered(model: Operator, args: Any, kwargs: Any) -> str | None:
    """Whether a call that PyTorch refuses has an answer: a note if so, nothing if it is not even refused for real."""
    given = (args, kwargs, torch.zeros(1))
    try:
        with torch.no_grad():
            model(*map_tensors(given, torch.clone))
    except Exception as error:
        refusal = _short(error)
    else:
        return None
    try:
        observe(model, given)
    except Exception:
        return ""
    return f"answered: {refusal}"


def _whose(model: Operator, given: Any, found: list[TensorSpec]) -> str:
    """Says so where torch's own meta kernels give the same answer."""
    try:
        with torch.no_grad():
            meta = _specs(model(*map_tensors(given, lambda tensor: tensor.to("meta"))))
    except Exception:
        return ""
    return ", as torch's meta kernel has it" if _difference(meta, found) is None else ""


def _specs(output: Any) -> list[TensorSpec]:
    return list(map(Specs().of, tensors_in(output)))


def _difference(real: Sequence[TensorSpec], found: Sequence[TensorSpec]) -> str | None:
    """The first difference, in words."""
    if len(real) != len(found):
        return f"{len(found)} tensors for {len(real)}"
    for left, right in zip(real, found, strict=True):
        for what in ("shape", "dtype"):
            if getattr(left, what) != getattr(right, what):
                return f"{what}"
        if _steps(left) != _steps(right):
            return "strides"
    return None


def _steps(spec: TensorSpec) -> list[int]:
    """The strides that matter: of dimensions with more than one element, of tensors that have any."""
    return [step for size, step in zip(spec.shape, spec.strides, strict=False) if size != 1 and spec.numel]


def _short(error: Exception) -> str:
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return text if len(text) <= 160 else f"{text[:157]}..."


def run(names: Iterable[str], seed: int = 0) -> Iterator[Line]:
    """Try operators, each in a process that may die."""
    import pebble

    wanted = set(names)
    operators = [(info.name, info.variant_test_name) for info in op_db if not wanted or info.name in wanted]
    with pebble.ProcessPool(max_workers=1) as pool:
        futures = [(each, pool.schedule(tried, args=[*each, seed], timeout=SECONDS)) for each in operators]
        for each, future in futures:
            try:
                yield future.result()
            except TimeoutError:
                yield Line(" ".join(each).strip(), notes=Counter([f"not done in {SECONDS} s"]))
            except Exception as error:  # of the process, as it dies
                yield Line(" ".join(each).strip(), notes=Counter([f"the process ended: {_short(error)}"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lines = []
    for line in run(options.names, options.seed):
        lines.append(line)
        notes = "; ".join(f"{note} ({times})" for note, times in line.notes.items() if note)
        print(f"{line.name}: {line.equal}/{line.samples} {' '.join(sorted(line.kinds))} {notes}", flush=True)


if __name__ == "__main__":
    main()
