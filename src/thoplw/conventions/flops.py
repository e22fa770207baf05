"""``flops``: all floating-point operations: two for a multiply-accumulate, and those of norms, activations and the rest."""

from __future__ import annotations

from thoplw.conventions.convention import Convention
from thoplw.formulas import FORMULAS

CONVENTION = Convention("flops", FORMULAS, unit="FLOP")
