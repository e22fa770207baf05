"""Switches of the process are as they were, however many a forward has used; most are in checks/attacks/touching.py."""

from __future__ import annotations

import decimal
import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.modules.module as module_globals
import torch.optim.optimizer as optimizer_globals
from checks.releases import since
from torch import nn

import thoplw
from thoplw.capture.restore.switches import switches_kept


def test_nothing_is_set_where_nothing_was_switched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "use_deterministic_algorithms", None)
    with switches_kept():
        pass


def test_several_at_once_and_after_an_error() -> None:
    before = torch.get_default_dtype(), torch.get_float32_matmul_precision(), Path.cwd()

    def fail() -> None:
        with switches_kept():
            torch.set_default_dtype(torch.float64)
            torch.set_float32_matmul_precision("high")
            os.chdir("/")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (torch.get_default_dtype(), torch.get_float32_matmul_precision(), Path.cwd()) == before


def test_a_device_and_a_mode_on_top_of_it() -> None:
    before = torch._C._len_torch_function_stack()
    with switches_kept():
        torch.set_default_device("meta")
        torch.device("meta").__enter__()
    assert torch.empty(1).device.type == "cpu"
    assert torch._C._len_torch_function_stack() == before


@since("2.9")
def test_the_new_way_to_choose_precision() -> None:
    with switches_kept():
        torch.backends.cuda.matmul.fp32_precision = "tf32"
    assert torch.backends.cuda.matmul.fp32_precision != "tf32"
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_filter_that_is_taken_away_is_heard_again() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with switches_kept():
            warnings.simplefilter("ignore")
            warnings.warn("not heard", stacklevel=1)
        with pytest.raises(UserWarning, match="heard"):
            warnings.warn("heard", stacklevel=1)


def test_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with switches_kept():
        os.chdir(tmp_path)


class Products(nn.Module):
    """Products with a weight that autocast converts once, and keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + torch.mm(x, self.layer.weight)


@pytest.mark.parametrize("execute", [False, True], ids=["abstract", "execute"])
@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, pytest.param(torch.float16, marks=since("2.3", "no such type on a CPU"))], ids=str
)
def test_weights_that_autocast_converts_are_forgotten(dtype: torch.dtype, execute: bool) -> None:
    model, x = Products(), torch.ones(2, 8)
    with torch.autocast("cpu", dtype):
        macs = thoplw.profile(model, x, convention="macs", execute=execute)[0]
        model(x).sum().backward()
    assert macs == 2 * (2 * 8 * 8)
    assert model.layer.weight.grad is not None


def test_weights_that_autocast_converts_under_count_are_forgotten() -> None:
    model, x = Products(), torch.ones(2, 8)
    with torch.autocast("cpu"):
        with thoplw.count():
            model(x)
        model(x).sum().backward()
    assert model.layer.weight.grad is not None


class Entered(nn.Module):
    """Enters autocast, and never leaves it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.autocast("cpu").__enter__()
        return x + 1


def test_autocast_that_a_forward_entered_keeps_nothing_later() -> None:
    thoplw.profile(Entered(), torch.ones(2))
    # In the outermost block, and nowhere else, it forgets at the end what it cast.
    depth = torch.autocast_increment_nesting() - 1
    torch.autocast_decrement_nesting()
    assert depth == 0


def _hooks() -> dict[str, list[Any]]:
    files = (module_globals, optimizer_globals)
    return {
        name: list(value.items())
        for file in files
        for name, value in vars(file).items()
        if name.startswith("_global") and isinstance(value, dict)
    }


def test_hooks_of_all_modules_come_back_in_their_order() -> None:
    handles = [module_globals.register_module_forward_hook(each) for each in (print, repr, len)]
    try:
        before = _hooks()
        with switches_kept():
            handles[0].remove()
            module_globals.register_module_forward_hook(abs)
        assert _hooks() == before
    finally:
        for handle in handles:
            handle.remove()


def test_torch_takes_both_kinds_of_hooks_on_gradients_afterwards() -> None:
    with switches_kept():
        module_globals.register_module_backward_hook(print)
    with switches_kept():
        module_globals.register_module_full_backward_hook(print)
    assert not any(_hooks().values())


def test_hooks_of_a_count_in_another_thread_are_left_to_it() -> None:
    model, x = nn.Linear(4, 4), torch.ones(2, 4)
    first, second = thoplw.count("macs"), thoplw.count("macs")
    none = _hooks()
    first.__enter__()
    with switches_kept():
        first.__exit__(None, None, None)
        second.__enter__()
        module_globals.register_module_forward_pre_hook(print)
    try:
        model(x)
    finally:
        second.__exit__(None, None, None)
    assert second.total_macs == 2 * 4 * 4
    assert _hooks() == none


def test_the_device_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [1]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: chosen[-1])
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    with switches_kept():
        torch.cuda.set_device(0)
    assert chosen == [1, 0, 1]


def test_decimal_numbers_are_reckoned_with_as_before() -> None:
    context = decimal.getcontext()
    with switches_kept():
        context.prec = 3
        assert str(decimal.Decimal(1) / 3) == "0.333"
        context.traps[decimal.Inexact] = True
    assert decimal.getcontext() is context
    assert len(str(decimal.Decimal(1) / 3)) == 2 + 28


def test_a_folder_of_temporary_files_that_nobody_had_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tempfile")
    with switches_kept():
        tempfile = importlib.import_module("tempfile")
        tempfile.tempdir = "/none"
    assert tempfile.tempdir is None


def test_distributions_that_a_forward_imports_first_check_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they did before is not known."""
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", True)
    name = "torch.distributions.distribution"
    file = sys.modules[name]
    monkeypatch.delitem(sys.modules, name)
    with switches_kept():
        sys.modules[name] = file
    assert torch.distributions.Distribution._validate_args
