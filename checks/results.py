"""33 well-known models: their figures, and the pages, the table and the plot that show them.

``tools/results.py`` writes what this makes, and the tests hold the files against it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torchvision

import thoplw
from thoplw.render.plots import scatter

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "benchmarks" / "models"
PLOT = PAGES / "madds-vs-parameters.svg"

#: The table of results in a page, between two comments.
TABLE = re.compile(r"<!-- results: .*? -->\n.*?<!-- end of results -->", re.DOTALL)

#: Family -> model -> (MACs, params). The figures came with the convention; they were not taken from the code.
FAMILIES = {
    "AlexNet": {"alexnet": ("714.22 M", "61.10 M")},
    "VGG": {
        "vgg11": ("7.61 G", "132.86 M"),
        "vgg13": ("11.31 G", "133.05 M"),
        "vgg16": ("15.47 G", "138.36 M"),
        "vgg19": ("19.63 G", "143.67 M"),
    },
    "VGG with batch norm": {
        "vgg11_bn": ("7.64 G", "132.87 M"),
        "vgg13_bn": ("11.36 G", "133.06 M"),
        "vgg16_bn": ("15.52 G", "138.37 M"),
        "vgg19_bn": ("19.69 G", "143.69 M"),
    },
    "ResNet": {
        "resnet18": ("1.82 G", "11.70 M"),
        "resnet34": ("3.68 G", "21.81 M"),
        "resnet50": ("4.13 G", "25.61 M"),
        "resnet101": ("7.87 G", "44.65 M"),
        "resnet152": ("11.60 G", "60.34 M"),
    },
    "Wide ResNet": {
        "wide_resnet50_2": ("11.46 G", "68.95 M"),
        "wide_resnet101_2": ("22.84 G", "127.02 M"),
    },
    "ResNeXt": {
        "resnext50_32x4d": ("4.29 G", "25.10 M"),
        "resnext101_32x8d": ("16.54 G", "88.99 M"),
    },
    "DenseNet": {
        "densenet121": ("2.90 G", "8.06 M"),
        "densenet169": ("3.44 G", "14.31 M"),
        "densenet201": ("4.39 G", "20.24 M"),
        "densenet161": ("7.85 G", "28.90 M"),
    },
    "Inception": {
        "googlenet": ("1.51 G", "6.64 M"),
        "inception_v3": ("5.75 G", "23.87 M"),
    },
    "SqueezeNet": {
        "squeezenet1_1": ("349.16 M", "1.24 M"),
        "squeezenet1_0": ("818.93 M", "1.25 M"),
    },
    "MobileNetV2": {"mobilenet_v2": ("327.49 M", "3.54 M")},
    "MobileNetV3": {
        "mobilenet_v3_small": ("62.17 M", "2.55 M"),
        "mobilenet_v3_large": ("234.21 M", "5.51 M"),
    },
    "ShuffleNetV2": {
        "shufflenet_v2_x0_5": ("44.57 M", "1.37 M"),
        "shufflenet_v2_x1_0": ("152.71 M", "2.29 M"),
    },
    "MNASNet": {
        "mnasnet0_5": ("116.72 M", "2.24 M"),
        "mnasnet1_0": ("336.24 M", "4.42 M"),
    },
}
EXPECTED = {name: figures for models in FAMILIES.values() for name, figures in models.items()}

#: Other than the defaults: these two ask for a choice, and warn when there is none.
ARGUMENTS = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}
SIZES = {"inception_v3": 299}


def profile(name: str) -> tuple[int, int, thoplw.LayerInfo]:
    """MACs, parameters and layers of one model."""
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(**ARGUMENTS.get(name, {}))
    return thoplw.profile(model, tensor=_shape(name), verbose=False, strict=True)


def _shape(name: str) -> tuple[int, ...]:
    size = SIZES.get(name, 224)
    return (1, 3, size, size)


def page(name: str, info: thoplw.LayerInfo) -> str:
    """The layers of one model."""
    shape = " x ".join(map(str, _shape(name)))
    return f"# {name}\n\nInput {shape}; each layer's share of the total.\n\n{info.summary('md', 'ratio')}\n"


# -- the table --------------------------------------------------------------------------------------------------------


def place() -> Path:
    """The one page that has the table.

    Raises:
        ValueError: none has it, or several have.
    """
    pages = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    found = [page for page in pages if TABLE.search(page.read_text(encoding="utf-8"))]
    if len(found) != 1:
        raise ValueError(f"one page has the table of results, not {len(found)}: {[str(page) for page in found]}")
    return found[0]


def with_table(text: str, folder: str) -> str:
    """The text of a page with the table in its place, each model linked to its page.

    Args:
        text: of the page.
        folder: of the page, as it is named in the repository.
    """
    pages = posixpath.relpath("benchmarks/models", folder)
    lines = ["| Model | MACs | Params |", "|---|--:|--:|"]
    lines += (f"| [{name}]({pages}/{name}.md) | {' | '.join(figures)} |" for name, figures in EXPECTED.items())
    table = "\n".join(("<!-- results: written by tools/results.py -->", *lines, "<!-- end of results -->"))
    return TABLE.sub(lambda _: table, text)


# -- the plot ---------------------------------------------------------------------------------------------------------

#: Where a label stands, in points from its own: to the right, but for these.
LEFT, UP_LEFT, DOWN_RIGHT = (-8, -3), (-8, 2), (8, -9)
PLACES = {
    **dict.fromkeys(FAMILIES["VGG"], (8, 2)),
    **dict.fromkeys(FAMILIES["VGG with batch norm"], DOWN_RIGHT),
    **dict.fromkeys(("resnet152", "resnext101_32x8d", "wide_resnet101_2", "densenet161", "inception_v3"), UP_LEFT),
    **dict.fromkeys(("densenet121", "mobilenet_v2", "shufflenet_v2_x1_0"), LEFT),
    **dict.fromkeys(("resnet18", "resnet101", "wide_resnet50_2", "googlenet"), DOWN_RIGHT),
    "densenet169": (-2, 7),
    "densenet201": (-10, 5),
    "resnet34": (2, -16),
    "resnet50": (8, -14),
    "resnext50_32x4d": (16, -5),
}


def figure() -> Figure:
    """MACs against parameters, a line a family."""
    points = {
        family: {name: (_number(macs), _number(params)) for name, (macs, params) in models.items()}
        for family, models in FAMILIES.items()
    }
    fig = scatter(points, unit="Multiply-accumulates of one image", labels=PLACES, lines=True, thick={"VGG": 4.5})
    fig.axes[0].set_xlim(1e6, 3e8)
    return fig


def _number(figure: str) -> float:
    value, unit = figure.split()
    return float(value) * {"M": 1e6, "G": 1e9}[unit]


def labels(fig: Figure) -> Iterator[Text]:
    """Labels of the points."""
    return (text for text in fig.axes[0].texts if text.get_text() in EXPECTED)
