"""``thoplw generate``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from checks.releases import working_transformers
from typer.testing import Result

import thoplw
from thoplw.models.registry import load_generating

working_transformers()

Run = Callable[..., Result]


def test_the_main_job(run: Run) -> None:
    result = run("generate", "hf:gpt2", "--prompt", "100", "--new", "20", "--batch", "3", "--fmt", "clever")
    report = thoplw.profile_generation(load_generating("hf:gpt2"), 100, 20, 3, verbose=False)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{report.summary('text', 'clever')}\n"


def test_floors_on_a_device(run: Run) -> None:
    result = run("generate", "hf:gpt2", "--prompt", "32", "--new", "12", "--on", "h100-sxm", "--kind", "json")
    report = thoplw.profile_generation(load_generating("hf:gpt2"), 32, 12, verbose=False).on("h100-sxm")
    assert json.loads(result.stdout)["floor"]["total"] == report.floor


def test_the_cache_of_an_engine(run: Run) -> None:
    sizes = []
    for more in ((), ("--kv-dtype", "fp8")):
        result = run("generate", "hf:gpt2", "--prompt", "64", "--new", "2", "--kind", "json", *more)
        sizes.append(json.loads(result.stdout)["cache_bytes"]["end"])
    assert sizes == [12 * 2 * 768 * 65 * 4, 12 * 2 * 768 * 65]


def test_the_memory_of_the_calls(run: Run) -> None:
    arguments = ("generate", "hf:gpt2", "--prompt", "64", "--new", "20", "--memory")
    report = thoplw.profile_generation(load_generating("hf:gpt2"), 64, 20, memory=True, verbose=False)
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{report}\n"
    assert report.memory.summary("text", "raw") in result.stdout
    calls = report.prefill, report.decode(), report.decode(82)
    assert [
        document["peak"] for document in json.loads(run(*arguments, "--kind", "json").stdout)["memory"].values()
    ] == [call.memory.peak for call in calls]
    peaks = [line.split(",")[-1] for line in run(*arguments, "--kind", "csv").stdout.splitlines()]
    assert peaks == ["Peak", *(str(call.memory.peak) for call in calls), "", str(report.memory.peak)]


def test_a_file_that_ends_in_html_is_a_page(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    result = run("generate", "hf:gpt2", "--prompt", "64", "--new", "9", "--memory", "-o", str(tmp_path / "gpt2.html"))
    assert result.exit_code == 0
    page = (tmp_path / "gpt2.html").read_text(encoding="utf-8")
    assert "<title>GPT2LMHeadModel: 9 tokens after a prompt of 64 positions" in page
    weights = f'<td class="right">{4 * 124439808:,}</td>'
    assert f"<tr><td>weights</td>{weights * 3}</tr>" in page


def test_a_model_of_a_file_takes_again_what_it_returns(run: Run, write: Callable[..., str]) -> None:
    write(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.embedding, self.cell = nn.Embedding(9, 4), nn.GRU(4, 8, batch_first=True)\n"
        "    def forward(self, ids, state=None):\n"
        "        x, state = self.cell(self.embedding(ids), state)\n"
        "        return {'x': x, 'state': state}\n"
    )
    result = run("generate", "written_for_cli:Net", "--prompt", "5", "--new", "4", "--kind", "csv")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith(f"Total,,{(5 + 3) * 3 * 8 * (4 + 8)},")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hf:gpt2", "--cache", "statik"), "static"),
        (("hf:gpt2", "--kv-dtype", "fp9"), "Invalid value for '--kv-dtype': unknown type 'fp9'. Did you mean 'fp8'"),
        (("hf:gpt2", "--kind", "tree"), "html"),
        (("hf:vit",), "no model with a head that generates text"),
        (("resnet18",), "returns nothing that its forward takes again"),
        (("hf:gpt2", "--prompt", "0"), "prompt"),
        (("hf:gpt2", "--prompt", "1020"), "has 1024 positions, as its config says, and a prompt of 1020 with 256 new"),
        (("hf:gpt2", "--prompt", "1020"), "takes 1275: give less for --prompt or --new"),
        (("resnet18",), "in Python, thoplw.profile_generation takes functions that call it"),
        (("resnet18", "--cache", "static"), "--cache static is for models with a generate()"),
        (("timm:vit_tiny_patch16_224", "--prompt", "4"), "VisionTransformer was given token ids, [1, 4], as x"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], message: str, run: Run) -> None:
    result = run("generate", *arguments)
    assert result.exit_code
    assert message in result.stderr
