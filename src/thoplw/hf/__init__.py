"""Architectures of transformers: the class that a configuration builds, and inputs made for its modality."""

from __future__ import annotations

from thoplw.hf.architecture import architecture
from thoplw.hf.inputs import inputs

__all__ = ["architecture", "inputs"]
