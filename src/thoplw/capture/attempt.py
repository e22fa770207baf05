"""One attempt to run a model and record it: read the model, run it, put everything back, and return what ran.

For example, the forward of most models is recorded below autograd, at the first attempt. A forward that asks for
gradients itself needs autograd: :func:`thoplw.capture.capture` then makes a second attempt, with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from contextvars import copy_context
from itertools import filterfalse, islice
from operator import attrgetter
from threading import get_ident
from typing import Any

import torch

from thoplw.capture.abstract import Specs
from thoplw.capture.abstract_run import AbstractRun
from thoplw.capture.answers.detection import boxes_cover_pictures
from thoplw.capture.answers.device_kernels import decomposed_for
from thoplw.capture.answers.higher_order import differentiated
from thoplw.capture.backward import MarkedScopes
from thoplw.capture.criterion import LOSS_PATH
from thoplw.capture.distributed import refuse_copies, refuse_split
from thoplw.capture.generators import exhaust
from thoplw.capture.inputs import copy_inputs
from thoplw.capture.layer_cache import LayerCache
from thoplw.capture.live_run import LiveRun
from thoplw.capture.memory_run import MemoryRun
from thoplw.capture.new_modules import NewModules
from thoplw.capture.options import Options
from thoplw.capture.restore.interrupts import Interrupts
from thoplw.capture.restore.preserve import data_preserved, preserved
from thoplw.capture.restore.random_state import random_state_kept
from thoplw.capture.restore.snapshot import Snapshot
from thoplw.capture.restore.survivors import Survivors, names_of
from thoplw.capture.restore.switches import switches_kept
from thoplw.capture.run import Run
from thoplw.capture.scopes import ModuleScopes
from thoplw.capture.scripted import refuse_traced
from thoplw.capture.stand_ins import stood_in_for
from thoplw.capture.storages_run import StoragesRun
from thoplw.capture.torch_internals import (
    VERSION,
    below_autograd,
    constructs_subclass,
    data_assignments,
    derivatives,
    gradient_accesses,
    handed_out,
    lacks_memory,
    traces_refused,
)
from thoplw.capture.training_run import GradientProbe, LiveTrainingRun, TrainingRun, WithGradients, phases_of
from thoplw.capture.training_step import TrainingStep
from thoplw.capture.types_told import types_told
from thoplw.capture.unread import Unread
from thoplw.capture.weights import Weights
from thoplw.errors import DataDependentError, InputError, ThoplwError, add_note
from thoplw.record import Kind, Trace

_IS_META = attrgetter("is_meta")


class Attempt:
    """One run of a model, from what it is given to its record."""

    def __init__(
        self,
        model: torch.nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: Options,
        probe: GradientProbe | None,
    ) -> None:
        """Read the model and its inputs. Nothing is changed yet.

        Args:
            model: any module.
            args: positional inputs.
            kwargs: keyword inputs.
            options: how to run it.
            probe: notes whether the forward asks for gradients, in a run below autograd; ``None`` for a run under it.

        Raises:
            InputError: a parameter is not initialised yet, a tensor or module is split over processes, or a real run
                lacks values.
        """
        self._model, self._inputs, self._options, self._probe = model, (args, kwargs), options, probe
        self._specs = specs = Specs()
        self._weights = weights = Weights(specs)
        weights.add(model)
        self._snapshot = snapshot = Snapshot(gradients=probe is None)
        snapshot.add(self._inputs)
        self._input_tensors, self._input_modules = dict(snapshot.tensors), dict(snapshot.modules)
        refuse_split("an input", map(type, self._input_tensors.values()))
        if options.execute:
            _require_values(weights, self._input_tensors)
        else:
            refuse_traced(weights.modules)
            refuse_copies(weights.classes)
        snapshot.add_modules(weights.modules, weights.tensors)
        read = len(snapshot.tensors)
        self._step_tensors = _tensors_of_step(options.step, weights, snapshot) if options.step is not None else []
        self._real = list(filterfalse(_IS_META, snapshot.tensors.values()))
        scopes = ModuleScopes if probe is not None else MarkedScopes
        self._scopes = scopes(weights.indices, specs, options.on_return)
        self._run = self._new_run()
        self._run.priced = options.priced
        self._run.own(self._real)
        if isinstance(self._run, MemoryRun):
            self._run.gpu = self._kernel_device() == "cuda"
            others = [*self._input_tensors.values(), *islice(snapshot.tensors.values(), read, None)]
            _note_existing(self._run, weights, others)
        self._survivors = Survivors(weights.modules, snapshot)
        if options.step is not None and options.step.function is None:
            weights.add(options.step.criterion, LOSS_PATH, 0)
        self._new_modules = NewModules(weights, self._scopes)

    def record(self) -> Trace:
        """Run the model, leave everything as it was, and return the record.

        Raises:
            DataDependentError: the model decided on a value that an abstract run does not have.
            InputError: something that the forward did cannot be followed, or put back.
            Exception: whatever the forward of the model raises, with a note that says in which module.
        """
        run, weights, scopes = self._run, self._weights, self._scopes
        try:
            with Interrupts() as interrupts, ExitStack() as stack:
                reshaped = self._enter(stack)
                args, kwargs = copy_inputs(self._inputs, self._input_tensors, self._input_modules, run.replace_input)
                unread = Unread(self._model, kwargs, self._specs)
                stack.callback(run.end)
                stack.enter_context(run.recording())
                try:
                    with interrupts.let_through():
                        # A copy of the context keeps what the forward sets in context variables.
                        copy_context().run(self._call, args, kwargs)
                except Exception as error:
                    if (better := self._better(error)) is not None:
                        raise better from error
                    _say_where(error, run)
                    raise
                finally:
                    del args, kwargs
                self._new_modules.register(self._model)
            used = weights.used(run.used, scopes.scopes)
            never_read = unread.names(run)
        finally:
            self._new_modules.forget()
            left = self._survivors.forget(self._specs, run.doubtful, self._options.on_return)
        if self._probe is None or not self._probe.asked:  # else another attempt follows, and reports these
            for lost in self._snapshot.lost:
                warnings.warn(f"the forward {lost}, and this cannot be put back", RuntimeWarning, stacklevel=3)
            if run.refusals:
                caught = run.refusals[0]
                raise type(caught)(
                    f"{caught}. The forward caught this error and went another way than on real tensors"
                ) from caught
        _refuse_kept(names_of(left))
        if not self._options.execute:
            # Tensors that are not weights have values, and the run follows what is assigned to them.
            _refuse_reshaped([tensor for tensor in reshaped if id(tensor) in weights.tensors])
        phases = b"" if self._probe is not None else phases_of(run.steps)
        return Trace(
            modules=tuple(weights.infos),
            scopes=tuple(scopes.scopes),
            steps=tuple(run.steps),
            used=used,
            assumptions=tuple(run.assumptions),
            torch=VERSION,
            phases=phases,
            unread=never_read,
            given=tuple(map(self._specs.of, self._input_tensors.values())),
            lifetimes=run.ledger.lifetimes(phases or bytes(len(run.steps))) if isinstance(run, MemoryRun) else None,
            in_pieces=isinstance(run, WithGradients),
            trained=run.trained if isinstance(run, WithGradients) and self._options.step is not None else (),
        )

    def _new_run(self) -> Run:
        """Return the dispatch mode that records this attempt."""
        options = self._options
        if self._probe is not None:
            run_class: type[Run] = LiveRun if options.execute else StoragesRun if options.storages else AbstractRun
            device = self._device()
        else:
            run_class = MemoryRun if options.iterations else LiveTrainingRun if options.execute else TrainingRun
            device = torch.device("cpu")  # on another device, autograd would work in threads of its own
        return run_class(specs=self._specs, weights=self._weights, scopes=self._scopes, device=device)

    def _device(self) -> torch.device:
        """Return the device of the inputs, else that of the weights; the CPU if all are on the meta device."""
        return self._real[0].device if self._real else torch.device("cpu")

    def _kernel_device(self) -> str:
        """Return the type of the device whose kernels a run under autograd records."""
        step = self._options.step
        return (step is not None and step.device) or self._device().type

    def _training(self) -> bool | None:
        """Return the mode to put all modules in: true for training, false for evaluation; ``None`` changes no module.

        A model that is in training mode already is not changed for training: some of its modules, such as frozen norms,
        may be in evaluation mode on purpose.
        """
        train = self._options.train or self._options.step is not None
        return None if train and getattr(self._model, "training", True) else train

    def _enter(self, stack: ExitStack) -> list[torch.Tensor]:
        """Enter the contexts of a run; they put everything back when ``stack`` is left.

        Returns:
            A list that is filled when ``stack`` is left: with the tensors whose ``.data`` has another shape or dtype.
        """
        run, scopes, options = self._run, self._scopes, self._options
        stack.enter_context(switches_kept())
        stack.enter_context(random_state_kept(lambda: run.drew))
        stack.enter_context(preserved(self._snapshot, self._training()))
        stack.callback(run.finish)
        reshaped = stack.enter_context(data_preserved(self._real))
        if self._probe is not None:
            stack.enter_context(derivatives(self._probe.note))
            stack.enter_context(gradient_accesses(self._keep_gradient, scopes.belongs))
            stack.enter_context(below_autograd())
        else:
            stack.enter_context(torch.inference_mode(False))  # the user's, or of a run around this one
            stack.enter_context(
                torch.set_grad_enabled(options.step is not None or options.graph or not options.iterations)
            )
            stack.enter_context(differentiated(lambda: scopes.belongs(get_ident())))
            if not options.execute:
                weights = [*self._weights.tensors.values(), *self._step_tensors]
                stack.enter_context(stood_in_for(weights, self._specs, run.device))
                stack.enter_context(decomposed_for(self._kernel_device(), scopes.belongs))
        if isinstance(run, MemoryRun):
            stack.enter_context(data_assignments(run.ledger.assign))
        stack.enter_context(handed_out(run.save, scopes.belongs))
        if isinstance(run, AbstractRun):
            stack.enter_context(boxes_cover_pictures(run, scopes))
            stack.enter_context(types_told(self._weights.classes))
            stack.enter_context(traces_refused(self._refuse_trace))
            if options.reuse_layers and self._probe is not None:
                stack.enter_context(LayerCache(run, scopes, self._weights))
        stack.enter_context(self._new_modules)
        stack.enter_context(scopes)
        return reshaped

    def _keep_gradient(self, tensor: torch.Tensor, gradient: torch.Tensor | None) -> None:
        """Remember the gradient of a tensor of the user's, which the forward reads or replaces, and its values."""
        if self._snapshot.keep_gradient(tensor, gradient) and gradient is not None:
            self._run.own([gradient])

    def _refuse_trace(self) -> None:
        """Refuse that a function is traced in an abstract run: the trace would lack what the run answers."""
        if self._scopes.belongs(get_ident()):
            raise self._run.refuse(
                InputError(
                    f"the code {self._run.where()} has make_fx trace a function, as torch.func.linearize does, and a "
                    "trace sees nothing of a run that computes only shapes. execute=True counts it on real tensors"
                )
            )

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Call the model, or run the training step, and consume the generators in its output.

        All of this is in the scope of the model. Hooks alone would not do: they do not fire for a class with a
        ``__call__`` of its own, and do not cover what a generator runs later.
        """
        model, run, step, iterations = self._model, self._run, self._options.step, self._options.iterations
        with self._scopes.root(model, args, kwargs) as returned:
            if step is None:
                returned.append(model(*args, **kwargs))
            elif isinstance(run, MemoryRun):
                began = run.ledger.begin
                returned.append(step.repeat(model, args, kwargs, iterations, began=began, returned=run.returned))
            else:
                returned.append(step.run(model, args, kwargs))
            exhaust(returned[0])
            if step is None and isinstance(run, MemoryRun):
                run.returned(returned[0])

    def _better(self, error: Exception) -> ThoplwError | None:
        """Return an error that says more than that of the forward, if its cause is known; ``None`` for any other."""
        if lacks_memory(error) and not self._options.execute:
            return DataDependentError(
                f"the code {self._run.where()} reads the memory of a tensor, as torch.tensor([x, y]) and "
                "x.storage()[0] do, and this run computes only shapes: tensors have no memory. execute=True counts it "
                "on real tensors"
            )
        if constructs_subclass(error):
            return InputError(
                f"the code {self._run.where()} calls the constructor of a class of tensors, such as CausalBias of "
                "torch.nn.attention.bias, or Parameter on a weight, and torch cannot do that while operators are "
                "recorded. Make the tensor before the model runs, in __init__ say, or with tensor.as_subclass(cls)"
            )
        if self._scopes.strangers and issubclass(type(error), DataDependentError):
            return InputError(
                "a thread that existed before the run worked on its tensors, and thoplw cannot follow it. It follows "
                "threads that the forward starts, and work that the forward gives to a ThreadPoolExecutor"
            )
        return None


def _tensors_of_step(step: TrainingStep, weights: Weights, snapshot: Snapshot) -> list[torch.Tensor]:
    """Return the tensors of a training step that are not the model's. They are abstract in the run, as weights are."""
    before = snapshot.tensors.keys() | weights.tensors.keys()
    snapshot.add([step.loss, step.targets, step.optimizer, step.function, *step.named()])
    return [
        tensor
        for key, tensor in snapshot.tensors.items()
        if key not in before and tensor.is_floating_point() and tensor.numel() > 1 and weights.hold(tensor)
    ]


def _note_existing(run: MemoryRun, weights: Weights, others: Iterable[torch.Tensor]) -> None:
    """Note in the ledger what exists before a run: weights, buffers, and the other tensors of model and step."""
    parameters = {weight.key for info in weights.infos for weight in info.parameters}
    buffers = {weight.key for info in weights.infos for weight in info.buffers}
    for keys, kind in ((parameters, Kind.WEIGHTS), (buffers, Kind.BUFFERS)):
        run.ledger.hold((tensor for key, tensor in weights.tensors.items() if key in keys), kind)
    run.ledger.hold(others, Kind.INPUTS)


def _require_values(weights: Weights, given: Mapping[int, torch.Tensor]) -> None:
    """Refuse weights and inputs on the meta device: a real run needs values."""
    name = weights.on_meta()
    if name is not None:
        raise InputError(f"execute=True needs real weights, and {name!r} is on the meta device; leave execute out")
    if any(tensor.is_meta for tensor in given.values()):
        raise InputError("execute=True needs real inputs, and one is on the meta device; leave execute out")


def _refuse_kept(places: list[str]) -> None:
    """Refuse a forward that kept a tensor of the run in a place whose content before the run is not known."""
    if places:
        raise InputError(
            f"the forward kept a tensor of this run in {', '.join(places[:3])}, and thoplw does not know what was "
            "there before: set it again before the model runs. thoplw restores the attributes of modules, and the "
            "variables of the file that defines the class of the model and of files of yours that it imports"
        )


def _refuse_reshaped(weights: list[torch.Tensor]) -> None:
    """Refuse a forward that gave weights another shape or dtype, which no operator reports."""
    if weights:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in weights[:5])
        raise InputError(
            f"the forward assigned .data of another shape or dtype to tensors of the model, of shape {shapes}, and a "
            "run that computes only shapes cannot follow that. execute=True counts it on real tensors"
        )


def _say_where(error: Exception, run: Run) -> None:
    """Add notes to an error of the forward: the innermost module that was running, and what was assumed before."""
    if issubclass(type(error), ThoplwError):
        return
    if where := run.where():
        add_note(error, f"raised {where}")
    if run.refusals:
        add_note(error, f"The forward had caught this: {run.refusals[0]}")
    for assumption in dict.fromkeys((assumed.statement, assumed.target) for assumed in run.assumptions):
        add_note(
            error,
            f"Assumed before: {assumption[0]} ({assumption[1]}). If that made a shape wrong, execute=True counts the "
            "model on real tensors.",
        )
