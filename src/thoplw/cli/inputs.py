"""What is typed after ``--input``, as tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer

from thoplw.errors import InputError, UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """One input: ``1,3,224,224``, ``1,128:int64`` or ``mask=1,128:bool``.

    Attributes:
        name: of the argument; empty for a positional one.
        shape: sizes.
        dtype: name of a dtype of torch.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


def parse(text: str) -> Typed:
    """Read one ``--input``.

    Raises:
        BadParameter: it is none.
    """
    name, equals, rest = text.rpartition("=")
    sizes, _, dtype = rest.partition(":")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 0:
        raise typer.BadParameter(f"{text!r} is no shape; write sizes with commas, as in 1,3,224,224 or 1,128:int64")
    if equals and not name.strip().isidentifier():
        raise typer.BadParameter(f"{text!r}: {name!r} is no name of an argument; write name=1,3,224,224")
    known = _dtypes()
    dtype = dtype.strip() or "float32"
    if dtype not in known:
        raise typer.BadParameter(str(UnknownNameError("dtype", dtype, known)))
    return Typed(name=name.strip(), shape=shape, dtype=dtype)


def tensors(typed: list[Typed], *, real: bool = False) -> tuple[Any, ...] | dict[str, Any] | None:
    """Positional inputs, or keyword inputs by name; None when nothing was typed.

    Integers are zeros, which any vocabulary has, and booleans are true, as nothing is masked then.

    Raises:
        InputError: some have a name and others have none, or two have the same.
    """
    import torch

    made = []
    for each in typed:
        dtype = _dtypes()[each.dtype]
        abstract = dtype.is_floating_point and not real
        made.append(torch.full(each.shape, dtype is torch.bool, dtype=dtype, device="meta" if abstract else "cpu"))
    names = [each.name for each in typed]
    if not any(names):
        return tuple(made) or None
    if not all(names):
        raise InputError("--input: give all inputs a name, as in --input x=1,3,224,224, or none of them")
    if len(set(names)) < len(names):
        raise InputError(f"--input: {max(names, key=names.count)!r} is given more than once")
    return dict(zip(names, made, strict=True))


def _dtypes() -> dict[str, Any]:
    import torch

    return {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
