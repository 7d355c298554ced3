"""Devices that networks compute on."""

import torch


def check_device(device: str) -> None:
    """Make sure that torch can compute on a device.

    Raises:
        ValueError: It cannot.
    """
    remedy = "name another --device, such as cpu"
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"--device {device}: torch knows no such device; {remedy}") from error
    count = torch.cuda.device_count()
    if named.type == "cuda" and (named.index or 0) >= count:
        raise ValueError(f"--device {device}: torch finds {count} GPUs of CUDA here; {remedy}")
