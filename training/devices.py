"""Torch devices."""

import torch

from storage.errors import UserError


def check_device(device: str) -> None:
    """Check that torch can compute on a device.

    Raises:
        UserError: The device is unknown or not available.
    """
    remedy = "choose another --device, such as cpu"
    try:
        named = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"--device {device}: torch does not know this device; {remedy}") from error
    count = torch.cuda.device_count()
    if named.type == "cuda" and (named.index or 0) >= count:
        raise UserError(f"--device {device}: torch detects {count} CUDA devices; {remedy}")
