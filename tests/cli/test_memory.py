"""``thoplw memory``, and memory in other commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from checks.releases import file_since
from typer.testing import Result

import thoplw
from thoplw.estimate.memory import Memory

file_since("2.4")

Run = Callable[..., Result]


def resnet18(batch: int = 1, optimizer: str | None = None) -> Memory:
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    shape = (batch, 3, 224, 224)
    if optimizer is None:
        return thoplw.profile(model, shape, memory=True)[2].memory
    return thoplw.profile_training(model, shape, optimizer=optimizer, memory=True).memory


def test_the_main_job(run: Run) -> None:
    result = run("memory", "resnet18", "--batch", "2", "--optimizer", "adamw")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{resnet18(2, 'adamw').summary()}\n"


def test_data(run: Run) -> None:
    document = json.loads(run("memory", "resnet18", "--kind", "json").stdout)
    assert document == json.loads(json.dumps(resnet18().to_dict()))
    assert document["by_kind"]["weights"] == 11_689_512 * 4


def test_the_kernels_of_a_device(run: Run) -> None:
    arguments = ("memory", "resnet18", "--batch", "2", "--optimizer", "adamw")
    document = json.loads(run(*arguments, "--device", "cuda", "--format", "json").stdout)
    with torch.device("meta"):
        model = torchvision.models.resnet18()
    report = thoplw.profile_training(model, (2, 3, 224, 224), optimizer="adamw", device="cuda", memory=True)
    assert document == json.loads(json.dumps(report.memory.to_dict()))
    assert document["peak"] != resnet18(2, "adamw").peak


def test_format_is_another_name_of_kind(run: Run) -> None:
    for command in (("memory", "resnet18"), ("mfu", "resnet18", "--seconds", "1", "--device", "h100-sxm")):
        assert run(*command, "--format", "json").stdout == run(*command, "--kind", "json").stdout != ""


def test_the_largest_batch_that_fits(run: Run) -> None:
    document = json.loads(run("memory", "resnet18", "--fit", "500MB", "--kind", "json").stdout)
    size = document["batch"]
    assert document["peak"] == resnet18(size).peak <= 500_000_000 < resnet18(size + 1).peak
    assert f"fits is {size}, by bytes requested" in run("memory", "resnet18", "--fit", "500MB").stdout
    page = run("memory", "resnet18", "--fit", "500MB", "--kind", "html")
    assert (page.stderr, page.stdout[:9]) == (
        f"thoplw: The largest batch that fits is {size}, by bytes requested.\n",
        "<!doctype",
    )
    reserved = run("memory", "resnet18", "--fit", "500MB", "--reserved", "--kind", "json").stdout
    assert json.loads(reserved)["batch"] <= size
    outside = run("memory", "resnet18", "--fit", "600MB", "--context", "100MB", "--kind", "json").stdout
    assert json.loads(outside)["batch"] == size


def test_which_blocks_to_checkpoint(run: Run) -> None:
    arguments = ("memory", "timm:vit_tiny_patch16_224", "--batch", "8", "--optimizer", "adamw", "--fit", "250MB")
    document = json.loads(run(*arguments, "--kind", "json").stdout)
    assert document["peak"] <= 250_000_000
    assert document["checkpoint"] == [f"blocks.{place}" for place in range(len(document["checkpoint"]))]
    assert run(*arguments).stdout.startswith(f"Checkpoint {len(document['checkpoint'])} of 12 blocks: blocks.0, ")


def test_columns_of_memory_ask_for_it(run: Run) -> None:
    result = run("profile", "resnet18", "--columns", "name,peak", "--sort", "peak", "--top", "1")
    assert str(resnet18().module("bn1").peak) in result.stdout
    result = run("train", "resnet18", "--columns", "name,saved")
    assert result.exit_code == 0
    result = run("profile", "resnet18", "--columns", "name,saved")
    assert result.exit_code == 1
    assert "this report has no saved for backward: thoplw train knows it" in result.stderr


NETWORK = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(16, 32), nn.Linear(32, 4))
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fit", "1MB"), "--fit finds a batch for models of a zoo only"),
        (("--fit", "1KB", "--input", "8,16"), "add --train or --optimizer"),
        (("--fit", "1KB", "--input", "8,16", "--optimizer", "sgd"), "there is no block to checkpoint"),
        (("--fit", "1KB", "--input", "8,16", "--optimizer", "sgd"), "gradients and optimizer take "),
    ],
)
def test_what_does_not_fit(arguments: tuple[str, ...], message: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "fitting.py").write_text(NETWORK)
    result = run("memory", f"{tmp_path / 'fitting.py'}:build", *arguments)
    assert result.exit_code
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_memory_of_real_tensors_is_refused_by_its_option(run: Run) -> None:
    result = run("check", "resnet18", "--max-memory", "24GB", "--execute")
    assert result.exit_code == 2
    assert "--max-memory" in result.stderr
    assert "=True" not in result.stderr


def test_a_limit_of_memory(run: Run) -> None:
    peak = resnet18().peak
    assert run("check", "resnet18", "--max-memory", str(peak)).exit_code == 0
    result = run("check", "resnet18", "--max-memory", str(peak - 1))
    assert result.exit_code == 1
    assert f"Peak: {peak}" in result.stderr
    assert run("check", "resnet18", "--max", "peak=24GiB").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fit", "24GB", "--batch", "2"), "leave --batch"),
        (("--fit", "1MB", "--batch", "2", "--train"), "blocks checkpointed the peak is"),
        (("--fit", "24GB", "--batch", "2"), "thoplw check --max-memory"),
        (("--fit", "24XB"), "is no number of bytes"),
        (("--fit", "24XB"), "24GiB"),
        (("--fit", "-5GB"), "is no number of bytes"),
        (("--fit", "0"), "and 0 B are allowed"),
        (("--fit", "1M"), "a batch of 1 takes"),
        (("--reserved",), "give --fit"),
        (("--device", "cuda"), "--device chooses the kernels of a training step: add --train or --optimizer"),
        (("--train", "--device", "gpu"), "Known: cpu, cuda"),
        (("--optimizer", ""), "unknown optimizer ''"),
        (("--context", "500MB"), "give --fit"),
        (("--context", "2GB", "--fit", "1GB"), "less for --context"),
        (("--kind", "csv"), "json"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], message: str, run: Run) -> None:
    result = run("memory", "resnet18", *arguments)
    assert result.exit_code
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_tables_are_drawn_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.modules["thoplw.cli.memory"], "is_terminal", lambda: True)
    lines = run("memory", "resnet18").stdout.splitlines()
    assert not any(line.startswith("|") for line in lines)
    (weights,) = (line.rstrip() for line in lines if line.startswith("weights"))
    (inputs,) = (line.rstrip() for line in lines if line.startswith("inputs"))
    assert (len(weights), weights[-8:]) == (len(inputs), " 86.88 %")  # figures to the right
    memory = resnet18()
    assert f"allocator reserves {memory.cuda.reserved / 10**6:.2f} MB." in " ".join(lines)
