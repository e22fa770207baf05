"""What the pages of the site say is true; that they build is up to ``mkdocs build --strict``."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from checks.calling import Calling
from checks.examples import examples, follow
from checks.releases import older, since, working_transformers
from torch import nn

import thoplw
from thoplw.cli import main
from thoplw.pricing import CONVENTIONS
from thoplw.pytest_plugin import within
from thoplw.render import FORMATS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *DOCS.rglob("*.md"))
}


#: Pages whose examples need a newer torch than the oldest.
NEWER = {
    "docs/generation.md": since("2.9", "shared heads of attention are copied before"),
    "docs/memory.md": since("2.5", "kernels lay some results out otherwise before"),
    "docs/training.md": since("2.5", "no meta kernel of attention on CUDA before"),
}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(name, marks=NEWER.get(name, ()))
        for name, text in PAGES.items()
        if name != "README.md" and any(examples(text))
    ],
)
def test_examples_print_what_they_say(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(re.search(r"\bhf:|\btransformers\b", example.code) for example in examples(PAGES[page])):
        working_transformers()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    try:
        for example, printed in follow(PAGES[page]):
            assert example.says(printed), f"{example.code}\nprints\n\n{printed}"
    finally:
        for name in sys.modules.keys() - known:  # the files of this page, not those of another
            if getattr(sys.modules[name], "__file__", None) and (tmp_path / f"{name}.py").exists():
                del sys.modules[name]


def test_the_example_of_the_fixture_passes() -> None:
    (example,) = (each for each in examples(PAGES["docs/budgets.md"]) if each.title)
    names: dict[str, Any] = {}
    exec(example.code, names)  # our own text
    names["test_cost"](within)


@pytest.mark.parametrize("page", PAGES)
def test_commands_can_be_typed(page: str) -> None:
    inline = [shlex.split(line)[1:] for line in re.findall(r"(?<!`)`(thoplw [a-z]+ [^`]*)`(?!`)", PAGES[page])]
    commands = [command for example in examples(PAGES[page]) for command, _ in example.commands]
    for name, *arguments in (*commands, *inline):
        if not any(each == each.upper() and not each.startswith("-") for each in arguments):  # MODEL stands for a model
            command = typer.main.get_command(main).commands[name]  # type: ignore[attr-defined] # a group
            with contextlib.suppress(typer.Exit):  # of --help
                command.make_context(name, arguments)  # raises where it cannot be parsed


@pytest.mark.parametrize("page", PAGES)
def test_nobody_is_sent_to_the_index_where_the_name_is_another_program(page: str) -> None:
    assert re.search(r"pip install \S*thoplw", PAGES[page].replace("pip install ./third_party/thoplw", "")) is None


def test_the_python_page_has_all_public_names() -> None:
    shown = re.findall(r"^::: thoplw\.(\w+)$", PAGES["docs/reference/python.md"], re.MULTILINE)
    assert sorted(shown) == thoplw.__all__


@pytest.mark.parametrize("name", [*FORMATS])
def test_the_gallery_shows_every_format(name: str) -> None:
    assert name == "text" or f"--kind {name}" in PAGES["docs/gallery.md"]


@pytest.mark.parametrize("tool", sorted(each.name for each in CONVENTIONS.values() if each.mirrors))
def test_old_calls_have_the_figures_of_the_tools(tool: str) -> None:
    """What stands at the left was measured with the tool itself."""
    golden = json.loads((ROOT / "checks" / "goldens" / f"{tool}.json").read_text(encoding="utf-8"))
    found = golden["models"]["resnet18"]
    said = [str(each) for each in (found["figure"], found["params"]) if each is not None]
    page = PAGES["docs/coming-from.md"]
    (new,) = re.findall(rf'```python\n((?:(?!```).)*convention="{tool}",\n\).*?)```', page, re.DOTALL)
    old = page[: page.index(new)].rpartition("```py\n")[2].partition("```")[0]
    for block in (old, new):
        assert re.findall(r"^# ([\d. ]+)$", block, re.MULTILINE)[0].replace(".0", "") == " ".join(said)


# -- how things are counted --------------------------------------------------------------------------------------------

N, C, H, W = 2, 6, 8, 10
IMAGE, VOLUME, LINE, TOKENS = (N, C, H, W), (N, C, 4, H, W), (N, C, H), (N, H, C)


def resized(mode: str) -> nn.Module:
    return nn.Upsample(scale_factor=2, mode=mode)


#: How rows begin -> models that they speak of, the shapes they take, and what letters stand for.
CASES: dict[str, list[tuple[nn.Module, Any, dict[str, int]]]] = {
    "Convolution": [
        (
            nn.Conv2d(C, 4, (3, 5), groups=2),
            IMAGE,
            {"n": N, "c": C, "o": 4, "out": 6 * 6, "kernel": 3 * 5, "groups": 2},
        ),
        (nn.Conv1d(C, 4, 3, padding=1), LINE, {"n": N, "c": C, "o": 4, "out": H, "kernel": 3, "groups": 1}),
    ],
    "Transposed convolution": [
        (
            nn.ConvTranspose2d(C, 4, 3, groups=2),
            IMAGE,
            {"n": N, "c": C, "o": 4, "image": H * W, "kernel": 9, "groups": 2, "out": 10 * 12},
        )
    ],
    "Linear": [(nn.Linear(C, 5), TOKENS, {"rows": N * H, "k": C, "m": 5})],
    "Product": [(Calling(torch.matmul), ((N, 3, 4), (N, 4, 5)), {"n": N, "l": 3, "k": 4, "m": 5})],
    "Attention": [
        (
            Calling(nn.functional.scaled_dot_product_attention),
            ((N, 3, 4, 8), (N, 3, 5, 8), (N, 3, 5, 8)),
            {"n": N, "h": 3, "l": 4, "s": 5, "e": 8},
        )
    ],
    "LSTM": [(nn.LSTM(C, 7, batch_first=True), TOKENS, {"n": N, "t": H, "i": C, "h": 7})],
    "GRU": [(nn.GRU(C, 7, batch_first=True), TOKENS, {"n": N, "t": H, "i": C, "h": 7})],
    "RNN": [(nn.RNN(C, 7, batch_first=True), TOKENS, {"n": N, "t": H, "i": C, "h": 7})],
    "Batch norm with known": [(nn.BatchNorm2d(C), IMAGE, {})],
    "Batch norm without": [(nn.BatchNorm2d(C, affine=False), IMAGE, {})],
    "Batch norm with statistics": [(nn.BatchNorm2d(C, track_running_stats=False), IMAGE, {})],
    "Layer, group": [
        (nn.LayerNorm(W), IMAGE, {}),
        (nn.GroupNorm(2, C), IMAGE, {}),
        (nn.InstanceNorm2d(C, affine=True), IMAGE, {}),
    ],
    "Layer norm without": [(nn.LayerNorm(W, elementwise_affine=False), IMAGE, {})],
    "RMS norm": [] if older("2.4") else [(nn.RMSNorm(W), IMAGE, {})],
    "Softmax": [(nn.Softmax(1), IMAGE, {}), (nn.LogSoftmax(1), IMAGE, {})],
    "Average": [
        (nn.AvgPool1d(2), LINE, {"d": 1, "kernel": 2}),
        (nn.AvgPool2d(2), IMAGE, {"d": 2, "kernel": 4}),
        (nn.AvgPool3d(2), VOLUME, {"d": 3, "kernel": 8}),
    ],
    "Adaptive": [(nn.AdaptiveAvgPool1d(2), LINE, {"d": 1}), (nn.AdaptiveAvgPool2d(2), IMAGE, {"d": 2})],
    "Max pooling": [(nn.MaxPool2d(2), IMAGE, {"kernel": 4})],
    "Upsampling, nearest": [(resized("nearest"), IMAGE, {})],
    "Upsampling, linear": [(resized("linear"), LINE, {})],
    "Upsampling, bilinear": [(resized("bilinear"), IMAGE, {})],
    "Upsampling, trilinear": [(resized("trilinear"), VOLUME, {})],
    "Upsampling, bicubic": [(resized("bicubic"), IMAGE, {})],
    "Addition": [
        (Calling(torch.add), (IMAGE, IMAGE), {}),
        (Calling(torch.mul), (IMAGE, IMAGE), {}),
        (Calling(torch.gt), (IMAGE, IMAGE), {}),
        *((each, IMAGE, {}) for each in (nn.ReLU(), nn.Sigmoid(), nn.Tanh(), Calling(torch.exp))),
    ],
    "Leaky": [(nn.LeakyReLU(), IMAGE, {}), (nn.PReLU(), IMAGE, {})],
    "ELU": [(nn.ELU(), IMAGE, {}), (nn.Hardsigmoid(), IMAGE, {}), (nn.Softplus(), IMAGE, {})],
    "SiLU": [(nn.SiLU(), IMAGE, {}), (nn.Hardswish(), IMAGE, {})],
    "GELU": [(nn.GELU(), IMAGE, {}), (nn.Mish(), IMAGE, {})],
    "Sum": [(Calling(lambda x, f=f: f(x, (2, 3))), IMAGE, {}) for f in (torch.sum, torch.mean, torch.amax)],
    "Scattered": [
        (Calling(lambda x, y: x.index_add(0, torch.tensor([2, 0]), y)), ((N + 2, C), (N, C)), {"s": N * C}),
    ],
    "Variance": [(Calling(lambda x, f=f: f(x, (2, 3))), IMAGE, {}) for f in (torch.var, torch.std)],
}

ROWS = re.findall(r"^\| (.*?) \| `(.*?)` \| `(.*?)` \| `(.*?)` \|$", PAGES["docs/counting.md"], re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:30] for row in ROWS])
def test_the_rules_are_those_of_the_code(row: tuple[str, str, str, str]) -> None:
    (cases,) = [cases for start, cases in CASES.items() if row[0].startswith(start)]
    for model, shapes, letters in cases:
        single = isinstance(shapes[0], int)
        tensors = tuple(torch.empty(shape, device="meta") for shape in ((shapes,) if single else shapes))
        reports = thoplw.compare(model.eval(), tensors, ["macs", "thoplw", "flops"])
        (module, *_) = reports["macs"].rows
        known = {**letters, "x": tensors[0].numel(), "y": _numel(module.output_shapes[0])}
        macs, added, other = (eval(formula, known) for formula in row[1:])  # our own text
        found = [reports[name].total_macs for name in ("macs", "thoplw", "flops")]
        assert found == [macs, macs + added, 2 * macs + other]


def test_every_rule_is_tried() -> None:
    assert len(ROWS) == len(CASES) > 20


def _numel(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()
