"""Each private name of torch does what its plain name says: a release that changes one fails here first."""

from __future__ import annotations

import ast
import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from checks.releases import has_fast_path, older, since
from torch import nn
from torch.optim.optimizer import _default_to_fused_or_foreach
from torch.utils.checkpoint import checkpoint

from thoplw import InputError
from thoplw.capture import torch_internals
from thoplw.capture.abstract import AbstractTensor
from thoplw.capture.torch_internals import (
    SPARSE,
    SWITCHES,
    TRACED_NEEDS_MEMORY,
    VERSION,
    DispatchMode,
    GradScaler,
    alias_of,
    any_module_hooks,
    asked_by_a_check,
    asked_by_torch,
    asked_for_alignment,
    attention_as_it_is,
    attention_unfused,
    autocast_around,
    autocast_of_parts,
    backward_passes,
    become,
    below_autograd,
    bytes_of,
    call_as_usual,
    caller_of_instead,
    calling_instead,
    constructs_subclass,
    copy_of_memory,
    current_node,
    data_assignments,
    derivatives,
    dispatch_modes,
    exchange,
    flex_attention_trained,
    flows_before_autograd,
    foreach_on_cpu,
    function_modes,
    gradient_accesses,
    graph_task,
    handed_out,
    hooks_of,
    in_transforms,
    is_autocast_on,
    is_below_autograd,
    is_cast,
    is_compiled,
    is_held_once,
    is_jagged,
    is_overload,
    is_parameter,
    is_transformed,
    is_written_in_operators,
    keep_busy,
    kernel_in_python,
    kernels_instead,
    lacks_gradients,
    lacks_memory,
    leave_modes,
    make_nested_wrapper,
    make_wrapper,
    memory_of,
    method_of_calls,
    methods_of,
    mode_flags_kept,
    module_hooks,
    next_node_number,
    no_torch_function,
    number_of_node,
    optimizer_steps,
    overload_name,
    reads_values,
    real_type,
    recomputations_stopped,
    registration_hooks,
    rows_of,
    running_mode,
    schema_of,
    set_version,
    sizes_of_nested,
    sparse_back,
    stored_elements,
    stored_in,
    sum_of_memory,
    swapped_with,
    traces_refused,
    uncompiled,
    unknown_to_jagged,
    version_of,
    with_mode,
    with_other_rows,
    without_modes,
    without_transforms,
    wrapper_arguments,
)

aten = torch.ops.aten
SOURCE = Path(torch_internals.__file__).read_text(encoding="utf-8")


def public_names() -> set[str]:
    """What the file defines for others."""
    names = set[str]()
    for node in ast.parse(SOURCE).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def test_every_name_is_tested() -> None:
    used = set[str]()
    for node in ast.walk(ast.parse(Path(__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            used |= {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    assert public_names() - used == set()


def test_every_name_says_since_when_it_exists() -> None:
    silent = []
    for name in public_names():
        if (position := SOURCE.find(f"\n{name}: ")) >= 0:  # said in the comment above
            said = SOURCE[SOURCE.rindex("\n\n", 0, position) : position]
        else:
            said = inspect.getdoc(getattr(torch_internals, name)) or ""
        if "Since 2." not in said:
            silent.append(name)
    assert silent == []


def test_no_other_file_knows_private_names() -> None:
    root = Path(torch_internals.__file__).parents[1]
    others = [path for path in root.rglob("*.py") if path != Path(torch_internals.__file__)]
    private = ("torch._C", "torch._utils", "_mode_utils", "_python_dispatch", "_compiled_call_impl", "sys._getframe")
    assert [(path.name, name) for path in others for name in private if name in path.read_text(encoding="utf-8")] == []


# -- tensors -----------------------------------------------------------------------------------------------------------


def test_a_wrapper_has_a_shape_and_no_memory() -> None:
    x = make_wrapper(AbstractTensor, (2, 3), (3, 1), dtype=torch.float16, device=torch.device("cpu"))
    assert type(x) is AbstractTensor
    assert (tuple(x.shape), x.stride(), x.dtype, x.device.type) == ((2, 3), (3, 1), torch.float16, "cpu")
    assert AbstractTensor.__torch_function__ is no_torch_function


def test_arguments_of_a_wrapper_mean_what_names_mean() -> None:
    device = torch.device("meta", 0)
    x = make_wrapper(AbstractTensor, *wrapper_arguments((2, 3), (1, 2), torch.float16, device))
    named = make_wrapper(AbstractTensor, (2, 3), (1, 2), dtype=torch.float16, device=device)
    assert x.device == named.device
    assert older("2.1") or x.device == device  # torch 2.0 takes no device beside strides
    for each in (x, named):
        assert (tuple(each.shape), each.stride(), each.dtype) == ((2, 3), (1, 2), torch.float16)
        assert each.layout is torch.strided
        assert not each.requires_grad


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_tensors_in_a_sparse_tensor() -> None:
    eye = torch.eye(3)
    assert stored_in(eye) == (eye,)
    assert [each.tolist() for each in stored_in(eye.to_sparse())] == [[[0, 1, 2], [0, 1, 2]], [1, 1, 1]]
    for made in (eye.to_sparse_csr(), eye.to_sparse_csc()):
        assert [each.tolist() for each in stored_in(made)] == [[0, 1, 2, 3], [0, 1, 2], [1, 1, 1]]


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_elements_of_a_sparse_tensor() -> None:
    assert stored_elements(torch.eye(3).to_sparse()) == 3
    assert stored_elements(torch.eye(3).to_sparse_csr()) == 3
    assert stored_elements(torch.ones(2, 2).to_sparse(1)) == 4  # each of two rows is stored whole
    assert {torch.sparse_coo, torch.sparse_csr} < SPARSE
    assert torch.strided not in SPARSE


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_a_sparse_tensor_has_its_elements_again(layout: torch.layout) -> None:
    sparse = torch.eye(2).to_sparse(layout=layout)
    alias = alias_of(sparse)
    assert {part.data_ptr() for part in stored_in(alias)} == {part.data_ptr() for part in stored_in(sparse)}
    alias = alias_of(sparse.clone())
    sparse.zero_()
    sparse_back(sparse, alias)
    assert sparse.to_dense().tolist() == [[1, 0], [0, 1]]


def test_bytes_of_a_storage() -> None:
    numbers = torch.ones(2, dtype=torch.int16)
    assert bytes_of(numbers) is numbers
    assert bytes_of(numbers.untyped_storage()).tolist() == [1, 0, 1, 0]


def test_words_for_a_tensor_without_memory() -> None:
    x = make_wrapper(AbstractTensor, (1,), (1,), dtype=torch.float32, device=torch.device("cpu"))
    reads = [lambda: torch.tensor([x])]
    if not older("2.2"):  # before, that is 0
        reads.append(lambda: torch.Tensor.untyped_storage(x).data_ptr())
    for read in reads:
        with pytest.raises(RuntimeError) as raised:
            read()
        assert lacks_memory(raised.value)
    assert not lacks_memory(RuntimeError("else"))


@pytest.mark.parametrize(
    "ask",
    [
        lambda x: x.register_hook(torch.abs),
        lambda x: x.retain_grad(),
        lambda x: torch.autograd.graph.register_multi_grad_hook([x], print),
    ],
)
def test_who_asks_a_tensor_without_gradients_for_one_is_told(ask: Any) -> None:
    with pytest.raises((RuntimeError, AssertionError)) as raised:
        ask(torch.ones(2))
    assert lacks_gradients(raised.value)
    assert not lacks_gradients(RuntimeError("else"))


def test_a_class_of_tensors_is_not_constructed_in_a_mode() -> None:
    class Marked(torch.Tensor):
        pass

    with pytest.raises(RuntimeError) as raised, Silent():
        Marked(2, 3)
    assert constructs_subclass(raised.value)
    assert not constructs_subclass(RuntimeError("else"))


def test_an_operator_that_reads_a_value() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1, device="meta").item()
    assert not isinstance(raised.value, NotImplementedError) or reads_values(raised.value)
    assert not reads_values(NotImplementedError("no kernel"))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@since("2.3")
def test_nested_tensors() -> None:
    parts = [torch.ones(3, 2), torch.ones(1, 2)]
    jagged, nested = torch.nested.nested_tensor(parts, layout=torch.jagged), torch.nested.nested_tensor(parts)
    assert is_jagged(jagged)
    assert not is_jagged(nested)
    assert rows_of(jagged).shape == (4, 2)
    assert rows_of(with_other_rows(jagged, torch.zeros_like) + jagged).equal(torch.ones(4, 2))
    assert unknown_to_jagged(torch.ops.aten.layer_norm.default, (jagged, [2]), {})  # it knows the kernel of that
    assert not unknown_to_jagged(torch.ops.aten.relu.default, (jagged,), {})
    assert sizes_of_nested(nested).tolist() == [[3, 2], [1, 2]]
    assert make_nested_wrapper(AbstractTensor, torch.ones(2)).is_nested


def test_views_have_one_memory() -> None:
    x = torch.ones(4)
    assert memory_of(x) == memory_of(x[1:]) != memory_of(torch.ones(4))
    assert memory_of(torch.eye(3).to_sparse()) == 0


@pytest.mark.filterwarnings("ignore::UserWarning")  # quantised tensors are to go
@pytest.mark.skipif("fbgemm" not in torch.backends.quantized.supported_engines, reason="needs packed weights")
def test_methods_of_packed_weights() -> None:
    weight = torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0, torch.qint8)
    assert "unpack" in methods_of(torch.ops.quantized.linear_prepack(weight, None))


# -- operators ---------------------------------------------------------------------------------------------------------


def test_facts_about_an_operator() -> None:
    add = aten.add_.Tensor
    assert is_overload(add)
    assert not is_overload(aten.add_)
    assert older("2.2") or not is_overload(torch.ops.higher_order.cond)
    assert overload_name(add) == "Tensor"
    schema = schema_of(add)
    assert (schema.name, schema.is_mutable) == ("aten::add_", True)
    assert [argument.name for argument in schema.arguments] == ["self", "other", "alpha"]


def test_composite_operators() -> None:
    assert is_written_in_operators(aten.linear.default)
    assert not is_written_in_operators(aten.addmm.default)


# -- dispatch ----------------------------------------------------------------------------------------------------------


class Notes(DispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func.name())
        return func(*args, **(kwargs or {}))


def test_a_mode_sees_every_operator() -> None:
    with (notes := Notes()):
        torch.ones(2).relu()
    assert notes.seen[-1] == "aten::relu"
    assert isinstance(notes, DispatchMode)
    assert DispatchMode.supports_higher_order_operators
    assert not hasattr(Notes.__torch_dispatch__, "_torchdynamo_disable")  # torch did not wrap it


def test_composites_reach_a_mode_whole_below_autograd() -> None:
    weight = nn.Parameter(torch.ones(3, 3))
    with below_autograd(), (notes := Notes()):
        x = nn.functional.linear(torch.ones(1, 3), weight.view(3, 3))
        weight.view(3, 3).copy_(x.expand(3, 3))
    assert "aten::linear" in notes.seen


def test_what_is_made_below_autograd_can_be_trained_on() -> None:
    weight = nn.Parameter(torch.ones(2))
    with below_autograd():
        assert is_below_autograd()
        table = torch.arange(2).float()
        assert not (weight * table).requires_grad
        with torch.enable_grad():
            assert not (weight * table).requires_grad
    (weight * table).sum().backward()
    assert torch.equal(weight.grad, table)


def test_what_passed_autograd_by_is_undone() -> None:
    def version_of_a_view() -> int:
        x = torch.ones(2, 2)
        x.view(4).add_(1)
        return x._version

    assert version_of_a_view() == 1
    with below_autograd():
        assert version_of_a_view() == 0
    assert version_of_a_view() == 1
    assert torch.is_grad_enabled()
    assert not is_below_autograd()


def test_a_tensor_becomes_like_another() -> None:
    x, like = (
        make_wrapper(AbstractTensor, shape, (1,) * len(shape), dtype=torch.float32, device=torch.device("cpu"))
        for shape in ((2, 1), (2,))
    )
    x.spec, like.spec, x.token, like.token = None, "spec", 0, 1
    with (notes := Notes()):
        become(x, like)
    assert (tuple(x.shape), x.spec, x.token) == ((2,), "spec", 1)
    assert notes.seen == []


def test_modes_are_counted() -> None:
    before = dispatch_modes()
    with (notes := Notes()):
        assert dispatch_modes() == before + 1
        assert running_mode() is notes
    assert dispatch_modes() == before
    assert running_mode() is None
    functions = function_modes()
    with torch.device("cpu"):
        assert function_modes() == functions + 1


def test_a_memory_is_copied_unseen() -> None:
    x = torch.ones(2)
    with (notes := Notes()):
        copied = copy_of_memory(x.untyped_storage())
    assert notes.seen == []
    assert copied.tolist() == x.untyped_storage().tolist()


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_a_memory_is_summed_up_unseen(dtype: torch.dtype) -> None:
    x = torch.tensor([1, 2, 5], dtype=dtype)[1:]
    with (notes := Notes()):
        assert sum_of_memory(x) == 8
    assert notes.seen == []


def test_modes_are_left() -> None:
    before = dispatch_modes()
    with mode_flags_kept():
        Notes().__enter__()
        leave_modes(before)
    assert dispatch_modes() == before


def all_threads(thread: int) -> bool:
    return True


def test_memory_that_is_handed_out_is_told() -> None:
    seen: list[torch.Tensor] = []
    usual, x = torch.Tensor.numpy, torch.ones(2)
    with handed_out(seen.append, all_threads), handed_out(seen.append, all_threads):
        assert x.numpy()[0] == 1
    assert [each is x for each in seen] == [True, True]
    assert torch.Tensor.numpy is usual


def test_storages_are_told_before_their_bytes_change() -> None:
    seen: list[list[int]] = []
    x = torch.tensor([1, 2], dtype=torch.uint8)
    usual = dict(vars(torch.UntypedStorage))
    with handed_out(lambda tensor: seen.append(tensor.tolist()), all_threads):
        x.untyped_storage().resize_(1)
        x[:1].share_memory_()
    assert seen == [[1, 2], [1]]
    assert dict(vars(torch.UntypedStorage)) == usual


@pytest.mark.parametrize("enabled", [False, True])
def test_autocast_is_seen(enabled: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        assert is_autocast_on() is enabled


def test_attention_runs_operator_by_operator() -> None:
    layer, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.ones(1, 3, 8)
    with torch.inference_mode(), attention_unfused(), (notes := Notes()):
        layer(x)
    assert "aten::linear" in notes.seen
    assert has_fast_path()
    with torch.inference_mode(), (fused := Notes()):
        layer(x)
    assert "aten::_transformer_encoder_layer_fwd" in fused.seen


@since("2.3")
def test_the_fused_path_of_attention_is_put_back_as_it_was() -> None:
    with attention_as_it_is():
        assert torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.filterwarnings("ignore:changing options to .torch.compile")  # of torch 2.0, at a second compiler
def test_what_was_compiled_runs_as_before() -> None:
    def refuse(graph: Any, inputs: Any) -> Any:
        raise AssertionError("compiled after all")

    compiled = torch.compile(lambda x: x.relu(), backend=refuse)
    with uncompiled():
        assert compiled(torch.tensor(-1.0)) == 0


@since("2.10")
def test_the_kernel_of_an_operator_that_takes_functions() -> None:
    kernel = kernel_in_python(torch.ops.higher_order.associative_scan)
    (sums,) = kernel(lambda a, b: [a + b], [torch.tensor([1, 2, 3])], ())
    assert sums.tolist() == [1, 3, 6]


# -- calls of modules --------------------------------------------------------------------------------------------------


def test_hooks_on_all_modules() -> None:
    seen: list[Any] = []

    class Named(nn.Module):
        def forward(self, x: int, *, y: int) -> int:
            return x + y

    assert not any_module_hooks()
    with module_hooks(lambda module, args: seen.append(args), lambda *after: seen.append(after[1:])):
        assert any_module_hooks()
        Named()(1, y=2)
    assert seen == [(1,), ((1,), {"y": 2}, 3)]
    assert not any_module_hooks()
    assert not getattr(nn.modules.module, "_global_forward_hooks_with_kwargs", None)


@pytest.mark.parametrize(
    "register",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
def test_hooks_on_one_module(register: str) -> None:
    layer = nn.ReLU()
    assert not any(hooks_of(vars(layer)))
    getattr(layer, register)(lambda *_: None)
    assert sum(map(bool, hooks_of(vars(layer)))) == 1


def double(x: float) -> float:
    return 2 * x


def triple(x: float) -> float:
    return 3 * x


def test_something_is_called_instead() -> None:
    layer, compiled, changed = nn.ReLU(), nn.ReLU(), nn.ReLU()
    compiled._compiled_call_impl = triple
    names = list(vars(layer))
    with calling_instead([vars(each) for each in (layer, compiled, changed)], double):
        assert layer(-1) == compiled(-1) == changed(-1) == -2
        assert torch.equal(call_as_usual(layer, torch.tensor([-1.0])), torch.zeros(1))
        changed._compiled_call_impl = triple
    assert list(vars(layer)) == names
    assert older("2.1") or compiled(-1) == changed(-1) == -3


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=since("2.1"))])
def test_whether_a_module_was_compiled(compiled: bool) -> None:
    layer = nn.ReLU()
    assert not is_compiled(layer)
    assert is_compiled(torch.compile(layer))
    if compiled:
        layer.compile()
    assert is_compiled(layer) is compiled


def test_writes_in_place_are_counted() -> None:
    tensor = torch.zeros(2)
    before = version_of(tensor)
    assert version_of(tensor.add_(1)) == before + 1
    set_version(tensor, before)
    assert version_of(tensor) == before
    with torch.inference_mode():
        assert version_of(torch.zeros(2)) == 0


def test_who_is_called_instead() -> None:
    callers: list[Any] = []
    layer, twin = nn.ReLU(), nn.ReLU.__new__(nn.ReLU)
    with calling_instead([vars(layer)], lambda: callers.append(caller_of_instead())):
        twin.__dict__ = dict(vars(layer))
        layer(), twin()
    assert callers[0] is layer
    assert callers[1] is twin


def test_who_asks_for_alignment() -> None:
    asks: dict[str, Any] = {"__name__": "transformers.integrations.moe"}
    exec("def ask(tensor): return tensor.data_ptr() % 16", asks)
    plain: dict[str, Any] = {"__name__": "mine"}
    exec("def ask(tensor): return tensor.data_ptr() % 16", plain)

    class Tensor:
        def data_ptr(self) -> int:
            return 0 if asked_for_alignment() else 1

    assert (asks["ask"](Tensor()), plain["ask"](Tensor())) == (0, 1)


def test_what_calls_hooks_and_forward() -> None:
    assert method_of_calls(nn.Linear) is nn.Module._call_impl


def test_the_type_of_the_real_part() -> None:
    for dtype in (torch.float32, torch.int64, torch.complex64, torch.complex128):
        assert real_type(dtype) is torch.empty((0,), dtype=dtype).real.dtype


def test_which_releases_crash_on_traced_modules() -> None:
    assert TRACED_NEEDS_MEMORY is older("2.1")


def test_the_version_is_that_of_torch() -> None:
    assert VERSION.split(".")[:2] == torch.__version__.split(".")[:2]


# -- several threads ---------------------------------------------------------------------------------------------------


class Silent(DispatchMode):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


@since("2.7", "older ones remember nothing")
def test_what_torch_remembers_of_modes_is_put_back() -> None:
    one, two = Silent(), Silent()  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    flags = torch.utils._python_dispatch
    with mode_flags_kept():
        one.__enter__()
        two.__enter__()
        one.__exit__(None, None, None)  # as another thread does, which has a stack of its own
        two.__exit__(None, None, None)
        assert flags.is_in_torch_dispatch_mode()
    assert not flags.is_in_torch_dispatch_mode()
    assert dispatch_modes() == 0


def test_modes_come_and_go_quietly() -> None:
    mine, other = Silent(), Silent()  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    with with_mode(mine), with_mode(other):
        assert older("2.7") or not torch.utils._python_dispatch.is_in_torch_dispatch_mode()
        with without_modes(lambda mode: mode is mine) as gone:
            assert gone == [mine]
            assert dispatch_modes() == 1
        assert dispatch_modes() == 2
    assert dispatch_modes() == 0


def test_transformations_of_functions_are_left() -> None:
    seen = []

    def inside(x: torch.Tensor) -> torch.Tensor:
        seen.append(is_transformed(x))
        with without_transforms():
            seen.append(is_transformed(torch.ones(2) + 1))
        seen.append(is_transformed(x + 1))
        return x

    torch.vmap(inside)(torch.ones(3, 2))
    assert seen == [True, False, True]


def test_registrations_are_told() -> None:
    told: list[tuple[str, str]] = []
    dictionary = torch.nn.modules.module._global_parameter_registration_hooks
    with registration_hooks(lambda module, name, value: told.append((type(module).__name__, name))):
        assert torch.nn.modules.module._global_parameter_registration_hooks is not dictionary
        nn.Sequential(nn.BatchNorm1d(2, affine=False)).scale = nn.Parameter(torch.ones(1))  # type: ignore[assignment]
    assert torch.nn.modules.module._global_parameter_registration_hooks is dictionary
    assert told == [
        ("BatchNorm1d", "running_mean"),
        ("BatchNorm1d", "running_var"),
        ("BatchNorm1d", "num_batches_tracked"),
        ("Sequential", "0"),
        ("Sequential", "scale"),
    ]


def test_registration_hooks_of_others_that_come_meanwhile_stay() -> None:
    told: list[str] = []
    with registration_hooks(lambda module, name, value: None):
        nn.modules.module.register_module_parameter_registration_hook(lambda module, name, value: told.append(name))
    nn.Linear(2, 2, bias=False)
    nn.modules.module._global_parameter_registration_hooks.clear()
    assert told == ["weight"]


def test_a_parameter_of_a_class_of_its_own() -> None:
    x = make_wrapper(AbstractTensor, (2, 3), (3, 1), dtype=torch.float16, device=torch.device("cpu"))
    assert not is_parameter(x)
    x._is_param = True
    assert is_parameter(x)


def test_who_asks_a_tensor() -> None:
    def method() -> bool:
        return asked_by_torch()

    assert not method()
    assert eval("method()", {"method": method, "__name__": "torch.functional"})


def test_gradients_tell_who_reads_or_replaces_them() -> None:
    weight, found = nn.Parameter(torch.ones(2)), list[Any]()
    first, me = torch.zeros(2), threading.get_ident()
    weight.grad = first

    def other() -> None:
        assert weight.grad is not None

    with gradient_accesses(lambda tensor, gradient: found.append((tensor, gradient)), lambda thread: thread == me):
        assert weight.grad is first
        weight.grad = None
        del weight.grad
        thread = threading.Thread(target=other)
        weight.grad = first
        found.clear()
        thread.start()
        thread.join()
        assert found == []
        with gradient_accesses(lambda *_: None, lambda _: True):
            assert weight.grad is first
        assert [(tensor is weight, gradient is first) for tensor, gradient in found] == [(True, True)]
    assert "grad" not in vars(torch.Tensor)
    assert weight.grad is first


def test_torch_asks_to_refuse_a_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bool] = []
    ours = {"__name__": "thoplw.capture", "asked_by_a_check": asked_by_a_check, "found": found}
    monkeypatch.setattr(torch, "any", eval("lambda negative: found.append(asked_by_a_check())", ours))
    nn.functional.gaussian_nll_loss(*torch.ones(3, 2))
    torch.any(torch.ones(2))
    assert found == [True, False]


@since("2.3")
def test_tensors_that_are_swapped_know_of_each_other() -> None:
    met = list[torch.Tensor | None]()

    class Shown(torch.Tensor):
        @property
        def __class__(self) -> type:
            return Shown

        @__class__.setter
        def __class__(self, cls: type) -> None:
            met.append(swapped_with(self))

    one, other = torch.empty(2).as_subclass(Shown), torch.empty(3).as_subclass(Shown)
    one.__class__ = Shown  # type: ignore[assignment] # as anybody may
    assert met == [None]
    torch.utils.swap_tensors(one, other)
    assert met[1] is other
    assert met[2] is one


# -- switches ----------------------------------------------------------------------------------------------------------


def test_every_switch_takes_what_it_gives() -> None:
    before = [get() for get, _ in SWITCHES]
    for get, put in SWITCHES:
        put(get())
    # Where a precision of a part is set, torch no longer counts it as that of the whole.
    assert [get() for get, put in SWITCHES] == before


def test_switches_that_are_true_or_false_can_be_turned() -> None:
    turned = 0
    for get, put in SWITCHES:
        if type(before := get()) is bool:
            put(not before)
            turned += get() is not before
            put(before)
            assert get() is before
    assert turned > 10


# -- gradients ---------------------------------------------------------------------------------------------------------


@since("2.2")
def test_nodes_are_numbered_as_they_are_made() -> None:
    x = torch.ones(2, requires_grad=True)
    first = next_node_number()
    y = x * 2
    assert next_node_number() == first + 1
    assert number_of_node(y.grad_fn) == first
    assert number_of_node(torch.autograd.graph.get_gradient_edge(x).node) > next_node_number()


def test_a_backward_pass_tells_which_node_is_evaluated() -> None:
    x = torch.ones(2, requires_grad=True)
    seen = []
    y = x.exp()
    assert (graph_task(), current_node()) == (-1, None)
    x.register_hook(lambda _: seen.append((graph_task() >= 0, current_node() is None)))
    y.sum().backward()
    assert seen[0][0]


@since("2.4")
def test_a_gradient_is_told_that_autograd_needs_elsewhere() -> None:
    found = []

    class Look(DispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if graph_task() >= 0 and func is torch.ops.aten.add.Tensor:
                found.append(is_held_once(args[0]))
            return func(*args, **(kwargs or {}))

    def of_its_own(x: torch.Tensor) -> torch.Tensor:
        y = x.cos()
        return y * 3 + y * 2

    def that_another_waits_for(x: torch.Tensor) -> torch.Tensor:
        earlier, y = x.sin(), x.cos()
        return y * 3 + (y + earlier)  # a sum gives both the same gradient

    for way in (of_its_own, that_another_waits_for):
        found.clear()
        loss = way(torch.ones(2, requires_grad=True)).sum()
        with Look():
            loss.backward()
        assert found[0] is (way is of_its_own)


def test_keep_busy_is_a_kernel_of_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(torch.cuda._sleep)
    asked: list[int] = []
    monkeypatch.setattr(torch.cuda, "_sleep", asked.append)
    keep_busy(1000)
    assert asked == [1000]


def test_backward_passes_are_told_with_whether_they_make_a_graph() -> None:
    made: list[bool] = []

    @contextmanager
    def around(create_graph: bool) -> Iterator[None]:
        made.append(create_graph)
        yield

    x = torch.ones(2, requires_grad=True)
    with backward_passes(around):
        x.exp().sum().backward()
        torch.autograd.grad(x.exp().sum(), x, create_graph=True)
        torch.autograd.backward(x.exp().sum(), create_graph=False)
    x.exp().sum().backward()
    assert made == [False, True, False]


def test_derivatives_are_told_in_either_direction() -> None:
    made: list[bool] = []

    @contextmanager
    def around(create_graph: bool) -> Iterator[None]:
        made.append(create_graph)
        yield

    def both() -> None:
        with torch.autograd.forward_ad.dual_level():
            x = torch.ones(2, requires_grad=True)
            torch.autograd.grad(x.exp().sum(), x, create_graph=True)

    with derivatives(around):
        both()
    both()
    assert made == [False, True]


def test_transformations_of_functions_are_told_apart() -> None:
    inside: list[bool] = []
    torch.func.grad(lambda x: inside.append(in_transforms()) or x * 2)(torch.ones(()))
    assert (inside, in_transforms()) == ([True], False)


@since("2.3", "the compiler takes the hooks away before")
def test_steps_of_optimizers_are_told() -> None:
    told: list[object] = []
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    with optimizer_steps(lambda each, *_: told.append(each), lambda *_: told.append("done")):
        optimizer.step()
    optimizer.step()
    assert told == [optimizer, "done"]


@since("2.1")
def test_a_recomputation_that_stops_early_is_told() -> None:
    told: list[bool] = []
    x = torch.ones(2, 2, requires_grad=True)
    with recomputations_stopped(lambda: told.append(True)):
        checkpoint(lambda y: (y @ y).exp() @ y, x, use_reentrant=False).sum().backward()
    assert told
    assert "__init__" not in vars(torch.utils.checkpoint._StopRecomputationError)


@since("2.3")
def test_exchanged_tensors_are_each_other_but_for_identity() -> None:
    weight, other = torch.nn.Parameter(torch.ones(3)), torch.zeros(2)
    exchange(weight, other)
    assert (weight.tolist(), weight.requires_grad, other.tolist()) == ([0, 0], False, [1, 1, 1])
    exchange(weight, other)
    assert (weight.tolist(), weight.requires_grad) == ([1, 1, 1], True)


@since("2.3")
def test_what_scales_losses_is_a_class_of_torch() -> None:
    assert isinstance(torch.amp.GradScaler("cpu", enabled=False), GradScaler)


@since("2.4")
def test_optimizers_work_on_lists_if_told_so() -> None:
    weights = [torch.ones(2, requires_grad=True)]
    assert _default_to_fused_or_foreach(weights, differentiable=False) == (False, False)
    with foreach_on_cpu():
        assert _default_to_fused_or_foreach(weights, differentiable=False) == (False, True)
    assert _default_to_fused_or_foreach(weights, differentiable=False) == (False, False)


@since("2.4")
def test_composites_call_other_kernels() -> None:
    x, answers = torch.ones(2, requires_grad=True), [True]
    kernels = {"dropout": lambda x, p, train: x * 3 if train else NotImplemented}
    with kernels_instead(kernels, lambda: answers[0]):
        assert torch.dropout(x, 1.0, True).tolist() == [3, 3]
        assert torch.dropout(x, 1.0, False).tolist() == [1, 1]
        answers[0] = False
        assert torch.dropout(x, 1.0, True).tolist() == [0, 0]
    assert torch.dropout(x, 1.0, True).tolist() == [0, 0]


class Branches(DispatchMode):  # type: ignore[no-untyped-call] # torch leaves its dispatch modes untyped
    """Takes the first branch of ``torch.cond``, as plain Python."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.higher_order.cond:
            return args[1](*args[3])
        return func(*args, **(kwargs or {}))


@since("2.6", "what it is called with is another before")
def test_control_flow_reaches_a_mode_before_autograd() -> None:
    cond, layer, x = torch.ops.higher_order.cond, nn.Linear(2, 2), torch.ones(1, 2)
    before = dict(cond.py_kernels)
    for when in (True, False):
        with flows_before_autograd(["cond", "no_such_flow"], lambda when=when: when), Branches():
            assert cond(torch.tensor(True), layer, layer, (x,)).requires_grad == when
    assert dict(cond.py_kernels) == before


@since("2.14", "its check goes by another name")
def test_flex_attention_is_not_refused_for_the_cpu() -> None:
    from torch.nn.attention import flex_attention

    check, q = flex_attention._validate_device, torch.ones(1, 1, 4, 4, requires_grad=True)
    for when in (True, False):
        with flex_attention_trained(lambda when=when: when, lambda query, score_mod: ()):
            if when:
                flex_attention._validate_device(q, q, q)
                continue
            with pytest.raises(NotImplementedError, match="backward on CPU"):
                flex_attention._validate_device(q, q, q)
    assert flex_attention._validate_device is check


def test_assignments_of_data_are_noted() -> None:
    noted: list[Any] = []
    weight, x = nn.Parameter(torch.zeros(2)), torch.ones(2)
    with data_assignments(lambda tensor, data: noted.append((tensor, data))):
        weight.data = x
        assert weight.data.tolist() == [1, 1]
    weight.data = torch.zeros(2)
    assert len(noted) == 1
    assert noted[0][0] is weight
    assert noted[0][1] is x
    assert "data" not in vars(torch.Tensor)


def test_assignments_of_data_are_noted_again_after_a_run_inside_of_a_run() -> None:
    noted: list[str] = []
    weight = nn.Parameter(torch.zeros(2))
    with data_assignments(lambda *_: noted.append("outer")):
        with data_assignments(lambda *_: noted.append("inner")):
            weight.data = torch.ones(2)
        weight.data = torch.zeros(2)
    assert noted == ["outer", "inner", "outer"]
    assert "data" not in vars(torch.Tensor)


def test_autocast_at_the_call_that_a_mode_handles() -> None:
    seen: list[Any] = []

    class Asking(DispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(autocast_around())
            output = func(*args, **(kwargs or {}))
            with autocast_of_parts():
                seen.append(torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype)
            return output

    with Asking(), torch.autocast("cpu", dtype=torch.bfloat16):
        torch.ones(2)
    assert seen == [torch.bfloat16, torch.bfloat16]
    seen.clear()
    with Asking():
        torch.ones(2)
    assert seen[0] is None


def test_operators_whose_arguments_autocast_casts() -> None:
    assert is_cast(torch.ops.aten.linear.default)
    assert not is_cast(torch.ops.aten.einsum.default)  # but those of its pieces


def test_who_traces_a_function_is_refused() -> None:
    def refuse() -> None:
        raise InputError("no traces")

    from torch.fx.experimental.proxy_tensor import make_fx

    with traces_refused(refuse), pytest.raises(InputError, match="no traces"):
        make_fx(torch.relu)(torch.ones(2))
    assert make_fx(torch.relu)(torch.ones(2)).code
