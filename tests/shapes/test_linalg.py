"""Rules of linear algebra: matrices lie column by column, as LAPACK leaves them."""

from __future__ import annotations

import pytest
import torch
from checks.laid_out import frozen, observable

from thoplw.shapes import RULES

TRIANGLE = torch.eye(5).expand(3, 5, 5)


@pytest.mark.parametrize("options", [{}, {"left": False}, {"unitriangular": True}])
def test_solutions_lie_column_by_column(options: dict[str, bool]) -> None:
    b = torch.rand(3, 4, 5) if options.get("left") is False else torch.rand(3, 5, 4)
    rule = RULES["aten.linalg_solve_triangular"]
    for given in (b, b.mT.contiguous().mT):
        done = torch.linalg.solve_triangular(TRIANGLE, given, upper=True, **options)
        assert observable(rule(*frozen((TRIANGLE, given)), upper=True, **options)) == observable(done)
    assert rule(*frozen((TRIANGLE[0], b)), upper=True, **options) is None
    assert rule(*frozen((TRIANGLE, b.mT)), upper=True, **options) is None


@pytest.mark.parametrize("shape", [(2, 5, 3), (3, 5), (4, 4)])
def test_reflectors_are_as_many_as_the_shorter_side(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    answer = RULES["aten.geqrf"](*frozen((x,)))
    assert observable(answer) == observable(torch.geqrf(x))
    assert answer[1].shape == (*shape[:-2], min(shape[-2:]))
    assert RULES["aten.geqrf"](*frozen((x.long(),))) is None
