"""Profiles of a model at some sizes: what a formula is made of, and checked at."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from thoplw.api.profile import profile
from thoplw.errors import DataDependentError, InputError, UnknownNameError, message_of
from thoplw.estimate import notation
from thoplw.estimate.formula import Hints, Measure
from thoplw.estimate.polynomial import Point
from thoplw.pricing import Convention
from thoplw.report.figures import Figure
from thoplw.report.profile import Profile

#: The sizes of a variable: the first and the last, with a step or without; a range; or one size.
Sizes = tuple[int, int] | tuple[int, int, int] | range | int

#: Two sizes make a line, and two more check it.
_FEWEST = 4

#: Names of attributes and settings that say at which sizes a model changes its form.
_MODULI = re.compile(r"patch|window|chunk|block_size|stride|segment|bucket|pool|divisor")
_THRESHOLDS = re.compile(r"window|chunk|block|max\w*position|n_positions|image_size|img_size")


class Runs:
    """Profiles of a model at some sizes, each made once."""

    def __init__(
        self,
        model: torch.nn.Module | Callable[..., torch.nn.Module],
        make_inputs: Callable[..., Any],
        variables: tuple[str, ...],
        convention: Convention,
        custom_ops: Mapping[Any, Callable[..., Any]] | None,
        memory: bool = False,
    ) -> None:
        self.done: dict[Point, Profile] = {}
        self._make_inputs = make_inputs
        self.variables = variables
        self._options: dict[str, Any] = {"convention": convention, "custom_ops": custom_ops, "memory": memory}
        if not callable(make_inputs):
            raise InputError(
                f"make_inputs is {make_inputs!r}, not a function from sizes to inputs, such as lambda B: (B, 3, 32, 32)"
            )
        _require_takes("make_inputs", make_inputs, variables)
        self._build = None if isinstance(model, torch.nn.Module) else model
        self._given = _variables_of(model, variables) if self._build is not None else ()
        self._built: tuple[Point, Any] | None = None
        self._model = model

    def model(self, point: Point) -> Any:
        """The model for some sizes; of those that are built, the last is kept."""
        if self._build is None:
            return self._model
        sizes = {name: size for name, size in self._sizes(point).items() if name in self._given}
        key = tuple(sizes.values())
        if self._built is None or self._built[0] != key:
            self._built = key, self._build(**sizes)
        return self._built[1]

    def at(self, point: Point) -> Profile:
        """The profile at some sizes.

        Raises:
            InputError: the model cannot be built or run there; the message has the sizes.
        """
        if point not in self.done:
            sizes = self._sizes(point)
            try:
                info = profile(self.model(point), self._make_inputs(**sizes), verbose=False, **self._options)[2]
            except Exception as error:
                if issubclass(type(error), DataDependentError):
                    raise DataDependentError(
                        f"{str(error).partition(' execute=True')[0]} A formula needs runs without arithmetic; "
                        "thoplw.profile(..., execute=True) counts one size"
                    ) from error
                where = ", ".join(f"{name}={size}" for name, size in sizes.items())
                raise InputError(
                    f"the model cannot run at {where}: {type(error).__name__}: {message_of(error)}. Give "
                    "ranges, with a step where that is needed, in which it runs: "
                    f"{self.variables[-1]}=(first, last, step)"
                ) from error
            self.done[point] = info.profile
        return self.done[point]

    def measure(self, figure: Figure) -> Measure:
        """One figure of the whole model."""
        return Measure(at=lambda point: figure.number(self.at(point).total), known=lambda: tuple(self.done))

    def _sizes(self, point: Point) -> dict[str, int]:
        return dict(zip(self.variables, point, strict=True))


def require_effect(runs: Runs, ranges: Sequence[range], axis: int, sizes: range) -> None:
    """Refuse a variable that neither the inputs nor a figure depend on: it was forgotten in a function."""
    if len(sizes) == 1:
        return
    first = tuple(each[0] for each in ranges)
    ends = [runs.at((*first[:axis], size, *first[axis + 1 :])) for size in (sizes[0], sizes[-1])]
    seen = [(each.total.input_shapes, each.total.figures, len(each.modules)) for each in ends]
    if seen[0] == seen[1]:
        name = runs.variables[axis]
        raise InputError(
            f"nothing depends on {name}: inputs and costs are the same for {name}={sizes[0]} and {name}={sizes[-1]}; "
            f"use {name} in make_inputs, or leave it out"
        )


def _require_takes(what: str, function: Callable[..., Any], variables: Sequence[str]) -> None:
    """Refuse a function that does not take all variables, or that takes others."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return
    parameters = signature.parameters.values()
    for each in parameters:
        named_so = each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        if named_so and each.default is each.empty and each.name not in variables:
            raise UnknownNameError(f"variable of {what}", each.name, variables)
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return
    for name in variables:
        if name not in signature.parameters:
            raise InputError(
                f"{what} takes {signature}, and {name} has sizes: let it take {name} and depend on it, or leave "
                f"{name}= out"
            )


def _variables_of(build: Any, variables: Sequence[str]) -> tuple[str, ...]:
    """The variables that a function that builds a model takes."""
    if isinstance(build, type):
        raise InputError(
            f"formula takes a torch.nn.Module, or a function that builds one, not a class: give {build.__name__}(...), "
            f"or a function of sizes, as in lambda R: {build.__name__}(R)"
        )
    if not callable(build):
        raise InputError(f"formula takes a torch.nn.Module, or a function that builds one, not {build!r}")
    parameters = inspect.signature(build).parameters.values()
    unknown = [each.name for each in parameters if each.default is each.empty and each.name not in variables]
    if unknown:
        raise UnknownNameError("variable of the function that builds the model", unknown[0], variables)
    return tuple(each.name for each in parameters if each.name in variables)


def range_of(name: str, sizes: Sizes) -> range:
    """The sizes of a variable as a range."""
    if isinstance(sizes, range):
        found = sizes
    elif isinstance(sizes, int):
        found = range(sizes, sizes + 1)
    elif isinstance(sizes, tuple) and len(sizes) in (2, 3) and all(isinstance(each, int) for each in sizes):
        step = sizes[2] if len(sizes) == 3 else 1
        found = range(sizes[0], sizes[1] + 1, step) if step > 0 else range(0)
    else:
        raise InputError(f"{name}={sizes!r} is no range: give (first, last), (first, last, step) or one size")
    if not found or found.step < 1:
        raise InputError(f"{name}={sizes!r} has no sizes: the first is above the last, or the step is not positive")
    if 1 < len(found) < _FEWEST:
        raise InputError(
            f"{name} has only {len(found)} sizes ({notation.sizes(found)}): a formula needs {_FEWEST} or "
            "more, two of them to check it. Give a wider range or a smaller step, or one size"
        )
    return found


def hints_of(model: torch.nn.Module) -> Hints:
    """The sizes that the attributes of modules, and configurations, name."""
    moduli: dict[int, None] = {}
    thresholds: dict[int, None] = {}
    for module in model.modules():
        for name, value in _settings(vars(module)):
            for size in _whole_numbers(value):
                if 1 < size <= 4096 and _MODULI.search(name):
                    moduli[size] = None
                if size > 1 and _THRESHOLDS.search(name):
                    thresholds[size] = None
    return Hints(moduli=tuple(moduli)[:16], thresholds=tuple(thresholds)[:8])


def _settings(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Attributes by name, and those of a configuration among them, as libraries of models have it."""
    for name, value in attributes.items():
        yield name, value
        if "config" in name and hasattr(value, "__dict__"):
            yield from _settings(vars(value))


def _whole_numbers(value: Any) -> Iterator[int]:
    for each in value if isinstance(value, (tuple, list)) else (value,):
        if type(each) is int:
            yield each
