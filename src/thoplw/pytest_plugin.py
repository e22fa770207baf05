"""The fixture ``thoplw_budget``, for pytest.

pytest imports this file at every start, so torch is imported only when a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch

    from thoplw.report.layer_info import LayerInfo


@pytest.fixture
def thoplw_budget() -> Callable[..., LayerInfo]:
    """Fail the test when a model costs more than a limit.

    For example::

        def test_cost(thoplw_budget):
            thoplw_budget(Net(), (1, 3, 224, 224), macs="2G", params="12M")
    """
    return within


def within(
    model: torch.nn.Module,
    inputs: Any,
    macs: str | int | None = None,
    params: str | int | None = None,
    *,
    memory: str | int | None = None,
    convention: str = "thoplw",
    allow_uncounted: bool = False,
    **limits: str | int,
) -> LayerInfo:
    """Profile a model, and fail the test when it costs more than a limit.

    Args:
        model: any module.
        inputs: what it takes, as for :func:`thoplw.profile`.
        macs: the most, as in ``"2G"``, in the unit of the convention.
        params: the most, as in ``"12M"``.
        memory: the most bytes at the peak of the run, as in ``"24GB"``.
        convention: how to count.
        allow_uncounted: do not fail on an operator without a price.
        limits: the most of any other figure by name, as in ``flops="4G"`` or ``trainable="1M"``.

    Returns:
        The profile.

    Raises:
        InputError: no limit is given, or one is not an amount.
        UnknownNameError: a limit names an unknown figure.
    """
    from thoplw.api.budget import Budget, amount, check, size
    from thoplw.api.profile import profile
    from thoplw.report.figures import need_memory

    given = {"macs": macs, "params": params, **limits}
    counts = {name: amount(most) for name, most in given.items() if most is not None}
    budget = Budget(
        limits=counts if memory is None else {**counts, "peak": size(memory)},
        allow_uncounted=allow_uncounted,
    )
    _, _, layers = profile(model, inputs, verbose=False, convention=convention, memory=need_memory(budget.limits))
    verdict = check(layers.profile, budget)
    if verdict.problems:
        pytest.fail("\n".join((*verdict.problems, "", verdict.report())), pytrace=False)
    return layers
