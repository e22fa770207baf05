"""Reserved memory as told without a GPU, beside what NVML read on one in public runs.

::

    python benchmarks/xmem.py tell runs.tsv told.tsv                          # what is known is not done again
    python benchmarks/xmem.py table runs.tsv told.tsv > benchmarks/memory_on_a_gpu.md

The runs are those that xMem's authors published with their estimator: four iterations of a training loop on an RTX 3060
with 12 GB or an RTX 4060 with 8 GB, with torch 2.6.0 and CUDA 12.4. They stay where they are: ``runs.tsv`` is a list of
one's own, a run a line, with the columns ``model opt batch zero ground oom xmem dnnmem schedtune card``, tabs in
between. ``zero`` is their ``zero_grad_mode`` (``-`` for none), ``ground`` what NVML read, the next ones what others
estimated, all in bytes, and ``card`` is 3060 or 4060.

NVML reads the whole device. Their ``ground`` is the most that was used in a run less what was used as it began, when
there was a context already: so it is what the allocator reserved, and whatever libraries load later. Nothing is fitted.

Runs without a ``zero_grad_mode`` are of an older loop of theirs, which cleared the gradients of a convolutional network
just before the backward pass, and those of a transformer after the update. Programs of that time set
``CUBLAS_WORKSPACE_CONFIG=:0:0``, which leaves cuBLAS no workspace: ``LLMEvaluator`` and ``Evaluator`` in their history.
"""

from __future__ import annotations

import csv
import os
import statistics
import sys
import warnings
from collections.abc import Callable, Iterable
from datetime import date
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from thoplw.api.profile import observe  # noqa: E402
from thoplw.capture.options import Options  # noqa: E402
from thoplw.capture.training_step import TrainingStep  # noqa: E402
from thoplw.estimate.allocator import NoRoomError, allocated  # noqa: E402
from thoplw.record import Lifetimes  # noqa: E402

SOURCE = "https://github.com/Stone-ResearchLife/xMem (plot/data, commit d61e0764486838fff7a444bb03be7d6d2cd8bbaa)"

#: What segments could take of the 12,622,168,064 and 8,318,222,336 bytes of a card: the most that NVML read in any run,
#: those that ran out of memory among them.
ROOM = {"3060": 12_473_860_096, "4060": 8_206_155_776}

#: As many tokens has the longest row of nearly every batch of theirs, which are cut there; and so large are images.
TOKENS, PIXELS = 128, 86

#: In batches of so many some row is surely cut.
SURE = 15

#: Errors above this are listed.
FAR = 0.06

Run = dict[str, str]


def _gpt2(**more: Any) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM, GPT2Config

    return AutoModelForCausalLM.from_config(GPT2Config(**more))


def _gpt_neo() -> torch.nn.Module:
    from transformers import AutoModelForCausalLM, GPTNeoConfig

    config = GPTNeoConfig(
        hidden_size=768,
        num_layers=12,
        num_heads=12,
        attention_types=[[["global", "local"], 6]],
        window_size=256,
        attention_dropout=0.0,
        embed_dropout=0.0,
        resid_dropout=0.0,
    )
    return AutoModelForCausalLM.from_config(config)


def _opt(**more: Any) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM, OPTConfig

    return AutoModelForCausalLM.from_config(OPTConfig(**more))


def _t5(**more: Any) -> torch.nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration._from_config(T5Config(d_kv=64, decoder_start_token_id=0, **more))


def _vision(name: str) -> torch.nn.Module:
    import torchvision

    return getattr(torchvision.models, name)()


def _mobilenet_v3(size: str, last: int) -> torch.nn.Module:
    from torchvision.models.mobilenetv3 import MobileNetV3, _mobilenet_v3_conf

    return MobileNetV3(_mobilenet_v3_conf(f"mobilenet_v3_{size}")[0], last_channel=last, num_classes=10)


def _mnasnet() -> torch.nn.Module:
    from torchvision.models import MNASNet

    return MNASNet(alpha=1.0, num_classes=10)


#: Their name of a model -> how it is made: as their configurations say, without weights.
TRANSFORMERS: dict[str, Callable[[], torch.nn.Module]] = {
    "openai-community/gpt2": _gpt2,
    "distilbert/distilgpt2": partial(_gpt2, n_layer=6),
    "cerebras/Cerebras-GPT-111M": partial(
        _gpt2,
        n_layer=10,
        n_positions=2048,
        n_inner=3072,
        activation_function="gelu",
        attn_pdrop=0.0,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
    ),
    "EleutherAI/gpt-neo-125M": _gpt_neo,
    "facebook/opt-125m": partial(
        _opt, hidden_size=768, num_hidden_layers=12, ffn_dim=3072, num_attention_heads=12, word_embed_proj_dim=768
    ),
    "facebook/opt-350m": partial(
        _opt,
        hidden_size=1024,
        num_hidden_layers=24,
        ffn_dim=4096,
        num_attention_heads=16,
        word_embed_proj_dim=512,
        do_layer_norm_before=False,
    ),
    "T5-small": partial(_t5, d_model=512, d_ff=2048, num_layers=6, num_heads=8),
    "t5-base": partial(_t5, d_model=768, d_ff=3072, num_layers=12, num_heads=12),
}

#: The same of those that take images.
CONVOLUTIONAL: dict[str, Callable[[], torch.nn.Module]] = {
    "MnasNet": _mnasnet,
    "MobeNetV3Small": partial(_mobilenet_v3, "small", 1024),
    "MobeNetV3Large": partial(_mobilenet_v3, "large", 1280),
    **{
        theirs: partial(_vision, ours)
        for theirs, ours in {
            "VGG11": "vgg11",
            "VGG16": "vgg16",
            "VGG19": "vgg19",
            "ResNet50": "resnet50",
            "ResNet101": "resnet101",
            "ResNet152": "resnet152",
            "MobileNetV2": "mobilenet_v2",
            "ConvNeXtTiny": "convnext_tiny",
            "ConvNeXtBase": "convnext_base",
            "RegNetX400MF": "regnet_x_400mf",
            "RegNetY400MF": "regnet_y_400mf",
        }.items()
    },
}


def told(run: Run) -> int:
    """The bytes that are said to be reserved at most; 0 where the run is said not to fit."""
    older = run["zero"] == "-"
    zero = int(run["zero"]) if not older else 1 if run["model"] in CONVOLUTIONAL else 2
    try:
        found = _lifetimes(run["model"], run["opt"], zero, int(run["batch"]), workspaces=":0:0" if older else "")
        return allocated(found, ROOM[run["card"]]).reserved
    except NoRoomError:
        return 0


@cache
def _lifetimes(name: str, optimizer: str, zero: int, batch: int, workspaces: str) -> Lifetimes:
    """Which storages there are in four iterations of the loop that was run."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = workspaces
    images = name in CONVOLUTIONAL
    with torch.device("cpu" if name.startswith("RegNet") else "meta"):  # RegNet reads values as it is made
        model = (CONVOLUTIONAL if images else TRANSFORMERS)[name]().train()
    updater = getattr(torch.optim, optimizer)(model.parameters(), lr=0.001)
    criterion = torch.nn.CrossEntropyLoss()
    kept = {}

    def iteration(model: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        if zero == 0:
            updater.zero_grad()
        output = model(*args, **kwargs)
        kept["output"] = output
        if images:
            loss = criterion(output, torch.zeros(batch, dtype=torch.long))
            if zero == 1:
                updater.zero_grad()
        else:
            if zero == 1:
                updater.zero_grad()
            loss = output.loss
        kept["loss"] = loss
        loss.backward()
        updater.step()
        if images:
            kept["guess"] = torch.max(output, 1)
        if zero == 2:
            updater.zero_grad()

    def two(model: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        iteration(model, *args, **kwargs)
        iteration(model, *args, **kwargs)

    inputs: Any = torch.empty(batch, 3, PIXELS, PIXELS, device="meta")
    if not images:
        tokens = torch.ones(batch, TOKENS, dtype=torch.long)
        padded = tokens.clone()
        padded[0, 0] = 0  # some rows are shorter, so that there is a mask
        inputs = {"input_ids": tokens, "attention_mask": padded, "labels": tokens.clone()}
    # What profile_training(step=two, device="cuda", memory=True) does for the memory, without the costs.
    found = observe(model, inputs, Options(step=TrainingStep(function=two, device="cuda"), iterations=2)).lifetimes
    assert found is not None
    return found


def tell(runs: list[Run], file: Path) -> None:
    """Write down what is told of each run."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    known = _read_told(file)
    for run in sorted(runs, key=lambda run: (run["model"] in CONVOLUTIONAL, *_key(run))):
        if _key(run) not in known and run["oom"] == "0":
            known[_key(run)] = told(run)
            with file.open("a") as lines:
                lines.write("\t".join((*_key(run), str(known[_key(run)]))) + "\n")


def _key(run: Run) -> tuple[str, ...]:
    return run["model"], run["opt"], run["batch"], run["zero"], run["card"]


def _read_told(file: Path) -> dict[tuple[str, ...], int]:
    if not file.exists():
        return {}
    lines = (line.split("\t") for line in file.read_text().splitlines())
    return {tuple(line[:-1]): int(line[-1]) for line in lines}


def _read(file: Path) -> list[Run]:
    with file.open() as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


# -- the page ----------------------------------------------------------------------------------------------------------


def table(runs: list[Run], said: dict[tuple[str, ...], int]) -> str:
    """The page."""
    counted = [run for run in runs if run["oom"] == "0" and _key(run) in said]

    def off(run: Run) -> float:
        return said[_key(run)] / int(run["ground"]) - 1

    def ours(run: Run) -> float:
        return abs(off(run))

    def of(name: str) -> Callable[[Run], float]:
        return lambda run: abs(int(run[name]) - int(run["ground"])) / int(run["ground"])

    tools = {"thoplw": ours, "xMem": of("xmem"), "DNNMem": of("dnnmem"), "SchedTune": of("schedtune")}

    def row(title: str, those: Iterable[Run]) -> str:
        those = list(those)
        cells = [_in_short(sorted(error(run) for run in those)) for error in tools.values()]
        return f"| {title} | {len(those)} | " + " | ".join(cells) + " |"

    lines = [
        "# Memory on a GPU",
        "",
        f'What `device="cuda", memory=True` says is reserved, beside what NVML read in {len(counted)} public runs of',
        "training on an RTX 3060 and an RTX 4060 that did not run out of memory: the median of the relative error, and",
        "its 95th percentile. What other tools estimate of the same runs is as xMem's authors published it.",
        "",
        "Nothing is fitted. There may be",
        f"{ROOM['3060']:,} bytes of segments on the first card, {ROOM['4060']:,} on the second. In the older of",
        "their loops cuBLAS has no workspace, as their programs of that time set it; with torch's default the 95th",
        "percentile of transformers would be 7.64 %.",
        "",
        f"Runs: {SOURCE}, read until {date.today().isoformat()};",
        f"torch 2.6.0, CUDA 12.4, transformers 4.51.3. Told with torch {torch.__version__}, torchvision "
        f"{version('torchvision')}, transformers {version('transformers')},",
        "by `benchmarks/xmem.py`, which says how. The runs are not all that there are, some 5,000, but of those that a",
        "listing of each folder begins with, by name: so some models are there often. None was left out for its error.",
        "",
        "What is missing:",
        "",
        "- the workspaces of cuDNN's convolutions, which it chooses itself, by card and batch: MnasNet takes 11 MB a",
        "  sample in batches of 200 and 300, but 8.5 MB in those of 500 and 600; RegNetY400MF takes 11 % more on the",
        "  RTX 4060 than on the other card;",
        f"- how long rows are: in small batches the longest may have less than {TOKENS} tokens, so that batches",
        "  differ. Two runs of Cerebras-GPT-111M with SGD and a batch of 10 are 19 % apart, two of gpt-neo-125M with 5",
        "  12 %.",
        "",
        "What was tried, and why the tail stays. No error is of a run that came near the limit of its card, where the",
        "allocator gives segments back, and the sums that a bias's gradient works in, by torch's source and the 28",
        "multiprocessors of the RTX 3060, change none of the 81 runs of GPTs and OPTs there with batches of 15 and",
        "more. Workspaces for copies of a convolution's tensors in the layout of tensor cores mend as many runs as",
        "they break: in backward passes alone they take MnasNet with a batch of 323 from -17 % to -9 %, and with 377",
        "from +4 % to +15 %; in all, RegNetY400MF from +8 % to +1 % on the RTX 3060, from -2 % to -10 % on the other.",
        "torch takes the first of the engines that cuDNN's heuristics name which runs (`Conv_v8.cpp`), and these",
        "heuristics are not public: which engine it is, and so how many bytes, only the card can tell.",
        "",
        "| | runs | " + " | ".join(tools) + " |",
        "|---|--:|" + "--:|" * len(tools),
        row("all", counted),
        row("transformers", (run for run in counted if run["model"] in TRANSFORMERS)),
        row(
            f"transformers, batches of {SURE} and more",
            (run for run in counted if run["model"] in TRANSFORMERS and int(run["batch"]) >= SURE),
        ),
        row("convolutional networks", (run for run in counted if run["model"] in CONVOLUTIONAL)),
    ]
    for column in ("card", "opt", "model"):
        lines += [row(name, (r for r in counted if r[column] == name)) for name in sorted({r[column] for r in counted})]
    far = sorted((run for run in counted if ours(run) > FAR), key=ours, reverse=True)
    lines += ["", f"## The {len(far)} that are more than {FAR:.0%} off", ""]
    lines += ["| model | optimizer | batch | card | NVML | told | error |", "|---|---|--:|--:|--:|--:|--:|"]
    for run in far:
        cells = run["model"], run["opt"], run["batch"], run["card"], f"{int(run['ground']):,}", f"{said[_key(run)]:,}"
        lines.append(f"| {' | '.join(cells)} | {off(run):+.2%} |")
    return "\n".join(lines)


def _in_short(errors: list[float]) -> str:
    """The median and the 95th percentile."""
    if not errors:
        return "-"
    return f"{statistics.median(errors):.2%}, {errors[min(len(errors) - 1, int(0.95 * len(errors)))]:.2%}"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tell", runs, file]:
            tell(_read(Path(runs)), Path(file))
        case ["table", runs, file]:
            sys.stdout.write(table(_read(Path(runs)), _read_told(Path(file))) + "\n")
        case _:
            sys.exit(__doc__)
