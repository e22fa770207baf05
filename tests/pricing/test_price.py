"""A record is priced where there is no torch, and says the same there."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch
import torchvision
from checks.calls import call, f32
from torch import nn

from thoplw.capture import capture, expand
from thoplw.errors import InputError
from thoplw.pricing import CONVENTIONS, Convention, Families, find, price
from thoplw.record import ModuleInfo, Scope, Trace, Work

MODELS = {
    "resnet18": lambda: (torchvision.models.resnet18(), torch.empty(1, 3, 64, 64, device="meta")),
    "encoder": lambda: (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2, enable_nested_tensor=False),
        torch.empty(2, 5, 16, device="meta"),
    ),
    "lstm": lambda: (nn.LSTM(8, 6, bidirectional=True), torch.empty(5, 2, 8, device="meta")),
}

#: Nothing has a price in it, so that all is taken apart into kernels.
BARE = Convention("bare", {"aten.mm": lambda call: 1, "aten.addmm": lambda call: 1}, unit="MAC")

ELSEWHERE = """
import pickle, sys
sys.modules["torch"] = None  # importing it raises
from thoplw.pricing import CONVENTIONS, Families, price
trace = pickle.load(sys.stdin.buffer)
priced = {name: price(trace, convention) for name, convention in CONVENTIONS.items()}
sides = [priced[name] for name in ("thop", "macs")]
print({name: [(work.macs, work.flops) for work in each.own] for name, each in priced.items()})
print([tuple(term) for term in Families(trace).terms(*sides, by_layer=True)])
"""


def record(name: str) -> Trace:
    with torch.device("meta"):
        model, x = MODELS[name]()
    return capture(model.eval(), (x,), {})


@pytest.mark.parametrize("name", MODELS)
def test_a_record_is_priced_in_a_process_without_torch(name: str) -> None:
    trace = record(name)
    content = pickle.dumps(trace.completed(expand))
    done = subprocess.run([sys.executable, "-W", "error", "-c", ELSEWHERE], input=content, capture_output=True)
    assert not done.stderr, done.stderr.decode()
    prices, terms = done.stdout.decode().splitlines()
    priced = {name: price(trace, convention, expand=expand) for name, convention in CONVENTIONS.items()}
    sides = [priced[name] for name in ("thop", "macs")]
    assert priced["macs"].own != priced["thop"].own
    assert prices == repr({name: [(work.macs, work.flops) for work in each.own] for name, each in priced.items()})
    assert terms == repr([tuple(term) for term in Families(trace, expand).terms(*sides, by_layer=True)])


@pytest.mark.parametrize("name", MODELS)
def test_recorded_parts_are_those_that_are_taken_apart_when_asked_for(name: str) -> None:
    trace = record(name)
    here, there = price(trace, find(BARE), expand=expand), price(trace.completed(expand), find(BARE))
    assert [(leaf.call.name, leaf.work, *where) for leaf, *where, _ in here.entries] == [
        (leaf.call.name, leaf.work, *where) for leaf, *where, _ in there.entries
    ]
    assert here.own == there.own != ()


@pytest.mark.parametrize("module", ["pricing", "pricing.custom", "report.layer_info", "shapes", "formulas", "render"])
def test_what_reads_records_imports_no_torch(module: str) -> None:
    code = f"import sys; sys.modules['torch'] = None; import thoplw.{module}"
    subprocess.run([sys.executable, "-c", code], check=True)


LINEAR = call("linear", f32(2, 3), f32(3, 3), out=f32(2, 3))
TRACE = Trace(
    modules=(ModuleInfo("", ("mine:Model",), "Model", -1),), scopes=(Scope(0, -1),), steps=((LINEAR, 0), (LINEAR, 0))
)


def test_an_incomplete_record_is_refused_not_counted_short() -> None:
    with pytest.raises(InputError, match=r"price trace\.completed\(thoplw\.capture\.expand\)"):
        price(TRACE, find("macs"))
    with pytest.raises(InputError, match="lacks the parts"):
        Families(TRACE)


def test_what_has_a_price_is_not_taken_apart() -> None:
    def refuse(call: object) -> None:
        raise AssertionError(call)

    priced = price(TRACE, find("macs"), expand=refuse)
    assert [(leaf.work, scope, times) for leaf, scope, times, _ in priced.entries] == [
        (Work(macs=18, flops=36), 0, 2),
    ]


def test_what_a_tool_does_not_see_is_noted() -> None:
    free = {"aten.linear": None, "aten.relu": None}
    relu = call("relu", f32(2, 3), out=f32(2, 3))
    trace = Trace(modules=TRACE.modules, scopes=TRACE.scopes, steps=((LINEAR, 0), (relu, 0)), complete=True)
    assert price(trace, find(Convention("tool", free, mirrors="tool 1.0"))).unseen == {LINEAR}
    assert price(trace, find(Convention("mine", free))).unseen == frozenset()
