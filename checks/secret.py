"""An error of a model that tells nothing of itself."""

from __future__ import annotations


class SecretError(Exception):
    """Neither its class, as ``isinstance()`` asks for it, nor its message can be read."""

    @property
    def __class__(self) -> type:
        raise RuntimeError("no class")

    def __str__(self) -> str:
        raise RuntimeError("no message")
