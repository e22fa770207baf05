"""Views move nothing, and what may be a view moves nothing where it is one."""

from __future__ import annotations

import pytest
import torch
from checks.calls import call, f32

from thoplw.record import Call, TensorSpec, Traffic
from thoplw.traffic import RULES, is_view, traffic

#: Bytes of a number.
F = 4
N, K = 5, 3


def spec(shape: tuple[int, ...], strides: tuple[int, ...]) -> TensorSpec:
    return TensorSpec(shape=shape, dtype="float32", strides=strides)


X = f32(N, K)

CASES: dict[str, tuple[Call, int, int]] = {
    "transpose": (call("transpose", X, 0, 1, out=spec((K, N), (1, K))), 0, 0),
    "reshape of a view": (call("reshape", X, (-1,), out=f32(N * K)), 0, 0),
    "reshape of a copy": (call("reshape", spec((K, N), (1, K)), (-1,), out=f32(N * K)), N * K * F, N * K * F),
    "contiguous already": (call("contiguous", X, out=X), 0, 0),
    "contiguous": (call("contiguous", spec((K, N), (1, K)), out=f32(K, N)), N * K * F, N * K * F),
    "to what it is": (call("to", X, "float32", out=X), 0, 0),
    "to a copy": (call("to", X, "float32", False, True, out=X), N * K * F, N * K * F),
    "squeeze in place": (call("squeeze_", f32(1, K), 0, out=f32(K)), 0, 0),
    "chunks": (call("chunk", X, 3, 1, out=(spec((N, 1), (K, 1)),) * 3), 0, 0),
    "dropout in inference": (call("dropout", X, 0.5, False, out=X), 0, 0),
    "dropout in training": (call("dropout", X, 0.5, True, out=X), N * K * F, N * K * F),
}


@pytest.mark.parametrize("name", CASES)
def test_bytes(name: str) -> None:
    done, read, written = CASES[name]
    assert traffic(done) == Traffic(read=read, written=written)


#: They may return what they are given, and otherwise copy: the copy counts.
_CONVERT = "_autocast_to_full_precision _autocast_to_reduced_precision _grad_sum_to_size coalesce cpu cuda pin_memory"

#: TorchScript's own.
_OF_SCRIPTS = "_ncf_unsqueeze _ncf_view as_tensor keys"

#: Of tensors with named dimensions, which old releases have, and run under no dispatch mode.
_OF_NAMES = "align_to refine_names rename"


def test_every_operator_that_returns_a_view_moves_nothing_for_it() -> None:
    """By torch's own schemas: what comes out is what went in, and nothing is written."""
    views = {
        schema.name.replace("::", ".")
        for schema in torch._C._jit_get_all_schemas()
        if schema.name.startswith("aten::")
        and schema.returns
        and all(each.alias_info is not None and not each.alias_info.is_write for each in schema.returns)
        and all("Tensor" in str(each.type) for each in schema.returns)
    }
    assert len(views) > 60
    known = {f"aten.{name}" for name in f"{_CONVERT} {_OF_SCRIPTS} {_OF_NAMES}".split()}
    assert {name for name in views if not is_view(Call(target=name)) and name not in RULES} - known == set()
