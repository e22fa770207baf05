"""What other counters say of the same models: ``benchmarks/accuracy.md``.

It needs an environment that has them (``pip install deepspeed torchprofile fvcore thop ptflops torchinfo calflops``)::

    python -m benchmarks.accuracy run
    python -m benchmarks.accuracy table > benchmarks/accuracy.md

Every counter gets every model in a process of its own: some leave torch altered behind them.
"""

from __future__ import annotations

import inspect
import json
import multiprocessing
import warnings
from collections.abc import Callable, Iterable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from tests.test_zoo import MACS
from tools.zoo import real

import thoplw

Model = torch.nn.Module
Inputs = tuple[Any, ...] | dict[str, Any]

#: The models, a family each; all are in the spread that the oracle confirmed.
MODELS = """
    alexnet convnext_tiny deeplabv3_mobilenet_v3_large densenet121 efficientnet_b0 googlenet inception_v3
    lraspp_mobilenet_v3_large maxvit_t mnasnet0_5 mobilenet_v3_small mvit_v2_s r3d_18 raft_small regnet_y_400mf resnet18
    resnet50 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_1 ssdlite320_mobilenet_v3_large swin3d_t swin_t swin_v2_t
    vit_b_16

    timm:botnet26t_256 timm:caformer_s18 timm:cait_xxs24_224 timm:coat_lite_tiny timm:crossvit_tiny_240 timm:davit_tiny
    timm:edgenext_xx_small timm:efficientvit_b0 timm:eva02_tiny_patch14_224 timm:fastvit_t8 timm:focalnet_tiny_srf
    timm:ghostnet_100 timm:gmlp_ti16_224 timm:halonet_h1 timm:lambda_resnet26t timm:levit_128 timm:mambaout_femto
    timm:mixer_b16_224 timm:mobilenetv4_conv_small timm:mobilevit_xxs timm:mvitv2_tiny timm:nfnet_l0 timm:poolformer_s12
    timm:sequencer2d_s timm:xcit_nano_12_p16_224

    hf:bert hf:clip hf:funnel hf:gpt2 hf:roformer hf:segformer hf:swin2sr hf:t5 hf:wav2vec2 hf:whisper
""".split()


# -- counters ----------------------------------------------------------------------------------------------------------


def ours(model: Model, inputs: Inputs) -> float:
    return thoplw.profile(model, inputs, verbose=False, convention="macs")[0]


def torch_counter(model: Model, inputs: Inputs) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    args, kwargs = split(inputs)
    with FlopCounterMode(display=False) as counter:
        model(*args, **kwargs)
    return counter.get_total_flops() / 2


def deepspeed(model: Model, inputs: Inputs) -> float:
    from deepspeed.profiling.flops_profiler import get_model_profile

    args, kwargs = split(inputs)
    return get_model_profile(model, args=args, kwargs=kwargs, print_profile=False, as_string=False, warm_up=0)[1]


def torchprofile(model: Model, inputs: Inputs) -> float:
    from torchprofile import profile_macs

    args, kwargs = split(inputs)
    return profile_macs(model, tuple(args), kwargs or None)


def fvcore(model: Model, inputs: Inputs) -> float:
    from fvcore.nn import FlopCountAnalysis

    # It calls a multiply-accumulate one flop.
    return FlopCountAnalysis(model, positional(model, inputs)).unsupported_ops_warnings(False).total()


def thop(model: Model, inputs: Inputs) -> float:
    import thop

    return thop.profile(model, inputs=positional(model, inputs), verbose=False)[0]


def ptflops(model: Model, inputs: Inputs) -> float:
    from ptflops import get_model_complexity_info

    named = inputs if isinstance(inputs, dict) else inspect.signature(model.forward).bind(*inputs).arguments
    macs, _ = get_model_complexity_info(
        model, (1,), input_constructor=lambda _: dict(named), as_strings=False, print_per_layer_stat=False
    )
    return macs


def torchinfo(model: Model, inputs: Inputs) -> float:
    from torchinfo import summary

    data = inputs if isinstance(inputs, dict) else list(inputs)
    return summary(model, input_data=data, verbose=0, mode="eval").total_mult_adds


def calflops(model: Model, inputs: Inputs) -> float:
    from calflops import calculate_flops

    args, kwargs = split(inputs)
    return calculate_flops(model, args=args, kwargs=kwargs, print_results=False, output_as_string=False)[1]


def split(inputs: Inputs) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword inputs."""
    return ([], inputs) if isinstance(inputs, dict) else (list(inputs), {})


def positional(model: Model, inputs: Inputs) -> tuple[Any, ...]:
    """Inputs for a counter that takes no names: up to the last that is given, with the defaults between."""
    if not isinstance(inputs, dict):
        return inputs
    parameters = inspect.signature(model.forward).parameters
    last = max(list(parameters).index(name) for name in inputs)
    return tuple(inputs.get(name, parameters[name].default) for name in list(parameters)[: last + 1])


#: Column -> function, and the package whose version counts.
COUNTERS: dict[str, tuple[Callable[[Model, Inputs], float], str]] = {
    "thoplw": (ours, "thoplw"),
    "FlopCounterMode": (torch_counter, "torch"),
    "DeepSpeed": (deepspeed, "deepspeed"),
    "torchprofile": (torchprofile, "torchprofile"),
    "fvcore": (fvcore, "fvcore"),
    "thop": (thop, "thop"),
    "ptflops": (ptflops, "ptflops"),
    "torchinfo": (torchinfo, "torchinfo"),
    "calflops": (calflops, "calflops"),
}


# -- running them --------------------------------------------------------------------------------------------------------


def ask(counter: str, model: Model, inputs: Inputs, timeout: float) -> dict[str, Any]:
    """What a counter says, from a copy of this process."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=_answer, args=(there, counter, model, inputs), daemon=True)
    process.start()
    there.close()
    try:
        answer: dict[str, Any] = here.recv() if here.poll(timeout) else {"error": f"took longer than {timeout:.0f} s"}
    except EOFError:
        answer = {"error": "its process ended"}
    process.kill()
    process.join()
    return answer


def _answer(there: Any, counter: str, model: Model, inputs: Inputs) -> None:
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            macs = COUNTERS[counter][0](model, inputs)
        if macs is None:
            raise ValueError("it gave no number")
        there.send({"macs": int(macs)})
    except (Exception, SystemExit) as error:
        there.send({"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"})


Answers = dict[str, dict[str, dict[str, Any]]]


def read(path: Path) -> Answers:
    """Model -> counter -> what it said."""
    answers: Answers = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            found = json.loads(line)
            answers.setdefault(found.pop("model"), {})[found.pop("counter")] = found
    return answers


# -- the table -----------------------------------------------------------------------------------------------------------

HEAD = """\
# Beside other counters

What each counter says of the same {total} models, in GMACs (10⁹ multiply-accumulates; counters of floating-point
operations are halved). In **bold**: more than 1 % off thoplw, with the ratio. All get the same model with random
weights, in evaluation mode, and the same inputs, on the CPU. Every figure of thoplw equals, to the unit, what
`tests/oracle.py` found in real execution. {when}; {versions}. Written by `benchmarks/accuracy.py`.

Counters do not all mean the same by a MAC: some include elementwise operations, norms or biases, by design.
"""


def page(answers: Answers) -> str:
    """The table, with a head and a summary."""
    models = [name for name in MODELS if name in answers]
    others = [name for name in COUNTERS if name != "thoplw"]
    installed = [f"{name} {_version(package)}" for name, (_, package) in COUNTERS.items()]
    versions = ", ".join([*installed, *(f"{name} {version(name)}" for name in ("torchvision", "timm", "transformers"))])
    head = HEAD.format(total=len(models), when=date.today().isoformat(), versions=versions)
    verdicts = {each: [_verdict(answers[name], each) for name in models] for each in others}
    summary = [
        (each, *(str(verdicts[each].count(kind)) for kind in ("equal", "near", "off", "none"))) for each in others
    ]
    cells = [
        (name, f"{answers[name]['thoplw']['macs'] / 1e9:.3f}", *(_cell(answers[name], each) for each in others))
        for name in models
    ]
    failures = [
        (each, name, _plain(answers[name][each]["error"]))
        for each in others
        for name in models
        if "error" in answers[name].get(each, {})
    ]
    parts = [head, _markdown(("Counter", "To the unit", "Within 1 %", "Further off", "No figure"), summary)]
    parts += ["", _markdown(("Model", "thoplw", *others), cells)]
    if failures:
        parts += ["\n## Without a figure\n", _markdown(("Counter", "Model", "Error"), failures, left=3)]
    return "\n".join(parts)


def _version(package: str) -> str:
    try:
        return thoplw.__version__ if package == "thoplw" else version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _verdict(answers: dict[str, dict[str, Any]], counter: str) -> str:
    macs, right = answers.get(counter, {}).get("macs"), answers["thoplw"]["macs"]
    if macs is None:
        return "none"
    return "equal" if macs == right else "near" if abs(macs / right - 1) <= 0.01 else "off"


def _cell(answers: dict[str, dict[str, Any]], counter: str) -> str:
    verdict = _verdict(answers, counter)
    if verdict == "none":
        return "fails" if counter in answers else ""
    macs = answers[counter]["macs"]
    figure = f"{macs / 1e9:.3f}"
    return f"**{figure}** ({macs / answers['thoplw']['macs']:.2f})" if verdict == "off" else figure


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")[:120]


def _markdown(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], left: int = 1) -> str:
    lines = [columns, ("---",) * left + ("--:",) * (len(columns) - left), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# -- command line --------------------------------------------------------------------------------------------------------

app = typer.Typer(no_args_is_help=True, add_completion=False)

Lines = Annotated[Path, typer.Option(help="File of JSON lines; what is there is not run again.")]
DEFAULT_LINES = Path("accuracy.jsonl")


@app.command()
def run(
    lines: Lines = DEFAULT_LINES,
    timeout: Annotated[float, typer.Option(help="Seconds for a counter on a model.")] = 120,
) -> None:
    """Ask every counter about every model, the cheapest first."""
    torch.set_num_threads(1)  # A forked torch hangs when it had threads.
    known = read(lines)
    with lines.open("a", encoding="utf-8") as file:
        for name in sorted(MODELS, key=lambda name: MACS[name]):
            todo = [counter for counter in COUNTERS if counter not in known.get(name, {})]
            if not todo:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model, inputs = real(name)
            for counter in todo:
                found = {"model": name, "counter": counter, **ask(counter, model, inputs, timeout)}
                file.write(json.dumps(found) + "\n")
                file.flush()
                typer.echo(f"{name} {counter}: {found.get('macs', found.get('error'))}")


@app.command()
def table(lines: Lines = DEFAULT_LINES) -> None:
    """Write the table, as Markdown."""
    typer.echo(page(read(lines)))


if __name__ == "__main__":
    app()
