"""Every private name of torch that is used here, and every public one that releases of torch do not all have.

Each stands behind a plain name that says what it is for and since which release of torch it exists: "since 2.0" means
that the oldest release that thoplw has been tried with has it. So a release that renames one breaks this file, in its
tests, and nothing else; and an older release is made to work here. Names that are used for every operator are bound
when this is imported, so that they cost no call more.

What the forwards of torch's layers read is not here but in :data:`thoplw.capture.layer_cache.LAYERS`.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from operator import itemgetter
from typing import Any

import torch
import torch.nn.modules.module as module_globals
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, _pop_mode

#: Which release of torch this is.
VERSION = str(torch.__version__)

# -- tensors -----------------------------------------------------------------------------------------------------------

#: ``make_wrapper(cls, shape, strides, dtype=, device=)``: a tensor of a class of its own, without storage. Since 2.0.
make_wrapper: Callable[..., Any] = torch.Tensor._make_wrapper_subclass

#: As ``__torch_function__`` of a class: torch's functions take its tensors as plain ones. Since 2.0.
no_torch_function: Any = torch._C._disabled_torch_function_impl


def stored_elements(tensor: torch.Tensor) -> int:
    """How many elements a sparse tensor stores. Since 2.0."""
    return tensor._nnz()


def memory_of(tensor: torch.Tensor) -> int:
    """What tensors have in common that are views of one memory; 0 where there is none. Since 2.0."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # sparse, for instance
        return 0


class _Watched:
    """``torch.Tensor.numpy``, for as long as some run wants to know whose memory is handed out."""

    def __init__(self) -> None:
        self.watches: list[Callable[[torch.Tensor], None]] = []
        self.lock = threading.Lock()
        self.method: Any = torch.Tensor.numpy

    def numpy(self, tensor: torch.Tensor, /, *, force: bool = False) -> Any:
        """Tell the runs, then answer as before."""
        for watch in self.watches:
            watch(tensor)
        return self.method(tensor, force=force)


_watched = _Watched()


@contextmanager
def handed_out(watch: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """Call ``watch(tensor)`` before a tensor gives NumPy its memory, for anybody to write to. Since 2.0."""

    def numpy(self: torch.Tensor, *, force: bool = False) -> Any:
        return _watched.numpy(self, force=force)

    try:
        with _watched.lock:
            _watched.watches.append(watch)
            if len(_watched.watches) == 1:
                setattr(torch.Tensor, "numpy", numpy)  # noqa: B010 # mypy refuses an assignment
        yield
    finally:
        with _watched.lock:
            if watch in _watched.watches:
                _watched.watches.remove(watch)
            if not _watched.watches and "numpy" in vars(torch.Tensor):
                del torch.Tensor.numpy  # it is of the class that torch.Tensor is derived from


#: Where a tensor keeps the hooks of the user's. Since 2.1.
TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def copy_of_memory(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    """A copy that no mode sees. Since 2.0."""
    with no_dispatch():
        return storage.clone()  # type: ignore[no-untyped-call,no-any-return] # torch's own gap


def methods_of(packed: Any) -> tuple[str, ...]:
    """The names of the methods of an object that is written in C++, such as packed weights. Since 2.0."""
    return tuple(packed._method_names())


# -- operators ---------------------------------------------------------------------------------------------------------


def is_overload(func: Any) -> bool:
    """Whether this is an operator as kernels have it, such as ``torch.ops.aten.add.Tensor``. Since 2.0.

    Operators that take functions, such as flex attention, are not.
    """
    return isinstance(func, torch._ops.OpOverload)


def schema_of(func: Any) -> Any:
    """The schema of an operator: its ``name`` (``aten::add``), its ``arguments``, ``is_mutable``. Since 2.0."""
    return func._schema


def overload_name(func: Any) -> str:
    """The name of an overload: ``Tensor`` of ``torch.ops.aten.add.Tensor``. Since 2.0."""
    return str(func._overloadname)


def is_written_in_operators(func: Any) -> bool:
    """Whether an operator is composite: written in terms of others, which ``func.decompose`` gives. Since 2.0."""
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return key in func.py_kernels or torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key)


# -- dispatch ----------------------------------------------------------------------------------------------------------


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch leaves its modes untyped
    """A mode that is given every operator, those that take functions among them. Since 2.0."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave the mode as it is: torch would wrap it against the compiler, importing that, and on every operator.

        Releases before 2.9 do not ask.
        """
        return False


@contextmanager
def below_autograd() -> Iterator[None]:
    """Have operators pass autograd by, as in inference mode, but make ordinary tensors. Since 2.0.

    Composite operators then reach a dispatch mode whole. A tensor made in inference mode is refused by every later
    training step, and a model may keep one: a table of positions in a cache, say.
    """
    with torch.no_grad(), torch._C._AutoDispatchBelowADInplaceOrView():
        yield


#: ``is_below_autograd()``: whether operators pass autograd by now. Since 2.0.
is_below_autograd: Callable[[], bool] = partial(
    torch._C._dispatch_tls_is_dispatch_key_excluded, torch._C.DispatchKey.AutogradFunctionality
)


@contextmanager
def on_shapes() -> Iterator[None]:
    """Have operators run torch's own meta kernels on tensors of classes of their own. Since 2.0.

    So ``y.squeeze_()`` changes the shape of an abstract tensor in place.
    """
    with no_dispatch():
        before = torch._C._meta_in_tls_dispatch_include()
        torch._C._set_meta_in_tls_dispatch_include(True)
        try:
            yield
        finally:
            torch._C._set_meta_in_tls_dispatch_include(before)


#: ``dispatch_modes()``: how many modes are given every operator now. Since 2.0.
dispatch_modes: Callable[[], int] = torch._C._len_torch_dispatch_stack


def leave_modes(count: int) -> None:
    """Leave all modes that are given every operator, but for the first ``count``. Since 2.0."""
    while dispatch_modes() > count:
        _pop_mode()


#: ``function_modes()``: how many modes are given every function of torch now. Since 2.0.
function_modes: Callable[[], int] = torch._C._len_torch_function_stack

#: ``is_autocast_on()``: whether functions choose the type that they compute in, on any device. Since 2.0.
is_autocast_on: Callable[[], bool] = torch._C._is_any_autocast_enabled


@contextmanager
def attention_unfused() -> Iterator[None]:
    """Have attention layers of torch run their operators one by one. Since 2.3."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run what was compiled as it was before. Since 2.6."""
    with ExitStack() as undo:
        # Nothing can have been compiled before the compiler was imported, which takes a second.
        if "torch._dynamo" in sys.modules:
            undo.enter_context(torch.compiler.set_stance("force_eager"))
            # A compiled submodule warns that global hooks fire once more, for its wrapper: a module of its own.
            undo.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", "Using `torch.compile.module.` when there are global hooks")
        yield


# -- calls of modules --------------------------------------------------------------------------------------------------

#: ``any_module_hooks()``: whether somebody has hooks on the calls of all modules. Since 2.1.
any_module_hooks: Callable[[], bool] = module_globals._has_any_global_hook

#: ``hooks_of(module.__dict__)``: four dictionaries, of the hooks on the calls of one module. Since 2.0.
hooks_of: Callable[[dict[str, Any]], tuple[Any, ...]] = itemgetter(
    "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
)


@contextmanager
def module_hooks(
    before: Callable[[torch.nn.Module, tuple[Any, ...]], None],
    after: Callable[[torch.nn.Module, tuple[Any, ...], dict[str, Any], Any], None],
) -> Iterator[None]:
    """Call ``before(module, args)`` and ``after(module, args, kwargs, output)`` at the calls of all modules. Since 2.6.

    Older releases give hooks of this kind no keyword arguments.
    """
    handles = [
        module_globals.register_module_forward_pre_hook(before),
        module_globals.register_module_forward_hook(after, with_kwargs=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
            # torch's own handle forgets this entry.
            module_globals._global_forward_hooks_with_kwargs.pop(handle.id, None)


_INSTEAD = "_compiled_call_impl"


def call_instead(state: dict[str, Any], function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Have a module, given as its ``__dict__``, call this instead of its forward and hooks. Since 2.1.

    ``module.compile()`` does so. Return what was called instead so far; ``None`` is nothing.
    """
    before: Callable[..., Any] | None = state.pop(_INSTEAD, None)
    if function is not None:
        state[_INSTEAD] = function
    return before


def called_instead(state: dict[str, Any]) -> Callable[..., Any] | None:
    """What a module, given as its ``__dict__``, calls instead of its forward and hooks. Since 2.1."""
    return state.get(_INSTEAD)


def caller_of_instead() -> Any:
    """Which module is called, as seen in the function that it calls instead of its forward. Since 2.1.

    That need not be the one whose function it is. ``torch.nn.parallel.replicate``, for example, makes modules so::

        twin = nn.Linear.__new__(nn.Linear)
        twin.__dict__ = {**vars(layer), "_parameters": ...}

    and a call of ``twin`` comes to what was set on ``layer``, for which nothing but the frame of torch's own method,
    two above this one, tells of ``twin``.
    """
    return sys._getframe(2).f_locals.get("self")


def call_as_usual(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Call a module with its hooks and its forward, whatever it calls instead. Since 2.0."""
    return module._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call] # torch's own gap


def method_of_calls(cls: type[torch.nn.Module]) -> Any:
    """The method with which a class calls hooks and forward: torch's own, as a rule. Since 2.0."""
    return cls._call_impl
