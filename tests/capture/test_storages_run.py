"""In which storage abstract tensors lie: as many there are, and as large, as on real tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from thoplw.capture import capture
from thoplw.capture.abstract import AbstractTensor, Specs
from thoplw.capture.options import Options
from thoplw.capture.storages_run import storage_of

#: What a cache may hold of a product ``y`` of shape ``[2, 16, 12]``.
VIEWS: dict[str, Callable[[Any], list[torch.Tensor]]] = {
    "nothing more": lambda y: [y],
    "pieces": lambda y: list(y.chunk(3, -1)),
    "some of the pieces": lambda y: list(y.chunk(3, -1))[1:],
    "pieces of other sizes": lambda y: list(y.split([2, 4, 6], -1)),
    "pieces by index": lambda y: list(y.tensor_split(2, 1)),
    "along a dimension": lambda y: list(y.view(2, 16, 3, 4).unbind(2)),
    "windows": lambda y: [y[:, -3:], y[:, :3]],
    "a row": lambda y: [y[0], y[0, 1]],
    "expanded": lambda y: [y[:, :1].expand(-1, 9, -1)],
    "expanded like another": lambda y: [y[:, :1].expand_as(y), y],
    "broadcast": lambda y: list(torch.broadcast_tensors(y[:, :1], y)),
    "reshaped": lambda y: [y, y.reshape(-1, 12), y.flatten(1), y.ravel(), y.reshape_as(y.flatten())],
    "reshaped with a copy": lambda y: [y, y.mT.reshape(-1), y.mT.ravel(), y.mT.flatten()],
    "contiguous": lambda y: [y, y.contiguous()],
    "made contiguous": lambda y: [y, y.mT.contiguous()],
    "of the same type": lambda y: [y, y.to(torch.float32)],
    "of another type": lambda y: [y, y.to(torch.float16), y.half().float()],
    "of another type by its bits": lambda y: [y, y.view(torch.int32)],
    "detached": lambda y: [y, y.detach(), y.data, nn.Parameter(y)],
    "more dimensions": lambda y: [y[None], y.unsqueeze(1), y.unflatten(-1, (3, 4))],
    "fewer dimensions": lambda y: [y, y.view(1, *y.shape).squeeze_(0), y[:, None].squeeze()],
    "turned": lambda y: [y.movedim(0, 1), y.permute(2, 0, 1), y.swapaxes(0, 1), y.mT],
    "by strides": lambda y: [y.as_strided((3,), (2,)), y],
    "unfolded": lambda y: [y.unfold(1, 4, 1)],
    "in place": lambda y: [y.add_(1), y],
    "copied": lambda y: [y, y.clone(), y.relu()],
    "dropped out of nothing": lambda y: [y, nn.functional.dropout(y, training=False)],
    "looked up": lambda y: [y[:, [0, 2]], y[:, torch.tensor([1])]],
    "the same twice": lambda y: [*y.chunk(2, -1), *y.chunk(2, -1)],
    "empty": lambda y: [y[:0]],
    "grown": lambda y: [y.resize_(4, 16, 12), y[:1]],
    "grown from a view": lambda y: [y[:1], y.resize_(4, 16, 12)],
    "filled": lambda y: [torch.add(y, 1, out=y.new_empty(0)), y],
}


class Keeping(nn.Module):
    """Returns what it would keep of a product, of its weight, and of its input."""

    def __init__(self, keep: Callable[[Any], list[torch.Tensor]]) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 12)
        self.keep = keep

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        weight = self.layer.weight
        # The product twice, as what an operator has answered is remembered.
        return [*self.keep(self.layer(x)), *self.keep(self.layer(x)), weight[:2], weight.expand(3, -1, -1), x.mT]


@pytest.mark.parametrize("reuse_layers", [True, False])
@pytest.mark.parametrize("name", VIEWS)
def test_storages_are_those_of_a_real_run(name: str, reuse_layers: bool) -> None:
    found: list[tuple[int, int]] = []

    def on_return(scope: int, module: nn.Module, inputs: Any, output: Any) -> None:
        if module is model:
            found.extend(storage_of(each, specs.of(each)) for each in output if isinstance(each, AbstractTensor))

    model, specs = Keeping(VIEWS[name]), Specs()
    x = torch.randn(4, 16, 4)[::2]  # a view, of which the whole is kept
    capture(model, (x,), {}, Options(on_return=on_return, storages=True, reuse_layers=reuse_layers))
    with torch.no_grad():
        real = [each.untyped_storage() for each in model(x)]
    places = {storage.data_ptr(): place for place, storage in reversed([*enumerate(real)])}
    if name != "empty":  # which storage an empty tensor keeps, tells no address
        together = [places[storage.data_ptr()] for storage in real]
        first = {identity: place for place, (identity, _) in reversed([*enumerate(found)])}
        assert [first[identity] for identity, _ in found] == together
    assert [size for _, size in found] == [storage.nbytes() for storage in real]
