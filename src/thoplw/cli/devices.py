"""``thoplw devices``."""

from __future__ import annotations

from typing import Annotated

import typer

from thoplw.cli.options import place
from thoplw.cli.terminal import draw_table, is_terminal, show, told
from thoplw.errors import InputError, UnknownNameError


def devices(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORDS", help="Show only devices that contain all of these words."),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure",
            metavar="DEVICE",
            callback=place,
            help="Measure this machine instead, for some seconds: cpu, cuda or cuda:1.",
        ),
    ] = None,
) -> None:
    """List the devices whose peaks are known, or one of them with the sources of its figures.

    For example:

    thoplw devices

    thoplw devices nvidia a100

    thoplw devices h100-sxm

    thoplw devices --measure cpu
    """
    if measure is not None and words:
        raise typer.BadParameter(f"--measure shows this machine, and not {' '.join(words)}; leave one of them out")
    with told():
        from thoplw.estimate.devices import Device
        from thoplw.estimate.devices import devices as known
        from thoplw.estimate.devices.listing import described, table

        if measure is not None:
            show(described(Device.measure(measure, verbose=False)))
            return
        wanted = [word.lower() for word in words or ()]
        found = [each for each in known() if wanted == [each.name]] or [
            each for each in known() if all(word in f"{each.name} {each.title}".lower() for word in wanted)
        ]
        if not found and len(wanted) == 1:
            raise UnknownNameError("device", wanted[0], [each.name for each in known()])
        if not found:
            raise InputError(f"no device has {' and '.join(map(repr, words or ()))} in its name")
        if len(found) == 1:
            show(described(found[0]))
        elif is_terminal():
            draw_table([table(found)])
        else:
            from thoplw.render import render

            show(render(table(found), "text"))
