"""``thoplw generate``."""

from __future__ import annotations

from typing import Annotated

import typer

from thoplw.cli.options import (
    ConventionName,
    Dtype,
    Fmt,
    Model,
    On,
    Output,
    Strict,
    check_device,
    kind_for,
    kind_option,
    words,
)
from thoplw.cli.terminal import draw_parts, draw_table, is_terminal, say, show, told

#: Output formats.
KINDS = ("text", "md", "csv", "latex", "html", "json")

#: Kinds of cache. Spelled out here, as importing them would make the help slow.
CACHES = ("dynamic", "static", "fp8", "hqq", "quanto")

#: Group of options in the help.
GENERATION = "Generation"


def _types() -> list[str]:
    from thoplw.record.spec import ITEM_SIZES, SHORT_NAMES

    return [*SHORT_NAMES, *(name for name in ITEM_SIZES if "float" in name), "int8"]


def generate(
    model: Model,
    prompt: Annotated[
        int, typer.Option(min=1, metavar="N", rich_help_panel=GENERATION, help="Positions of the prompt.")
    ] = 2048,
    new: Annotated[int, typer.Option(min=1, metavar="N", rich_help_panel=GENERATION, help="Tokens to generate.")] = 256,
    batch: Annotated[int, typer.Option(min=1, metavar="N", rich_help_panel=GENERATION, help="Sequences at once.")] = 1,
    cache: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            rich_help_panel=GENERATION,
            help=f"{', '.join(CACHES)}: as generate of transformers has them.",
            **words("cache", lambda: CACHES),
        ),
    ] = "dynamic",
    kv_dtype: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            rich_help_panel=GENERATION,
            help="The type that an engine keeps keys and values in, such as bf16, fp8 or int8. By default the "
            "model's own.",
            **words("type", _types),
        ),
    ] = None,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory",
            metavar="",
            rich_help_panel=GENERATION,
            help="Also tell the peak of memory, and what it consists of; it takes a second run of each call.",
        ),
    ] = False,
    kind: Annotated[
        str | None,
        kind_option(lambda: KINDS, f"{', '.join(KINDS)}. By default as FILE ends, or else text."),
    ] = None,
    fmt: Fmt = None,
    on: On = None,
    dtype: Dtype = None,
    output: Output = None,
    convention: ConventionName = "macs",
    strict: Strict = False,
) -> None:
    """Show what it costs to generate: the prompt, each token after it, and the bytes of the cache.

    Few of the steps are run; a formula, checked at others, gives the rest. All figures are exact.

    For example:

    thoplw generate hf:llama --prompt 2048 --new 256 --batch 8

    thoplw generate hf:mixtral --kv-dtype fp8 --fmt clever

    thoplw generate hf:gemma3_text --prompt 16384 -o gemma.html

    thoplw generate hf:llama --batch 8 --on h100-sxm

    thoplw generate hf:llama --batch 8 --memory
    """
    kind = kind_for(kind, output, KINDS)
    check_device(on, dtype)
    with told():
        from thoplw.api.generation import profile_generation
        from thoplw.models.registry import load_generating

        report = profile_generation(
            load_generating(model),
            prompt,
            new,
            batch,
            cache=cache,
            kv_dtype=kv_dtype,
            convention=convention,
            memory=memory,
            strict=strict,
            verbose=False,
        )
        report = report if on is None else report.on(on, dtype)
        if kind == "text" and output is None and is_terminal():
            draw_table([report.table(fmt or "clever")])
            if memory:
                show("")
                draw_parts(report.memory.parts())
        else:
            show(report.summary(kind, fmt or "raw"), output)
        if kind in ("csv", "latex"):
            for note in report.notes:
                say(f"thoplw: {note}")
