"""``thoplw train``."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
import torchvision
from checks.releases import file_since
from typer.testing import Result

import thoplw

file_since("2.4")


Run = Callable[..., Result]


def resnet18(batch: int = 1) -> tuple[torch.nn.Module, tuple[int, ...]]:
    with torch.device("meta"):
        return torchvision.models.resnet18(), (batch, 3, 224, 224)


def test_the_main_job(run: Run) -> None:
    result = run("train", "resnet18", "--batch", "8", "--optimizer", "adamw")
    report = thoplw.profile_training(*resnet18(8), optimizer="adamw")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{report.summary()}\n"


@pytest.mark.parametrize("asked", [("--columns", "name,floor"), ("--sort", "eager")])
def test_times_need_a_device(asked: tuple[str, ...], run: Run) -> None:
    result = run("train", "resnet18", *asked)
    assert result.exit_code == 2
    assert "needs a device: name it with --on" in result.stderr


def test_phases_have_floors_on_a_device(run: Run) -> None:
    result = run("train", "resnet18", "--batch", "2", "--optimizer", "adamw", "--on", "h100-sxm", "--dtype", "float32")
    report = thoplw.profile_training(*resnet18(2), optimizer="adamw").on("h100-sxm", "float32")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{report.summary()}\n"
    assert "Floors of phases by themselves: forward " in result.stdout


def test_frozen_layers_have_no_backward(run: Run) -> None:
    result = run(
        "train", "resnet18", "--freeze", "conv1", "--freeze", "layer[1-4].*", "--freeze", "bn1.*", "--kind", "json"
    )
    totals = json.loads(result.stdout)["totals"]
    assert totals["trainable"] == 512 * 1000 + 1000
    assert totals["phases"]["backward"] == 512 * 1000


def test_a_scaler_and_the_kernels_of_a_device(run: Run) -> None:
    options = ("--optimizer", "adamw", "--convention", "flops", "--scaler", "--device", "cuda")
    result = run("train", "resnet18", *options, "--kind", "json")
    report = thoplw.profile_training(*resnet18(), optimizer="adamw", convention="flops", scaler=True, device="cuda")
    assert json.loads(result.stdout) == json.loads(report.summary("json"))


def test_checkpointing_repeats_most_of_the_forward(run: Run) -> None:
    result = run("train", "timm:vit_tiny_patch16_224", "--checkpoint", "--kind", "json")
    phases = json.loads(result.stdout)["totals"]["phases"]
    assert 0 < phases["recomputation"] < phases["forward"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--optimizer", "adamww"), "Invalid value for '--optimizer': unknown optimizer 'adamww'. Did you mean"),
        (("--autocast", "bf17"), "bf16"),
        (("--device", "cudaa"), "cuda"),
        (("--freeze", "layer9.*"), "error: --freeze: no parameter has a name like 'layer9.*'"),
        (("--freeze", "layerr1"), "layer1"),
        (("--scaler",), "--scaler unscales gradients for an optimizer, and there is none: add --optimizer"),
        (("--clip", "-1"), "Invalid value for '--clip': -1.0 is no number above 0"),
        (("--checkpoint",), "has no switch for --checkpoint"),
        (("--convention", "mac"), "macs"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], message: str, run: Run) -> None:
    result = run("train", "resnet18", *arguments)
    assert result.exit_code
    assert message in result.stderr
