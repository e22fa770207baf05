"""Classes by their names, as records and tables of prices keep them."""

from __future__ import annotations


def class_names(cls: type) -> tuple[str, ...]:
    """The names (``module:qualname``) of a class and of its base classes, the nearest first.

    ``torch.nn.Conv2d`` is ``("torch.nn.modules.conv:Conv2d", "torch.nn.modules.conv:_ConvNd", ...)``.
    """
    return tuple(f"{each.__module__}:{each.__qualname__}" for each in cls.__mro__)
