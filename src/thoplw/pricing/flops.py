"""``flops``: all floating-point operations: two for a multiply-accumulate, and those of norms, activations and the rest."""

from __future__ import annotations

from thoplw.formulas import FORMULAS
from thoplw.pricing.convention import Convention

CONVENTION = Convention("flops", FORMULAS, unit="FLOP")
