"""Count a training step as papers and training codes do, to say what part of a machine's FLOPs they use (MFU).

None of them looks at operators. Each has a formula of the parameters ``N``, the tokens ``D`` and the attention::

    palm = 6 N D + 12 L H Q T D

``6 N D`` takes two operations for each parameter and token forward, and twice as much backward. ``12 L H Q T`` are the
two products of attention, of ``L`` layers with ``H`` heads of width ``Q`` over ``T`` tokens, in full though causal.
The formulas are of a whole step, whether the record is of a step or of the forward alone. Of a mixture of experts ``N``
are those parameters that a token meets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import MappingProxyType

from thoplw.errors import InputError
from thoplw.formulas import FORMULAS
from thoplw.pricing.convention import Convention
from thoplw.pricing.parameters import every
from thoplw.record import Call, Phase, TensorSpec, Trace, Weight, Work
from thoplw.traffic.usage import Usage

#: Whether a parameter is one of ``N``, given the path and the classes of the module that owns it.
Counts = Callable[[Weight, str, tuple[str, ...]], bool]

_PER_PARAMETER, _PER_PRODUCT = 6, 12

_EMBEDDING = "torch.nn.modules.sparse:Embedding"

_INTEGERS = frozenset({"int64", "int32"})


def _all(weight: Weight, path: str, classes: tuple[str, ...]) -> bool:
    """Chowdhery et al., "PaLM" (2022), appendix B; Kaplan et al. (2020) and Hoffmann et al. (2022) for ``6 N D``."""
    return True


def _no_embeddings(weight: Weight, path: str, classes: tuple[str, ...]) -> bool:
    """As torchtitan has it: looking a row up is no product."""
    return _EMBEDDING not in classes


def _no_positions(weight: Weight, path: str, classes: tuple[str, ...]) -> bool:
    """As nanoGPT does: embeddings of tokens count, because the output uses the same matrix."""
    return not (_EMBEDDING in classes and ("pos" in path or path.endswith("wpe")))


def _matrices(weight: Weight, path: str, classes: tuple[str, ...]) -> bool:
    """Narayanan et al., "Efficient large-scale language model training" (2021), equation 3: products of matrices."""
    return len(weight.spec.shape) == 2 and _EMBEDDING not in classes


def _formula(name: str, counts: Counts, attends: bool, trace: Trace) -> Iterator[tuple[int, Call, Work]]:
    """The terms of a formula, each with the scope that it belongs to.

    Raises:
        InputError: the model takes no tokens.
    """
    tokens = next((spec.numel for spec in trace.inputs if spec.dtype in _INTEGERS and len(spec.shape) == 2), None)
    if tokens is None:
        given = ", ".join(f"{spec.shape} {spec.dtype}" for spec in trace.inputs)
        raise InputError(
            f"convention {name!r} counts tokens, and {trace.modules[0].class_name} was given {given or 'none'}: it is "
            "of language models, whose input is [batch, tokens] of int64"
        )
    first: dict[int, int] = {}
    for at, each in enumerate(trace.scopes):
        first.setdefault(each.module, at)
    parameters = Call(target=f"{_PER_PARAMETER} for each parameter and token")
    usage = Usage(trace)
    for module, weight in every(trace):
        info = trace.modules[module]
        if counts(weight, info.path, info.classes):
            while module not in first:
                module = trace.modules[module].parent
            active = usage.active(weight)
            size = active.computed if active.routed else weight.spec.numel
            yield first[module], parameters, Work(flops=_PER_PARAMETER * size * tokens)
    if attends:
        attention = Call(target=f"{_PER_PRODUCT} for each product of attention")
        for scope, products in _attention(trace):
            yield scope, attention, Work(flops=_PER_PRODUCT * products)


def _attention(trace: Trace) -> Iterator[tuple[int, int]]:
    """Of each attention in the forward: its scope, and ``H Q T`` for each of its tokens.

    Written out, it is a softmax of scores that a product of batches made.
    """
    products: dict[int, tuple[Call, int]] = {}  # of each scope, the last product
    for index, (call, scope) in enumerate(trace.steps):
        if trace.phases and trace.phases[index] != Phase.FORWARD:
            continue
        if "scaled_dot_product" in call.target:
            query, key = call.args[:2]
            yield scope, query.numel * key.shape[-2]
        elif call.target in ("aten.bmm", "aten.matmul", "aten.baddbmm"):
            left = call.args[1 if call.target == "aten.baddbmm" else 0]
            products[scope] = call, left.shape[-1]
        elif call.target in ("aten.softmax", "aten._softmax") and scope in products:
            scores, (product, width) = call.args[0], products.pop(scope)
            made = product.output
            if isinstance(made, TensorSpec) and made.numel == scores.numel and len(scores.shape) == 4:
                yield scope, scores.numel * width


def _convention(name: str, counts: Counts, attends: bool = True) -> Convention:
    return Convention(
        name,
        dict.fromkeys(FORMULAS, None),
        unit="FLOP",
        formula=partial(_formula, name, counts, attends),
    )


#: Name -> convention.
CONVENTIONS = MappingProxyType(
    {
        each.name: each
        for each in (
            _convention("6n", _all, attends=False),
            _convention("palm", _all),
            _convention("nanogpt", _no_positions),
            _convention("torchtitan", _no_embeddings),
            _convention("megatron", _matrices),
        )
    }
)
