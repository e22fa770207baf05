"""Names of things of torch."""

from __future__ import annotations

import pickle

from thoplw.record import TorchName


def test_names_are_equal_by_kind_and_name_and_can_be_saved() -> None:
    name = TorchName("dtype", "float16")
    assert pickle.loads(pickle.dumps(name)) == name
    assert len({name, TorchName("dtype", "float16"), TorchName("object", "float16")}) == 2
