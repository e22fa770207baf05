"""How to run a model: the options of :func:`thoplw.capture.capture`."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from thoplw.capture.scopes import OnReturn
from thoplw.capture.training_step import TrainingStep


class Options(NamedTuple):
    """How to run a model; without any, abstractly, once, and as in inference.

    Attributes:
        execute: run for real, on the given tensors, not abstractly.
        reuse_layers: run a layer of torch once, and repeat its record for equal layers that are called with equal
            shapes. This changes no record, and is faster.
        on_return: called with scope, module, inputs and output whenever a module of the model returns.
        priced: names of control-flow operators, such as ``higher_order.cond``, that have a price of their own. A call
            of one is recorded as a whole.
        train: run the model in training mode.
        step: run a whole training step, under autograd.
        iterations: how many steps to run with a record of the memory (without ``step``, inference is run once); 0 for
            no record of the memory. The trace then has the kernels that torch runs under autograd.
        graph: with ``iterations`` and without ``step``, run inference with gradients enabled, for a model that asks
            for gradients itself.
        storages: let abstract tensors know in which storage they lie, for ``on_return``.
    """

    execute: bool = False
    reuse_layers: bool = True
    on_return: OnReturn | None = None
    priced: Container[str] = ()
    train: bool = False
    step: TrainingStep | None = None
    iterations: int = 0
    graph: bool = False
    storages: bool = False


#: Run abstractly, once, and as in inference.
INFERENCE = Options()
