"""Models to train for real on a CPU, from every zoo: small enough, in training mode, with random weights."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from thoplw.models.hf import architecture
from thoplw.models.hf import inputs as inputs_of
from thoplw.models.registry import load, names

ZOO = Path(__file__).parents[1] / "benchmarks" / "zoo.jsonl"

#: Samples of a step: batch norm takes two.
BATCH = 2

#: Multiply-accumulates of a forward of one sample, and parameters, that a model has at most; of transformers before it
#: is made small.
MOST, LARGEST = 25e9, 2e8

#: Pixels of a side of the pictures for models of torchvision that take more; those of one size alone stay as they are.
SIDE = 128

#: Models of timm: the cheapest of each of its files first.
TIMM = 300

#: Settings of transformers that are made small, and how small; a token for padding is one of the vocabulary.
SMALL = {
    2: "num_hidden_layers num_layers n_layer n_layers num_encoder_layers num_decoder_layers encoder_layers "
    "decoder_layers num_blocks",
    1000: "vocab_size",
    999: "pad_token_id",
}

#: Settings that name layers by their numbers: then there have to be as many.
BY_NUMBER = ("_out_indices", "depths")

# -- which models ------------------------------------------------------------------------------------------------------


def models() -> Iterator[str]:
    """The names of all models that are tried, the cheapest of every zoo first, for whoever stops before the end."""
    sizes = _sizes()
    costs = {name: macs for name, (macs, params) in sizes.items() if macs < MOST and params < LARGEST}
    pictures = sorted(
        (name for name in names("torchvision") if not name.startswith("quantized")), key=lambda name: sizes[name][0]
    )
    small = sorted(filter(costs.__contains__, names("hf")), key=costs.__getitem__)
    for together in zip_longest(pictures, small, _cheapest_of_timm(costs)):
        yield from filter(None, together)


def _sizes() -> dict[str, tuple[float, float]]:
    """Multiply-accumulates of a forward of one sample, and parameters, by name."""
    rows = [json.loads(line) for line in ZOO.read_text().splitlines()]
    return {row["name"]: (row.get("macs") or math.inf, row.get("params") or math.inf) for row in rows}


def _cheapest_of_timm(costs: dict[str, float]) -> Iterator[str]:
    from timm.models import model_entrypoint

    files = defaultdict(list)
    for name in sorted(filter(costs.__contains__, names("timm")), key=costs.__getitem__):
        files[model_entrypoint(name.removeprefix("timm:")).__module__].append(name)
    ranked = sorted((place, name) for each in files.values() for place, name in enumerate(each))
    yield from (name for _, name in ranked[:TIMM])


def build(name: str) -> tuple[torch.nn.Module, Any]:
    """A model in training mode, with random weights, and two samples for it; of transformers a small one."""
    torch.manual_seed(0)
    if not name.startswith("hf:"):
        with _Unfilled():
            loaded = load(name, batch=BATCH, real=True)
        large = zoo_of(name) == "torchvision" and _sizes()[name][0] >= MOST
        if type(loaded.model).__module__.startswith("torchvision.models.detection"):
            if large:
                loaded.model.transform.min_size, loaded.model.transform.max_size = (SIDE,), SIDE
            return loaded.model.train(), with_targets()
        inputs = tree_map(_cut, loaded.inputs) if large and not hasattr(loaded.model, "image_size") else loaded.inputs
        return loaded.model.train(), tree_map(_random, inputs)
    cls, config = architecture(name.removeprefix("hf:"))
    shrink(config)
    with _Unfilled():
        model = cls(config).train()
    return model, tree_map(_random, inputs_of(model, seq=16, batch=BATCH))


class _Unfilled(TorchFunctionMode):
    """Have weights be zero, as drawing them takes longer than a step."""

    DRAWS = frozenset({torch.Tensor.normal_, torch.Tensor.uniform_})
    SKIPPED = frozenset({torch.Tensor.erfinv_, torch.Tensor.clamp_})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.DRAWS:
            return args[0].zero_()
        return args[0] if func in self.SKIPPED else func(*args, **(kwargs or {}))


def with_targets() -> Any:
    """Pictures with two boxes in each, as detection is trained: with a mask for each, and key points of a person."""
    target = {
        "boxes": torch.tensor([[10.0, 10, 100, 100], [20, 30, 90, 140]]),
        "labels": torch.tensor([1, 1]),
        "masks": torch.ones(2, 160, 160, dtype=torch.uint8),
        "keypoints": torch.tensor([50.0, 60, 1]).expand(2, 17, 3).clone(),
    }
    return [torch.rand(3, 160, 160) for _ in range(BATCH)], [target] * BATCH


def shrink(config: Any) -> None:
    """Make a configuration of transformers, and those inside of it, small: two layers, few words."""
    small = {key: most for most, keys in SMALL.items() for key in keys.split()}
    if any(getattr(config, key, None) for key in BY_NUMBER):
        small = {key: most for key, most in small.items() if most != min(SMALL)}
    if hasattr(config, "axial_pos_shape"):
        config.axial_pos_shape = (4, 4)  # they multiply to the length
    for key, value in list(vars(config).items()):
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            shrink(value)
        if "layerdrop" in key or "layer_drop" in key:
            setattr(config, key, 0.0)  # it leaves out layers at random
        if key in small and isinstance(value, int) and value > small[key]:
            setattr(config, key, small[key])


def _cut(value: Any) -> Any:
    return value[..., :SIDE, :SIDE].contiguous() if isinstance(value, torch.Tensor) and value.dim() > 3 else value


def _random(value: Any) -> Any:
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return torch.rand(value.shape)


def loss_of(output: Any) -> torch.Tensor:
    """The sum of all that a gradient can go back from."""
    found: list[torch.Tensor] = []

    def visit(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found.extend([value] if value.requires_grad else [])
        elif isinstance(value, dict):
            for each in value.values():
                visit(each)
        elif isinstance(value, (list, tuple)):
            for each in value:
                visit(each)

    visit(output)
    return torch.stack([tensor.float().sum() for tensor in found]).sum()


def zoo_of(name: str) -> str:
    """The zoo that a model is from."""
    return {"timm": "timm", "hf": "transformers"}.get(name.partition(":")[0], "torchvision")
