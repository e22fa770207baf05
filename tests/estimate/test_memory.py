"""What is read from the lifetimes of storages, by hand on a record of five steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thoplw.errors import InputError, UnknownNameError
from thoplw.estimate.memory import Memory, ModuleMemory
from thoplw.record import Call, Kind, Lifetimes, ModuleInfo, Phase, Scope, Storage, TensorSpec, Trace, Weight

WEIGHT, KEPT, SUM, SLOPE, GRADIENT = range(5)


def record() -> Trace:
    """``relu`` of a layer is kept, and gone before the second step of the backward pass; the model adds up."""
    calls = [Call(target=f"aten.{name}") for name in ("relu", "sum", "relu_backward", "mm", "add_")]
    return Trace(
        modules=(
            ModuleInfo(path="", classes=(), class_name="Net", parent=-1),
            ModuleInfo(path="layer", classes=(), class_name="ReLU", parent=0),
            ModuleInfo(path="idle", classes=(), class_name="ReLU", parent=0),
        ),
        scopes=(Scope(0, -1), Scope(1, 0)),
        steps=tuple(zip(calls, (1, 0, 1, 1, 1), strict=True)),
        phases=bytes([Phase.FORWARD, Phase.FORWARD, Phase.BACKWARD, Phase.BACKWARD, Phase.UPDATE]),
        lifetimes=Lifetimes(
            storages=(
                Storage(100, Kind.WEIGHTS, -1),
                Storage(40, Kind.ACTIVATIONS, 0, 3),
                Storage(4, Kind.OUTPUTS, 1),
                Storage(50, Kind.TEMPORARIES, 2, 4),
                Storage(60, Kind.GRADIENTS, 3),
            ),
            events=(WEIGHT, KEPT, SUM, SLOPE, ~KEPT, GRADIENT, ~SLOPE),
            iterations=((0, 1),),
        ),
    )


def test_the_timeline_has_what_is_there_while_each_operator_runs() -> None:
    memory = Memory(record())
    assert [moment.bytes for moment in memory.timeline] == [140, 144, 194, 214, 164]
    assert [moment.phase for moment in memory.timeline] == ["forward", "forward", "backward", "backward", "update"]


def test_the_peak_and_what_it_consists_of() -> None:
    memory = Memory(record())
    assert (memory.peak, memory.peaks) == (214, (214,))
    assert (memory.peak_at.operator, memory.peak_at.module, memory.peak_at.phase) == ("aten.mm", "layer", "backward")
    assert memory.by_kind == {"weights": 100, "gradients": 60, "temporaries": 50, "outputs": 4}
    assert sum(memory.by_kind.values()) == memory.peak
    assert memory.by_module == {"layer": 110, "": 4}


def test_each_iteration_has_a_peak() -> None:
    whole = record()
    storages, events = whole.lifetimes.storages, whole.lifetimes.events  # type: ignore[union-attr] # it is there
    twice = Lifetimes(storages=storages, events=events, iterations=((0, 1), (2, 3)))
    memory = Memory(Trace(modules=whole.modules, scopes=whole.scopes, steps=whole.steps, lifetimes=twice))
    assert memory.peaks == (144, 214)
    assert [moment.iteration for moment in memory.timeline] == [0, 0, 1, 1, 1]


def test_what_a_module_takes() -> None:
    memory = Memory(record())
    assert memory.module("layer") == ModuleMemory(peak=214, saved=40, temporaries=50)
    assert memory.module("").saved == 0
    assert memory.module("idle") == ModuleMemory(0, 0, 0)
    with pytest.raises(UnknownNameError, match="Did you mean 'layer'"):
        memory.module("layr")


def test_the_summary_says_where_the_peak_is() -> None:
    text = Memory(record()).summary(fmt="raw")
    lines = text.splitlines()
    assert text.startswith("The peak is 214 B, in layer (backward, aten.mm).")
    assert ["gradients", "60", "28.04 %"] in [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert "(model)" in text
    with pytest.raises(UnknownNameError, match="kind"):
        Memory(record()).summary("csv")


def test_a_name_in_the_sentence_is_shown_and_not_obeyed() -> None:
    known = record()
    path = "<b>|`\x1b[2J\n"
    memory = Memory(replace(known, modules=(known.modules[0], known.modules[1]._replace(path=path))))
    assert "in <b>|`\\x1b[2J\\n (backward, aten.mm)." in memory.summary()
    assert "in &lt;b>\\|\\`\\\\x1b\\[2J\\\\n (backward, aten.mm)." in memory.summary("md")


def test_the_document_has_all_but_the_timeline() -> None:
    document = Memory(record()).to_dict()
    assert document["peak"] == 214
    assert document["at"]["operator"] == "aten.mm"
    assert document["cuda"] == {"allocated": 512 * 4, "reserved": 2 << 20}


def test_sizes_by_torchinfo_are_of_a_forward_alone() -> None:
    layer = TensorSpec(shape=(2, 3), dtype="float32", strides=(3, 1))
    weight = Weight("weight", 0, TensorSpec(shape=(3,), dtype="float16", strides=(1,)))
    whole = record()
    relu = whole.modules[1]._replace(parameters=(weight,))
    modules = (whole.modules[0], relu, whole.modules[2])
    scopes = (Scope(0, -1, inputs=(layer,)), Scope(1, 0, outputs=(layer,)))
    memory = Memory(replace(whole, modules=modules, scopes=scopes, phases=b""))
    assert memory.torchinfo == (24, 2 * 24, 6)
    with pytest.raises(InputError, match="this run has a backward pass"):
        _ = Memory(whole).torchinfo
