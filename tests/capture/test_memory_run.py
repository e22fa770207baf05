"""The memory of a run, against a tracker of real storages: equal to the byte."""

from __future__ import annotations

# ruff: noqa: E402 # older torch lacks what the imports below name
from checks.releases import file_since, working_transformers

file_since("2.5")

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from checks import storage_tracker
from checks.training_variants import VARIANTS, Calls, checkpointed, cnn, encoder, language_model, mlp, total
from torch import nn
from torch.utils.checkpoint import checkpoint_sequential

import thoplw
from thoplw.estimate.memory import Memory
from thoplw.record import Kind


def events(memory: Memory) -> list[tuple[str, int]]:
    """As the tracker has them: after each operator that made something, its name and the bytes that there were."""
    return [
        (moment.operator, moment.bytes)
        for step, moment in enumerate(memory.timeline)
        if any(storage.step == step for storage in memory.trace.lifetimes.storages)
    ]


def of_training(model: nn.Module, inputs: Any, **options: Any) -> Memory:
    return thoplw.profile_training(model, inputs, loss=total, verbose=False, memory=True, **options).memory


@pytest.mark.filterwarnings("ignore")  # torch's own, about ways that it thinks old
@pytest.mark.parametrize("name", VARIANTS)
def test_training_takes_what_the_tracker_sees(name: str) -> None:
    variant = VARIANTS[name]
    model, inputs = variant.build()
    memory = of_training(model, inputs, **variant.options)
    expected = storage_tracker.training(model, inputs, loss=total, **variant.options)
    assert memory.peaks == tuple(expected.peaks)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if not variant.second_order])
def test_inference_takes_what_the_tracker_sees(name: str) -> None:
    variant = VARIANTS[name]
    model, inputs = variant.build()
    _, _, layers = thoplw.profile(model, inputs, verbose=False, memory=True)
    expected = storage_tracker.inference(model, *inputs)
    assert layers.memory.peaks == tuple(expected.peaks)


@pytest.mark.parametrize(
    ("sizes", "trains", "autocast"),
    [
        ((1, 1, 1, 1), True, None),
        ((3, 2, 256, 64), True, None),
        ((3, 2, 256, 64), True, torch.bfloat16),
        ((2, 3, 30, 70), False, None),
    ],
    ids=["one element", "rows of 256", "bfloat16", "frozen"],
)
def test_an_lstm_keeps_the_workspace_of_its_kernel(
    sizes: tuple[int, int, int, int], trains: bool, autocast: torch.dtype | None
) -> None:
    """Rows are rounded up to 64 bytes, and beyond a multiple of 256 elements; a frozen layer has it for a moment."""
    steps, samples, width, hidden = sizes
    layer = nn.LSTM(width, hidden, bias=trains).requires_grad_(trains)
    model = nn.ModuleDict({"layer": layer, "head": nn.Linear(hidden, 1)})
    model.forward = lambda x: model["head"](model["layer"](x)[0])  # type: ignore[method-assign]
    inputs = (torch.ones(steps, samples, width),)
    expected = storage_tracker.training(model, inputs, loss=total, autocast=autocast)
    assert of_training(model, inputs, autocast=autocast).peaks == tuple(expected.peaks)


# -- what moves a peak -------------------------------------------------------------------------------------------------


def check(
    model: nn.Module, inputs: tuple[torch.Tensor, ...], step: Callable[..., Any], iterations: int = 2
) -> tuple[int, ...]:
    """A step of the user's own takes what the tracker sees of it; the peaks."""
    memory = thoplw.profile_training(model, inputs, step=step, verbose=False, memory=True).memory
    model.train()

    def run(tracker: storage_tracker.StorageTracker) -> None:
        for _ in range(iterations):
            tracker.begin()
            output = step(model, *inputs)
        del output

    for parameter in model.parameters():
        parameter.grad = None
    expected = storage_tracker.tracked(run, [*model.parameters(), *model.buffers(), *inputs])
    assert memory.peaks == tuple(expected.peaks)
    return memory.peaks


ROWS = (torch.ones(64, 16),)


def plain(model: nn.Module, x: torch.Tensor) -> None:
    total(model(x)).backward()


@pytest.mark.parametrize("keeps", [False, True], ids=["the old is freed", "the old is kept"])
def test_weights_that_are_given_other_memory(keeps: bool) -> None:
    def update(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
        plain(model, x)
        kept = [weight.data for weight in model.parameters()] if keeps else []
        for weight in model.parameters():
            weight.data = weight.data - 0.1 * weight.grad
        plain(model, x)
        return kept

    (first, second) = check(nn.Linear(64, 64, bias=False), (torch.ones(1, 64),), update)
    # Weight, gradient, and for a moment its product with a number and the new weight; or the old one, to the end.
    assert first > 4 * 4 * 64 * 64
    assert second > first if keeps else second >= first


def test_a_forward_that_gives_a_weight_other_memory() -> None:
    class Doubles(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.weight.data = self.weight.data * 2
            return super().forward(x)

    model, x = nn.Sequential(Doubles(64, 64), Doubles(64, 64)), torch.ones(2, 64)
    _, _, layers = thoplw.profile(model, x, verbose=False, memory=True)
    assert layers.memory.peaks == tuple(storage_tracker.inference(model, x).peaks)


def test_a_module_that_the_forward_makes_and_drops_goes_with_its_weights() -> None:
    def replace(self: Any, x: torch.Tensor) -> torch.Tensor:
        made = nn.ModuleDict({"layer": nn.Linear(64, 64)})
        made["layer"] = self.layer  # as a layer of BigBird takes over the weights of another
        return torch.as_tensor(made["layer"](x) @ torch.ones(64, 64))

    model, x = Calls(replace, layer=nn.Linear(64, 64)), torch.randn(3, 64)
    _, _, layers = thoplw.profile(model, x, verbose=False, memory=True)
    assert layers.memory.peaks == tuple(storage_tracker.inference(model, x).peaks)


def test_a_graph_that_is_retained() -> None:
    def twice(model: nn.Module, x: torch.Tensor) -> None:
        loss = total(model(x))
        loss.backward(retain_graph=True)
        loss.backward()

    assert check(mlp(16, 64, 64, 4), ROWS, twice) > check(mlp(16, 64, 64, 4), ROWS, plain)


def test_checkpointing_takes_less() -> None:
    deep, rows = partial(mlp, 16, 64, 64, 64, 64, 16), torch.ones(512, 16)
    without = check(Calls(lambda self, x: self.block(x), block=deep()), (rows,), plain)

    def in_parts(self: Any, x: torch.Tensor) -> torch.Tensor:
        return checkpoint_sequential(self.block, 2, x, use_reentrant=False)

    assert check(Calls(in_parts, block=deep()), (rows,), plain) < without
    check(checkpointed(deep, use_reentrant=True), (rows.clone().requires_grad_(),), plain)


def test_outputs_that_the_loop_keeps() -> None:
    outputs: list[torch.Tensor] = []

    def keeping(model: nn.Module, x: torch.Tensor) -> None:
        output = model(x)
        outputs.append(output)
        total(output).backward()

    def dropping(model: nn.Module, x: torch.Tensor) -> None:
        loss = total(model(x))
        loss.backward()

    check(mlp(16, 64, 64), ROWS, keeping)
    outputs.clear()
    check(mlp(16, 64, 64), ROWS, dropping)


def test_a_model_that_keeps_its_outputs_in_a_list() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for _ in range(4):
            x = self.layer(x)
            kept.append(x)
        return torch.stack([each.mean() for each in kept])

    check(Calls(forward, layer=nn.Linear(16, 16)), ROWS, plain)
    model = Calls(forward, layer=nn.Linear(16, 16))
    _, _, layers = thoplw.profile(model, ROWS, verbose=False, memory=True)
    assert layers.memory.peaks == tuple(storage_tracker.inference(model, *ROWS).peaks)
    assert layers.memory.by_kind["temporaries"] >= 4 * 64 * 16 * 4


def test_gradients_that_are_set_to_zero_stay() -> None:
    model, options = mlp(16, 64, 64, 4), {"optimizer": partial(torch.optim.SGD, lr=0.1)}
    for set_to_none in (True, False):
        memory = of_training(model, ROWS, set_to_none=set_to_none, **options)
        expected = storage_tracker.training(model, ROWS, loss=total, set_to_none=set_to_none, **options)
        assert memory.peaks == tuple(expected.peaks)
        for parameter in model.parameters():
            parameter.grad = None


@pytest.mark.parametrize("way", [{"foreach": True}, {"foreach": False}, {"fused": True}])
@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
def test_ways_to_update(optimizer: Any, way: dict[str, bool]) -> None:
    options = {"optimizer": partial(optimizer, lr=0.1, **way), "clip": 1.0}
    memory = of_training(cnn(), (torch.ones(2, 3, 12, 12),), **options)
    expected = storage_tracker.training(cnn(), (torch.ones(2, 3, 12, 12),), loss=total, **options)
    assert memory.peaks == tuple(expected.peaks)


def test_an_optimizer_that_has_states_already() -> None:
    model = mlp(16, 64, 4)
    optimizer = torch.optim.AdamW(model.parameters())
    total(model(*ROWS)).backward()
    optimizer.step()
    optimizer.zero_grad()
    memory = of_training(model, ROWS, optimizer=optimizer)
    assert memory.peaks[0] == memory.peaks[1]
    states = 2 * sum(parameter.nbytes for parameter in model.parameters()) + 4 * len(list(model.parameters()))
    assert sum(each.size for each in memory.alive(memory.peak_at) if each.kind.label == "optimizer") == states


def test_autocast_keeps_casts_of_weights_until_it_ends() -> None:
    options = {"autocast": torch.bfloat16, "optimizer": torch.optim.AdamW}
    for accumulate in (1, 2):
        memory = of_training(encoder(), (torch.ones(2, 6, 16),), accumulate=accumulate, **options)
        expected = storage_tracker.training(
            encoder(), (torch.ones(2, 6, 16),), loss=total, accumulate=accumulate, **options
        )
        assert memory.peaks == tuple(expected.peaks)


@pytest.mark.parametrize("frozen", [False, True])
def test_norms_under_autocast_keep_statistics_as_their_kernels_do(frozen: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GroupNorm(2, 8), nn.ReLU())
    if frozen:
        model[1].train = lambda mode=True: model[1]  # type: ignore[method-assign] # as those who freeze it do
        model[1].training = False
    x = torch.ones(2, 3, 8, 8)
    memory = of_training(model, x, autocast=torch.bfloat16)
    expected = storage_tracker.training(model, (x,), loss=total, autocast=torch.bfloat16)
    assert memory.peaks == tuple(expected.peaks)
    assert events(memory) == expected.seen


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
@pytest.mark.parametrize("given", [False, True], ids=["of the model", "of the user"])
def test_a_sparse_tensor_counts_with_indices_and_values(layout: torch.layout, given: bool) -> None:
    edges = torch.eye(64)[torch.arange(64) // 2].to_sparse(layout=layout)

    def of_graph(self: Any, x: torch.Tensor, links: torch.Tensor | None = None) -> torch.Tensor:
        product: torch.Tensor = self.down((self.edges if links is None else links) @ self.up(x))
        return product

    model = Calls(of_graph, up=nn.Linear(16, 32), down=nn.Linear(32, 4))
    model.register_buffer("edges", None if given else edges)
    inputs = (*ROWS, edges) if given else ROWS
    memory = of_training(model, inputs, optimizer="sgd")
    expected = storage_tracker.training(model, inputs, loss=total, optimizer=torch.optim.SGD)
    assert memory.peaks == tuple(expected.peaks)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sparse_gradients_and_what_an_optimizer_keeps_of_them(momentum: float) -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = self.head(self.embed(x)).mean()
        return loss

    model = Calls(forward, embed=nn.Embedding(50, 16, sparse=True), head=nn.Linear(16, 8))
    x = (torch.arange(28).view(4, 7),)
    options = {"optimizer": partial(torch.optim.SGD, lr=0.1, momentum=momentum, foreach=False)}
    memory = of_training(model, x, **options)
    assert memory.peaks == tuple(storage_tracker.training(model, x, loss=total, **options).peaks)


def test_a_tied_weight_is_there_once() -> None:
    ids = (torch.zeros(2, 6, dtype=torch.int64),)
    tied, untied = (language_model(tied) for tied in (True, False))
    kinds = [thoplw.profile(model, ids, verbose=False, memory=True)[2].memory.by_kind for model in (tied, untied)]
    assert kinds[1]["weights"] - kinds[0]["weights"] == 50 * 16 * 4


def test_weights_that_are_views_of_one_memory_are_there_once() -> None:
    model = mlp(16, 8)
    flat = torch.zeros(sum(parameter.numel() for parameter in model.parameters()))
    parts = flat.split([parameter.numel() for parameter in model.parameters()])
    for parameter, part in zip(model.parameters(), parts, strict=True):
        parameter.data = part.view_as(parameter)
    memory = thoplw.profile(model, ROWS, verbose=False, memory=True)[2].memory
    assert memory.by_kind["weights"] == flat.nbytes


@pytest.mark.parametrize("inplace", [True, False])
def test_activations_in_place(inplace: bool) -> None:
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(inplace), nn.Linear(64, 64), nn.SiLU(inplace), nn.Linear(64, 4))
    check(model, ROWS, plain)
    memory = thoplw.profile(model, ROWS, verbose=False, memory=True)[2].memory
    assert memory.peaks == tuple(storage_tracker.inference(model, *ROWS).peaks)


def of_outputs(memory: Memory) -> int:
    """The bytes of what the model returned."""
    return sum(storage.size for storage in memory.trace.lifetimes.storages if storage.kind is Kind.OUTPUTS)


#: Losses, and of how many elements what they return has the memory, for 64 times 16 of them, where one is wanted.
LOSSES = {
    "mse_loss": 1024,
    "smooth_l1_loss": 1024,
    "soft_margin_loss": 1024,
    "binary_cross_entropy": 1024,
    "huber_loss": 1,
    "l1_loss": 1,
    "binary_cross_entropy_with_logits": 1,
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_one_number_may_lie_in_the_memory_of_the_losses_of_all_elements(name: str, reduction: str) -> None:
    """torch makes the output for every element first, and gives it another shape then."""
    loss = partial(getattr(nn.functional, name), target=torch.ones(64, 16), reduction=reduction)
    model = Calls(lambda self, x: loss(self.layer(x).sigmoid()), layer=nn.Linear(16, 16))
    check(model, ROWS, plain)
    memory = thoplw.profile(model, ROWS, verbose=False, memory=True)[2].memory
    assert of_outputs(memory) == 4 * (1024 if reduction == "none" else LOSSES[name])
    assert memory.peaks == tuple(storage_tracker.inference(model, *ROWS).peaks)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["mish", "silu"])
def test_gradients_that_fall_apart_on_other_devices_only(name: str, dtype: torch.dtype) -> None:
    """The CPU and CUDA have kernels for them, which need no memory for pieces."""
    function = getattr(nn.functional, name)
    check(
        Calls(lambda self, x: function(self.layer(x)), layer=nn.Linear(16, 16, dtype=dtype)),
        (ROWS[0].to(dtype),),
        plain,
    )


def test_an_image_that_patches_are_added_up_to_has_their_memory() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.fold(self.layer(x), (8, 8), 3, padding=1)

    model, patches = Calls(forward, layer=nn.Linear(64, 64)), torch.ones(2, 72, 64)
    check(model, (patches,), plain)
    memory = thoplw.profile(model, patches, verbose=False, memory=True)[2].memory
    assert of_outputs(memory) == patches.nbytes  # and not 2 * 8 * 8 * 8 * 4
    check(Calls(lambda self, x: nn.functional.unfold(self.layer(x), 3), layer=nn.Linear(9, 9)), (WIDE,), plain)


WIDE = torch.ones(2, 3, 9, 9)


def test_real_memory_that_was_to_be_written_something_abstract_goes_with_its_tensor() -> None:
    """The run remembers that its values are lost, and keeps no more than that."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros(64, 16)
        y[:32] = self.layer(x)[:32]
        return y.tanh()

    check(Calls(forward, layer=nn.Linear(16, 16)), ROWS, plain)


def test_casts_of_a_model_that_enters_autocast_by_itself() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            y = self.second(self.first(x))
        return y.float().softmax(1)

    model = Calls(forward, first=nn.Linear(16, 16), second=nn.Linear(16, 16))
    assert of_training(model, ROWS).peaks == tuple(storage_tracker.training(model, ROWS, loss=total).peaks)


def test_losses_of_sequences_and_of_margins() -> None:
    """torch has no meta kernels of their gradients."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        lengths = torch.full((4,), 3)
        sequences = y.view(16, 4, 16).log_softmax(2)
        aligned = nn.functional.ctc_loss(sequences, torch.ones(4, 3, dtype=torch.long), 16 - 0 * lengths, lengths)
        classes = torch.zeros(64, dtype=torch.long)
        return (
            aligned
            + nn.functional.multi_margin_loss(y, classes)
            + nn.functional.multilabel_margin_loss(y, classes[:, None].expand(64, 16) - 1)
        )

    check(Calls(forward, layer=nn.Linear(16, 16)), ROWS, plain)


def test_a_view_keeps_all_of_what_it_is_a_view_of() -> None:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        first = self.wide(x)[:, :1]
        return first * self.wide(x).mean(1, keepdim=True)

    model = Calls(forward, wide=nn.Linear(16, 256))
    check(model, ROWS, plain)
    memory = thoplw.profile(model, ROWS, verbose=False, memory=True)[2].memory
    assert memory.peaks == tuple(storage_tracker.inference(model, *ROWS).peaks)
    assert memory.by_kind["temporaries"] >= 2 * 64 * 256 * 4


def test_every_step_is_as_the_tracker_sees_it() -> None:
    model, x = cnn(), torch.ones(2, 3, 12, 12)
    options = {"optimizer": partial(torch.optim.AdamW, foreach=False)}
    memory = of_training(model, (x,), **options)
    assert events(memory) == storage_tracker.training(model, (x,), loss=total, **options).seen


def test_an_input_counts_with_all_of_its_memory() -> None:
    whole = torch.ones(10, 64, 16)
    memory = thoplw.profile(mlp(16, 4), (whole[0],), verbose=False, memory=True)[2].memory
    assert memory.by_kind["inputs"] == whole.nbytes


def test_weights_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = cnn()
    memory = of_training(model, (2, 3, 12, 12), optimizer="adamw")
    expected = storage_tracker.training(cnn(), (torch.ones(2, 3, 12, 12),), loss=total, optimizer=torch.optim.AdamW)
    assert memory.peaks == tuple(expected.peaks)


def test_the_model_is_as_before() -> None:
    model = mlp(16, 8, 4)
    before = {name: (id(weight), weight.clone()) for name, weight in model.named_parameters()}
    of_training(model, ROWS, optimizer="adamw")
    for name, weight in model.named_parameters():
        assert id(weight) == before[name][0]
        assert torch.equal(weight, before[name][1])
        assert weight.grad is None


MODEL = mlp(16, 8)
OPTIMIZER = torch.optim.AdamW(MODEL.parameters())


def update() -> None:
    OPTIMIZER.step()
    OPTIMIZER.zero_grad()


def with_an_optimizer_of_the_file(model: nn.Module, x: torch.Tensor) -> None:
    plain(model, x)
    update()


def test_an_optimizer_that_a_step_names_is_as_before() -> None:
    states: list[dict[str, torch.Tensor]] = [*OPTIMIZER.state.values()]
    assert not states
    first = of_step()
    assert not OPTIMIZER.state
    with_an_optimizer_of_the_file(MODEL, *ROWS)
    later = of_step()
    assert later == (first[1], first[1])
    assert [sorted(state) for state in OPTIMIZER.state.values()] == [["exp_avg", "exp_avg_sq", "step"]] * 2


def of_step() -> tuple[int, ...]:
    report = thoplw.profile_training(MODEL, ROWS, step=with_an_optimizer_of_the_file, verbose=False, memory=True)
    assert report.memory.by_kind["optimizer"] == 2 * (16 * 8 + 8) * 4 + 2 * 4
    return report.memory.peaks


def test_keys_and_values_of_a_language_model_are_a_cache() -> None:
    transformers = working_transformers()
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4
    )
    model, ids = transformers.LlamaModel(config), torch.zeros(2, 6, dtype=torch.int64)
    memory = thoplw.profile(model, {"input_ids": ids}, verbose=False, memory=True)[2].memory
    last = memory.alive(memory.timeline[-1])
    assert sum(each.size for each in last if each.kind.label == "cache") == 3 * 2 * 2 * 6 * 32 * 4
    assert memory.peaks == tuple(storage_tracker.inference(model, input_ids=ids).peaks)


def test_a_model_in_which_no_operator_runs() -> None:
    layers = thoplw.profile(nn.Identity(), (2, 3), verbose=False, memory=True)[2]
    assert layers.memory.peak == 2 * 3 * 4 == sum(layers.memory.by_kind.values())
    assert "The peak is 24 B: no operator ran." in layers.memory.summary()
    assert "24" in layers.summary(columns=["name", "peak"])
    with pytest.raises(thoplw.InputError, match="no chart to draw"):
        layers.memory.summary("html")


def test_figures_of_memory_that_are_not_known_are_neither_shown_nor_sorted_by() -> None:
    layers = thoplw.profile(mlp(16, 4), ROWS, verbose=False)[2]
    with pytest.raises(thoplw.InputError, match="column 'peak': this report has no peak of memory: pass memory=True"):
        layers.summary(columns=["name", "peak"])
    with pytest.raises(thoplw.InputError, match="sort='saved': this report has no saved for backward"):
        layers.summary(sort="saved")


def test_a_conjugate_that_kernels_write_out_is_named() -> None:
    memory = thoplw.profile(
        Calls(lambda self, x: x * x.conj()), (torch.ones(4, 4, dtype=torch.complex64),), verbose=False, memory=True
    )[2].memory
    assert "aten._conj (1 call)" in memory.notes[0]


VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "unbind": lambda w: w.unbind()[1],
    "chunk": lambda w: w.chunk(2)[0],
    "select": lambda w: w[0],
    "view": lambda w: w.view(-1),
    "view of the same shape": lambda w: w.view(4, 4),
    "detach": lambda w: w.detach(),
    "t": lambda w: w.t(),
}


class Watched(nn.Module):
    """Predicts, as samplers of diffusion models do, in inference mode, and takes a view of a weight there."""

    def __init__(self, view: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.teacher, self._view = nn.Linear(4, 4), nn.Linear(4, 4), [view]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            target = self.teacher(x) * (self._view[0](self.teacher.weight) + 1).sum()
        return self.layer(x) if torch.is_grad_enabled() else self.layer(x) - target


@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
def test_weights_are_viewed_in_inference_mode(view: Callable[[torch.Tensor], torch.Tensor]) -> None:
    model, x = Watched(view), torch.ones(3, 4)
    macs, _, layers = thoplw.profile(model, x, convention="macs", memory=True)
    assert macs == 2 * 3 * 4 * 4
    assert layers.memory.peaks == tuple(storage_tracker.inference(model, x).peaks)
    step = thoplw.profile_training(model, x, convention="macs", loss=total)
    assert step.total_macs == macs + 3 * 4 * 4  # the teacher is not trained
