"""Torch devices."""

import torch


def check_device(device: str) -> None:
    """Check that torch can compute on a device.

    Raises:
        ValueError: The device is unknown or not available.
    """
    remedy = "choose another --device, such as cpu"
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"--device {device}: torch does not know this device; {remedy}") from error
    count = torch.cuda.device_count()
    if named.type == "cuda" and (named.index or 0) >= count:
        raise ValueError(f"--device {device}: torch detects {count} CUDA devices; {remedy}")
