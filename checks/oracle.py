"""An independent count: run a model for real, and multiply out every contraction from the tensors that kernels get.

Nothing here comes from thoplw. Under ``no_grad`` only kernels reach a dispatch mode, so that what is counted is what
the machine was asked to multiply. A kernel that looks like a contraction and is not known raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from typing import Any

import torch
from checks.releases import plain_attention_layers
from torch.utils._python_dispatch import TorchDispatchMode


def oracle_macs(model: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
    """Multiply-accumulates of ``model(*args, **kwargs)``, counted while it really runs, as in inference."""
    flags = [(module, module.training) for module in model.modules()] if isinstance(model, torch.nn.Module) else []
    counter = _Counter()
    try:
        for module, _ in flags:
            module.training = False
        with torch.no_grad(), plain_attention_layers(), counter:
            model(*args, **kwargs)
    finally:
        for module, flag in flags:
            module.training = flag
    return counter.macs


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.macs += macs_of(func, args, kwargs or {}, out)
        return out


def macs_of(func: Any, args: Any, kwargs: Any, out: Any) -> int:
    """Multiply-accumulates of a kernel that got these arguments and returned ``out``."""
    name = name_of(func)
    count = _COUNTS.get(name)
    if count is not None:
        return count(named_arguments(func, args, kwargs), out)
    if _SUSPICIOUS.search(name) and name not in _HARMLESS:
        raise NotImplementedError(f"the oracle does not know {func}, which may be a contraction")
    return 0


def name_of(func: Any) -> str:
    """A kernel's name: ``aten.mm``."""
    return str(func._schema.name.replace("::", "."))


def named_arguments(func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a kernel by their names."""
    return {**dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)), **kwargs}


#: Whatever has such a word in its name may multiply and add.
_SUSPICIOUS = re.compile(
    r"conv|mm(?:_|$|\.)|mv|dot|linear|attention|attn|rnn|lstm|gru|matmul|trilinear|einsum|cdist|gemm|linalg|fft|solve|"
    r"cholesky|inverse|det|_qr|eqrf|ormqr|svd|encoder_layer|multi_head|quantized|bilinear|int8|int4|sparse|mkl|onednn"
)
_HARMLESS = {
    "aten._fft_c2c",  # butterflies, no sums of products: n log n operations, which are not multiply-accumulates
    "aten._fft_c2r",
    "aten._fft_r2c",
    "aten._upsample_bilinear2d_aa",
    "aten.detach",
    "aten.linalg_vector_norm",
    "aten.quantized_max_pool2d",
    "aten.upsample_bilinear2d",
    "aten.upsample_linear1d",
    "aten.upsample_trilinear3d",
    "quantized.add",
    "quantized.add_relu",
    "quantized.cat",
    "quantized.hardswish",
    "quantized.mul",
}


def _convolution(a: dict[str, Any], out: torch.Tensor) -> int:
    """Forward: a dot product per output element. Transposed: every input element is spread over a patch of outputs."""
    weight, inputs = a["weight"], a["input"]
    if a["transposed"]:  # the weight is [in, out / groups, *kernel]
        samples, positions = inputs.shape[0], prod(inputs.shape[2:])
        return samples * positions * weight.numel()
    return _windows(out, weight)


def _windows(out: torch.Tensor, weight: torch.Tensor) -> int:
    """Every position of every sample meets the whole weight."""
    return out.shape[0] * prod(out.shape[2:]) * weight.numel()


def _matrices(left: torch.Tensor, right: torch.Tensor) -> int:
    *batch, rows, inner = left.shape
    return prod(batch) * rows * inner * right.shape[-1]


def _attention(a: dict[str, Any], _: Any) -> int:
    """Scores, then weighted values, for every head of the query."""
    samples, heads, queries, width = a["query"].shape
    keys, value_width = a["value"].shape[-2:]
    return samples * heads * queries * keys * width + samples * heads * queries * keys * value_width


def _rnn_layer(a: dict[str, Any], out: Any) -> int:
    """One layer in one direction: both matrices meet every step of every sequence."""
    steps, sequences = a["input"].shape[:2]  # in either order
    return steps * sequences * (a["weight0"].numel() + a["weight1"].numel())


def _grouped(a: dict[str, Any], out: torch.Tensor) -> int:
    """Every row meets the matrix of its group; offsets say where groups end."""
    left, right, ends = list(a.values())[:3] if len(a) > 2 else (*a.values(), None)
    if ends is None:
        return _matrices(left, right)
    starts = [0, *ends.tolist()[:-1]]
    sizes = [end - start for start, end in zip(starts, ends.tolist(), strict=True)]
    if left.dim() == 2 and right.dim() == 3:  # rows are grouped
        return sum(size * left.shape[1] * right.shape[2] for size in sizes)
    if left.dim() == 3 and right.dim() == 2:  # columns are grouped
        return sum(left.shape[1] * left.shape[2] * size for size in sizes)
    return sum(left.shape[0] * size * right.shape[1] for size in sizes)  # the inner dimension is grouped


def _bilinear(a: dict[str, Any], _: Any) -> int:
    """As ``nn.Bilinear`` calls it, ``[rows, I] [O, I, J] [rows, J]``: the weight meets one input, then the other."""
    rows, out_features, second = a["i1"].shape[0], a["i2"].shape[0], a["i2"].shape[2]
    return rows * (a["i2"].numel() + out_features * second)


def _deformable(a: dict[str, Any], out: torch.Tensor) -> int:
    return _windows(out, a["weight"])


def _substitution(a: dict[str, Any], out: torch.Tensor) -> int:
    """Row i of a column takes i products, one of them the division, and i - 1 sums: a pair is a multiply-accumulate."""
    size = a["self"].shape[-1]
    if not size:
        return 0
    operations = sum(row + (row - 1) for row in range(1, size + 1))
    return out.numel() // size * operations // 2


def _packed_convolution(a: dict[str, Any], out: torch.Tensor) -> int:
    """In int8, with the weight in an object of its own."""
    return _windows(out, a["packed_weight"].unpack()[0])


def _packed_linear(a: dict[str, Any], out: torch.Tensor) -> int:
    return prod(a["X"].shape) * a["W_prepack"].unpack()[0].shape[0]


def _distances(a: dict[str, Any], out: torch.Tensor) -> int:
    """Every row meets every other row: a difference, squared and added, per feature. Norms kept along do not count."""
    return out.numel() * a["x1"].shape[-1]


def _classified(a: dict[str, Any], _: Any) -> int:
    """Every row meets the whole vocabulary; in inference no gradient is made on the way."""
    assert not any(a.get(f"compute_{name}_grad") for name in ("input", "linear_weight"))
    return prod(a["input"].shape[:-1]) * a["linear_weight"].numel()


_COUNTS: dict[str, Callable[[dict[str, Any], Any], int]] = {
    "aten._cdist_forward": _distances,
    "aten._euclidean_dist": _distances,
    "aten._pdist_forward": lambda a, out: out.numel() * a["self"].shape[-1],
    "aten.affine_grid_generator": lambda a, out: out.numel() * a["theta"].shape[-1],
    "aten._grouped_mm": _grouped,
    "transformers.grouped_mm_fallback": _grouped,
    "aten._scaled_dot_product_flash_attention": _attention,  # that of the CPU too, before 2.2
    "aten._scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten._trilinear": _bilinear,
    "aten.addbmm": lambda a, _: _matrices(a["batch1"], a["batch2"]),
    "aten.addmm": lambda a, _: _matrices(a["mat1"], a["mat2"]),
    "aten.addmv": lambda a, _: a["mat"].numel(),
    "aten.baddbmm": lambda a, _: _matrices(a["batch1"], a["batch2"]),
    "aten.bmm": lambda a, _: _matrices(a["self"], a["mat2"]),
    "aten.conv_tbc": lambda a, out: prod(out.shape[:2]) * a["weight"].numel(),
    "aten.convolution": _convolution,
    "aten.dot": lambda a, _: a["self"].numel(),
    "aten.linalg_solve_triangular": _substitution,
    "aten.mkldnn_rnn_layer": _rnn_layer,
    "aten.mm": lambda a, _: _matrices(a["self"], a["mat2"]),
    "aten.mv": lambda a, _: a["self"].numel(),
    "aten.vdot": lambda a, _: a["self"].numel(),
    "torch_nn._linear_cross_entropy_batch_chunked": _classified,
    "torch_nn._linear_cross_entropy_batch_chunked_no_reduction": _classified,
    "mkldnn._linear_pointwise": lambda a, _: prod(a["X"].shape) * a["W"].shape[0],
    "quantized.conv2d": _packed_convolution,
    "quantized.conv2d_relu": _packed_convolution,
    "quantized.linear": _packed_linear,
    "quantized.linear_relu": _packed_linear,
    "torchvision.deform_conv2d": _deformable,
}
_COUNTS["aten._addmm_activation"] = _COUNTS["aten.addmm"]
_COUNTS |= {f"{name}_": count for name, count in _COUNTS.items()}  # the variants in place
