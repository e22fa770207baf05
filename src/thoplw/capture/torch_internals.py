"""Every private name of torch that is used here, and every public one that releases of torch do not all have.

Each stands behind a plain name that says what it is for and since which release of torch it exists: "since 2.0" means
that the oldest release that thoplw runs with has it. So a release that renames one breaks this file, in its tests, and
nothing else. Where an older release lacks something, a stand-in follows the words "needed up to": it can go with the
last release that needs it. Which of the two is used is decided when this is imported, so that the newest pays nothing.

What the forwards of torch's layers read is not here but in :data:`thoplw.capture.layer_cache.LAYERS`.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial, wraps
from importlib import import_module
from inspect import signature
from operator import itemgetter
from types import FrameType
from typing import Any

import torch
import torch.nn.modules.module as module_globals
import torch.optim.optimizer as optimizer_globals
import torch.overrides
import torch.utils._device as device_globals
import torch.utils._python_dispatch as dispatch_globals
import torch.utils.checkpoint
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode, _pop_mode

from thoplw.errors import message_of

#: Which release of torch this is.
VERSION = str(torch.__version__)

# -- tensors -----------------------------------------------------------------------------------------------------------

#: ``make_wrapper(cls, shape, strides, dtype=, device=)``: makes a tensor of a subclass, without storage. Since 2.0.
make_wrapper: Callable[..., Any] = torch.Tensor._make_wrapper_subclass


def wrapper_arguments(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Any, ...]:
    """The ``arguments`` of ``make_wrapper(cls, *arguments)``: names would take a quarter more time. Since 2.0."""
    return shape, strides, None, None, dtype, torch.strided, device  # offset and memory format are the usual ones


#: As ``__torch_function__`` of a class, it makes torch's functions take its tensors as plain ones. Since 2.0.
no_torch_function: Any = torch._C._disabled_torch_function_impl


_COMPRESSED = frozenset({torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc})

#: The layouts of tensors that store some of their elements. Since 2.0.
SPARSE: frozenset[torch.layout] = _COMPRESSED | {torch.sparse_coo}


def stored_in(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the indices and values of a sparse tensor; of a dense one, the tensor itself. Since 2.0."""
    if tensor.layout is torch.sparse_coo:
        return tensor._indices(), tensor._values()
    if tensor.layout in _COMPRESSED:
        by_rows = tensor.layout in (torch.sparse_csr, torch.sparse_bsr)
        places = (
            (tensor.crow_indices(), tensor.col_indices()) if by_rows else (tensor.ccol_indices(), tensor.row_indices())
        )
        return *places, tensor.values()
    return (tensor,)


def stored_elements(tensor: torch.Tensor) -> int:
    """Return how many elements a tensor without strides stores; a sparse one stores some. Since 2.0."""
    if tensor.layout is torch.sparse_coo:
        return tensor._values().numel()
    return tensor.values().numel() if tensor.layout in _COMPRESSED else tensor.numel()


def version_of(tensor: torch.Tensor) -> int:
    """Return how many times a tensor was written to in place, which inference mode does not count. Since 2.0."""
    return 0 if tensor.is_inference() else tensor._version


def set_version(tensor: torch.Tensor, version: int) -> None:
    """Have a tensor count as written to so many times, as autograd compares it before a backward. Since 2.0."""
    if not tensor.is_inference():
        try:
            torch._C._autograd._unsafe_set_version_counter((tensor,), (version,))
        except TypeError:  # it took one tensor before it took many
            torch._C._autograd._unsafe_set_version_counter(tensor, version)  # type: ignore[arg-type] # as above


def memory_of(tensor: torch.Tensor) -> int:
    """Return a number that all views of one memory share; 0 for a tensor without memory. Since 2.0."""
    try:
        # A subclass may refuse to give its own.
        return int(torch.Tensor.untyped_storage(tensor)._cdata)
    except (NotImplementedError, RuntimeError):  # sparse, for instance
        return 0


#: How torch says that something reads the memory of a tensor without memory. Since 2.2, and since 2.0.
_NO_MEMORY = ("data is not allocated yet", "an invalid python storage", "Cannot access data pointer of")


def lacks_memory(error: Exception) -> bool:
    """Whether torch raised this because a tensor has no memory. Since 2.0."""
    # Not isinstance(): that asks an error for its class, and one of a model may refuse to tell it.
    return issubclass(type(error), RuntimeError) and any(words in message_of(error) for words in _NO_MEMORY)


#: How torch says that a tensor has no gradients: ``register_hook``, ``retain_grad`` and ``register_multi_grad_hook``.
_NO_GRADIENTS = (
    "cannot register a hook on a tensor that doesn't require gradient",
    "can't retain_grad on Tensor that has requires_grad=False",
    "Expected gradient function to be set",
)


def lacks_gradients(error: Exception) -> bool:
    """Whether torch raised this because a tensor whose gradient was asked for does not require one. Since 2.0."""
    return issubclass(type(error), (RuntimeError, AssertionError)) and message_of(error).startswith(_NO_GRADIENTS)


def constructs_subclass(error: Exception) -> bool:
    """Whether torch raised this because a mode is on, and the constructor of a class of tensors was called. Since 2.0.

    It makes a plain tensor first, which the mode has handed to Python when it is to become one of the class.
    """
    said = "Creating a new Tensor subclass", "dispatch_on_subclass called with NO overloaded args"
    return issubclass(type(error), RuntimeError) and any(words in message_of(error) for words in said)


def reads_values(error: NotImplementedError) -> bool:
    """Whether torch raised this because an operator reads a value that does not exist. Since 2.0, up to 2.3."""
    return "aten::_local_scalar_dense" in str(error)


def is_jagged(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a jagged one: a subclass that keeps rows of all lengths in one tensor. Since 2.1."""
    return tensor.layout is _JAGGED


_JAGGED = getattr(torch, "jagged", None)


def rows_of(jagged: Any) -> torch.Tensor:
    """Return the rows of a jagged tensor, one after the other. Since 2.1."""
    rows: torch.Tensor = jagged._values
    return rows


def unknown_to_jagged(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the class of jagged tensors does not know how to run an operator.

    Releases since 2.7 then take the operator apart, if it is written in others; older ones refuse it. Since 2.1.
    """
    from torch.nested._internal.ops import lookup_jagged

    if lookup_jagged(func, *args, **kwargs) is not None:
        return False
    own_kernel = torch._C.DispatchKey.CompositeImplicitAutogradNestedTensor
    return not torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), own_kernel)


def sizes_of_nested(nested: torch.Tensor) -> torch.Tensor:
    """``[N, rank]``: the shapes of the tensors inside a nested one without a shape. Since 2.0."""
    return nested._nested_tensor_size()


def make_nested_wrapper(cls: Any, like: torch.Tensor) -> Any:
    """Make a tensor of a subclass that claims to be nested, and asks the mode for its sizes. Since 2.1."""
    return make_wrapper(
        cls,
        like.shape,
        dtype=like.dtype,
        device=like.device,
        dispatch_sizes_strides_policy="sizes",
        _extra_dispatch_keys=torch._C.DispatchKeySet(torch._C.DispatchKey.NestedTensor),
    )


def with_other_rows(jagged: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Make a jagged tensor with other rows. Both share their lengths, so that they can be combined. Since 2.3."""
    names, context = jagged.__tensor_flatten__()
    inner = {
        name: change(value) if value is rows_of(jagged) else value
        for name in names
        for value in [getattr(jagged, name)]
    }
    other: torch.Tensor = type(jagged).__tensor_unflatten__(inner, context, jagged.size(), jagged.stride())
    return other


def become(tensor: torch.Tensor, other: torch.Tensor) -> None:
    """Give a tensor the shape, strides and dtype of another, without any mode. Since 2.0."""
    with no_dispatch():
        tensor.data = other


def alias_of(sparse: torch.Tensor) -> torch.Tensor:
    """Return a sparse tensor of the same memory, made without any mode. Since 2.0."""
    with no_dispatch():
        if sparse.layout is torch.sparse_coo:
            return sparse.detach()
        # Its parts are others, too, or an operator that resizes one resizes both.
        places, indices, values = (part.detach() for part in stored_in(sparse))
        shape, layout = list(sparse.shape), sparse.layout
        # It was checked when it was made; without a word about that, torch warns.
        return torch.sparse_compressed_tensor(places, indices, values, shape, layout=layout, check_invariants=False)


def sparse_back(sparse: torch.Tensor, before: torch.Tensor) -> None:
    """Give a sparse tensor the elements that another stores, without any mode. Since 2.0."""
    with no_dispatch(), torch.no_grad():
        if sparse.layout is torch.sparse_coo:
            sparse.data = before
        else:  # to assign .data does nothing
            sparse.resize_as_sparse_(before).copy_(before)


def is_parameter(tensor: torch.Tensor) -> bool:
    """Whether a tensor of a subclass was made a parameter. Since 2.0."""
    return bool(getattr(tensor, "_is_param", False))


def bytes_of(owner: Any) -> torch.Tensor:
    """Return a tensor as it is, and of a storage one of its bytes, which no mode sees. Since 2.0."""
    if isinstance(owner, torch.Tensor):
        return owner
    with no_dispatch():
        return torch.empty(0, dtype=torch.uint8, device=owner.device).set_(owner)


def _put_back(cls: type, name: str, before: Any) -> None:
    """Give a class the attribute that it had itself, or leave that of its base class: most of torch's are there."""
    if before is not None:
        setattr(cls, name, before)
    elif name in vars(cls):
        delattr(cls, name)


@contextmanager
def _shown(name: str, attribute: property) -> Iterator[None]:
    """Let tensors have another property in place of one of theirs, which may be that of a run around this one."""
    before = vars(torch.Tensor).get(name)
    setattr(torch.Tensor, name, attribute)
    try:
        yield
    finally:
        _put_back(torch.Tensor, name, before)


class _TellingMethods:
    """Methods that hand out memory or change it, and that tell some runs before they do."""

    def __init__(self, *methods: tuple[type, str]) -> None:
        self.listeners: list[tuple[Callable[[torch.Tensor], None], Callable[[int], bool]]] = []
        self.lock = threading.Lock()
        self._methods = [(cls, name, vars(cls).get(name), self._telling(getattr(cls, name))) for cls, name in methods]

    def _telling(self, method: Any) -> Any:
        """Return the same method, which tells the runs before it answers."""

        @wraps(method)
        def tell(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
            me = threading.get_ident()
            for note in [note for note, belongs in self.listeners if belongs(me)]:
                note(bytes_of(owner))
            return method(owner, *args, **kwargs)

        return tell

    def enter(self) -> None:
        """Put the methods in place."""
        for cls, name, _, telling in self._methods:
            setattr(cls, name, telling)

    def leave(self) -> None:
        """Restore torch's own methods, most of which belong to a base class."""
        for cls, name, before, _ in self._methods:
            _put_back(cls, name, before)


_telling_methods = _TellingMethods(
    (torch.Tensor, "numpy"),
    (torch.Tensor, "__dlpack__"),
    *(
        (torch.UntypedStorage, name)
        for name in ("resize_", "byteswap", "_share_fd_cpu_", "_share_filename_cpu_")
        if hasattr(torch.UntypedStorage, name)
    ),
)


@contextmanager
def handed_out(note: Callable[[torch.Tensor], None], belongs: Callable[[int], bool]) -> Iterator[None]:
    """Call ``note(tensor)`` before memory can change without an operator, in threads of the run. Since 2.0.

    A tensor gives it to NumPy, for anybody to write to; or a storage gets another size, order of bytes, or place that
    processes share. Of a storage, ``note`` gets a tensor of its bytes.
    """
    listener = note, belongs
    try:
        with _telling_methods.lock:
            _telling_methods.listeners.append(listener)
            if len(_telling_methods.listeners) == 1:
                _telling_methods.enter()
        yield
    finally:
        with _telling_methods.lock:
            if listener in _telling_methods.listeners:
                _telling_methods.listeners.remove(listener)
            if not _telling_methods.listeners:
                _telling_methods.leave()


@contextmanager
def data_assignments(note: Callable[[torch.Tensor, torch.Tensor], None]) -> Iterator[None]:
    """Call ``note(tensor, data)`` after each ``tensor.data = data``, of which no operator tells. Since 2.0."""
    plain: Any = torch.Tensor.data

    def assign(tensor: torch.Tensor, data: torch.Tensor) -> None:
        plain.__set__(tensor, data)
        note(tensor, data)

    with _shown("data", property(plain.__get__, assign)):
        yield


def _caller_beyond(passes: Callable[[str], bool]) -> FrameType | None:
    """Return the frame that called the asking function, past those of files whose names ``passes`` knows."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and passes(str(frame.f_globals.get("__name__", ""))):
        frame = frame.f_back
    return frame


#: Files of torch through which ``make_fx`` goes.
_TRACERS = frozenset({"torch.fx.experimental.proxy_tensor", "torch._compile", "contextlib"})


@contextmanager
def traces_refused(refuse: Callable[[], None]) -> Iterator[None]:
    """Call ``refuse()`` after ``make_fx`` traced a function, unless an operator that takes functions asked. Since 2.0.

    Torch keeps the mode that traces below all other modes, so that it sees nothing of what these answer. An error
    before the trace would be lost, as ``make_fx`` reads the graph on its way out.
    """
    tracing: Any = sys.modules.get("torch.fx.experimental.proxy_tensor")
    if tracing is None:
        yield
        return
    plain = tracing.dispatch_trace

    @wraps(plain)
    def trace(*args: Any, **kwargs: Any) -> Any:
        frame = _caller_beyond(_TRACERS.__contains__)
        asks = "" if frame is None else str(frame.f_globals.get("__name__"))
        try:
            return plain(*args, **kwargs)
        finally:
            if not asks.startswith("torch._higher_order_ops"):
                refuse()

    tracing.dispatch_trace = trace
    try:
        yield
    finally:
        tracing.dispatch_trace = plain


@contextmanager
def gradient_accesses(
    note: Callable[[torch.Tensor, torch.Tensor | None], None], belongs: Callable[[int], bool]
) -> Iterator[None]:
    """Call ``note(tensor, gradient)`` before a thread of the run reads or replaces ``tensor.grad``. Since 2.0.

    So nobody has to read gradients before and after the run. Torch replaces them during a backward pass without holding
    any lock of Python: to read one while another thread trains the model may end the process.
    """
    plain: Any = torch.Tensor.grad

    def read(tensor: torch.Tensor) -> torch.Tensor | None:
        gradient: torch.Tensor | None = plain.__get__(tensor)
        if belongs(threading.get_ident()):
            note(tensor, gradient)
        return gradient

    def replace(tensor: torch.Tensor, gradient: torch.Tensor | None) -> None:
        if belongs(threading.get_ident()):
            note(tensor, plain.__get__(tensor))
        plain.__set__(tensor, gradient)

    with _shown("grad", property(read, replace, lambda tensor: replace(tensor, None))):
        yield


_LATE_HOOKS = "_post_accumulate_grad_hooks"

#: What scales losses in reduced precision. Since 2.0, and up to 2.2 for CUDA only.
GradScaler: type = torch.amp.GradScaler if hasattr(torch.amp, "GradScaler") else torch.cuda.amp.GradScaler

#: Where a tensor keeps the user's hooks. Since 2.1; 2.0 has only the first, so it is named twice.
TENSOR_HOOKS = ("_backward_hooks", _LATE_HOOKS if hasattr(torch.Tensor, _LATE_HOOKS) else "_backward_hooks")


def copy_of_memory(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    """Return a copy, without any mode. Since 2.0."""
    with no_dispatch():
        return storage.clone()  # type: ignore[no-untyped-call,no-any-return] # torch's own gap


def sum_of_memory(tensor: torch.Tensor) -> int:
    """Return the sum of the memory of a tensor, read as whole numbers, without any mode. Since 2.0."""
    storage = tensor.untyped_storage()
    many, rest = divmod(storage.nbytes(), 4)
    with no_dispatch():
        numbers = torch.empty(0, dtype=torch.uint8 if rest else torch.int32, device=tensor.device)
        numbers.set_(storage, 0, (storage.nbytes() if rest else many,))  # type: ignore[call-overload] # torch's own gap
        return int(numbers.sum(dtype=torch.int64))


#: Whether a traced module crashes the process on tensors without memory, as it does up to 2.0. Since 2.0.
TRACED_NEEDS_MEMORY: bool = not hasattr(torch, "compiler")


def real_type(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of the real part of numbers of a dtype. Since 2.0; ``dtype.to_real()`` since 2.1."""
    return _REAL_TYPES.get(dtype, dtype)


_REAL_TYPES = {
    torch.complex32: torch.float16,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}


def methods_of(packed: Any) -> tuple[str, ...]:
    """Return the names of the methods of a C++ object, such as packed weights. Since 2.0."""
    return tuple(packed._method_names())


# -- operators ---------------------------------------------------------------------------------------------------------


def is_overload(func: Any) -> bool:
    """Whether this is an operator as kernels have it, such as ``torch.ops.aten.add.Tensor``. Since 2.0.

    Operators that take functions, such as flex attention, are not.
    """
    return isinstance(func, torch._ops.OpOverload)


def schema_of(func: Any) -> Any:
    """Return the schema of an operator: its ``name`` (``aten::add``), its ``arguments``, ``is_mutable``. Since 2.0."""
    return func._schema


def overload_name(func: Any) -> str:
    """Return the name of an overload: ``Tensor`` of ``torch.ops.aten.add.Tensor``. Since 2.0."""
    return str(func._overloadname)


def is_written_in_operators(func: Any) -> bool:
    """Whether an operator is composite: written in terms of others, which ``func.decompose`` gives. Since 2.0."""
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    if key in func.py_kernels:
        return True
    name = func.name()  # ``aten::sym_size``, for example, is one of TorchScript, and has no kernel
    return torch._C._dispatch_has_kernel(name) and torch._C._dispatch_has_kernel_for_dispatch_key(name, key)


def kernel_in_python(func: Any) -> Callable[..., Any]:
    """Return the kernel of an operator that takes functions, a Python function of other operators. Since 2.6."""
    kernel: Callable[..., Any] = func.py_kernels[torch._C.DispatchKey.CompositeExplicitAutograd]
    return kernel


# -- dispatch ----------------------------------------------------------------------------------------------------------


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves its modes untyped
    """A mode that gets every operator, also those that take functions. Since 2.0."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave the mode as it is: torch would wrap it against the compiler, importing that, and on every operator.

        Releases before 2.9 do not ask.
        """
        return False


_MODE_FLAGS = [name for name in vars(dispatch_globals) if name.startswith("_is_in_")]


@contextmanager
def mode_flags_kept() -> Iterator[None]:
    """Restore torch's flag, one for all threads, that tells whether there are modes. Since 2.7.

    Each mode keeps what it found and puts it back, which goes wrong where modes of two threads overlap: left last, the
    second puts back that there is one.
    """
    before = {name: getattr(dispatch_globals, name) for name in _MODE_FLAGS}
    try:
        yield
    finally:
        vars(dispatch_globals).update(before)
        tell = getattr(dispatch_globals, "set_is_in_mode_without_ignore_compile_internals", None)
        if tell is not None:
            tell(before["_is_in_any_mode_without_ignore_compile_internals"])


@contextmanager
def with_mode(mode: Any) -> Iterator[None]:
    """Give a mode the operators of this thread, and let no other thread notice. Since 2.0."""
    dispatch_globals._push_mode(mode)
    try:
        yield
    finally:
        dispatch_globals._pop_mode()


@contextmanager
def without_modes(unwanted: Callable[[Any], bool]) -> Iterator[list[Any]]:
    """Take some dispatch modes of this thread off the stack, and return them. Since 2.0."""
    stack = dispatch_globals._get_current_dispatch_mode_stack()
    chosen = list(filter(unwanted, stack))
    if not chosen:
        yield chosen
        return
    kept = [mode for mode in stack if mode not in chosen]
    _replace_modes(kept)
    try:
        yield chosen
    finally:
        _replace_modes(stack)


def _replace_modes(modes: list[Any]) -> None:
    while dispatch_modes():
        dispatch_globals._pop_mode()
    for mode in modes:
        dispatch_globals._push_mode(mode)


@contextmanager
def without_transforms() -> Iterator[None]:
    """Leave the transforms ``vmap``, ``grad`` and their like. Since 2.0."""
    if not in_transforms():
        yield
        return
    from torch._functorch import pyfunctorch

    with ExitStack() as undo:
        if hasattr(pyfunctorch, "temporarily_clear_interpreter_stack"):
            undo.enter_context(pyfunctorch.temporarily_clear_interpreter_stack())
        while torch._C._functorch.peek_interpreter_stack() is not None:  # needed up to 2.0
            undo.enter_context(pyfunctorch.temporarily_pop_interpreter_stack())
        yield


def in_transforms() -> bool:
    """Whether ``vmap``, ``grad`` or their like are on. Since 2.0."""
    return torch._C._functorch.peek_interpreter_stack() is not None


#: Whether a tensor belongs to ``vmap``, ``grad`` or their like, and has no memory of its own. Since 2.0.
is_transformed: Callable[[torch.Tensor], bool] = torch._C._functorch.is_functorch_wrapped_tensor


@contextmanager
def below_autograd() -> Iterator[None]:
    """Make operators skip autograd, as in inference mode, but return ordinary tensors. Since 2.0.

    Composite operators then reach a dispatch mode whole. A tensor made in inference mode is refused by every later
    training step, and a model may keep one: a table of positions in a cache, say.
    """
    with torch.no_grad(), _past_autograd():
        yield


@contextmanager
def _past_autograd_by_hand() -> Iterator[None]:
    """Skip the kernels that compute gradients, and those that count changes in place. Needed up to 2.0."""
    guards: Any = torch._C
    outer = guards._AutoDispatchBelowAutograd()
    inner = guards.ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.ADInplaceOrView))
    try:
        yield
    finally:
        del inner
        del outer


_past_autograd: Any = getattr(torch._C, "_AutoDispatchBelowADInplaceOrView", _past_autograd_by_hand)


#: ``is_below_autograd()``: whether operators skip autograd now. Since 2.0.
is_below_autograd: Callable[[], bool] = partial(
    torch._C._dispatch_tls_is_dispatch_key_excluded, torch._C.DispatchKey.AutogradFunctionality
)


#: ``dispatch_modes()``: how many modes get every operator now. Since 2.0.
dispatch_modes: Callable[[], int] = torch._C._len_torch_dispatch_stack

#: ``running_mode()``: the mode that gets the next operator, or ``None``. Since 2.0.
running_mode: Callable[[], Any] = _get_current_dispatch_mode


def leave_modes(count: int) -> None:
    """Leave all modes that get every operator, except the first ``count``. Since 2.0."""
    while dispatch_modes() > count:
        mode = running_mode()  # held, as torch up to 2.2 ends the process where nobody else holds it
        _pop_mode()
        del mode


#: ``function_modes()``: how many modes get every function of torch now. Since 2.0.
function_modes: Callable[[], int] = torch._C._len_torch_function_stack

#: ``is_autocast_on()``: whether functions choose the dtype that they compute in, on any device. Since 2.0.
is_autocast_on: Callable[[], bool] = torch._C._is_any_autocast_enabled

_AUTOCAST = torch._C.DispatchKey.AutocastCPU


def is_cast(func: Any) -> bool:
    """Whether autocast casts what an operator is given on the CPU, and nothing within it. Since 2.0."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "AutocastCPU"))


def autocast_around() -> torch.dtype | None:
    """Return the dtype that autocast casts to on the CPU where the operator was called that a mode handles. Since 2.0.

    In the handler of a mode it is off, so that the state at the call is restored for a moment.
    """
    if not _autocast_depth():
        return None
    at_call: Any = torch._C  # torch leaves this guard out of its types
    with at_call._RestorePythonTLSSnapshot():
        if torch._C._dispatch_tls_is_dispatch_key_excluded(_AUTOCAST):
            return None
    since_2_4 = hasattr(torch, "get_autocast_dtype")
    return torch.get_autocast_dtype("cpu") if since_2_4 else torch.get_autocast_cpu_dtype()


@contextmanager
def autocast_of_parts() -> Iterator[None]:
    """Have autocast cast what operators are given that the handler of a mode calls, on the CPU. Since 2.0."""
    torch._C._dispatch_tls_set_dispatch_key_excluded(_AUTOCAST, False)
    try:
        yield
    finally:
        torch._C._dispatch_tls_set_dispatch_key_excluded(_AUTOCAST, True)


@contextmanager
def attention_unfused() -> Iterator[None]:
    """Make attention layers of torch run their operators one by one. Since 2.0."""
    with _unfused():
        yield


@contextmanager
def attention_as_it_is() -> Iterator[None]:
    """Restore whether attention layers may take their fused path. Since 2.0; up to 2.2 nothing can switch it."""
    with _switched(None) if _HAS_SWITCH else nullcontext():
        yield


@contextmanager
def _switched(on: bool | None) -> Iterator[None]:
    """Set whether attention layers may take their fused path; ``None`` leaves it to what runs inside. Since 2.3."""
    before = torch.backends.mha.get_fastpath_enabled()
    if on is not None:
        torch.backends.mha.set_fastpath_enabled(on)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _with_functions_of_others() -> Iterator[None]:
    """Make attention layers believe that their tensors are of a subclass, as there is no switch.

    Needed up to 2.2.
    """
    overrides: Any = torch.overrides
    before = overrides.has_torch_function

    def has_torch_function(tensors: Any) -> bool:
        asks = str(sys._getframe(1).f_globals.get("__name__"))
        return asks in ("torch.nn.modules.activation", "torch.nn.modules.transformer") or before(tensors)

    overrides.has_torch_function = has_torch_function
    try:
        yield
    finally:
        overrides.has_torch_function = before


_HAS_SWITCH = hasattr(torch.backends, "mha")
_unfused = partial(_switched, False) if _HAS_SWITCH else _with_functions_of_others


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run compiled code as it was before, and code that is compiled meanwhile too. Since 2.0.

    ``torch.cond`` and flex attention, for instance, compile themselves when they are called.
    """
    with ExitStack() as undo:
        # Nothing can have been compiled before the compiler was imported, which takes a second.
        if "torch._dynamo" in sys.modules:
            undo.enter_context(_eager())
            # A compiled submodule warns that global hooks fire once more, for its wrapper, which is a module too.
            undo.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "Using `torch.compile.module.` when there are global hooks")
        else:
            undo.callback(setattr, torch, "compile", torch.compile)
            torch.compile = _compile_later(undo)
        rules = _rules_of_cond()
        undo.callback(rules.update, dict(rules))
        rules.update({key: _of_functions(rule) for key, rule in rules.items()})
        yield


def _rules_of_cond() -> dict[Any, Callable[..., Any]]:
    """The rule of ``vmap`` and its like for ``torch.cond``, which exists since 2.1."""
    rules: dict[Any, Callable[..., Any]] = getattr(getattr(torch.ops.higher_order, "cond", None), "functorch_table", {})
    return rules


@contextmanager
def _eager_frames() -> Iterator[None]:
    """Make the compiler leave every frame alone, also those that it has compiled. Needed up to 2.5."""
    frames: Any = import_module("torch._dynamo.eval_frame")
    name = "_maybe_set_eval_frame" if hasattr(frames, "_maybe_set_eval_frame") else "set_eval_frame"  # up to 2.4
    set_eval_frame = getattr(frames, name)
    setattr(frames, name, lambda callback: set_eval_frame(None if callable(callback) else callback))
    try:
        yield
    finally:
        setattr(frames, name, set_eval_frame)


def _eager() -> Any:
    """Return a context in which the compiler does nothing. torch has one since 2.6."""
    set_stance = getattr(getattr(torch, "compiler", None), "set_stance", None)
    return _eager_frames() if set_stance is None else set_stance("force_eager")


def _compile_later(undo: ExitStack) -> Callable[..., Any]:
    """Stand in for ``torch.compile``, so that compiled code runs as before; the first call restores the original."""
    compile_ = torch.compile

    def compile_eagerly(*args: Any, **kwargs: Any) -> Any:
        torch.compile = compile_
        undo.enter_context(_eager())
        return compile_(*args, **kwargs)

    return compile_eagerly


def _of_functions(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of ``torch.cond`` under ``torch.vmap`` for functions as they are.

    torch's own takes them as the compiler has traced them, which then return a tuple: of ``return x.sin()`` it would
    take the first row.
    """

    def ruled(interpreter: Any, holds: Any, if_true: Any, if_false: Any, inputs: Any) -> Any:
        alone = False

        def traced(function: Callable[..., Any]) -> Callable[..., Any]:
            def run(*args: Any) -> Any:
                nonlocal alone
                output = function(*args)
                alone = isinstance(output, torch.Tensor)
                return (output,) if alone else output

            return run

        outputs = rule(interpreter, holds, traced(if_true), traced(if_false), inputs)
        return outputs[0] if alone else outputs

    return ruled


# -- gradients ---------------------------------------------------------------------------------------------------------

#: ``graph_task()``: which backward pass this thread is in, -1 for none. Since 2.0.
graph_task: Callable[[], int] = torch._C._current_graph_task_id

#: ``current_node()``: the node of the graph of gradients that is evaluated now, or ``None``. Since 2.1.
current_node: Callable[[], Any] = (
    torch._C._current_autograd_node if "_get_sequence_nr" in vars(torch.autograd) else lambda: None
)

#: ``next_node_number()``: the number that the next node of this thread gets; they go up. Since 2.1.
next_node_number: Callable[[], int] = vars(torch.autograd).get("_get_sequence_nr", lambda: 0)


def keep_busy(cycles: int) -> None:
    """Keep the current CUDA device idle for so many cycles, while Python goes on. Since 2.0."""
    torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call] # torch types no private names


def number_of_node(node: Any) -> int:
    """Return the number that a node got when it was made; nodes that add to ``.grad`` have the highest. Since 2.0."""
    return int(node._sequence_nr())


def is_held_once(tensor: torch.Tensor) -> bool:
    """Whether autograd needs a gradient that an operator of its own gets at one place only. Since 2.4.

    That is one reference of autograd's, and three of the call of the mode. Whether somebody has it in Python, its
    references there tell.
    """
    return int(tensor._use_count()) <= 4  # type: ignore[attr-defined] # torch types no private names


def backward_passes(around: Callable[[bool], AbstractContextManager[None]]) -> AbstractContextManager[None]:
    """Enter ``around(create_graph)`` during each backward pass that any thread begins. Since 2.0.

    ``loss.backward()``, ``torch.autograd.backward`` and ``torch.autograd.grad`` all go through one function, and
    ``torch.autograd.functional`` through another, which begins no pass where nothing requires a gradient.
    """
    return _wrapped(_PASSES, around)


def derivatives(around: Callable[[bool], AbstractContextManager[None]]) -> AbstractContextManager[None]:
    """The same, and ``around(False)`` where a thread begins forward-mode differentiation. Since 2.0.

    ``torch.autograd.forward_ad.dual_level`` calls the last of these functions, and everything else goes through it.
    """
    return _wrapped((*_PASSES, (torch.autograd.forward_ad, "enter_dual_level", _telling)), around)


@contextmanager
def _wrapped(functions: Sequence[tuple[Any, str, Any]], around: Any) -> Iterator[None]:
    undo = ExitStack()
    for place, name, kind in functions:
        plain = vars(place)[name]
        other = kind(around, plain)
        setattr(place, name, other)
        undo.callback(_set_back, place, name, other, plain)
    with undo:
        yield


def _telling(around: Callable[[bool], AbstractContextManager[None]], plain: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function that begins a pass; its fourth argument says whether the pass makes a graph."""

    def begin(*args: Any, **kwargs: Any) -> Any:
        with around(bool(args[3] if len(args) > 3 else kwargs.get("create_graph"))):
            return plain(*args, **kwargs)

    return begin


class _TellingEngine:
    """Wrap the method that runs passes. Needed up to 2.2."""

    def __init__(self, around: Callable[[bool], AbstractContextManager[None]], plain: Any) -> None:
        self.run_backward = _telling(around, plain.run_backward)
        self._plain = plain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)


#: The functions that begin backward passes: where each is, its name, and what wraps it.
_PASSES: tuple[tuple[Any, str, Any], ...] = (
    (torch.autograd, "_engine_run_backward", _telling)
    if hasattr(torch.autograd, "_engine_run_backward")
    else (torch.autograd.Variable, "_execution_engine", _TellingEngine),
    (torch.autograd.functional, "_autograd_grad", _telling),
)


def _set_back(place: Any, name: str, other: Any, plain: Any) -> None:
    if vars(place)[name] is other:  # or somebody has set another since
        setattr(place, name, plain)


@contextmanager
def optimizer_steps(before: Callable[..., None], after: Callable[..., None]) -> Iterator[None]:
    """Call ``before(optimizer, args, kwargs)`` and ``after(...)`` at each step of any optimizer. Since 2.0.

    The first is called before hooks of the optimizer's own, and ``after`` is not called where the step raises.
    """
    handles = register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def foreach_on_cpu() -> Iterator[None]:
    """Make optimizers work on lists of weights by default, as they do on accelerators. Since 2.1."""
    devices = "_get_foreach_kernels_supported_devices"
    plain = getattr(optimizer_globals, devices)
    setattr(optimizer_globals, devices, lambda: [*plain(), "cpu"])
    try:
        yield
    finally:
        setattr(optimizer_globals, devices, plain)


@contextmanager
def kernels_instead(kernels: Mapping[str, Callable[..., Any]], when: Callable[[], bool]) -> Iterator[None]:
    """While ``when`` is true, make composite operators call other kernels under autograd on the CPU.

    Args:
        kernels: by the name of the operator; one that returns ``NotImplemented`` leaves it as it is.
        when: asked at each call, as all threads come here. Since 2.0.
    """
    library: Any = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call] # torch's
    try:
        for name, kernel in kernels.items():
            packet, _, overload = name.partition(".")
            composite = getattr(getattr(torch.ops.aten, packet), overload or "default")
            library.impl(name, _choosing(kernel, composite, when), "AutogradCPU")
        yield
    finally:
        library._destroy()


def _choosing(kernel: Callable[..., Any], composite: Any, when: Callable[[], bool]) -> Callable[..., Any]:
    as_usual = partial(composite._op_dk, torch._C.DispatchKey.CompositeImplicitAutograd)

    def choose(*args: Any, **kwargs: Any) -> Any:
        made = kernel(*args, **kwargs) if when() else NotImplemented
        return as_usual(*args, **kwargs) if made is NotImplemented else made

    return choose


@contextmanager
def flows_before_autograd(names: Iterable[str], when: Callable[[], bool]) -> Iterator[None]:
    """While the innermost mode is ours and ``when`` is true, give it control flow before autograd gets it.

    Torch's own gradients of ``torch.cond`` and its like are of the tensors that it is given: of weights that its
    functions hold there are none, unless it was compiled, which hands them over.

    Args:
        names: of operators that take functions; those that this torch does not have, or not loaded, are left out.
        when: asked at each call, as all threads come here. Since 2.1.
    """
    with ExitStack() as undo:
        for name in names:
            operator = getattr(torch.ops.higher_order, name, None)
            for key in _AUTOGRAD if hasattr(operator, "_dispatch_cache") else ():
                _take_before(operator, key, partial(_to_the_mode, operator), when, undo)
        yield


@contextmanager
def flex_attention_trained(when: Callable[[], bool], read: Callable[..., tuple[Any, ...]]) -> Iterator[None]:
    """While ``when`` is true, make flex attention compute gradients on the CPU, as it does on CUDA. Since 2.5.

    Torch has no kernel for them on the CPU, and refuses; here none is run, nor is the function of scores traced.

    Args:
        when: asked at each call, as all threads come here.
        read: ``read(query, score_mod)`` returns what stands for all that the function reads and that is trained.
    """
    public, private = map(
        sys.modules.get, ("torch.nn.attention.flex_attention", "torch._higher_order_ops.flex_attention")
    )
    replaced = {"_validate_device": public, "create_fw_bw_graph": private}
    if not all(hasattr(module, name) for name, module in replaced.items()):
        yield
        return

    def with_read(as_usual: Callable[..., Any], query: Any, key: Any, value: Any, score_mod: Any, *rest: Any) -> Any:
        mask, scale, options, buffers, *more = (*rest, ()) if len(rest) == 3 else rest
        return as_usual(query, key, value, score_mod, mask, scale, options, (*buffers, *read(query, score_mod)), *more)

    with ExitStack() as undo:
        for name, module in replaced.items():
            undo.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, _unless(when, getattr(module, name)))
        for key in _AUTOGRAD:
            _take_before(torch.ops.higher_order.flex_attention, key, with_read, when, undo)
        yield


def _unless(when: Callable[[], bool], function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that, while ``when`` is true, it returns its first argument and ``None``."""
    return lambda *args: (args[0], None) if when() else function(*args)


def _to_the_mode(operator: Any, as_usual: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return operator.dispatch(torch._C.DispatchKey.Python, *args, **kwargs)


#: The dispatch keys of autograd, one for each kind of device.
_AUTOGRAD = tuple(
    getattr(torch._C.DispatchKey, f"Autograd{device}")
    for device in ("CPU", "CUDA", "XPU", "MPS", "Meta")
    if hasattr(torch._C.DispatchKey, f"Autograd{device}")
)


def _take_before(
    operator: Any, key: Any, instead: Callable[..., Any], when: Callable[[], bool], undo: ExitStack
) -> None:
    """While a mode of ours is the innermost and ``when`` is true, call ``instead(kernel of autograd, *arguments)``."""
    kernels = operator.py_kernels
    before = kernels.get(key)
    as_usual = before or kernels.get(torch._C.DispatchKey.Autograd)
    if as_usual is None:
        return

    def choose(*args: Any, **kwargs: Any) -> Any:
        if when() and isinstance(running_mode(), DispatchMode):
            return instead(as_usual, *args, **kwargs)
        return as_usual(*args, **kwargs)

    def put_back() -> None:
        if before is None:
            del kernels[key]
        else:
            kernels[key] = before
        operator._dispatch_cache.pop(key, None)

    undo.callback(put_back)
    kernels[key] = choose
    operator._dispatch_cache.pop(key, None)


@contextmanager
def recomputations_stopped(note: Callable[[], None]) -> Iterator[None]:
    """Call ``note()`` whenever checkpointing stops a forward that it repeats, because it has all that it needs.

    It does so by an exception, which no hook of a module tells of. Since 2.1.
    """
    error: Any = getattr(torch.utils.checkpoint, "_StopRecomputationError", None)
    if error is None:  # up to 2.0, where none stops early
        yield
        return

    def init(self: Any, *args: Any) -> None:
        note()
        super(error, self).__init__(*args)

    error.__init__ = init
    try:
        yield
    finally:
        if vars(error).get("__init__") is init:
            del error.__init__  # it has none of its own


#: Whether this release can have autograd work on stand-ins for weights: since 2.4. In 2.3 they cannot be put back while
#: a graph of gradients holds one, as it does after an error.
CAN_EXCHANGE = hasattr(torch.Tensor, "_use_count")


def exchange(tensor: torch.Tensor, other: torch.Tensor) -> None:
    """Swap two tensors in all but identity, class and attributes. Since 2.4.

    ``.grad``, history, memory, device and ``requires_grad`` go with what a tensor is. A second call undoes the first.

    Raises:
        RuntimeError: something written in C++ holds a weak reference to one of them.
    """
    torch._C._swap_tensor_impl(tensor, other)


# -- calls of modules --------------------------------------------------------------------------------------------------


def _any_hooks() -> bool:
    """Look for hooks on the calls of all modules. Needed up to 2.0."""
    return any(vars(module_globals)[f"_global_{kind}_hooks"] for kind in _KINDS_OF_HOOKS)


_KINDS_OF_HOOKS = ("backward_pre", "backward", "forward", "forward_pre")

#: ``any_module_hooks()``: whether there are hooks on the calls of all modules. Since 2.0.
any_module_hooks: Callable[[], bool] = getattr(module_globals, "_has_any_global_hook", _any_hooks)

#: ``hooks_of(module.__dict__)``: four dictionaries, of the hooks on the calls of one module. Since 2.0.
hooks_of: Callable[[dict[str, Any]], tuple[Any, ...]] = itemgetter(
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
)


@contextmanager
def module_hooks(
    before: Callable[[torch.nn.Module, tuple[Any, ...]], None],
    after: Callable[..., None],
) -> Iterator[None]:
    """Call ``before(module, args)`` and ``after(module, args, kwargs, output)`` at the calls of all modules. Since 2.0.

    Calls come from all threads, and to a call of another thread that goes on while this is left torch may give
    ``after(module, args, output)``.
    """
    handles = [module_globals.register_module_forward_pre_hook(before), _register_after(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
            # torch's own handle does not remove this entry.
            _HOOKS_WITH_KEYWORDS.pop(handle.id, None)


def _register_with_keywords(after: Callable[..., None]) -> Any:
    """Have torch give the hook keyword arguments. Since 2.6."""
    return module_globals.register_module_forward_hook(after, with_kwargs=True)


def _register_beside_keywords(after: Callable[..., None]) -> Any:
    """Read the keyword arguments from the frame of the method that calls the hook. Needed up to 2.5."""

    def with_keywords(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        after(module, args, sys._getframe(1).f_locals["kwargs"], output)

    return module_globals.register_module_forward_hook(with_keywords)


_HOOKS_WITH_KEYWORDS: dict[int, Any] = getattr(module_globals, "_global_forward_hooks_with_kwargs", {})
_TAKES_KEYWORDS = "with_kwargs" in signature(module_globals.register_module_forward_hook).parameters
_register_after = _register_with_keywords if _TAKES_KEYWORDS else _register_beside_keywords


@contextmanager
def registration_hooks(note: Callable[[torch.nn.Module, str, Any], None]) -> Iterator[None]:
    """Call ``note(module, name, value)`` when a module is given a parameter, buffer or submodule. Since 2.0.

    The dictionaries of hooks are replaced, not changed: a module of another thread may be in the midst of one.
    """
    before = {name: vars(module_globals)[name] for name in _REGISTRATION_HOOKS}
    during = {name: OrderedDict([*hooks.items(), (id(note), note)]) for name, hooks in before.items()}
    vars(module_globals).update(during)
    try:
        yield
    finally:
        for name, hooks in before.items():
            now = vars(module_globals)[name]
            if now is not during[name] or len(now) != len(hooks) + 1:  # others have come or gone
                now.pop(id(note), None)
                hooks = now
            vars(module_globals)[name] = hooks


_REGISTRATION_HOOKS = tuple(f"_global_{kind}_registration_hooks" for kind in ("module", "parameter", "buffer"))


_INSTEAD = "_compiled_call_impl"


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether ``torch.compile(module)`` made a module, or ``module.compile()`` changed it. Since 2.0."""
    return "_orig_mod" in module._modules or getattr(module, _INSTEAD, None) is not None


@contextmanager
def calling_instead(states: Sequence[dict[str, Any]], function: Callable[..., Any]) -> Iterator[None]:
    """Make modules, given as their ``__dict__``, call a function in place of their forward and hooks. Since 2.0.

    ``module.compile()`` does so, for good. What the forward itself sets meanwhile stays.
    """
    with _calls_wrapped():
        others = [state.get(_INSTEAD) for state in states]
        for state in states:
            state[_INSTEAD] = function
        try:
            yield
        finally:
            for state, other in zip(states, others, strict=True):
                found = state.pop(_INSTEAD, None)
                after = other if found is function else found
                if after is not None:
                    state[_INSTEAD] = after


_call_unwrapped: Callable[..., Any] = torch.nn.Module._call_impl


def _call_wrapped(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Stand in for ``torch.nn.Module.__call__``: call a module as releases since 2.1 do."""
    instead = self.__dict__.get(_INSTEAD)
    return _call_unwrapped(self, *args, **kwargs) if instead is None else instead(*args, **kwargs)


@contextmanager
def _calls_by_wrapper() -> Iterator[None]:
    """Make modules look for the function to call in their place. Needed up to 2.0."""
    cls: Any = torch.nn.Module
    if cls.__call__ is not _call_unwrapped:  # a run inside a run, or somebody else knows better
        yield
        return
    cls.__call__ = _call_wrapped
    cls.__getstate__ = _state_without_instead
    try:
        yield
    finally:
        cls.__call__ = _call_unwrapped
        del cls.__getstate__


def _state_without_instead(self: torch.nn.Module) -> dict[str, Any]:
    """Return what a copy of a module gets."""
    return {name: value for name, value in self.__dict__.items() if name != _INSTEAD}


_calls_wrapped: Any = nullcontext if hasattr(torch.nn.Module, _INSTEAD) else _calls_by_wrapper


def caller_of_instead() -> Any:
    """Return which module is called, for the function that it calls in place of its forward. Since 2.0.

    Nothing but the frame of torch's own method, two above this one, tells of it. It may be another one than those that
    the function was set on: ``torch.nn.parallel.replicate``, for example, makes modules so::

        twin = nn.Linear.__new__(nn.Linear)
        twin.__dict__ = {**vars(layer), "_parameters": ...}
    """
    return sys._getframe(2).f_locals.get("self")


def asked_by_a_check() -> bool:
    """Whether torch reads a value to refuse some: ``gaussian_nll_loss`` asks if a variance is negative. Since 2.0."""
    frame = _caller_beyond(lambda file: file.partition(".")[0] == "thoplw")
    return frame is not None and frame.f_code is torch.nn.functional.gaussian_nll_loss.__code__


def asked_for_alignment() -> bool:
    """Whether torch calls the asking method to learn if memory is aligned, as all new memory is. Since 2.0.

    With torch up to 2.10, transformers asks ``weight.data_ptr() % 16`` before a grouped product.
    """
    return sys._getframe(2).f_globals.get("__name__") == "transformers.integrations.moe"


def asked_by_torch() -> bool:
    """Whether torch's own code, or ours, called the asking method. Since 2.0.

    ``torch.vmap``, for example, asks every tensor for its ``storage_offset()``, and hands it on.
    """
    return str(sys._getframe(2).f_globals.get("__name__", "")).partition(".")[0] in ("torch", "thoplw")


def swapped_with(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return the tensor that ``torch.utils.swap_tensors`` is about to swap with one, which is given a class now.

    The function that assigns the class is an inner one, and knows the two as ``t1`` and ``t2``. Since 2.3.
    """
    caller = sys._getframe(2)
    if caller.f_globals.get("__name__") != "torch.utils":
        return None
    one, other = map(caller.f_locals.get, ("t1", "t2"))
    return other if one is tensor else one


def call_as_usual(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Call a module with its hooks and its forward, even if it has a function to call in their place. Since 2.0."""
    return module._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call] # torch's own gap


def method_of_calls(cls: type[torch.nn.Module]) -> Any:
    """Return the method with which a class calls hooks and forward; usually torch's own. Since 2.0."""
    return cls._call_impl


# -- switches ----------------------------------------------------------------------------------------------------------

#: Names of switches in C++, read by ``_get_NAME`` and set by ``_set_NAME``. Names that a release lacks are skipped.
_NAMED = (
    "cublas_allow_bf16_reduced_precision_reduction "
    "cublas_allow_fp16_accumulation cublas_allow_fp16_reduced_precision_reduction cublaslt_prefer_grouped_gemm "
    "cudnn_benchmark cudnn_deterministic cudnn_enabled deterministic_fill_uninitialized_memory "
    "math_sdp_allow_fp16_bf16_reduction miopen_immediate mkldnn_deterministic mkldnn_enabled "
    "nnpack_enabled qengine sdp_priority_order warnAlways"
).split()

#: Kernels of attention that can be allowed or forbidden.
_ATTENTION = "cudnn fa3 flash math mem_efficient overrideable".split()

_PARTS = ("all", "matmul", "conv", "rnn")

#: Where the precision of float32 is chosen: first for all, then for parts, which follow it. Since 2.9.
_PRECISIONS = (("generic", "all"), *((place, part) for place in ("cuda", "mkldnn") for part in _PARTS))


def _precisions() -> tuple[Any, ...]:
    get = getattr(torch._C, "_get_fp32_precision_getter", None)
    try:
        old: Any = torch._C._get_float32_matmul_precision()
    except RuntimeError:  # where both ways to choose were used, torch refuses to tell of the old one
        old = None
    if get is None:
        return (old, torch._C._get_cublas_allow_tf32(), torch._C._get_cudnn_allow_tf32())
    return (old, *[get(*place) for place in _PRECISIONS])


def _set_precisions(before: tuple[Any, ...]) -> None:
    if before[0] is not None:
        torch._C._set_float32_matmul_precision(before[0])
    put = getattr(torch._C, "_set_fp32_precision_setter", None)
    if put is None:
        torch._C._set_cublas_allow_tf32(before[1])
        torch._C._set_cudnn_allow_tf32(before[2])
        return
    for place, value in zip(_PRECISIONS, before[1:], strict=True):
        put(*place, value)


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _set_deterministic(before: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _anomalies() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


_OVERRIDES: Any = torch.overrides  # torch leaves it untyped


def _function_modes() -> tuple[Any, ...]:
    """The modes that get every function of torch; the default device is one of them."""
    stack = _OVERRIDES._get_current_function_mode_stack() if function_modes() else []
    return stack, _default_device(), vars(device_globals).get("CURRENT_DEVICE")


def _set_function_modes(before: tuple[Any, ...]) -> None:
    while function_modes():
        _OVERRIDES._pop_mode()
    for mode in before[0]:
        _OVERRIDES._push_mode(mode)
    _set_default_device(before[1])
    if "CURRENT_DEVICE" in vars(device_globals):  # since 2.1
        device_globals.CURRENT_DEVICE = before[2]


def _default_device_of_thread() -> Any:
    """The mode that is the default device, or ``None``. Since 2.3."""
    return getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)


def _set_default_device_of_thread(mode: Any) -> None:
    state = vars(torch._GLOBAL_DEVICE_CONTEXT)
    state.update(device_context=mode)
    if mode is None:  # torch 2.4 asks whether there is one by name
        del state["device_context"]


def _default_device_of_process() -> Any:
    """As :func:`_default_device_of_thread`. Needed up to 2.2."""
    return vars(torch)["_GLOBAL_DEVICE_CONTEXT"]


def _set_default_device_of_process(mode: Any) -> None:
    vars(torch)["_GLOBAL_DEVICE_CONTEXT"] = mode


_default_device, _set_default_device = (
    (_default_device_of_thread, _set_default_device_of_thread)
    if isinstance(torch._GLOBAL_DEVICE_CONTEXT, threading.local)
    else (_default_device_of_process, _set_default_device_of_process)
)


def _saved_tensors_hooks() -> Any:
    return torch._C._autograd._top_saved_tensors_default_hooks(True)


def _leave_saved_tensors_hooks(before: Any) -> None:
    while _saved_tensors_hooks() not in (before, None):
        torch._C._autograd._pop_saved_tensors_default_hooks()


_PRINT_OPTIONS = vars(torch._tensor_str.PRINT_OPTS)


def _set_print_options(before: dict[str, Any]) -> None:
    _PRINT_OPTIONS.clear()  # up to 2.1 it has but what was set
    _PRINT_OPTIONS.update(before)


def _with_each(put: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a setter of one or several values; there may be several since 2.10."""
    return lambda value: put(*value) if type(value) is tuple else put(value)


def _pairs() -> Iterator[tuple[Callable[[], Any], Callable[[Any], Any]]]:
    names = [(f"_get_{name}", f"_set_{name}") for name in _NAMED]
    names += [(f"_get_{name}_sdp_enabled", f"_set_sdp_use_{name}") for name in _ATTENTION]
    names += [(f"_is_{name}_enabled", f"_set_{name}_enabled") for name in ("fwd_grad", "view_replay")]
    for get, put in names:
        if hasattr(torch._C, get) and hasattr(torch._C, put):
            yield getattr(torch._C, get), _with_each(getattr(torch._C, put))


def _autocast_depth() -> int:
    """How many blocks of autocast are open: casts are kept until the outermost block ends."""
    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())


def _set_autocast_depth(before: int) -> None:
    now = _autocast_depth()
    for _ in range(before, now):
        torch.autocast_decrement_nesting()
    for _ in range(now, before):
        torch.autocast_increment_nesting()


def _autocast() -> Iterator[Switch]:
    """Whether functions choose the dtype that they compute in, and which dtype, by kind of device."""
    yield torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled
    yield _autocast_depth, _set_autocast_depth
    if hasattr(torch, "get_autocast_dtype"):  # since 2.4
        for kind in ("cpu", "cuda"):
            yield partial(torch.is_autocast_enabled, kind), partial(torch.set_autocast_enabled, kind)
            yield partial(torch.get_autocast_dtype, kind), partial(torch.set_autocast_dtype, kind)
        return
    yield torch.is_autocast_cpu_enabled, torch.set_autocast_cpu_enabled
    yield torch.get_autocast_cpu_dtype, torch.set_autocast_cpu_dtype
    yield torch.is_autocast_enabled, torch.set_autocast_enabled
    yield torch.get_autocast_gpu_dtype, torch.set_autocast_gpu_dtype


def _multithreading() -> bool:
    return bool(torch._C._is_multithreading_enabled())


def _set_multithreading(before: bool) -> None:
    torch._C._set_multithreading_enabled(before)


def _names_of_hooks(file: Any) -> list[str]:
    return [name for name, value in vars(file).items() if name.startswith("_global_") and isinstance(value, dict)]


#: The hooks of all modules, and of all optimizers: dictionaries, of which runs replace some.
_OF_ALL_MODULES = itemgetter(*_names_of_hooks(module_globals))
_OF_ALL_OPTIMIZERS = itemgetter(*_names_of_hooks(optimizer_globals))

#: The kind of the hooks on backward passes, once there was one; torch refuses another kind.
_FULL = "_global_is_full_backward_hook"


def _dictionaries_of_hooks() -> list[OrderedDict[int, Any]]:
    return [*_OF_ALL_MODULES(vars(module_globals)), *_OF_ALL_OPTIMIZERS(vars(optimizer_globals))]


def _hooks_of_all() -> tuple[Any, list[Any]]:
    hooks = _dictionaries_of_hooks()
    return vars(module_globals)[_FULL], [each.copy() for each in hooks] if any(hooks) else []


def _set_hooks_of_all(before: tuple[Any, list[Any]]) -> None:
    """Restore all hooks except ours: a run in another thread may have begun or ended meanwhile."""
    vars(module_globals)[_FULL] = before[0]
    every = _dictionaries_of_hooks()
    for hooks, kept in zip(every, before[1] or [{}] * len(every), strict=True):
        old = _of_users(kept, lost=False)
        for key in _of_users(hooks, lost=True):
            if key not in old:
                hooks.pop(key, None)
        if not hooks.keys() >= old.keys():
            for key, hook in old.items():
                hooks[key] = hook
                hooks.move_to_end(key)


def _of_users(hooks: Any, lost: bool) -> dict[int, Any]:
    """Return the hooks that no run has added.

    Some dictionaries have ``True`` for a hook that lies in another one.

    Args:
        hooks: one of torch's dictionaries.
        lost: also return entries that are ``True`` for a hook that is in no dictionary any more.
    """
    found: dict[int, Any] = {}
    for key, value in hooks.copy().items():
        hook = module_globals._global_forward_hooks.get(key) if value is True else value
        if lost if hook is None else not str(getattr(hook, "__module__", "")).startswith(_OURS):
            found[key] = value
    return found


_OURS = f"{__name__.partition('.')[0]}."


_DUAL_LEVEL = vars(torch.autograd.forward_ad)


def _leave_dual_levels(before: int) -> None:
    while _DUAL_LEVEL["_current_level"] > before:
        torch.autograd.forward_ad.exit_dual_level()  # type: ignore[no-untyped-call] # torch's own gap


def _device_of_cuda() -> int | None:
    return torch.cuda.current_device() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call] # torch's


def _set_device_of_cuda(before: int | None) -> None:
    if before is not None:  # else it was initialized since
        torch.cuda.set_device(before)


def _validation() -> bool | None:
    """Whether distributions check their parameters unless told; ``None`` where nobody has imported them."""
    distributions = sys.modules.get("torch.distributions.distribution")
    return None if distributions is None else bool(distributions.Distribution._validate_args)


def _set_validation(before: bool | None) -> None:
    if before is not None:
        torch.distributions.Distribution.set_default_validate_args(before)


#: The variables of a file. Setters that torch put around it refuse some of the values that they may have.
_EINSUM: dict[str, Any] = vars(vars(torch.backends.opt_einsum).get("m", torch.backends.opt_einsum))
_path_of_einsum = partial(itemgetter("enabled", "strategy"), _EINSUM)


def _set_path_of_einsum(before: tuple[Any, ...]) -> None:
    _EINSUM.update(enabled=before[0], strategy=before[1])


Switch = tuple[Callable[[], Any], Callable[[Any], Any]]


def _conversions() -> Iterator[Switch]:
    """How ``module.to(...)`` changes parameters."""
    for kind in ("overwrite", "swap"):  # the latter since 2.3
        names = [f"{way}_{kind}_module_params_on_conversion" for way in ("get", "set")]
        if hasattr(torch.__future__, names[0]):
            get, put = (getattr(torch.__future__, name) for name in names)
            yield get, put


_MADE_HERE: tuple[Switch, ...] = (
    (_precisions, _set_precisions),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_num_threads, torch.set_num_threads),
    (_deterministic, _set_deterministic),
    (_anomalies, lambda before: torch.set_anomaly_enabled(*before)),
    *_autocast(),
    (_multithreading, _set_multithreading),
    (_PRINT_OPTIONS.copy, _set_print_options),
    (_function_modes, _set_function_modes),
    (_saved_tensors_hooks, _leave_saved_tensors_hooks),
    (_hooks_of_all, _set_hooks_of_all),
    (lambda: _DUAL_LEVEL["_current_level"], _leave_dual_levels),
    (_device_of_cuda, _set_device_of_cuda),
    (torch.multiprocessing.get_sharing_strategy, torch.multiprocessing.set_sharing_strategy),
    *_conversions(),
    (_validation, _set_validation),
    (_path_of_einsum, _set_path_of_einsum),
    (
        lambda: torch._C._check_sparse_tensor_invariants(),
        lambda before: torch._C._set_check_sparse_tensor_invariants(before),
    ),
)


def _has(switch: Switch) -> bool:
    """Whether this release has a switch: asking for one that it lacks fails."""
    try:
        switch[0]()
    except (AttributeError, TypeError):
        return False
    return True


#: Pairs of functions: one reads a switch of torch, the other sets it. Since 2.4, as far as a release has the switch.
SWITCHES: tuple[Switch, ...] = (*_pairs(), *filter(_has, _MADE_HERE))
