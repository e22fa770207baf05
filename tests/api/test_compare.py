from __future__ import annotations

import json
import re

import pytest
import torch
import torchvision
from checks.releases import since
from torch import nn

import thoplw
from thoplw.api.compare import Comparison, compare


@pytest.fixture(scope="module")
def resnet18() -> Comparison:
    return compare(torchvision.models.resnet18(), (1, 3, 224, 224))


def test_totals_are_those_of_profile(resnet18: Comparison) -> None:
    model = torchvision.models.resnet18()
    for name in resnet18:
        macs, params, _ = thoplw.profile(model, (1, 3, 224, 224), convention=name, verbose=False)
        assert (resnet18[name].total_macs, resnet18[name].total_params) == (macs, params)


def test_the_figures_that_papers_quote(resnet18: Comparison) -> None:
    assert resnet18["macs"].total_macs == 1814073344
    assert resnet18["torch"].total_macs == 2 * 1814073344
    assert resnet18["thoplw"].total_macs == 1824010216


def test_terms_in_words(resnet18: Comparison) -> None:
    terms = {term.kind: term.difference for term in resnet18.terms("thoplw", "macs")}
    assert terms == {
        "batch norm": 9934848,  # 4 for each element
        "average pooling": 1024,  # 2 for each of 512
        "linear layers": 1000,  # the bias
    }


def test_a_unit_is_a_term_of_its_own(resnet18: Comparison) -> None:
    (term,) = resnet18.terms("torch", "macs")
    assert (term.kind, term.difference) == ("a multiply-accumulate counted as two operations", 1814073344)


@pytest.mark.parametrize("by_layer", [False, True])
def test_terms_add_up_for_every_pair(resnet18: Comparison, by_layer: bool) -> None:
    for left in resnet18:
        for right in resnet18:
            terms = resnet18.terms(left, right, by_layer=by_layer)
            difference = resnet18[left].total_macs - resnet18[right].total_macs
            assert sum(term.difference for term in terms) == difference, (left, right)


def test_the_largest_comes_first(resnet18: Comparison) -> None:
    sizes = [abs(term.difference) for term in resnet18.terms("flops", "macs", by_layer=True)]
    assert sizes == sorted(sizes, reverse=True)
    assert 0 not in sizes


def test_the_model_runs_once() -> None:
    runs: list[torch.Size] = []

    class Once(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            runs.append(x.shape)
            return super().forward(x)

    compare(Once(3, 4), (2, 3)).summary()
    assert runs == [(2, 3)]


def test_summary(resnet18: Comparison) -> None:
    lines = resnet18.summary().splitlines()
    assert lines[0].split("|")[1].strip() == "Convention"
    assert any(line.startswith("thoplw - macs = 9.94 M: batch norm 9.93 M, average pooling") for line in lines)
    assert json.loads(resnet18.summary("json"))["base"] == "macs"
    for kind in ("csv", "md", "latex"):
        assert "fvcore" in resnet18.summary(kind, "clever")


def test_explain_has_the_totals_at_the_foot(resnet18: Comparison) -> None:
    *_, footer = resnet18.explain("thoplw", "macs", "csv").splitlines()
    assert footer == "Total,1824010216,1814073344,9936872"
    rows = [line.split(",") for line in resnet18.explain("thop", "torch", "csv", by_layer=True).splitlines()[1:]]
    assert sum(int(row[-1]) for row in rows[:-1]) == int(rows[-1][-1])
    assert sum(int(row[-3]) for row in rows[:-1]) == int(rows[-1][-3])


def test_a_convention_of_ones_own() -> None:
    mine = thoplw.Convention("mine", {nn.Linear: lambda call: 7, "aten.relu": lambda call: 1}, based_on="macs")
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Conv1d(2, 2, 3))
    found = compare(model, (1, 2, 3), ["macs", mine])
    conv = 2 * 2 * 3 * 2
    assert (found["macs"].total_macs, found["mine"].total_macs) == (2 * 3 * 4 + conv, 7 + 1 + conv)
    assert {term.kind: term.difference for term in found.terms("mine", "macs")} == {
        "linear layers": 7 - 24,
        "activations": 1,
    }


def test_a_derived_class_goes_by_the_row_of_its_base() -> None:
    class Special(nn.Linear):
        pass

    derived = thoplw.Convention("derived", {nn.Linear: lambda call: 7})
    exact = thoplw.Convention("exact", {nn.Linear: lambda call: 7, "aten.linear": None}, subclasses=False)
    assert thoplw.profile(Special(3, 4), (1, 3), convention=derived)[0] == 7
    assert thoplw.profile(Special(3, 4), (1, 3), convention=exact)[0] == 0


def test_a_module_row_may_decline() -> None:
    leaf = thoplw.Convention("leaf", {nn.Module: lambda call: 5 if call.leaf else None})
    assert thoplw.profile(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (1, 3), convention=leaf)[0] == 10


def test_wrong_arguments(resnet18: Comparison) -> None:
    model = nn.Linear(3, 4)
    with pytest.raises(thoplw.UnknownNameError, match="Did you mean 'fvcore'"):
        compare(model, (1, 3), ["fvcor"])
    with pytest.raises(thoplw.InputError, match="give a list"):
        compare(model, (1, 3), "fvcore")
    with pytest.raises(thoplw.InputError, match="name at least one"):
        compare(model, (1, 3), [])
    with pytest.raises(thoplw.UnknownNameError, match="of this comparison"):
        resnet18.terms("macs", "mac")
    with pytest.raises(thoplw.UnknownNameError, match="kind"):
        resnet18.summary("speedscope")
    with pytest.raises(thoplw.UnknownNameError, match="fmt"):
        resnet18.summary(fmt="ratio")
    with pytest.raises(thoplw.CustomOpError, match="returned 'many'"):
        compare(model, (1, 3), [thoplw.Convention("odd", {"aten.linear": lambda call: "many"})])
    with pytest.raises(thoplw.InputError, match="has a price for 3"):
        thoplw.Convention("odd", {3: None})
    with pytest.raises(thoplw.UnknownNameError, match="macs"):
        compare(model, (1, 3), [thoplw.Convention("odd", {}, based_on="mcas")])


@since("2.4")
def test_a_training_step_is_compared_by_what_can_price_it() -> None:
    model, x = torch.nn.Conv2d(3, 4, 3, bias=False), (1, 3, 8, 8)
    step = compare(model, x, training=True)
    assert set(step) == {each.name for each in thoplw.conventions()} - {"deepspeed", "fvcore", "ptflops", "thop"}
    assert step["macs"].total_macs == 2 * 4 * 36 * 3 * 9  # forward, and the gradient of the weight
    with pytest.raises(thoplw.InputError, match=r"^convention 'thop' prices .*: take macs, flops or torch$"):
        compare(model, x, ["macs", "thop"], training=True)


def test_conventions_are_listed() -> None:
    listed = {each.name: each for each in thoplw.conventions()}
    mirrors = {"torch", "fvcore", "thop", "ptflops", "torchinfo", "deepspeed"}
    assert set(listed) == {"thoplw", "macs", "macs-causal", "flops", *mirrors}
    assert {name for name, each in listed.items() if each.mirrors} == mirrors
    assert all(each.unit in ("MAC", "FLOP") for each in listed.values())
    assert listed["fvcore"].mirrors.startswith("fvcore 0.1.5")


def test_a_notebook_shows_a_table_with_figures_to_the_right() -> None:
    text = thoplw.compare(torch.nn.Linear(30, 40), (1, 30), ["macs", "thop"])._repr_html_()
    assert text.startswith('<div class="thoplw">')
    assert re.search(r'<td>macs *</td><td style="text-align: right;"> *1.20 K</td>', text)
