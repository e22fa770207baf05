"""What the README says is true."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from checks.examples import examples

from thoplw.pricing import CONVENTIONS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COUNTING = (ROOT / "docs" / "counting.md").read_text(encoding="utf-8")


def test_examples_print_what_they_say() -> None:
    names: dict[str, object] = {}
    found = [example for example in examples(README) if example.language == "python"]
    for example in found:
        printed = example.run(names)
        assert example.says(printed), f"{example.code}\nprints\n{printed}"
    assert len(found) >= 3


def test_it_is_short_and_begins_with_a_picture() -> None:
    lines = README.splitlines()
    assert len(lines) < 130
    assert any(line.startswith("![") for line in lines[:25])


def test_ci_runs_the_command_for_tests() -> None:
    (command,) = re.findall(r"^pip install .*&& pytest -n 2$", README, re.MULTILINE)
    script = ROOT / ".ci" / "run"
    assert command in script.read_text(encoding="utf-8").splitlines()
    assert os.access(script, os.X_OK)


def test_the_command_that_runs_the_main_job() -> None:
    assert README.count('pip install ".[zoo]" && thoplw profile resnet18') == 1


def rows(page: str, start: str) -> list[list[str]]:
    """The cells of the rows of a Markdown table, which begins with ``start``; the header first."""
    table = page[page.index(start) :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


@pytest.mark.parametrize("column", range(1, 6))
def test_figures_of_other_counters_are_those_measured(column: int) -> None:
    accuracy = (ROOT / "benchmarks" / "accuracy.md").read_text(encoding="utf-8")
    header, _, *models = rows(accuracy, "| model |")
    (model, _, *shown) = [row[column] for row in rows(README, "| | resnet18 |")]
    (measured,) = [row for row in models if row[0].removeprefix("timm:") == model]
    for (tool, *_), cell in zip(rows(README, "| | resnet18 |")[2:], shown, strict=True):
        figure = measured[header.index(name(tool))]
        assert cell.strip("*") == figure.partition(" ")[0]
        reference = float(measured[header.index("thoplw")])
        assert cell.startswith("**") == (abs(float(figure.partition(" ")[0]) / reference - 1) > 0.01)


def test_counts_of_models_within_a_hundredth_are_those_measured() -> None:
    accuracy = (ROOT / "benchmarks" / "accuracy.md").read_text(encoding="utf-8")
    header, *counts = rows(accuracy, "| | torch |")
    (within,) = [row for row in counts if row[0] == "within 1 %"]
    for tool, *_, count, _missed in rows(README, "| | resnet18 |")[3:]:
        assert count == within[header.index(name(tool))]


def name(tool: str) -> str:
    """A tool of the README, as the measured tables call it: FlopCounterMode goes by ``torch``."""
    found = re.search(r"mirrors/(\w+)\.md", tool)
    return found[1] if found else "thoplw"


# Part of an operator's name -> how the row of the counting table begins that speaks of it, and its words there.
# The first match counts.
TERMS = {
    r"batch_norm": ("batch norm", "batch norm"),
    r"(layer|group|instance|rms)_norm": ("layer, group", r"\1"),
    r"dot_product|attention|transformer_encoder": ("softmax", "attention"),
    r"softmax": ("softmax", "softmax"),
    r"avg_pool": ("average pooling", "average pooling"),
    r"upsample_(linear|bilinear|trilinear|bicubic)": ("upsampling", r"\1"),
    r"conv": ("convolution", "bias once per sample"),
    r"lstm|gru|rnn": ("linear, matmul", "recurrent cells"),
    r"linear|add\w*m[mv]|addbmm|addr|bilinear": ("linear, matmul", "one per output element for a bias"),
}


def counting_table() -> dict[str, str]:
    section = COUNTING.partition("## The default convention")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| ([^|]*?) +\| ([^|]*?) +\|$", section, re.MULTILINE))


# Where the two conventions differ, the default one has a term besides multiply-accumulates.
@pytest.mark.parametrize(
    "target",
    [
        target
        for target, row in CONVENTIONS["thoplw"].prices.items()
        if row is not CONVENTIONS["macs"].prices.get(target)
    ],
)
def test_the_counting_table_names_every_term(target: str) -> None:
    match, (start, words) = next((found, row) for part, row in TERMS.items() if (found := re.search(part, target)))
    (row,) = [f"{left} {right}" for left, right in counting_table().items() if left.startswith(start)]
    assert match.expand(words).lower() in row.lower()


def test_the_architecture_draws_the_layers_that_are_checked() -> None:
    contract = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\nlayers = [\n")[2].partition("\n]")[0]
    layers = "\n".join(re.findall(r'"(.*)"', contract))
    assert layers
    assert f"```\n{layers}\n```" in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
