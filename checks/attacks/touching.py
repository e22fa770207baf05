"""Forwards that touch what they can reach: a profile leaves each of them as it was.

For example::

    KINDS["list in a dict"] = Kind(
        make=lambda: {"layers": [None]},         # model.held
        touch=lambda held, y: held["layers"].append(y),
        look=lambda held: len(held["layers"]),   # what may not change
    )
"""

from __future__ import annotations

import contextvars
import ctypes
import dataclasses
import decimal
import enum
import gc
import io
import locale
import logging
import mmap
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from inspect import signature
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.multiprocessing
import torch.nn.modules.module as module_globals
import torch.optim.optimizer as optimizer_globals
from checks.attacks.tries import Tries, drawn, told
from torch import nn
from torch.autograd import forward_ad
from torch.nn.utils.parametrize import register_parametrization

import thoplw


class Kind(NamedTuple):
    """What a model holds, what its forward does to that, and what of it may not change.

    Attributes:
        make: gives ``model.held``.
        touch: is called in the forward, with ``model.held`` and an activation.
        look: gives what is compared, before and after, from ``model.held`` and the model.
        given: whether what is held is given as an input instead.
    """

    make: Callable[[], Any]
    touch: Callable[[Any, torch.Tensor], Any]
    look: Callable[[Any], Any]
    given: bool = False


class Touching(nn.Module):
    """A linear layer, and something else that the forward touches."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.kind = kind
        self.held = kind.make()
        if callable(getattr(self.held, "adopt", None)):
            self.held.adopt(self)

    def forward(self, x: torch.Tensor, given: Any = None) -> torch.Tensor:
        """``[N, 4] -> [N, 4]``."""
        y = self.layer(x)
        self.kind.touch(self.held if given is None else given, y)
        return y


class Plain:
    """A plain object."""

    shared: Any = None

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Slots:
    """An object without a dictionary."""

    __slots__ = ("empty", "x")

    def __init__(self, x: Any) -> None:
        self.x = x


@dataclasses.dataclass
class Data:
    """A dataclass."""

    x: Any
    more: list[Any] = dataclasses.field(default_factory=list)


class Other(Plain):
    """A class that a plain object may be given."""


class Layer:
    """The model's own layer, as what is held."""

    layer: nn.Linear

    def adopt(self, model: Touching) -> None:
        """Take the layer of the model."""
        self.layer = model.layer


def _counted() -> Callable[[], list[int]]:
    calls: list[int] = []

    def count() -> list[int]:
        return calls

    return count


def _defaults() -> Callable[..., Any]:
    def function(x: Any = 1, *, y: Any = 2) -> Any:
        return x, y

    return function


def _new_defaults(held: Any, y: torch.Tensor) -> None:
    held.__defaults__ = (y,)
    held.__kwdefaults__["y"] = y


def _in_a_table(held: Any, y: torch.Tensor) -> None:
    held.iloc[0, 0] = 3
    held["b"] = 4


def _set(name: str, value: Callable[[torch.Tensor], Any] = lambda y: y) -> Callable[[Any, torch.Tensor], Any]:
    return lambda held, y: setattr(held, name, value(y))


def _clear_weight(held: Layer, y: torch.Tensor) -> None:
    held.layer.weight.data.numpy()[:] = 0


def _resized(held: Layer, y: torch.Tensor) -> None:
    storage = held.layer.weight.untyped_storage()
    size = storage.nbytes()
    storage.resize_(0)
    storage.resize_(size)


class _OwnTuple(tuple[Any, ...]):
    """A tuple that may have attributes."""


class _OwnBytes(bytearray):
    """Bytes that may have attributes."""


class _OwnRandom(random.Random):
    """A generator of random numbers that may have attributes."""


class _OwnArray(np.ndarray[Any, Any]):
    """An array that may have attributes."""


class _Choice(enum.Enum):
    """An enumeration."""

    A = 1
    B: Any = []  # noqa: RUF012 # that is what is changed


def _raised_again(held: ValueError, y: torch.Tensor) -> None:
    held.args = (y,)
    try:
        raise held from KeyError(y)
    except ValueError:
        return


def _error(held: ValueError) -> Any:
    return len(held.args), held.__cause__, held.__context__, held.__suppress_context__, held.__traceback__


def _closed() -> Any:
    array = np.zeros(2)
    array.flags.writeable = False
    return array


def _read_only() -> Any:
    view = np.zeros(2).view()
    view.flags.writeable = False
    return view


def _attempt(touch: Callable[[Any, torch.Tensor], Any]) -> Callable[[Any, torch.Tensor], Any]:
    """What has no values in an abstract run is refused there, and that is all right."""

    def attempt(held: Any, y: torch.Tensor) -> None:
        try:
            touch(held, y)
        except RuntimeError:
            return

    return attempt


def _gradient(held: Layer, y: torch.Tensor) -> None:
    held.layer.weight.grad = torch.ones(4, 4)


def _weight(held: Layer) -> Any:
    weight = held.layer.weight
    hooks = weight._backward_hooks
    return weight.tolist(), weight.requires_grad, weight.grad is None, dict(vars(weight)), len(hooks or ())


def _another_class(held: Layer, y: torch.Tensor) -> None:
    held.layer.__class__ = type("Other", (nn.Linear,), {})


def _parametrized(held: Layer, y: torch.Tensor) -> None:
    register_parametrization(held.layer, "weight", nn.Identity())


def _parameters(held: Layer) -> Any:
    return type(held.layer), [name for name, _ in held.layer.named_parameters()]


def _switch(touch: Callable[[], Any], look: Callable[[], Any]) -> Kind:
    """What holds for the process, whatever a model has."""
    return Kind(Plain, lambda held, y: touch(), lambda held: look())


KINDS: dict[str, Kind] = {
    "attribute": Kind(lambda: Plain(x=1), _set("x"), lambda held: held.x),
    "new attribute": Kind(Plain, _set("x"), lambda held: [*vars(held)]),
    "deleted attribute": Kind(lambda: Plain(x=1, y=2), lambda held, y: delattr(held, "x"), lambda held: [*vars(held)]),
    "list": Kind(lambda: [1], lambda held, y: held.append(y), len),
    "list order": Kind(lambda: [1, 2], lambda held, y: held.reverse(), list),
    "dict": Kind(lambda: {"a": 1}, lambda held, y: held.update(a=y, b=y), lambda held: [*held.items()]),
    "dict order": Kind(lambda: {"a": 1, "b": 2}, lambda held, y: held.update(a=held.pop("a")), lambda held: [*held]),
    "set": Kind(lambda: {1}, lambda held, y: held.add(2), sorted),
    "deque": Kind(lambda: deque([1, 2], 2), lambda held, y: held.append(y), list),
    "list in a dict": Kind(lambda: {"a": [None]}, lambda held, y: held["a"].append(y), lambda held: len(held["a"])),
    "dict in a list": Kind(lambda: [{}], lambda held, y: held[0].update(a=y), lambda held: len(held[0])),
    "list in a tuple": Kind(lambda: ([],), lambda held, y: held[0].append(y), lambda held: len(held[0])),
    "defaultdict": Kind(lambda: defaultdict(list), lambda held, y: held["a"].append(y), len),
    "defaultdict of lists": Kind(
        lambda: defaultdict(list, a=[1]), lambda held, y: held["a"].append(y), lambda held: len(held["a"])
    ),
    "Counter": Kind(lambda: Counter(a=1), lambda held, y: held.update("ab"), dict),
    "OrderedDict order": Kind(
        lambda: OrderedDict(a=1, b=2), lambda held, y: held.move_to_end("a"), lambda held: [*held]
    ),
    "object in an object": Kind(lambda: Plain(x=Plain(x=1)), lambda held, y: _set("x")(held.x, y), lambda h: h.x.x),
    "namespace": Kind(lambda: SimpleNamespace(x=1), _set("x"), lambda held: held.x),
    "slots": Kind(lambda: Slots(1), _set("x"), lambda held: held.x),
    "empty slot": Kind(lambda: Slots(1), _set("empty"), lambda held: hasattr(held, "empty")),
    "dataclass": Kind(lambda: Data(1), lambda held, y: held.more.append(y), lambda held: len(held.more)),
    "class attribute": Kind(Plain, lambda held, y: setattr(Plain, "shared", y), lambda held: Plain.shared),
    "closure": Kind(_counted, lambda held, y: held().append(1), lambda held: len(held())),
    "function attribute": Kind(_counted, _set("x", lambda y: 1), lambda held: hasattr(held, "x")),
    "class of an object": Kind(Plain, _set("__class__", lambda y: Other), type),
    "all attributes of an object": Kind(lambda: Plain(x=1), _set("__dict__", lambda y: {"x": y}), lambda held: held.x),
    "factory of a defaultdict": Kind(
        lambda: defaultdict(list), _set("default_factory", lambda y: int), lambda held: held.default_factory
    ),
    "defaults of a function": Kind(_defaults, _new_defaults, lambda held: held()),
    "code of a function": Kind(_defaults, _set("__code__", lambda y: (lambda x, *, y: 0).__code__), lambda h: h()),
    "attribute of a partial": Kind(lambda: partial(len), _set("x"), lambda held: hasattr(held, "x")),
    "bytearray": Kind(lambda: bytearray(b"a"), lambda held, y: held.extend(b"b"), bytes),
    "array of NumPy": Kind(lambda: np.zeros(2), lambda held, y: held.fill(1), lambda held: held.tolist()),
    "array in a list": Kind(lambda: [np.zeros(2)], lambda held, y: held[0].fill(1), lambda held: held[0].tolist()),
    "float tensor": Kind(lambda: torch.zeros(2), lambda held, y: held.add_(1), lambda held: held.tolist()),
    "int tensor": Kind(lambda: torch.zeros(2).int(), lambda held, y: held.add_(1), lambda held: held.tolist()),
    "tensor in an object": Kind(lambda: Plain(x=torch.zeros(2)), lambda h, y: h.x.fill_(1), lambda h: h.x.tolist()),
    "tensor through NumPy": Kind(lambda: torch.zeros(2), lambda h, y: h.numpy().fill(1), lambda h: h.tolist()),
    "shape of a tensor": Kind(lambda: torch.zeros(1, 2), lambda held, y: held.squeeze_(), lambda held: held.shape),
    "generator of torch": Kind(
        lambda: torch.Generator(), lambda held, y: torch.rand(1, generator=held), lambda held: held.get_state().tolist()
    ),
    "random.Random": Kind(lambda: random.Random(0), lambda held, y: held.random(), lambda held: held.getstate()),
    "generator of NumPy": Kind(
        lambda: np.random.default_rng(0), lambda held, y: held.random(), lambda held: str(held.bit_generator.state)
    ),
    "requires_grad": Kind(Layer, lambda held, y: held.layer.weight.requires_grad_(False), _weight),
    "gradient": Kind(Layer, _gradient, _weight),
    "attribute of a weight": Kind(Layer, lambda held, y: setattr(held.layer.weight, "x", y), _weight),
    "hook of a weight": Kind(Layer, lambda held, y: held.layer.weight.register_hook(lambda g: g), _weight),
    "weight in place": Kind(Layer, lambda held, y: held.layer.weight.data.mul_(2), _weight),
    "weight through NumPy": Kind(Layer, _attempt(_clear_weight), _weight),
    "data of a weight": Kind(Layer, lambda h, y: setattr(h.layer.weight, "data", torch.zeros(4, 4)), _weight),
    "memory of a weight": Kind(Layer, lambda h, y: h.layer.weight.untyped_storage().resize_(0), _weight),
    "memory of a weight, given back": Kind(Layer, _resized, _weight),
    "memory of a tensor": Kind(lambda: torch.ones(2), lambda h, y: h.untyped_storage().resize_(0), torch.Tensor.tolist),
    "weight that processes share": Kind(Layer, lambda h, y: h.layer.weight.share_memory_(), _weight),
    "class of a layer": Kind(Layer, _another_class, lambda held: type(held.layer)),
    "parametrization": Kind(Layer, _parametrized, _parameters),
    "iterator of a list": Kind(lambda: iter([1, 2]), lambda held, y: next(held), lambda held: held.__length_hint__()),
    "text in memory": Kind(lambda: io.StringIO("a"), lambda held, y: held.write("bc"), lambda held: held.getvalue()),
    "bytes in memory": Kind(lambda: io.BytesIO(b"a"), lambda held, y: held.read(), lambda held: held.tell()),
    "of one thread": Kind(threading.local, _set("x"), lambda held: hasattr(held, "x")),
    "list in a view of a dict": Kind(
        lambda: MappingProxyType({"a": [1]}), lambda held, y: held["a"].append(y), lambda held: len(held["a"])
    ),
    "optimizer": Kind(
        lambda: torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.1),
        lambda held, y: held.param_groups[0].update(lr=9),
        lambda held: held.param_groups[0]["lr"],
    ),
    "logger": Kind(
        lambda: logging.Logger("of a model"),
        lambda held, y: (held.setLevel(10), held.addHandler(logging.NullHandler())),
        lambda held: (held.level, len(held.handlers)),
    ),
    "error": Kind(ValueError, _raised_again, _error),
    "error in a list": Kind(lambda: [ValueError()], lambda h, y: _raised_again(h[0], y), lambda h: _error(h[0])),
    "array that may be written to": Kind(
        lambda: np.zeros(2), lambda held, y: held.setflags(write=False), lambda held: held.flags.writeable
    ),
    "attributes of a tuple": Kind(lambda: _OwnTuple([1]), _set("x"), lambda held: [*vars(held)]),
    "attributes of bytes": Kind(lambda: _OwnBytes(b"a"), _set("x"), lambda held: [*vars(held)]),
    "attributes of random.Random": Kind(lambda: _OwnRandom(0), _set("x", lambda y: 1), lambda held: [*vars(held)]),
    "attributes of an array": Kind(lambda: np.zeros(2).view(_OwnArray), _set("x"), lambda held: [*vars(held)]),
    "array of a class": Kind(
        lambda: np.zeros(2).view(_OwnArray), lambda held, y: held.fill(1), lambda held: held.tolist()
    ),
    "member of an enumeration": Kind(lambda: _Choice.A, _set("x"), lambda held: hasattr(held, "x")),
    "list in a member of an enumeration": Kind(
        lambda: _Choice.B, lambda held, y: held.value.append(y), lambda held: len(held.value)
    ),
    "array that may not be written to": Kind(
        _closed,
        lambda held, y: (held.setflags(write=True), held.fill(1)),
        lambda held: held.tolist(),
    ),
    "array behind another": Kind(_read_only, lambda held, y: held.base.fill(1), lambda held: held.tolist()),
    "array behind one that warns": Kind(
        lambda: np.broadcast_arrays(np.zeros(1), np.zeros((3, 1)))[0],
        lambda held, y: held.base.fill(1),
        lambda held: held.tolist(),
    ),
    "array that shows a number many times": Kind(
        lambda: np.lib.stride_tricks.as_strided(np.zeros(1), (3,), (0,)), lambda h, y: h.fill(1), lambda h: h.tolist()
    ),
    "type of an array": Kind(
        lambda: np.zeros(2, np.float32), lambda held, y: setattr(held, "dtype", np.int32), lambda held: str(held.dtype)
    ),
    "size of an array": Kind(
        lambda: np.zeros(2), lambda held, y: held.resize(3, refcheck=False), lambda held: held.tolist()
    ),
    "bits of random numbers": Kind(
        lambda: np.random.PCG64(0), lambda held, y: held.random_raw(), lambda held: str(held.state)
    ),
    "view of memory": Kind(lambda: memoryview(bytearray(2)), lambda held, y: held.__setitem__(0, 1), bytes),
    "memory of C": Kind(lambda: (ctypes.c_int * 2)(), lambda held, y: held.__setitem__(0, 1), list),
    "number of C": Kind(lambda: ctypes.c_int(0), _set("value", lambda y: 1), lambda held: held.value),
    "map of memory": Kind(
        lambda: mmap.mmap(-1, 4), lambda held, y: held.write(b"x"), lambda held: (held.tell(), held[:])
    ),
    "storage": Kind(lambda: torch.zeros(2).untyped_storage(), lambda held, y: held.fill_(1), list),
    "sparse tensor": Kind(
        lambda: torch.eye(2).to_sparse(), lambda held, y: held.mul_(7), lambda held: held.to_dense().tolist()
    ),
    "elements of a sparse tensor": Kind(
        lambda: torch.eye(2).to_sparse(), lambda held, y: held.zero_(), lambda held: held.to_dense().tolist()
    ),
    "given object": Kind(lambda: Plain(x=1), _set("x"), lambda held: held.x, given=True),
    "given tensor in an object": Kind(
        lambda: Plain(x=torch.zeros(2)), lambda held, y: held.x.add_(1), lambda held: held.x.tolist(), given=True
    ),
    "given list in a dict": Kind(
        lambda: {"a": [torch.zeros(2)]}, lambda held, y: held["a"].append(y), lambda held: len(held["a"]), given=True
    ),
    "given dataclass": Kind(lambda: Data(torch.zeros(2)), _set("x"), lambda held: held.x.tolist(), given=True),
    "given array": Kind(lambda: np.zeros(2), lambda held, y: held.fill(1), lambda held: held.tolist(), given=True),
}


def _autocast_depth() -> int:
    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())


def _hook_of_all(register: Callable[[Callable[..., None]], Any]) -> Kind:
    """A hook that is called at all modules, or at all optimizers."""
    return _switch(lambda: register(lambda *_: None), _hooks_of_all)


def _hooks_of_all() -> dict[str, Any]:
    files = (module_globals, optimizer_globals)
    return {name: str(value) for file in files for name, value in vars(file).items() if name.startswith("_global")}


def _of_this_release() -> Iterator[tuple[str, Kind]]:
    """What not every release of torch or Python has, or lets be put back."""
    if hasattr(torch, "get_autocast_dtype"):
        yield (
            "dtype of autocast",
            _switch(lambda: torch.set_autocast_dtype("cpu", torch.float16), lambda: torch.get_autocast_dtype("cpu")),
        )
    if hasattr(torch.backends, "mha"):
        mha = torch.backends.mha
        yield "fast path of attention", _switch(lambda: mha.set_fastpath_enabled(False), mha.get_fastpath_enabled)
    if hasattr(torch._C._autograd, "_top_saved_tensors_default_hooks"):
        yield (
            "hooks of saved tensors",
            _switch(
                lambda: torch.autograd.graph.saved_tensors_hooks(abs, abs).__enter__(),
                lambda: torch._C._autograd._top_saved_tensors_default_hooks(True),
            ),
        )
    if hasattr(torch.UntypedStorage, "byteswap"):
        yield (
            "order of bytes",
            Kind(Layer, lambda h, y: h.layer.weight.untyped_storage().byteswap(torch.float32), _weight),
        )
    if "always_call" in signature(module_globals.register_module_forward_hook).parameters:
        yield (
            "hook of all modules that is always called",
            _hook_of_all(partial(module_globals.register_module_forward_hook, always_call=True)),
        )
    if hasattr(_FUTURE, "set_swap_module_params_on_conversion"):
        yield (
            "how parameters are converted",
            _switch(
                lambda: _FUTURE.set_swap_module_params_on_conversion(True),
                _FUTURE.get_swap_module_params_on_conversion,
            ),
        )
    if hasattr(sys, "set_int_max_str_digits"):
        yield "digits of numbers", _switch(lambda: sys.set_int_max_str_digits(9_000), sys.get_int_max_str_digits)
    if sys.version_info < (3, 12):
        yield (
            "iterator of a range",
            Kind(lambda: iter(range(9)), lambda held, y: next(held), lambda h: h.__length_hint__()),
        )


def _of_libraries() -> Iterator[tuple[str, Kind]]:
    """What belongs to libraries that are not always installed."""
    with suppress(ImportError):
        import pandas

        yield "table", Kind(lambda: pandas.DataFrame({"a": [1, 2]}), _in_a_table, lambda held: held.to_json())
        yield (
            "column of a table",
            Kind(lambda: pandas.Series([1, 2]), lambda held, y: held.update({0: 3}), lambda held: held.to_json()),
        )
    with suppress(ImportError):
        from PIL import Image

        white = partial(Image.new, "RGB", (4, 4), "white")
        yield "image", Kind(white, lambda held, y: held.putpixel((0, 0), 0), lambda held: held.tobytes())
        yield "size of an image", Kind(white, lambda held, y: held.thumbnail((2, 2)), lambda held: held.tobytes())


_FUTURE = torch.__future__
KINDS.update(_of_this_release())
KINDS.update(_of_libraries())

_CUDA = torch.backends.cuda
_OTHER_LOCALE = "C" if locale.setlocale(locale.LC_CTYPE) != "C" else "C.UTF-8"
_VARIABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("of a model", default=None)

KINDS |= {
    "default dtype": _switch(lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "default device": _switch(lambda: torch.set_default_device("meta"), lambda: torch.ones(0).device),
    "determinism": _switch(
        lambda: torch.use_deterministic_algorithms(True), torch.are_deterministic_algorithms_enabled
    ),
    "threads of torch": _switch(lambda: torch.set_num_threads(3), torch.get_num_threads),
    "gradients": _switch(lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "anomalies": _switch(lambda: torch.autograd.set_detect_anomaly(True), torch.is_anomaly_enabled),
    "autocast": _switch(lambda: torch.autocast("cpu").__enter__(), torch._C._is_any_autocast_enabled),
    "depth of autocast": _switch(lambda: torch.autocast("cpu").__enter__(), _autocast_depth),
    "cache of autocast": _switch(lambda: torch.set_autocast_cache_enabled(False), torch.is_autocast_cache_enabled),
    "entered inference mode": _switch(lambda: torch.inference_mode().__enter__(), torch.is_inference_mode_enabled),
    "precision of products": _switch(
        lambda: torch.set_float32_matmul_precision("medium"), torch.get_float32_matmul_precision
    ),
    "tf32 of products": _switch(lambda: setattr(_CUDA.matmul, "allow_tf32", True), lambda: _CUDA.matmul.allow_tf32),
    # torch's own attribute is refused once torch.testing has been imported.
    "benchmark of cudnn": _switch(lambda: torch._C._set_cudnn_benchmark(True), torch._C._get_cudnn_benchmark),
    "flash attention": _switch(lambda: _CUDA.enable_flash_sdp(False), _CUDA.flash_sdp_enabled),
    "how tensors are printed": _switch(lambda: torch.set_printoptions(precision=2), lambda: repr(torch.ones(1) / 3)),
    "environment": _switch(
        lambda: os.environ.update(HOME="none", NEW_OF_A_MODEL="1"),
        lambda: (os.environ.get("HOME"), os.environ.get("NEW_OF_A_MODEL")),
    ),
    "folder": _switch(lambda: os.chdir("/"), Path.cwd),
    "search path": _switch(lambda: sys.path.append("none"), lambda: [*sys.path]),
    "error stream": _switch(lambda: setattr(sys, "stderr", io.StringIO()), lambda: sys.stderr),
    "filters of warnings": _switch(lambda: warnings.simplefilter("always", UserWarning), lambda: [*warnings.filters]),
    "root of logging": _switch(
        lambda: (
            logging.disable(50),
            logging.root.addHandler(logging.NullHandler()),
            logging.root.addFilter(logging.Filter()),
        ),
        lambda: (logging.root.manager.disable, len(logging.root.handlers), len(logging.root.filters)),
    ),
    "warnings that are logged": _switch(
        lambda: logging.captureWarnings(True), lambda: (warnings.showwarning, vars(logging)["_warnings_showwarning"])
    ),
    "class of loggers": _switch(
        lambda: logging.setLoggerClass(type("Own", (logging.Logger,), {})), logging.getLoggerClass
    ),
    "recursion limit": _switch(lambda: sys.setrecursionlimit(9_000), sys.getrecursionlimit),
    "garbage collection": _switch(gc.disable, gc.isenabled),
    "when garbage is collected": _switch(lambda: gc.set_threshold(9_000), gc.get_threshold),
    "handler of a signal": _switch(
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN), lambda: signal.getsignal(signal.SIGTERM)
    ),
    "handler of lost pipes": _switch(
        lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL), lambda: signal.getsignal(signal.SIGPIPE)
    ),
    "errors of threads": _switch(lambda: setattr(threading, "excepthook", print), lambda: threading.excepthook),
    "errors that nobody sees": _switch(lambda: setattr(sys, "unraisablehook", print), lambda: sys.unraisablehook),
    "arguments of the program": _switch(lambda: sys.argv.append("--none"), lambda: [*sys.argv]),
    "time zone": _switch(lambda: (os.environ.update(TZ="Asia/Tokyo"), time.tzset()), lambda: time.tzname),
    "locale": _switch(lambda: locale.setlocale(locale.LC_ALL, _OTHER_LOCALE), lambda: locale.setlocale(locale.LC_ALL)),
    "patience of sockets": _switch(lambda: socket.setdefaulttimeout(9), socket.getdefaulttimeout),
    "how processes start": _switch(
        lambda: multiprocessing.set_start_method("spawn", force=True),
        lambda: multiprocessing.get_start_method(allow_none=True),
    ),
    "digits of decimal numbers": _switch(
        lambda: setattr(decimal.getcontext(), "prec", 5), lambda: decimal.getcontext().prec
    ),
    "errors of decimal numbers": _switch(
        lambda: decimal.getcontext().traps.update({decimal.Inexact: True}), lambda: str(decimal.getcontext().traps)
    ),
    "how arrays are printed": _switch(lambda: np.set_printoptions(precision=2), lambda: repr(np.ones(1) / 3)),
    "hook of all modules": _hook_of_all(module_globals.register_module_forward_hook),
    "hook before all modules": _hook_of_all(module_globals.register_module_forward_pre_hook),
    "hook of all gradients": _hook_of_all(module_globals.register_module_full_backward_hook),
    "hook before all gradients": _hook_of_all(module_globals.register_module_full_backward_pre_hook),
    "hook of another kind of all gradients": _hook_of_all(module_globals.register_module_backward_hook),
    "hook of all new modules": _hook_of_all(module_globals.register_module_module_registration_hook),
    "hook of all new parameters": _hook_of_all(module_globals.register_module_parameter_registration_hook),
    "hook of all new buffers": _hook_of_all(module_globals.register_module_buffer_registration_hook),
    "hook before all optimizers": _hook_of_all(optimizer_globals.register_optimizer_step_pre_hook),
    "hook of all optimizers": _hook_of_all(optimizer_globals.register_optimizer_step_post_hook),
    "gradients ahead": _switch(lambda: torch._C._set_fwd_grad_enabled(False), torch._C._is_fwd_grad_enabled),
    "level of dual numbers": _switch(forward_ad.enter_dual_level, lambda: vars(forward_ad)["_current_level"]),
    "how tensors are shared": _switch(
        lambda: torch.multiprocessing.set_sharing_strategy("file_system"), torch.multiprocessing.get_sharing_strategy
    ),
    "checks of distributions": _switch(
        lambda: torch.distributions.Distribution.set_default_validate_args(False),
        lambda: torch.distributions.Distribution._validate_args,
    ),
    "path of einsum": _switch(
        lambda: vars(torch.backends.opt_einsum.m).update(enabled="of a model"),
        lambda: torch.backends.opt_einsum.enabled,
    ),
    "checks of sparse tensors": _switch(
        torch.sparse.check_sparse_tensor_invariants.enable, torch.sparse.check_sparse_tensor_invariants.is_enabled
    ),
    "folder of temporary files": _switch(lambda: setattr(tempfile, "tempdir", "/none"), lambda: tempfile.tempdir),
    "hooks of asynchronous generators": _switch(lambda: sys.set_asyncgen_hooks(print, print), sys.get_asyncgen_hooks),
    "origins of coroutines": _switch(
        lambda: sys.set_coroutine_origin_tracking_depth(3), sys.get_coroutine_origin_tracking_depth
    ),
    "variable of a context": _switch(lambda: _VARIABLE.set(1), _VARIABLE.get),
    "errors of NumPy": _switch(lambda: np.seterr(all="ignore"), np.geterr),
    "random numbers of all": _switch(
        lambda: (random.random(), np.random.rand(), torch.rand(1)),
        lambda: (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()),
    ),
}


def touched(kind: Kind, run: Callable[[nn.Module, tuple[Any, ...]], Any]) -> str:
    """Run a model that touches something; what has changed, in words, and nothing where nothing has."""
    model, x = Touching(kind), torch.ones(2, 4)
    held = kind.make() if kind.given else model.held
    before = kind.look(held)
    run(model, (x, held) if kind.given else (x,))
    after = kind.look(held)
    if before != after:
        return f"{before!r} became {after!r}"
    if model.held is not held and not kind.given:
        return "another object is held"
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model.kind = kind._replace(touch=lambda held, y: None)
    model(x).sum().backward()
    return ""


def tries(count: int, seed: int) -> Tries:
    """Kinds drawn, each abstractly and executed; all of them where the count allows it."""
    for name, execute in drawn([(name, execute) for name in KINDS for execute in (False, True)], count, seed):
        run = partial(_profile, execute)
        yield f"{name}, {'executed' if execute else 'abstract'}", told(partial(touched, KINDS[name], run))


def _profile(execute: bool, model: nn.Module, inputs: tuple[Any, ...]) -> None:
    with suppress(thoplw.DataDependentError):  # what needs values is refused: that is no word too few
        thoplw.profile(model, inputs, verbose=False, execute=execute)
