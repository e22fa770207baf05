"""``macs``: the multiply-accumulates of contractions alone: no biases, no norms; causal attention in full."""

from __future__ import annotations

from thoplw.conventions.convention import Convention
from thoplw.formulas import FORMULAS

CONVENTION = Convention("macs", FORMULAS)
