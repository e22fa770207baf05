"""``thoplw.formula``."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
import torchvision
from checks.releases import working_transformers
from torch import nn

import thoplw


def tokens(B: int, S: int) -> dict[str, torch.Tensor]:
    return {"input_ids": torch.zeros(B, S, dtype=torch.long)}


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build().eval()


def llama_3_8b() -> Any:
    transformers = working_transformers()
    config = transformers.LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, max_position_embeddings=8192,
    )  # fmt: skip
    return on_meta(lambda: transformers.LlamaForCausalLM(config))


class Mixer(nn.Module):
    """A layer, and a product of all tokens with each other."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"up": nn.Linear(8, 24, bias=False), "down": nn.Linear(24, 8, bias=False)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner["down"](self.inner["up"](x)) + x @ x.mT @ x


def mixer(**options: Any) -> thoplw.Formula:
    ranges: dict[str, Any] = {"B": (1, 16), "S": (1, 64)}
    return thoplw.formula(Mixer(), lambda B, S: (B, S, 8), **{"convention": "macs", **ranges, **options})


# -- known answers -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_llama_3_8b() -> None:
    f = thoplw.formula(llama_3_8b(), tokens, B=(1, 64), S=(1, 8192), convention="macs")
    assert str(f.macs) == "262144*B*S^2 + 7504658432*B*S"
    assert f(B=8, S=4096) == 262144 * 8 * 4096**2 + 7504658432 * 8 * 4096
    assert str(f["model.layers.0.mlp"].macs) == f"{3 * 4096 * 14336}*B*S"
    assert f.params(B=1, S=1) == 8030261248
    held_out = [each for each in f.evidence if each.held_out]
    assert len(held_out) >= 10
    assert all(each.measured == each.formula for each in f.evidence)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated:FutureWarning")
def test_a_decode_step_of_llama_3_8b() -> None:
    transformers = working_transformers()

    def step(B: int, L: int) -> dict[str, Any]:
        cache = transformers.DynamicCache()
        for layer in range(32):
            cache.update(*(torch.empty(B, 8, L, 128, device="meta") for _ in range(2)), layer)
        return {"input_ids": torch.zeros(B, 1, dtype=torch.long), "past_key_values": cache}

    f = thoplw.formula(llama_3_8b(), step, B=(1, 64), L=(1, 8192), convention="macs")
    assert str(f.macs) == "262144*B*L + 7504920576*B"


@pytest.mark.slow
def test_vit_b_16() -> None:
    f = thoplw.formula(
        lambda R: on_meta(lambda: torchvision.models.vit_b_16(image_size=R)),
        lambda R: (1, 3, R, R), R=(16, 512, 16), convention="macs",
    )  # fmt: skip
    assert str(f.macs) == "9/32*R^4 + 334224*R^2 + 85721088"
    assert f(R=224) == Fraction(9, 32) * 224**4 + 334224 * 224**2 + 85721088


@pytest.mark.slow
def test_mamba_2_at_multiples_of_its_chunk(capsys: pytest.CaptureFixture[str]) -> None:
    transformers = working_transformers()
    model = on_meta(lambda: transformers.Mamba2ForCausalLM(transformers.Mamba2Config(num_hidden_layers=2)))
    f = thoplw.formula(model, tokens, B=(1, 8), S=(1, 2048), convention="macs")
    assert str(f.macs) == "32*B*S^2 + 370245632*B*S + 2342912*B"
    assert [str(each) for each in f.domain] == ["B = 1 … 8, S = 256, 512 … 2048"]
    assert "Narrower than asked for" in capsys.readouterr().err


@pytest.mark.slow
def test_swin_at_multiples_of_its_windows() -> None:
    transformers = working_transformers()
    model = on_meta(lambda: transformers.SwinForImageClassification(transformers.SwinConfig(num_labels=1000)))

    def picture(B: int, R: int) -> dict[str, Any]:
        return {"pixel_values": torch.empty(B, 3, R, R, device="meta"), "interpolate_pos_encoding": True}

    f = thoplw.formula(model, picture, B=(1, 64), R=(224, 2016, 224), convention="macs")
    assert f(B=1, R=224) == 4490566656 == thoplw.profile(model, picture(1, 224), convention="macs", verbose=False)[0]
    assert str(f.macs) == "89481*B*R^2 + 768000*B"


@pytest.mark.slow
def test_resnet_50_by_residue() -> None:
    model = on_meta(torchvision.models.resnet50)
    f = thoplw.formula(model, lambda R: (1, 3, R, R), R=(1, 1024), convention="macs")
    assert str(f.macs).split("\n")[0] == "81456*R^2 + 2048000 for R = 32, 64 … 1024"
    assert len(f.domain) == 32
    for edge in (1, 97, 224, 225, 299, 510, 767):  # at none of these it was looked at, but for the first
        assert f(R=edge) == thoplw.profile(model, (1, 3, edge, edge), convention="macs", verbose=False)[0]


# -- the report --------------------------------------------------------------------------------------------------------


def test_every_figure_and_every_module() -> None:
    f = mixer()
    assert str(f.macs) == "16*B*S^2 + 384*B*S"
    assert str(f["inner.up"].macs) == str(f["inner"]["up"].macs) == "192*B*S"
    assert str(f["inner"].macs) == "384*B*S"
    assert str(f.params) == "384"
    assert str(f.bytes) == "1536"
    assert not {"eager", "floor"} & f.to_dict()["figures"].keys()  # no device was named
    assert f.flops(B=3, S=5) == thoplw.profile(Mixer(), (3, 5, 8), verbose=False)[2].total_flops
    with pytest.raises(thoplw.UnknownNameError, match=r"unknown module 'inner\.op'\. Did you mean 'inner.up'"):
        f["inner.op"]
    with pytest.raises(AttributeError, match="mac"):
        _ = f.mac


def test_the_text_says_where_it_holds_and_why() -> None:
    text = str(mixer())
    assert "| MACs        | 16*B*S^2 + 384*B*S" in text
    assert "Holds for B = 1 … 16, S = 1 … 64: fitted to 6 runs, and exact in " in text
    assert repr(mixer()) == "<Formula of Mixer: MACs = 16*B*S^2 + 384*B*S>"


def test_modules_down_to_a_depth() -> None:
    rows = dict(mixer().table(depth=1).rows)
    assert rows == {"(model)": "16*B*S^2 + 384*B*S", "inner": "384*B*S"}
    assert dict(mixer()["inner"].table(depth=1).rows)["inner.down"] == "192*B*S"


def test_code_and_json_agree() -> None:
    f = mixer()
    names: dict[str, Any] = {}
    exec(f.summary("python"), names)
    assert names["macs"](3, 5) == f(B=3, S=5) == 16 * 3 * 25 + 384 * 15
    with pytest.raises(ValueError, match="no formula for B=17, S=5"):
        names["macs"](17, 5)
    batch, length = sorted(f.sympy().free_symbols, key=str)
    assert f.sympy().subs({batch: 3, length: 5}) == f(B=3, S=5)
    document = json.loads(f.summary("json"))
    (piece,) = document["figures"]["macs"]["pieces"]
    terms = {tuple(sorted(each["powers"].items())): Fraction(each["coefficient"]) for each in piece["terms"]}
    assert terms == {(("B", 1), ("S", 2)): 16, (("B", 1), ("S", 1)): 384}
    assert piece["domain"]["S"] == {"first": 1, "last": 64, "step": 1}
    assert all(int(each["formula"]) == each["measured"] for each in document["figures"]["macs"]["evidence"])
    assert r"\mathrm{MACs} &= 16 B S^{2} + 384 B S" in f.summary("latex")
    with pytest.raises(thoplw.UnknownNameError, match="kind 'markdown'"):
        f.summary("markdown")


def test_pieces_in_every_notation() -> None:
    class Padded(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = nn.functional.pad(x, (0, -x.shape[-1] % 4))
            return x @ x.mT

    f = thoplw.formula(Padded(), lambda S: (3, S), S=(1, 64), convention="macs")
    assert str(f.domain[0]) == "S = 4, 8 … 64"
    names: dict[str, Any] = {}
    exec(f.python(), names)
    (length,) = f.sympy().free_symbols
    for size in range(1, 65):
        assert f(S=size) == names["macs"](size) == f.sympy().subs({length: size}) == 9 * (size + -size % 4)
    assert f.latex().startswith("\\begin{cases}\n9 S & 4 \\le S \\le 64,\\ S \\equiv 0 \\pmod{4} \\\\")
    assert f.largest("S", macs=9 * 40) == 40
    assert f.largest("S", macs=9 * 40 - 1) == 36


def test_the_largest_size_within_limits() -> None:
    f = mixer()
    for most in (400, 5000, 40_000, 10**9):
        fits = [size for size in range(1, 65) if 16 * 3 * size**2 + 384 * 3 * size <= most]
        if fits:
            assert f.largest("S", B=3, macs=most) == fits[-1]
    assert f.largest("S", B=3, macs="5k") == 3
    assert f.largest("S", B=3, macs=1e9, flops="20k") < 64
    with pytest.raises(thoplw.InputError, match="macs is above 1 for every S: at S=1 it is 1200"):
        f.largest("S", B=3, macs=1)
    with pytest.raises(thoplw.UnknownNameError, match=r"variable or figure 'mac'\. Did you mean 'macs'"):
        f.largest("S", B=3, mac=1)
    with pytest.raises(thoplw.InputError, match="needs a limit"):
        f.largest("S", B=3)
    with pytest.raises(thoplw.InputError, match="macs=None is not a whole number"):
        f.largest("S", B=3, macs=None)  # type: ignore[arg-type] # on purpose
    with pytest.raises(thoplw.InputError, match="B has no size"):
        f.largest("S", macs=1e9)
    with pytest.raises(thoplw.InputError, match="not known to hold for B=99"):
        f.largest("S", B=99, macs=1e9)


def test_the_largest_size_within_two_limits_where_costs_fall_in_between() -> None:
    class Waves(nn.Module):
        """Of four sizes, the second costs most in one way, and the third in another."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            long, short = (nn.functional.pad(x, (0, 40 * (x.shape[-1] % 4 == at))) for at in (1, 2))
            return (long @ long.mT, short.exp())

    f = thoplw.formula(Waves(), lambda S: (3, S), S=(1, 64), convention="macs")
    for macs in range(60, 900, 70):
        for flops in range(200, 2000, 150):
            fits = [size for size in range(1, 65) if f.macs(S=size) <= macs and f.flops(S=size) <= flops]
            if fits:
                assert f.largest("S", macs=macs, flops=flops) == fits[-1]


def test_a_plot_has_the_runs() -> None:
    (axes,) = mixer().plot("S", B=2).axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("S", "MACs", "Mixer")
    curve = axes.lines[0]
    assert [int(y) for y in curve.get_ydata()] == [16 * 2 * x * x + 384 * 2 * x for x in map(int, curve.get_xdata())]
    with pytest.raises(thoplw.UnknownNameError, match="variable 'T'"):
        mixer().plot("T")


def test_it_can_be_pickled() -> None:
    assert str(pickle.loads(pickle.dumps(mixer()))["inner"].macs) == "384*B*S"


def test_a_module_that_ran_at_some_sizes_is_not_said_never_to_have_run() -> None:
    class Either(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.small, self.large, self.idle = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            layer: torch.Tensor = (self.small if len(x) < 8 else self.large)(x)
            return layer

    f = thoplw.formula(Either(), lambda B: (B, 4), B=(1, 64))
    assert "Never ran: idle (20 parameters)." in f.notes


def test_what_is_not_counted_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    library = torch.library.Library("thoplw_formula", "DEF")
    library.define("scan(Tensor x) -> Tensor")
    library.impl("scan", lambda x: torch.empty_like(x), "Meta")

    class Net(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.thoplw_formula.scan(super().forward(x))

    f = thoplw.formula(Net(3, 4), lambda B: (B, 3), B=(1, 64))
    assert "Not counted: thoplw_formula.scan.default" in capsys.readouterr().err
    assert any("Not counted" in note for note in f.notes)
    price = {torch.ops.thoplw_formula.scan: lambda call: 2 * call.outputs[0].numel}
    assert str(thoplw.formula(Net(3, 4), lambda B: (B, 3), B=(1, 64), custom_ops=price).macs) == "24*B"


# -- errors ------------------------------------------------------------------------------------------------------------


def test_sizes_that_are_asked_for_wrongly() -> None:
    f = mixer()
    with pytest.raises(thoplw.UnknownNameError, match="unknown variable 'b'"):
        f(b=8, S=4)
    with pytest.raises(thoplw.InputError, match="S has no size; the variables are B, S"):
        f(B=8)
    with pytest.raises(thoplw.InputError, match="not known to hold for B=8, S=65: it holds for B = 1 … 16, S = 1 … 64"):
        f(B=8, S=65)


def test_a_function_that_does_not_depend_on_a_variable() -> None:
    with pytest.raises(thoplw.InputError, match=r"make_inputs takes \(B\), and S has sizes"):
        thoplw.formula(Mixer(), lambda B: (B, 4, 8), B=(1, 16), S=(1, 64))
    with pytest.raises(thoplw.InputError, match="nothing depends on S: inputs and costs are the same for S=1 and S=64"):
        thoplw.formula(Mixer(), lambda B, S: (B, 4, 8), B=(1, 16), S=(1, 64))


def test_one_size_is_one_run() -> None:
    f = thoplw.formula(Mixer(), lambda B: (B, 4, 8), B=3)
    assert f.proof == "Holds for B = 3: fitted to 1 run."


def test_a_class_is_not_a_model() -> None:
    with pytest.raises(thoplw.InputError, match=r"not a class: give Mixer\(\.\.\.\), or a function of sizes"):
        thoplw.formula(Mixer, lambda B: (B, 4, 8), B=(1, 16))


def test_a_function_of_an_unknown_variable() -> None:
    with pytest.raises(
        thoplw.UnknownNameError, match=r"unknown variable of make_inputs 'batch'\. Did you mean 'Batch'"
    ):
        thoplw.formula(Mixer(), lambda batch: (batch, 4, 8), Batch=(1, 16))
    with pytest.raises(thoplw.UnknownNameError, match="variable of the function that builds the model 'width'"):
        thoplw.formula(lambda width: nn.Linear(width, 1), lambda B: (B, 4), B=(1, 16))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((9, 1), "has no sizes"),
        ((1, 9, 0), "has no sizes"),
        ("1:9", "is no range"),
        ((1, 3), "has only 3 sizes"),
        ((1.0, 9.0), "is no range"),
    ],
)
def test_ranges_that_cannot_be_used(sizes: Any, message: str) -> None:
    with pytest.raises(thoplw.InputError, match=message):
        thoplw.formula(Mixer(), lambda B: (B, 4, 8), B=sizes)


def test_other_arguments_that_cannot_be_used() -> None:
    with pytest.raises(thoplw.InputError, match="needs a variable"):
        thoplw.formula(Mixer(), lambda: (1, 4, 8))
    with pytest.raises(thoplw.InputError, match="macs is the name of a figure"):
        thoplw.formula(Mixer(), lambda macs: (macs, 4, 8), macs=(1, 9))
    with pytest.raises(
        thoplw.InputError, match=r"takes a torch\.nn\.Module, or a function that builds one, not 'resnet'"
    ):
        thoplw.formula("resnet", lambda B: (B, 4, 8), B=(1, 9))  # type: ignore[arg-type]
    with pytest.raises(thoplw.UnknownNameError, match="convention 'mac'"):
        mixer(convention="mac")


def test_a_size_at_which_the_model_cannot_run() -> None:
    model = nn.Sequential(nn.Conv1d(1, 1, 5))
    with pytest.raises(thoplw.InputError, match=r"the model cannot run at L=1: \w+Error: .*L=\(first, last, step\)"):
        thoplw.formula(model, lambda L: (1, 1, L), L=(1, 64))


def test_no_formula_comes_with_the_runs() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[: x.shape[0] ^ 21] @ x.mT

    with pytest.raises(thoplw.NoFormulaError, match=r"gives the macs of \(model\) in all of these runs") as caught:
        thoplw.formula(Odd(), lambda S: (S, 4), S=(1, 64), convention="macs")
    rows = [line.split("|")[1:3] for line in str(caught.value).splitlines() if line.startswith("| ")]
    found = {int(size): int(cost) for size, cost in rows[1:]}
    assert len(found) > 8
    assert all(cost == min(size ^ 21, size) * size * 4 for size, cost in found.items())


def test_one_size_of_a_variable() -> None:
    assert str(mixer(B=8).macs) == "128*S^2 + 3072*S"
    assert str(mixer(B=range(1, 9)).macs) == "16*B*S^2 + 384*B*S"
