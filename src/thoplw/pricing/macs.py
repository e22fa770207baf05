"""``macs``: the multiply-accumulates of contractions alone: no biases, no norms; causal attention in full."""

from __future__ import annotations

from thoplw.formulas import FORMULAS
from thoplw.pricing.convention import Convention

CONVENTION = Convention("macs", FORMULAS)
