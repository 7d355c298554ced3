"""Checks of torch devices."""

import pytest

from clipnav.training.devices import check_device


@pytest.mark.parametrize(
    ("device", "problem"),
    [
        ("mps", "only cpu and cuda devices are supported; choose another --device, such as cpu"),
        ("meta", "only cpu and cuda devices are supported"),
        ("gpu", "torch does not know this device; choose another --device, such as cpu"),
        ("cuda:99", "torch detects .* CUDA devices"),
        ("cuda:256", "torch detects .* CUDA devices"),
        ("cuda:999", "torch detects .* CUDA devices"),
    ],
)
def test_other_devices_are_refused_in_one_sentence(device, problem):
    with pytest.raises(ValueError, match=f"^--device {device}: {problem}"):
        check_device(device)
