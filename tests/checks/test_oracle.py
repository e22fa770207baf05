"""The oracle counts what it knows, and refuses the rest."""

from __future__ import annotations

import pytest
import torch
from checks.oracle import oracle_macs


def test_the_oracle_refuses_a_contraction_it_does_not_know() -> None:
    with pytest.raises(NotImplementedError, match="_linalg_solve_ex"):
        oracle_macs(torch.linalg.solve, torch.randn(3, 3), torch.randn(3, 1))
