"""``fvcore``: its ``FlopCountAnalysis``, whose flops are multiply-accumulates, and a few per element of some layers.

Facts are from its ``nn/flop_count.py`` and ``nn/jit_handles.py``. It sees a graph of ``torch.jit``, which shows the
same composite operators as a trace: what is composed of products but has no price is free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from string import ascii_letters, digits

from thoplw.formulas.common import Formula, elements
from thoplw.pricing.convention import Convention
from thoplw.pricing.mirrors.common import PRODUCTS_INSIDE, blind_but, contraction_of
from thoplw.pricing.mirrors.layers import LAYERS
from thoplw.pricing.mirrors.multihead import is_one_kernel
from thoplw.pricing.parameters import every
from thoplw.record import ZERO, Call, ModuleCall, Work

_MULTIPLIED = (
    "mm bmm addmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
    "convolution _convolution lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell"
)

#: Equations whose count is not rounded, with indices named in order of appearance.
_EXACT = frozenset({"abc,abd->acd", "abc,adc->adb"})


def _matmul(call: Call) -> Work:
    """A first operand that is broadcast over the batch of the second counts once; fvcore raises at a vector there."""
    second = call.args[1].shape
    return Work(macs=call.args[0].numel * (second[-1] if len(second) > 1 else 1))


def _linear(call: Call) -> Work:
    """As many features come out as the weight's first dimension says, though a weight that is a vector has one."""
    return Work(macs=call.args[0].numel * call.args[1].shape[0])


def _einsum(call: Call) -> Work:
    """Half of the flops that numpy tells of the best order, which are one more than they add up to, in four digits."""
    terms, output, sizes = _indices(call)
    flops = _best_order(terms, output, sizes)
    return Work(macs=flops // 2 if _in_order(call.args[0]) in _EXACT else int(float(f"{flops + 1:.3e}") // 2))


def _best_order(terms: Sequence[set[str]], output: set[str], sizes: Mapping[str, int]) -> int:
    """Flops of contracting operands by pairs: one per combination of indices, and another if they are summed."""
    indices = set().union(*terms)
    if len(terms) < 3 or indices == output:
        steps = max(1, len(terms) - 1) + (1 if indices - output else 0)
        return steps * math.prod(sizes[index] for index in indices)
    flops = []
    for pair in combinations(range(len(terms)), 2):
        rest = [term for position, term in enumerate(terms) if position not in pair]
        first = [terms[position] for position in pair]
        kept = set().union(*first) & output.union(*rest)
        flops.append(_best_order(first, kept, sizes) + _best_order([*rest, kept], output, sizes))
    return min(flops)


def _indices(call: Call) -> tuple[list[set[str]], set[str], dict[str, int]]:
    """The indices of the operands and of the output of an einsum, and their sizes; an ellipsis stands for digits."""
    left, arrow, right = call.args[0].replace(" ", "").partition("->")
    terms, sizes = [], dict[str, int]()
    for term, operand in zip(left.split(","), call.args[1], strict=True):
        broadcast = len(operand.shape) - len(term.replace("...", ""))
        named = term.replace("...", digits[:broadcast][::-1])
        terms.append(named)
        for index, size in zip(named, operand.shape, strict=True):
            sizes[index] = max(size, sizes.get(index, 1))
    if arrow:
        output = {index for index in sizes if index in right or ("..." in right and index in digits)}
    else:
        output = {index for index in sizes if index in digits or "".join(terms).count(index) == 1}
    return list(map(set, terms)), output, sizes


def _in_order(equation: str) -> str:
    """An equation with its indices named in order of appearance."""
    names = dict.fromkeys(filter(str.isalpha, equation))
    return equation.replace(" ", "").translate(dict(zip(map(ord, names), ascii_letters, strict=False)))


def _norm(weight: int) -> Formula:
    """5 per element, 4 without affine: without the argument at this position."""
    return lambda call: Work(macs=call.args[0].numel * (4 if call.arg(weight) is None else 5))


def _batch_norm(call: Call) -> Work:
    """2 per element, 1 without affine; those of a norm that takes its statistics from the batch."""
    if call.args[5]:
        return _norm(1)(call)
    return Work(macs=call.args[0].numel * (1 if call.arg(1) is None else 2))


def _per_input(call: Call) -> Work:
    return Work(macs=call.args[0].numel)


def _per_output(factor: int) -> Formula:
    return lambda call: Work(macs=factor * elements(call))


def _multihead(seen: ModuleCall) -> Work | None:
    """In one kernel, that has no handle."""
    return ZERO if is_one_kernel(seen) else None


CONVENTION = Convention(
    "fvcore",
    blind_but(
        {
            **dict.fromkeys(PRODUCTS_INSIDE),
            **{target: contraction_of(target) for target in (f"aten.{name}" for name in _MULTIPLIED.split())},
            **{f"aten.conv{rank}d.padding": None for rank in (1, 2, 3)},  # with "same" or "valid": another operator
            **dict.fromkeys(("aten.addmm_", "aten.baddbmm_")),  # other operators
            "aten.linear": _linear,
            "aten.matmul": _matmul,
            "aten.linalg_matmul": _matmul,
            "aten.einsum": _einsum,
            "aten.batch_norm": _batch_norm,
            "aten.instance_norm": _norm(1),
            "aten.layer_norm": _norm(2),
            "aten.group_norm": _norm(2),
            "aten.adaptive_avg_pool2d": _per_input,
            "aten.upsample_nearest2d": _per_output(1),
            "aten.upsample_bilinear2d": _per_output(4),
            "aten.grid_sampler": _per_output(4),
            LAYERS["MultiheadAttention"]: _multihead,
        }
    ),
    unit="MAC",
    parameters=every,
    mirrors="fvcore 0.1.5.post20221221",
    whole_only=True,
)
