"""Training steps, by algebra: a contraction of m has two gradients of m, and runs those that are asked for."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the imports below name
from checks.releases import file_since, since

file_since("2.4")

import json
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

import thoplw
from thoplw.capture.training_run import TrainingRun
from thoplw.report.document import from_document


def asking(*shape: int) -> torch.Tensor:
    """An input that asks for a gradient."""
    return torch.zeros(*shape, requires_grad=True)


class Function(nn.Module):
    """A function as a model."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: torch.Tensor) -> Any:
        return self.function(*args)


# -- what PyTorch's own tests of its counter expect, in FLOPs: two for each multiply-accumulate ------------------------


def flops(model: nn.Module, inputs: Any, **options: Any) -> int:
    return 2 * thoplw.profile_training(model, inputs, **options).total_macs


def test_a_product_of_batches() -> None:
    """Four of 3 x 6 by 6 x 12: m of 864 forward, and as much for each of the gradients."""
    assert flops(Function(torch.bmm), (asking(4, 3, 6), asking(4, 6, 12))) == 5184


def test_a_product_in_a_product_of_batches() -> None:
    """Their own form: 4 x 5 by 5 x 6, seven times by 6 x 7; the gradient of the first factor alone is asked for."""
    product = Function(lambda a, b, c: (a @ b).expand(7, 4, 6).bmm(c))
    assert flops(product, (asking(4, 5), torch.zeros(5, 6), torch.zeros(7, 6, 7))) == 5184


def test_transposed_convolutions_without_a_gradient_of_their_input() -> None:
    def step(model: nn.Module, x: torch.Tensor) -> None:
        for _ in range(50):
            model(x).sum().backward()

    assert flops(nn.ConvTranspose2d(4, 8, (2, 2), stride=2), (1, 4, 30, 2), step=step) == 1_536_000


@since("2.10")
def test_attention_of_variable_lengths() -> None:
    from torch.nn.attention.varlen import varlen_attn

    model = Function(lambda q, k, v, ends: varlen_attn(q, k, v, ends, ends, 128, 128))
    ends = torch.tensor([0, 128, 192], dtype=torch.int32)
    report = thoplw.profile_training(model, (*(asking(192, 8, 64) for _ in "qkv"), ends))
    assert 2 * report.by_phase()["forward"] == 41_943_040
    assert 2 * report.total_macs == 146_800_640


def test_a_product_with_itself_has_two_gradients() -> None:
    """4 x 5 by 5 x 4, and once more: forward 160 each, backward 320 each."""
    square = Function(lambda a: a.mm(a.t()) + a.mm(a.t()))
    assert flops(square, asking(4, 5)) == 960


def test_a_function_with_a_backward_of_its_own() -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x, w)
            return x @ w

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> Any:
            x, w = ctx.saved_tensors
            return gradient @ w.t(), x.t() @ gradient

    assert flops(Function(Product.apply), (asking(5, 5), asking(5, 5))) == 750


def test_resnet18_with_a_gradient_of_its_input() -> None:
    models = pytest.importorskip("torchvision.models")
    report = thoplw.profile_training(models.resnet18(), asking(1, 3, 224, 224), optimizer="sgd")
    assert 2 * report.total_macs == 10_884_440_064
    assert report.backward_ratio == 2
    forward = thoplw.profile(models.resnet18(), (1, 3, 224, 224), convention="macs")[0]
    assert report.by_phase() == {"forward": forward, "recomputation": 0, "backward": 2 * forward, "update": 0}
    assert not report.uncounted


def test_grouped_convolutions_have_gradients_by_group() -> None:
    models = pytest.importorskip("torchvision.models")
    assert flops(models.mobilenet_v2(), (1, 3, 224, 224)) == 1_782_969_600


@pytest.mark.parametrize(
    ("backend", "recomputed", "total"),
    [
        (SDPBackend.MATH, 0, 3 * 134_217_728),
        (SDPBackend.FLASH_ATTENTION, 33_554_432, 134_217_728 * 7 // 2),
    ],
)
def test_attention_with_and_without_its_scores_kept(backend: SDPBackend, recomputed: int, total: int) -> None:
    model = Function(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))
    with sdpa_kernel(backend):
        report = thoplw.profile_training(model, tuple(asking(4, 8, 128, 64) for _ in "qkv"))
    assert 2 * report.by_phase()["forward"] == 134_217_728
    assert report.by_phase()["recomputation"] == recomputed
    assert 2 * report.total_macs == total


# -- what is trained decides -------------------------------------------------------------------------------------------


class Adapted(nn.Module):
    """``[*, 1024] -> [*, 1024]``: a frozen layer and one of rank 8 beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(1024, 1024, bias=False).requires_grad_(False)
        self.down = nn.Linear(1024, 8, bias=False)
        self.up = nn.Linear(8, 1024, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.up(self.down(x))


def test_an_adapter_is_charged_its_own() -> None:
    report = thoplw.profile_training(nn.Sequential(*(Adapted() for _ in range(4))), (64, 1024))
    assert 2 * report.total_macs == 963_641_344
    rows = {row.name: row for row in report}
    m = 64 * 1024 * 8
    assert 2 * rows["1.down"].macs == 2 * 3 * m == 3_145_728
    assert rows["0.down"].phases == {"forward": m, "recomputation": 0, "backward": m, "update": 0}
    assert rows["0.base"].phases["backward"] == 0  # nothing below is trained
    assert rows["1.base"].phases["backward"] == 64 * 1024 * 1024  # and it has no gradient of its own
    assert (report.total_trainable, report.total_frozen) == (4 * 2 * 8 * 1024, 4 * 1024 * 1024)


@pytest.mark.parametrize(("reentrant", "total"), [(False, 470_745_088), (True, 537_853_952)])
def test_checkpointing_repeats_the_forward(reentrant: bool, total: int) -> None:
    """Without reentrance the last layer of the block is not repeated: nobody needs its result."""

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.Linear(2048, 512))
            self.head = nn.Linear(512, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(checkpoint(self.block, x, use_reentrant=reentrant))

    report = thoplw.profile_training(Checkpointed(), asking(32, 512))
    assert 2 * report.total_macs == total
    m = 32 * 512 * 2048
    repeated = {row.name: row.phases["recomputation"] for row in report if row.macs}
    assert repeated == {"block.0": m, "block.2": m if reentrant else 0, "head": 0}


def test_accumulation_repeats_all_but_the_update() -> None:
    model = nn.Linear(4, 5)
    once = thoplw.profile_training(model, (2, 4), optimizer="sgd", convention="flops").by_phase()
    four = thoplw.profile_training(model, (2, 4), optimizer="sgd", convention="flops", accumulate=4).by_phase()
    # Each loss is divided, and each gradient but the first is added up.
    assert four["forward"] == 4 * once["forward"] + 4
    assert four["update"] == once["update"] == 25
    assert four["backward"] == 4 * once["backward"] + 4 + 3 * 25


def test_autocast_changes_no_contraction() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    plain, cast = (thoplw.profile_training(model, (2, 4), autocast=each).by_phase() for each in (None, "bf16"))
    assert plain == cast == {"forward": 70, "recomputation": 0, "backward": 100, "update": 0}


def test_weights_on_the_meta_device_cost_the_same() -> None:
    model = nn.TransformerEncoderLayer(16, 2, batch_first=True, dropout=0.0)
    plain = thoplw.profile_training(model, (2, 5, 16), optimizer="adamw", convention="flops")
    meta = thoplw.profile_training(model.to("meta"), (2, 5, 16), optimizer="adamw", convention="flops")
    assert plain.to_dict() == meta.to_dict()
    assert all(parameter.is_meta and parameter.grad is None for parameter in model.parameters())


def test_a_compiled_module_costs_the_same() -> None:
    plain, compiled = nn.Linear(5, 3), torch.compile(nn.Linear(5, 3))
    costs = [thoplw.profile_training(nn.Sequential(nn.Linear(4, 5), each), (2, 4)) for each in (plain, compiled)]
    assert (
        costs[0].by_phase() == costs[1].by_phase() == {"forward": 70, "recomputation": 0, "backward": 100, "update": 0}
    )


def test_hooks_run_and_what_they_run_is_counted() -> None:
    def double(weight: torch.Tensor) -> None:
        assert weight.grad is not None
        weight.grad.mul_(2)

    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))
    model[0].weight.register_hook(lambda gradient: gradient @ torch.zeros(4, 4))
    model[1].weight.register_post_accumulate_grad_hook(double)
    model[1].register_full_backward_hook(lambda *_: None)
    report = thoplw.profile_training(model, (2, 4))
    rows = {row.name: row.phases["backward"] for row in report if row.macs}
    assert rows == {"0": 2 * 4 * 5 + 5 * 4 * 4, "1": 2 * 2 * 5 * 3}
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_step_of_ones_own() -> None:
    model = nn.Linear(4, 5)
    optimizer = torch.optim.Adam(model.parameters())

    def step(model: nn.Module, x: torch.Tensor) -> None:
        optimizer.zero_grad()
        (model(x) ** 2).mean().backward()
        optimizer.step()

    own = thoplw.profile_training(model, (2, 4), step=step, convention="flops")
    same = thoplw.profile_training(
        model, (2, 4), loss=lambda y: (y**2).mean(), optimizer=torch.optim.Adam, convention="flops"
    )
    assert own.by_phase() == same.by_phase()
    assert not optimizer.state


# -- the report --------------------------------------------------------------------------------------------------------


def test_the_report_can_do_what_every_report_can() -> None:
    report = thoplw.profile_training(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3)), (2, 4), optimizer="adamw")
    document = json.loads(report.summary("json"))
    assert document["totals"]["phases"] == report.by_phase()
    assert from_document(document).by_phase() == report.by_phase()
    assert "MACs backward" in report.summary()
    assert "MACs backward" in report.summary("tree")
    assert sum(report.by_phase().values()) == report.total_macs == sum(row.macs for row in report)
    for phase, macs in report.by_phase().items():
        assert sum(row.phases[phase] for row in report) == macs
    html = report.summary("html")
    assert '"heading":"MACs backward"' in html
    assert "MACs recomputation" not in html  # there is none
    forward = thoplw.profile(nn.Linear(4, 5), (2, 4))[2]
    assert "phases" not in forward.to_dict()["totals"]
    assert forward.by_phase()["forward"] == forward.total_macs


def test_the_loss_has_a_row() -> None:
    target = torch.zeros(2, 5)
    report = thoplw.profile_training(
        nn.Sequential(nn.Linear(4, 5)),
        (2, 4),
        loss=lambda y, t: ((y - t) ** 2).sum(),
        targets=target,
        convention="flops",
    )
    rows = {row.name: row for row in report.modules}
    assert rows["(loss)"].phases["forward"] == 3 * 10  # a difference, a square and a sum
    assert rows["(loss)"].phases["backward"] == 3 * 10  # x to the first power, times 2, times g
    assert rows["(loss)"].input_shapes == ((2, 5),)
    assert rows[""].macs == 0
    assert sum(row.macs for row in report) == report.total_macs


def test_a_loss_with_layers_is_charged_for_them() -> None:
    features = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 3)).requires_grad_(False)
    report = thoplw.profile_training(nn.Linear(4, 5), (2, 4), loss=lambda y: features(y).sum())
    m = 2 * (5 * 7 + 7 * 3)
    phases = {row.name: row.phases for row in report.modules}
    assert phases["(loss)"] == {"forward": m, "recomputation": 0, "backward": m, "update": 0}
    assert report.total_params == 4 * 5 + 5


def test_wrong_arguments_are_said() -> None:
    model = nn.Linear(4, 5)
    with pytest.raises(thoplw.InputError, match=r"^step=1: give a function of model and inputs"):
        thoplw.profile_training(model, (3, 4), step=1)  # type: ignore[arg-type] # that is what is tried
    with pytest.raises(thoplw.InputError, match="step= is the whole training step"):
        thoplw.profile_training(model, (2, 4), step=print, optimizer="sgd")
    with pytest.raises(thoplw.InputError, match="accumulate=0"):
        thoplw.profile_training(model, (2, 4), accumulate=0)
    with pytest.raises(thoplw.UnknownNameError, match="bf16"):
        thoplw.profile_training(model, (2, 4), autocast="bf17")
    with pytest.raises(thoplw.UnknownNameError, match="adamw"):
        thoplw.profile_training(model, (2, 4), optimizer="adamww")


# -- clean hands -------------------------------------------------------------------------------------------------------


class StopError(Exception):
    pass


@pytest.mark.parametrize("where", ["nowhere", "forward", "loss", "backward", "hook", "optimizer"])
def test_all_is_as_before(where: str) -> None:
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            raise StopError

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if where == "forward":
                raise StopError
            return Failing.apply(self.net(x)) if where == "backward" else self.net(x)

    def fail(*_: Any) -> None:
        raise StopError

    model = Model()
    optimizer = torch.optim.AdamW(model.parameters())
    model.net(torch.randn(3, 4)).sum().backward()
    optimizer.step()
    if where == "hook":
        model.net[0].weight.register_hook(fail)
    if where == "optimizer":
        optimizer.register_step_post_hook(fail)
    weights = {name: (tensor, tensor.clone(), tensor.grad) for name, tensor in model.named_parameters()}
    gradients = {name: tensor.grad.clone() for name, tensor in model.named_parameters() if tensor.grad is not None}
    state = {key: {name: (each, each.clone()) for name, each in of.items()} for key, of in optimizer.state.items()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    random = torch.get_rng_state()
    try:
        thoplw.profile_training(
            model, (3, 4), optimizer=optimizer, loss=fail if where == "loss" else None, verbose=False
        )
    except StopError:
        assert where != "nowhere"
    else:
        assert where == "nowhere"
    assert torch.equal(torch.get_rng_state(), random)
    for name, parameter in model.named_parameters():
        tensor, value, gradient = weights[name]
        assert parameter is tensor
        assert type(parameter) is nn.Parameter
        assert torch.equal(parameter, value)
        assert parameter.grad is gradient
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradients[name])
    assert optimizer.state.keys() == state.keys()
    for key, of in optimizer.state.items():
        assert of.keys() == state[key].keys()
        for name, each in of.items():
            assert each is state[key][name][0]
            assert torch.equal(each, state[key][name][1])
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())
    assert all(module.training for module in model.modules())
    model.zero_grad()
    if where == "nowhere":
        model(torch.randn(3, 4)).sum().backward()  # and it can still be trained
        optimizer.step()


@pytest.mark.slow
def test_an_error_at_any_operator_leaves_all_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4, affine=False))
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain = TrainingRun.__torch_dispatch__
    left = 0

    def dispatch(self: Any, *args: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise StopError
        return plain(self, *args)  # type: ignore[no-untyped-call] # torch's

    monkeypatch.setattr(TrainingRun, "__torch_dispatch__", dispatch)
    for operators in range(1000):
        left = operators
        try:
            thoplw.profile_training(model, (3, 4), optimizer=optimizer, verbose=False)
        except StopError:
            pass
        else:
            break
        finally:
            assert not optimizer.state
            assert all(parameter.grad is None and parameter.data_ptr() for parameter in model.parameters())
            assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert 15 < operators < 999


# -- models and optimizers that read values ----------------------------------------------------------------------------


def test_a_detection_model_returns_its_own_losses() -> None:
    models = pytest.importorskip("torchvision.models.detection")
    model = models.retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    targets = [{"boxes": torch.tensor([[10.0, 10, 50, 50]]), "labels": torch.tensor([1])}]
    report = thoplw.profile_training(model, ([torch.zeros(3, 64, 64)], targets))
    assert 1.9 < report.backward_ratio < 2
    assert not report.uncounted


@since("2.5")
def test_adafactor_reads_norms_that_are_not_known() -> None:
    report = thoplw.profile_training(nn.Linear(8, 8), (2, 8), optimizer="adafactor", convention="flops", verbose=False)
    assert report.by_phase()["update"] > 8 * 9
    assert "a number that an optimizer reads is 1" in report.assumptions


def test_a_gradient_scaler_unscales_before_the_update() -> None:
    """The loss is multiplied, and so is its gradient; each gradient is compared and multiplied."""
    model, scaler = nn.Sequential(nn.Linear(8, 4)), torch.amp.GradScaler("cpu")
    weights = 8 * 4 + 4

    def step(**options: Any) -> Any:
        return thoplw.profile_training(model, (2, 8), optimizer="sgd", convention="flops", **options)

    plain, scaled = step(), step(scaler=scaler)
    own = {row.name: row.phases for row in scaled.modules}
    assert own[""]["forward"] == own[""]["backward"] == 0
    assert own[""]["update"] > 0  # the scale itself is inverted and updated
    before, after = ({row.name: row.phases for row in report.modules}["(loss)"] for report in (plain, scaled))
    assert [after[phase] - before[phase] for phase in ("forward", "backward", "update")] == [1, 1, 0]
    by_phase, more = plain.by_phase(), scaled.by_phase()
    assert more["update"] - by_phase["update"] - own[""]["update"] == 2 * weights
    assert scaler._scale is None
    assert step(scaler=True).by_phase() == step(scaler=scaler, clip=None).by_phase() == more
    assert step(scaler=torch.amp.GradScaler("cpu", enabled=False)).by_phase() == by_phase
    clipped = step(scaler=True, clip=1.0).by_phase()
    assert clipped["update"] - more["update"] == step(clip=1.0).by_phase()["update"] - by_phase["update"]


def test_an_optimizer_in_one_kernel_unscales_itself() -> None:
    def step(**options: Any) -> int:
        report = thoplw.profile_training(
            nn.Linear(8, 4), (2, 8), optimizer=lambda each: torch.optim.AdamW(each, fused=True), **options
        )
        return report.modules[0].operators["aten._fused_adamw_"]

    assert step(convention="flops", scaler=True) - step(convention="flops") == 8 * 4 + 4


def test_a_gradient_scaler_steps() -> None:
    model = nn.Linear(8, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")

    def step(model: nn.Module, x: torch.Tensor) -> None:
        with torch.autocast("cpu", torch.float16):
            loss = model(x).float().sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    report = thoplw.profile_training(model, (2, 8), step=step, convention="flops")
    # A gradient is compared and multiplied; a weight takes a step.
    assert report.by_phase()["update"] >= 3 * (8 * 8 + 8)
    assert scaler._scale is None


def test_an_average_of_weights_is_an_update() -> None:
    model, average = nn.Linear(8, 8), nn.Linear(8, 8)

    def step(model: nn.Module, x: torch.Tensor) -> None:
        model(x).sum().backward()
        with torch.no_grad():
            for ours, theirs in zip(average.parameters(), model.parameters(), strict=True):
                ours.lerp_(theirs, 0.1)

    before = average.weight.clone()
    report = thoplw.profile_training(model, (2, 8), step=step, convention="flops")
    assert report.by_phase()["update"] == 2 * (8 * 8 + 8)
    assert torch.equal(average.weight, before)


def test_parts_without_gradients_have_no_backward() -> None:
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.trained = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                y = self.frozen(x)
            with torch.inference_mode():
                self.frozen(x)
            return self.trained(y) + self.frozen(x).detach()

    rows = {row.name: row.phases for row in thoplw.profile_training(Parts(), (2, 4)) if row.macs}
    m = 2 * 4 * 4
    assert rows == {
        "frozen": {"forward": 3 * m, "recomputation": 0, "backward": 0, "update": 0},
        "trained": {"forward": m, "recomputation": 0, "backward": m, "update": 0},
    }


def test_the_forward_costs_what_profile_says_in_training_mode() -> None:
    models = pytest.importorskip("torchvision.models")
    for name, batch in (("mobilenet_v3_small", 1), ("vit_b_32", 1), ("googlenet", 2)):
        options = {"init_weights": False} if name == "googlenet" else {}
        model = getattr(models, name)(**options)
        report = thoplw.profile_training(model, (batch, 3, 224, 224))
        forward = thoplw.profile(model, (batch, 3, 224, 224), convention="macs", mode="train")[2]
        assert report.by_phase()["forward"] == forward.total_macs
        rows = {row.name: row.macs for row in forward.modules}
        assert {row.name: row.phases["forward"] for row in report.modules} == {**rows, "(loss)": 0}


class Decides(nn.Linear):
    """Asks for a value."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        return y if bool(y.sum() > 0) else -y


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"loss": lambda output: output}, r"loss= returned a tensor of shape \(2, 4\): return one number"),
        ({"loss": lambda output: None}, "loss= returned nothing: return one number"),
        ({"loss": lambda output: 1.0}, "loss= returned a float: return one number"),
        ({"loss": lambda output: output.detach().sum()}, "requires no gradient"),
        ({"loss": "mse"}, "loss='mse': give a function"),
        ({"targets": torch.ones(2, 4)}, "targets= are for a loss"),
        ({"loss": nn.MSELoss()}, r"MSELoss takes \(input.*missing a required argument: .target.\): give targets="),
        ({"loss": lambda x: x.sum(), "targets": torch.ones(2)}, r"takes \(x\), and is called with .* 1 of targets="),
        ({"optimizer": torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=1)}, "has no parameter that the model trains"),
        ({"optimizer": lambda parameters: None}, "optimizer= made nothing"),
        ({"optimizer": torch.optim.LBFGS}, "LBFGS does more than one update"),
        ({"clip": -1.0}, "clip=-1.0: give a norm above 0"),
        ({"clip": "a"}, "clip=a: give a norm above 0"),
        ({"accumulate": "4"}, "accumulate='4': give 1 or more"),
        ({"scaler": 65536.0, "optimizer": "sgd"}, "scaler= is a float: give True"),
        ({"scaler": True}, "scaler= unscales gradients for an optimizer, and there is none"),
    ],
)
def test_what_makes_no_step_is_refused_by_the_name_of_the_argument(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(thoplw.InputError, match=says):
        thoplw.profile_training(nn.Linear(4, 4), (2, 4), **arguments)


def test_a_step_that_needs_values_sends_to_count() -> None:
    with pytest.raises(thoplw.DataDependentError, match=r"thoplw\.count\(\) around a real step"):
        thoplw.profile_training(Decides(4, 4), (2, 4))


def test_a_step_is_the_same_in_inference_mode_and_in_a_forward() -> None:
    """The gradients of a step do not depend on what is switched off around it."""
    layer = nn.Linear(8, 8)
    expected = list(thoplw.profile_training(layer, (4, 8), verbose=False).table().rows)
    with torch.inference_mode():
        assert list(thoplw.profile_training(layer, (4, 8), verbose=False).table().rows) == expected
    found = []

    class Asking(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found.append(list(thoplw.profile_training(layer, (4, 8), verbose=False).table().rows))
            return x

    thoplw.profile(Asking(), (4, 8), verbose=False)
    thoplw.profile(Asking(), (4, 8), verbose=False, execute=True)
    assert found == [expected] * len(found)
    assert len(found) == 2


def test_a_complex_convolution_is_three_real_ones_under_autograd() -> None:
    """As ``docs/counting.md`` says: torch takes it apart before a run sees it."""
    layer = nn.Conv2d(4, 8, 3, bias=False, dtype=torch.complex64)
    x = torch.zeros(2, 4, 10, 10, dtype=torch.complex64)
    assert thoplw.profile(layer, x, verbose=False)[0] == 147_456
    with thoplw.count() as counted:
        layer(x)
    step = thoplw.profile_training(layer, x, loss=lambda output: output.abs().sum(), verbose=False)
    assert (counted.total_macs, step.total_macs) == (110_592, 2 * 110_592)  # forward, and the gradient of the weight
