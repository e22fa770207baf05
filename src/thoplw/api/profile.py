"""``thoplw.profile``: run a model on abstract tensors, price what ran, and report it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NoReturn

import torch

from thoplw.api.at_rest import at_rest
from thoplw.capture import capture, expand
from thoplw.capture.inputs import FORMS, arguments, shortened
from thoplw.capture.options import INFERENCE, Options
from thoplw.capture.restore.preserve import without_collection
from thoplw.errors import InputError, UncountedError, UnknownNameError, add_note, message_of
from thoplw.estimate.memory import Memory
from thoplw.pricing import Convention, find
from thoplw.pricing.custom import CustomOps
from thoplw.record import Trace
from thoplw.report.layer_info import LayerInfo


def profile(
    model: torch.nn.Module,
    tensor: Any = ...,
    custom_ops: Mapping[Any, Callable[..., Any]] | None = None,
    verbose: bool = True,
    *,
    convention: str | Convention = "thoplw",
    strict: bool = False,
    execute: bool = False,
    reuse_layers: bool = True,
    mode: Literal["inference", "train"] = "inference",
    memory: bool = False,
    **unknown: NoReturn,
) -> tuple[int, int, LayerInfo]:
    """Tell what every layer of a model costs.

    The model runs once, as in inference, on tensors that have shapes but no values: nothing is computed, weights are
    read for their shapes only, and the model is left exactly as it was.

    Args:
        model: any module. Its weights may be on the meta device.
        tensor: what the model takes: a tensor; a tuple or list of positional inputs; a dict of keyword inputs (tensors
            at any depth, and other values), or what a tokenizer returns; both as ``thoplw.Inputs(x, mask=m)``; or a
            shape such as ``(1, 3, 224, 224)``, which stands for a float32 tensor. A list is one input where the forward
            takes no more, or says that it takes a list: ``profile(detector, [picture, picture])``. To have it so
            elsewhere, give ``([a, b],)``; a dict is the one positional input as ``(inputs,)``. A cache, a graph or
            another object with tensors in it is copied, and stays as it was. Without ``tensor`` nothing runs: the
            report has parameters and their bytes, and MACs are 0.
        custom_ops: ``{nn.Module subclass: f(module, inputs, output) -> cost}`` prices a module with all under it, and
            ``{torch.ops.lib.op: f(call) -> cost}`` an operator, see :class:`thoplw.Call`: alone, or inside of what the
            convention prices as a whole. A cost is a whole number in the convention's unit, or :class:`thoplw.Work`.
        verbose: say on stderr what was not counted, and which submodules never ran.
        convention: how to count: the name of one that :func:`thoplw.conventions` lists, or your own.
        strict: raise when an operator was not counted.
        execute: really run the model on the tensors given (a shape stands for zeros), for a model whose control flow
            needs values.
        reuse_layers: run equal layers that are called with equal shapes only once. This changes no figure; if it does,
            please report a bug.
        mode: ``"train"`` runs the forward as it is in training: batch norms count statistics of the batch, auxiliary
            heads run. For backward and update as well see :func:`thoplw.profile_training`.
        memory: also tell how much memory the run takes, in ``layers.memory``; it takes a second run.
        unknown: no other argument is allowed; names from other tools, such as ``input_size=``, get a hint.

    Returns:
        Multiply-accumulates, parameters, and a row for every layer.

    Raises:
        InputError: the model is not a module, or the input cannot be used.
        UnknownNameError: the convention is unknown.
        TypeError: an argument is unknown.
        CustomOpError: a function in ``custom_ops`` takes other arguments, or returned no number.
        DataDependentError: the control flow of the model depends on a value, and ``execute`` is off.
        UncountedError: ``strict``, and an operator has no price.
        Exception: what the forward of the model raises comes through unchanged.
    """
    if unknown:
        _refuse(model, next(iter(unknown)))
    if mode not in ("inference", "train"):
        raise UnknownNameError("mode", mode, ("inference", "train"))
    if tensor is ...:
        if custom_ops or execute:
            raise InputError(f"custom_ops and execute need an input to run the model on; give {FORMS}")
        _refuse_memory(memory, "without an input nothing runs")
        info = LayerInfo(at_rest(module_of(model), find(convention)))
        if verbose:
            _tell(info)
        return info.total_macs, info.total_params, info
    if execute:
        _refuse_memory(memory, "execute=True runs on real tensors, whose memory torch.profiler tells")
    # A real run may leave large garbage, which must be collected.
    with without_collection(when=not execute):
        table = find(convention)
        custom = CustomOps(custom_ops, table)
        train = mode == "train"
        options = Options(
            execute=execute, reuse_layers=reuse_layers, on_return=custom.on_return, priced=custom.flows, train=train
        )
        trace = observe(model, tensor, options)
        again = Options(train=train, iterations=1, graph=trace.in_pieces)
        recorded = Memory(observe(model, tensor, again)) if memory else None
        info = LayerInfo(custom.price(trace, expand), recorded)
        say_lacking(info, strict=strict, verbose=verbose)
        return info.total_macs, info.total_params, info


def _refuse_memory(memory: bool, reason: str) -> None:
    if memory:
        raise InputError(f"memory=True records a run on abstract tensors, and {reason}: leave one of them out")


def say_lacking(info: LayerInfo, *, strict: bool, verbose: bool) -> None:
    """Say on stderr what a report lacks.

    Raises:
        UncountedError: ``strict``, and an operator has no price.
    """
    if strict and info.uncounted:
        raise UncountedError(
            f"{info.notes()[0]} To give one of them a price, write a function of a call:\n\n"
            f"    def price(call: thoplw.Call) -> int:\n"
            f"        (output,) = call.outputs\n"
            f"        return 2 * output.numel\n"
            f"    custom_ops = {{torch.ops.{next(iter(info.uncounted))}: price}}\n"
            f"    thoplw.profile(model, tensor, custom_ops)"
        )
    if verbose:
        _tell(info)


def observe(model: torch.nn.Module, tensor: Any, options: Options = INFERENCE) -> Trace:
    """Run a model once and record what ran.

    Args:
        model: any module.
        tensor: what it takes, as for :func:`profile`.
        options: how to run it.

    Raises:
        Exception: what :func:`thoplw.capture.capture` raises, with a note about the inputs where they may be the cause.
    """
    model = module_of(model)
    # TorchScript keeps its forward as an attribute once somebody has asked for it.
    forward = None if isinstance(model, torch.jit.ScriptModule) else model.forward
    args, kwargs = arguments(tensor, forward=forward, real=options.execute)
    try:
        return capture(model, args, kwargs, options)
    except (TypeError, AttributeError) as error:
        if isinstance(tensor, dict) and issubclass(type(error), TypeError):
            say_if_positional(model, tensor, error)
        _note_shapes((*args, *kwargs.values()), error)
        raise
    except RuntimeError as error:
        _note_dtype((*args, *kwargs.values()), error)
        raise
    except ValueError as error:
        if options.train or options.step is not None:
            _note_batch(error)
        raise


def _tell(info: LayerInfo) -> None:
    sys.stderr.write("".join(f"thoplw: {note}\n" for note in info.notes()))


def module_of(model: object) -> torch.nn.Module:
    """The model without wrappers such as ``DataParallel``.

    Raises:
        InputError: the model is not a module.
    """
    if not isinstance(model, torch.nn.Module):
        hint = ""
        if isinstance(model, type):
            hint = f"; call it first: {model.__name__}(...)"
        elif isinstance(model, str):
            hint = "; only the command line takes names of models: build the model first"
        elif callable(getattr(model, "module", None)):  # a program of torch.export
            hint = "; give what its module() returns"
        elif isinstance(model, torch.Tensor) or (isinstance(model, tuple) and model):
            hint = "; the model comes first, and its input second"
        elif isinstance(getattr(model, "__self__", None), torch.nn.Module):
            hint = "; give the model itself, not a method of it"
        elif isinstance(model, Mapping):
            hint = "; weights alone do not say how they are used: build the model, it needs no weights"
        elif callable(model):
            hint = "; what a function runs is counted by `with thoplw.count() as counted:`"
        raise InputError(f"thoplw takes a torch.nn.Module, not {type(model).__name__}: {shortened(model)}{hint}")
    return _unwrapped(model)


def _note_shapes(inputs: tuple[Any, ...], error: Exception) -> None:
    """Add a hint to an error when inputs look like shapes: ``[(1, 3), (1, 4)]`` is two tuples, not two tensors."""
    if len(inputs) > 1 and all(isinstance(each, (int, float, str, type(None))) for each in inputs):
        add_note(
            error,
            f"the input {inputs!r} was taken for {len(inputs)} inputs; a shape has whole numbers only, such as "
            "(1, 3, 224, 224)",
        )
    if "ndarray" in message_of(error):
        add_note(error, "NumPy arrays are no tensors: pass torch.from_numpy(array) for each")
    listed = (item for each in inputs if isinstance(each, list) for item in each)
    shape = next(
        (
            each
            for each in (*inputs, *listed)
            if isinstance(each, (tuple, list)) and each and all(type(at) is int for at in each)
        ),
        None,
    )
    if shape is not None:
        add_note(
            error,
            f"the input {shape!r} was passed to the model as it is; a shape stands for a tensor only if it is the "
            f"whole input: pass torch.empty({', '.join(map(str, shape))}) instead",
        )


def _note_dtype(inputs: tuple[Any, ...], error: Exception) -> None:
    """Add a hint to what an embedding says that was given floats, as a shape stands for."""
    floats = [each for each in inputs if isinstance(each, torch.Tensor) and each.is_floating_point()]
    if floats and "'indices'" in message_of(error) and "Long" in message_of(error):
        sizes = tuple(floats[0].shape)
        add_note(
            error,
            "token ids are whole numbers, and a shape stands for float32: pass "
            f"torch.zeros({sizes}, dtype=torch.int64), or type --input {','.join(map(str, sizes))}:int64",
        )


def _note_batch(error: Exception) -> None:
    """Add a hint to what a batch norm says that has one value for each channel."""
    if "more than 1 value per channel" in message_of(error):
        add_note(error, "in training a batch norm takes statistics of the batch: give a batch of 2 or more")


def say_if_positional(model: torch.nn.Module, given: Mapping[str, Any], error: Exception) -> None:
    """Explain a dict whose keys the forward does not take: it may be meant as the one positional input."""
    try:
        takes = inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return
    unknown = [name for name in given if name not in takes]
    if unknown and not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in takes.values()):
        raise InputError(
            f"a dict gives keyword inputs, but the forward of {type(model).__name__} takes ({', '.join(takes)}), "
            f"not {', '.join(map(repr, unknown))}. For a dict as the one positional input, pass a tuple: (inputs,)"
        ) from error


#: Names that other tools have for the input of a model.
_ELSEWHERE = re.compile(
    r"(args|batch|data|dummy|image|img|inp|inputs?|in|kwargs|sample|shape|size|tensors?|x)"
    r"|(batch|dummy|example|image|img|in|input|sample)_(args?|batch|constructor|data|dims|ids|inputs?|kwargs|res|shape|size|tensors?)"
)

#: Names that other tools have for what tables show.
_OF_TABLES = frozenset(
    "as_strings col_names col_width columns depth detailed max_depth module_depth output_as_string output_precision "
    "print_detailed print_per_layer_stat print_profile print_results row_settings sort top top_modules".split()
)

#: Other names that are typed -> what to do.
_INSTEAD = {
    "device": "It runs on no device: leave it out",
    "report_missing": "It always says on stderr what it has not counted: leave it out",
    "ret_layer_info": "It always returns the layers: macs, params, layers = thoplw.profile(...)",
}


def _refuse(model: object, name: str) -> NoReturn:
    """Say what to type in place of an argument that there is not.

    Raises:
        InputError: it is the input under another name.
        TypeError: it is another.
    """
    if _ELSEWHERE.fullmatch(name) or name in _parameters(model):
        raise InputError(f"profile has no {name}=; the input is its second argument, tensor=, and may be {FORMS}")
    hint = str(UnknownNameError("argument", name, _ARGUMENTS)).partition(". ")[2]
    if name in _OF_TABLES:
        hint = "Tables are made of what it returns: layers.summary('text', 'clever', depth=1)"
    raise TypeError(f"profile() got an unexpected keyword argument {name!r}. {_INSTEAD.get(name, hint)}")


def _parameters(model: object) -> Iterable[str]:
    """Names of the inputs of a model, as far as they are known."""
    try:
        return inspect.signature(model.forward).parameters if isinstance(model, torch.nn.Module) else ()
    except (TypeError, ValueError):
        return ()


_ARGUMENTS = tuple(inspect.signature(profile).parameters)[:-1]


def _unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The module inside wrappers that change how it runs, not what it computes."""
    if isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        return _unwrapped(model.module)
    original = getattr(model, "_orig_mod", None)  # torch.compile
    return model if original is None else _unwrapped(original)
