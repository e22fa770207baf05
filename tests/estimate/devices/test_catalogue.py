import pytest

from thoplw import Device, UnknownNameError
from thoplw.estimate.devices import device, devices


def test_a_name_may_have_capitals_and_spaces() -> None:
    assert device("H100 SXM").name == device("h100-sxm").name == "h100-sxm"


def test_figures_are_in_bytes_and_operations_per_second() -> None:
    h100 = device("h100-sxm")
    assert h100.matrix["bfloat16"] == 989.4e12
    assert h100.bandwidth == 3.35e12
    assert h100.memory == 80 * 2**30
    assert h100.cache == 50 * 2**20


def test_a_device_stands_for_itself() -> None:
    mine = Device(name="mine", vector={"float32": 2e12}, bandwidth=100e9)
    assert device(mine) is mine


@pytest.mark.parametrize("name", ["h100", "h100-sxn", "a1000-sxm", ""])
def test_no_device_stands_in_for_an_unknown_one(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown device"):
        device(name)


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean .*'h100-sxm'"):
        device("h100")


def test_devices_of_a_family_are_suggested_before_others_that_sound_alike() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown device 'A100'\. Did you mean 'a100-[^']+' or 'a100-[^']+' or 'a"
    ):
        device("A100")


def test_every_device_is_found_by_its_name() -> None:
    assert all(device(each.name) is each for each in devices())
