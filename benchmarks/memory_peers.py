"""What other tools say of the memory of training, beside real runs.

::

    python benchmarks/memory_peers.py > benchmarks/memory_peers.md

It needs torchinfo, accelerate and deepspeed. Each model is trained for two iterations with AdamW on the CPU.
``checks/storage_tracker.py`` counts every storage of that while it lives; the largest sum is what the run takes.
"""

from __future__ import annotations

import copy
import gc
import statistics
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from functools import partial
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_map

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from checks import storage_tracker  # noqa: E402
from checks.nested import tensors_in  # noqa: E402
from checks.sweep import in_short  # noqa: E402
from checks.training_zoo import BATCH, build  # noqa: E402

import thoplw  # noqa: E402

#: Models, and on how many samples each is trained. Those of transformers have two layers and a small vocabulary.
MODELS = (
    ("resnet18", 2),
    ("resnet18", 16),
    ("resnet50", 4),
    ("mobilenet_v3_large", 8),
    ("densenet121", 2),
    ("vit_b_16", 2),
    ("swin_t", 2),
    ("hf:bert", 16),
    ("hf:gpt2", 16),
    ("hf:t5", 16),
)

ADAMW = partial(torch.optim.AdamW, lr=0.0)


def built(name: str, batch: int) -> tuple[torch.nn.Module, Any]:
    """A model in training mode, and inputs for so many samples."""
    model, inputs = build(name)
    return model, tree_map(lambda value: torch.cat([value] * (batch // BATCH)), inputs)


def split(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional inputs, and those by name."""
    return ((), inputs) if isinstance(inputs, dict) else ((inputs,) if torch.is_tensor(inputs) else tuple(inputs), {})


def loss_of(output: Any) -> torch.Tensor:
    """The sum of all that a gradient can go back from."""
    return torch.stack([tensor.sum() for tensor in tensors_in(output) if tensor.requires_grad]).sum()


# -- what each says, in bytes ------------------------------------------------------------------------------------------


def real(name: str, batch: int) -> int:
    model, inputs = built(name, batch)
    args, kwargs = split(inputs)
    return max(storage_tracker.training(model, args, kwargs, loss=loss_of, optimizer=ADAMW).peaks)


def by_thoplw(name: str, batch: int) -> int:
    model, inputs = built(name, batch)
    options = {"loss": loss_of, "optimizer": ADAMW, "memory": True, "verbose": False}
    return thoplw.profile_training(model, inputs, **options).memory.peak


def by_torchinfo(name: str, batch: int) -> int:
    from torchinfo import summary

    model, inputs = built(name, batch)
    found = summary(model, input_data=inputs, mode="train", verbose=0)
    return found.total_input + found.total_output_bytes + found.total_param_bytes


def by_accelerate(name: str, batch: int) -> int:
    """The last column of ``accelerate estimate-memory``, "Training using Adam", in float32."""
    from accelerate.commands.estimate import estimate_training_usage
    from accelerate.utils import calculate_maximum_sizes

    size, _ = calculate_maximum_sizes(built(name, batch)[0])
    return max(estimate_training_usage(size, "float32").values())


def by_deepspeed(name: str, batch: int) -> int:
    """What ``estimate_zero2_model_states_mem_needs_all_live`` prints for a GPU, without offload."""
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs, model_to_params

    count = model_to_params(built(name, batch)[0])
    _, gpu = estimate_zero2_model_states_mem_needs(count, cpu_offload=False)
    return gpu


def by_mem_tracker(name: str, batch: int) -> int:
    """The peak by torch's MemTracker, of the same loop on fake tensors."""
    from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    fake = FakeTensorMode()
    with FakeCopyMode(fake):  # type: ignore[no-untyped-call] # torch leaves it untyped
        model, inputs = copy.deepcopy(built(name, batch))
    with fake:
        args, kwargs = split(inputs)
        optimizer = ADAMW(model.parameters())
        tracker = MemTracker()
        tracker.track_external(model, optimizer, *args, *kwargs.values())
        with tracker:
            for _ in range(2):
                tracker.reset_mod_stats()  # it takes one iteration at a time otherwise
                optimizer.zero_grad()
                output = model(*args, **kwargs)
                loss = loss_of(output)
                loss.backward()
                optimizer.step()
        return tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]


#: Heading of a column -> what fills it.
TOOLS: dict[str, Callable[[str, int], int]] = {
    "real run": real,
    "thoplw": by_thoplw,
    "MemTracker": by_mem_tracker,
    "torchinfo": by_torchinfo,
    "accelerate": by_accelerate,
    "DeepSpeed": by_deepspeed,
}


def said(tool: str, name: str, batch: int) -> int | str:
    """Bytes, or how it fails."""
    gc.collect()
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            return int(TOOLS[tool](name, batch))
    except Exception as error:  # whatever a tool meets is its result
        return in_short(error)


# -- the page ----------------------------------------------------------------------------------------------------------


#: A model and a number of samples -> what each tool says.
Found = dict[tuple[str, int], dict[str, int | str]]


def page(found: Found) -> str:
    """The page."""
    others = [tool for tool in TOOLS if tool != "real run"]
    rows = [row for row in found.values() if isinstance(row["real run"], int)]
    equal = sum(row["thoplw"] == row["real run"] for row in rows)
    lines = [
        "# The memory of training, by other tools",
        "",
        f"Peaks of {len(rows)} training loops in float32 with AdamW, two iterations each, in MB; and how far each",
        f"figure is from the real run. thoplw is equal to the byte in {equal} of {len(rows)}. Models of transformers",
        "have two layers, a small vocabulary, and 16 tokens a sample. The real run is on the CPU: every storage is",
        "counted while it lives.",
        "",
        f"{date.today().isoformat()}; torch {torch.__version__} with its MemTracker, "
        + ", ".join(f"{package} {version(package)}" for package in ("torchinfo", "accelerate", "deepspeed"))
        + ", "
        + ", ".join(f"{package} {version(package)}" for package in ("torchvision", "transformers"))
        + ".",
        "Written by `benchmarks/memory_peers.py`.",
        "",
        f"| model | samples | {' | '.join(TOOLS)} |",
        "|---|--:|" + "--:|" * len(TOOLS),
    ]
    for (name, batch), row in found.items():
        truth = row["real run"]
        cells = " | ".join(_cell(row[tool], truth if tool in others else None) for tool in TOOLS)
        lines.append(f"| {name} | {batch} | {cells} |")
    middle = " | ".join(_middle([(row[tool], row["real run"]) for row in rows]) for tool in others)
    lines.append(f"| median of the distance | | | {middle} |")
    failed = [
        (name, tool, each) for (name, _), row in found.items() for tool, each in row.items() if isinstance(each, str)
    ]
    if failed:
        lines += ["", "Failed:", ""] + [f"- {tool} on {name}: {error}" for name, tool, error in failed]
    return "\n".join(lines) + "\n" + WHY


def _cell(figure: int | str, truth: int | str | None) -> str:
    if isinstance(figure, str):
        return "fails"
    written = f"{figure / 1e6:,.2f}"
    if not isinstance(truth, int):
        return written
    return f"{written}, {'equal' if figure == truth else f'{100 * (figure / truth - 1):+.1f} %'}"


def _middle(pairs: list[tuple[Any, Any]]) -> str:
    away = [abs(figure / truth - 1) for figure, truth in pairs if isinstance(figure, int)]
    return f"{100 * statistics.median(away):.1f} %" if away else "-"


WHY = """
## Why they differ

- **MemTracker** (`torch.distributed._tools.mem_tracker`, here on fake tensors) follows every storage as thoplw does. It
  is a dispatch mode, and while one looks on, autograd adds the gradients of a tensor that went several ways out of
  place; a real run does so in place.
- **torchinfo** (`mode="train"`: input, forward/backward pass, and parameters) has what layers with parameters return,
  twice, as if nothing was let go of; and no gradients of parameters, no states of the optimizer, and no temporaries.
- **accelerate** (`estimate-memory`, "Training using Adam", float32) has four times the bytes of parameters and buffers,
  for weights, gradients and two states; and no activations, so that the batch does not matter.
- **DeepSpeed** (`estimate_zero2_model_states_mem_needs_all_live`, one GPU, no offload) has 20 bytes a parameter, for
  weights and gradients in half precision beside those and two states in float32; and no activations.
"""

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    sys.stdout.write(page({row: {tool: said(tool, *row) for tool in TOOLS} for row in MODELS}))
