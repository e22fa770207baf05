"""Architectures of transformers: the class that a configuration builds, and inputs made for its modality."""

from __future__ import annotations

from thoplw.models.hf.architecture import architecture, model_class
from thoplw.models.hf.inputs import inputs

__all__ = ["architecture", "inputs", "model_class"]
