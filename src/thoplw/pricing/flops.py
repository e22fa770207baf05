"""``flops``: all floating-point operations: a multiply-accumulate is two; norms, activations and the rest count too."""

from __future__ import annotations

from thoplw.formulas import FORMULAS
from thoplw.pricing.convention import Convention

CONVENTION = Convention("flops", FORMULAS, unit="FLOP")
