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


def test_examples_print_what_they_say() -> None:
    names: dict[str, object] = {}
    found = [example for example in examples(README) if example.language == "python"]
    for example in found:
        printed = example.run(names)
        assert example.says(printed), f"{example.code}\nprints\n{printed}"
    assert len(found) > 8


def test_ci_runs_the_command_for_tests() -> None:
    (command,) = re.findall(r"^pip install .*&& pytest$", README, re.MULTILINE)
    script = ROOT / ".ci" / "run"
    assert command in script.read_text(encoding="utf-8").splitlines()
    assert os.access(script, os.X_OK)


def test_the_command_that_runs_the_main_job() -> None:
    assert README.count('pip install ".[zoo]" && thoplw profile resnet18') == 1


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
    section = README.partition("## How it counts")[2].partition("\n## ")[0]
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
