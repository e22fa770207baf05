"""The page of all conventions, ``docs/conventions.md``, from the tables of ``thoplw.pricing``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from checks.calling import Calling
from tabulate import tabulate
from torch import nn

from thoplw import Convention, compare, conventions
from thoplw.pricing import Price

FEATURES = (2, 8, 16, 16)
TOKENS = (2, 10, 32)


def layer(module: nn.Module, *shapes: tuple[int, ...]) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """A layer, inside of another as counters of layers look at what a model holds, and its inputs."""
    return nn.Sequential(module) if len(shapes) == 1 else module, tuple(torch.empty(shape) for shape in shapes)


def function(call: Callable[..., Any], *shapes: tuple[int, ...]) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """A function, and its inputs."""
    return Calling(call), tuple(torch.empty(shape) for shape in shapes)


#: What is called, and on what; shapes have a batch of 2.
EXAMPLES = {
    "Conv2d(8, 4, 3), no bias": layer(nn.Conv2d(8, 4, 3, bias=False), FEATURES),
    "Conv2d(8, 4, 3)": layer(nn.Conv2d(8, 4, 3), FEATURES),
    "ConvTranspose2d(8, 4, 2, stride=2)": layer(nn.ConvTranspose2d(8, 4, 2, stride=2), FEATURES),
    "F.conv2d": function(F.conv2d, FEATURES, (4, 8, 3, 3)),
    "Linear(32, 5), no bias": layer(nn.Linear(32, 5, bias=False), TOKENS),
    "Linear(32, 5)": layer(nn.Linear(32, 5), TOKENS),
    "F.linear": function(F.linear, TOKENS, (5, 32)),
    "matmul": function(torch.matmul, TOKENS, (2, 32, 5)),
    "einsum": function(lambda x, y: torch.einsum("bij,bjk->bik", x, y), TOKENS, (2, 32, 5)),
    "scaled_dot_product_attention": function(F.scaled_dot_product_attention, *[(2, 4, 10, 8)] * 3),
    "MultiheadAttention(32, 4)": layer(nn.MultiheadAttention(32, 4, batch_first=True), *[TOKENS] * 3),
    "LSTM(32, 6)": layer(nn.LSTM(32, 6, batch_first=True), TOKENS),
    "Embedding": (nn.Sequential(nn.Embedding(50, 32)), (torch.zeros(2, 10, dtype=torch.int64),)),
    "BatchNorm2d": layer(nn.BatchNorm2d(8), FEATURES),
    "LayerNorm": layer(nn.LayerNorm(32), TOKENS),
    "F.layer_norm": function(lambda x: F.layer_norm(x, (32,)), TOKENS),
    "GroupNorm": layer(nn.GroupNorm(2, 8), FEATURES),
    "Softmax": layer(nn.Softmax(-1), TOKENS),
    "F.softmax": function(lambda x: F.softmax(x, -1), TOKENS),
    "ReLU": layer(nn.ReLU(), FEATURES),
    "F.relu": function(F.relu, FEATURES),
    "GELU": layer(nn.GELU(), FEATURES),
    "x + y": function(torch.add, FEATURES, FEATURES),
    "x.mean((2, 3))": function(lambda x: x.mean((2, 3)), FEATURES),
    "MaxPool2d(2)": layer(nn.MaxPool2d(2), FEATURES),
    "AvgPool2d(2)": layer(nn.AvgPool2d(2), FEATURES),
    "AdaptiveAvgPool2d(1)": layer(nn.AdaptiveAvgPool2d(1), FEATURES),
    "Upsample(scale_factor=2, bilinear)": layer(nn.Upsample(scale_factor=2, mode="bilinear"), FEATURES),
}


def page() -> str:
    """The page."""
    tables = conventions()
    names = [each.name for each in tables]
    listed = []
    for each in tables:
        details = f"[how](mirrors/{each.name}.md)" if each.mirrors else "-"
        listed.append((f"`{each.name}`", f"{each.unit}s", each.mirrors or "-", details))
    lines = [
        "# Conventions",
        "",
        "What each convention counts. This page is written by `tools/conventions.py` from the tables in",
        "`src/thoplw/pricing/`, and a test keeps it current.",
        "",
        tabulate(listed, ("name", "unit", "mirrors", "details"), "github"),
        "",
        "## What a call costs",
        "",
        "The figure of one call on small tensors, each convention in its own unit. Images are 2 x 8 x 16 x 16,",
        "tokens 2 x 10 x 32. A name in capitals is a layer (`torch.nn`); a counter that watches layers does not see a",
        "function.",
        "",
        tabulate(
            [(f"`{name}`", *_figures(*example)) for name, example in EXAMPLES.items()],
            ("", *names),
            "github",
            disable_numparse=True,
            colalign=("left", *("right" for _ in names)),
        ),
        "",
        "## Every price of every convention",
        "",
        "`x` is a price, `0` is free there, and an empty cell says that there is no price: the operator is taken",
        "apart, or what it is called in has a price, or it is *not counted* and a report says so. The price of an",
        "elementwise operator or a norm may have FLOPs alone: it is then 0 in a convention whose unit is the MAC.",
        "Operators without a prefix are in the library `aten`; names in capitals are classes of modules. What is free",
        "everywhere is in `src/thoplw/formulas/free.py`, with the reason.",
        "",
        tabulate(_rows(tables), ("operator or class", *names), "github", colalign=("left", *("center" for _ in names))),
    ]
    return "\n".join(lines) + "\n"


def _figures(model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[str]:
    found = compare(model.eval(), inputs)
    return [f"{found[name].total_macs:,}" for name in found]


def _rows(tables: tuple[Convention, ...]) -> Iterator[tuple[str, ...]]:
    """A row for each operator or class, if any convention has a price for it."""
    rows = [{**each.operators, **each.modules} for each in tables]
    for name, target in sorted({_name(key): key for each in rows for key in each}.items()):
        cells = [_cell(each, target) for each in rows]
        if "x" in cells:
            yield f"`{name}`", *cells


def _cell(table: dict[Any, Price], target: object) -> str:
    if target not in table:
        return ""
    return "0" if table[target] is None else "x"


def _name(target: str) -> str:
    """As readers know it: ``linear`` for ``aten.linear``, ``Linear`` for ``torch.nn.modules.linear:Linear``."""
    return target.rpartition(":")[2] if target.startswith("torch.nn.") else target.removeprefix("aten.")
