"""``thoplw.compare``: count one run of a model by several conventions, and explain the differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import torch

from thoplw.api.profile import observe
from thoplw.capture import expand
from thoplw.capture.options import Options
from thoplw.capture.restore.preserve import without_collection
from thoplw.capture.training_step import TrainingStep
from thoplw.errors import InputError, UnknownNameError
from thoplw.pricing import CONVENTIONS, Convention, Families, Priced, Term, find, price
from thoplw.record import Trace
from thoplw.render import TABLES, render
from thoplw.render.grid import hypertext
from thoplw.render.table import Table
from thoplw.render.units import clever_format
from thoplw.render.words import named, visible
from thoplw.report.figures import FORMATTERS
from thoplw.report.layer_info import LayerInfo
from thoplw.version import __version__


class Comparison:
    """The counts of several conventions for one run of a model. Iterating gives their names.

    Attributes:
        conventions: name -> convention, in the order asked for.
        base: name of the one that the others are compared with: ``macs`` if it is among them, else the first.
    """

    def __init__(self, trace: Trace, conventions: Iterable[Convention]) -> None:
        self.conventions: Mapping[str, Convention] = {each.name: each for each in conventions}
        self.base = "macs" if "macs" in self.conventions else next(iter(self.conventions))
        self._trace = trace
        self._priced: dict[str, Priced] = {
            name: price(trace, each, expand=expand) for name, each in self.conventions.items()
        }
        self._reports: dict[str, LayerInfo] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self.conventions)

    def __len__(self) -> int:
        return len(self.conventions)

    def __getitem__(self, name: str) -> LayerInfo:
        """Return the report by one of the conventions.

        Raises:
            UnknownNameError: the name is not one of them.
        """
        self._require(name)
        if name not in self._reports:
            self._reports[name] = LayerInfo(self._priced[name])
        return self._reports[name]

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"<Comparison of {visible(self._trace.modules[0].class_name)} by {', '.join(self)}>"

    def _repr_html_(self) -> str:
        """The display of notebooks."""
        return hypertext(self.table("clever"))

    def _repr_markdown_(self) -> str:
        """The display of notebooks without HTML."""
        return self.summary("md", "clever")

    def terms(self, left: str, right: str, *, by_layer: bool = False) -> tuple[Term, ...]:
        """Explain why the total by ``left`` differs from that by ``right``: the terms add up to it exactly.

        Args:
            left: name of one convention.
            right: name of another.
            by_layer: terms for each layer, not for the model as a whole.

        Returns:
            The terms, the largest difference first; work that both count alike is left out.

        Raises:
            UnknownNameError: a convention is not one of those compared.
        """
        self._require(left)
        self._require(right)
        return self._families.terms(self._priced[left], self._priced[right], by_layer=by_layer)

    def summary(self, kind: str = "text", fmt: str = "raw") -> str:
        """The totals of all conventions, and below them why each differs from :attr:`base`.

        Args:
            kind: ``text``, ``csv``, ``md``, ``latex`` or ``json``.
            fmt: ``raw`` figures, or ``clever`` ones with units.

        Raises:
            UnknownNameError: there is no such kind or format.
        """
        return render(self.to_dict() if kind == "json" else self.table(fmt), _known(kind))

    def explain(self, left: str, right: str, kind: str = "text", fmt: str = "raw", *, by_layer: bool = False) -> str:
        """The difference of two conventions, term by term; its footer has their totals.

        Args:
            left: name of one convention.
            right: name of another.
            kind: as for :meth:`summary`.
            fmt: as for :meth:`summary`.
            by_layer: a row for each layer and kind of work.

        Raises:
            UnknownNameError: there is no such kind or format, or a convention is not one of those compared.
        """
        if kind == "json":
            return render(self._difference(left, right, by_layer=by_layer), kind)
        return render(self.explanation(left, right, fmt, by_layer=by_layer), _known(kind))

    def table(self, fmt: str = "raw") -> Table:
        """A row for each convention."""
        write, base = _written(fmt), self[self.base].total_macs
        return Table(
            columns=("Convention", "Total", "Unit", f"x {self.base}", "Params", "Mirrors"),
            rows=tuple(
                (
                    name,
                    write(self[name].total_macs),
                    f"{each.unit}s",
                    f"{self[name].total_macs / base:.4f}" if base else "",
                    write(self[name].total_params),
                    each.mirrors,
                )
                for name, each in self.conventions.items()
            ),
            notes=tuple(self._sentence(name) for name in self if name != self.base),
            about=self._about,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values: totals, and the terms of each convention's difference to :attr:`base`."""
        return {
            **self._about,
            "base": self.base,
            "conventions": [
                {
                    "name": name,
                    "unit": each.unit,
                    "total": self[name].total_macs,
                    "params": self[name].total_params,
                    "mirrors": each.mirrors,
                }
                for name, each in self.conventions.items()
            ],
            "differences": [self._difference(name, self.base) for name in self if name != self.base],
        }

    @cached_property
    def _families(self) -> Families:
        return Families(self._trace, expand)

    @property
    def _about(self) -> dict[str, str]:
        return {"thoplw": __version__, "torch": self._trace.torch, "model": self._trace.modules[0].class_name}

    def _sentence(self, name: str) -> str:
        """As in ``thop - macs = 9.94 M: batch norm 9.92 M, average pooling 25.09 k``."""
        difference = self[name].total_macs - self[self.base].total_macs
        if not difference:
            return f"{name} - {self.base} = 0."
        parts = ", ".join(f"{term.kind} {_signed(term.difference)}" for term in self.terms(name, self.base))
        return f"{name} - {self.base} = {_signed(difference)}: {parts}."

    def _difference(self, left: str, right: str, *, by_layer: bool = False) -> dict[str, Any]:
        terms = self.terms(left, right, by_layer=by_layer)
        return {
            "left": left,
            "right": right,
            "difference": self[left].total_macs - self[right].total_macs,
            "terms": [
                {
                    **({"layer": term.layer} if by_layer else {}),
                    "kind": term.kind,
                    "left": term.left,
                    "right": term.right,
                    "difference": term.difference,
                }
                for term in terms
            ],
        }

    def explanation(self, left: str, right: str, fmt: str = "raw", *, by_layer: bool = False) -> Table:
        """Return the table of :meth:`explain`."""
        write = _written(fmt)
        terms = self.terms(left, right, by_layer=by_layer)
        totals = self[left].total_macs, self[right].total_macs
        same = totals[0] - sum(term.left for term in terms), totals[1] - sum(term.right for term in terms)
        rows = [(term.layer, term.kind, term.left, term.right) for term in terms]
        if any(same):
            rows.append(("", "all else", *same))
        cells = [(named(layer), kind, write(a), write(b), write(a - b)) for layer, kind, a, b in rows]
        first = 0 if by_layer else 1
        return Table(
            columns=("Layer", "Kind of work", left, right, f"{left} - {right}")[first:],
            rows=tuple(row[first:] for row in cells),
            footer=("Total", "" if by_layer else "Total", *map(write, (*totals, totals[0] - totals[1])))[first:],
            about=self._about,
        )

    def _require(self, name: str) -> None:
        if name not in self.conventions:
            raise UnknownNameError("convention of this comparison", name, self.conventions)


def compare(
    model: torch.nn.Module,
    tensor: Any,
    conventions: Iterable[str | Convention] | None = None,
    *,
    execute: bool = False,
    training: bool = False,
) -> Comparison:
    """Count a model by several conventions, and explain why they differ. The model runs once.

    Args:
        model: as for :func:`thoplw.profile`.
        tensor: as for :func:`thoplw.profile`.
        conventions: names, or your own; if left out, all that :func:`thoplw.conventions` lists and that can price the
            run: those of whole operators cannot where gradients are computed.
        execute: as for :func:`thoplw.profile`.
        training: count a training step, forward and backward of the sum of what it returns, as
            :func:`thoplw.profile_training` does.

    Raises:
        InputError: ``conventions`` is empty or not a list, or as :func:`thoplw.profile` raises it.
        UnknownNameError: a convention is unknown.
    """
    if isinstance(conventions, (str, Convention)):
        raise InputError(f"conventions={conventions!r}: give a list, such as conventions=['macs', 'fvcore']")
    tables = [find(each) for each in (CONVENTIONS if conventions is None else conventions)]
    if not tables:
        raise InputError("conventions=[]: name at least one, or leave it out for all of them")
    with without_collection(when=not execute):
        trace = observe(model, tensor, Options(execute=execute, step=TrainingStep() if training else None))
        if conventions is None and trace.in_pieces:
            tables = [each for each in tables if not each.whole_only]
        return Comparison(trace, tables)


def _written(fmt: str) -> Callable[[int], str]:
    if fmt not in ("raw", "clever"):
        raise UnknownNameError("fmt", fmt, ("raw", "clever"))
    written, _ = FORMATTERS[fmt]
    return lambda value: written(value, 0)


def _signed(value: int) -> str:
    return ("-" if value < 0 else "") + clever_format(abs(value)).strip()


def _known(kind: str) -> str:
    kinds = (*(name for name in TABLES if name != "tree"), "json")
    if kind not in kinds:
        raise UnknownNameError("kind", kind, kinds)
    return kind
