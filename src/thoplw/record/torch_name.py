"""The name of an argument that is not a tensor, such as ``torch.float32``, ``cuda:0`` or a function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TorchName:
    """Stands in a record for an argument that a record cannot hold.

    ``torch.ops.aten._to_copy(x, dtype=torch.float16)`` is recorded with ``TorchName("dtype", "float16")``.

    Attributes:
        kind: ``dtype``, ``layout``, ``memory_format``, ``device``, ``generator``, ``function``, or ``object`` for
            anything else.
        name: ``float16``, ``strided``, ``contiguous_format``, ``cuda:0``; of a generator its device, of a function
            its qualified name, of an object its class.
    """

    kind: str
    name: str
