"""What a user passes as inputs becomes the arguments of a forward."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from thoplw.capture.inputs import arguments
from thoplw.errors import InputError

X = torch.ones(2)


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        (X, (X,), {}),
        ((X, 3), (X, 3), {}),
        ([X, None], (X, None), {}),
        ({"x": X}, (), {"x": X}),
        (({"x": X},), ({"x": X},), {}),
        ((), (), {}),
        ((True, False), (True, False), {}),
    ],
)
def test_arguments(given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert arguments(given) == (args, kwargs)


@pytest.mark.parametrize(("real", "device"), [(False, "meta"), (True, "cpu")])
def test_a_shape_stands_for_a_tensor(real: bool, device: str) -> None:
    with torch.device("meta"):  # the user's default device does not matter
        ((x,), kwargs) = arguments([1, 0, 4], real=real)
    assert (tuple(x.shape), x.dtype, x.device.type, kwargs) == ((1, 0, 4), torch.float32, device, {})


@pytest.mark.parametrize(
    ("given", "message"),
    [(None, "no input to run the model on: got None"), ((1, -3), r"no negative sizes: \(1, -3\)"), ({1: X}, r"\[1\]")],
)
def test_what_is_no_input(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        arguments(given)
