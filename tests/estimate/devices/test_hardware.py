import pytest

from thoplw import Device, InputError, UnknownNameError


def test_a_device_of_ones_own_keeps_its_figures() -> None:
    mine = Device(name="mine", vector={"float32": 2e12}, bandwidth=100e9)
    assert (mine.vector["float32"], mine.bandwidth, mine.matrix, mine.cache) == (2e12, 100e9, {}, 0)


def test_a_peak_of_an_unknown_dtype_is_refused_with_a_suggestion() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown dtype of a matrix peak of mine 'bf16'\. Did you mean 'bfloat16'"
    ):
        Device(name="mine", matrix={"bf16": 1e12}, bandwidth=1e9)


def test_a_device_without_a_peak_is_refused() -> None:
    with pytest.raises(InputError, match="has no peak: give it one, such as vector="):
        Device(name="mine", bandwidth=1e9)


@pytest.mark.parametrize("figure", [0, -1, float("inf"), float("nan")])
def test_a_figure_that_is_no_positive_number_is_refused(figure: float) -> None:
    with pytest.raises(InputError, match="as its bandwidth: give a positive number"):
        Device(name="mine", vector={"float32": 1e12}, bandwidth=figure)
    with pytest.raises(InputError, match="as its vector peak of float32"):
        Device(name="mine", vector={"float32": figure}, bandwidth=1e9)


def test_a_negative_cache_is_refused() -> None:
    with pytest.raises(InputError, match="as its cache: give a positive number, or 0 if it is not known"):
        Device(name="mine", vector={"float32": 1e12}, bandwidth=1e9, cache=-1)
