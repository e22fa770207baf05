"""Ways to train: small models and what is done with them, to be counted without running and by the oracle.

What ``profile_training`` says of a variant, and ``training_macs`` of its step, are to be equal in each phase.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn import functional as F  # as everybody has it
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    checkpoint_sequential,
    create_selective_checkpoint_contexts,
)

# -- models ------------------------------------------------------------------------------------------------------------


def cnn(**options: Any) -> nn.Sequential:
    """Convolutions of every kind, batch norm, pooling, a classifier."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, **options), nn.BatchNorm2d(8), nn.ReLU(inplace=True)),
        *(nn.Conv2d(8, 12, 3, groups=4, bias=False), nn.BatchNorm2d(12), nn.SiLU(), nn.MaxPool2d(2)),
        *(nn.ConvTranspose2d(12, 6, 2, stride=2, groups=2), nn.GELU(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(6, 5)),
    )


def mlp(*sizes: int) -> nn.Sequential:
    """Linear layers with an activation between each two."""
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(sizes):
        layers += [nn.Linear(wide, narrow), nn.Tanh()]
    return nn.Sequential(*layers)


def encoder(dropout: float = 0.0) -> nn.TransformerEncoderLayer:
    """A block of a transformer."""
    return nn.TransformerEncoderLayer(16, 4, 32, dropout, batch_first=True)


class Calls(nn.Module):
    """Modules, and a function of them and of the inputs as forward."""

    def __init__(self, function: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *args: Any) -> Any:
        """Call it."""
        return self.function(self, *args)


class Lora(nn.Module):
    """A frozen layer with an adapter of low rank."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both, added."""
        return self.layer(x) + self.up(self.down(x))


class Product(nn.Module):
    """A weight that is a product with itself."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """``w w'``."""
        return weight @ weight.mT


def with_product_as_weight() -> nn.Module:
    """A layer with it."""
    layer = nn.Linear(16, 16)
    nn.utils.parametrize.register_parametrization(layer, "weight", Product())
    return layer


class KeptBatchNorm(nn.BatchNorm2d):
    """It stays in evaluation mode."""

    def train(self, mode: bool = True) -> KeptBatchNorm:
        """Do not."""
        return super().train(False)


class Square(torch.autograd.Function):
    """A product with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """``x w``."""
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Both products."""
        x, weight = ctx.saved_tensors
        return gradient @ weight.mT, x.mT @ gradient


def attention(causal: bool = False, backend: SDPBackend | None = None, dropout: float = 0.0, **given: Any) -> nn.Module:
    """Projections and attention of 4 heads of 4."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (each.unflatten(-1, (4, 4)).transpose(1, 2) for each in self.project(x).chunk(3, -1))
        with sdpa_kernel(backend) if backend else nullcontext():
            out = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=causal, **given)
        return self.out(out.transpose(1, 2).flatten(2))

    return Calls(forward, project=nn.Linear(16, 48), out=nn.Linear(16, 16))


def grouped_query() -> nn.Module:
    """Attention of 4 heads, of which two share a key and a value."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        query = self.query(x).unflatten(-1, (4, 4)).transpose(1, 2)
        key, value = (each.unflatten(-1, (2, 4)).transpose(1, 2) for each in self.pair(x).chunk(2, -1))
        return F.scaled_dot_product_attention(query, key, value, enable_gqa=True, is_causal=True)

    return Calls(forward, query=nn.Linear(16, 16), pair=nn.Linear(16, 16))


def language_model(tied: bool) -> nn.Module:
    """An embedding, a block and a head, which may be the embedding."""

    def forward(self: Any, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.embed(ids)))

    model = Calls(forward, embed=nn.Embedding(50, 16), block=encoder(), head=nn.Linear(16, 50, bias=False))
    if tied:
        model.head.weight = model.embed.weight
    return model


def multiplied_only(*_: Any, **__: Any) -> Any:
    """Keep what products made, and compute all else once more."""

    def policy(_: Any, operator: Any, *__: Any, **___: Any) -> CheckpointPolicy:
        kept = operator in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)
        return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE

    return create_selective_checkpoint_contexts(policy)


def checkpointed(make: Callable[[], nn.Module], head: Callable[[], nn.Module] | None = None, **given: Any) -> nn.Module:
    """A module that is computed once more in the backward, and a head that is not."""

    def forward(self: Any, x: torch.Tensor) -> Any:
        out = checkpoint(self.block, x, **{"use_reentrant": False, **given})
        return self.head(out)

    return Calls(forward, block=make(), head=head() if head else nn.Identity())


def frozen(model: nn.Module, *prefixes: str) -> nn.Module:
    """With no gradient for weights whose names begin so."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(not name.startswith(prefixes))
    return model


def only(model: nn.Module, *suffixes: str) -> nn.Module:
    """With gradients for weights whose names end so, and for no others."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(name.endswith(suffixes))
    return model


def penalty(self: Any, x: torch.Tensor) -> torch.Tensor:
    """The size of a gradient, as in a gradient penalty: it is differentiated again."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(self.net(x).sum(), x, create_graph=True)
    return gradient.square()


def with_teacher(self: Any, x: torch.Tensor) -> torch.Tensor:
    """A part runs without gradients."""
    with torch.no_grad():
        wanted = self.teacher(x)
    return self.student(x) - wanted


def detached(self: Any, x: torch.Tensor) -> torch.Tensor:
    """A branch gives no gradient to what is below it."""
    shared = self.body(x)
    return self.first(shared) + self.second(shared.detach())


# -- variants ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to train.

    Attributes:
        make: makes the model.
        shapes: of the inputs; a number in place of a shape is so many ids for two samples.
        options: as ``profile_training`` takes them, with the sum as the loss.
        wanted: whether the inputs take a gradient.
        second_order: whether gradients are differentiated.
    """

    make: Callable[[], nn.Module]
    shapes: tuple[Any, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    wanted: bool = False
    second_order: bool = False

    def build(self) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
        """The model in training mode, and its inputs."""
        torch.manual_seed(0)
        made = (_ids(shape) if isinstance(shape, int) else torch.randn(shape) for shape in self.shapes)
        return self.make().train(), tuple(each.requires_grad_() if self.wanted else each for each in made)

    def step(self, model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """What ``profile_training`` is asked for, in plain torch."""
        train(model, inputs, {}, self.options, total)


def train(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    loss: Callable[[Any], torch.Tensor],
    device: str = "cpu",
) -> None:
    """A training step in plain torch.

    Args:
        model: in training mode.
        args: positional inputs.
        kwargs: keyword inputs.
        options: as ``profile_training`` takes them.
        loss: of what the model returns.
        device: where model and inputs are.
    """
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer, rounds = options.get("optimizer"), options.get("accumulate", 1)
    scaler = torch.amp.GradScaler(device, enabled=options.get("scaler", False))
    for _ in range(rounds):
        kind = options.get("autocast")
        with torch.autocast(device, kind) if kind else nullcontext():
            output = model(*args, **kwargs)
        scaler.scale(loss(output) / rounds).backward()
    made = optimizer(trained) if optimizer is not None and trained else None
    if "clip" in options:
        if made is not None:
            scaler.unscale_(made)
        nn.utils.clip_grad_norm_(trained, options["clip"])
    if made is not None:
        scaler.step(made)
        scaler.update()


def _ids(count: int) -> torch.Tensor:
    return torch.randint(0, 50, (2, count))


def total(output: Any) -> torch.Tensor:
    """The sum of all that a gradient can go back from."""
    leaves = torch.utils._pytree.tree_leaves(output)
    tensors = [each for each in leaves if isinstance(each, torch.Tensor) and each.requires_grad]
    return torch.stack([each.float().sum() for each in tensors]).sum()


PICTURE, ROWS, TOKENS, WORDS = ((2, 3, 12, 12),), ((5, 16),), ((2, 6, 16),), (6,)

_OPTIMIZERS = {
    name: getattr(torch.optim, name)
    for name in ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "RMSprop", "Rprop", "Adadelta")
}

_RECURRENT: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: nn.LSTM(16, 8, 2, batch_first=True),
    "LSTM, both ways": lambda: nn.LSTM(16, 8, bidirectional=True),
    "GRU": lambda: nn.GRU(16, 8, batch_first=True),
    "RNN": lambda: nn.RNN(16, 8),
}

_CONVOLUTIONS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "1d": (lambda: nn.Conv1d(4, 6, 3, padding=1), (2, 4, 9)),
    "3d": (lambda: nn.Conv3d(4, 6, 2, stride=2), (2, 4, 5, 5, 5)),
    "depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4), (2, 4, 9, 9)),
    "in groups, without a bias": (lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False), (2, 4, 9, 9)),
    "dilated": (lambda: nn.Conv2d(4, 6, 3, dilation=2), (2, 4, 9, 9)),
    "padded alike": (lambda: nn.Conv2d(4, 6, 3, padding="same"), (2, 4, 9, 9)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 5, 5)),
    "transposed, in groups": (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), (2, 4, 5, 5)),
    "transposed, 1d": (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1), (2, 4, 5)),
    "transposed, 3d": (lambda: nn.ConvTranspose3d(4, 6, 2), (2, 4, 3, 3, 3)),
}

_ATTENTION: dict[str, Callable[[], nn.Module]] = {
    "fused": attention,
    "fused, causal": partial(attention, causal=True),
    "fused, masked": lambda: attention(attn_mask=torch.zeros(6, 6)),
    "written out": partial(attention, backend=SDPBackend.MATH),
    "written out, causal": partial(attention, causal=True, backend=SDPBackend.MATH),
    "with dropout": partial(attention, dropout=0.1),
    "grouped query": grouped_query,
    "block": encoder,
    "block with dropout": partial(encoder, 0.1),
}

VARIANTS: dict[str, Variant] = {
    **{
        f"optimizer: {name}": Variant(make=cnn, shapes=PICTURE, options={"optimizer": each})
        for name, each in _OPTIMIZERS.items()
    },
    **{  # since 2.9
        f"optimizer: {name}, which multiplies": Variant(
            make=lambda: nn.Linear(16, 8, bias=False), shapes=ROWS, options={"optimizer": vars(torch.optim)[name]}
        )
        for name in ("Muon",)
        if hasattr(torch.optim, name)
    },
    "optimizer: over lists": Variant(
        make=cnn, shapes=PICTURE, options={"optimizer": partial(torch.optim.AdamW, foreach=True)}
    ),
    "optimizer: in one kernel": Variant(
        make=cnn, shapes=PICTURE, options={"optimizer": partial(torch.optim.AdamW, fused=True)}
    ),
    **{f"convolution: {name}": Variant(make=make, shapes=(shape,)) for name, (make, shape) in _CONVOLUTIONS.items()},
    **{
        f"convolution: {name}, of an input with a gradient": Variant(make=make, shapes=(shape,), wanted=True)
        for name, (make, shape) in _CONVOLUTIONS.items()
    },
    **{f"attention: {name}": Variant(make=make, shapes=TOKENS) for name, make in _ATTENTION.items()},
    **{f"recurrent: {name}": Variant(make=make, shapes=TOKENS) for name, make in _RECURRENT.items()},
    **{
        f"frozen: up to layer {last}": Variant(
            make=lambda last=last: frozen(cnn(), *(f"{layer}." for layer in range(last + 1))), shapes=PICTURE
        )
        for last in (0, 1, 3, 4, 7)
    },
    "frozen: the middle": Variant(make=lambda: frozen(mlp(16, 8, 8, 4), "2."), shapes=ROWS),
    "frozen: the end": Variant(make=lambda: frozen(mlp(16, 8, 8, 4), "4."), shapes=ROWS),
    "frozen: all but biases": Variant(make=lambda: only(cnn(), "bias"), shapes=PICTURE),
    "frozen: all but norms": Variant(make=lambda: only(encoder(), "norm1.weight", "norm2.weight"), shapes=TOKENS),
    "frozen: the embedding": Variant(make=lambda: frozen(language_model(tied=False), "embed"), shapes=WORDS),
    "frozen: all, of an input with a gradient": Variant(make=lambda: only(cnn()), shapes=PICTURE, wanted=True),
    "LoRA": Variant(
        make=lambda: nn.Sequential(*(Lora(nn.Linear(16, 16), 2) for _ in range(3))),
        shapes=ROWS,
        options={"optimizer": torch.optim.AdamW},
    ),
    "LoRA below a frozen head": Variant(
        make=lambda: nn.Sequential(Lora(nn.Linear(16, 16), 2), nn.GELU(), nn.Linear(16, 4).requires_grad_(False)),
        shapes=ROWS,
    ),
    "checkpointed": Variant(make=lambda: checkpointed(partial(mlp, 16, 32, 16), partial(mlp, 16, 4)), shapes=ROWS),
    "checkpointed, reentrant": Variant(
        make=lambda: checkpointed(partial(mlp, 16, 32, 16), use_reentrant=True), shapes=ROWS, wanted=True
    ),
    "checkpointed attention": Variant(make=lambda: checkpointed(encoder), shapes=TOKENS, wanted=True),
    "checkpointed convolutions": Variant(make=lambda: checkpointed(cnn), shapes=PICTURE),
    "checkpointed, in parts": Variant(
        make=lambda: Calls(
            lambda self, x: checkpoint_sequential(self.layers, 2, x, use_reentrant=False), layers=mlp(16, 16, 16, 16)
        ),
        shapes=ROWS,
    ),
    "checkpointed, but for products": Variant(
        make=lambda: checkpointed(partial(mlp, 16, 32, 16), context_fn=multiplied_only), shapes=ROWS
    ),
    "checkpointed and frozen": Variant(
        make=lambda: checkpointed(lambda: frozen(mlp(16, 32, 16), "0."), partial(mlp, 16, 4)), shapes=ROWS
    ),
    "accumulated": Variant(make=cnn, shapes=PICTURE, options={"accumulate": 3, "optimizer": torch.optim.SGD}),
    "accumulated and clipped": Variant(
        make=encoder, shapes=TOKENS, options={"accumulate": 2, "clip": 1.0, "optimizer": torch.optim.AdamW}
    ),
    "scaled, in half precision": Variant(
        make=partial(mlp, 16, 8, 4),
        shapes=ROWS,
        options={"autocast": torch.float16, "scaler": True, "clip": 1.0, "optimizer": torch.optim.SGD},
    ),
    **{
        f"autocast: {name}": Variant(make=make, shapes=shapes, options={"autocast": torch.bfloat16})
        for name, (make, shapes) in {
            "convolutions": (cnn, PICTURE),
            "attention": (encoder, TOKENS),
            "layers": (partial(mlp, 16, 8, 4), ROWS),
            "words": (partial(language_model, True), WORDS),
        }.items()
    },
    "tied": Variant(make=partial(language_model, True), shapes=WORDS, options={"optimizer": torch.optim.AdamW}),
    "not tied": Variant(make=partial(language_model, False), shapes=WORDS),
    "a layer twice": Variant(
        make=lambda: Calls(lambda self, x: self.layer(self.layer(x)), layer=nn.Linear(16, 16)), shapes=ROWS
    ),
    "a part without gradients": Variant(
        make=lambda: Calls(with_teacher, teacher=mlp(16, 8), student=mlp(16, 8)), shapes=ROWS
    ),
    "a detached branch": Variant(
        make=lambda: Calls(detached, body=mlp(16, 16), first=mlp(16, 4), second=mlp(16, 4)), shapes=ROWS
    ),
    "a function of one's own": Variant(
        make=lambda: Calls(lambda self, x: Square.apply(x, self.layer.weight), layer=nn.Linear(8, 16)), shapes=ROWS
    ),
    "weight norm": Variant(make=lambda: nn.utils.parametrizations.weight_norm(nn.Linear(16, 8)), shapes=ROWS),
    "spectral norm": Variant(make=lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(16, 8)), shapes=ROWS),
    "a weight of one's own making": Variant(make=with_product_as_weight, shapes=ROWS),
    "gradients of gradients": Variant(make=lambda: Calls(penalty, net=mlp(16, 8, 1)), shapes=ROWS, second_order=True),
    "gradients of gradients of convolutions": Variant(
        make=lambda: Calls(penalty, net=nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 3, groups=2))),
        shapes=PICTURE,
        second_order=True,
    ),
    "batch norm kept in evaluation": Variant(
        make=lambda: nn.Sequential(nn.Conv2d(3, 8, 3), KeptBatchNorm(8), nn.Conv2d(8, 4, 3)), shapes=PICTURE
    ),
    "bilinear": Variant(make=lambda: nn.Bilinear(16, 8, 4), shapes=((5, 16), (5, 8))),
    "distances": Variant(
        make=lambda: Calls(lambda self, x, y: torch.cdist(self.layer(x), y), layer=nn.Linear(16, 8)),
        shapes=((5, 16), (6, 8)),
    ),
    "bags of words": Variant(make=lambda: nn.EmbeddingBag(50, 8), shapes=WORDS),
    "einsum": Variant(
        make=lambda: Calls(lambda self, x: torch.einsum("bti,oi->bto", x, self.layer.weight), layer=nn.Linear(16, 8)),
        shapes=TOKENS,
    ),
    "deformable": Variant(
        make=lambda: Calls(
            lambda self, x: self.sample(x, self.offset(x)),
            offset=nn.Conv2d(3, 18, 3, padding=1),
            sample=torchvision.ops.DeformConv2d(3, 6, 3, padding=1),
        ),
        shapes=PICTURE,
    ),
    "resnet": Variant(
        make=lambda: torchvision.models.resnet.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1]),
        shapes=((2, 3, 32, 32),),
        options={"optimizer": partial(torch.optim.SGD, momentum=0.9)},
    ),
}
