"""Arguments and options that several commands take. Typing errors are refused before torch is imported."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

import typer

from thoplw.api.files import check_ending
from thoplw.cli.completion import model_names
from thoplw.cli.inputs import parse
from thoplw.cli.terminal import by_option, usage
from thoplw.errors import UnknownNameError
from thoplw.report.views import column_names, sort_names

T = TypeVar("T")

#: How a model is named, for the help of every command that takes one.
NAMES = "resnet18 (torchvision), timm:vit_base_patch16_224, hf:llama, mypackage.models:build or net.py:Net"

#: Groups of options in the help.
MODEL, TABLE, COUNTING = "Model", "Table", "Counting"

#: Output formats of the tables of compare and diff.
BESIDE = ("text", "md", "csv", "latex", "json")

#: All output formats, for the help. Spelled out here, as importing them would make the help slow.
KINDS = (
    "Tables: text, csv, md, latex. Pages and pictures: tree, html. Data: json, speedscope, collapsed (stacks). By "
    "default as FILE ends, or else text."
)


def conventions() -> list[str]:
    """Names of all conventions."""
    from thoplw.pricing import CONVENTIONS, OF_TRAINING

    return [*CONVENTIONS, *OF_TRAINING]


def devices() -> list[str]:
    """Names of all devices."""
    from thoplw.estimate.devices import devices as known_devices

    return [device.name for device in known_devices()]


def _kinds() -> list[str]:
    from thoplw.render import FORMATS

    return list(FORMATS)


def _formats() -> list[str]:
    from thoplw.report.figures import FORMATTERS

    return list(FORMATTERS)


def parsed(reader: Callable[[str], T], text: str) -> T:
    """What a function of the library reads in a text.

    Raises:
        BadParameter: it refuses the text.
    """
    with usage():
        return reader(text)


def amount(text: str) -> int:
    """``2G`` as a number.

    Raises:
        BadParameter: it is none.
    """
    from thoplw.api.budget import amount

    return parsed(amount, text)


def size(text: str) -> int:
    """``24GB`` or ``24GiB`` as a number of bytes.

    Raises:
        BadParameter: it is none.
    """
    from thoplw.api.budget import size

    return parsed(size, text)


def asks_for_memory(columns: str | None, sort: str | None) -> bool:
    """Whether a column, or the one to sort by, is a figure of memory."""
    from thoplw.report.figures import need_memory

    return need_memory((sort or "", *(columns or "").split(",")))


def words(what: str, names: Callable[[], Iterable[str]], *, several: bool = False) -> dict[str, Any]:
    """The check and the completion of an option that takes only words from a list.

    Args:
        what: what the words name, for the message: ``column``.
        names: gives all words.
        several: whether a value is several words, separated by commas. Of an option of two values each is a word.
    """

    def check(parameter: typer.CallbackParam, value: Any) -> Any:
        if value is not None and value != parameter.default:
            known = list(names())
            for name in value if isinstance(value, tuple) else value.split(",") if several else (value,):
                if name not in known:
                    raise typer.BadParameter(by_option(str(UnknownNameError(what, name, known))))
        return value

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        return [f"{before}{comma}{name}" for name in names() if name.startswith(last)]

    return {"callback": check, "autocompletion": complete}


def writable(*endings: str) -> Callable[[Path | None], Path | None]:
    """The check of an option that names a file to write: before the work begins, not after.

    Args:
        endings: those that its name may have; any, if there are none.
    """

    def check(path: Path | None) -> Path | None:
        if path is None:
            return path
        if endings:
            with usage():
                check_ending(path, endings)
        try:
            is_folder, has_folder = path.is_dir(), path.parent.is_dir()
        except OSError as error:  # its name is too long, say
            raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from error
        if is_folder:
            raise typer.BadParameter(f"{path} is a folder: add the name of a file, as in {path / 'table.txt'}")
        if not has_folder:
            raise typer.BadParameter(f"cannot write {path}: there is no folder {path.parent}")
        return path

    return check


def positive(value: float | None) -> float | None:
    """Refuse what is no number above 0.

    Raises:
        BadParameter: it is none.
    """
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value} is no number above 0")
    return value


def place(value: str | None) -> str | None:
    """Refuse what names no kind of device that has a clock; whether this machine has it is seen later.

    Raises:
        BadParameter: it does not.
    """
    if value is not None and not re.fullmatch(r"cpu|cuda(:\d+)?", value):
        raise typer.BadParameter(f"runs are timed on cpu, cuda or cuda:1, and not on {value!r}")
    return value


def kind_option(names: Callable[[], Iterable[str]], text: str) -> Any:
    """The option ``--kind`` of a command that has these formats, with its help."""
    flags = "--kind", "--format"
    return typer.Option(*flags, metavar="KIND", rich_help_panel=TABLE, help=text, **words("kind", names))


#: Ending of a file -> the format that it stands for.
_ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        "": "text",
        ".csv": "csv",
        ".folded": "collapsed",
        ".html": "html",
        ".json": "json",
        ".log": "text",
        ".md": "md",
        ".py": "python",
        ".speedscope.json": "speedscope",
        ".tex": "latex",
        ".txt": "text",
    }
)


def kind_for(kind: str | None, output: Path | None, kinds: Collection[str]) -> str:
    """The format that was asked for, or else that of the ending of the file, or text.

    Args:
        kind: asked for with ``--kind``.
        output: the file to write.
        kinds: the formats that the command has.

    Raises:
        BadParameter: the ending stands for no format of the command.
    """
    if kind is not None or output is None:
        return kind or "text"
    ending = "".join(output.suffixes[-2:]) if output.name.endswith(".speedscope.json") else output.suffix
    found = _ENDINGS.get(ending.lower())
    if found not in kinds:
        endings = ", ".join(each for each, name in _ENDINGS.items() if each and name in kinds)
        raise typer.BadParameter(
            f"-o {output}: {ending} stands for no format. The name may end in {endings}; or say the format with --kind"
        )
    assert found is not None  # or it had not been among them
    return found


Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help=f"{NAMES}.", autocompletion=model_names),
]
Inputs = Annotated[
    # typer has no way to say that a parser makes something else than the annotated type.
    list[Any] | None,
    typer.Option(
        "--input",
        metavar="SHAPE",
        parser=parse,
        rich_help_panel=MODEL,
        help="Shape of one input; repeat for several: 1,3,224,224 by position, or mask=1,128:int64 by name. float32 by "
        "default; integers are 0, booleans true. Not needed for models of torchvision, timm and hf:, which have some "
        "by default.",
    ),
]
Seq = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", rich_help_panel=MODEL, help="Number of text tokens for hf: models, 128 by default."
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        rich_help_panel=MODEL,
        help="Number of samples for models with default inputs, 1 by default.",
    ),
]
Execute = Annotated[
    bool,
    typer.Option(
        "--execute",
        metavar="",
        rich_help_panel=MODEL,
        help="Really compute, with random weights, for a model whose control flow depends on values.",
    ),
]
_CONVENTIONS = (
    "thoplw, macs, macs-causal, flops; or as another tool does: deepspeed, fvcore, ptflops, thop, torch, torchinfo; or "
    "a training step of a language model by a formula: 6n, palm, nanogpt, torchtitan, megatron."
)
ConventionName = Annotated[
    str,
    typer.Option(
        "--convention",
        metavar="NAME",
        rich_help_panel=COUNTING,
        help=f"How to count: {_CONVENTIONS}",
        **words("convention", conventions),
    ),
]
ConventionOfFile = Annotated[
    str | None,
    typer.Option(
        "--convention",
        metavar="NAME",
        rich_help_panel=COUNTING,
        help="How to count, as for profile. By default as in the saved profile, or else thoplw.",
        **words("convention", conventions),
    ),
]
Kind = Annotated[
    str | None,
    kind_option(_kinds, KINDS),
]
KindBeside = Annotated[
    str | None,
    kind_option(lambda: BESIDE, f"{', '.join(BESIDE)}. By default as FILE ends, or else text."),
]
Fmt = Annotated[
    str | None,
    typer.Option(
        metavar="FMT",
        rich_help_panel=TABLE,
        help="How to write numbers: raw, grouped (1,824,010,216), clever (1.82 G) or ratio (to the total). By default "
        "grouped or clever on a terminal, and raw elsewhere.",
        **words("fmt", _formats),
    ),
]
FmtBeside = Annotated[
    str | None,
    typer.Option(
        metavar="FMT",
        rich_help_panel=TABLE,
        help="How to write numbers: raw or clever (1.82 G). By default clever on a terminal, and raw elsewhere.",
        **words("fmt", lambda: ("raw", "clever")),
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,C",
        rich_help_panel=TABLE,
        help=f"Columns to show, in this order: {', '.join(column_names())}.",
        **words("column", column_names, several=True),
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        rich_help_panel=TABLE,
        help=f"Sort rows by this column, numbers from the largest down: {', '.join(sort_names())}.",
        **words("sort", sort_names),
    ),
]
Depth = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        rich_help_panel=TABLE,
        help="Show modules down to this depth; deeper ones count towards the module that holds them.",
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="NAME",
        rich_help_panel=TABLE,
        help="Say how long it takes on this device at least, and what bounds it; thoplw devices lists them.",
        **words("device", devices),
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="TYPE",
        rich_help_panel=TABLE,
        help="Compare with the peak of the device in this type: bfloat16, float16, tf32. By default in that of the "
        "model.",
    ),
]


def check_device(on: str | None, dtype: str | None, columns: str | None = None, sort: str | None = None) -> None:
    """Refuse a type, or columns, that are of a device where none is named, and a type in which it has no peak.

    Raises:
        BadParameter: there is one.
    """
    from thoplw.estimate.devices import device
    from thoplw.estimate.roofline import Roof
    from thoplw.report.views import needs_device

    if on is not None:
        with usage("--dtype"):
            Roof(device(on), dtype)
        return
    if dtype is not None:
        raise typer.BadParameter("--dtype says which peak of a device to take: name the device with --on")
    for option, names in (("--columns", (columns or "").split(",")), ("--sort", (sort,))):
        for name in filter(needs_device, names):
            raise typer.BadParameter(f"{name} needs a device: name it with --on", param_hint=repr(option))


Strict = Annotated[
    bool,
    typer.Option("--strict", metavar="", rich_help_panel=COUNTING, help="Fail when an operator could not be counted."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        *("--output", "-o"),
        metavar="FILE",
        rich_help_panel=TABLE,
        callback=writable(),
        help="Write to this file, not to the terminal.",
    ),
]
