"""Turn the text after ``--input`` into tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from thoplw.errors import InputError, UnknownNameError
from thoplw.record.spec import ITEM_SIZES, SHORT_NAMES

if TYPE_CHECKING:
    import torch

    from thoplw.capture.inputs import Inputs

#: Names of dtypes, with the aliases that torch has for some.
DTYPES = (
    *(name for name in ITEM_SIZES if not name.startswith("q")),
    *"half float double short int long chalf cfloat cdouble".split(),
)


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
        BadParameter: the text is not a shape, or names an unknown dtype.
    """
    name, equals, rest = text.rpartition("=")
    sizes, _, dtype = rest.partition(":")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 0:
        raise typer.BadParameter(f"{text!r} is not a shape; write sizes with commas, as in 1,3,224,224 or 1,128:int64")
    if equals and not name.strip().isidentifier():
        raise typer.BadParameter(f"{text!r}: {name!r} cannot be the name of an argument; write name=1,3,224,224")
    dtype = dtype.strip() or "float32"
    dtype = SHORT_NAMES.get(dtype, dtype)
    if dtype not in DTYPES:
        raise typer.BadParameter(str(UnknownNameError("dtype", dtype, DTYPES)))
    return Typed(name=name.strip(), shape=shape, dtype=dtype)


def filled(text: str, sizes: Mapping[str, int]) -> Typed:
    """Read one ``--input`` with variables in its shape: ``B,3,R,R``.

    Raises:
        UnknownNameError: a name in the shape is no variable.
        BadParameter: as :func:`parse` does.
    """
    name, equals, rest = text.rpartition("=")
    shape, colon, dtype = rest.partition(":")
    places = [place.strip() for place in shape.split(",")]
    for place in places:
        if place.isidentifier() and place not in sizes:
            raise UnknownNameError(f"variable in {text}:", place, sizes)
    return parse(f"{name}{equals}{','.join(str(sizes.get(place, place)) for place in places)}{colon}{dtype}")


def tensors(typed: list[Typed], *, real: bool = False) -> Inputs | None:
    """Make positional and keyword inputs; None when nothing was typed.

    Integers are zeros, as every vocabulary has a token 0. Booleans are true, so that a mask hides nothing.

    Raises:
        InputError: two have the same name, or torch has no such tensor.
    """
    from thoplw.capture.inputs import Inputs

    if not typed:
        return None
    names = [each.name for each in typed if each.name]
    if len(set(names)) < len(names):
        raise InputError(f"--input: {max(names, key=names.count)!r} is given more than once")
    return Inputs(
        *(_tensor(each, real) for each in typed if not each.name),
        **{each.name: _tensor(each, real) for each in typed if each.name},
    )


def _tensor(typed: Typed, real: bool) -> torch.Tensor:
    import torch

    dtype = getattr(torch, typed.dtype, None)
    try:
        if dtype is None:
            raise TypeError
        abstract = dtype.is_floating_point and not real
        return torch.full(typed.shape, dtype is torch.bool, dtype=dtype, device="meta" if abstract else "cpu")
    except (TypeError, RuntimeError, OverflowError, MemoryError) as error:
        sizes = ",".join(map(str, typed.shape))
        raise InputError(
            f"--input: torch cannot make a tensor {sizes}:{typed.dtype}; give another shape or dtype"
        ) from error
